#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# What the default profile keeps from a program, as root and as a plain user.

. "${srcdir:-.}/tests/lib/tap.sh"

files() {
        local w=$WHO d=$WORK/files f out
        mkdir -p "$d"
        mine "$d"
        for f in /etc/x /usr/x /var/x /x /root-x "$TESTDIR/../x" /opt/x; do
                [ -d "$(dirname "$f")" ] || continue
                out=$(sctl run touch "$f" 2>&1)
                like "$out" 'Read-only file system|Permission denied|No such file' "$w: touch $f fails"
                check_fails "$w: … and makes nothing" test -e "$f"
        done
        like "$(sctl run /usr/bin/python3 -c 'import os
try: os.open("/etc/x", os.O_CREAT | os.O_WRONLY)
except OSError as e: print(e.errno)')" '^(30|13)$' "$w: making a file in /etc is EROFS (or EACCES to a plain user)"
        if [ "$w" = root ]; then
                like "$(sctl run touch /etc/x 2>&1)" 'Read-only file system' "$w: … EROFS to root"
        fi
        check_fails "$w: a remount is refused" sctl run mount -o remount,rw /
        check_fails "$w: the root can't be made writable by chmod" sctl run chmod 777 /etc
        for f in / /tmp /run /dev /proc; do
                like "$(sctl run findmnt -no OPTIONS "$f")" nosuid "$w: $f is nosuid"
        done
        is "$(sctl run findmnt -rno TARGET,OPTIONS | grep -vE '^[^ ]+ [^ ]*nosuid' | head -n 5)" '' "$w: every mount is nosuid"

        touch "$TESTDIR/outside"
        check "$w: /tmp is writable" sctl run touch /tmp/inside
        check_fails "$w: … and private" test -e /tmp/inside
        is "$(sctl run ls -A /tmp)" '' "$w: … and empty at the start"
        is "$(sctl run stat -c %a /tmp)" 1777 "$w: … with the mode of /tmp"
        is "$(sctl run sh -c 'ls -A /run | grep -v -x -e lock -e user -e shm')" '' "$w: /run holds nothing of the host's"
        check "$w: /dev/shm is writable" sctl run touch /dev/shm/x
        check_fails "$w: … and private" test -e /dev/shm/x
}

devices() {
        local w=$WHO f
        check "$w: /dev/ptmx" sctl run test -c /dev/ptmx
        is "$(sctl run sh -c 'cd /dev; for f in *; do test -c $f && test ! -L $f && echo $f; done' |
                grep -vx -e console -e ptmx | paste -sd' ')" \
                'full null random tty urandom zero' "$w: /dev has the harmless devices and no other" ||
                diag "$(sctl run ls -l /dev)"
        is "$(sctl run find /dev -type b)" '' "$w: … no block device"
        check "$w: /dev/null" sctl run sh -c 'echo x >/dev/null && test -z "$(cat /dev/null)"'
        is "$(sctl run head -c 4 /dev/zero | od -An -tx1)" ' 00 00 00 00' "$w: /dev/zero"
        is "$(sctl run head -c 4 /dev/urandom | wc -c)" 4 "$w: /dev/urandom"
        like "$(sctl run sh -c 'head -c 1 /dev/zero >/dev/full' 2>&1)" 'No space' "$w: /dev/full"
        for f in fd stdin stdout stderr; do
                check "$w: /dev/$f" sctl run test -e "/dev/$f" </dev/null
        done
        check_fails "$w: no device can be made" sctl run mknod /tmp/null c 1 3
        check_fails "$w: nothing is added to /dev" sctl run sh -c 'mknod /dev/mem c 1 1 && test -c /dev/mem'
        check_fails "$w: no kernel memory" sctl run sh -c 'head -c 1 /dev/mem || head -c 1 /dev/kmem || head -c 1 /proc/kcore'
        check_fails "$w: no loop devices, no fuse, no kvm" sctl run sh -c 'test -e /dev/loop-control -o -e /dev/fuse -o -e /dev/kvm'
}

processes() {
        local w=$WHO pid
        sleep 300 >/dev/null 2>&1 &
        pid=$!
        started "$pid"
        if [ "$w" = user ] && [ "$(id -u)" -eq 0 ]; then
                # Itself, not a function's subshell: it is to be ended by its pid.
                setpriv --reuid "$USER_ID" --regid "$USER_ID" --clear-groups sleep 300 >/dev/null 2>&1 &
                pid=$!
                started "$pid"
        fi
        check_fails "$w: a process outside has no /proc entry inside" sctl run test -e "/proc/$pid/cmdline"
        check_fails "$w: … nor can it be signalled" sctl run kill -0 "$pid"
        is "$(sctl run ls /proc | grep -c "^[0-9]")" 1 "$w: /proc shows the sandbox's own only"
        is "$(sctl run ps -e -o comm= | sort -u | paste -sd,)" ps "$w: ps too"
        check "$w: … the host's process is unharmed" kill -0 "$pid"
        check_fails "$w: /proc/sys can't be written" sctl run sh -c 'echo 1 >/proc/sys/kernel/panic'
        check_fails "$w: /proc/sysrq-trigger can't be written" sctl run sh -c 'echo h >/proc/sysrq-trigger'
        check_fails "$w: the oom score can't be lowered" sctl run sh -c 'echo -1000 >/proc/self/oom_score_adj'
        is "$(sctl run find /sys -maxdepth 4 -type f -writable 2>/dev/null | head -n 3)" '' "$w: nothing in /sys can be written"
}

privileges() {
        local w=$WHO uid
        uid=$(id -u)
        [ "$w" != user ] || [ "$uid" -ne 0 ] || uid=$USER_ID
        is "$(sctl run id -u)" "$uid" "$w: the uid is the caller's"
        is "$(sctl run sh -c "grep -c '^Cap\(Eff\|Prm\|Inh\|Amb\|Bnd\):.0000000000000000' /proc/self/status")" 5 \
                "$w: no capability in any set"
        is "$(sctl run grep NoNewPrivs /proc/self/status | tr -d '\t')" NoNewPrivs:1 "$w: no_new_privs"
        check_fails "$w: unshare is refused" sctl run unshare --user true
        check_fails "$w: chroot is refused" sctl run sh -c 'chroot / true || exit 1'
        check_fails "$w: mount is refused" sctl run mount -t tmpfs none /mnt
        check_fails "$w: umount is refused" sctl run umount /tmp
        check_fails "$w: the clock is not set" sctl run date -s '2001-01-01'
        check_fails "$w: swap is not touched" sctl run swapoff /dev/zero
        check_fails "$w: nothing is given away" sctl run sh -c 'touch /tmp/x && chown 12345 /tmp/x'
}

suid() { # a program that is setuid root outside
        [ "$(id -u)" -eq 0 ] || {
                skip "a setuid program gains nothing" "needs root to make one"
                return
        }
        tap_user_setup || {
                skip "a setuid program gains nothing" "$REASON"
                return
        }
        cp /usr/bin/id "$TESTDIR/suid-id"
        chmod 4755 "$TESTDIR/suid-id"
        WHO=user
        is "$(as_user "$TESTDIR/suid-id" -u)" 0 "a setuid program natively is root's" ||
                diag "this file system is nosuid: the next check proves nothing"
        is "$(sctl run --ro-bind "$TESTDIR/suid-id" "$TESTDIR/suid-id" -u)" $USER_ID "… in a sandbox it gains nothing"
        WHO=root
}

each_user files
each_user devices
each_user processes
each_user privileges
suid
done_testing
