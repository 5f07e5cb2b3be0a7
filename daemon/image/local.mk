# SPDX-License-Identifier: LGPL-2.1-or-later

noinst_LIBRARIES += libimage.a
libimage_a_SOURCES = \
	daemon/image/image-check.c \
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
	daemon/image/visit.c
libimage_a_CFLAGS = $(AM_CFLAGS) $(JSON_CFLAGS) $(ZSTD_CFLAGS)

pkglibexec_PROGRAMS += sentry-imager
sentry_imager_SOURCES = \
	daemon/image/imager.h \
	daemon/image/main.c \
	daemon/image/restore-attach.c \
	daemon/image/restore-files.c \
	daemon/image/restore-internal.h \
	daemon/image/restore-main.c \
	daemon/image/restore-memory.c \
	daemon/image/restore-protocol.h \
	daemon/image/restore-sockets.c \
	daemon/image/restore-state.c \
	daemon/image/restore-tmpfs.c \
	daemon/image/restore-tree.c \
	daemon/image/restore.c \
	daemon/image/restore.h
sentry_imager_CFLAGS = $(AM_CFLAGS) -pthread $(JSON_CFLAGS) $(ZSTD_CFLAGS)
sentry_imager_LDADD = libimage.a libcommon.a libkernelemu.a $(JSON_LIBS) $(ZSTD_LIBS)
