# SPDX-License-Identifier: LGPL-2.1-or-later

bin_PROGRAMS += sentryctl
sentryctl_SOURCES = \
	ctl/agent.c \
	ctl/agent.h \
	ctl/connect.c \
	ctl/connect.h \
	ctl/credentials.c \
	ctl/credentials.h \
	ctl/ctl.h \
	ctl/document.c \
	ctl/document.h \
	ctl/embedded.c \
	ctl/embedded.h \
	ctl/harden-apply.c \
	ctl/harden-plan.c \
	ctl/harden.h \
	ctl/help.c \
	ctl/help.h \
	ctl/lists.c \
	ctl/lists.h \
	ctl/options.c \
	ctl/pager.c \
	ctl/pager.h \
	ctl/progress.c \
	ctl/progress.h \
	ctl/run.h \
	ctl/sandboxes.c \
	ctl/sandboxes.h \
	ctl/sentryctl.c \
	ctl/syscalls-man.c \
	ctl/syscalls-man.h \
	ctl/syscalls-stats.c \
	ctl/syscalls-stats.h \
	ctl/systemd.c \
	ctl/systemd.h \
	ctl/table.c \
	ctl/table.h \
	ctl/tasks.c \
	ctl/tasks.h \
	ctl/text.c \
	ctl/text.h \
	ctl/unit-exec.c \
	ctl/unit-exec.h \
	ctl/verb-cgroups.c \
	ctl/verb-control.c \
	ctl/verb-exec.c \
	ctl/verb-fds.c \
	ctl/verb-harden.c \
	ctl/verb-image.c \
	ctl/verb-ipc.c \
	ctl/verb-list.c \
	ctl/verb-log-level.c \
	ctl/verb-log.c \
	ctl/verb-mounts.c \
	ctl/verb-namespaces.c \
	ctl/verb-profile.c \
	ctl/verb-ps.c \
	ctl/verb-restore.c \
	ctl/verb-run.c \
	ctl/verb-save.c \
	ctl/verb-signal.c \
	ctl/verb-sockets.c \
	ctl/verb-status.c \
	ctl/verb-syscalls.c \
	ctl/verb-timers.c \
	ctl/verb-top.c \
	ctl/verb-trace.c \
	ctl/verb-version.c
sentryctl_CFLAGS = $(AM_CFLAGS) -pthread $(SYSTEMD_CFLAGS) $(SECCOMP_CFLAGS) $(JSON_CFLAGS) $(CAP_CFLAGS) $(SMARTCOLS_CFLAGS)
sentryctl_LDADD = libimage.a liblaunch.a libkernelemu.a libcommon.a libkernelemu.a \
	$(SYSTEMD_LIBS) $(SECCOMP_LIBS) $(JSON_LIBS) $(CAP_LIBS) $(SMARTCOLS_LIBS) $(XXHASH_LIBS) $(ZSTD_LIBS)

bashcompletiondir = $(datadir)/bash-completion/completions
zshcompletiondir = $(datadir)/zsh/site-functions
dist_zshcompletion_DATA = ctl/completion/_sentryctl
EXTRA_DIST += ctl/completion/sentryctl.bash

# Under the name by which bash looks for it.
install-data-local: install-completion
.PHONY: install-completion uninstall-completion
install-completion:
	$(MKDIR_P) "$(DESTDIR)$(bashcompletiondir)"
	$(INSTALL_DATA) $(srcdir)/ctl/completion/sentryctl.bash "$(DESTDIR)$(bashcompletiondir)/sentryctl"
uninstall-local: uninstall-completion
uninstall-completion:
	rm -f "$(DESTDIR)$(bashcompletiondir)/sentryctl"
