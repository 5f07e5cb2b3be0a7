# SPDX-License-Identifier: LGPL-2.1-or-later

noinst_LIBRARIES += libcommon.a
libcommon_a_SOURCES = \
	daemon/common/bus-tasks.h \
	daemon/common/bus-timers.h \
	daemon/common/bus-util.c \
	daemon/common/bus-util.h \
	daemon/common/stopped-call.h \
	daemon/common/cgroup-path.c \
	daemon/common/cgroup-path.h \
	daemon/common/launch-protocol.h \
	daemon/common/log.c \
	daemon/common/log.h \
	daemon/common/profile-addresses.c \
	daemon/common/profile-features.h \
	daemon/common/profile-internal.h \
	daemon/common/profile-linux.c \
	daemon/common/profile-load.c \
	daemon/common/profile-locate.c \
	daemon/common/profile-locate.h \
	daemon/common/profile-mounts.c \
	daemon/common/profile-parse.c \
	daemon/common/profile-schema.c \
	daemon/common/profile-values.c \
	daemon/common/profile.c \
	daemon/common/profile.h \
	daemon/common/rendezvous.c \
	daemon/common/rendezvous.h \
	daemon/common/runtime-dir.c \
	daemon/common/runtime-dir.h \
	daemon/common/util.c \
	daemon/common/util.h
libcommon_a_CFLAGS = $(AM_CFLAGS) $(SYSTEMD_CFLAGS) $(JSON_CFLAGS) $(CAP_CFLAGS)
