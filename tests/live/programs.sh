#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# Real programs at their usual work, as root and as a plain user.

. "${srcdir:-.}/tests/lib/tap.sh"

python() {
        local w=$WHO d=$WORK/python
        mkdir -p "$d"
        cat >"$d/work.py" <<'PY'
import concurrent.futures, hashlib, json, multiprocessing, os, platform, queue, socket, subprocess, sys, tempfile, threading

def square(n):
    return n * n

def main():
    out = {}
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        out["threads"] = sum(pool.map(square, range(1000)))
    procs = [subprocess.Popen(["sh", "-c", f"exit {i}"]) for i in range(10)]
    out["subprocesses"] = [p.wait() for p in procs]
    out["output"] = subprocess.run(["tr", "a-z", "A-Z"], input="shout", text=True, capture_output=True).stdout
    try:
        with multiprocessing.Pool(3) as pool:
            out["pool"] = sum(pool.map(square, range(100)))
    except OSError as e:
        out["pool"] = str(e)
    q = queue.Queue()
    t = threading.Thread(target=lambda: q.put(platform.node()))
    t.start(); t.join()
    out["node"] = q.get()
    a, b = socket.socketpair()
    a.sendall(b"over a socket")
    out["socket"] = b.recv(100).decode()
    with tempfile.TemporaryFile() as f:
        f.write(b"x" * 100000); f.seek(0)
        out["sha"] = hashlib.sha1(f.read()).hexdigest()
    try:
        subprocess.run(["/nonexistent"])
    except FileNotFoundError as e:
        out["missing"] = e.errno
    try:
        subprocess.run(["sleep", "100"], timeout=0.1)
    except subprocess.TimeoutExpired:
        out["timeout"] = True
    out["cpus"] = len(os.sched_getaffinity(0)) == os.cpu_count() or len(os.sched_getaffinity(0))
    print(json.dumps(out))

if __name__ == "__main__":
    main()
PY
        mine "$d"
        sctl run --ro-bind "$d" /usr/bin/python3 "$d/work.py" >"$d.json" 2>"$d.err"
        is $? 0 "$w: a Python script with threads and subprocesses ends well" || diag "$(cat "$d.err")"
        is "$(json 'd["threads"]' <"$d.json")" 332833500 "$w: … its threads"
        is "$(json 'd["subprocesses"]' <"$d.json")" '[0, 1, 2, 3, 4, 5, 6, 7, 8, 9]' "$w: … its subprocesses"
        is "$(json 'd["output"]' <"$d.json")" SHOUT "$w: … with input and output"
        is "$(json 'd["pool"]' <"$d.json")" 328350 "$w: … a process pool, with semaphores in /dev/shm"
        is "$(json 'd["node"]' <"$d.json")" sandbox "$w: … an emulated call in a thread"
        is "$(json 'd["socket"]' <"$d.json")" 'over a socket' "$w: … a socket pair"
        is "$(json 'd["sha"]' <"$d.json")" "$(head -c 100000 /dev/zero | tr '\0' x | sha1sum | cut -d' ' -f1)" \
                "$w: … a temporary file"
        is "$(json 'd["missing"]' <"$d.json")" 2 "$w: … a program that is not there"
        is "$(json 'd["timeout"]' <"$d.json")" True "$w: … one that takes too long"
}

compiler() {
        local w=$WHO d=$WORK/cc
        mkdir -p "$d"
        cat >"$d/main.c" <<'C'
#include <stdio.h>
#include <sys/utsname.h>
int part(int);
int main(void) { struct utsname u; uname(&u); printf("%s %d\n", u.nodename, part(20)); return part(1); }
C
        echo 'int part(int n) { return n * 2 + 1; }' >"$d/part.c"
        printf 'main: main.o part.o\n\t$(CC) -o $@ $^\n' >"$d/Makefile"
        mine "$d"
        # shellcheck disable=SC2016
        sctl run --bind "$d" --chdir "$d" sh -c 'gcc -c -O2 main.c part.c && gcc -o prog main.o part.o && ./prog' \
                >"$d.out" 2>&1
        is $? 3 "$w: gcc compiles and links, the program's status is ours"
        is "$(cat "$d.out")" 'sandbox 41' "$w: … it says what it should"
        is "$("$d/prog")" "$(uname -n) 41" "$w: … the file is there outside, and says something else"
        if command -v make >/dev/null; then
                check "$w: make -j4" sctl run --bind "$d" --chdir "$d" make -s -j4 main CC=gcc
                check "$w: … made it" test -x "$d/main"
        else
                skip "$w: make -j4" "make is not installed"
        fi
}

archives() {
        local w=$WHO d=$WORK/tar
        mkdir -p "$d/tree/deep/er"
        echo one >"$d/tree/one"
        echo two >"$d/tree/deep/er/two"
        ln -s ../one "$d/tree/deep/link"
        ln "$d/tree/one" "$d/tree/hard"
        chmod 750 "$d/tree/deep"
        mine "$d"
        # shellcheck disable=SC2016
        check "$w: tar packs and unpacks" sctl run --bind "$d" --chdir "$d" sh -c \
                'tar czf a.tar.gz tree && mkdir out && tar xzf a.tar.gz -C out && diff -r tree out/tree'
        is "$(stat -c %a "$d/out/tree/deep")" 750 "$w: … with modes"
        is "$(stat -c %h "$d/out/tree/one")" 2 "$w: … with hard links"
        is "$(readlink "$d/out/tree/deep/link")" ../one "$w: … with symbolic ones"
}

versions() {
        local w=$WHO d=$WORK/git
        mkdir -p "$d"
        mine "$d"
        # shellcheck disable=SC2016
        check "$w: git init, add, commit, branch, merge, log" sctl run --bind "$d" --chdir "$d" --env HOME=/tmp sh -ec '
                git init -q -b main .
                git config user.name Tester
                git config user.email tester@example.org
                echo a >a; git add a; git commit -qm one
                git checkout -q -b side; echo b >b; git add b; git commit -qm two
                git checkout -q main; git merge -q side
                test "$(git log --format=%s | paste -sd,)" = two,one
                git fsck --strict; git gc -q
                git clone -q . /tmp/clone; test -f /tmp/clone/b'
        is "$(cd "$d" && git -c safe.directory='*' log --format=%s 2>&1 | paste -sd,)" two,one "$w: … seen from outside"
}

database() {
        local w=$WHO d=$WORK/sql
        mkdir -p "$d"
        mine "$d"
        is "$(sctl run --bind "$d" --chdir "$d" sqlite3 test.db "
                pragma journal_mode=wal; create table t (n integer primary key, s text);
                with recursive c(x) as (select 1 union all select x + 1 from c where x < 5000)
                insert into t select x, 'row ' || x from c; select count(*), sum(n) from t;" | tail -n 1)" \
                '5000|12502500' "$w: sqlite3 writes and reads"
        is "$(sctl run --ro-bind "$d" sqlite3 "file:$d/test.db?immutable=1" 'select s from t where n = 77')" 'row 77' \
                "$w: … reads a read-only one"
        check_fails "$w: … and can't write that" sctl run --ro-bind "$d" sqlite3 "$d/test.db" 'delete from t'
}

perl_script() {
        local w=$WHO
        # shellcheck disable=SC2016
        is "$(sctl run perl -e '
                use POSIX; use strict; use warnings;
                my @u = POSIX::uname(); my $n = 0;
                for my $i (1 .. 5) { my $pid = fork(); if (!$pid) { exit $i } waitpid $pid, 0; $n += $? >> 8 }
                local $SIG{ALRM} = sub { die "alarm\n" };
                eval { alarm 1; select undef, undef, undef, 10; alarm 0 };
                print "$u[1] $n $@";')" 'sandbox 15 alarm' "$w: perl forks, waits and is woken"
}

for program in /usr/bin/python3 gcc tar git sqlite3 perl; do
        command -v "$program" >/dev/null || bail "$program is needed for this test"
done
each_user python
each_user compiler
each_user archives
each_user versions
each_user database
each_user perl_script
done_testing
