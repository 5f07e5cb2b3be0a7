# SPDX-License-Identifier: LGPL-2.1-or-later
# shellcheck shell=bash
# shellcheck disable=SC2034 # BOOTED_BEFORE is for the tests
#
# Boots a real systemd in a container and runs a test in it. To be sourced by a test before anything else:
#
#     . "${srcdir:-.}/tests/lib/boot.bash"
#     … the test, with tap.sh, as root in the container, in a service of its own
#
# On the host this file does not come back: it lays an overlay over the host's own root (in memory: nothing stays),
# installs sentryd into it, boots it, and shows what the test said in there. In the container the file lays out what the
# test needs and comes back. Nothing is timed: the machine powers off when the test is over, or is killed by its deadline.
# boot_again boots it a second time, where the test begins anew and goes on counting, with BOOTED_BEFORE set.
# Users for the tests: alice and bob (ALICE_ID, BOB_ID), who are nobody special.

ALICE_ID=2001
BOB_ID=2002
BOOT_DEADLINE=${SENTRYD_BOOT_DEADLINE:-165} # seconds; run-test's is a little longer

. "${srcdir:-.}/tests/lib/tap.sh"
if [ -n "${SENTRYD_BOOTED:-}" ]; then
        # Here the system's own buses are the test's.
        unset DBUS_SYSTEM_BUS_ADDRESS DBUS_SESSION_BUS_ADDRESS XDG_RUNTIME_DIR
        SENTRYCTL=/usr/local/bin/sentryctl
        T=60
        BOOTED_BEFORE=
        if [ -e /test/rebooted ]; then
                BOOTED_BEFORE=1
                read -r TAP_COUNT TAP_FAILED </test/rebooted
        fi
        boot_again() { # does not come back: the machine boots anew, and the test begins with BOOTED_BEFORE set
                echo "$TAP_COUNT $TAP_FAILED" >/test/rebooted
                sync
                systemctl reboot --force
                sleep infinity
        }
fi

boot_root=$TESTDIR/machine # tmpfs, with the overlay in it
boot_pid=
boot_cgroup=

boot_clean_up() {
        local left
        if [ -n "$boot_pid" ] && ! gone "$boot_pid"; then
                kill -KILL "$boot_pid"
        fi
        if [ -n "$boot_cgroup" ]; then
                echo 1 >"$boot_cgroup/cgroup.kill" 2>/dev/null
                await 10 boot_cgroup_empty
                find "$boot_cgroup" -depth -type d -exec rmdir {} + 2>/dev/null
        fi
        for left in "$boot_root/root" "$boot_root"; do
                ! mountpoint -q "$left" || umount -R "$left" 2>/dev/null || umount -R -l "$left"
        done
        tap_exit
}
boot_cgroup_empty() { grep -qx 'populated 0' "$boot_cgroup/cgroup.events"; }

boot_prepare() { # 1 with REASON when this machine cannot boot another
        local mount file
        REASON="it takes root"
        [ "$(id -u)" -eq 0 ] || return 1
        REASON="this build is for another prefix than /usr/local, where no systemd looks for units"
        grep -qx 'prefix = /usr/local' "$SENTRYD_BUILD/Makefile" || return 1
        for file in systemd-nspawn dbus-daemon loginctl; do
                REASON="$file is missing"
                command -v $file >/dev/null || return 1
        done
        for file in /usr/lib/polkit-1/polkitd /lib/systemd/system/user@.service /usr/share/dbus-1/system.d/org.freedesktop.login1.conf \
                /usr/lib/systemd/user/dbus.socket; do
                REASON="$file is missing"
                [ -e $file ] || return 1
        done
        mount=$(awk '{ for (i = 7; i < NF; i++) if ($i == "-" && $(i + 1) == "cgroup2") { print $5; exit } }' /proc/self/mountinfo)
        REASON="there are no control groups of version 2 here that we may use"
        [ -n "$mount" ] && mkdir "$mount/${TESTDIR##*/}.boot" 2>/dev/null || return 1
        boot_cgroup=$mount/${TESTDIR##*/}.boot

        REASON="the mounting of file systems is not allowed here"
        mkdir "$boot_root" && mount -t tmpfs -o mode=755 tmpfs "$boot_root" 2>/dev/null || return 1
        mkdir "$boot_root"/{root,upper,work,test}
        mount -t overlay -o "lowerdir=/,upperdir=$boot_root/upper,workdir=$boot_root/work" overlay "$boot_root/root" 2>/dev/null
}

# The host's root as a machine of its own: none of the host's services, two users, and the test as the only task.
boot_lay_out() { # TEST
        local root=$boot_root/root directory
        for directory in /etc/systemd /run/systemd /usr/local/lib/systemd; do
                rm -rf "${root:?}$directory"/{system,user}
        done
        rm -rf "$root"/{etc/sentryd,usr/local/libexec/sentryd,usr/local/share/sentryd,var/lib/systemd/linger,var/log/journal}
        mkdir -p "$root"/etc/systemd/{system,system.conf.d,user.conf.d,journald.conf.d}
        echo sentryd-test >"$root/etc/hostname"
        # The search for leaks, if it was built in, makes each end take seconds on a busy machine; other tests have it.
        printf '[Manager]\nDefaultTimeoutStopSec=10s\nDefaultEnvironment=LSAN_OPTIONS=detect_leaks=0\n' |
                tee "$root/etc/systemd/system.conf.d/test.conf" >"$root/etc/systemd/user.conf.d/test.conf"
        printf '[Journal]\nStorage=volatile\nRateLimitIntervalSec=0\n' >"$root/etc/systemd/journald.conf.d/test.conf"
        ln -s /dev/null "$root/etc/systemd/system/systemd-timesyncd.service"
        sed -i '/^\(alice\|bob\):/d' "$root"/etc/{passwd,group,shadow}
        for directory in alice:$ALICE_ID bob:$BOB_ID; do
                echo "${directory%:*}:x:${directory#*:}:${directory#*:}::/home/${directory%:*}:/bin/bash" >>"$root/etc/passwd"
                echo "${directory%:*}:x:${directory#*:}:" >>"$root/etc/group"
                echo "${directory%:*}:*:19000:0:99999:7:::" >>"$root/etc/shadow"
                mkdir -p "$root/home/${directory%:*}"
                chown "${directory#*:}:${directory#*:}" "$root/home/${directory%:*}"
        done
        cat >"$root/etc/systemd/system/test.service" <<-END
		[Unit]
		Description=The test
		SuccessAction=poweroff-force
		FailureAction=poweroff-force
		Wants=dbus.socket systemd-logind.service
		After=dbus.socket systemd-logind.service basic.target
		[Service]
		Type=oneshot
		Environment=SENTRYD_BOOTED=1 SENTRYD_BUILD=/build srcdir=/test/src TERM=dumb HOME=/root
		Environment=SENTRYD_CRASH_ROUNDS=${SENTRYD_CRASH_ROUNDS:-}
		Environment=ASAN_OPTIONS=${ASAN_OPTIONS:-} UBSAN_OPTIONS=${UBSAN_OPTIONS:-}
		ExecStart=/bin/bash /test/src/$1
		StandardOutput=append:/test/out
		StandardError=append:/test/err
		TimeoutStartSec=$BOOT_DEADLINE
	END
        mkdir -p "$boot_root/test/src"
        cp -r "$srcdir"/{tests,daemon,man} "$boot_root/test/src/"
        make -s -C "$SENTRYD_BUILD" install DESTDIR="$root" >"$TESTDIR/install.log" 2>&1 ||
                bail "make install: $(cat "$TESTDIR/install.log")"
}

boot_machine() { # once; BOOT_STATUS is what nspawn says of its end
        # In a control group of its own: the machine's systemd takes what it is in for the root of all.
        # The leader's filter would refuse pidfd_getfd(2), hence without. Nothing of the host is told of the machine.
        (
                echo $BASHPID >"$boot_cgroup/cgroup.procs"
                exec env UNIFIED_CGROUP_HIERARCHY=1 SYSTEMD_SECCOMP=0 systemd-nspawn --quiet -D "$boot_root/root" \
                        --register=no --keep-unit --bind="$boot_root/test:/test" --bind-ro="$SENTRYD_BUILD:/build" --console=pipe --private-network \
                        --boot systemd.unit=test.service systemd.log_target=journal systemd.show_status=no </dev/null >>"$TESTDIR/console" 2>&1
        ) &
        boot_pid=$!
        await $((boot_end - SECONDS)) gone $boot_pid || {
                diag "the machine is still up after $BOOT_DEADLINE s"
                kill -KILL $boot_pid
        }
        wait $boot_pid 2>/dev/null
        BOOT_STATUS=$?
}

boot_run() {
        local boot_end=$((SECONDS + BOOT_DEADLINE))
        boot_machine
        if [ $BOOT_STATUS -eq 133 ] && [ -e "$boot_root/test/rebooted" ]; then # it wants to be booted again
                boot_machine
        fi
        cat "$boot_root/test/out" 2>/dev/null
        if ! grep -q '^\(1\.\.\|Bail out\)' "$boot_root/test/out" 2>/dev/null; then
                diag "the machine's console:" "$(tail -n 40 "$TESTDIR/console")"
                diag "stderr of the test:" "$(tail -n 40 "$boot_root/test/err" 2>&1)"
                [ -s "$boot_root/test/out" ] || bail "the machine did not run the test"
                return 1
        fi
        [ ! -s "$boot_root/test/err" ] || diag "stderr of the test:" "$(head -n 40 "$boot_root/test/err")"
        TAP_DONE=1
        ! grep -q '^not ok' "$boot_root/test/out"
}

if [ -z "${SENTRYD_BOOTED:-}" ]; then
        trap boot_clean_up EXIT
        boot_prepare || skip_all "$REASON"
        boot_lay_out "$(realpath --relative-to="$srcdir" "$0")"
        boot_run
        exit
fi
