# SPDX-License-Identifier: LGPL-2.1-or-later

pkglibexec_PROGRAMS += sentry-kernel
sentry_kernel_SOURCES = \
	daemon/kernel/cgroup.c \
	daemon/kernel/cgroup.h \
	daemon/kernel/confine.c \
	daemon/kernel/confine.h \
	daemon/kernel/exec-methods.c \
	daemon/kernel/freezer-cgroup.c \
	daemon/kernel/freezer-ptrace.c \
	daemon/kernel/freezer.c \
	daemon/kernel/freezer.h \
	daemon/kernel/host-seccomp.c \
	daemon/kernel/host-seccomp.h \
	daemon/kernel/kernel-dbus.c \
	daemon/kernel/kernel-methods.c \
	daemon/kernel/kernel-methods.h \
	daemon/kernel/launch-server.c \
	daemon/kernel/main.c \
	daemon/kernel/notify.c \
	daemon/kernel/notify.h \
	daemon/kernel/sentry.c \
	daemon/kernel/sentry.h \
	daemon/kernel/signal-methods.c \
	daemon/kernel/signals.c \
	daemon/kernel/signals.h \
	daemon/kernel/tasks.c \
	daemon/kernel/tasks.h
sentry_kernel_CFLAGS = $(AM_CFLAGS) $(SYSTEMD_CFLAGS) $(SECCOMP_CFLAGS) $(JSON_CFLAGS) $(CAP_CFLAGS)
# One process per sandbox: each library costs memory, so these and no more.
sentry_kernel_LDADD = libkernelemu.a libcommon.a $(SYSTEMD_LIBS) $(SECCOMP_LIBS) $(JSON_LIBS) $(CAP_LIBS)
