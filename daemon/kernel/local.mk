# SPDX-License-Identifier: LGPL-2.1-or-later

pkglibexec_PROGRAMS += sentry-kernel
sentry_kernel_SOURCES = \
	daemon/kernel/arguments.c \
	daemon/kernel/arguments.h \
	daemon/kernel/cgroup.c \
	daemon/kernel/cgroup.h \
	daemon/kernel/confine.c \
	daemon/kernel/confine.h \
	daemon/kernel/exec-methods.c \
	daemon/kernel/fd-tables.c \
	daemon/kernel/fd-tables.h \
	daemon/kernel/freezer-cgroup.c \
	daemon/kernel/freezer-ptrace.c \
	daemon/kernel/freezer.c \
	daemon/kernel/freezer.h \
	daemon/kernel/host-behalf.c \
	daemon/kernel/host-behalf.h \
	daemon/kernel/host-clock.c \
	daemon/kernel/host-clock.h \
	daemon/kernel/host-mount.c \
	daemon/kernel/host-mount.h \
	daemon/kernel/host-namespaces.c \
	daemon/kernel/host-namespaces.h \
	daemon/kernel/host-seccomp.c \
	daemon/kernel/host-seccomp.h \
	daemon/kernel/host-sockets.c \
	daemon/kernel/host-sockets.h \
	daemon/kernel/host-timers.c \
	daemon/kernel/host-timers.h \
	daemon/kernel/host-tasks.c \
	daemon/kernel/host-tasks.h \
	daemon/kernel/host-unix.c \
	daemon/kernel/host-unix.h \
	daemon/kernel/imager.c \
	daemon/kernel/imager.h \
	daemon/kernel/kernel-dbus.c \
	daemon/kernel/kernel-methods.c \
	daemon/kernel/kernel-methods.h \
	daemon/kernel/journal.c \
	daemon/kernel/journal.h \
	daemon/kernel/keeper.c \
	daemon/kernel/keeper.h \
	daemon/kernel/launch-server.c \
	daemon/kernel/lines.c \
	daemon/kernel/lines.h \
	daemon/kernel/list-cgroups.c \
	daemon/kernel/list-fds.c \
	daemon/kernel/list-ipc.c \
	daemon/kernel/list-methods.c \
	daemon/kernel/list-mounts.c \
	daemon/kernel/list-namespaces.c \
	daemon/kernel/list-sockets.c \
	daemon/kernel/list-sockets.h \
	daemon/kernel/lister.c \
	daemon/kernel/lister.h \
	daemon/kernel/main.c \
	daemon/kernel/manager-link.c \
	daemon/kernel/manager-link.h \
	daemon/kernel/notify.c \
	daemon/kernel/notify.h \
	daemon/kernel/proc-task.c \
	daemon/kernel/proc-task.h \
	daemon/kernel/recover.c \
	daemon/kernel/recover.h \
	daemon/kernel/sentry-record.c \
	daemon/kernel/restorer.c \
	daemon/kernel/restorer.h \
	daemon/kernel/saver.c \
	daemon/kernel/saver.h \
	daemon/kernel/sentry.c \
	daemon/kernel/sentry.h \
	daemon/kernel/signal-methods.c \
	daemon/kernel/signals.c \
	daemon/kernel/signals.h \
	daemon/kernel/sock-diag.c \
	daemon/kernel/sock-diag.h \
	daemon/kernel/socket-jobs.c \
	daemon/kernel/task-methods.c \
	daemon/kernel/task-watch.c \
	daemon/kernel/task-watch.h \
	daemon/kernel/tasks.c \
	daemon/kernel/tasks.h \
	daemon/kernel/timer-methods.c \
	daemon/kernel/tracer-methods.c \
	daemon/kernel/tracer.c \
	daemon/kernel/tracer.h \
	daemon/kernel/watchdog.c \
	daemon/kernel/watchdog.h
# Frame pointers: the watchdog walks the stack of a thread that is stuck.
sentry_kernel_CFLAGS = $(AM_CFLAGS) -pthread -fno-omit-frame-pointer $(SYSTEMD_CFLAGS) $(SECCOMP_CFLAGS) $(JSON_CFLAGS) $(CAP_CFLAGS)
# One process per sandbox: each library costs memory, so these and no more.
sentry_kernel_LDADD = libimage.a libkernelemu.a libcommon.a libkernelemu.a $(SYSTEMD_LIBS) $(SECCOMP_LIBS) $(JSON_LIBS) $(CAP_LIBS)
