#!/bin/sh
# SPDX-License-Identifier: LGPL-2.1-or-later
# Checks kernelemu/syscalls.def: well-formed, sorted, without duplicates, complete for the libseccomp at hand,
# and in step with the handlers in kernelemu/sys/. Emits TAP. Usage: [srcdir=DIR] [CC=…] table.sh

cd "${srcdir:-$(dirname "$0")/../..}" || exit 1
table=kernelemu/syscalls.def
if [ ! -f "$table" ]; then
        echo "Bail out! no $table in $PWD: set srcdir to the top of the source tree"
        exit 1
fi

lint=table
# shellcheck source=tests/lib/lint.sh
. tests/lib/lint.sh

echo "1..5"

# Rows as "LINE CLASS NAME FAMILY" in $tmp/rows; what is neither row, comment nor preprocessor line is an error.
awk -v table="$table" -v rows="$tmp/rows" '
        function bad(why) { printf "%s:%d: %s: %s\n", table, FNR, why, $0 }
        BEGIN {
                printf "" > rows
                split("NATIVE NATIVE_UNLESS EMULATED MEDIATED MEDIATED_WHEN REFUSED REFUSED_WHEN DENIED_WHEN MEDIATED_ALSO DENIED_ALSO", names, " ")
                for (i in names)
                        known[names[i]] = 1
        }
        comment { if (index($0, "*/")) comment = 0; next }
        /^[ \t]*\/\*/ { if (!index($0, "*/")) comment = 1; next }
        /^[ \t]*$/ || /^#/ { next }
        {
                if (!match($0, /^[A-Z_]+\([A-Za-z0-9_]+, +[a-z0-9_]+, .* A[0-6].*, ".*"\)$/)) {
                        bad("not a row; expected CLASS(name, family, …, A0 … A6(…), \"note\") on one line")
                        next
                }
                class = $0; sub(/\(.*/, "", class)
                name = $0; sub(/^[A-Z_]+\(/, "", name); sub(/,.*/, "", name)
                family = $0; sub(/^[^,]*, */, "", family); sub(/,.*/, "", family)
                if (!(class in known)) {
                        bad("unknown class " class "; expected one of NATIVE, NATIVE_UNLESS, EMULATED, " \
                            "MEDIATED, MEDIATED_WHEN, MEDIATED_ALSO, REFUSED, REFUSED_WHEN, DENIED_WHEN, DENIED_ALSO")
                        next
                }
                # The number in A3(…) is the number of kinds in it.
                arguments = $0
                sub(/, "[^"]*"\)$/, "", arguments)
                if (match(arguments, / A[0-6](\([A-Z_, ]*\))?$/)) {
                        arguments = substr(arguments, RSTART + 1)
                        n = substr(arguments, 2, 1) + 0
                        inside = substr(arguments, 4, length(arguments) - 4)
                        if ((length(arguments) == 2 ? 0 : split(inside, kinds, ",")) != n)
                                bad("A" n " takes " n " arguments")
                } else
                        bad("the arguments before the note are not A0 … A6(KIND, …)")
                print FNR, class, name, family > rows
        }
' "$table" > "$tmp/errors"
result "every line of $table is a row"

awk -v table="$table" '
        $3 in line { printf "%s:%d: second row for %s; the first is in line %d\n", table, $1, $3, line[$3]; next }
        { line[$3] = $1 }
        (previous "") > ($3 "") {
                printf "%s:%d: %s belongs before %s: rows are sorted by name (LC_ALL=C)\n", table, $1, $3, previous
        }
        { previous = $3 }
' "$tmp/rows" > "$tmp/errors"
result "rows are sorted by name, one per system call"

# shellcheck disable=SC2086 # flags are words
if echo '#include <seccomp.h>' | ${CC:-cc} $CPPFLAGS $SECCOMP_CFLAGS -E -dM - > "$tmp/macros" 2> "$tmp/cpp" &&
   grep -q __SNR_ "$tmp/macros"; then
        # The note tells the file and line of the macro as a reader finds it.
        header=$(echo '#include <seccomp-syscalls.h>' | ${CC:-cc} $CPPFLAGS $SECCOMP_CFLAGS -E - 2>/dev/null |
                 sed -n 's/^# [0-9]* "\(.*seccomp-syscalls\.h\)".*/\1/p' | head -n 1)
        sed -n 's/^#define __SNR_\([A-Za-z0-9_]*\)[ \t].*/\1/p' "$tmp/macros" | sort -u > "$tmp/known"
        cut -d ' ' -f 3 "$tmp/rows" | sort -u > "$tmp/have"
        comm -23 "$tmp/known" "$tmp/have" > "$tmp/missing"
        awk -v table="$table" -v header="$header" -v missing="$tmp/missing" '
                BEGIN { while ((getline name < missing) > 0) want[name] = 1 }
                FILENAME == header { if ($1 == "#define") at[substr($2, 7)] = FNR; next }
                { n++; row[n] = $3; line[n] = $1 }
                END {
                        for (name in want) {
                                where = 1
                                for (i = 1; i <= n; i++)
                                        if ((row[i] "") < (name ""))
                                                where = line[i]
                                printf "%s:%d: no row for %s (%s:%d); it belongs after this line\n", \
                                       table, where, name, header, at[name]
                        }
                }
        ' ${header:+"$header"} "$tmp/rows" | sort -t : -k 2n > "$tmp/errors"
        result "every system call that libseccomp knows has a row ($(wc -l < "$tmp/known" | tr -d ' '))"
else
        number=$((number + 1))
        echo "ok $number # SKIP no C preprocessor that finds seccomp.h (CC=${CC:-cc}); install libseccomp-dev"
        sed 's/^/# /' "$tmp/cpp"
fi

# Handlers as "FILE LINE NAME" in $tmp/handlers.
: > "$tmp/handlers"
for file in kernelemu/sys/*.c; do
        [ -f "$file" ] || continue
        awk -v file="$file" '/^[ \t]*SYSCALL_DEFINE[0-6][ \t]*\(/ {
                name = $0
                sub(/^[^(]*\([ \t]*/, "", name)
                sub(/[^A-Za-z0-9_].*/, "", name)
                print file, FNR, name
        }' "$file" >> "$tmp/handlers"
done

awk -v table="$table" -v handlers="$tmp/handlers" '
        BEGIN { while ((getline < handlers) > 0) have[$1 " " $3] = 1 }
        $2 == "EMULATED" || $2 == "NATIVE_UNLESS" || $2 == "MEDIATED" || $2 == "MEDIATED_WHEN" || $2 ~ /_ALSO$/ {
                file = "kernelemu/sys/" $4 ".c"
                if (!((file " " $3) in have))
                        printf "%s:%d: %s is %s, but %s has no SYSCALL_DEFINEn(%s, …): write it, or correct " \
                               "the family\n", table, $1, $3, $2, file, $3
        }
' "$tmp/rows" > "$tmp/errors"
result "every row that needs a handler has one in its family's file"

awk -v table="$table" -v rows="$tmp/rows" '
        BEGIN {
                while ((getline < rows) > 0) { line[$3] = $1; class[$3] = $2; family[$3] = $4 }
        }
        {
                where = $1 ":" $2 ": handler of " $3
                file = "kernelemu/sys/" family[$3] ".c"
                if ($3 in seen)
                        print where ": a second one; the first is at " seen[$3]
                else if (!($3 in line))
                        print where " has no row in " table
                else if (class[$3] != "EMULATED" && class[$3] != "NATIVE_UNLESS" && class[$3] != "MEDIATED" &&
                         class[$3] != "MEDIATED_WHEN" && class[$3] !~ /_ALSO$/)
                        print where " is never called: " table ":" line[$3] " says " class[$3]
                else if (file != $1)
                        print where " belongs into " file ", the family that " table ":" line[$3] " names"
                seen[$3] = $1 ":" $2
        }
' "$tmp/handlers" > "$tmp/errors"
result "every handler has a row ($(wc -l < "$tmp/handlers" | tr -d ' '))"

lint_done
