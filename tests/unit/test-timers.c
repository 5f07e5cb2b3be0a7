/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The Timekeeper and the timers of processes, on a fake host. */

#include <signal.h>
#include <time.h>

#include "abi/time.h"
#include "fake-host.h"
#include "tap.h"

#define MS INT64_C(1000000)
#define SEC (1000 * MS)
#define A (GUEST_BASE)
#define B (GUEST_BASE + 256)
#define RT_SIGNAL 40

static Kernel *new_kernel(FakeHost *fake) {
        Kernel *kernel = fake_kernel(fake);

        fake_task(fake, 1, 0, 1, 1);
        fake_task(fake, 2, 1, 1, 1);
        (void) fake_peer_add(fake, 1001, 1001, 1000, 1001);
        (void) fake_peer_add(fake, 1002, 1002, 1001, 1001);
        fake->max_watches = 64;
        fake->signals.caught = 1;
        return kernel;
}

static void put(FakeHost *fake, GuestAddr address, const void *data, size_t size) {
        memcpy(fake->memory + (address - GUEST_BASE), data, size);
}

static AbiItimerspec get(FakeHost *fake, GuestAddr address) {
        AbiItimerspec value;

        memcpy(&value, fake->memory + (address - GUEST_BASE), sizeof(value));
        return value;
}

static int64_t ns_of(AbiTimespec t) {
        return t.sec * SEC + t.nsec;
}

/* timer_create(2) by process pid. Its id, or an error. */
static int create(Kernel *kernel, FakeHost *fake, int pid, int clock, int notify, int signo, uint64_t value) {
        AbiSigevent event = { .value = value, .signo = signo, .notify = notify };
        Verdict verdict;
        int id;

        put(fake, A, &event, sizeof(event));
        verdict = fake_call4(kernel, 1000 + pid, "timer_create", (uint64_t) clock, A, B, 0);
        if (verdict.kind == VERDICT_ERROR)
                return -(int) verdict.value;
        memcpy(&id, fake->memory + (B - GUEST_BASE), sizeof(id));
        return id;
}

static int64_t set(Kernel *kernel, FakeHost *fake, int pid, int id, int flags, int64_t value, int64_t interval) {
        AbiItimerspec spec = { .value = { value / SEC, value % SEC }, .interval = { interval / SEC, interval % SEC } };
        Verdict verdict;

        put(fake, A, &spec, sizeof(spec));
        verdict = fake_call4(kernel, 1000 + pid, "timer_settime", (uint64_t) id, (uint64_t) flags, A, B);
        return verdict.kind == VERDICT_ERROR ? -verdict.value : verdict.value;
}

static int64_t left(Kernel *kernel, FakeHost *fake, int pid, int id) {
        Verdict verdict = fake_call4(kernel, 1000 + pid, "timer_gettime", (uint64_t) id, B, 0, 0);

        return verdict.kind == VERDICT_ERROR ? -verdict.value : ns_of(get(fake, B).value);
}

static int64_t overrun(Kernel *kernel, int pid, int id) {
        Verdict verdict = fake_call4(kernel, 1000 + pid, "timer_getoverrun", (uint64_t) id, 0, 0, 0);

        return verdict.kind == VERDICT_ERROR ? -verdict.value : verdict.value;
}

static void test_once(void) {
        FakeHost fake;
        Kernel *kernel = new_kernel(&fake);
        int id = create(kernel, &fake, 1, CLOCK_MONOTONIC, ABI_SIGEV_SIGNAL, RT_SIGNAL, 77);

        ok(id > 0 && (id & (int) POSIX_TIMER_ID_BIT), "ids are told from the host's");
        is_int(fake.n_alarms, 0, "what is not armed asks the host for nothing");
        is_int(set(kernel, &fake, 1, id, 0, 5 * MS, 0), 0, "a timer is set");
        is_int(fake.alarms[HOST_CLOCK_MONOTONIC], SEC + 5 * MS, "the host is asked to wake us then");
        fake_advance(kernel, 2 * MS);
        is_int(left(kernel, &fake, 1, id), 3 * MS, "it counts down");
        is_int(fake.n_timer_signals, 0, "and sends nothing yet");
        fake_advance(kernel, 3 * MS);
        is_int(fake.n_timer_signals, 1, "then it does");
        ok(fake.timer_signo == RT_SIGNAL && fake.timer_info.code == SI_TIMER && fake.timer_info.value == 77 &&
                   fake.timer_info.pid == id && fake.timer_info.uid == 0 && fake.timer_thread == 0, "what it was asked for");
        is_int(left(kernel, &fake, 1, id), 0, "it is over");
        ok(fake.alarms[HOST_CLOCK_MONOTONIC] == TIME_NEVER, "nothing armed, nothing wakes");
        fake_advance(kernel, SEC);
        is_int(fake.n_timer_signals, 1, "it was once");

        is_int(set(kernel, &fake, 2, id, 0, MS, 0), -EINVAL, "another process does not have it");
        is_int(left(kernel, &fake, 2, id), -EINVAL, "nor sees it");
        is_int(fake_call4(kernel, 1002, "timer_delete", (uint64_t) id, 0, 0, 0).value, EINVAL, "nor ends it");
        is_int(fake_call4(kernel, 1001, "timer_delete", (uint64_t) id, 0, 0, 0).value, 0, "its own does");
        is_int(left(kernel, &fake, 1, id), -EINVAL, "then it is gone");
        is_int(kernel->timekeeper.n_posix, 0, "there are no timers");
        kernel_free(kernel);
}

static void test_clocks(void) {
        FakeHost fake;
        Kernel *kernel = new_kernel(&fake);
        int real = create(kernel, &fake, 1, CLOCK_REALTIME, ABI_SIGEV_SIGNAL, RT_SIGNAL, 0);
        int boot = create(kernel, &fake, 1, CLOCK_BOOTTIME, ABI_SIGEV_SIGNAL, RT_SIGNAL, 0);

        (void) set(kernel, &fake, 1, boot, ABI_TIMER_ABSTIME, 2 * SEC, 0);
        is_int(fake.alarms[HOST_CLOCK_BOOTTIME], 2 * SEC, "CLOCK_BOOTTIME has an alarm of its own");
        is_int(left(kernel, &fake, 1, boot), SEC / 2, "an absolute time reads as what is left");
        (void) set(kernel, &fake, 1, real, 0, SEC, 0);
        ok(fake.alarms[HOST_CLOCK_REALTIME] == TIME_NEVER && fake.alarms[HOST_CLOCK_MONOTONIC] == 2 * SEC,
           "a time from now does not hang on the wall clock");
        (void) set(kernel, &fake, 1, real, ABI_TIMER_ABSTIME, INT64_C(1700000005) * SEC, 0);
        ok(fake.alarms[HOST_CLOCK_REALTIME] == INT64_C(1700000005) * SEC &&
                   fake.alarms[HOST_CLOCK_MONOTONIC] == TIME_NEVER, "an absolute one does");
        fake.clocks[HOST_CLOCK_REALTIME] += 5 * SEC; /* somebody sets it; the host's alarm rings */
        fake_advance(kernel, 0);
        is_int(fake.n_timer_signals, 1, "and is due when the clock is set past it");
        is_int(set(kernel, &fake, 1, boot, 0, INT64_MAX, INT64_MAX), 0, "a time too far away");
        is_int(set(kernel, &fake, 1, boot, 0, INT64_MAX, 0), 0, "is taken");
        kernel_free(kernel);
}

static void test_overrun(void) {
        FakeHost fake;
        Kernel *kernel = new_kernel(&fake);
        int id = create(kernel, &fake, 1, CLOCK_MONOTONIC, ABI_SIGEV_SIGNAL, RT_SIGNAL, 0), other;

        (void) set(kernel, &fake, 1, id, 0, 10 * MS, 10 * MS);
        fake_advance(kernel, 10 * MS);
        is_int(fake.n_timer_signals, 1, "a periodic timer sends");
        fake_advance(kernel, 40 * MS);
        is_int(fake.n_timer_signals, 1, "but once while it is pending");
        is_int(overrun(kernel, 1, id), 0, "and tells of no overrun before it is delivered");
        fake.signals.pending = 0;
        is_int(overrun(kernel, 1, id), 4, "then of those that were missed");
        is_int(overrun(kernel, 1, id), 4, "as often as it is asked");
        fake_advance(kernel, 10 * MS);
        is_int(fake.n_timer_signals, 2, "the next one is sent");
        is_int(fake.timer_info.uid, 4, "and says what was missed before it");
        is_int(overrun(kernel, 1, id), 4, "the last one delivered had that many");
        fake.signals.pending = 0;
        is_int(overrun(kernel, 1, id), 0, "this one had none");

        /* As when we were busy: 3 expirations are found at once. */
        fake.clocks[HOST_CLOCK_MONOTONIC] += 30 * MS;
        timekeeper_run(&kernel->timekeeper);
        is_int(fake.n_timer_signals, 3, "three at once make one signal");
        is_int(fake.timer_info.uid, 2, "with two overruns");

        /* A second timer with the same real-time signal has its own. */
        other = create(kernel, &fake, 1, CLOCK_MONOTONIC, ABI_SIGEV_SIGNAL, RT_SIGNAL, 1);
        (void) set(kernel, &fake, 1, other, 0, MS, 0);
        fake_advance(kernel, MS);
        is_int(fake.n_timer_signals, 4, "another timer queues its signal beside it");
        ok(fake.timer_info.pid == other, "as its own");
        kernel_free(kernel);
}

static void test_standard_signal(void) {
        FakeHost fake;
        Kernel *kernel = new_kernel(&fake);
        int a = create(kernel, &fake, 1, CLOCK_MONOTONIC, ABI_SIGEV_SIGNAL, SIGUSR1, 0);
        int b = create(kernel, &fake, 1, CLOCK_MONOTONIC, ABI_SIGEV_SIGNAL, SIGUSR1, 0);

        (void) set(kernel, &fake, 1, a, 0, MS, 0);
        (void) set(kernel, &fake, 1, b, 0, MS, 0);
        fake_advance(kernel, 2 * MS);
        is_int(fake.n_timer_signals, 1, "of two timers with one standard signal the second waits");
        fake_advance(kernel, 100 * MS);
        is_int(fake.n_timer_signals, 1, "as long as the first is pending");
        ok(fake.n_alarms < 30, "without looking all the time: %u alarms", fake.n_alarms);
        fake.signals.pending = 0;
        fake_advance(kernel, 300 * MS);
        is_int(fake.n_timer_signals, 2, "then it is sent");
        ok(fake.timer_info.pid == b || fake.timer_info.pid == a, "with its own id");
        fake.signals.pending = 0;
        fake_advance(kernel, SEC);
        is_int(fake.n_timer_signals, 2, "once");
        ok(fake.alarms[HOST_CLOCK_MONOTONIC] == TIME_NEVER, "and nothing is left to wake for");
        kernel_free(kernel);
}

static void test_none(void) {
        FakeHost fake;
        Kernel *kernel = new_kernel(&fake);
        int id = create(kernel, &fake, 1, CLOCK_MONOTONIC, ABI_SIGEV_NONE, 0, 0);

        (void) set(kernel, &fake, 1, id, 0, 10 * MS, 0);
        ok(fake.alarms[HOST_CLOCK_MONOTONIC] == TIME_NEVER, "SIGEV_NONE wakes nobody");
        fake_advance(kernel, 4 * MS);
        is_int(left(kernel, &fake, 1, id), 6 * MS, "and counts down");
        fake_advance(kernel, 10 * MS);
        is_int(left(kernel, &fake, 1, id), 0, "to nothing");
        (void) set(kernel, &fake, 1, id, 0, 10 * MS, 3 * MS);
        fake_advance(kernel, 11 * MS);
        is_int(left(kernel, &fake, 1, id), 2 * MS, "or round and round");
        is_int(overrun(kernel, 1, id), 0, "without overruns");
        kernel_free(kernel);
}

static void test_itimer(void) {
        AbiItimerspec value = { .value = { 1, 500000 }, .interval = { 0, 250000 } };
        FakeHost fake;
        Kernel *kernel = new_kernel(&fake);

        put(&fake, A, &value, sizeof(value));
        is_int(fake_call4(kernel, 1001, "setitimer", 0, A, 0, 0).value, 0, "setitimer");
        fake_advance(kernel, SEC);
        is_int(fake_call4(kernel, 1001, "getitimer", 0, B, 0, 0).value, 0, "getitimer");
        ok(get(&fake, B).value.nsec == 500000 && get(&fake, B).value.sec == 0 && get(&fake, B).interval.nsec == 250000,
           "in microseconds");
        fake_advance(kernel, SEC / 2);
        ok(fake.n_timer_signals == 1 && fake.timer_signo == SIGALRM, "SIGALRM");
        fake_advance(kernel, SEC / 2);
        is_int(fake.n_timer_signals, 3, "and again");
        is_int(fake_call4(kernel, 1002, "getitimer", 0, B, 0, 0).value, 0, "another process");
        ok(ns_of(get(&fake, B).value) == 0, "has none of it");
        is_int(fake_call4(kernel, 1001, "alarm", 3, 0, 0, 0).value, 1, "alarm shares it, and never rounds down to 0");
        is_int(fake_call4(kernel, 1001, "alarm", 0, 0, 0, 0).value, 3, "and turns it off");
        fake_advance(kernel, 5 * SEC);
        is_int(fake.n_timer_signals, 3, "then nothing comes");
        is_int(fake_call4(kernel, 1001, "setitimer", 0, 0, 0, 0).value, 0, "NULL is taken for nothing");
        value.value.nsec = 1000000;
        put(&fake, A, &value, sizeof(value));
        is_int(fake_call4(kernel, 1001, "setitimer", 0, A, 0, 0).value, EINVAL, "a second has a million");
        kernel_free(kernel);
}

static void test_pause(void) {
        FakeHost fake;
        Kernel *kernel = new_kernel(&fake);
        int once = create(kernel, &fake, 1, CLOCK_MONOTONIC, ABI_SIGEV_SIGNAL, RT_SIGNAL, 0);
        int periodic = create(kernel, &fake, 2, CLOCK_BOOTTIME, ABI_SIGEV_SIGNAL, RT_SIGNAL + 1, 0);

        (void) set(kernel, &fake, 1, once, 0, 10 * MS, 0);
        (void) set(kernel, &fake, 2, periodic, 0, 10 * MS, 10 * MS);
        timekeeper_pause(&kernel->timekeeper);
        timekeeper_pause(&kernel->timekeeper);
        ok(fake.alarms[HOST_CLOCK_MONOTONIC] == TIME_NEVER && fake.alarms[HOST_CLOCK_BOOTTIME] == TIME_NEVER,
           "while time is paused nothing wakes us");
        fake_advance(kernel, 55 * MS);
        timekeeper_resume(&kernel->timekeeper);
        is_int(fake.n_timer_signals, 0, "until it was resumed as often");
        timekeeper_resume(&kernel->timekeeper);
        is_int(fake.n_timer_signals, 2, "what fell due comes at once, each once");
        is_int(fake.timer_info.uid + (fake.timer_signo == RT_SIGNAL ? 4 : 0), 4,
               "the rest of what the periodic one was due is its overrun");
        is_int(left(kernel, &fake, 2, periodic), 5 * MS, "and its beat is the same");
        kernel_free(kernel);
}

static void test_end(void) {
        FakeHost fake;
        Kernel *kernel = new_kernel(&fake);
        int id;

        fake_task_at(&fake, 1)->task.image.stack = 1;
        id = create(kernel, &fake, 1, CLOCK_MONOTONIC, ABI_SIGEV_SIGNAL, RT_SIGNAL, 0);
        (void) set(kernel, &fake, 1, id, 0, 10 * MS, 10 * MS);
        fake_advance(kernel, 10 * MS);
        is_int(fake.n_timer_signals, 1, "a timer runs");
        fake.signals = (HostSignals) {};
        fake_task_at(&fake, 1)->task.image.stack = 2;
        fake_advance(kernel, 10 * MS);
        is_int(fake.n_timer_signals, 1, "an exec we have not heard of has ended it");
        is_int(left(kernel, &fake, 1, id), -EINVAL, "for good");

        id = create(kernel, &fake, 2, CLOCK_MONOTONIC, ABI_SIGEV_SIGNAL, RT_SIGNAL, 0);
        (void) set(kernel, &fake, 2, id, 0, 10 * MS, 10 * MS);
        task_table_note_exit(&kernel->tasks, 1002, 0, false);
        ok(fake.alarms[HOST_CLOCK_MONOTONIC] == TIME_NEVER, "the end of a process ends its timers");
        is_int(kernel->timekeeper.n_processes, 1, "and what we keep of them");
        kernel_free(kernel);
}

static void test_limits(void) {
        FakeHost fake;
        Kernel *kernel = new_kernel(&fake);
        unsigned n = 0;
        int id = 0;

        is_int(create(kernel, &fake, 1, CLOCK_MONOTONIC, 3, RT_SIGNAL, 0), -EINVAL, "a way to notify that is none");
        is_int(create(kernel, &fake, 1, CLOCK_MONOTONIC, ABI_SIGEV_SIGNAL, 65, 0), -EINVAL, "a signal that is none");
        is_int(create(kernel, &fake, 1, CLOCK_MONOTONIC, ABI_SIGEV_SIGNAL, 0, 0), -EINVAL, "signal 0");
        is_int(fake_call4(kernel, 1001, "timer_create", CLOCK_MONOTONIC, 0, 8, 0).value, EFAULT, "no room for the id");
        is_int(kernel->timekeeper.n_posix, 0, "leaves no timer");
        while (n < TIMERS_MAX + 2 && (id = create(kernel, &fake, 1, CLOCK_MONOTONIC, ABI_SIGEV_SIGNAL, RT_SIGNAL, 0)) > 0) {
                if (n % 1024 == 0)
                        (void) set(kernel, &fake, 1, id, 0, SEC + n, 0);
                n++;
        }
        is_int(id, -EAGAIN, "there is a limit");
        is_int(n, TIMERS_MAX, "of so many timers");
        kernel_free(kernel);
}

static void test_storm(void) {
        FakeHost fake;
        Kernel *kernel = new_kernel(&fake);
        int id = create(kernel, &fake, 1, CLOCK_MONOTONIC, ABI_SIGEV_SIGNAL, RT_SIGNAL, 0);

        (void) set(kernel, &fake, 1, id, 0, 1, 1);
        fake_advance(kernel, MS);
        fake.signals.pending = 0;
        ok(fake.n_alarms <= 60, "a period of 1 ns does not keep us busy: %u alarms in 1 ms", fake.n_alarms);
        ok(overrun(kernel, 1, id) >= 900000, "and its expirations are counted");
        kernel_free(kernel);
}

static void test_records(void) {
        FakeHost fake, other;
        Kernel *kernel = new_kernel(&fake), *copy;
        AbiItimerspec value = { .value = { 2, 0 } };
        TimerSetting setting;
        Record record;
        int once = create(kernel, &fake, 1, CLOCK_MONOTONIC, ABI_SIGEV_SIGNAL, RT_SIGNAL, 5);
        int periodic = create(kernel, &fake, 2, CLOCK_REALTIME, ABI_SIGEV_SIGNAL, SIGUSR1, 6);
        int none = create(kernel, &fake, 2, CLOCK_BOOTTIME, ABI_SIGEV_NONE, 0, 7);

        (void) set(kernel, &fake, 1, once, 0, 100 * MS, 0);
        (void) set(kernel, &fake, 2, periodic, 0, 10 * MS, 10 * MS);
        (void) set(kernel, &fake, 2, none, 0, SEC, 0);
        put(&fake, A, &value, sizeof(value));
        (void) fake_call4(kernel, 1002, "setitimer", 0, A, 0, 0);
        fake_advance(kernel, 35 * MS);

        record_init_write(&record);
        is_int(kernel_record(kernel, &record), 0, "a kernel with timers is written");
        copy = fake_kernel(&other);
        {
                Record reader;

                record_init_read(&reader, record.data, record.size);
                is_int(kernel_record(copy, &reader), 0, "and read");
                record_done(&reader);
        }
        is_int(copy->timekeeper.n_posix, 3, "with all timers");
        ok(other.alarms[HOST_CLOCK_MONOTONIC] == TIME_NEVER, "none of which runs before its process is there");
        is_int(timekeeper_restored_clock(&copy->timekeeper, HOST_CLOCK_MONOTONIC, INT64_C(1700000000035000000) + 7 * SEC),
               SEC + 35 * MS + 7 * SEC, "the monotonic clock goes on by the real time that has passed");
        is_int(timekeeper_restored_clock(&copy->timekeeper, HOST_CLOCK_BOOTTIME, 5), 1535 * MS, "and never goes back");

        /* The clocks of the restored sandbox were set so. */
        memcpy(other.clocks, fake.clocks, sizeof(other.clocks));
        other.max_watches = 64;
        other.signals = fake.signals;
        fake_task(&other, 1, 0, 1, 1);
        fake_task(&other, 2, 1, 1, 1);
        (void) task_table_sync(&copy->tasks);
        is_int(left(copy, &other, 1, once), 65 * MS, "the one goes on");
        is_int(left(copy, &other, 2, periodic), 5 * MS, "the other, too");
        is_int(left(copy, &other, 2, none), 965 * MS, "and the third");
        setting = interval_timer_get(task_table_find(&copy->tasks, 2)->timers);
        is_int(setting.value, 2 * SEC - 35 * MS, "ITIMER_REAL");
        fake_advance(copy, 65 * MS);
        is_int(other.n_timer_signals, 1, "what was pending is not sent again; what falls due is");
        other.signals.pending = 0;
        is_int(overrun(copy, 2, periodic), 2 + 7, "overruns are counted through");

        for (size_t n = 0; n < record.size; n += 7) {
                FakeHost third;
                Kernel *cut = fake_kernel(&third);
                Record reader;

                record_init_read(&reader, record.data, n);
                if (kernel_record(cut, &reader) == 0)
                        ok(false, "a record cut at %zu of %zu is refused", n, record.size);
                record_done(&reader);
                kernel_free(cut);
        }
        record_done(&record);
        kernel_free(copy);
        kernel_free(kernel);
}

static void test_adjtimex(void) {
        FakeHost fake;
        Kernel *kernel = new_kernel(&fake);
        AbiTimex timex = {};

        is_int(fake_call4(kernel, 1001, "adjtimex", A, 0, 0, 0).kind, VERDICT_CONTINUE, "the clock can be looked at");
        timex.modes = 1;
        put(&fake, A, &timex, sizeof(timex));
        is_int(fake_call4(kernel, 1001, "adjtimex", A, 0, 0, 0).value, EPERM, "and not set");
        is_int(fake.n_events[KERNEL_EVENT_REFUSED], 1, "which is told");
        is_int(fake_call4(kernel, 1001, "clock_adjtime", 0, A, 0, 0).value, EPERM, "by neither call");
        kernel_free(kernel);
}

int main(void) {
        test_once();
        test_clocks();
        test_overrun();
        test_standard_signal();
        test_none();
        test_itimer();
        test_pause();
        test_end();
        test_limits();
        test_storm();
        test_records();
        test_adjtimex();
        return tap_done();
}
