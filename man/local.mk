# SPDX-License-Identifier: LGPL-2.1-or-later

dist_man_MANS += \
	man/org.sentryd1.5 \
	man/sentryctl.1 \
	man/sentryd-harden.7 \
	man/sentryd-image.5 \
	man/sentryd-profile.5 \
	man/sentryd.7 \
	man/sentryd.8 \
	man/sentryd.conf.5

# The table of system calls documents itself.
nodist_man_MANS = man/sentry-syscalls.7
EXTRA_DIST += man/sentry-syscalls.7.in man/sentry-syscalls.7.tail
CLEANFILES += man/sentry-syscalls.7
man/sentry-syscalls.7: man/sentry-syscalls.7.in man/sentry-syscalls.7.tail sentryctl$(EXEEXT)
	$(AM_V_GEN)$(MKDIR_P) man && { cat $(srcdir)/man/sentry-syscalls.7.in && \
		./sentryctl$(EXEEXT) syscalls --man && cat $(srcdir)/man/sentry-syscalls.7.tail; } >$@.tmp && mv $@.tmp $@
