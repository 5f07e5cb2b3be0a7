#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# sentryctl fds, sockets, mounts, namespaces and ipc: every kind and state there is, shared tables, hostile names, descriptors on
# their way, tasks that die and mounts that change while they are listed, very many, readers that do not read.

. "${srcdir:-.}/tests/lib/tap.sh"

cat >"$TESTDIR/guest.py" <<'PY'
import array, ctypes, os, resource, select, signal, socket, struct, sys, tempfile, threading, time
libc = ctypes.CDLL(None, use_errno=True)
CLONE_FILES, SYS_clone = 0x400, {"x86_64": 56, "aarch64": 220}[os.uname().machine]
kept = []

def keep(*things):
    kept.extend(things)
    return " ".join(str(t if isinstance(t, int) else t.fileno()) for t in things)

def kinds():
    e = select.epoll()
    t = libc.timerfd_create(1, 0)
    libc.timerfd_settime(t, 0, struct.pack("4q", 5, 0, 100, 0), None)
    i = libc.inotify_init()
    libc.inotify_add_watch(i, b"/tmp", 2)
    mask = (ctypes.c_ulong * 16)(1 << (10 - 1) | 1 << (12 - 1))
    s = libc.signalfd(-1, mask, 0)
    v = libc.eventfd(41, 0)
    e.register(v)
    r, w = os.pipe()
    return keep(e, t, i, s, v, r, libc.memfd_create(b"mem", 0), os.pidfd_open(os.getpid()),
                os.open("/tmp", os.O_RDONLY), os.open("/dev/null", os.O_WRONLY | os.O_NONBLOCK),
                os.open("/etc", os.O_PATH), w)

def flags():
    f = os.open("/tmp/file", os.O_CREAT | os.O_RDWR | os.O_APPEND)
    os.write(f, b"12345")
    return keep(f)

def hostile():
    return keep(os.open(b"/tmp/a\nb\x1b[31m\xff\"\\", os.O_CREAT | os.O_RDWR))

def share():  # a process with the same table; and a thread with one of its own
    if libc.syscall(SYS_clone, ctypes.c_long(CLONE_FILES | signal.SIGCHLD), 0, 0, 0, 0) == 0:
        while True: libc.pause()
    go = threading.Event()
    def thread():
        libc.unshare(CLONE_FILES)
        os.open("/dev/zero", os.O_RDONLY)
        go.set()
        while True: time.sleep(1000)
    threading.Thread(target=thread, daemon=True).start()
    go.wait()
    return ""

def sockets():
    def tcp(port):
        s = socket.socket()
        s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        s.bind(("127.0.0.1", port))
        s.listen(7)
        c = socket.create_connection(("127.0.0.1", port))
        return s, c, s.accept()[0]
    s, c, d = tcp(11001)                      # established
    keep(s, c, d)
    d.send(b"unread"); select.select([c], [], [])
    s, c, d = tcp(11002)
    c.close(); select.select([d], [], [])    # close-wait, and fin-wait-2
    keep(s, d)
    s, c, d = tcp(11003)
    c.close(); select.select([d], [], []); d.close()  # time-wait
    keep(s)
    u6 = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM); u6.bind(("::1", 11004))
    u = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); u.bind(("127.0.0.1", 11005)); u.connect(("127.0.0.1", 11006))
    n = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 0); n.bind((0, 0))
    a = socket.socket(socket.AF_UNIX); a.bind("\0abs\x1b\ntract"); a.listen(1)
    p = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM); p.bind("/tmp/path")
    q = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM); q.connect("/tmp/path")
    keep(u6, u, n, a, p, q, *socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET))
    keep(socket.socket())                    # never bound
    return ""

def closing():  # states that last as long as a peer does not read, or does not accept
    def stuck():
        s = socket.socket(); s.bind(("127.0.0.1", 0)); s.listen(1)
        c = socket.create_connection(s.getsockname()); d = s.accept()[0]
        c.setblocking(False); d.setblocking(False)
        keep(s, c, d)
        return c, d
    def fill(x):
        try:
            while True: x.send(b"x" * 65536)
        except BlockingIOError: pass
    c, d = stuck(); fill(c); c.shutdown(socket.SHUT_WR)       # fin-wait-1
    c, d = stuck(); fill(d); c.shutdown(socket.SHUT_WR)
    while b"08" not in open("/proc/net/tcp", "rb").read(): time.sleep(0.01)
    d.shutdown(socket.SHUT_WR)                                # last-ack
    s = socket.socket(); s.bind(("127.0.0.1", 11007)); s.listen(0); keep(s)
    for i in range(4):
        x = socket.socket(); x.setblocking(False); x.connect_ex(s.getsockname()); keep(x)  # syn-sent
    return ""

def flight(n):  # descriptors on their way
    resource.setrlimit(resource.RLIMIT_NOFILE, (resource.getrlimit(resource.RLIMIT_NOFILE)[1],) * 2)
    a, b = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
    a.setblocking(False)
    fd, sent, pairs = os.open("/etc/passwd", os.O_RDONLY), 0, [a, b]
    while sent < int(n):
        try:
            a.sendmsg([b"x"], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [fd] * 250))])
            sent += 250
        except BlockingIOError:
            a, b = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
            a.setblocking(False)
            pairs += [a, b]
    os.close(fd)
    kept.extend(pairs)
    return str(sent)

def churn():  # children that live for a moment, until told to stop
    def run():
        while True:
            pid = os.posix_spawn("/bin/true", ["true"], {})
            os.waitpid(pid, 0)
    for i in range(2): threading.Thread(target=run, daemon=True).start()
    return ""

def many(n):
    resource.setrlimit(resource.RLIMIT_NOFILE, (resource.getrlimit(resource.RLIMIT_NOFILE)[1],) * 2)
    fd = os.open("/dev/null", os.O_RDONLY)
    made = 0
    try:
        for made in range(1, int(n) + 1): os.dup(fd)
    except OSError:
        made -= 1
    return str(made)

def ipc():
    libc.shmget(0x1234, 8192, 0o1600)
    q = libc.msgget(0x99, 0o1640)
    libc.msgsnd(q, struct.pack("q5s", 1, b"hello"), 5, 0)
    libc.semget(0x77, 3, 0o1600)
    rt = ctypes.CDLL("librt.so.1")
    m = rt.mq_open(b"/queue", os.O_CREAT | os.O_RDWR, 0o600, (ctypes.c_long * 8)(0, 4, 100))
    rt.mq_send(m, b"abc", 3, 0)
    return keep(m)

def rename():
    libc.sethostname(b"a\nb", 3)
    return ""

def undumpable():
    libc.prctl(4, 0, 0, 0, 0)
    return ""

def task():
    os.chdir("/usr"); os.umask(0o27)
    return ""

print("up", flush=True)
for line in sys.stdin:
    function, *arguments = line.split()
    print("=", globals()[function](*arguments), flush=True)
os._exit(0)
PY
chmod 644 "$TESTDIR/guest.py"

start() { # NAME OPTION…: a sandbox whose program does as it is told; its shell is process $RUN
        local name=$1
        shift
        rm -f "$TESTDIR/in" "$TESTDIR/out"
        mkfifo "$TESTDIR/in"
        sctl_unbounded run --name "$name" --network=private --ro-bind "$TESTDIR/guest.py" "$@" \
                /usr/bin/python3 "$TESTDIR/guest.py" <"$TESTDIR/in" >"$TESTDIR/out" 2>"$TESTDIR/err" &
        RUN=$!
        started "$RUN"
        exec 9>"$TESTDIR/in"
        await 20 grep -q up "$TESTDIR/out" || diag "$(cat "$TESTDIR/err")"
}
sctl_unbounded() { T=600 sctl "$@"; }
more() { [ "$(wc -l <"$TESTDIR/out")" -gt "$1" ]; }
guest() { # FUNCTION ARGUMENT…: the guest has done it; ANSWER is what it says
        local n
        n=$(wc -l <"$TESTDIR/out")
        echo "$*" >&9
        await 60 more "$n" || diag "the guest does not answer: $*" "$(cat "$TESTDIR/err")"
        ANSWER=$(tail -n 1 "$TESTDIR/out")
        ANSWER=${ANSWER#= }
}
fd() { # NUMBER EXPRESSION: of descriptor f
        sctl fds box 1 --json=short | json "[f for f in d[0]['fds'] if f['fd'] == $1][0]$2"
}
socks() { sctl sockets box --json=short | json "$1"; }

kinds() {
        local w=$WHO e t i s v r m p dir null path pipe table
        start box
        guest kinds
        read -r e t i s v r m p dir null path pipe <<<"$ANSWER"
        table=$(sctl fds box)
        like "$table" $'\n1 +'"$e"' epoll +rw +cloexec ' "$w: fds prints a table" 
        is "$(fd "$e" "['object']")" "{\"fds\": [$v]}" "$w: an epoll and what it watches"
        is "$(fd "$t" "['object']" | json '[d["clock"], d["ticks"], 0 < d["next_ns"] <= 100 * 10**9, d["period_ns"]]')" \
                '["monotonic", 0, true, 5000000000]' "$w: a timerfd, its clock and when it is next"
        is "$(fd "$i" "['object']" | json '[[x["wd"], x["mask"]] for x in d["watches"]]')" '[[1, 2]]' "$w: an inotify and its watches"
        is "$(fd "$s" "['object']")" '{"signals": [10, 12]}' "$w: a signalfd and its signals"
        is "$(fd "$v" "['object']['count']")" 41 "$w: an eventfd and its count"
        is "$(fd "$v" "['object']['id']" | grep -c '^[0-9]')" 1 "$w: … and its number"
        is "$(fd "$r" "['inode']")" "$(fd "$pipe" "['inode']")" "$w: the two ends of a pipe"
        is "$(fd "$r" "['access']")$(fd "$pipe" "['access']")" rw "$w: … one to read, one to write"
        is "$(fd "$p" "['object']")" '{"pid": 1}' "$w: a pidfd, with the number inside"
        is "$(for x in $e $t $i $s $v $r $m $p $dir $null $path; do fd "$x" "['kind']"; done | tr '\n' ' ')" \
                "epoll timerfd inotify signalfd eventfd pipe memfd pidfd dir device dir " "$w: kinds"
        is "$(fd "$null" "['device']") $(fd "$null" "['flags'] == ['cloexec', 'nonblock']")" "1:3 True" "$w: a device and its flags"
        is "$(fd "$path" "['access']")" path "$w: O_PATH"
        guest flags
        is "$(fd "$ANSWER" "['flags'] == ['cloexec', 'append']") $(fd "$ANSWER" "['pos']") $(fd "$ANSWER" "['target']")" \
                "True 5 /tmp/file" "$w: flags, position and name of a file"
        guest hostile
        is "$(fd "$ANSWER" "['target']" | od -An -c | tr -d ' \n')" '/tmp/a\nb033[31m?"\\n' "$w: a hostile name in JSON"
        contains "$(sctl fds box)" '/tmp/a\nb\x1b[31m?"' "$w: … and in a table"
        guest share
        is "$(sctl fds box --json=short | json 'sorted([[t["pid"] == 1, len(t["shared_with"])] for t in d])')" \
                '[[false, 0], [true, 1]]' "$w: a shared table once, and that of a thread"
        is "$(sctl fds box --json=short | json '[t["nofile_soft"] > 0 and t["nofile_hard"] >= t["nofile_soft"] for t in d]')" \
                '[true, true]' "$w: with their limits"
        is "$(sctl fds box "$(sctl fds box --json=short | json 'd[0]["shared_with"][0]')" --json=short | json 'd[0]["pid"]')" 1 \
                "$w: the table of one process, also by another who shares it"
        status_is 1 "$w: of a process that is not there" sctl fds box 4711
        contains "$(sctl fds box 4711 2>&1)" 'no process 4711' "$w: … with what is wrong"
        is "$(sctl fds box 4711 --json=short 2>/dev/null)" '' "$w: … and no JSON"
        status_is 2 "$w: of what is no number" sctl fds box one
        is "$(sctl fds box --json=pretty | json 'len(d)')" 2 "$w: pretty JSON is the same"

        guest flight 5000
        check "$w: descriptors on their way do no harm" sctl fds box --json=short
        is "$(sctl fds box --json=short | json 'sum(f["target"] == "/etc/passwd" for t in d for f in t["fds"])')" 0 "$w: … and are in no table"
        check "$w: … nor to the sockets that hold them" sctl sockets box
        end_box
}

end_box() {
        exec 9>&-
        reaped "$RUN"
        is "$RC" 0 "$WHO: the program ends" || diag "$(cat "$TESTDIR/err")"
}

sockets() {
        local w=$WHO state
        start box
        guest sockets
        is "$(socks '[[s["state"], s["recv_queue"], s["send_queue"], s["peer"]] for s in d if s["local"] == "127.0.0.1:11001" and s["state"] == "listen"]')" \
                '[["listen", 0, 7, null]]' "$w: a listening socket"
        is "$(socks '[s["recv_queue"] for s in d if s["peer"] == "127.0.0.1:11001"]')" '[6]' "$w: bytes that wait"
        is "$(socks 'sorted(s["state"] for s in d if s["local"] == "127.0.0.1:11002" or s["peer"] == "127.0.0.1:11002")')" \
                '["close-wait", "fin-wait-2", "listen"]' "$w: a connection that one side has closed"
        is "$(socks '[[s["inode"], s["holders"]] for s in d if s["state"] == "time-wait"]')" '[[0, []]]' "$w: one that both have"
        is "$(socks '[[s["family"], s["type"], s["state"]] for s in d if s["local"] == "[::1]:11004"]')" \
                '[["inet6", "dgram", "unconnected"]]' "$w: UDP over IPv6"
        is "$(socks '[[s["protocol"], s["state"], s["peer"]] for s in d if s["local"] == "127.0.0.1:11005"]')" \
                '[["udp", "established", "127.0.0.1:11006"]]' "$w: connected UDP"
        is "$(socks '[[s["protocol"], s["holders"][0]["pid"]] for s in d if s["family"] == "netlink"]')" '[["netlink", 1]]' "$w: netlink, the sandbox's own alone"
        is "$(socks '[[s["local"], s["abstract"], s["state"]] for s in d if s.get("abstract")]')" \
                '[["@abs\u001b\ntract", true, "listen"]]' "$w: an abstract UNIX socket"
        contains "$(sctl sockets box)" '@abs\x1b\ntract' "$w: … whose name does no harm to a terminal"
        is "$(socks '[[s["type"], s["peer"]] for s in d if s["peer"] == "/tmp/path"]')" '[["dgram", "/tmp/path"]]' "$w: a UNIX socket connected to a path"
        is "$(socks '[[s["inode"], s["peer_inode"]] for s in d if s["type"] == "seqpacket"]' | json '[len(d), d[0] == d[1][::-1]]')" \
                '[2, true]' "$w: a pair of UNIX sockets, each the other's peer"
        is "$(socks '[[s["protocol"], s["state"], len(s["holders"])] for s in d if s["family"] == "inet" and not s["local"]]')" \
                '[["tcp", "unconnected", 1]]' "$w: a socket that was never bound"
        guest closing
        for state in fin-wait-1 last-ack syn-sent; do
                isnt "$(socks "len([s for s in d if s['state'] == '$state'])")" 0 "$w: $state"
        done
        is "$(sctl fds box --json=short | json 'sorted(set(f["object"]["state"] for f in d[0]["fds"] if f["kind"] == "socket"))')" \
                '["close-wait", "established", "fin-wait-1", "fin-wait-2", "last-ack", "listen", "syn-sent", "unconnected"]' "$w: their states are with the descriptors, too"
        end_box
}

mounts() {
        local w=$WHO host_pid changer bad=0 i
        start box --tmpfs /mnt
        is "$(sctl mounts box --json=short | json '[[m["fstype"], m["options"].split(",")[0]] for m in d if m["target"] == "/mnt"]')" \
                '[["tmpfs", "rw"]]' "$w: a mount"
        like "$(sctl mounts box)" $'\n\\|-/proc ' "$w: … in a tree"
        is "$(sctl mounts box 1 --json=short | json 'len(d) > 3 and len([m for m in d if m["parent"] not in {n["id"] for n in d}])')" 1 \
                "$w: of a process; all but the root have a parent"
        host_pid=$(sctl ps box --json=short | json 'd[0]["hostpid"]')
        # Mounts that come and go, with mounts below them, by somebody from outside.
        cat >"$TESTDIR/changer.py" <<'PY'
import ctypes, os, sys, time
libc = ctypes.CDLL(None, use_errno=True)
def go(kind, flag):
    end = time.monotonic() + 30
    while True: # a process that has not exec'ed in its sandbox yet is out of reach
        try: fd = os.open("/proc/%s/ns/%s" % (sys.argv[1], kind), os.O_RDONLY); break
        except PermissionError:
            if time.monotonic() > end: raise
            time.sleep(0.05)
    if libc.setns(fd, flag) != 0: sys.exit("setns: " + os.strerror(ctypes.get_errno()))
go("user", 0x10000000); go("mnt", 0x20000)
def mount(where):
    os.makedirs(where, exist_ok=True)
    if libc.mount(b"x", where.encode(), b"tmpfs", 0, None) != 0: sys.exit("mount: " + os.strerror(ctypes.get_errno()))
print("up", os.getpid(), flush=True)
while True:
    for i in range(60): mount("/mnt/%d" % i); mount("/mnt/%d/below" % i)
    for i in range(60): libc.umount2(b"/mnt/%d" % i, 2)
PY
        mine "$TESTDIR/changer.py"
        rm -f "$TESTDIR/changer" # the one before wrote its own number there
        if [ "$w" = user ]; then
                as_user /usr/bin/python3 "$TESTDIR/changer.py" "$host_pid" >"$TESTDIR/changer" 2>&1 9>&- &
        else
                /usr/bin/python3 "$TESTDIR/changer.py" "$host_pid" >"$TESTDIR/changer" 2>&1 9>&- &
        fi
        await 40 grep -q up "$TESTDIR/changer" || diag "$(cat "$TESTDIR/changer")"
        changer=$(sed -n 's/^up //p' "$TESTDIR/changer")
        started "$changer"
        for ((i = 0; i < 6; i++)); do
                sctl -q mounts box --json=short | json '(len({m["id"] for m in d}) == len(d) and
                        len([m for m in d if m["parent"] not in {n["id"] for n in d}]) == 1)' | grep -qx True || bad=$((bad + 1))
        done
        check "$w: the mounts did change meanwhile" kill -0 "$changer"
        is "$bad" 0 "$w: each list of mounts that change is one tree" || diag "$(cat "$TESTDIR/changer")"
        end_process "$changer"
        end_box
}

namespaces() {
        local w=$WHO
        start box
        is "$(sctl namespaces box --json=short | json 'sorted(n["type"] for n in d if n["pid"] == 1 and n["processes"] == 1)')" \
                '["cgroup", "ipc", "mnt", "net", "pid", "time", "user", "uts"]' "$w: a namespace of each kind"
        is "$(sctl namespaces box --json=short | json '[[n["hostname"], n["domainname"]] for n in d if n["type"] == "uts"]')" \
                '[["sandbox", "(none)"]]' "$w: the names of the UTS namespace"
        is "$(sctl namespaces box --json=short | json '(lambda u: [n["owner"] == u for n in d if n["type"] in ("net", "ipc", "mnt", "uts", "pid")])([n["inode"] for n in d if n["type"] == "user"][0])')" \
                '[true, true, true, true, true]' "$w: their owner is the user namespace"
        guest rename
        contains "$(sctl namespaces box)" 'hostname=a\nb' "$w: a hostile name in a table"
        end_box
}

credentials() {
        local w=$WHO
        start box
        guest task
        is "$(sctl ps box --json=short | json '(lambda x: [x["Root"], x["Cwd"], x["Umask"], x["NoNewPrivs"], x["CapEffective"], len(x["GroupList"]) == x["Groups"]])(d[0]["details"])')" \
                '["/", "/usr", 23, true, [], true]' "$w: root, working directory, umask and capabilities of a task"
        like "$(sctl ps --credentials box)" $'\n +1 +'"$(sctl ps box --json=short | json 'd[0]["uid"]') .* none +none .* yes +.* 0027 +python3" \
                "$w: ps --credentials"
        is "$(sctl ps box --json=short | json 'd[0]["details"].get("Dumpable")')" "$([ "$w" = root ] && echo null || echo True)" \
                "$w: whether it is dumpable, where that can be told"
        guest undumpable
        is "$(sctl ps box --json=short | json 'd[0]["details"].get("Dumpable")')" "$([ "$w" = root ] && echo null || echo False)" \
                "$w: … and when it is not"
        status_is 2 "$w: a tree of credentials is too much" sctl ps --tree --credentials box
        end_box
}

objects() {
        local w=$WHO
        start box
        guest ipc
        is "$(sctl ipc box --json=short | json '[[o["kind"], o["key"], o["mode"], o.get("bytes"), o.get("count")] for o in d]')" \
                '[["shm", "0x00001234", "0600", 8192, 0], ["msg", "0x00000099", "0640", 5, 1], ["sem", "0x00000077", "0600", null, 3], ["mqueue", "/queue", "0600", 3, 1]]' \
                "$w: shared memory, queues and semaphores"
        is "$(sctl ipc box --json=short | json '[d[3]["max_messages"], d[3]["max_bytes"]]')" '[4, 100]' "$w: … and what a POSIX queue holds"
        is "$(sctl ipc box --json=short | json '[d[0]["creator"], d[1]["last_sender"], d[1]["last_receiver"]]')" '[1, 1, 0]' \
                "$w: processes by their numbers inside"
        like "$(sctl ipc box)" '^KIND .*shm .*mqueue' "$w: as a table"
        end_box
}

crowds() {
        local w=$WHO i n bad=0 readers=()
        start box
        guest churn
        for ((i = 0; i < 20; i++)); do
                sctl fds box --json=short | json 'len(d) > 0' >/dev/null 2>&1 || bad=$((bad + 1))
                sctl sockets box --json=short >/dev/null || bad=$((bad + 1))
        done
        is "$bad" 0 "$w: tasks that die while they are listed"
        end_box

        start box
        guest many 30000
        n=$ANSWER
        is "$(sctl fds box --json=short | json "sum(f['target'] == '/dev/null' for f in d[0]['fds']) >= $n")" True "$w: $n descriptors"
        # Nobody reads: the lists wait, and the sandbox does not.
        for ((i = 0; i < 8; i++)); do
                mkfifo "$TESTDIR/slow$i"
                sctl_unbounded fds box --json=short >"$TESTDIR/slow$i" 2>/dev/null 9>&- &
                readers+=($!)
                started $!
                exec {n}<"$TESTDIR/slow$i"
                fds+=("$n")
                read -r -N 1 -t 20 -u "$n" _ # it has begun
        done
        check_fails "$w: no more than eight lists at a time" sctl sockets box
        contains "$(sctl fds box 2>&1)" '8 lists' "$w: … with what is wrong"
        guest task
        ok "$w: the sandbox runs on"
        for i in "${!readers[@]}"; do
                end_process "${readers[$i]}"
                n=${fds[$i]}
                exec {n}<&-
                rm "$TESTDIR/slow$i"
        done
        fds=()
        check "$w: when they are gone there are lists again" await 20 sctl fds box --json=short
        end_box
}
fds=()

each_user kinds
each_user sockets
each_user mounts
each_user namespaces
each_user credentials
each_user objects
each_user crowds
status_is 1 "a sandbox that is not there" sctl sockets no-such-sandbox
done_testing
