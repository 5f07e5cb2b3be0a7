#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# Ways out that are none.

. "${srcdir:-.}/tests/lib/tap.sh"

ways() {
        local w=$WHO d=$WORK/escape before
        mkdir -p "$d/inside" "$d/secret"
        echo secret >"$d/secret/file"
        ln -s "$d/secret" "$d/inside/link"
        ln -s /etc "$d/inside/etc"
        ln -s ../../../../../../../../etc "$d/inside/up"
        mine "$d"

        # Destinations of binds that are links: they must not lead the launcher to another place than they would
        # lead the program to.
        like "$(sctl run --bind "$d/inside:/mnt" --bind "$d/secret:/mnt/etc/escape" sh -c 'echo here; ls /etc/escape' 2>&1)" \
                'escape|No such|exist|symbolic|link' "$w: a bind's destination through a link is refused or stays inside"
        check_fails "$w: … and makes nothing in the host's /etc" test -e /etc/escape
        check_fails "$w: … nor in the bound directory's target" test -e "$d/secret/escape"
        sctl run --bind "$d/inside:/mnt" --tmpfs /mnt/up/escape2 true >/dev/null 2>&1
        check_fails "$w: a tmpfs through a link upwards makes nothing outside" test -e /etc/escape2
        sctl run --bind "$d/inside" --tmpfs "$d/inside/../../../../../../../../../../etc/escape3" true >/dev/null 2>&1
        check_fails "$w: … nor one through .." test -e /etc/escape3

        # A link made inside leads inside.
        is "$(sctl run --bind "$d/inside:/mnt" sh -c 'cat /mnt/link/file 2>/dev/null || echo none')" \
                "$(sctl run sh -c "cat '$d/secret/file' 2>/dev/null || echo none")" "$w: a link out of a bind leads to what the program sees anyway"
        like "$(sctl run sh -c 'cd /../../../.. && pwd -P; ls -d /../tmp')" '^/
/\.\./tmp$' "$w: the root's parent is the root"
        is "$(sctl run sh -c "ls -A /../../../tmp | wc -l")" 0 "$w: … and its /tmp the sandbox's"

        # /proc's magic links
        is "$(sctl run readlink /proc/1/root)" / "$w: /proc/1/root"
        is "$(sctl run sh -c 'ls -A /proc/1/root/tmp | wc -l')" 0 "$w: … is the sandbox's root"
        is "$(sctl run sh -c 'ls -A /proc/self/root/tmp /proc/self/cwd/../tmp | grep -v : | grep -c .')" 0 "$w: /proc/self/root too"
        before=$(sha256sum "$SENTRYCTL")
        check_fails "$w: the launcher's program can't be written to by /proc/self/exe" sctl run sh -c \
                'exec 3>/proc/self/exe'
        check_fails "$w: … nor by its parent's" sctl run sh -c 'for p in /proc/[0-9]*; do echo x >$p/exe && exit 0; done; exit 1'
        check_fails "$w: … nor by its name" sctl run sh -c "echo x >>'$SENTRYCTL'"
        # As with runc once: a script whose interpreter is /proc/self/exe makes the launcher execute itself.
        printf '#!/proc/self/exe\n' >"$d/inside/trap"
        chmod 755 "$d/inside/trap"
        mine "$d/inside/trap"
        sctl run --bind "$d/inside:/mnt" /mnt/trap >"$TESTDIR/out" 2>&1
        like $? '^(12[567]|[1-9])$' "$w: a script that is its own interpreter fails"
        is "$(sha256sum "$SENTRYCTL")" "$before" "$w: after all that sentryctl is what it was"

        # Ways that need a mount or another root
        check_fails "$w: chroot is refused, so that there is no way out of one" sctl run /usr/bin/python3 -c '
import os
os.mkdir("/tmp/x"); fd = os.open("/", os.O_RDONLY); os.chroot("/tmp/x"); os.fchdir(fd); os.chdir("../../../..")'
        # With the capability there is one, to the root of the sandbox.
        mkdir -p "$WORK/.config/sentryd/profiles"
        echo '{ "process": { "capabilities": ["CAP_SYS_CHROOT"] }, "sentry": { "extends": "default" } }' \
                >"$WORK/.config/sentryd/profiles/chroot.json"
        mine "$WORK/.config"
        is "$(sctl run --profile chroot /usr/bin/python3 -c '
import os, sys
os.mkdir("/tmp/x"); os.mkdir("/tmp/x/here")
root = os.stat("/"); fd = os.open("/", os.O_RDONLY)
os.chroot("/tmp/x")
print(os.listdir("/"))
for i in range(100): os.chdir("..")
print(os.listdir("/"))
os.fchdir(fd)
for i in range(100): os.chdir("..")
os.chroot(".")
out = os.stat("/")
print((out.st_dev, out.st_ino) == (root.st_dev, root.st_ino), os.path.exists("/tmp/x/here"), os.path.exists(sys.argv[1] + "/secret"))' "$d" 2>&1)" \
                "['here']"$'\n'"['here']"$'\n'"True True False" "$w: with CAP_SYS_CHROOT, the way out of one leads to the root of the sandbox"
        like "$(sctl run /usr/bin/python3 -c '
import ctypes, os
libc = ctypes.CDLL(None, use_errno=True); before = open("/proc/self/mounts").read(); seen = {}
for i in range(10000):
    r = libc.mount(b"none", b"/tmp", b"tmpfs", 0, None); e = ctypes.get_errno(); seen[r, e] = seen.get((r, e), 0) + 1
print(seen == {(-1, 1): 10000} and open("/proc/self/mounts").read() == before)')" True "$w: none of 10,000 mounts is made"

        # What the launcher holds
        is "$(sctl run sh -c 'ls -l /proc/self/fd' </dev/null | grep -E 'socket:|anon_inode|ns:|memfd|sentryctl|sentry-kernel')" '' \
                "$w: no descriptor of the launcher's is open inside"
        check_fails "$w: the launcher's socket can't be reached" sctl run sh -c "test -e '$(runtime)/sentryd/bus'"
        # shellcheck disable=SC2009
        is "$(sctl run sh -c 'ls /proc/*/exe >/dev/null; for p in /proc/[0-9]*; do readlink $p/exe; done | grep -c sentry')" 0 \
                "$w: no process of ours is inside"

        # Tracing and memory of others
        check_fails "$w: PID 1's environment does not tell of the daemon" sctl run sh -c \
                'tr "\0" "\n" </proc/1/environ | grep -v -e ^SENTRYD_BUILD= -e ^SENTRYD_TEST | grep -E "^(SENTRYD_|NOTIFY_SOCKET|LISTEN_)"'
        check_fails "$w: an abstract socket of the host's is out of reach" sctl run /usr/bin/python3 -c '
import socket
s = socket.socket(socket.AF_UNIX); s.connect("\0'"$ABSTRACT"'")'
        check_fails "$w: system V objects of the host are out of sight" sctl run sh -c 'ipcs -q | grep -q 0x'
}

# Every kind of mount: no .. and no link leads out of it, by whatever name it is called.
mounts() {
        local w=$WHO d=$WORK/mounts dir=$WORK/.config/sentryd/profiles
        mkdir -p "$d"/{inside,upper,work,secret} "$dir"
        echo secret >"$d/secret/file"
        ln -s "$d/secret" "$d/inside/out"
        ln -s ../../../../../../../../../../../"$d/secret" "$d/inside/up"
        cat >"$dir/kinds.json" <<JSON
{ "mounts": [ { "destination": "/proc", "type": "proc" }, { "destination": "/dev", "type": "dev" },
              { "destination": "/tmp", "type": "tmpfs" }, { "destination": "/var/tmp", "type": "tmpfs" },
              { "destination": "/run", "type": "tmpfs" }, { "destination": "/mnt", "type": "tmpfs" },
              { "destination": "/mnt/bind", "source": "$d/inside", "type": "bind", "options": ["rw"] },
              { "destination": "/mnt/tree", "source": "$d/inside", "type": "bind", "options": ["rbind", "ro"] },
              { "destination": "/mnt/proc", "type": "proc", "options": ["hidepid=2"] }, { "destination": "/mnt/sys", "type": "sysfs" },
              { "destination": "/mnt/queue", "type": "mqueue" }, { "destination": "/mnt/pts", "type": "devpts" },
              { "destination": "/mnt/kept", "type": "overlay",
                "options": ["lowerdir=$d/inside", "upperdir=$d/upper", "workdir=$d/work"] },
              { "destination": "/mnt/away", "type": "overlay", "options": ["lowerdir=$d/inside"] } ],
  "sentry": { "extends": "default", "network": "private" } }
JSON
        mine "$d" "$WORK/.config"
        # shellcheck disable=SC2016
        is "$(sctl run -p kinds /usr/bin/python3 -c '
import os, sys
secret, up, bad, tried, kinds = sys.argv[1], "/.." * 20, set(), 0, set()
root = os.stat("/")
def look(path):
    global tried
    tried += 1
    if os.path.exists(path + "/file"): bad.add(path)
for line in open("/proc/self/mountinfo").read().splitlines():
    fields = line.split()
    target, kind = fields[4].encode().decode("unicode_escape"), fields[fields.index("-") + 1]
    if not os.path.isdir(target): continue
    kinds.add(kind)
    look(target + up + secret); look(target + secret)
    try:
        if not os.path.samestat(os.stat(target + up), root): bad.add(target + ": another root")
        fd = os.open(target, os.O_RDONLY | os.O_DIRECTORY)
    except OSError: continue
    for base in ("/proc/self/fd/%d" % fd, "/dev/fd/%d" % fd, "/proc/thread-self/fd/%d" % fd, "/proc/1/root" + target):
        look(base + up + secret); look(base + secret)
    for name in ("out", "up"): look(target + "/" + name)
    for name, to in (("made", secret), ("made-up", up[1:] + secret), ("made-fd", "/proc/self/fd/%d%s%s" % (fd, up, secret))):
        try: os.symlink(to, target + "/" + name)
        except OSError: continue
        look(target + "/" + name); os.unlink(target + "/" + name)
    os.close(fd)
for path in ("/proc/1/cwd", "/proc/1/root", "/proc/self/task/%d/root" % os.getpid(), "/mnt/proc/1/root", "/mnt/proc/self/cwd"):
    look(path + up + secret); look(path + secret)
print(sorted(bad), tried > 100, sorted({"proc", "tmpfs", "sysfs", "mqueue", "devpts", "overlay"} - kinds))' "$d/secret" 2>&1)" \
                "[] True []" "$w: no mount of any kind is a way out"
        check "$w: … of what is there" test -f "$d/secret/file"
}

# An abstract socket of the host's that anyone may connect to
ABSTRACT=sentryd-test-$$
/usr/bin/python3 -c '
import socket, sys, time
s = socket.socket(socket.AF_UNIX); s.bind("\0" + sys.argv[1]); s.listen()
print("ready", flush=True); time.sleep(600)' "$ABSTRACT" >"$TESTDIR/abstract" &
started $!
await 10 grep -q ready "$TESTDIR/abstract" || bail "no abstract socket"
each_user ways
each_user mounts
done_testing
