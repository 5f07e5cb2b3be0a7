# SPDX-License-Identifier: LGPL-2.1-or-later
# The benchmark suite: built and run by "make bench" only, as in
#     make bench BENCH_FLAGS="--quick --only calls"

bench_programs = bench/bus-call bench/calls bench/floor bench/pages bench/sockets bench/spawn-time \
	bench/timers

EXTRA_PROGRAMS += $(bench_programs)
CLEANFILES += $(bench_programs) bench/results.json
EXTRA_DIST += bench/README.md bench/figures.bash bench/journal.bash bench/manager.bash bench/run-bench bench/save.bash \
	bench/sockets.bash bench/tasks.bash

bench_bus_call_SOURCES = bench/bus-call.c bench/bench.h
bench_bus_call_CFLAGS = $(AM_CFLAGS) $(SYSTEMD_CFLAGS)
bench_bus_call_LDADD = libcommon.a libkernelemu.a $(SYSTEMD_LIBS)
bench_calls_SOURCES = bench/calls.c bench/bench.h
bench_floor_SOURCES = bench/floor.c bench/bench.h
bench_pages_SOURCES = bench/pages.c bench/bench.h
bench_sockets_SOURCES = bench/sockets.c bench/bench.h
bench_spawn_time_SOURCES = bench/spawn-time.c bench/bench.h
bench_timers_SOURCES = bench/timers.c bench/bench.h

.PHONY: bench
bench: all $(bench_programs)
	SENTRYCTL=$(abs_builddir)/sentryctl BENCH_BINDIR=$(abs_builddir)/bench \
		$(abs_srcdir)/bench/run-bench $(BENCH_FLAGS)
