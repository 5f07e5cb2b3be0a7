# SPDX-License-Identifier: LGPL-2.1-or-later

noinst_LIBRARIES += libimage.a
libimage_a_SOURCES = \
	daemon/image/inject.c \
	daemon/image/inject.h
