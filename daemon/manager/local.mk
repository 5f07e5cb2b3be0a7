# SPDX-License-Identifier: LGPL-2.1-or-later

pkglibexec_PROGRAMS += sentryd
sentryd_SOURCES = \
	daemon/manager/arrivals.c \
	daemon/manager/arrivals.h \
	daemon/manager/authorize.c \
	daemon/manager/authorize.h \
	daemon/manager/config.c \
	daemon/manager/config.h \
	daemon/manager/connection.c \
	daemon/manager/connection.h \
	daemon/manager/embedded.c \
	daemon/manager/embedded.h \
	daemon/manager/held.c \
	daemon/manager/held.h \
	daemon/manager/identify.c \
	daemon/manager/identify.h \
	daemon/manager/log-control.c \
	daemon/manager/log-control.h \
	daemon/manager/main.c \
	daemon/manager/manager-dbus.c \
	daemon/manager/manager-methods.c \
	daemon/manager/manager.c \
	daemon/manager/manager.h \
	daemon/manager/pending.c \
	daemon/manager/pending.h \
	daemon/manager/properties.c \
	daemon/manager/runtime.c \
	daemon/manager/runtime.h \
	daemon/manager/restore-method.c \
	daemon/manager/sandbox-dbus.c \
	daemon/manager/sandbox-kernel.c \
	daemon/manager/sandbox-kernel.h \
	daemon/manager/sandbox-log.c \
	daemon/manager/sandbox-log.h \
	daemon/manager/sandbox-methods.c \
	daemon/manager/sandbox.c \
	daemon/manager/sandbox.h \
	daemon/manager/spawn.c \
	daemon/manager/spawn.h \
	daemon/manager/visitors.c \
	daemon/manager/visitors.h
sentryd_CFLAGS = $(AM_CFLAGS) $(SYSTEMD_CFLAGS) $(JSON_CFLAGS) $(CAP_CFLAGS)
sentryd_LDADD = libcommon.a libkernelemu.a $(SYSTEMD_LIBS) $(JSON_LIBS) $(CAP_LIBS)
