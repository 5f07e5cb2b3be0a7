/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <errno.h>
#include <execinfo.h>
#include <inttypes.h>
#include <poll.h>
#include <pthread.h>
#include <semaphore.h>
#include <setjmp.h>
#include <stdio.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "log.h"
#include "sentry.h"
#include "util.h"
#include "util/macros.h"
#include "watchdog.h"

#define DEADLINE_SEC_MAX 86400U
#define GRACE_MSEC 100         /* for a serving thread that was stopped together with its watcher */
#define STACK_SIZE (1024 * 1024)
#define FRAMES_MAX 24

typedef enum Role {
        ROLE_SERVE,
        ROLE_WATCH,
        ROLE_STUCK, /* relieved; has not come back */
        ROLE_REST,  /* came back, waits to be needed */
} Role;

typedef struct Thread {
        Station station;        /* first */
        _Atomic Role role;
        pid_t tid;              /* immutable once it runs */
        jmp_buf base;           /* where it goes when it is relieved */
        void *base_frame;       /* where its stack begins, for walks */
        sem_t wake;             /* from ROLE_REST */
} Thread;

static Thread threads[WATCHDOG_THREADS_MAX];
static unsigned n_threads;           /* changed by the thread that serves */
static _Atomic bool has_watcher;     /* whoever sets it sees to it that there is one */
static int timer_fd = -EBADF;
static uint64_t deadline_ns;
static Sentry *the_sentry;

Watchdog watchdog = { .serving = &threads[0].station, .armed = true };

static void arm(uint64_t ns) {
        struct itimerspec when = {
                .it_value = { .tv_sec = (time_t) (ns / NSEC_PER_SEC), .tv_nsec = (long) (ns % NSEC_PER_SEC) },
        };

        (void) timerfd_settime(timer_fd, 0, &when, NULL);
}

void watchdog_arm(void) {
        atomic_store(&watchdog.armed, true);
        arm(deadline_ns);
}

bool watchdog_has_stuck(void) {
        for (unsigned i = 0; i < n_threads; i++)
                if (atomic_load(&threads[i].role) == ROLE_STUCK)
                        return true;
        return false;
}

/* ---- telling ---- */

/* The addresses to which the functions on a stack that stands still return. Frame pointers lead through it: the thread
 * itself cannot be asked. */
static int walk(const Thread *thread, void *addresses[static FRAMES_MAX]) {
        uintptr_t frame = (uintptr_t) thread->station.frame, end = (uintptr_t) thread->base_frame;
        int n = 0;

        while (n < FRAMES_MAX && frame <= end && frame % sizeof(void *) == 0) {
                void **words = (void **) frame;
#if defined(__riscv)
                uintptr_t next = (uintptr_t) words[-2];

                addresses[n++] = words[-1];
#else
                uintptr_t next = (uintptr_t) words[0];

                addresses[n++] = words[1];
#endif
                if (next <= frame)
                        break;
                frame = next;
        }
        return n;
}

static void log_backtrace(const Thread *thread) {
        _cleanup_free_ char **lines = NULL;
        void *addresses[FRAMES_MAX];
        int n = walk(thread, addresses);

        lines = backtrace_symbols(addresses, n);
        for (int i = 0; i < n; i++)
                if (lines)
                        log_warning("%s:   #%d %s", the_sentry->name, i, lines[i]);
                else
                        log_warning("%s:   #%d %p", the_sentry->name, i, addresses[i]);
}

/* State of a thread of ours as in proc_pid_stat(5); '?' when it cannot be told. */
static char state_of(const Thread *thread) {
        _cleanup_free_ char *text = NULL;
        char path[64], state = '?';
        const char *end;

        (void) snprintf(path, sizeof(path), "/proc/self/task/%d/stat", (int) thread->tid);
        if (read_full_file(path, 4096, &text, NULL) >= 0 && (end = strrchr(text, ')')))
                (void) sscanf(end + 1, " %c", &state);
        return state;
}

/* ---- the thread that watches ---- */

static void *thread_main(void *userdata);

static int thread_start(Thread *thread) {
        pthread_attr_t attributes;
        pthread_t id;
        int r;

        atomic_store(&thread->role, ROLE_WATCH);
        (void) sem_init(&thread->wake, 0, 0);
        r = pthread_attr_init(&attributes);
        if (r != 0)
                return -r;
        (void) pthread_attr_setstacksize(&attributes, STACK_SIZE);
        (void) pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
        r = pthread_create(&id, &attributes, thread_main, thread);
        (void) pthread_attr_destroy(&attributes);
        return -r;
}

/* Sees to it that somebody watches: who rests, or a new thread. */
static int find_watcher(void) {
        int r;

        if (atomic_exchange(&has_watcher, true))
                return 0;
        for (unsigned i = 0; i < n_threads; i++) {
                Role rest = ROLE_REST;

                if (atomic_compare_exchange_strong(&threads[i].role, &rest, ROLE_WATCH)) {
                        (void) sem_post(&threads[i].wake);
                        return 0;
                }
        }
        r = n_threads < WATCHDOG_THREADS_MAX ? thread_start(&threads[n_threads]) : -EAGAIN;
        if (r < 0) {
                atomic_store(&has_watcher, false); /* the next that comes back from being stuck watches */
                return r;
        }
        n_threads++;
        return 0;
}

/* The service is too long. True when this thread serves from now on. */
static bool relieve(Thread *self, Thread *stuck, uint64_t service) {
        uint64_t expected = service;

        /* Both may have been stopped, or the machine be so busy that the other does not get to run: a thread that
         * could run is not stuck. */
        (void) poll(NULL, 0, GRACE_MSEC);
        if (atomic_load(&stuck->station.service) != service || state_of(stuck) == 'R')
                return false;

        if (!atomic_compare_exchange_strong(&stuck->station.section, &expected, SECTION_TAKEN)) {
                /* Telling is left to that thread: all but the log is its own. */
                if (!atomic_exchange(&stuck->station.late, true))
                        log_warning("%s: a call of pid %" PRId32 " (%s) is in service for too long, at a place where "
                                    "it cannot be abandoned (thread %d, state %c)", the_sentry->name,
                                    stuck->station.call->tid,
                                    stuck->station.call->id == SYSCALL_ID_UNKNOWN ?
                                            "?" : syscall_table[stuck->station.call->id].name,
                                    (int) stuck->tid, state_of(stuck));
                return false;
        }

        /* From here on this is the one thread that serves. */
        atomic_store(&stuck->role, ROLE_STUCK);
        atomic_store(&self->role, ROLE_SERVE);
        watchdog.serving = &self->station;
        return true;
}

/* Watches until it takes over; returns the thread that it took over from. */
static Thread *watch(Thread *self) {
        for (;;) {
                Thread *other = (Thread *) (void *) watchdog.serving;
                uint64_t n, service, now, start;

                if (read(timer_fd, &n, sizeof(n)) != (ssize_t) sizeof(n))
                        continue;
                service = atomic_load(&other->station.service);
                if (service % 2 == 0) {
                        atomic_store(&watchdog.armed, false);
                        if (atomic_load(&other->station.service) != service)
                                watchdog_arm(); /* began meanwhile, and may have found it armed */
                        continue;
                }

                now = the_sentry->host.host.ops->now(&the_sentry->host.host);
                start = atomic_load_explicit(&other->station.start_ns, memory_order_relaxed);
                if (now - start < deadline_ns)
                        arm(deadline_ns - (now - start));
                else if (relieve(self, other, service))
                        return other;
                else
                        arm(deadline_ns);
        }
}

/* ---- threads ---- */

static void take_over(const Thread *stuck) {
        const Station *s = &stuck->station;
        uint64_t now = kernel_now(the_sentry->kernel);
        int r;

        atomic_store(&watchdog.armed, false); /* it has expired */
        atomic_store(&has_watcher, false);
        r = find_watcher();
        if (r < 0)
                log_error("%s: nobody watches any more, %u threads are stuck: %s", the_sentry->name, n_threads - 1,
                          strerror(-r));

        notifier_abandon(&the_sentry->notifier, s->cookie,
                         now - atomic_load_explicit(&s->start_ns, memory_order_relaxed), s->what);
        log_backtrace(stuck);
        notifier_serve_rest(&the_sentry->notifier);
}

void watchdog_tell_late(Station *station) {
        uint64_t now = kernel_now(the_sentry->kernel);

        atomic_store(&station->late, false);
        watchdog.n_stuck++;
        kernel_dbus_stuck(the_sentry, station->call, (now - atomic_load(&station->start_ns)) / NSEC_PER_USEC);
}

void watchdog_relieved(Station *station) {
        Thread *self = (Thread *) (void *) station;

        _longjmp(self->base, 1);
}

static void rest(Thread *self) {
        atomic_fetch_add(&self->station.service, 1); /* it was taken in the middle of one */
        atomic_store(&self->station.late, false);
        atomic_store(&self->role, ROLE_REST);
        if (!atomic_exchange(&has_watcher, true)) {
                atomic_store(&self->role, ROLE_WATCH);
                return;
        }
        while (atomic_load(&self->role) == ROLE_REST)
                (void) sem_wait(&self->wake);
}

/* The life of a thread. Returns when its time of serving has ended with the sandbox. */
static int thread_run(Thread *self) {
        self->tid = gettid();
        self->base_frame = __builtin_frame_address(0);
        if (_setjmp(self->base) != 0)
                rest(self);

        if (atomic_load(&self->role) == ROLE_WATCH)
                take_over(watch(self));
        return sentry_run(the_sentry);
}

static void *thread_main(void *userdata) {
        int r;

        r = thread_run(userdata);
        sentry_goodbye(the_sentry, r);
        _exit(r < 0 ? EXIT_FAILURE : EXIT_SUCCESS);
}

int watchdog_run(Sentry *sentry) {
        const char *text = getenv("SENTRYD_WATCHDOG_SEC");
        unsigned seconds = WATCHDOG_DEFAULT_SEC;
        int r;

        if (text && (safe_atou(text, &seconds) < 0 || seconds > DEADLINE_SEC_MAX)) {
                seconds = WATCHDOG_DEFAULT_SEC;
                log_warning("%s: SENTRYD_WATCHDOG_SEC is \"%s\", it may be 0 (no watchdog) to %u: using %u.",
                            sentry->name, text, DEADLINE_SEC_MAX, seconds);
        }

        the_sentry = sentry;
        deadline_ns = seconds * NSEC_PER_SEC;
        atomic_store(&threads[0].role, ROLE_SERVE);
        (void) sem_init(&threads[0].wake, 0, 0);
        n_threads = 1;
        if (seconds > 0) {
                timer_fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC);
                r = timer_fd < 0 ? -errno : find_watcher();
                if (r < 0)
                        log_warning("%s: no watchdog: %s", sentry->name, strerror(-r));
                else
                        atomic_store(&watchdog.armed, false);
        }
        return thread_run(&threads[0]);
}
