/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <time.h>

#include "arguments.h"
#include "proc-task.h"
#include "util.h"
#include "util/macros.h"

#define STUCK_MAX 4U                             /* threads left behind at a time */
#define PROGRESS_NS (200 * UINT64_C(1000000))    /* without a further process: it is stuck */
#define TOTAL_NS NSEC_PER_SEC                    /* all that is asked for at once */
#define STACK_SIZE (256 * 1024U)

/* Owned by the thread that reads, or by the one that waits for it: by whoever is through with it last. */
typedef struct Job {
        int proc_fd;          /* owned */
        _Atomic bool left;    /* one of them is through */
        _Atomic size_t done;  /* those before are not touched by the reader any more */
        size_t n;
        char buffer[PROC_ARGV_MAX];
        HostArguments of[];   /* what is in them is owned */
} Job;

static _Atomic unsigned n_stuck;

static uint64_t now_ns(void) {
        struct timespec ts;

        (void) clock_gettime(CLOCK_MONOTONIC, &ts);
        return (uint64_t) ts.tv_sec * NSEC_PER_SEC + (uint64_t) ts.tv_nsec;
}

static Job *job_free(Job *job) {
        for (size_t i = 0; i < job->n; i++)
                free(job->of[i].argv);
        safe_close(job->proc_fd);
        free(job);
        return NULL;
}

static Job *job_new(int proc_fd, const HostArguments *of, size_t n) {
        Job *job = calloc(1, sizeof(Job) + n * sizeof(HostArguments));

        if (!job)
                return NULL;
        job->proc_fd = fcntl(proc_fd, F_DUPFD_CLOEXEC, 0);
        if (job->proc_fd < 0)
                return job_free(job);
        job->n = n;
        for (size_t i = 0; i < n; i++)
                job->of[i].pid = of[i].pid;
        return job;
}

static void *reader_main(void *userdata) {
        Job *job = userdata;

        for (size_t i = 0; i < job->n && !atomic_load(&job->left); i++) {
                (void) proc_read_argv(job->proc_fd, job->of[i].pid, job->buffer, &job->of[i].argv, &job->of[i].size);
                atomic_store(&job->done, i + 1);
        }
        if (atomic_exchange(&job->left, true)) {
                job_free(job);
                atomic_fetch_sub(&n_stuck, 1);
        }
        return NULL;
}

static int reader_start(Job *job, pthread_t *ret) {
        pthread_attr_t attributes;
        int r;

        r = pthread_attr_init(&attributes);
        if (r != 0)
                return -r;
        (void) pthread_attr_setstacksize(&attributes, STACK_SIZE);
        r = pthread_create(ret, &attributes, reader_main, job);
        (void) pthread_attr_destroy(&attributes);
        return -r;
}

/* Waits until the reader is through or gets no further. True when it is through. */
static bool reader_wait(const Job *job, pthread_t reader, uint64_t end_ns) {
        size_t before;

        do {
                uint64_t until = MIN(now_ns() + PROGRESS_NS, end_ns);
                struct timespec deadline = {
                        .tv_sec = (time_t) (until / NSEC_PER_SEC),
                        .tv_nsec = (long) (until % NSEC_PER_SEC),
                };

                before = atomic_load(&job->done);
                if (pthread_clockjoin_np(reader, NULL, CLOCK_MONOTONIC, &deadline) != ETIMEDOUT)
                        return true;
        } while (atomic_load(&job->done) != before && now_ns() < end_ns);
        return false;
}

/* Takes over what was read of those from first up to end. */
static void take(Job *job, HostArguments *of, size_t first, size_t end) {
        for (size_t i = first; i < end; i++) {
                of[i].argv = job->of[i].argv;
                of[i].size = job->of[i].size;
                of[i].withheld = false;
                job->of[i].argv = NULL;
        }
}

/* Returns how many it is through with. */
static size_t read_some(int proc_fd, HostArguments *of, size_t n, uint64_t end_ns) {
        Job *job = job_new(proc_fd, of, n);
        pthread_t reader;
        size_t done;

        if (!job)
                return n;
        if (reader_start(job, &reader) < 0) {
                job_free(job);
                return n;
        }
        if (reader_wait(job, reader, end_ns)) {
                take(job, of, 0, n);
                job_free(job);
                return n;
        }

        done = atomic_load(&job->done);
        take(job, of, 0, done);
        atomic_fetch_add(&n_stuck, 1);
        if (atomic_exchange(&job->left, true)) {
                /* It came through after all. */
                (void) pthread_join(reader, NULL);
                atomic_fetch_sub(&n_stuck, 1);
                take(job, of, done, n);
                job_free(job);
                return n;
        }
        (void) pthread_detach(reader);
        if (done < n)
                of[done++].withheld = true;
        return done;
}

bool arguments_has_stuck(void) {
        return atomic_load(&n_stuck) > 0;
}

void arguments_read(int proc_fd, HostArguments *of, size_t n) {
        uint64_t end_ns = now_ns() + TOTAL_NS;

        for (size_t i = 0; i < n && atomic_load(&n_stuck) < STUCK_MAX && now_ns() < end_ns;) {
                size_t end = i;

                if (of[i].withheld && arguments_has_stuck()) {
                        i++;
                        continue;
                }
                while (end < n && !(of[end].withheld && arguments_has_stuck()))
                        end++;
                if (end > i)
                        i += read_some(proc_fd, of + i, end - i, end_ns);
        }
}
