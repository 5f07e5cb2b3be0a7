# SPDX-License-Identifier: LGPL-2.1-or-later

# The tests. `make check` runs all of them in parallel, each through tests/lib/run-test, which bounds its time;
# tests/sys programs run natively first, then in a sandbox (tests/sys/run). One of them:
#     make check TESTS=tests/sys/uname     make check TESTS=tests/live/shell.sh

# Programs of one file each, on the host and in sandboxes: without sanitizers, whose run-time needs of their own
# would hide what is tested.
sys_tests = \
	tests/sys/affinity \
	tests/sys/clocks \
	tests/sys/clone \
	tests/sys/creds \
	tests/sys/exec \
	tests/sys/foreign \
	tests/sys/itimer \
	tests/sys/kill \
	tests/sys/memory \
	tests/sys/mount \
	tests/sys/personality \
	tests/sys/posix-timer \
	tests/sys/prctl-ptracer \
	tests/sys/procs \
	tests/sys/ptrace-scope \
	tests/sys/reboot \
	tests/sys/refused \
	tests/sys/setdomainname \
	tests/sys/sethostname \
	tests/sys/settime \
	tests/sys/signals \
	tests/sys/socket \
	tests/sys/sysinfo \
	tests/sys/syslog \
	tests/sys/time \
	tests/sys/timer-overrun \
	tests/sys/timerfd \
	tests/sys/tty \
	tests/sys/uname \
	tests/sys/unix

# The longest first, for a machine with several processors.
live_tests = \
	tests/live/sequence.sh \
	tests/live/options.sh \
	tests/live/pager.sh \
	tests/live/pidhost.sh \
	tests/live/debuggers.sh \
	tests/live/killed.sh \
	tests/live/adopt.sh \
	tests/live/kernel.sh \
	tests/live/exec.sh \
	tests/live/profiles.sh \
	tests/live/shell.sh \
	tests/live/signal.sh \
	tests/live/pause.sh \
	tests/live/restore.sh \
	tests/live/restore-sockets.sh \
	tests/live/autosave.sh \
	tests/live/programs.sh \
	tests/live/addresses.sh \
	tests/live/in-place.sh \
	tests/live/init.sh \
	tests/live/mounting.sh \
	tests/live/mounts.sh \
	tests/live/save.sh \
	tests/live/save-ipc.sh \
	tests/live/save-programs.sh \
	tests/live/save-terminal.sh \
	tests/live/limits.sh \
	tests/live/users.sh \
	tests/live/walls.sh \
	tests/live/abstract.sh \
	tests/live/services.sh \
	tests/live/comparison.sh \
	tests/live/crash.sh \
	tests/live/network.sh \
	tests/live/isolation.sh \
	tests/live/forkstorm.sh \
	tests/live/tasks.sh \
	tests/live/timer-list.sh \
	tests/live/timers.sh \
	tests/live/lists.sh \
	tests/live/nesting.sh \
	tests/live/dying.sh \
	tests/live/escape.sh \
	tests/live/events.sh \
	tests/live/stuck.sh \
	tests/live/trace.sh \
	tests/live/wait.sh \
	tests/live/terminal.sh

bus_tests = \
	tests/bus/bus.sh \
	tests/bus/dying.sh \
	tests/bus/config.sh \
	tests/bus/hostile.sh \
	tests/bus/interface.sh \
	tests/bus/polkit.sh

system_tests = \
	tests/system/harden.sh \
	tests/system/hardened.sh \
	tests/system/service.sh \
	tests/system/crash.sh \
	tests/system/scopes.sh \
	tests/system/save.sh

lint_tests = \
	tests/lint/layering.sh \
	tests/lint/man.sh \
	tests/lint/run-test.sh \
	tests/lint/shell.sh \
	tests/lint/table.sh \
	tests/lint/verbs.sh


# What the live tests need beside programs of the distribution.
live_programs = tests/live/address-racer tests/live/crasher tests/live/ipc-program tests/live/restore-program

check_SCRIPTS += $(sys_tests) $(live_programs)

check_PROGRAMS += tests/bus/mock-polkit tests/bus/mock-sentryd tests/bus/hostile
tests_bus_mock_sentryd_SOURCES = tests/bus/mock-sentryd.c
tests_bus_mock_sentryd_CFLAGS = $(AM_CFLAGS) $(SYSTEMD_CFLAGS)
tests_bus_mock_sentryd_LDADD = $(SYSTEMD_LIBS)
tests_bus_mock_polkit_SOURCES = tests/bus/mock-polkit.c
tests_bus_mock_polkit_CFLAGS = $(AM_CFLAGS) $(SYSTEMD_CFLAGS)
tests_bus_mock_polkit_LDADD = $(SYSTEMD_LIBS)
tests_bus_hostile_SOURCES = tests/bus/hostile.c
tests_bus_hostile_CFLAGS = $(AM_CFLAGS) $(SYSTEMD_CFLAGS)
tests_bus_hostile_LDADD = $(SYSTEMD_LIBS)

TESTS += $(system_tests) $(live_tests) $(bus_tests) $(sys_tests) $(lint_tests)

EXTRA_DIST += \
	$(live_tests) \
	$(bus_tests) \
	$(system_tests) \
	$(lint_tests) \
	tests/live/restore-sockets.py \
	tests/live/save-killer.py \
	tests/live/save-steps.py \
	tests/live/save-program.py \
	tests/.shellcheckrc \
	tests/lib/boot.bash \
	tests/system/harden.bash \
	tests/system/harden-probe.py \
	tests/live/visitor.py \
	tests/lib/lint.sh \
	tests/lib/run-test \
	tests/lib/save.bash \
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

# AM_CPPFLAGS, AM_CFLAGS and AM_LDFLAGS bring the sanitizers and -include config.h, so these programs have a rule of their
# own: their names above are all that make has to be told.
sys_headers = tests/lib/tap.h tests/sys/sys.h tests/sys/timer.h tests/sys/uts.h
EXTRA_DIST += $(sys_tests:=.c) $(live_programs:=.c) $(sys_headers)
CLEANFILES += $(sys_tests) $(live_programs)
$(sys_tests) $(live_programs): %: %.c $(sys_headers)
	$(AM_V_CC)$(MKDIR_P) $(@D) && $(CC) -D_GNU_SOURCE -I$(top_srcdir)/tests/lib $(CPPFLAGS) \
		-std=gnu17 $(WARN_CFLAGS) -pthread $(CFLAGS) $(LDFLAGS) -o $@ $<

# The racers of the tests, half a minute each time.
race_tests = tests/live/addresses.sh tests/live/mounting.sh
.PHONY: check-races
check-races:
	SENTRYD_RACE_SECONDS=30 SENTRYD_TEST_DEADLINE=900 $(MAKE) check TESTS='$(race_tests)'

# All programs of sys/, saved and restored more often than in make check, and at each of their emulated calls; and one a
# hundred times in a row. Without posix-timer, which measures what an image does not keep: the time of a CPU.
unsaved_tests = posix-timer
.PHONY: check-save
check-save: all $(check_SCRIPTS)
	SENTRYD_TEST_DEADLINE=7200 AUTOSAVE_SAVES=10 AUTOSAVE_CALLS=5000 AUTOSAVE_PROGRAMS='$(filter-out $(unsaved_tests),$(notdir $(sys_tests)))' \
		$(MAKE) check TESTS=tests/live/autosave.sh
	SENTRYD_TEST_DEADLINE=900 SENTRYD_TEST_ROUNDS=100 TESTS_ONLY=everything $(MAKE) check TESTS=tests/live/restore.sh

# Much more of what tests/live/crash.sh does in a minute: 1,000 kills as root and as a user each, of four sandboxes.
.PHONY: check-crash
check-crash:
	$(MAKE) $(AM_MAKEFLAGS) check TESTS='tests/live/crash.sh tests/system/crash.sh' SENTRYD_TEST_CRASHES=1000 SENTRYD_TEST_CRASH_BOXES=4 \
		SENTRYD_CRASH_ROUNDS=50 SENTRYD_TEST_DEADLINE=7200 SENTRYD_BOOT_DEADLINE=7000
