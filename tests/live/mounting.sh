#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# Programs that mount (sentry.mounts): they get what the profile allows, and nothing that the launcher mounted or hid can be
# taken off, made writable, copied bare or looked beneath. Racers try; $SENTRYD_RACE_SECONDS: how long (2 seconds each time).

. "${srcdir:-.}/tests/lib/tap.sh"

seconds=${SENTRYD_RACE_SECONDS:-2}

cat >"$TESTDIR/guest.py" <<'PY'
import ctypes, errno, os, signal, sys, threading, time
libc = ctypes.CDLL(None, use_errno=True)
RDONLY, REMOUNT, BIND, MOVE, REC, SHARED, DETACH = 1, 32, 4096, 8192, 16384, 1 << 20, 2

mountinfo = open("/proc/self/mountinfo") # a mount may lie over /proc later

def name(r):
    return "OK" if r == 0 else errno.errorcode[ctypes.get_errno()]
def mount(source, target, kind=None, flags=0, data=None):
    encode = lambda s: None if s is None else s.encode()
    return name(libc.mount(encode(source), encode(target), encode(kind), ctypes.c_ulong(flags), encode(data)))
def umount(target, flags=0):
    return name(libc.umount2(target.encode(), flags))
def table(what=lambda fields: fields):
    mountinfo.seek(0)
    return [what(line.split()) for line in mountinfo.readlines()]
def points():
    return [p.encode().decode("unicode_escape") for p in table(lambda f: f[4])]
def tally(answers):
    return " ".join(sorted(set(answers)))
os.mkdir("/tmp/a"); os.mkdir("/tmp/b")
before = table()
def launcher(p):  # it was mounted for us: others, of the host's, go when their places do out there
    return p == "/" or p.split("/")[1] in ("proc", "dev", "tmp", "run") and not p.startswith(("/tmp/", "/run/")) or p == "/var/tmp"
mine = [p for p in points() if launcher(p)]
def new():
    return [fields for fields in table() if fields not in before]
def same():
    now = table()
    return not new() and all(fields in now for fields in before if launcher(fields[4]))

def unmount():  # whatever the launcher mounted
    return tally([umount(p, flags) for p in mine for flags in (0, DETACH, 1, 4)] ), same()

def move():
    return tally(mount(p, "/tmp/b", flags=MOVE) for p in mine if not p.startswith("/tmp")), same()

def writable():  # read-only ones
    ro = [f[4] for f in before if "ro" in f[5].split(",")]
    for p in ro:
        for flags in (REMOUNT | BIND, REMOUNT): mount(None, p, flags=flags)
    return len(ro) > 3, mount(None, "/", flags=REMOUNT | BIND), same()

def bare():  # without what lies on it
    return tally(mount(p, "/tmp/a", flags=BIND) for p in ("/", "/proc", "/dev")),

def copies():  # all of it, and then take off what lies on it there
    answers = [mount("/", "/tmp/a", flags=BIND | REC)]
    below = ["/tmp/a" + p for p in mine if p != "/" and not p.startswith("/tmp")]
    off = tally(umount(p, flags) for p in below for flags in (0, DETACH))
    ro = tally(mount(None, p, flags=REMOUNT | BIND) for p in ["/tmp/a"] + [b for b in below if b.startswith("/tmp/a/proc/")])
    return answers[0], len(below) > 5, off, ro, umount("/tmp/a"), umount("/tmp/a", DETACH), same()

def procfs():
    first = mount("p", "/tmp/a", "proc")
    hidden = [p for p in mine if p.startswith("/proc/")]
    same = all(os.path.samefile("/tmp/a" + p[5:], p) for p in hidden)
    off = tally(umount("/tmp/a" + p[5:], DETACH) for p in hidden)
    return first, os.readlink("/tmp/a/self") == str(os.getpid()), len(hidden) > 3, same, off, \
        mount("p", "/tmp/a", "proc", 0, "hidepid=0"), umount("/tmp/a", DETACH)

def cover():  # and uncover
    hidden = [p for p in mine if p.startswith("/proc/")]
    files, folders = [p for p in hidden if not os.path.isdir(p)], [p for p in hidden if os.path.isdir(p)]
    open("/tmp/f", "w").close()
    over = [mount("/tmp/f", p, flags=BIND) for p in files] + [mount("t", p, "tmpfs") for p in folders]
    return tally(over), tally(umount(p) for p in hidden), tally(umount(p, DETACH) for p in hidden), same()

def overlays():
    for d in ("upper", "work", "lower"): os.makedirs("/tmp/" + d, exist_ok=True)
    options = ",upperdir=/tmp/upper,workdir=/tmp/work"
    return tally(mount("o", "/tmp/a", "overlay", 0, "lowerdir=" + lower + more) for more in (options, ":/tmp/lower")
                 for lower in ("/", "/proc", "/proc/sys", "/dev", "/tmp/lower:/proc", "/tmp/lower:/")), same()

def options():  # of file systems that the launcher mounted, through the mount or a bind of it
    bound = mount("/var/tmp", "/tmp/b", flags=BIND)
    result = [mount(None, p, flags=REMOUNT, data=o) for p, o in
              (("/var/tmp", "size=10g"), ("/tmp/b", "size=10g"), ("/proc", "hidepid=0"), ("/dev", "mode=777"))]
    return bound, tally(result), umount("/tmp/b"), same()

def kinds():
    return tally(mount("x", "/tmp/a", k) for k in
                 ("ext4", "sysfs", "ramfs", "cgroup2", "devpts", "mqueue", "fuse", "bpf", "debugfs", "nothing", "binfmt_misc",
                  "devtmpfs", "nfs", "")), mount(None, "/tmp", flags=SHARED), same()

def strict():  # nosuid and nodev are not for the mounter to choose
    result = [mount("t", "/tmp/a", "tmpfs", 0, "size=100g,nr_inodes=0")]
    result.append(mount(None, "/tmp/a", flags=REMOUNT | BIND))
    fields = table()[-1]
    fs = os.statvfs("/tmp/a")
    size = fs.f_frsize * fs.f_blocks >> 20, 0 < fs.f_files <= 1 << 20
    return *result, *sorted(set(fields[5].split(",")) & {"nosuid", "nodev"}), *size, umount("/tmp/a")

def links():  # out of nowhere
    os.symlink("/proc/1/root/../../../..", "/tmp/up"); os.symlink("/proc/1/cwd/../../../../..", "/tmp/cwd")
    fd = os.open("/tmp/a", os.O_PATH)
    answers = [mount("t", p, "tmpfs") for p in
               ("/tmp/up/tmp/a", "/tmp/cwd/tmp/a", "/../../../tmp/a", "/proc/self/root/tmp/a", "/proc/self/fd/%d" % fd,
                "/proc/thread-self/cwd/../../../../tmp/a")]
    n = len([p for p in points() if p == "/tmp/a"])
    os.close(fd)
    return tally(answers), n, tally(umount("/tmp/a") for _ in answers), same()

def modern():
    return tally(name(libc.syscall(n, -1, 0, 0, 0, 0)) for n in (428, 429, 430, 431, 432, 433, 442)), \
        name(libc.syscall(155, b"/tmp/a", b"/tmp/a") if os.uname().machine == "x86_64" else -1), name(libc.chroot(b"/tmp/a"))

def race(seconds):  # all strings change while they are looked at
    target, kind, data = (ctypes.create_string_buffer(64) for _ in range(3))
    values = ((b"/tmp/a", b"/proc", b"/etc", b"/tmp/b"), (b"tmpfs", b"ramfs", b"sysfs"), (b"size=1m", b"size=9g"))
    stop, n, bad = [], 0, set()
    def rewrite():
        i = 0
        while not stop:
            i += 1
            for buffer, choice in zip((target, kind, data), values):
                ctypes.memmove(buffer, choice[i % len(choice)] + b"\0", len(choice[i % len(choice)]) + 1)
    thread = threading.Thread(target=rewrite); thread.start()
    end = time.monotonic() + float(seconds)
    while time.monotonic() < end:
        if libc.mount(b"x", target, kind, ctypes.c_ulong(0), data) == 0: n += 1
        made = new()
        for fields in made:
            kinds, flags = fields[fields.index("-") + 1:], fields[5].split(",")
            sizes = [o for o in kinds[2].split(",") if o.startswith("size=")]
            if fields[4].encode() not in values[0] or kinds[0] != "tmpfs" or not {"nosuid", "nodev"} <= set(flags) or \
               sizes not in (["size=1024k"], ["size=262144k"]): bad.add(" ".join(fields))
        for fields in reversed(made): umount(fields[4], DETACH)
    stop.append(1); thread.join()
    return n > 0, sorted(bad), same()

def relink(seconds):  # the places that paths lead to change while they are followed
    os.mkdir("/tmp/r"); os.symlink("/tmp/b", "/tmp/r/link")
    places = ("/tmp/b", "/proc", "/dev", "/", "/proc/sys", "/proc/1/root", "/proc/self/cwd", "../r/link", "/proc/self/fd")
    stop, n, bad = [], 0, set()
    def rewrite():
        i = 0
        while not stop:
            i += 1
            os.symlink(places[i % len(places)], "/tmp/r/new"); os.rename("/tmp/r/new", "/tmp/r/link")
    def shows(path):
        try: open(path).close(); return True
        except OSError: return False
    if any(shows(p + "/kcore") for p in ("/proc", "/proc/1/root/proc")): bad.add("kcore is there anyway")
    thread = threading.Thread(target=rewrite); thread.start()
    end = time.monotonic() + float(seconds)
    while time.monotonic() < end:
        for flags in (BIND, BIND | REC):
            if mount("/tmp/r/link", "/tmp/a", flags=flags) != "OK": continue
            n += 1
            bad.update(p for p in ("/tmp/a/kcore", "/tmp/a/proc/kcore") if shows(p))
            if flags == BIND: bad.update(" ".join(f) for f in new() if f[f.index("-") + 1] in ("proc", "sysfs"))
            umount("/tmp/a", DETACH)
        umount("/tmp/r/link", DETACH); umount("/tmp/r/link/kcore"); umount("/tmp/r/link/sys/kernel/hostname", DETACH)
        mount(None, "/tmp/r/link", flags=REMOUNT | BIND); mount("/tmp/r/link", "/tmp/b", flags=MOVE)
        if mount("t", "/tmp/r/link", "tmpfs") == "OK":
            for f in new(): umount(f[4].encode().decode("unicode_escape"), DETACH)
    stop.append(1); thread.join()
    while new():
        for f in reversed(new()): umount(f[4].encode().decode("unicode_escape"), DETACH)
    return n > 0, sorted(bad), same()

def flood():
    seen = {}
    for i in range(10000):
        r = mount("none", "/tmp/a", "tmpfs"); seen[r] = seen.get(r, 0) + 1
    n, lost = len(new()), len([fields for fields in before if fields not in table()])
    tree = mount("/", "/tmp/b", flags=BIND | REC)
    return sorted(seen), n == seen["OK"] and 64 <= n <= 64 + lost, tree, tally(umount("/tmp/a") for _ in range(n)), same()

def pauses(seconds):  # paused and resumed from outside meanwhile
    end, wrong = time.monotonic() + float(seconds), 0
    while time.monotonic() < end:
        wrong += mount("t", "/tmp/a", "tmpfs") != "OK"
        wrong += umount("/tmp/a") != "OK"
    return wrong, same()

def dying():  # tasks killed in the middle
    for i in range(100):
        pid = os.fork()
        if pid == 0:
            while True: mount("t", "/tmp/a", "tmpfs"); umount("/tmp/a")
        time.sleep(0.002); os.kill(pid, 9); os.waitpid(pid, 0)
    while umount("/tmp/a") == "OK": pass
    return mount("t", "/tmp/a", "tmpfs"), umount("/tmp/a"), same()

def nested():  # in namespaces that were made inside
    pid = os.fork()
    if pid == 0:
        if libc.unshare(0x10000000 | 0x20000) != 0: os._exit(99)
        own = table()
        off = tally([umount(p, f) for p in mine for f in (0, DETACH)])
        print("=", off, mount("t", "/tmp/a", "tmpfs"), umount("/tmp/a"), mount("/proc", "/tmp/a", flags=BIND),
              mount("p", "/tmp/a", "proc"), len(table()) == len(own), flush=True)
        os._exit(0)
    os.waitpid(pid, 0)
    return ()

answer = globals()[sys.argv[1]](*sys.argv[2:])
if answer: print("=", *answer)
PY
chmod 644 "$TESTDIR/guest.py"

guest() { # FUNCTION ARGUMENT…
        T=${T:-120} sctl run --profile="$PROFILE" --name mounting --ro-bind "$TESTDIR/guest.py" /usr/bin/python3 \
                "$TESTDIR/guest.py" "$@" 2>&1
}
memory() { # of the sentry-kernel, in KiB
        local pid
        for pid in $(daemons_of "$(runtime)" sentry-kernel); do
                sed -n 's/^VmRSS:[^0-9]*\([0-9]*\).*/\1/p' "/proc/$pid/status"
        done | sort -n | tail -n 1
}
mounting_runs() { running mounting; }

mounting() {
        local w=$WHO run rss race profiles=$WORK/.config/sentryd/profiles

        mkdir -p "$profiles"
        # Copies of all that there is may be many: what others mount on this machine, as far as it is seen inside, is among it.
        echo '{ "sentry": { "extends": "default", "mounts": { "types": ["tmpfs", "bind", "proc", "overlay"], "max": 4096 } } }' \
                >"$profiles/mounter.json"
        echo '{ "sentry": { "extends": "default", "mounts": "emulated" } }' >"$profiles/mounter-64.json"
        echo '{ "sentry": { "extends": "mounter", "pid": "host" } }' >"$profiles/mounter-host.json"
        echo '{ "sentry": { "extends": "mounter", "nestedNamespaces": 3 } }' >"$profiles/mounter-nest.json"
        echo '{ "sentry": { "extends": "mounter", "landlock": "full" } }' >"$profiles/mounter-landlock.json"
        echo '{ "sentry": { "extends": "mounter", "emulatedCapabilities": [] } }' >"$profiles/mounter-weak.json"
        echo '{ "sentry": { "extends": "default", "mounts": { "types": ["bind"], "max": 2, "tmpfsSize": 1 } } }' \
                >"$profiles/mounter-some.json"
        mine "$WORK/.config"

        for PROFILE in mounter mounter-host mounter-landlock; do
                w="$WHO, $PROFILE"
                is "$(guest unmount)" "= EINVAL True" "$w: nothing that the launcher mounted is unmounted"
                like "$(guest move)" '^= [A-Z ]+ True$' "$w: … or moved"
                is "$(guest writable)" "= True EPERM True" "$w: … or made writable"
                is "$(guest bare)" "= EINVAL" "$w: … or bound without what lies on it"
                is "$(guest copies)" "= OK True EINVAL EPERM EBUSY OK True" "$w: a bind of everything is as strict"
                is "$(guest options)" "= OK EPERM OK True" "$w: file systems of the launcher keep their options"
                is "$(guest cover)" "= OK OK EINVAL True" "$w: what is laid over a mask comes off, the mask does not"
        done
        PROFILE=mounter w=$WHO
        is "$(guest procfs)" "= OK True True True EINVAL EPERM OK" "$w: another /proc hides what the first one does"
        is "$(guest overlays)" "= EINVAL True" "$w: no overlay looks beneath a mask"
        is "$(guest kinds)" "= EPERM EPERM True" "$w: other file systems are refused, and shared mounts"
        is "$(guest strict)" "= OK OK nodev nosuid 256 True OK" "$w: nosuid, nodev and the size of a tmpfs are forced"
        is "$(guest links)" "= OK 6 OK True" "$w: links and .. lead inside"
        is "$(guest modern)" "= ENOSYS EPERM EPERM" "$w: newer calls are not there, a new root is refused"
        T=$((seconds + 60)) race=$(guest race "$seconds")
        is "$race" "= True [] True" "$w: nothing is won by changing strings during the call"
        T=$((seconds + 60)) race=$(guest relink "$seconds")
        is "$race" "= True [] True" "$w: … nor by changing links"
        is "$(guest dying)" "= OK OK True" "$w: callers may die"
        check_fails "$w: no device can be made on a tmpfs" sctl run --profile=mounter sh -c \
                'mkdir /tmp/a && mount -t tmpfs t /tmp/a && mknod /tmp/a/null c 1 3'
        is "$(sctl run --profile=mounter sh -c 'mkdir /tmp/a && mount -t tmpfs -o size=1m t /tmp/a && echo x >/tmp/a/f &&
                mount --bind /tmp/a /var/tmp && mount -o remount,bind,ro /var/tmp && cat /var/tmp/f &&
                ! touch /var/tmp/g 2>/dev/null && umount /var/tmp && umount /tmp/a && echo done' 2>&1)" $'x\ndone' \
                "$w: mount(8) and umount(8) do as always"

        PROFILE=mounter-weak
        is "$(guest strict | cut -d ' ' -f 2)" EPERM "$w: it takes CAP_SYS_ADMIN among the emulated capabilities"
        PROFILE=mounter-some
        is "$(guest strict | cut -d ' ' -f 2)" EPERM "$w: a profile may allow some types only"
        like "$(guest copies)" '^= ENOSPC ' "$w: a bind of many mounts counts as so many"
        PROFILE=mounter-nest
        is "$(guest nested)" "= EINVAL OK OK EINVAL EPERM True" "$w: all that holds in namespaces made inside"

        # shellcheck disable=SC2034
        PROFILE=mounter-64
        T=300 guest flood >"$TESTDIR/flood" &
        run=$!
        started "$run"
        await 20 mounting_runs
        rss=$(memory)
        reaped "$run" 300
        is "$(cat "$TESTDIR/flood")" "= ['ENOSPC', 'OK'] True ENOSPC OK True" "$w: of 10,000 mounts as many are made as may be"
        guest pauses 6 >"$TESTDIR/pauses" &
        run=$!
        started "$run"
        await 20 mounting_runs
        check "$w: the sentry-kernel stays small" test "$(memory)" -lt $((rss + 4096))
        for _ in 1 2 3 4 5 6 7 8 9 10; do
                sctl pause mounting >/dev/null 2>"$TESTDIR/err" || break
                sctl resume mounting >/dev/null 2>"$TESTDIR/err" || break
        done
        is "$(cat "$TESTDIR/err")" '' "$w: it can be paused ten times meanwhile"
        reaped "$run" 60
        is "$(cat "$TESTDIR/pauses")" "= 0 True" "$w: … and no mount fails or is made twice by that"
}

each_user mounting
done_testing
