/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/epoll.h>
#include <time.h>

#include "log.h"
#include "proc-task.h"
#include "sentry.h"
#include "tasks.h"
#include "util/macros.h"
#include "util.h"

/* Room for a burst of some thousand calls. The kernel takes the memory when it is needed. */
#define TRACE_PIPE_SIZE (256 * 1024)

struct TraceReader {
        Tracer *tracer;              /* lookup only */
        int fd;                      /* owned; the end that we write to */
        sd_event_source *source;     /* owned; tells that the reader is gone or, after a drop, that there is room */
        TraceFilter filter;          /* immutable */
        char *container;             /* owned, immutable: only calls from it, "": from none; NULL: from everywhere */
        uint64_t n_dropped;          /* lines not told of yet */
        LIST_ENTRY(TraceReader) link; /* owned by the tracer */
};

static TraceReader *trace_reader_free(TraceReader *reader) {
        LIST_REMOVE(reader, link);
        reader->tracer->n_readers--;
        reader->source = sd_event_source_disable_unref(reader->source);
        safe_close(reader->fd);
        free(reader->container);
        free(reader);
        return NULL;
}

void tracer_init(Tracer *tracer, Sentry *sentry) {
        *tracer = (Tracer) { .sentry = sentry };
        LIST_INIT(&tracer->readers);
}

void tracer_done(Tracer *tracer) {
        while (!LIST_EMPTY(&tracer->readers))
                trace_reader_free(LIST_FIRST(&tracer->readers));
}

/* True when the line went out, or nobody is there to miss it. A line fits in PIPE_BUF, so it goes out whole or not at
 * all. A reader that is gone is left to its event source: lists are not changed while calls are served. */
static bool write_line(const TraceReader *reader, const char *line, size_t size) {
        return write(reader->fd, line, size) == (ssize_t) size || errno != EAGAIN;
}

static bool tell_dropped(TraceReader *reader) {
        char line[TRACE_LINE_MAX];
        size_t n;

        if (reader->n_dropped == 0)
                return true;
        n = trace_format_dropped(reader->n_dropped, line);
        if (!write_line(reader, line, n))
                return false;
        reader->n_dropped = 0;
        return true;
}

static int on_reader(sd_event_source *source, int fd, uint32_t revents, void *userdata) {
        TraceReader *reader = userdata;

        (void) fd;
        if (revents & (EPOLLERR | EPOLLHUP)) {
                log_debug("%s: a trace has ended", reader->tracer->sentry->name);
                trace_reader_free(reader);
                return 0;
        }
        /* There is room again, and perhaps no further call that would bring the news. */
        if (tell_dropped(reader))
                (void) sd_event_source_set_io_events(source, 0);
        return 0;
}

int tracer_add(Tracer *tracer, const TraceFilter *filter, const char *container, int *ret_fd) {
        _cleanup_free_ char *copy = NULL;
        _cleanup_close_ int read_fd = -EBADF;
        TraceReader *reader;
        int fds[2], r;

        if (tracer->n_readers >= TRACE_READERS_MAX)
                return -EMFILE;
        if (container) {
                copy = strdup(container);
                if (!copy)
                        return -ENOMEM;
        }
        reader = calloc(1, sizeof(TraceReader));
        if (!reader)
                return -ENOMEM;
        if (pipe2(fds, O_CLOEXEC) < 0) {
                r = -errno;
                free(reader);
                return r;
        }
        read_fd = fds[0];
        *reader = (TraceReader) {
                .tracer = tracer, .fd = fds[1], .filter = *filter, .container = TAKE_PTR(copy),
        };
        LIST_INSERT_HEAD(&tracer->readers, reader, link);
        tracer->n_readers++;

        /* The size is a wish: users have a budget for pipes. */
        (void) fcntl(reader->fd, F_SETPIPE_SZ, TRACE_PIPE_SIZE);
        r = fcntl(reader->fd, F_SETFL, O_WRONLY | O_NONBLOCK) < 0 ? -errno : 0;
        if (r >= 0)
                r = sd_event_add_io(tracer->sentry->event, &reader->source, reader->fd, 0, on_reader, reader);
        if (r < 0) {
                trace_reader_free(reader);
                return r;
        }
        *ret_fd = TAKE_FD(read_fd);
        return 0;
}

/* The container of the caller; its own if it is in none. */
static const char *container_of_call(const Tracer *tracer, const Call *call) {
        Kernel *kernel = tracer->sentry->kernel;
        ThreadGroup *process;

        /* Who had the number before, and died untold, is forgotten first. */
        kernel->host->ops->task_poll(kernel->host);
        return task_table_process_of(&kernel->tasks, call->tid, &process) >= 0 && process->container ?
                process->container : "";
}

static bool is_wanted(const TraceReader *reader, const TracedCall *traced) {
        return trace_filter_matches(&reader->filter, &traced->call) &&
                (!reader->container || streq(reader->container, traced->container));
}

void tracer_take_down_unread(Tracer *tracer, const Call *call, Verdict verdict, uint64_t start_ns, TracedCall *ret) {
        const TraceReader *reader;

        ret->call = *call;
        ret->container[0] = '\0';
        ret->wanted = false;
        /* Which container it is takes a look, which only those who ask for one are worth. */
        LIST_FOREACH(reader, &tracer->readers, link)
                if (reader->container && trace_filter_matches(&reader->filter, call)) {
                        (void) snprintf(ret->container, sizeof(ret->container), "%s", container_of_call(tracer, call));
                        break;
                }
        LIST_FOREACH(reader, &tracer->readers, link)
                ret->wanted = ret->wanted || is_wanted(reader, ret);
        if (!ret->wanted)
                return;

        ret->verdict = verdict;
        ret->start_ns = start_ns;
        ret->unread = true;
        task_comm(call->tid, ret->comm);
        if (proc_read_ids(call->tid, tracer->sentry->host.pid_level, NULL, &ret->pid) < 0)
                ret->pid = 0;
}

void tracer_take_down(Tracer *tracer, const Call *call, Verdict verdict, uint64_t start_ns, TracedCall *ret) {
        tracer_take_down_unread(tracer, call, verdict, start_ns, ret);
        if (!ret->wanted)
                return;
        trace_read_arguments(tracer->sentry->kernel, call, verdict, &ret->arguments);
        ret->unread = false;
}

static void tell_reader(TraceReader *reader, const char *line, size_t size) {
        if (tell_dropped(reader) && write_line(reader, line, size))
                return;

        reader->n_dropped++;
        reader->tracer->n_dropped++;
        if (reader->n_dropped > 1)
                return;
        (void) sd_event_source_set_io_events(reader->source, EPOLLOUT);
        reader->tracer->sentry->notifier.rearm = true;
}

void tracer_tell(Tracer *tracer, const TracedCall *traced, int fd) {
        uint64_t duration_ns = kernel_now(tracer->sentry->kernel) - traced->start_ns, now_usec;
        char line[TRACE_LINE_MAX], name[64];
        struct timespec ts;
        TraceReader *reader;
        size_t size;

        if (!traced->wanted)
                return;

        (void) clock_gettime(CLOCK_REALTIME, &ts);
        now_usec = (uint64_t) ts.tv_sec * 1000000U + (uint64_t) ts.tv_nsec / 1000U;
        notifier_call_name(&traced->call, name, sizeof(name));
        size = trace_format(&(TraceRecord) {
                .call = &traced->call,
                .name = name,
                .arch = traced->call.foreign ? notifier_arch_name(&traced->call) : NULL,
                .arguments = traced->unread ? NULL : &traced->arguments,
                .verdict = traced->verdict,
                .fd = fd,
                .usec = now_usec - duration_ns / NSEC_PER_USEC,
                .duration_ns = duration_ns,
                .pid = traced->pid,
                .comm = traced->comm,
        }, line);

        LIST_FOREACH(reader, &tracer->readers, link)
                if (is_wanted(reader, traced))
                        tell_reader(reader, line, size);
}
