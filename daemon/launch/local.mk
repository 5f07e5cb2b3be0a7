# SPDX-License-Identifier: LGPL-2.1-or-later

noinst_LIBRARIES += liblaunch.a
liblaunch_a_SOURCES = \
	daemon/launch/cgroup.c \
	daemon/launch/cgroup.h \
	daemon/launch/child.c \
	daemon/launch/child.h \
	daemon/launch/failure.c \
	daemon/launch/failure.h \
	daemon/launch/filter.c \
	daemon/launch/filter.h \
	daemon/launch/id-range.c \
	daemon/launch/id-range.h \
	daemon/launch/in-place.c \
	daemon/launch/isolate.c \
	daemon/launch/isolate.h \
	daemon/launch/landlock.c \
	daemon/launch/landlock.h \
	daemon/launch/launch.c \
	daemon/launch/launch.h \
	daemon/launch/cgroup-limits.c \
	daemon/launch/cgroup-limits.h \
	daemon/launch/mount-dev.c \
	daemon/launch/mount-facts.c \
	daemon/launch/mount-lock.c \
	daemon/launch/mount-mask.c \
	daemon/launch/mount-overlay.c \
	daemon/launch/mount-tree.c \
	daemon/launch/mount-tree.h \
	daemon/launch/mounts-internal.h \
	daemon/launch/mounts.c \
	daemon/launch/mounts.h \
	daemon/launch/program-exec.c \
	daemon/launch/program-exec.h \
	daemon/launch/program.c \
	daemon/launch/program.h \
	daemon/launch/scope.c \
	daemon/launch/scope.h \
	daemon/launch/socket-maker.c \
	daemon/launch/socket-maker.h \
	daemon/launch/terminal.c \
	daemon/launch/terminal.h \
	daemon/launch/uplink.c \
	daemon/launch/uplink.h \
	daemon/launch/users-host.c \
	daemon/launch/users-host.h \
	daemon/launch/wait.c \
	daemon/launch/wait.h
liblaunch_a_CFLAGS = $(AM_CFLAGS) -pthread $(SYSTEMD_CFLAGS) $(SECCOMP_CFLAGS) $(JSON_CFLAGS) $(CAP_CFLAGS)

# Runs in sandboxes, where there may be no library at all; and without sanitizers, which would need /proc and more.
pkglibexec_PROGRAMS += sentry-init
sentry_init_SOURCES = \
	daemon/common/util.c \
	daemon/common/util.h \
	daemon/launch/failure.c \
	daemon/launch/failure.h \
	daemon/launch/init/sentry-init.c \
	daemon/launch/program-exec.c \
	daemon/launch/program-exec.h
sentry_init_CFLAGS = -std=gnu17 $(WARN_CFLAGS) $(JSON_CFLAGS) $(STATIC_CFLAGS) -ffunction-sections
sentry_init_LDFLAGS = $(STATIC_LDFLAGS) -Wl,--gc-sections

# What a restored sandbox is made of: no libc at all.
pkglibexec_PROGRAMS += sentry-stub
sentry_stub_SOURCES = daemon/launch/stub/sentry-stub.c
sentry_stub_CFLAGS = -std=gnu17 $(WARN_CFLAGS) -O2 -ffreestanding -fno-stack-protector -fno-pie -fcf-protection=none
sentry_stub_LDFLAGS = -static -nostdlib -Wl,-z,noexecstack -Wl,--build-id=none
