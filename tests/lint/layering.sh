#!/bin/sh
# SPDX-License-Identifier: LGPL-2.1-or-later
# Checks who includes whom, the licence line and the length of source files. Emits TAP.
# Usage: [srcdir=DIR] layering.sh

limit=800 # lines of a source file

cd "${srcdir:-$(dirname "$0")/../..}" || exit 1
if [ ! -d kernelemu ]; then
        echo "Bail out! no kernelemu/ in $PWD: set srcdir to the top of the source tree"
        exit 1
fi

lint=layering
# shellcheck source=tests/lib/lint.sh
. tests/lib/lint.sh

# find, in those of the directories and files given that exist
find_in() {
        places=
        while [ "$1" != -- ]; do
                [ -e "$1" ] && places="$places $1"
                shift
        done
        shift
        # shellcheck disable=SC2086 # our own names, without spaces
        [ -z "$places" ] || find $places -type f "$@" | sort
}

echo "1..5"

find_in kernelemu daemon ctl -- \( -name '*.[ch]' -o -name '*.def' \) > "$tmp/ours"
grep '^kernelemu/' "$tmp/ours" > "$tmp/kernelemu"

# Every #include in kernelemu/ as "FILE LINE NAME RESOLVED", where RESOLVED is the file of ours that the
# compiler finds, or - for a file of the system (or one that does not exist).
while read -r file; do
        awk -v file="$file" -v ours="$tmp/ours" '
                function normalize(path,    parts, n, i, out, depth) {
                        n = split(path, parts, "/")
                        depth = 0
                        for (i = 1; i <= n; i++)
                                if (parts[i] == "..")
                                        depth -= depth > 0
                                else if (parts[i] != "." && parts[i] != "")
                                        out[++depth] = parts[i]
                        path = ""
                        for (i = 1; i <= depth; i++)
                                path = path (i > 1 ? "/" : "") out[i]
                        return path
                }
                # Where the compiler looks: beside the file, then the -I of every program of ours. Further
                # folders of daemon/ and ctl/ are looked into as well, for whoever adds one to the -I.
                function resolve(name, quoted,    path, i) {
                        path = file
                        sub(/[^\/]*$/, "", path)
                        path = normalize(path name)
                        if (quoted && path in have)
                                return path
                        if (("kernelemu/" name) in have)
                                return "kernelemu/" name
                        if (normalize(name) in have)
                                return normalize(name)
                        for (i = 1; i <= n; i++)
                                if (list[i] ~ /^daemon\/(common|launch)\// || quoted)
                                        if (substr(list[i], length(list[i]) - length(name)) == "/" name)
                                                return list[i]
                        return "-"
                }
                BEGIN { while ((getline path < ours) > 0) { have[path] = 1; list[++n] = path } }
                /^[ \t]*#[ \t]*include[ \t]*[<"]/ {
                        name = $0
                        sub(/^[^<"]*[<"]/, "", name)
                        quoted = $0 ~ /include[ \t]*"/
                        sub(/[>"].*/, "", name)
                        print file, FNR, name, resolve(name, quoted), quoted
                }
        ' "$file"
done < "$tmp/kernelemu" > "$tmp/includes"

awk '
        $3 ~ /(^|\/)sd-[^\/]*$/ || $3 ~ /(^|\/)systemd\// || $3 ~ /(^|\/)seccomp(-syscalls)?\.h$/ ||
        $3 ~ /(^|\/)(sys\/)?capability\.h$/ || $3 ~ /(^|\/)json/ {
                if ($3 == "linux/seccomp.h" || $3 == "linux/capability.h" || $4 ~ /^kernelemu\//)
                        next # constants of the Linux ABI; files of its own
                printf "%s:%d: includes %s: the emulated kernel sees the host only through host.h\n", $1, $2, $3
        }
' "$tmp/includes" > "$tmp/errors"
result "kernelemu/ includes no sd-*, libseccomp, libcap or json-c header"

awk '
        $1 !~ /^kernelemu\/util\// { next }
        $4 ~ /^kernelemu\/(util|abi)\// { next }
        $4 != "-" { printf "%s:%d: includes %s (%s): util/ may include util/ and abi/ alone\n", $1, $2, $3, $4; next }
        $5 { printf "%s:%d: includes \"%s\", which is in neither util/ nor abi/\n", $1, $2, $3 }
' "$tmp/includes" > "$tmp/errors"
result "kernelemu/util/ includes nothing of ours outside util/ and abi/"

awk '
        $4 ~ /^(daemon|ctl)\// || $3 ~ /(^|\/)(daemon|ctl)\// {
                printf "%s:%d: includes %s%s: the emulated kernel knows nothing of its users\n", $1, $2, $3, \
                       $4 == "-" ? "" : " (" $4 ")"
        }
' "$tmp/includes" > "$tmp/errors"
result "kernelemu/ includes nothing of daemon/ and ctl/"

# Generated files of a build in the source tree carry other names or lie elsewhere.
find_in kernelemu daemon ctl tests bench configure.ac Makefile.am try check -- \
        \( -name '*.[ch]' -o -name '*.def' -o -name '*.sh' -o -name '*.py' -o -name '*.mk' -o -name configure.ac \
           -o -name Makefile.am -o -path try -o -path check \) > "$tmp/sources"
while read -r file; do
        head -n 3 "$file" | grep -q 'SPDX-License-Identifier: LGPL-2.1-or-later' ||
                echo "$file:1: no SPDX-License-Identifier: LGPL-2.1-or-later in the first lines"
done < "$tmp/sources" > "$tmp/errors"
result "every source file names its licence ($(wc -l < "$tmp/sources" | tr -d ' '))"

grep '\.[ch]$' "$tmp/ours" | while read -r file; do
        lines=$(wc -l < "$file" | tr -d ' ')
        [ "$lines" -le "$limit" ] ||
                echo "$file:$((limit + 1)): $lines lines, more than $limit: look for the second thing it does"
done > "$tmp/errors"
result "no source file is longer than $limit lines"

lint_done
