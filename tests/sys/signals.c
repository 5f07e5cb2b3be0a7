/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* A storm of signals on emulated calls: none of them may be lost, doubled or done by half. */

#include <sys/sysinfo.h>
#include <sys/time.h>
#include <sys/utsname.h>

#include "sys.h"

#define ROUNDS 20000

static volatile sig_atomic_t alarms;
static atomic_int handler_wrong;
static bool in_sandbox; /* getenv() is not for signal handlers */

static void on_alarm(int signo) {
        int saved = errno;
        struct utsname u;

        (void) signo;
        alarms++;
        /* An emulated call in the handler of a signal that came during one. */
        if (alarms % 8 == 0) {
                int r = uname(&u);

                if (r != 0 ? errno != EINTR || !in_sandbox : strcmp(u.sysname, "Linux") != 0)
                        handler_wrong++;
        }
        errno = saved;
}

static void storm(bool restart, bool on) {
        struct sigaction action = { .sa_handler = on_alarm, .sa_flags = restart ? SA_RESTART : 0 };
        struct itimerval every = { .it_interval.tv_usec = on ? 500 : 0, .it_value.tv_usec = on ? 500 : 0 };

        sigaction(SIGALRM, &action, NULL);
        setitimer(ITIMER_REAL, &every, NULL);
}

/* Natively no call that is tested here is ever interrupted. In a sandbox one may be, when its signal is handled
 * without SA_RESTART and comes after the call has left the program and before the sentry has received it: the host
 * kernel ends that wait, and cannot be told otherwise. Such a call has done nothing and is made again; there are
 * never more of them than signals. With SA_RESTART no program sees it. */
static bool may_interrupt(bool restart) {
        return sandboxed() && !restart;
}

static int interrupted, half_done;

static long again(long (*call)(void *), void *arg) {
        long r;

        while ((r = call(arg)) == -EINTR)
                interrupted++;
        return r;
}

static long do_uname(void *arg) {
        memset(arg, 0xa5, sizeof(struct utsname));
        return RAW(SYS_uname, arg);
}

static long do_affinity(void *arg) {
        return RAW(SYS_sched_getaffinity, 0, 1024, arg);
}

static long do_sysinfo(void *arg) {
        return RAW(SYS_sysinfo, arg);
}

static void rounds(bool restart) {
        int wrong = 0, before = alarms;
        const char *how = restart ? "with SA_RESTART" : "without SA_RESTART";
        char last[32] = "before";

        interrupted = half_done = 0;
        sethostname(last, strlen(last));
        storm(restart, true);
        for (int i = 0; i < ROUNDS; i++) {
                unsigned char mask[1024] = {};
                char name[32];
                struct utsname u;
                struct sysinfo info;
                long r;

                snprintf(name, sizeof name, "round-%d", i);
                while ((r = RAW(SYS_sethostname, name, strlen(name))) == -EINTR) {
                        interrupted++;
                        if (again(do_uname, &u) != 0 || strcmp(u.nodename, last) != 0)
                                half_done++;
                }
                if (r != 0 || again(do_uname, &u) != 0 || strcmp(u.nodename, name) != 0 || again(do_affinity, mask) < 8 ||
                    (i % 8 == 0 && again(do_sysinfo, &info) != 0))
                        wrong++;
                memcpy(last, name, sizeof last);
        }
        /* A fast machine is done before the storm is one. */
        for (int64_t end = now_ns(CLOCK_MONOTONIC) + 10000000000; alarms - before < 20 && now_ns(CLOCK_MONOTONIC) < end;) {
                struct utsname u;

                wrong += again(do_uname, &u) != 0;
        }
        storm(restart, false);
        ok(alarms - before >= 20, "it was a storm %s: %d signals", how, (int) alarms - before);
        if (may_interrupt(restart))
                ok(interrupted <= alarms - before, "no more calls are interrupted %s than there are signals: %d", how,
                   interrupted);
        else
                is_int(interrupted, 0, "no call is interrupted %s", how);
        is_int(half_done, 0, "… and one that is has done nothing");
        is_int(wrong, 0, "%d rounds of calls are all right %s", ROUNDS, how);
}

static void *thread_main(void *arg) {
        atomic_bool *stop = arg;
        struct utsname u;

        while (!*stop) {
                long r = RAW(SYS_uname, &u);

                if (r != 0 && !(may_interrupt(false) && r == -EINTR))
                        return NULL;
        }
        return arg;
}

int main(void) {
        atomic_bool stop = false;
        pthread_t threads[2];
        void *result;

        in_sandbox = sandboxed();
        rounds(false);
        rounds(true);

        /* Directed at threads */
        struct sigaction action = { .sa_handler = on_alarm };
        sigaction(SIGUSR1, &action, NULL);
        for (int i = 0; i < 2; i++)
                if (pthread_create(&threads[i], NULL, thread_main, &stop) != 0)
                        tap_bail_out("pthread_create");
        for (int i = 0; i < 2000; i++) {
                pthread_kill(threads[i % 2], SIGUSR1);
                if (i % 10 == 0)
                        usleep(100);
        }
        stop = true;
        for (int i = 0; i < 2; i++) {
                pthread_join(threads[i], &result);
                ok(result, "thread %d never sees a wrong result for all the signals to it", i);
        }
        is_int(handler_wrong, 0, "calls in signal handlers are right");
        return tap_done();
}
