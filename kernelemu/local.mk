# SPDX-License-Identifier: LGPL-2.1-or-later

noinst_LIBRARIES += libkernelemu.a
libkernelemu_a_SOURCES = \
	kernelemu/abi/socket.h \
	kernelemu/abi/time.h \
	kernelemu/abi/types.h \
	kernelemu/changes.c \
	kernelemu/changes.h \
	kernelemu/event.c \
	kernelemu/event.h \
	kernelemu/host-socket.h \
	kernelemu/host.h \
	kernelemu/kernel.c \
	kernelemu/kernel.h \
	kernelemu/log/kernel-log.c \
	kernelemu/log/kernel-log.h \
	kernelemu/net/address-rules.c \
	kernelemu/net/address-rules.h \
	kernelemu/net/socket-message.c \
	kernelemu/net/socket-message.h \
	kernelemu/net/sockets.c \
	kernelemu/net/sockets.h \
	kernelemu/net/unix-sockets.c \
	kernelemu/net/unix-sockets.h \
	kernelemu/ns/mount.h \
	kernelemu/ns/namespace.c \
	kernelemu/ns/namespace.h \
	kernelemu/ns/pid.c \
	kernelemu/ns/pid.h \
	kernelemu/ns/uts.c \
	kernelemu/ns/uts.h \
	kernelemu/record.c \
	kernelemu/record.h \
	kernelemu/statistics.h \
	kernelemu/sys/caller.h \
	kernelemu/sys/clock.c \
	kernelemu/sys/image.c \
	kernelemu/sys/itimer.c \
	kernelemu/sys/mount.c \
	kernelemu/sys/namespace.c \
	kernelemu/sys/pid.c \
	kernelemu/sys/priority.c \
	kernelemu/sys/process.c \
	kernelemu/sys/reboot.c \
	kernelemu/sys/sched.c \
	kernelemu/sys/signal.c \
	kernelemu/sys/socket.c \
	kernelemu/sys/sysinfo.c \
	kernelemu/sys/syslog.c \
	kernelemu/sys/timer.c \
	kernelemu/sys/timespec.h \
	kernelemu/sys/trace.c \
	kernelemu/sys/unix.c \
	kernelemu/sys/utsname.c \
	kernelemu/syscall.c \
	kernelemu/syscall.h \
	kernelemu/syscalls.def \
	kernelemu/task/host-task.h \
	kernelemu/task/process-group.c \
	kernelemu/task/process-group.h \
	kernelemu/task/ptrace-rules.c \
	kernelemu/task/ptrace-rules.h \
	kernelemu/task/task-record.c \
	kernelemu/task/task-table.c \
	kernelemu/task/task-table.h \
	kernelemu/task/task.c \
	kernelemu/task/task.h \
	kernelemu/task/thread-group.c \
	kernelemu/task/thread-group.h \
	kernelemu/time/process-timers.c \
	kernelemu/time/process-timers.h \
	kernelemu/time/timekeeper.c \
	kernelemu/time/timekeeper.h \
	kernelemu/time/timer-queue.c \
	kernelemu/time/timer-queue.h \
	kernelemu/trace-struct.c \
	kernelemu/trace-struct.h \
	kernelemu/trace.c \
	kernelemu/trace.h \
	kernelemu/util/cpuset.c \
	kernelemu/util/cpuset.h \
	kernelemu/util/idmap.c \
	kernelemu/util/idmap.h \
	kernelemu/util/macros.h \
	kernelemu/util/ratelimit.c \
	kernelemu/util/ratelimit.h
# The emulated kernel sees the host through host.h alone: no library but libc.
libkernelemu_a_CPPFLAGS = -include $(top_builddir)/config.h -I$(top_srcdir)/kernelemu
# The watchdog of sentry-kernel walks the stack.
libkernelemu_a_CFLAGS = $(AM_CFLAGS) -fno-omit-frame-pointer
