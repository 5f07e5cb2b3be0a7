#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# Every shell script passes shellcheck.

. "${srcdir:-.}/tests/lib/tap.sh"

command -v shellcheck >/dev/null || skip_all "shellcheck is not installed"

cd "$srcdir" || bail "no source directory"
for script in try check tools/setup.sh tools/tour tools/check-install tests/lib/tap.sh tests/lib/boot.bash tests/system/harden.bash tests/lib/run-test tests/sys/run \
        tests/*/*.sh bench/run-bench bench/figures.bash bench/tasks.bash ctl/completion/sentryctl.bash; do
        [ -e "$script" ] || continue
        if out=$(shellcheck -x "$script" 2>&1); then
                ok "$script"
        else
                not_ok "$script" "$out"
        fi
done
done_testing
