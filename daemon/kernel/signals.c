/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/syscall.h>

#include "sentry.h"
#include "signals.h"
#include "tasks.h"
#include "util.h"

#define PIDFD_OF_THREAD O_EXCL /* PIDFD_THREAD, since Linux 6.9; not in older headers */

static const char *const whom_names[_SIGNAL_WHOM_MAX] = {
        [SIGNAL_WHOM_INIT] = "init",
        [SIGNAL_WHOM_ALL] = "all",
        [SIGNAL_WHOM_LEADER] = "leader",
        [SIGNAL_WHOM_GROUP] = "group",
        [SIGNAL_WHOM_PGRP] = "pgrp",
        [SIGNAL_WHOM_TASK] = "task",
        [SIGNAL_WHOM_CONTAINER] = "container",
};

const char *signal_whom_to_string(SignalWhom whom) {
        return whom < _SIGNAL_WHOM_MAX ? whom_names[whom] : NULL;
}

SignalWhom signal_whom_from_string(const char *text) {
        for (SignalWhom whom = 0; whom < _SIGNAL_WHOM_MAX; whom++)
                if (streq(whom_names[whom], text))
                        return whom;
        return _SIGNAL_WHOM_MAX;
}

/* The kernel has si_pid and si_uid as the receiver sees us: 0, from outside, and the owner. */
static siginfo_t *make_info(const SignalRequest *request, siginfo_t *info) {
        if (!request->has_value)
                return NULL;
        *info = (siginfo_t) {};
        info->si_signo = request->signo;
        info->si_code = SI_QUEUE;
        info->si_pid = getpid();
        info->si_uid = getuid();
        info->si_value.sival_int = request->value;
        return info;
}

static int send_by_pidfd(int pidfd, const SignalRequest *request) {
        siginfo_t info;

        if (syscall(SYS_pidfd_send_signal, pidfd, request->signo, make_info(request, &info), 0) < 0)
                return -errno;
        return 0;
}

static int signal_process(const Sentry *sentry, pid_t host_pid, const SignalRequest *request) {
        _cleanup_close_ int pidfd = -EBADF;

        pidfd = (int) syscall(SYS_pidfd_open, host_pid, 0);
        if (pidfd < 0)
                return errno == EINVAL ? -ESRCH : -errno;
        /* If the number is somebody else's by now, the process behind the descriptor is dead. */
        if (!host_seccomp_owns(&sentry->host, host_pid))
                return -ESRCH;
        return send_by_pidfd(pidfd, request);
}

/* Before Linux 6.9 a single thread is only to be had by its number. */
static int signal_thread_by_number(pid_t host_tgid, pid_t host_tid, const SignalRequest *request) {
        siginfo_t info;

        if (request->has_value) {
                if (syscall(SYS_rt_tgsigqueueinfo, host_tgid, host_tid, request->signo, make_info(request, &info)) < 0)
                        return -errno;
        } else if (syscall(SYS_tgkill, host_tgid, host_tid, request->signo) < 0)
                return -errno;
        return 0;
}

/* A number in a line of /proc/PID/status, the last one of the line: that of the innermost namespace. */
static int status_number(pid_t host_tid, const char *key, int *ret) {
        _cleanup_free_ char *text = NULL;
        char path[64];
        const char *p;
        bool any = false;
        int r;

        (void) snprintf(path, sizeof(path), "/proc/%d/status", (int) host_tid);
        r = read_full_file(path, 65536, &text, NULL);
        if (r < 0)
                return r == -ENOENT ? -ESRCH : r;
        p = strstr(text, key);
        if (!p)
                return -EOPNOTSUPP;
        for (p += strlen(key); *p && *p != '\n';) {
                char *end;
                long value = strtol(p, &end, 10);

                if (end == p)
                        break;
                *ret = (int) value;
                any = true;
                p = end;
        }
        return any ? 0 : -EBADMSG;
}

static int signal_thread(const Sentry *sentry, pid_t host_tid, const SignalRequest *request) {
        _cleanup_close_ int pidfd = -EBADF;
        int tgid, r;

        pidfd = (int) syscall(SYS_pidfd_open, host_tid, PIDFD_OF_THREAD);
        if (pidfd < 0 && errno != EINVAL)
                return -errno;
        if (!host_seccomp_owns(&sentry->host, host_tid))
                return -ESRCH;
        if (pidfd >= 0)
                return send_by_pidfd(pidfd, request);

        r = status_number(host_tid, "\nTgid:", &tgid);
        return r < 0 ? r : signal_thread_by_number(tgid, host_tid, request);
}

/* Who of all processes is meant. */
typedef struct Select {
        Sentry *sentry;
        const SignalRequest *request;
        pid_t *pids; /* owned */
        size_t n_pids, n_allocated;
} Select;

static bool is_meant(const Select *select, pid_t host_pid) {
        const SignalRequest *request = select->request;
        const ThreadGroup *process;
        int pgrp;

        switch (request->whom) {
        case SIGNAL_WHOM_PGRP:
                return status_number(host_pid, "\nNSpgid:", &pgrp) >= 0 && pgrp == request->id;
        case SIGNAL_WHOM_CONTAINER:
                process = task_table_find_host(&select->sentry->kernel->tasks, host_pid);
                return process && streq(process->container ?: "", request->container);
        default:
                return true;
        }
}

static int select_one(pid_t host_pid, void *userdata) {
        Select *select = userdata;

        if (!is_meant(select, host_pid))
                return 0;
        if (select->n_pids == select->n_allocated) {
                size_t want = select->n_allocated == 0 ? 64 : select->n_allocated * 2;
                pid_t *grown = reallocarray(select->pids, want, sizeof(pid_t));

                if (!grown)
                        return -ENOMEM;
                select->pids = grown;
                select->n_allocated = want;
        }
        select->pids[select->n_pids++] = host_pid;
        return 0;
}

/* All tasks stand still. */
static int signal_selected(Sentry *sentry, const SignalRequest *request) {
        Select select = { .sentry = sentry, .request = request };
        size_t n_sent = 0;
        int result = 0, r;

        /* Whose container it is, the table knows. */
        r = task_table_sync(&sentry->kernel->tasks);
        if (r >= 0)
                r = tasks_for_each(&sentry->host, select_one, &select);
        for (size_t i = 0; r >= 0 && i < select.n_pids; i++) {
                int q = signal_process(sentry, select.pids[i], request);

                if (q >= 0)
                        n_sent++;
                else if (q != -ESRCH && (result == 0 || request->whom != SIGNAL_WHOM_PGRP))
                        result = q;
        }
        free(select.pids);
        if (r < 0)
                return r;
        return result == 0 && n_sent == 0 ? -ESRCH : result;
}

static int signal_several(Sentry *sentry, const SignalRequest *request, char **ret_message) {
        int r;

        r = sentry_freeze(sentry, ret_message);
        if (r < 0)
                return r;
        r = signal_selected(sentry, request);
        sentry_thaw(sentry);
        return r;
}

int sentry_signal(Sentry *sentry, const SignalRequest *request, char **ret_message) {
        int tgid, r;
        pid_t tid;

        switch (request->whom) {
        case SIGNAL_WHOM_INIT:
                if (request->signo == SIGCHLD || request->signo == SIGURG)
                        return 0;
                return send_by_pidfd(sentry->init_pidfd, request);

        case SIGNAL_WHOM_LEADER:
                tid = launch_server_leader(sentry, request->container);
                return tid > 0 ? signal_process(sentry, tid, request) : -ESRCH;

        case SIGNAL_WHOM_GROUP:
        case SIGNAL_WHOM_TASK:
                tid = host_seccomp_find_task(&sentry->host, request->id);
                if (tid < 0)
                        return tid;
                if (request->whom == SIGNAL_WHOM_TASK)
                        return signal_thread(sentry, tid, request);
                r = status_number(tid, "\nTgid:", &tgid);
                return r < 0 ? r : signal_process(sentry, tgid, request);

        default:
                return signal_several(sentry, request, ret_message);
        }
}
