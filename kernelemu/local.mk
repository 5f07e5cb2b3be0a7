# SPDX-License-Identifier: LGPL-2.1-or-later

noinst_LIBRARIES += libkernelemu.a
libkernelemu_a_SOURCES = \
	kernelemu/abi/types.h \
	kernelemu/event.c \
	kernelemu/event.h \
	kernelemu/host.h \
	kernelemu/kernel.c \
	kernelemu/kernel.h \
	kernelemu/log/kernel-log.c \
	kernelemu/log/kernel-log.h \
	kernelemu/ns/uts.c \
	kernelemu/ns/uts.h \
	kernelemu/record.c \
	kernelemu/record.h \
	kernelemu/sys/caller.h \
	kernelemu/sys/pid.c \
	kernelemu/sys/priority.c \
	kernelemu/sys/process.c \
	kernelemu/sys/reboot.c \
	kernelemu/sys/sched.c \
	kernelemu/sys/signal.c \
	kernelemu/sys/sysinfo.c \
	kernelemu/sys/syslog.c \
	kernelemu/sys/trace.c \
	kernelemu/sys/utsname.c \
	kernelemu/syscall.c \
	kernelemu/syscall.h \
	kernelemu/syscalls.def \
	kernelemu/task/ptrace-rules.c \
	kernelemu/task/ptrace-rules.h \
	kernelemu/util/cpuset.c \
	kernelemu/util/cpuset.h \
	kernelemu/util/macros.h \
	kernelemu/util/ratelimit.c \
	kernelemu/util/ratelimit.h
# The emulated kernel sees the host through host.h alone: no library but libc.
libkernelemu_a_CPPFLAGS = -include $(top_builddir)/config.h -I$(top_srcdir)/kernelemu
