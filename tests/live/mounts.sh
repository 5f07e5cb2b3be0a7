#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# The kinds of mounts that a profile can ask for, what is masked, and what goes wrong in words before anything starts.

. "${srcdir:-.}/tests/lib/tap.sh"

# profile NAME (its text on stdin): where sandboxes of the current user find it
profile() {
        local dir=$WORK/.config/sentryd/profiles
        mkdir -p "$dir"
        cat >"$dir/$1.json"
        mine "$WORK/.config"
}

mounts() { # NAME MOUNT-JSON…: a profile of these on top of the default one
        local name=$1 IFS=,
        shift
        profile "$name" <<<'{ "mounts": ['"$*"'], "sentry": { "extends": "default" } }'
}

# refused DESCRIPTION REGEX SCTL-ARGUMENTS…: fails with 125 in these words, and nothing has run
refused() {
        local what=$1 regex=$2 out rc
        shift 2
        out=$(sctl run "$@" --bind "$WORK" touch "$WORK/started" 2>&1)
        rc=$?
        is "$rc" 125 "$WHO: $what is refused" || diag "$out"
        like "$out" "$regex" "$WHO: … in words"
        check_fails "$WHO: … and nothing runs" test -e "$WORK/started"
        rm -f "$WORK/started"
}

kinds() {
        local w=$WHO d=$WORK/kinds
        mkdir -p "$d/a/below" "$d/b" "$d/lower/dir" "$d/upper" "$d/work"
        echo one >"$d/a/file"
        echo two >"$d/a/below/file"
        echo low >"$d/lower/file"
        echo low >"$d/lower/gone"
        printf '#!/bin/sh\necho ran\n' >"$d/a/program"
        chmod 755 "$d/a/program"
        mine "$d"

        mounts bind '{ "destination": "/mnt", "type": "bind", "source": "'"$d/a"'", "options": ["ro", "noexec"] }'
        is "$(sctl run -p bind cat /mnt/file)" one "$w: bind"
        check_fails "$w: … read-only" sctl run -p bind touch /mnt/new
        check_fails "$w: … in what is below, too" sctl run -p bind touch /mnt/below/new
        check_fails "$w: … noexec" sctl run -p bind sh -c '/mnt/program || exit 1'
        like "$(sctl run -p bind findmnt -no OPTIONS /mnt)" 'ro,.*nosuid.*nodev.*noexec' "$w: … nosuid and nodev, always"

        # All that is mounted below the source has the options, too: /dev/shm and /dev/pts are mounts of the host's.
        mounts rbind '{ "destination": "/mnt", "type": "bind", "source": "/dev", "options": ["ro", "noexec", "rbind"] }'
        is "$(sctl run -p rbind findmnt -rno TARGET,OPTIONS | grep -E '^/mnt(/shm|/pts|) ' | grep -vcE ' ro,nosuid,nodev,noexec')" 0 \
                "$w: the options of rbind hold below, too"
        [ "$(sctl run -p rbind findmnt -rno TARGET | grep -c '^/mnt')" -gt 1 ] ||
                diag "nothing is mounted below /dev here: that proves nothing"

        mounts tmpfs '{ "destination": "/mnt", "type": "tmpfs", "options": ["size=1m", "nr_inodes=10", "mode=700"] }'
        is "$(sctl run -p tmpfs stat -c %a /mnt)" 700 "$w: tmpfs has its mode"
        is "$(sctl run -p tmpfs sh -c 'df --output=size -k /mnt | tail -n 1' | tr -d ' ')" 1024 "$w: … its size"
        check_fails "$w: … which holds" sctl run -p tmpfs dd if=/dev/zero of=/mnt/f bs=1M count=2
        check_fails "$w: … and its number of files" sctl run -p tmpfs sh -c 'for i in 1 2 3 4 5 6 7 8 9 10 11; do : >/mnt/$i || exit 1; done'

        mounts proc '{ "destination": "/proc", "type": "proc", "options": ["hidepid=invisible"] }'
        like "$(sctl run -p proc findmnt -no OPTIONS /proc)" 'hidepid=invisible' "$w: proc takes hidepid="
        is "$(sctl run -p proc sh -c 'set -- /proc/[0-9]*; echo $#')" 1 "$w: … and a program sees its own"

        mounts sysfs '{ "destination": "/sys", "type": "sysfs" }'
        is "$(sctl run -p sysfs ls /sys/class/net)" lo "$w: sysfs is that of the network namespace"
        is "$(sctl run -p sysfs find /sys -maxdepth 4 -type f -writable 2>/dev/null | head -n 3)" '' "$w: … read-only"
        like "$(sctl run -p sysfs findmnt -no OPTIONS /sys | tail -n 1)" '^ro,nosuid,nodev,noexec' "$w: … as its options say"

        mounts mqueue '{ "destination": "/mnt", "type": "mqueue" }'
        is "$(sctl run -p mqueue findmnt -no FSTYPE /mnt)" mqueue "$w: mqueue"
        mounts devpts '{ "destination": "/mnt", "type": "devpts" }'
        is "$(sctl run -p devpts ls /mnt)" ptmx "$w: devpts is a new one"

        mounts away '{ "destination": "/mnt", "type": "overlay", "options": ["lowerdir='"$d/lower:$d/a"'"] }'
        is "$(sctl run -p away sh -c 'cat /mnt/file /mnt/below/file')" $'low\ntwo' "$w: an overlay of two directories"
        is "$(sctl run -p away sh -c 'echo new >/mnt/file; rm /mnt/gone; cat /mnt/file; ls /mnt')" $'new\nbelow\ndir\nfile\nprogram' \
                "$w: … can be written"
        is "$(cat "$d/lower/file" "$d/lower/gone")" $'low\nlow' "$w: … and the host's files are as they were"
        is "$(sctl run -p away cat /mnt/file)" low "$w: … for the next sandbox, too"
        mounts small '{ "destination": "/mnt", "type": "overlay", "options": ["lowerdir='"$d/lower"'", "size=1m"] }'
        check_fails "$w: … in the size that it has" sctl run -p small dd if=/dev/zero of=/mnt/big bs=1M count=2
        mounts kept '{ "destination": "/mnt", "type": "overlay", "options": [
                "lowerdir='"$d/lower"'", "upperdir='"$d/upper"'", "workdir='"$d/work"'"] }'
        check "$w: an overlay that is kept" sctl run -p kept sh -c 'echo new >/mnt/file; rm /mnt/gone'
        is "$(cat "$d/upper/file" "$d/lower/file")" $'new\nlow' "$w: … in its upper directory"
        is "$(sctl run -p kept sh -c 'cat /mnt/file; ls /mnt')" $'new\ndir\nfile' "$w: … for the next sandbox"
}

masked() {
        local w=$WHO f
        for f in keys key-users kmsg kallsyms timer_list sysrq-trigger kpagecount slabinfo vmallocinfo config.gz; do
                [ -e "/proc/$f" ] || continue
                like "$(sctl run cat "/proc/$f" 2>&1)" 'Permission denied' "$w: /proc/$f cannot be read"
        done
        is "$(sctl run find /sys/firmware /sys/kernel/debug /proc/acpi -mindepth 1 2>/dev/null)" '' "$w: masked directories are empty"
        check_fails "$w: … and nothing is made in them" sctl run mkdir /sys/firmware/x
        check_fails "$w: … nor made readable by chmod" sctl run sh -c 'chmod 644 /proc/keys && cat /proc/keys'

        profile mine <<<'{ "linux": { "maskedPaths": ["/etc/passwd", "/usr/share", "/no/such/path"], "readonlyPaths": ["/tmp", "/proc/self"] },
                "sentry": { "extends": "default" } }'
        check_fails "$w: a path of linux.maskedPaths" sctl run -p mine cat /etc/passwd
        is "$(sctl run -p mine ls /usr/share)" '' "$w: … or a directory"
        check "$w: … and nothing else, then" sctl run -p mine cat /proc/keys
        check_fails "$w: linux.readonlyPaths" sctl run -p mine touch /tmp/x
}

facts() {
        local w=$WHO
        profile small <<<'{ "sentry": { "extends": "default", "cpus": 1, "kernelRelease": "5.10.0", "kernelVersion": "#1 test" } }'
        is "$(sctl run -p small sh -c 'nproc; nproc --all; grep -c ^processor /proc/cpuinfo; grep -c "^cpu[0-9]" /proc/stat')" \
                $'1\n1\n1\n1' "$w: one processor, wherever one looks"
        is "$(sctl run -p small sh -c 'head -n 1 /proc/stat | wc -w; grep -c ^btime /proc/stat')" $'11\n1' "$w: … in a /proc/stat that is whole"
        is "$(sctl run -p small sh -c 'uname -r; cat /proc/sys/kernel/osrelease; cat /proc/sys/kernel/version')" \
                $'5.10.0\n5.10.0\n#1 test' "$w: one release and version"
        like "$(sctl run -p small cat /proc/version)" '^Linux version 5\.10\.0 .* #1 test$' "$w: … in /proc/version, too"
        check_fails "$w: none of these can be written" sctl run -p small sh -c 'echo x >/proc/version || echo x >/proc/cpuinfo'
        is "$(sctl run sh -c 'cat /proc/sys/kernel/hostname; cat /proc/sys/kernel/domainname')" $'sandbox\n(none)' "$w: names in /proc/sys"
        is "$(sctl run sh -c 'cut -d. -f1 /proc/uptime' | awk '{ print ($1 < 60) }')" 1 "$w: the uptime is the sandbox's"
        is "$(sctl run grep -c ^processor /proc/cpuinfo)" "$(grep -c ^processor /proc/cpuinfo)" \
                "$w: a sandbox that has all processors sees them all"
}

mistakes() {
        local w=$WHO d=$WORK/mistakes
        mkdir -p "$d/dir" "$d/upper"
        echo x >"$d/file"
        ln -s loop2 "$d/loop1"
        ln -s loop1 "$d/loop2"
        ln -s /nowhere "$d/dangling"
        mine "$d"

        refused "a source that is not there" "missing.*No such file" --bind "$d/missing:/mnt"
        refused "a source that goes round" "loop1.*Too many levels of symbolic links" --bind "$d/loop1:/mnt"
        refused "a file onto a directory" "a file, on /mnt, a directory" --bind "$d/file:/mnt"
        refused "a directory onto a file" "a directory, on /etc/passwd, a file" --bind "$d/dir:/etc/passwd"
        refused "a tmpfs onto a file" "a directory, on /etc/passwd, a file" --tmpfs /etc/passwd
        refused "a destination that is not there" "which is not there.*make it" --tmpfs /no/such/place
        refused "a destination below a file" "Not a directory" --tmpfs /etc/passwd/x
        refused "a destination with .." 'may not contain' --tmpfs /tmp/../etc
        refused "the root as a destination" 'root.path' --tmpfs /
        refused "a link that goes round on the way" 'link.*goes round' --bind "$d:/mnt" --tmpfs /mnt/loop1/x
        refused "a dangling link in the way" 'dangling symbolic link|which is not there' --bind "$d:/tmp/a" --tmpfs /tmp/a/dangling
        refused "a way through /proc" 'through /proc|which is not there|No such' --tmpfs /proc/self/root/tmp
        refused "a way through a descriptor" 'through /proc|which is not there|No such' --tmpfs /proc/self/fd/0/x

        mounts bind-missing '{ "destination": "/mnt", "type": "bind", "source": "'"$d/missing"'" }'
        refused "a profile's source that is not there" "missing from the host for /mnt: No such file.*Make it" -p bind-missing
        mounts bind-loop '{ "destination": "/mnt", "type": "bind", "source": "'"$d/loop1"'" }'
        refused "a profile's source that goes round" "loop1.*round in a circle" -p bind-loop
        mounts overlay-lower '{ "destination": "/mnt", "type": "overlay", "options": ["lowerdir='"$d/missing"'"] }'
        refused "an overlay of what is not there" "missing.*No such file" -p overlay-lower
        mounts overlay-file '{ "destination": "/mnt", "type": "overlay", "options": ["lowerdir='"$d/file"'"] }'
        refused "an overlay of a file" "made of directories" -p overlay-file
        mounts overlay-work '{ "destination": "/mnt", "type": "overlay", "options": ["lowerdir=/etc", "upperdir='"$d/upper"'"] }'
        refused "an upperdir without a workdir" '"upperdir=" needs "workdir="' -p overlay-work
        mounts overlay-none '{ "destination": "/mnt", "type": "overlay" }'
        refused "an overlay without lowerdir" 'needs an option "lowerdir=' -p overlay-none
        mounts overlay-up '{ "destination": "/mnt", "type": "overlay", "options": ["lowerdir=/etc/../root"] }'
        refused "a lowerdir with .." 'without' -p overlay-up
        mounts hidepid '{ "destination": "/proc", "type": "proc", "options": ["hidepid=all"] }'
        refused "a bad hidepid" 'expected off, noaccess, invisible or ptraceable, found "hidepid=all"' -p hidepid
        profile hidehost <<<'{ "mounts": [{ "destination": "/proc", "type": "proc", "options": ["hidepid=noaccess"] }],
                "sentry": { "extends": "default", "pid": "host" } }'
        refused "hidepid of the host's /proc" "\"pid\": \"private\"" -p hidehost
        profile maskroot <<<'{ "linux": { "maskedPaths": ["/"] }, "sentry": { "extends": "default" } }'
        refused "a masked root" 'linux.maskedPaths\[0\].*not "/"' -p maskroot
}

each_user kinds
each_user masked
each_user facts
each_user mistakes
done_testing
