/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* prctl(PR_SET_PTRACER): exceptions from ptrace scope 1. Natively for hosts that have it. */

#include <linux/capability.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>

#include "sys.h"

#ifndef PR_SET_PTRACER
#define PR_SET_PTRACER 0x59616d61
#endif

static void drop_capabilities(void) {
        struct __user_cap_header_struct header = { .version = _LINUX_CAPABILITY_VERSION_3 };
        struct __user_cap_data_struct none[2] = {};

        if (syscall(SYS_capset, &header, none) < 0)
                tap_bail_out("capset");
}

/* Processes that do what they are told, one byte at a time, and say the result. */
typedef struct Worker {
        pid_t pid;
        int to, from;
} Worker;

typedef struct Order {
        char what; /* 'p': PR_SET_PTRACER argument; 'a': attach to it; 'A': let a child attach; 'P': by a thread */
        long argument;
} Order;

static long do_attach(pid_t pid) {
        long r = RAW(SYS_ptrace, (long) PTRACE_ATTACH, (long) pid, 0L, 0L);

        if (r < 0)
                return r;
        waitpid(pid, NULL, __WALL);
        ptrace(PTRACE_DETACH, pid, NULL, NULL);
        return 0;
}

static int attach_in_child(void *arg) {
        return (int) -do_attach((pid_t) * (long *) arg);
}

static void *set_in_thread(void *arg) {
        *(long *) arg = RAW(SYS_prctl, PR_SET_PTRACER, *(long *) arg, 0L, 0L, 0L);
        return NULL;
}

static Worker worker_new(void) {
        int to[2], from[2];
        pthread_t thread;
        Worker worker;
        Order order;
        long result;

        if (pipe(to) < 0 || pipe(from) < 0)
                tap_bail_out("pipe");
        fflush(stdout);
        worker = (Worker) { .pid = fork(), .to = to[1], .from = from[0] };
        if (worker.pid == 0) {
                close(to[1]);
                while (read(to[0], &order, sizeof(order)) == sizeof(order)) {
                        switch (order.what) {
                        case 'p':
                                result = RAW(SYS_prctl, PR_SET_PTRACER, order.argument, 0L, 0L, 0L);
                                break;
                        case 'P':
                                result = order.argument;
                                pthread_create(&thread, NULL, set_in_thread, &result);
                                pthread_join(thread, NULL);
                                break;
                        case 'a':
                                result = do_attach((pid_t) order.argument);
                                break;
                        default:
                                result = -child_exit(attach_in_child, &order.argument);
                        }
                        (void) !write(from[1], &result, sizeof(result));
                }
                _exit(0);
        }
        close(to[0]);
        close(from[1]);
        return worker;
}

static long tell(const Worker *worker, char what, long argument) {
        Order order = { what, argument };
        long result = -EPIPE;

        (void) !write(worker->to, &order, sizeof(order));
        (void) !read(worker->from, &result, sizeof(result));
        return result;
}

static void worker_end(Worker *worker) {
        kill(worker->pid, SIGKILL); /* the others hold its pipes too */
        close(worker->to);
        close(worker->from);
        waitpid(worker->pid, NULL, 0);
}

int main(void) {
        Worker tracee, tracer, other;
        pid_t gone;

        if (!sandboxed() && strcmp(file_text("/proc/sys/kernel/yama/ptrace_scope"), "1") != 0)
                tap_skip_all("this host has no ptrace scope, or another one");
        drop_capabilities();
        tracee = worker_new();
        tracer = worker_new();
        other = worker_new();

        is_int(tell(&tracer, 'a', tracee.pid), -EPERM, "a sibling may not");
        is_int(tell(&tracee, 'p', tracer.pid), 0, "an exception");
        is_int(tell(&tracer, 'a', tracee.pid), 0, "makes that it may");
        is_int(tell(&tracer, 'A', tracee.pid), 0, "its children too");
        is_int(tell(&other, 'a', tracee.pid), -EPERM, "but no other");
        is_int(tell(&tracee, 'p', other.pid), 0, "another exception");
        is_int(tell(&tracer, 'a', tracee.pid), -EPERM, "replaces it");
        is_int(tell(&other, 'a', tracee.pid), 0, "for the other");
        is_int(tell(&tracee, 'p', 0), 0, "0 takes it back");
        is_int(tell(&other, 'a', tracee.pid), -EPERM, "from the other");
        is_int(tell(&tracee, 'p', -1), 0, "-1 is for anyone");
        is_int(tell(&other, 'a', tracee.pid), 0, "like this one");
        is_int(tell(&tracer, 'a', tracee.pid), 0, "and that one");
        is_int(tell(&tracee, 'P', tracer.pid), 0, "a thread sets it for its process");
        is_int(tell(&tracer, 'a', tracee.pid), 0, "which is so");
        is_int(tell(&other, 'a', tracee.pid), -EPERM, "in all");
        is_int(tell(&tracee, 'p', 4999999), -EINVAL, "nobody cannot be named");
        is_int(tell(&tracer, 'a', tracee.pid), 0, "and what was stays");
        is_int(tell(&tracee, 'p', getpid()), 0, "the parent");
        is_int(tell(&other, 'a', tracee.pid), 0, "whose descendants we all are");

        is_int(tell(&tracee, 'p', tracer.pid), 0, "who is an exception");
        gone = tracer.pid;
        worker_end(&tracer);
        is_int(tell(&tracee, 'p', gone), -EINVAL, "cannot be when he is gone");
        is_int(tell(&other, 'a', tracee.pid), -EPERM, "and gives nothing to others");
        worker_end(&tracee);
        worker_end(&other);
        return tap_done();
}
