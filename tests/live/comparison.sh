#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# The last column of doc/comparison.md, probe by probe, as a plain user.

. "${srcdir:-.}/tests/lib/tap.sh"

compare() { # gives the lines of the tool to our own count
        local line source
        source=$(cd "${srcdir:-.}" && pwd)
        mkdir -p "$TESTDIR/source/tools" "$TESTDIR/source/doc"
        cp "$source/tools/comparison" "$TESTDIR/source/tools/"
        cp "$source/doc/comparison.md" "$TESTDIR/source/doc/"
        chmod -R a+rX "$TESTDIR/source"
        as_user timeout -k 5 120 "$TESTDIR/source/tools/comparison" check "$USER_CTL" >"$TESTDIR/out" 2>&1
        while read -r line; do
                case $line in
                'ok '*) ok "${line#ok * - }" ;;
                'not ok '*) not_ok "${line#not ok * - }" ;;
                1..*) ;;
                *) diag "$line" ;;
                esac
        done <"$TESTDIR/out"
        like "$(cat "$TESTDIR/out")" '1\.\.[4-9][0-9]' "there are some forty probes"
}

if tap_user_setup; then WHO=user compare; else skip "the comparison" "$REASON"; fi
done_testing
