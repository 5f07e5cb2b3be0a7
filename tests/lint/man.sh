#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# The manual pages are well-formed, and the pages of ours that they refer to exist.

. "${srcdir:-.}/tests/lib/tap.sh"

command -v mandoc >/dev/null || skip_all "mandoc is not installed"

pages=("$srcdir"/man/*.[1-9] "$SENTRYD_BUILD"/man/sentry-syscalls.7)
for page in "${pages[@]}"; do
        if out=$(mandoc -T lint -W warning "$page" 2>&1); then
                ok "${page##*/} is well-formed"
        else
                not_ok "${page##*/} is well-formed" "$out"
        fi
        missing=
        while read -r name section; do
                [ -e "$srcdir/man/$name.$section" ] || [ -e "$SENTRYD_BUILD/man/$name.$section" ] ||
                        missing+=" $name($section)"
        done < <(sed -nE 's/^\.Xr ((org\.)?sentry[^ ]*) ([0-9]).*/\1 \3/p' "$page")
        is "$missing" '' "${page##*/} refers to pages that exist"
done

# Every verb of sentryctl has its place in sentryctl(1).
undocumented=
for verb in $("$SENTRYCTL" --help | sed -nE 's/^  ([a-z]+(, [a-z]+)*)  +[A-Z].*/\1/p' | tr -d ,); do
        grep -qE "^\.(It|Ss|Sh).* $verb( |$)" "$srcdir/man/sentryctl.1" || undocumented+=" $verb"
done
is "$undocumented" '' "every verb is in sentryctl(1)"

done_testing
