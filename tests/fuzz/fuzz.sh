#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# Runs each fuzzer for some thousand mutations with a fixed seed: a crash, or a word of a sanitizer, fails.

. "${srcdir:-.}/tests/lib/tap.sh"

for fuzzer in "$SENTRYD_BUILD"/tests/fuzz/fuzz-*; do
        case $fuzzer in *.o | *.c | *.log | *.trs | *.sh) continue ;; esac
        [ -f "$fuzzer" ] || continue
        if timeout 100 "$fuzzer" -n 5000 -s 1 >"$TESTDIR/out" 2>&1; then
                ok "${fuzzer##*/} survives 5,000 mutations"
        else
                not_ok "${fuzzer##*/} survives 5,000 mutations"
                sed 's/^/# /' "$TESTDIR/out" | head -n 40
        fi
done
done_testing
