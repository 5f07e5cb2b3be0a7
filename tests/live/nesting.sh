#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# Namespaces that programs make inside: refused with an event, or, where the profile lets them nest, made by the host up
# to a limit, listed, kept by a descriptor alone, with host names of their own, and within the reach of pause and kill.

. "${srcdir:-.}/tests/lib/tap.sh"

cat >"$TESTDIR/guest.py" <<'PY'
import ctypes, errno, os, signal, sys, time
libc = ctypes.CDLL(None, use_errno=True)
USER, PID, UTS, NET = 0x10000000, 0x20000000, 0x04000000, 0x40000000
kept = []

def unshare(flags):
    return 0 if libc.unshare(flags) == 0 else ctypes.get_errno()

def child(flags, then=lambda: None):  # in namespaces of its own, until it is killed: its pid, or what was wrong
    r, w = os.pipe()
    pid = os.fork()
    if pid == 0:
        result = unshare(flags)
        if result == 0: then()
        os.write(w, bytes([result]))
        while True: signal.pause()
    result = os.read(r, 1)[0]
    os.close(r); os.close(w)
    kept.append(pid)
    return pid, result

def end(pid):
    os.kill(pid, 9); os.waitpid(pid, 0); kept.remove(pid)

def limit():  # how many user namespaces there can be, and how it ends
    n = 0
    while n < 20:
        result = child(USER)[1]
        if result != 0: break
        n += 1
    for pid in list(kept): end(pid)
    return "%d %s" % (n, errno.errorcode.get(result))

def names():
    def rename(): libc.sethostname(b"inner", 5)
    child(USER | UTS, rename)
    child(USER | UTS)
    return os.uname().nodename

def hold():  # a network namespace that nobody is in
    pid, result = child(USER | NET)
    if result != 0: return errno.errorcode[result]
    user, net = (os.open("/proc/%d/ns/%s" % (pid, kind), os.O_RDONLY) for kind in ("user", "net"))
    end(pid)
    global held
    held = (user, net)
    return "%d %d" % (net, os.fstat(net).st_ino)

def join():  # by a child, and by a stale descriptor
    pid = os.fork()
    if pid == 0:
        ok = libc.setns(held[0], 0) == 0 and libc.setns(held[1], NET) == 0
        os._exit(0 if ok and os.stat("/proc/self/ns/net").st_ino == os.fstat(held[1]).st_ino else 1)
    status = os.waitpid(pid, 0)[1]
    os.close(held[1])
    stale = libc.setns(held[1], 0), ctypes.get_errno()
    os.close(held[0])
    return "%d %d %s" % (status, stale[0], errno.errorcode[stale[1]])

def pids():  # calls that name tasks, in a PID namespace inside
    r, w = os.pipe()
    pid = os.fork()
    if pid == 0:
        unshare(USER | PID)
        inner = os.fork()
        if inner != 0: os.waitpid(inner, 0); os._exit(0)
        answer = [str(os.getpid())]
        for who in (1, os.getpid(), 2):
            try: answer.append("yes" if os.sched_getaffinity(who) else "no")
            except OSError as e: answer.append(errno.errorcode[e.errno])
        os.write(w, " ".join(answer).encode())
        os._exit(0)
    os.waitpid(pid, 0)
    return os.read(r, 100).decode()

def mount():
    pid = os.fork()
    if pid == 0:
        unshare(USER | 0x20000)
        r = libc.mount(b"x", b"/tmp", b"tmpfs", 0, None)
        os._exit(ctypes.get_errno() if r != 0 else 0)
    return errno.errorcode.get(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))

def live():  # a process in a PID namespace inside that counts
    pid = os.fork()
    if pid == 0:
        unshare(USER | PID)
        if os.fork() != 0:
            while True: signal.pause()
        f = os.open("/tmp/count", os.O_CREAT | os.O_RDWR)
        n = 0
        while True:
            n += 1
            os.pwrite(f, b"%20d" % n, 0)
            time.sleep(0.001)
    return ""

def count():
    return open("/tmp/count").read().strip()

print("up", flush=True)
for line in sys.stdin:
    function, *arguments = line.split()
    print("=", globals()[function](*arguments), flush=True)
os._exit(0)
PY
chmod 644 "$TESTDIR/guest.py"

more() { [ "$(wc -l <"$TESTDIR/out")" -gt "$1" ]; }
guest() { # FUNCTION ARGUMENT…: the guest has done it; ANSWER is what it says
        local n
        n=$(wc -l <"$TESTDIR/out")
        echo "$*" >&9
        await 60 more "$n" || diag "the guest does not answer: $*" "$(cat "$TESTDIR/err")"
        ANSWER=$(tail -n 1 "$TESTDIR/out")
        ANSWER=${ANSWER#= }
}
held() { sctl namespaces box --json=short | json "[[n['pid'], n['held_by_fd'], n['processes']] for n in d if n['inode'] == $1]"; }
nobody_holds() { [ "$(held "$1")" = '[]' ]; }
more_room() { guest hold; [[ $ANSWER == *\ * ]]; }
went_on() { guest count; [ "$ANSWER" -gt "$1" ]; }

nesting() {
        local w=$WHO run fd inode pids count

        check_fails "$w: a profile lets no namespaces nest by itself" sctl run --name plain unshare --user true
        mkdir -p "$WORK/.config/sentryd/profiles"
        echo '{ "sentry": { "extends": "default", "nestedNamespaces": 4 } }' >"$WORK/.config/sentryd/profiles/nest.json"
        echo '{ "sentry": { "extends": "default", "nestedNamespaces": 4, "pid": "host" } }' >"$WORK/.config/sentryd/profiles/both.json"
        mine "$WORK/.config"
        contains "$(sctl run --profile=both true 2>&1)" "sentry.nestedNamespaces" "$w: not with the host's process ids"

        rm -f "$TESTDIR/in" "$TESTDIR/out"
        mkfifo "$TESTDIR/in"
        T=600 sctl run --profile=nest --name box --ro-bind "$TESTDIR/guest.py" /usr/bin/python3 "$TESTDIR/guest.py" \
                <"$TESTDIR/in" >"$TESTDIR/out" 2>"$TESTDIR/err" &
        run=$!
        started "$run"
        exec 9>"$TESTDIR/in"
        await 20 grep -q up "$TESTDIR/out" || diag "$(cat "$TESTDIR/err")"

        guest limit
        is "$ANSWER" "4 ENOSPC" "$w: as many user namespaces as the profile says"
        guest mount
        is "$ANSWER" EPERM "$w: no mounts in them"
        guest pids
        is "$ANSWER" "1 yes yes ESRCH" "$w: calls that name tasks mean those of the caller's PID namespace"

        # The kernel takes its time to count those off that are gone.
        await 20 more_room
        contains "$ANSWER" ' ' "$w: there is room again when they have ended"
        read -r fd inode <<<"$ANSWER"
        is "$(held "$inode")" "[[1, $fd, 0]]" "$w: a namespace that a descriptor alone keeps"
        like "$(sctl namespaces box)" $'\n'"$inode net +0 1:fd$fd " "$w: … in the table"
        guest join
        is "$ANSWER" "0 -1 EBADF" "$w: it can be joined by it, and not by a stale one"
        check "$w: it goes with the descriptor" nobody_holds "$inode"

        guest names
        is "$(sctl namespaces box --json=short | json 'sorted(n["hostname"] for n in d if n["type"] == "uts")')" \
                '["inner", "sandbox", "sandbox"]' "$w: host names of their own, inherited where they are made"
        is "$ANSWER" sandbox "$w: … that change no other"
        is "$(sctl namespaces box --json=short | json '(lambda own: len([n for n in d if n["type"] == "user" and n["parent"] == own]))([n["inode"] for n in d if n["type"] == "user" and n["pid"] == 1][0])')" \
                2 "$w: user namespaces have parents"

        guest live
        check "$w: a process in a PID namespace inside" await 20 went_on 0
        pids=$(sctl ps box --json=short | json '" ".join(str(t["hostpid"]) for t in d)')
        sctl pause box
        is "$(sctl ps box --json=short | json '[t["state"] in "TtDS" for t in d].count(False)')" 0 "$w: a pause stops it, too"
        sctl resume box
        guest count
        count=$ANSWER
        check "$w: and it goes on" await 20 went_on "$count"
        sctl kill --wait box
        exec 9>&-
        # shellcheck disable=SC2086 # several
        check "$w: nobody outlives the sandbox" await 20 gone $pids
        reaped "$run"
        is "$RC" 137 "$w: which was killed"
}

each_user nesting
done_testing
