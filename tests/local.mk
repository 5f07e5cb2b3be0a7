# SPDX-License-Identifier: LGPL-2.1-or-later

# The tests. `make check` runs all of them in parallel, each through tests/lib/run-test, which bounds its time;
# tests/sys programs run natively first, then in a sandbox (tests/sys/run). One of them:
#     make check TESTS=tests/sys/uname     make check TESTS=tests/live/shell.sh

# Programs of one file each, on the host and in sandboxes: without sanitizers, whose run-time needs of their own
# would hide what is tested.
sys_tests = \
	tests/sys/affinity \
	tests/sys/clone \
	tests/sys/creds \
	tests/sys/exec \
	tests/sys/foreign \
	tests/sys/kill \
	tests/sys/memory \
	tests/sys/personality \
	tests/sys/prctl-ptracer \
	tests/sys/procs \
	tests/sys/ptrace-scope \
	tests/sys/reboot \
	tests/sys/refused \
	tests/sys/setdomainname \
	tests/sys/sethostname \
	tests/sys/signals \
	tests/sys/sysinfo \
	tests/sys/syslog \
	tests/sys/time \
	tests/sys/tty \
	tests/sys/uname

# The longest first, for a machine with several processors.
live_tests = \
	tests/live/sequence.sh \
	tests/live/options.sh \
	tests/live/pidhost.sh \
	tests/live/debuggers.sh \
	tests/live/killed.sh \
	tests/live/kernel.sh \
	tests/live/exec.sh \
	tests/live/profiles.sh \
	tests/live/shell.sh \
	tests/live/signal.sh \
	tests/live/pause.sh \
	tests/live/programs.sh \
	tests/live/init.sh \
	tests/live/mounts.sh \
	tests/live/limits.sh \
	tests/live/users.sh \
	tests/live/walls.sh \
	tests/live/services.sh \
	tests/live/comparison.sh \
	tests/live/network.sh \
	tests/live/isolation.sh \
	tests/live/forkstorm.sh \
	tests/live/tasks.sh \
	tests/live/escape.sh \
	tests/live/events.sh \
	tests/live/stuck.sh \
	tests/live/trace.sh \
	tests/live/wait.sh \
	tests/live/terminal.sh

bus_tests = tests/bus/bus.sh

lint_tests = \
	tests/lint/layering.sh \
	tests/lint/man.sh \
	tests/lint/shell.sh \
	tests/lint/table.sh




check_PROGRAMS += $(sys_tests)
TESTS += $(live_tests) $(bus_tests) $(sys_tests) $(lint_tests)

EXTRA_DIST += \
	$(live_tests) \
	$(bus_tests) \
	$(lint_tests) \
	tests/.shellcheckrc \
	tests/lib/run-test \
	tests/lib/tap.sh \
	tests/sys/run

TEST_EXTENSIONS = .sh
LOG_DRIVER = $(SHELL) $(top_srcdir)/build-aux/tap-driver.sh
LOG_COMPILER = bash $(top_srcdir)/tests/lib/run-test
SH_LOG_DRIVER = $(LOG_DRIVER)
SH_LOG_COMPILER = $(LOG_COMPILER)
AM_TESTS_ENVIRONMENT = \
	srcdir='$(abs_top_srcdir)'; export srcdir; \
	SENTRYD_BUILD='$(abs_top_builddir)'; export SENTRYD_BUILD; \
	SENTRYCTL='$(abs_top_builddir)/sentryctl'; export SENTRYCTL;

# AM_CPPFLAGS, AM_CFLAGS and AM_LDFLAGS bring the sanitizers and -include config.h: each program has flags of its own.
sys_cppflags = -D_GNU_SOURCE -I$(top_srcdir)/tests/lib
sys_cflags = -std=gnu17 $(WARN_CFLAGS) -pthread
sys_ldflags = -pthread

tests_sys_affinity_SOURCES = tests/sys/affinity.c tests/lib/tap.h tests/sys/sys.h
tests_sys_affinity_CPPFLAGS = $(sys_cppflags)
tests_sys_affinity_CFLAGS = $(sys_cflags)
tests_sys_affinity_LDFLAGS = $(sys_ldflags)
tests_sys_clone_SOURCES = tests/sys/clone.c tests/lib/tap.h tests/sys/sys.h
tests_sys_clone_CPPFLAGS = $(sys_cppflags)
tests_sys_clone_CFLAGS = $(sys_cflags)
tests_sys_clone_LDFLAGS = $(sys_ldflags)
tests_sys_creds_SOURCES = tests/sys/creds.c tests/lib/tap.h tests/sys/sys.h
tests_sys_creds_CPPFLAGS = $(sys_cppflags)
tests_sys_creds_CFLAGS = $(sys_cflags)
tests_sys_creds_LDFLAGS = $(sys_ldflags)
tests_sys_exec_SOURCES = tests/sys/exec.c tests/lib/tap.h tests/sys/sys.h
tests_sys_exec_CPPFLAGS = $(sys_cppflags)
tests_sys_exec_CFLAGS = $(sys_cflags)
tests_sys_exec_LDFLAGS = $(sys_ldflags)
tests_sys_foreign_SOURCES = tests/sys/foreign.c tests/lib/tap.h tests/sys/sys.h
tests_sys_foreign_CPPFLAGS = $(sys_cppflags)
tests_sys_foreign_CFLAGS = $(sys_cflags)
tests_sys_foreign_LDFLAGS = $(sys_ldflags)
tests_sys_kill_SOURCES = tests/sys/kill.c tests/lib/tap.h tests/sys/sys.h
tests_sys_kill_CPPFLAGS = $(sys_cppflags)
tests_sys_kill_CFLAGS = $(sys_cflags)
tests_sys_kill_LDFLAGS = $(sys_ldflags)
tests_sys_prctl_ptracer_SOURCES = tests/sys/prctl-ptracer.c tests/lib/tap.h tests/sys/sys.h
tests_sys_prctl_ptracer_CPPFLAGS = $(sys_cppflags)
tests_sys_prctl_ptracer_CFLAGS = $(sys_cflags)
tests_sys_prctl_ptracer_LDFLAGS = $(sys_ldflags)
tests_sys_ptrace_scope_SOURCES = tests/sys/ptrace-scope.c tests/lib/tap.h tests/sys/sys.h
tests_sys_ptrace_scope_CPPFLAGS = $(sys_cppflags)
tests_sys_ptrace_scope_CFLAGS = $(sys_cflags)
tests_sys_ptrace_scope_LDFLAGS = $(sys_ldflags)
tests_sys_memory_SOURCES = tests/sys/memory.c tests/lib/tap.h tests/sys/sys.h
tests_sys_memory_CPPFLAGS = $(sys_cppflags)
tests_sys_memory_CFLAGS = $(sys_cflags)
tests_sys_memory_LDFLAGS = $(sys_ldflags)
tests_sys_personality_SOURCES = tests/sys/personality.c tests/lib/tap.h tests/sys/sys.h
tests_sys_personality_CPPFLAGS = $(sys_cppflags)
tests_sys_personality_CFLAGS = $(sys_cflags)
tests_sys_personality_LDFLAGS = $(sys_ldflags)
tests_sys_procs_SOURCES = tests/sys/procs.c tests/lib/tap.h tests/sys/sys.h
tests_sys_procs_CPPFLAGS = $(sys_cppflags)
tests_sys_procs_CFLAGS = $(sys_cflags)
tests_sys_procs_LDFLAGS = $(sys_ldflags)
tests_sys_reboot_SOURCES = tests/sys/reboot.c tests/lib/tap.h tests/sys/sys.h
tests_sys_reboot_CPPFLAGS = $(sys_cppflags)
tests_sys_reboot_CFLAGS = $(sys_cflags)
tests_sys_reboot_LDFLAGS = $(sys_ldflags)
tests_sys_refused_SOURCES = tests/sys/refused.c tests/lib/tap.h tests/sys/sys.h
tests_sys_refused_CPPFLAGS = $(sys_cppflags)
tests_sys_refused_CFLAGS = $(sys_cflags)
tests_sys_refused_LDFLAGS = $(sys_ldflags)
tests_sys_setdomainname_SOURCES = tests/sys/setdomainname.c tests/lib/tap.h tests/sys/sys.h tests/sys/uts.h
tests_sys_setdomainname_CPPFLAGS = $(sys_cppflags)
tests_sys_setdomainname_CFLAGS = $(sys_cflags)
tests_sys_setdomainname_LDFLAGS = $(sys_ldflags)
tests_sys_sethostname_SOURCES = tests/sys/sethostname.c tests/lib/tap.h tests/sys/sys.h tests/sys/uts.h
tests_sys_sethostname_CPPFLAGS = $(sys_cppflags)
tests_sys_sethostname_CFLAGS = $(sys_cflags)
tests_sys_sethostname_LDFLAGS = $(sys_ldflags)
tests_sys_signals_SOURCES = tests/sys/signals.c tests/lib/tap.h tests/sys/sys.h
tests_sys_signals_CPPFLAGS = $(sys_cppflags)
tests_sys_signals_CFLAGS = $(sys_cflags)
tests_sys_signals_LDFLAGS = $(sys_ldflags)
tests_sys_sysinfo_SOURCES = tests/sys/sysinfo.c tests/lib/tap.h tests/sys/sys.h
tests_sys_sysinfo_CPPFLAGS = $(sys_cppflags)
tests_sys_sysinfo_CFLAGS = $(sys_cflags)
tests_sys_sysinfo_LDFLAGS = $(sys_ldflags)
tests_sys_syslog_SOURCES = tests/sys/syslog.c tests/lib/tap.h tests/sys/sys.h
tests_sys_syslog_CPPFLAGS = $(sys_cppflags)
tests_sys_syslog_CFLAGS = $(sys_cflags)
tests_sys_syslog_LDFLAGS = $(sys_ldflags)
tests_sys_time_SOURCES = tests/sys/time.c tests/lib/tap.h tests/sys/sys.h
tests_sys_time_CPPFLAGS = $(sys_cppflags)
tests_sys_time_CFLAGS = $(sys_cflags)
tests_sys_time_LDFLAGS = $(sys_ldflags)
tests_sys_tty_SOURCES = tests/sys/tty.c tests/lib/tap.h tests/sys/sys.h
tests_sys_tty_CPPFLAGS = $(sys_cppflags)
tests_sys_tty_CFLAGS = $(sys_cflags)
tests_sys_tty_LDFLAGS = $(sys_ldflags)
tests_sys_uname_SOURCES = tests/sys/uname.c tests/lib/tap.h tests/sys/sys.h
tests_sys_uname_CPPFLAGS = $(sys_cppflags)
tests_sys_uname_CFLAGS = $(sys_cflags)
tests_sys_uname_LDFLAGS = $(sys_ldflags)
