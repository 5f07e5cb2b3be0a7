# SPDX-License-Identifier: LGPL-2.1-or-later

# Unit tests: on a fake host, with no privilege and no seccomp.
unit_kernelemu_tests = \
	tests/unit/test-address-rules \
	tests/unit/test-cpuset \
	tests/unit/test-kernel \
	tests/unit/test-kernel-log \
	tests/unit/test-mount \
	tests/unit/test-ratelimit \
	tests/unit/test-record \
	tests/unit/test-sockets \
	tests/unit/test-statistics \
	tests/unit/test-trace \
	tests/unit/test-tasks \
	tests/unit/test-timers \
	tests/unit/test-timer-queue \
	tests/unit/test-unix \
	tests/unit/test-others
unit_common_tests = \
	tests/unit/test-arguments \
	tests/unit/test-filter \
	tests/unit/test-journal \
	tests/unit/test-image \
	tests/unit/test-inject \
	tests/unit/test-profile \
	tests/unit/test-pty \
	tests/unit/test-rendezvous \
	tests/unit/test-unit-exec \
	tests/unit/test-util
unit_tests = $(unit_kernelemu_tests) $(unit_common_tests)
check_PROGRAMS += $(unit_tests)
TESTS += $(unit_tests)

unit_cppflags = $(AM_CPPFLAGS) -I$(top_srcdir)/tests/lib -I$(top_srcdir)/tests/unit
tests_unit_test_address_rules_CPPFLAGS = $(unit_cppflags)
tests_unit_test_address_rules_LDADD = libkernelemu.a
tests_unit_test_cpuset_CPPFLAGS = $(unit_cppflags)
tests_unit_test_cpuset_LDADD = libkernelemu.a
tests_unit_test_kernel_SOURCES = tests/unit/test-kernel.c tests/unit/fake-host.h tests/lib/tap.h
tests_unit_test_others_SOURCES = tests/unit/test-others.c tests/unit/fake-host.h tests/lib/tap.h
tests_unit_test_others_CPPFLAGS = $(unit_cppflags)
tests_unit_test_others_LDADD = libkernelemu.a
tests_unit_test_kernel_CPPFLAGS = $(unit_cppflags)
tests_unit_test_kernel_LDADD = libkernelemu.a
tests_unit_test_kernel_log_CPPFLAGS = $(unit_cppflags)
tests_unit_test_kernel_log_LDADD = libkernelemu.a
tests_unit_test_ratelimit_CPPFLAGS = $(unit_cppflags)
tests_unit_test_ratelimit_LDADD = libkernelemu.a
tests_unit_test_mount_SOURCES = tests/unit/test-mount.c tests/unit/fake-host.h tests/lib/tap.h
tests_unit_test_mount_CPPFLAGS = $(unit_cppflags)
tests_unit_test_mount_LDADD = libkernelemu.a
tests_unit_test_unix_SOURCES = tests/unit/test-unix.c tests/unit/fake-host.h tests/lib/tap.h
tests_unit_test_unix_CPPFLAGS = $(unit_cppflags)
tests_unit_test_unix_LDADD = libkernelemu.a
tests_unit_test_record_CPPFLAGS = $(unit_cppflags)
tests_unit_test_record_LDADD = libkernelemu.a
tests_unit_test_timers_SOURCES = tests/unit/test-timers.c tests/unit/fake-host.h tests/lib/tap.h
tests_unit_test_timers_CPPFLAGS = $(unit_cppflags)
tests_unit_test_timers_LDADD = libkernelemu.a
tests_unit_test_timer_queue_CPPFLAGS = $(unit_cppflags)
tests_unit_test_timer_queue_LDADD = libkernelemu.a
tests_unit_test_tasks_SOURCES = tests/unit/test-tasks.c tests/unit/fake-host.h tests/lib/tap.h
tests_unit_test_tasks_CPPFLAGS = $(unit_cppflags)
tests_unit_test_tasks_LDADD = libkernelemu.a
tests_unit_test_statistics_SOURCES = tests/unit/test-statistics.c tests/unit/fake-host.h tests/lib/tap.h
tests_unit_test_sockets_SOURCES = tests/unit/test-sockets.c tests/unit/fake-host.h tests/lib/tap.h
tests_unit_test_sockets_CPPFLAGS = $(unit_cppflags)
tests_unit_test_sockets_LDADD = libkernelemu.a
tests_unit_test_statistics_CPPFLAGS = $(unit_cppflags)
tests_unit_test_statistics_LDADD = libkernelemu.a
tests_unit_test_trace_SOURCES = tests/unit/test-trace.c tests/unit/fake-host.h tests/lib/tap.h
tests_unit_test_trace_CPPFLAGS = $(unit_cppflags)
tests_unit_test_trace_LDADD = libkernelemu.a

unit_common_cflags = $(AM_CFLAGS) $(JSON_CFLAGS) $(CAP_CFLAGS)
unit_common_libs = libcommon.a libkernelemu.a $(JSON_LIBS) $(CAP_LIBS)
tests_unit_test_filter_CPPFLAGS = $(unit_cppflags)
tests_unit_test_filter_CFLAGS = $(unit_common_cflags) $(SECCOMP_CFLAGS)
tests_unit_test_filter_LDADD = liblaunch.a libkernelemu.a $(unit_common_libs) $(SECCOMP_LIBS)
tests_unit_test_image_CPPFLAGS = $(unit_cppflags)
tests_unit_test_image_CFLAGS = $(unit_common_cflags) $(XXHASH_CFLAGS) $(ZSTD_CFLAGS)
tests_unit_test_image_LDADD = libimage.a libcommon.a $(JSON_LIBS) $(XXHASH_LIBS) $(ZSTD_LIBS)
tests_unit_test_inject_CPPFLAGS = $(unit_cppflags)
tests_unit_test_inject_CFLAGS = $(unit_common_cflags)
tests_unit_test_inject_LDADD = libimage.a libcommon.a $(JSON_LIBS)
tests_unit_test_pty_CPPFLAGS = $(unit_cppflags)
tests_unit_test_pty_CFLAGS = $(unit_common_cflags)
tests_unit_test_pty_LDADD = libimage.a libcommon.a $(JSON_LIBS)
tests_unit_test_profile_CPPFLAGS = $(unit_cppflags)
tests_unit_test_profile_CFLAGS = $(unit_common_cflags)
tests_unit_test_profile_LDADD = $(unit_common_libs)
tests_unit_test_journal_SOURCES = tests/unit/test-journal.c daemon/kernel/journal.c tests/unit/fake-host.h tests/lib/tap.h
tests_unit_test_journal_CPPFLAGS = $(unit_cppflags) -I$(top_srcdir)/daemon/kernel
tests_unit_test_journal_CFLAGS = $(unit_common_cflags) $(SYSTEMD_CFLAGS)
tests_unit_test_journal_LDADD = libkernelemu.a $(unit_common_libs)
tests_unit_test_rendezvous_CPPFLAGS = $(unit_cppflags)
tests_unit_test_rendezvous_CFLAGS = $(unit_common_cflags)
tests_unit_test_rendezvous_LDADD = $(unit_common_libs)
tests_unit_test_arguments_SOURCES = tests/unit/test-arguments.c daemon/kernel/arguments.c daemon/kernel/proc-task.c tests/lib/tap.h
tests_unit_test_arguments_CPPFLAGS = $(unit_cppflags) -I$(top_srcdir)/daemon/kernel
tests_unit_test_arguments_CFLAGS = $(unit_common_cflags) -pthread
tests_unit_test_arguments_LDADD = $(unit_common_libs)
tests_unit_test_arguments_LDFLAGS = $(AM_LDFLAGS) -pthread
tests_unit_test_util_CPPFLAGS = $(unit_cppflags)
tests_unit_test_util_CFLAGS = $(unit_common_cflags)
tests_unit_test_util_LDADD = $(unit_common_libs)

# Fuzzers run their own mutations for a bounded number of rounds here; with clang's libFuzzer they are built by hand:
#     clang -DLIBFUZZER -fsanitize=fuzzer,address …
fuzzers = tests/fuzz/fuzz-profile tests/fuzz/fuzz-image
check_PROGRAMS += $(fuzzers)
TESTS += tests/fuzz/fuzz.sh
EXTRA_DIST += tests/fuzz/fuzz.sh
tests_fuzz_fuzz_profile_CFLAGS = $(unit_common_cflags)
tests_fuzz_fuzz_profile_LDADD = $(unit_common_libs)
tests_unit_test_unit_exec_SOURCES = tests/unit/test-unit-exec.c ctl/unit-exec.c ctl/unit-exec.h tests/lib/tap.h
tests_unit_test_unit_exec_CPPFLAGS = $(unit_cppflags) -I$(top_srcdir)/ctl
tests_unit_test_unit_exec_CFLAGS = $(unit_common_cflags)
tests_unit_test_unit_exec_LDADD = $(unit_common_libs)
tests_fuzz_fuzz_image_CFLAGS = $(unit_common_cflags)
tests_fuzz_fuzz_image_LDADD = libimage.a $(unit_common_libs) $(XXHASH_LIBS) $(ZSTD_LIBS)
