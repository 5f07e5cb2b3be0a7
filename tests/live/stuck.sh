#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# The watchdog: memory of a program that nobody can read, held back by userfaultfd(2), stops one call and not the
# sandbox. The program gets its userfaultfd from /dev/userfaultfd, which is opened outside and inherited: the system call
# is refused in sandboxes, for just this reason.

. "${srcdir:-.}/tests/lib/tap.sh"

[ "$(id -u)" -eq 0 ] || skip_all "opening /dev/userfaultfd needs root"
exec 8<>/dev/userfaultfd || skip_all "this kernel has no /dev/userfaultfd"

cat >"$TESTDIR/guest.py" <<'PY'
import ctypes, fcntl, os, socket, struct, sys, threading, time

libc = ctypes.CDLL(None, use_errno=True)
libc.mmap.restype = ctypes.c_void_p
libc.mmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int, ctypes.c_int, ctypes.c_int, ctypes.c_long]
PAGES, PAGE = 64, os.sysconf("SC_PAGESIZE")
uffd = fcntl.ioctl(8, 0xAA00, 0)                                                # USERFAULTFD_IOC_NEW
fcntl.ioctl(uffd, 0xC018AA3F, bytearray(struct.pack("QQQ", 0xAA, 0, 0)))        # UFFDIO_API
memory = libc.mmap(None, PAGES * PAGE, 3, 0x22, -1, 0)
fcntl.ioctl(uffd, 0xC020AA00, bytearray(struct.pack("QQQQ", memory, PAGES * PAGE, 1, 0)))  # UFFDIO_REGISTER
pages = [memory + i * PAGE for i in range(PAGES)]
taken = []
children = []
results = []

def page():
    taken.append(pages.pop())
    return ctypes.c_void_p(taken[-1])

def call(name, function, *arguments):
    def body():
        begin = time.monotonic()
        r = function(*arguments)
        results.append("%s=%d:%d after %.1f" % (name, r, ctypes.get_errno() if r < 0 else 0, time.monotonic() - begin))
    thread = threading.Thread(target=body)
    thread.start()
    return thread

def uname():
    return libc.uname(ctypes.create_string_buffer(400))

def stuck(n):          # n calls that write memory that is held back
    threads = [call("uname", libc.uname, page()) for i in range(int(n))]
    for t in threads: t.join()

def stuck_read():
    call("sethostname", libc.sethostname, page(), ctypes.c_size_t(4)).join()

def stuck_beside():    # others call meanwhile
    thread = call("uname", libc.uname, page())
    others = [call("other", uname) for i in range(20)]
    for t in [thread] + others: t.join()

def stuck_parked():    # a call that waits for the log gets stuck when another wakes it
    libc.klogctl(2, ctypes.create_string_buffer(65536), 65536)
    thread = call("syslog", libc.klogctl, 2, page(), 4096)
    time.sleep(0.5)
    call("unknown", libc.syscall, ctypes.c_long(9900)).join()
    thread.join()

def stuck_bind():
    s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    call("bind", libc.bind, s.fileno(), page(), 16).join()

def header(at, iov, n):  # struct mmsghdr
    ctypes.memmove(at, struct.pack("QIIQQQQIIII", 0, 0, 0, iov, n, 0, 0, 0, 0, 0, 0), 64)

def stuck_sendmmsg():  # the first message waits for room, the second is one that cannot be read
    a, b = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
    a.setblocking(False)
    try:
        while True: a.send(b"x")
    except BlockingIOError:
        pass
    a.setblocking(True)
    text = ctypes.create_string_buffer(b"first")
    iov = ctypes.create_string_buffer(struct.pack("QQ", ctypes.addressof(text), 5))
    both = ctypes.create_string_buffer(128)
    header(ctypes.addressof(both), ctypes.addressof(iov), 1)
    header(ctypes.addressof(both) + 64, page().value, 200)
    thread = call("sendmmsg", libc.sendmmsg, a.fileno(), both, 2, 0)
    time.sleep(0.5)
    b.setblocking(False)
    try:
        while True: b.recv(8)
    except BlockingIOError:
        pass
    thread.join()

def stuck_sendmsg(n):  # data that cannot be read
    a, b = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
    iov = ctypes.create_string_buffer(struct.pack("QQ", page().value, int(n)))
    message = ctypes.create_string_buffer(64)
    header(ctypes.addressof(message), ctypes.addressof(iov), 1)
    call("sendmsg", libc.sendmsg, a.fileno(), message, 0).join()

def resolve():         # UFFDIO_ZEROPAGE
    while taken:
        fcntl.ioctl(uffd, 0xC020AA04, bytearray(struct.pack("QQQQQ", taken.pop(), PAGE, 0, 0, 0)[:32]))

def withhold(n):       # n children hold back the page where their own arguments lie
    for i in range(int(n)):
        r, w = os.pipe()
        child = os.fork()
        if child == 0:
            start, end = (int(x) for x in open("/proc/self/stat").read().rsplit(")", 1)[1].split()[45:47])
            start -= start % PAGE
            end += -end % PAGE
            own = fcntl.ioctl(8, 0xAA00, 0)
            fcntl.ioctl(own, 0xC018AA3F, bytearray(struct.pack("QQQ", 0xAA, 0, 0)))
            fcntl.ioctl(own, 0xC020AA00, bytearray(struct.pack("QQQQ", start, end - start, 1, 0)))
            libc.madvise(ctypes.c_void_p(start), ctypes.c_size_t(end - start), 4)   # MADV_DONTNEED
            os.write(w, b"x")
            while True: time.sleep(1000)
        children.append(child)
        os.read(r, 1)
    results.append("withheld")

def release():
    while children:
        child = children.pop()
        os.kill(child, 9)
        os.waitpid(child, 0)
    results.append("released")

def good():
    results.append("good=%d" % uname())

print("ready", flush=True)
for line in sys.stdin:
    function, *arguments = line.split()
    globals()[function](*arguments)
    print(" ".join(sorted(results)), flush=True)
    results.clear()
os._exit(7)
PY
chmod 644 "$TESTDIR/guest.py"
mkfifo "$TESTDIR/in"
start_guest() { # DESCRIPTION OPTION…: a sandbox of it; run is its launcher, descriptor 9 leads to it
        local description=$1
        shift
        exec 8<>/dev/userfaultfd
        "$SENTRYCTL" run "$@" --ro-bind "$TESTDIR/guest.py" /usr/bin/python3 "$TESTDIR/guest.py" \
                <"$TESTDIR/in" >"$TESTDIR/out" 2>"$TESTDIR/err" &
        run=$!
        started "$run"
        exec 9>"$TESTDIR/in" 8>&-
        check "$description" await 10 grep -q ready "$TESTDIR/out" || diag "$(cat "$TESTDIR/err")"
}
export SENTRYD_WATCHDOG_SEC=1
start_guest "a program that holds its memory back" --name held
"$SENTRYCTL" --json=short events held >"$TESTDIR/events" 9>&- &
started $!
"$SENTRYCTL" trace held >"$TESTDIR/trace" 2>"$TESTDIR/trace.err" 9>&- &
started $!
await 10 grep -q Tracing "$TESTDIR/trace.err"

more() { [ "$(wc -l <"$TESTDIR/out")" -gt "$1" ]; }
guest() { # FUNCTION ARGUMENT…: the guest does it; RESULT is what it says
        local n
        n=$(wc -l <"$TESTDIR/out")
        echo "$*" >&9
        if await 30 more "$n"; then RESULT=$(tail -n 1 "$TESTDIR/out"); else RESULT="no answer"; fi
}
threads() { find "/proc/$kernel/task" -mindepth 1 -maxdepth 1 | wc -l; }
log=$TESTDIR/run/sentryd/log
kernel=$(daemons_of "$TESTDIR/run" sentry-kernel)
is "$(threads)" 2 "sentry-kernel is one thread that serves and one that watches"

guest good
is "$RESULT" "good=0" "calls work"
guest stuck 1
like "$RESULT" '^uname=-1:14 after [12]\.[0-9]$' "a call that gets stuck is EFAULT in due time"
guest good
is "$RESULT" "good=0" "… and the sandbox goes on"
check "… a Stuck event tells" await 10 grep -q '"Stuck"' "$TESTDIR/events"
is "$(grep -m 1 '"Stuck"' "$TESTDIR/events" | json '[d["syscall"], d["comm"], 900000 < d["usec"] < 5000000]')" \
        '["uname", "python3", true]' "… of what, of whom, how long"
check "the log tells too" grep -qE 'stuck in uname of python3 \(pid [0-9]+\) for 1[0-9]{3} ms, writing its memory' "$log"
check "… with a backtrace of sentry-kernel" test "$(grep -cE '#[0-9]+ .*sentry-kernel\(.*\+0x' "$log")" -ge 4
check "a trace shows it, without what cannot be read" await 10 grep -qE 'uname\(\.\.\.\) = -1 EFAULT <1\.' "$TESTDIR/trace"
is "$(threads)" 3 "a third thread watches"

guest stuck_read
like "$RESULT" '^sethostname=-1:14 after [12]' "reading such memory is the same"
isnt "$(sctl show held -p Hostname --value)" "" "… and changes nothing"

guest stuck_beside
is "$(tr ' ' '\n' <<<"$RESULT" | grep -c '^other=0:0')" 20 "calls of others wait for a second and are answered"
guest stuck_parked
like "$RESULT" '^syslog=-1:14 after .* unknown=-1:38 after' "a call that waited, and the one that woke it" || diag "$(tail -n 5 "$log")"

guest resolve
guest good
guest stuck 4
is "$(tr ' ' '\n' <<<"$RESULT" | grep -c '^uname=-1:14')" 4 "four more, one after the other"
check "threads are used again" test "$(threads)" -le 8
guest good
is "$RESULT" "good=0" "the sandbox goes on"
is "$(sctl show held -p CallsStuck --value)" 8 "all were counted"
check "it can be paused" sctl pause held
check "… and resumed" sctl resume held
check "programs can be started in it" sctl exec held uname
like "$(sctl status held)" 'Stuck calls: 8' "status tells"

# The arguments of a process lie in its memory, too. (Those of a slow file system: tests/unit/test-arguments)
before=$(threads)
arguments() { sctl --json=short ps held | json 'sorted(bool(t["args"]) for t in d)'; }
guest withhold 1
is "$RESULT" withheld "a process holds back its arguments"
is "$(arguments)" '[false, true]' "ps does without them"
guest good
is "$RESULT" "good=0" "… and the sandbox goes on"
guest withhold 6
is "$(arguments | grep -o false | wc -l)" 7 "ps does without those of seven"
guest release
settled() { [ "$(threads)" = "$before" ]; }
check "no thread is left of it" await 10 settled
is "$(arguments)" '[true]' "… and ps has all arguments again"

# Nobody is woken when nothing happens: the deadline has passed once since the last call
switches() { cat /proc/"$kernel"/task/*/status | awk '/ctxt_switches/ { n += $2 } END { print n }'; }
guest resolve
sleep 2.5
before=$(switches)
sleep 3
is "$(switches)" "$before" "an idle sandbox wakes no thread in three seconds"

guest stuck 2
exec 9>&-
reaped "$run"
is "$RC" 7 "the sandbox ends though threads are stuck, with the status of its program"
check "… and sentry-kernel with it" await 10 gone "$kernel"

# Where sockets are mediated. Whoever got stuck comes back when the memory answers, to nothing that is not there any more
# (the sanitizer would tell), and has left nothing behind.
mkdir -p "$HOME/.config/sentryd/profiles"
echo '{ "sentry": { "extends": "default", "network": "private", "addresses": [ { "action": "allow", "family": "unix" } ] } }' >"$HOME/.config/sentryd/profiles/sockets.json"
start_guest "a program whose sockets are mediated" --name sockets --profile sockets
kernel=$(daemons_of "$TESTDIR/run" sentry-kernel)
sockets() { find "/proc/$kernel/fd" -lname 'socket:*' | wc -l; }
guest good
before=$(sockets)
guest stuck_bind
like "$RESULT" '^bind=-1:14 after [12]' "bind of an address that cannot be read"
guest stuck_sendmsg 4000
like "$RESULT" '^sendmsg=-1:14 after [12]' "… sendmsg of such data"
guest resolve
guest stuck_sendmsg 65536
like "$RESULT" '^sendmsg=-1:14 after [12]' "… of more"
guest stuck_sendmmsg
like "$RESULT" '^sendmmsg=-1:14 after [12]' "… sendmmsg whose second message cannot be read, after a wait"
guest resolve
guest good
is "$RESULT" "good=0" "the sandbox goes on"
is "$(sockets)" "$before" "no socket is left in sentry-kernel"
exec 9>&-
reaped "$run"
is "$RC" 7 "… and ends with the status of its program"
check "… and sentry-kernel with it" await 10 gone "$kernel"

# A call on which one sentry-kernel after the other crashes gets ENOSYS. What makes these "crash" is a signal while they are
# in the service of one, and stay there.
await 20 daemons_gone
export SENTRYD_WATCHDOG_SEC=1000
start_guest "a program with a call to crash on" --name crashing
in_service() {
        kernel=$(daemons_of "$TESTDIR/run" sentry-kernel) && grep -q userfault "/proc/$kernel/wchan"
}
# To a thread that is not stuck: a crash is a thread's own. And again: the first time its handler goes back to the instruction.
crash() { # PID: and whether it is dead
        /usr/bin/python3 -c 'import ctypes, os, sys
pid = int(sys.argv[1])
ctypes.CDLL(None).tgkill(pid, [int(t) for t in os.listdir(f"/proc/{pid}/task") if int(t) != pid][0], 6)' "$1"
        gone "$1"
}
echo 'stuck 1' >&9
for i in 1 2 3; do
        check "crash $i: it is in service" await 20 in_service
        kernel=$(daemons_of "$TESTDIR/run" sentry-kernel) # check's was in a subshell
        check "… and dies" await 20 crash "$kernel"
done
more_than_ready() { more 1; }
await 20 more_than_ready
like "$(tail -n 1 "$TESTDIR/out")" '^uname=-1:38' "it gets ENOSYS after the third"
check "… which the log tells" grep -q '3 sentry-kernels have crashed on uname of pid' "$log"
guest good
is "$RESULT" "good=0" "… and the sandbox goes on"
guest resolve
exec 9>&-
reaped "$run"
is "$RC" 7 "… and ends with the status of its program"
done_testing
