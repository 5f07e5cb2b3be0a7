#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# Real programs, saved in the middle of their work and restored, and once more; what they make in the end is what it should be.
# As root and as a plain user.

. "${srcdir:-.}/tests/lib/tap.sh"
# shellcheck source=tests/lib/save.bash
. "$srcdir/tests/lib/save.bash"

T=150 # a sandbox lives as long as its program works, on however busy a machine
# Ends when it is told to, so that it is there to be saved however fast it was.
last_word='echo "worked $?"; until [ -e "$D/end" ]; do sleep 0.05; done'

# NAME EXPECTED PROGRAM…: run, saved and restored, each time when it has said something more
middle() {
        local name=$1 expected=$2 i run said=0
        shift 2
        rm -f "$D/end"
        : >"$D/out-$name"
        mine "$D/out-$name"
        run "$name" "$D/out0" --env D="$D" --network private --ro-bind "$TESTDIR/work" sh -c "exec >>$D/out-$name 2>&1; $*; $last_word"
        for ((i = 1; i <= times; i++)); do
                await 30 eval "[ \$(stat -c %s $D/out-$name) -gt $said ]"
                said=$(stat -c %s "$D/out-$name")
                run=$RUN
                check "$WHO: $name: save number $i, in the middle" sctl save "$name" "$D/image-$name$i"
                reaped "$run"
                restore "$name" "$D/out$i" "$D/image-$name$i"
        done
        await 100 grep -q '^worked' "$D/out-$name"
        contains "$(cat "$D/out-$name")" "$expected" "$WHO: … it comes to what it should"
        contains "$(cat "$D/out-$name")" 'worked 0' "$WHO: … and ends well" || diag "$(tail -n 5 "$D/out-$name")"
        : >"$D/end"
        reaped "$RUN"
        is "$RC" 0 "$WHO: … and so does the sandbox"
        rm -rf "$D"/image-*
}

programs() {
        local times=2

        [ "$WHO" = root ] || [ "$(id -u)" -ne 0 ] || times=1
        D=$WORK/programs
        mkdir -m 755 "$D"
        mine "$D"
        # Compilers, linkers and shells come and go: pipes, files that have no name yet, children of vfork(2).
        middle make 'the sum is 28' "make -j2 -C $D -f $TESTDIR/work/Makefile && $D/sum"
        middle asyncio 'all is well' "python3 -u $TESTDIR/work/loop.py"
        middle sqlite '40|820' "sh $TESTDIR/work/transaction | stdbuf -oL sqlite3 $D/db"
        middle node 'all is well' "node $TESTDIR/work/node.js"
        middle go 'all is well' "$TESTDIR/work/go"
        middle redis 'all is well' "redis-server --bind 127.0.0.1 --dir /tmp --save '' >/dev/null & python3 -u $TESTDIR/work/clients.py"
        await 10 daemons_gone
}

mkdir -m 755 "$TESTDIR/work"
for i in 1 2 3 4 5 6 7; do
        {
                for ((j = 0; j < 20; j++)); do
                        echo "int f${i}_$j(int a, int b) { int s = 0; for (int i = 0; i < a; i++) for (int j = 0; j < b; j++)" \
                                "switch (s % 5) { case 0: s += i * j; break; case 1: s ^= b; break; case 2: s *= 3; default: s -= $j; } return s; }"
                done
                echo "int part$i(void) { return $i; }"
        } >"$TESTDIR/work/part$i.c"
done
cat >"$TESTDIR/work/sum.c" <<'END_OF_FILE'
#include <stdio.h>
int part1(void), part2(void), part3(void), part4(void), part5(void), part6(void), part7(void);
int main(void) { printf("the sum is %d\n", part1() + part2() + part3() + part4() + part5() + part6() + part7()); }
END_OF_FILE
cat >"$TESTDIR/work/Makefile" <<END_OF_FILE
sum: sum.o part1.o part2.o part3.o part4.o part5.o part6.o part7.o
	gcc -o \$@ \$^
%.o: $TESTDIR/work/%.c
	gcc -O2 -pipe -c -o \$@ \$<
END_OF_FILE
cat >"$TESTDIR/work/transaction" <<'END_OF_FILE'
echo 'create table t(a integer, b text); begin;'
for i in $(seq 40); do
        echo "insert into t values($i, hex(randomblob(1000))); select 'row $i';"
        sleep 0.03
done
echo 'commit; pragma integrity_check; select count(*), sum(a) from t;'
END_OF_FILE
cat >"$TESTDIR/work/loop.py" <<'END_OF_FILE'
import array, asyncio, os, subprocess, zlib

numbers = array.array("d", (i * 0.5 for i in range(500000)))
checksum = zlib.crc32(numbers)

async def children():
    while True:
        child = await asyncio.create_subprocess_exec("sh", "-c", "sleep 0.05; cat", stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        output, _ = await child.communicate(b"hello")
        assert output == b"hello" and child.returncode == 0, (output, child.returncode)

async def echo(reader, writer):
    while line := await reader.readline():
        writer.write(line)

async def main():
    task = asyncio.create_task(children())
    await asyncio.start_unix_server(echo, "/tmp/socket")
    reader, writer = await asyncio.open_unix_connection("/tmp/socket")
    loop = asyncio.get_running_loop()
    for n in range(60):
        await asyncio.sleep(0.02)
        writer.write(b"%d\n" % n)
        assert await reader.readline() == b"%d\n" % n
        if n % 10 == 0:
            assert await loop.run_in_executor(None, zlib.crc32, numbers) == checksum
            print(n)
        if task.done():
            task.result()
    print("all is well", flush=True)
    os._exit(0)

asyncio.run(main())
END_OF_FILE
cat >"$TESTDIR/work/node.js" <<'END_OF_FILE'
const { spawn, execFile } = require('child_process');
const child = spawn('cat');
let sent = 0, children = 0, got = '';
const words = Array.from({ length: 50000 }, (_, i) => 'word ' + i);
child.stdout.on('data', data => { got += data; });
setInterval(() => child.stdin.write(++sent + '\n'), 20);
setInterval(() => execFile('echo', ['hello'], (error, output) => {
    if (error || output !== 'hello\n') throw new Error('a child: ' + error + output);
    children++;
}), 100);
setInterval(() => {
    words.forEach((word, i) => { if (word !== 'word ' + i) throw new Error('memory'); });
    got.split('\n').slice(0, -1).forEach((line, i) => { if (+line !== i + 1) throw new Error('lost: ' + line); });
    console.log(sent);
    if (sent < 60 || children < 5) return;
    console.log('all is well');
    process.exit(0);
}, 200);
END_OF_FILE
cat >"$TESTDIR/work/main.go" <<'END_OF_FILE'
package main

import (
	"bufio"
	"fmt"
	"hash/crc32"
	"net"
	"os/exec"
	"sync"
	"time"
)

func must(err error) {
	if err != nil {
		panic(err)
	}
}

func serve(listener net.Listener) {
	for {
		connection, err := listener.Accept()
		must(err)
		go func() {
			lines := bufio.NewScanner(connection)
			for lines.Scan() {
				fmt.Fprintln(connection, lines.Text())
			}
		}()
	}
}

func talk(address string, rounds int, done *sync.WaitGroup) {
	connection, err := net.Dial("tcp", address)
	must(err)
	answers := bufio.NewReader(connection)
	for i := 0; i < rounds; i++ {
		fmt.Fprintln(connection, i)
		var n int
		_, err := fmt.Fscanln(answers, &n)
		must(err)
		if n != i {
			panic(fmt.Sprint(i, " was answered by ", n))
		}
		time.Sleep(20 * time.Millisecond)
	}
	done.Done()
}

func main() {
	numbers := make([]byte, 8<<20)
	for i := range numbers {
		numbers[i] = byte(i * 7)
	}
	checksum := crc32.ChecksumIEEE(numbers)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	must(err)
	go serve(listener)
	var done sync.WaitGroup
	for i := 0; i < 10; i++ {
		done.Add(1)
		go talk(listener.Addr().String(), 60, &done)
	}
	for i := 0; i < 20; i++ {
		output, err := exec.Command("echo", "hello").Output()
		must(err)
		if string(output) != "hello\n" || crc32.ChecksumIEEE(numbers) != checksum {
			panic("memory or children")
		}
		numbers = append([]byte(nil), numbers...)
		fmt.Println(i)
		time.Sleep(40 * time.Millisecond)
	}
	done.Wait()
	fmt.Println("all is well")
}
END_OF_FILE
(cd "$TESTDIR/work" && GOCACHE=$TESTDIR/go-cache GO111MODULE=off CGO_ENABLED=0 go build -o go main.go) || bail "the program in Go cannot be built"
cat >"$TESTDIR/work/clients.py" <<'END_OF_FILE'
import socket, threading, time

CLIENTS, ROUNDS = 20, 60
wrong = []
turn = threading.Barrier(CLIENTS + 1)

def connect():
    for _ in range(600):
        try:
            return socket.create_connection(("127.0.0.1", 6379))
        except ConnectionRefusedError:
            time.sleep(0.05)
    raise SystemExit("redis does not answer")

def client(number):
    try:
        connection = connect()
        answers = connection.makefile("rb")
        def ask(*words):
            connection.sendall(b"*%d\r\n" % len(words) + b"".join(b"$%d\r\n%s\r\n" % (len(w), w) for w in words))
            line = answers.readline()
            return answers.read(int(line[1:]) + 2)[:-2] if line[:1] == b"$" else line[1:].strip()
        for n in range(1, ROUNDS + 1):
            value = b"%d " % n * 500
            for expected, words in ((b"%d" % n, (b"INCR", b"count%d" % number)), (b"OK", (b"SET", b"key%d" % number, value)),
                                    (value, (b"GET", b"key%d" % number))):
                answer = ask(*words)
                if answer != expected:
                    wrong.append((number, n, words[0], answer[:50]))
            turn.wait(60)
    except Exception as error:
        wrong.append((number, repr(error)))
        turn.abort()

threads = [threading.Thread(target=client, args=(i,)) for i in range(CLIENTS)]
for thread in threads:
    thread.start()
try:
    for n in range(ROUNDS):
        turn.wait(60)
        time.sleep(0.02)
        if n % 10 == 0:
            print(n)
except threading.BrokenBarrierError:
    pass
for thread in threads:
    thread.join()
print("wrong: %s" % wrong if wrong else "all is well", flush=True)
connection = connect()
connection.sendall(b"SHUTDOWN NOSAVE\r\n")
connection.recv(1)
raise SystemExit(bool(wrong))
END_OF_FILE
chmod -R a+rX "$TESTDIR/work"
each_user programs
done_testing
