/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Threads that wait in connect(2) and sendmsg(2) for calls of a sandbox. That a call does not wait cannot be asked of
 * connect(2) but by O_NONBLOCK, which belongs to the open file that the guest shares; and how long one waits depends on
 * SO_SNDTIMEO, on the peer's queue, on signals: so the call itself waits, somewhere where nobody else has to.
 *
 * A job goes to a thread as a pointer through a pipe and comes back through another, so that there is nothing to lock. More
 * jobs than threads wait in the pipe, which has room for all calls that may be parked. The signal that ends a wait is
 * sent again and again, because one that comes before the system call does nothing. */

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>
#include <sys/socket.h>
#include <unistd.h>

#include "host-sockets.h"
#include "log.h"
#include "sentry.h"
#include "util.h"

#define THREADS_MAX 128U
#define STACK_SIZE (256 * 1024U)
#define WAKE_SIGNAL SIGUSR1
#define STOP_TRIES 1000U /* of a millisecond each */

typedef enum JobState {
        JOB_QUEUED,
        JOB_RUNNING,
        JOB_DONE,
} JobState;

typedef struct Job {
        uint64_t cookie;           /* immutable, as what follows up to the result */
        int fd;                    /* owned */
        HostAddress address;       /* owned, if it has_address */
        bool has_address, connects;
        void *data, *control;      /* owned */
        size_t size, control_size;
        uint32_t flags;
        int64_t result;            /* the thread's until JOB_DONE */
        pthread_t thread;          /* the thread's until JOB_RUNNING */
        _Atomic JobState state;
        _Atomic bool stopped;      /* nobody wants it any more */
        LIST_ENTRY(Job) link;
} Job;

static LIST_HEAD(, Job) jobs = LIST_HEAD_INITIALIZER(jobs); /* owned by the thread that serves; those not stopped */
static int work_pipe[2] = { -EBADF, -EBADF }, done_pipe[2] = { -EBADF, -EBADF };
static unsigned n_threads, n_jobs;

bool socket_jobs_have_threads(void) {
        return n_threads > 0;
}

static void job_free(Job *job) {
        safe_close(job->fd);
        if (job->has_address)
                safe_close(job->address.place.fd);
        free(job->data);
        free(job->control);
        free(job);
}

/* ---- the threads that wait ---- */

static int64_t job_call(const Job *job) {
        uint8_t bytes[ABI_SOCKADDR_MAX];
        struct iovec iov = { .iov_base = job->data, .iov_len = job->size };
        struct msghdr header = {
                .msg_iov = &iov,
                .msg_iovlen = 1,
                .msg_control = job->control,
                .msg_controllen = job->control_size,
        };
        uint32_t size = job->has_address ? host_socket_address(&job->address, bytes) : 0;
        ssize_t r;

        if (job->connects)
                r = connect(job->fd, (const struct sockaddr *) (const void *) bytes, size);
        else {
                if (job->has_address) {
                        header.msg_name = bytes;
                        header.msg_namelen = size;
                }
                r = sendmsg(job->fd, &header, (int) (job->flags | MSG_NOSIGNAL));
        }
        return r < 0 ? host_error_to_guest(-errno) : r;
}

static void job_run(Job *job) {
        job->thread = pthread_self();
        job->result = -EINTR;
        atomic_store(&job->state, JOB_RUNNING);
        /* A signal that was meant for the job before this one means nothing. */
        while (!atomic_load(&job->stopped)) {
                job->result = job_call(job);
                if (job->result != -EINTR)
                        break;
        }
        atomic_store(&job->state, JOB_DONE);
}

static void *thread_main(void *userdata) {
        sigset_t set;
        Job *job;

        (void) userdata;
        (void) sigemptyset(&set);
        (void) sigaddset(&set, WAKE_SIGNAL);
        (void) pthread_sigmask(SIG_UNBLOCK, &set, NULL);

        for (;;) {
                ssize_t n = read(work_pipe[0], &job, sizeof(job));

                if (n < 0 && errno == EINTR)
                        continue;
                if (n != (ssize_t) sizeof(job))
                        return NULL;
                job_run(job);
                /* There is room: a job takes it in one of the pipes only. */
                while (write(done_pipe[1], &job, sizeof(job)) < 0 && errno == EINTR)
                        ;
        }
}

static int thread_start(void) {
        pthread_attr_t attributes;
        pthread_t id;
        int r;

        r = pthread_attr_init(&attributes);
        if (r != 0)
                return -r;
        (void) pthread_attr_setstacksize(&attributes, STACK_SIZE);
        (void) pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
        r = pthread_create(&id, &attributes, thread_main, NULL);
        (void) pthread_attr_destroy(&attributes);
        if (r == 0)
                n_threads++;
        return -r;
}

/* ---- the thread that serves ---- */

static void on_wake(int signo) {
        (void) signo; /* that there was one is all */
}

static int on_done(sd_event_source *source, int fd, uint32_t revents, void *userdata) {
        Sentry *sentry = userdata;
        int64_t result;
        uint64_t cookie;
        Job *job;

        (void) source, (void) revents;
        while (read(fd, &job, sizeof(job)) == (ssize_t) sizeof(job)) {
                bool stopped = atomic_load(&job->stopped);

                n_jobs--;
                cookie = job->cookie;
                result = job->result;
                if (!stopped)
                        LIST_REMOVE(job, link);
                job_free(job);
                if (!stopped)
                        sockets_finished(sentry->kernel, cookie, result);
        }
        return 0;
}

static int set_up(Sentry *sentry) {
        struct sigaction action = { .sa_handler = on_wake }; /* no SA_RESTART: that is the point of it */
        int r;

        if (done_pipe[1] >= 0)
                return 0;
        if (work_pipe[0] < 0 && pipe2(work_pipe, O_CLOEXEC) < 0)
                return -errno;
        if (sigaction(WAKE_SIGNAL, &action, NULL) < 0 || pipe2(done_pipe, O_CLOEXEC) < 0)
                return -errno;
        if (fcntl(done_pipe[0], F_SETFL, O_NONBLOCK) < 0)
                return -errno;
        r = sd_event_add_io(sentry->event, NULL, done_pipe[0], EPOLLIN, on_done, sentry);
        if (r < 0) {
                safe_close(done_pipe[0]);
                done_pipe[1] = safe_close(done_pipe[1]);
        }
        return r;
}

static int duplicate(int fd) {
        int copy = fcntl(fd, F_DUPFD_CLOEXEC, 0);

        return copy < 0 ? -ENOBUFS : copy;
}

static int job_new(uint64_t cookie, const HostSocket *socket, const HostAddress *address, const HostMessage *message,
                   Job **ret) {
        Job *job = calloc(1, sizeof(Job));

        if (!job)
                return -ENOMEM;
        job->cookie = cookie;
        job->connects = !message;
        job->address.place.fd = -EBADF;
        job->fd = duplicate(socket->fd);
        if (job->fd < 0)
                goto fail;
        if (address) {
                job->has_address = true;
                job->address = *address;
                if (address->place.fd >= 0) {
                        job->address.place.fd = duplicate(address->place.fd);
                        if (job->address.place.fd < 0)
                                goto fail;
                }
        }
        if (message) {
                job->size = message->size;
                job->flags = message->flags;
                if (message->control_size > 0) {
                        job->control = malloc(message->control_size);
                        if (!job->control)
                                goto fail;
                        memcpy(job->control, message->control, message->control_size);
                        job->control_size = message->control_size;
                }
        }
        *ret = job;
        return 0;

fail:
        job_free(job);
        return -ENOBUFS;
}

int host_socket_start(Host *host, uint64_t cookie, const HostSocket *socket, const HostAddress *address,
                      const HostMessage *message, void *data) {
        Sentry *sentry = ((HostSeccomp *) (void *) ((char *) host - offsetof(HostSeccomp, host)))->sentry;
        Job *job;
        int r;

        r = set_up(sentry);
        if (r < 0)
                return host_error_to_guest(r);
        if (n_jobs >= n_threads && n_threads < THREADS_MAX) {
                r = thread_start();
                if (r < 0 && n_threads == 0) {
                        log_warning("%s: cannot start a thread to wait for sockets: %s", sentry->name, strerror(-r));
                        return -ENOBUFS;
                }
        }
        if (n_jobs >= PARKED_CALLS_MAX)
                return -ENOBUFS;
        r = job_new(cookie, socket, address, message, &job);
        if (r < 0)
                return r;
        job->data = data;
        LIST_INSERT_HEAD(&jobs, job, link);
        n_jobs++;
        (void) write(work_pipe[1], &job, sizeof(job)); /* the pipe has room for all jobs */
        return 0;
}

void host_socket_stop(Host *host, uint64_t cookie, int64_t *ret) {
        Job *job;

        (void) host;
        *ret = -EINTR;
        LIST_FOREACH(job, &jobs, link)
                if (job->cookie == cookie)
                        break;
        if (!job)
                return;

        LIST_REMOVE(job, link);
        atomic_store(&job->stopped, true);
        for (unsigned i = 0; i < STOP_TRIES; i++) {
                JobState state = atomic_load(&job->state);

                if (state == JOB_QUEUED)
                        return; /* who takes it up finds that it is stopped */
                if (state == JOB_DONE) {
                        *ret = job->result;
                        return;
                }
                (void) pthread_kill(job->thread, WAKE_SIGNAL);
                (void) poll(NULL, 0, i < 3 ? 0 : 1);
        }
        log_warning("a thread that waits for a socket does not come back; it is left behind");
}
