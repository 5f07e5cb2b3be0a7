# SPDX-License-Identifier: LGPL-2.1-or-later

noinst_LIBRARIES += libimage.a
libimage_a_SOURCES = \
	daemon/image/image-check.c \
	daemon/image/image-clean.c \
	daemon/image/image-host.c \
	daemon/image/image-host.h \
	daemon/image/image-read.c \
	daemon/image/image-read.h \
	daemon/image/image-visit.c \
	daemon/image/image-visit.h \
	daemon/image/image-write.c \
	daemon/image/image-write.h \
	daemon/image/image.c \
	daemon/image/image.h \
	daemon/image/inject.c \
	daemon/image/inject.h \
	daemon/image/pty.c \
	daemon/image/pty.h \
	daemon/image/visit.c
libimage_a_CFLAGS = $(AM_CFLAGS) $(JSON_CFLAGS) $(XXHASH_CFLAGS) $(ZSTD_CFLAGS)

pkglibexec_PROGRAMS += sentry-imager
sentry_imager_SOURCES = \
	daemon/image/imager.h \
	daemon/image/main.c \
	daemon/image/resume.c \
	daemon/image/resume.h \
	daemon/image/restore-attach.c \
	daemon/image/restore-datagrams.c \
	daemon/image/restore-files.c \
	daemon/image/restore-fill.c \
	daemon/image/restore-internal.h \
	daemon/image/restore-inotify.c \
	daemon/image/restore-ipc.c \
	daemon/image/restore-main.c \
	daemon/image/restore-memory.c \
	daemon/image/restore-mqueues.c \
	daemon/image/restore-protocol.h \
	daemon/image/restore-queues.c \
	daemon/image/restore-sockets.c \
	daemon/image/restore-state.c \
	daemon/image/restore-tcp.c \
	daemon/image/restore-terminals.c \
	daemon/image/restore-tmpfs.c \
	daemon/image/restore-tree.c \
	daemon/image/restore.c \
	daemon/image/restore.h \
	daemon/image/protocol.h \
	daemon/image/save-calls.c \
	daemon/image/save-files.c \
	daemon/image/save-files.h \
	daemon/image/save-inotify.c \
	daemon/image/save-ipc.c \
	daemon/image/save-main.c \
	daemon/image/save-maps.c \
	daemon/image/save-mqueues.c \
	daemon/image/save-outside.c \
	daemon/image/save-pages.c \
	daemon/image/save-pipes.c \
	daemon/image/save-ptys.c \
	daemon/image/save-queues.c \
	daemon/image/save-reach.c \
	daemon/image/save-seize.c \
	daemon/image/save-sockets.c \
	daemon/image/save-tasks.c \
	daemon/image/save-tcp.c \
	daemon/image/save-timers.c \
	daemon/image/save-tmpfs.c \
	daemon/image/save.h \
	daemon/image/tcp-repair.h \
	daemon/kernel/sock-diag.c \
	daemon/kernel/sock-diag.h
sentry_imager_CPPFLAGS = $(AM_CPPFLAGS) -I$(top_srcdir)/daemon/kernel
sentry_imager_CFLAGS = $(AM_CFLAGS) -pthread $(JSON_CFLAGS) $(XXHASH_CFLAGS) $(ZSTD_CFLAGS) $(CAP_CFLAGS) $(SYSTEMD_CFLAGS)
sentry_imager_LDADD = libimage.a libcommon.a libkernelemu.a $(JSON_LIBS) $(XXHASH_LIBS) $(ZSTD_LIBS) $(CAP_LIBS)
