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
