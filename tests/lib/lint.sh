# shellcheck shell=sh
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# What the lints that need nothing but a POSIX shell begin with. Sourced in the top of the source tree; $lint is its name.

LC_ALL=C
export LC_ALL

tmp=$(mktemp -d "${TMPDIR:-/tmp}/lint-${lint:?}.XXXXXX") || exit 1
trap 'rm -rf "$tmp"' EXIT
trap 'exit 1' HUP INT TERM

number=0
failed=0

# result DESCRIPTION: ok when $tmp/errors is empty, else not ok followed by the errors
result() {
        number=$((number + 1))
        if [ -s "$tmp/errors" ]; then
                failed=1
                echo "not ok $number - $1"
                sed 's/^/# /' "$tmp/errors"
        else
                echo "ok $number - $1"
        fi
}

# To be the last command: what the lint ends with
lint_done() {
        return "$failed"
}
