/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Who may trace whom. argv[1], or PTRACE_SCOPE, is the scope that holds; natively it is the host's, if it has one. */

#include <linux/capability.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/uio.h>

#include "sys.h"

#ifndef PTRACE_SEIZE
#define PTRACE_SEIZE 0x4206
#endif

static int scope = 1;
static char secret[] = "secret";

/* Not of those who may do anything. */
static void drop_capabilities(void) {
        struct __user_cap_header_struct header = { .version = _LINUX_CAPABILITY_VERSION_3 };
        struct __user_cap_data_struct none[2] = {};

        if (syscall(SYS_capset, &header, none) < 0)
                tap_bail_out("capset");
}

static int expected(bool related) {
        return scope == 0 || (scope == 1 && related) ? 0 : -EPERM;
}

static long attach(pid_t pid, long request) {
        long r = RAW(SYS_ptrace, request, (long) pid, 0L, 0L);
        int status;

        if (r < 0)
                return r;
        if (request == PTRACE_SEIZE)
                ptrace(PTRACE_INTERRUPT, pid, NULL, NULL);
        waitpid(pid, &status, __WALL);
        ptrace(PTRACE_DETACH, pid, NULL, NULL);
        return 0;
}

static long peek(pid_t pid) {
        char buffer[sizeof secret] = "";
        struct iovec local = { buffer, sizeof buffer }, remote = { secret, sizeof secret };
        long r = RAW(SYS_process_vm_readv, (long) pid, &local, 1L, &remote, 1L, 0L);

        return r < 0 ? r : r == sizeof secret && strcmp(buffer, "secret") == 0 ? 0 : -EIO;
}

static long poke(pid_t pid) {
        struct iovec local = { secret, sizeof secret }, remote = { secret, sizeof secret };
        long r = RAW(SYS_process_vm_writev, (long) pid, &local, 1L, &remote, 1L, 0L);

        return r < 0 ? r : 0;
}

static long steal(pid_t pid) {
        int pidfd = (int) syscall(SYS_pidfd_open, pid, 0), fd;

        if (pidfd < 0)
                return -errno;
        fd = (int) RAW(SYS_pidfd_getfd, pidfd, 0, 0);
        close(pidfd);
        if (fd >= 0)
                close(fd);
        return fd < 0 ? fd : 0;
}

/* A process that waits. */
static pid_t waiter(pid_t *ret_child) {
        int fds[2];
        pid_t pid, child = 0;

        if (pipe(fds) < 0)
                tap_bail_out("pipe");
        fflush(stdout);
        pid = fork();
        if (pid == 0) {
                child = fork();
                if (child == 0)
                        for (;;)
                                pause();
                (void) !write(fds[1], &child, sizeof(child));
                for (;;)
                        pause();
        }
        if (read(fds[0], &child, sizeof(child)) != sizeof(child))
                tap_bail_out("no child");
        close(fds[0]);
        close(fds[1]);
        if (ret_child)
                *ret_child = child;
        return pid;
}

/* All of it, in the process that asks. */
static void all_ways(pid_t pid, bool related, const char *whom) {
        is_int(attach(pid, PTRACE_ATTACH), expected(related), "attach to %s", whom);
        is_int(attach(pid, PTRACE_SEIZE), expected(related), "seize %s", whom);
        is_int(peek(pid), expected(related), "read the memory of %s", whom);
        is_int(poke(pid), expected(related), "write the memory of %s", whom);
        is_int(steal(pid), expected(related), "take a descriptor of %s", whom);
}

static pid_t sibling;

static int from_sibling(void *arg) {
        pid_t pid = *(pid_t *) arg;
        int wrong = 0;

        wrong |= (attach(pid, PTRACE_ATTACH) != expected(false)) << 0;
        wrong |= (attach(pid, PTRACE_SEIZE) != expected(false)) << 1;
        wrong |= (peek(pid) != expected(false)) << 2;
        wrong |= (poke(pid) != expected(false)) << 3;
        wrong |= (steal(pid) != expected(false)) << 4;
        return wrong;
}

static int trace_me(void *arg) {
        (void) arg;
        return (int) -RAW(SYS_ptrace, (long) PTRACE_TRACEME, 0L, 0L, 0L);
}

/* Who traces already reads memory too, whoever he is. */
static int traced_child(void *arg) {
        (void) arg;
        if (ptrace(PTRACE_TRACEME, 0, NULL, NULL) < 0)
                return 77;
        return 0;
}

int main(int argc, char **argv) {
        pid_t child, grandchild, self = getpid();

        if (argc > 1)
                scope = atoi(argv[1]);
        else if (getenv("PTRACE_SCOPE"))
                scope = atoi(getenv("PTRACE_SCOPE"));
        else if (!sandboxed()) {
                const char *host = file_text("/proc/sys/kernel/yama/ptrace_scope");

                scope = *host ? atoi(host) : 0;
        }
        drop_capabilities();

        child = waiter(&grandchild);
        all_ways(child, true, "a child");
        all_ways(grandchild, true, "a grandchild");
        sibling = child;
        is_int(child_exit(from_sibling, &sibling), 0, "a sibling is not related");
        is_int(child_exit(from_sibling, &self), 0, "nor is a parent to its child");
        is_int(peek(getpid()), 0, "the own memory is one's own");
        is_int(attach(getpid(), PTRACE_ATTACH), -EPERM, "nobody attaches to himself");
        is_int(attach(4999999, PTRACE_ATTACH), -ESRCH, "nor to nobody");
        is_int(attach(0, PTRACE_ATTACH), -ESRCH, "nor to 0");
        is_int(attach(-1, PTRACE_SEIZE), -ESRCH, "nor to -1");
        is_int(peek(4999999), -ESRCH, "nobody has no memory");
        is_int(RAW(SYS_ptrace, (long) PTRACE_SEIZE, (long) child, 8L, 0L), -EIO, "an address is an error");
        is_int(RAW(SYS_ptrace, (long) PTRACE_CONT, (long) child, 0L, 0L), -ESRCH, "other requests are for tracees");
        is_int(child_exit(trace_me, NULL), scope <= 1 ? 0 : EPERM, "PTRACE_TRACEME");
        is_int(child_exit(traced_child, NULL), scope <= 1 ? 0 : 77, "a child that is traced ends");

        kill(grandchild, SIGKILL);
        kill(child, SIGKILL);
        waitpid(child, NULL, 0);
        return tap_done();
}
