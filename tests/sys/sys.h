/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What the programs of this folder share: raw calls, memory that is bad in every way there is, children and their
 * statuses. Each program runs natively and in a sandbox; `sandboxed()` tells which, for the few places where the
 * two differ by design. */

#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stddef.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "tap.h"

#ifndef MAP_FIXED_NOREPLACE
#define MAP_FIXED_NOREPLACE 0x100000
#endif

#define UTS_MAX 64        /* bytes of a host name */
#define UTS_STRUCT 390    /* bytes of struct new_utsname */
#define PAGE 4096UL

#define KERNEL_ADDRESS ((void *) 0xffffffff81000000UL)
#define NON_CANONICAL ((void *) 0x8000000000000000UL)
#define LAST_ADDRESS ((void *) ~0UL)

static inline bool sandboxed(void) {
        const char *e = getenv("SENTRYD_SANDBOX_TEST");

        return e && strcmp(e, "1") == 0;
}

/* A system call as the kernel sees it: the result, or a negative errno. */
#define RAW(...) raw_result(syscall(__VA_ARGS__))
static inline long raw_result(long r) {
        return r < 0 ? -errno : r;
}

/* ---- memory ---- */

static inline char *page_new(int prot) {
        char *p = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

        if (p == MAP_FAILED)
                tap_bail_out("mmap: %s", strerror(errno));
        memset(p, 'x', PAGE);
        if (mprotect(p, PAGE, prot) < 0)
                tap_bail_out("mprotect: %s", strerror(errno));
        return p;
}

/* An address that is mapped for n bytes and then not any more. */
static inline char *page_edge(size_t n) {
        size_t mapped = (n + PAGE - 1) & ~(PAGE - 1);
        char *p;

        if (mapped == 0)
                mapped = PAGE;
        p = mmap(NULL, mapped + PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        if (p == MAP_FAILED)
                tap_bail_out("mmap: %s", strerror(errno));
        memset(p, 'x', mapped);
        if (munmap(p + mapped, PAGE) < 0)
                tap_bail_out("munmap: %s", strerror(errno));
        return p + mapped - n;
}

/* The address of a page that is gone. */
static inline char *page_unmapped(void) {
        char *p = page_new(PROT_READ);

        munmap(p, PAGE);
        return p;
}

/* A page of a file behind the file's end: touching it is SIGBUS, passing it to the kernel EFAULT. */
static inline char *page_bus(void) {
        int fd = (int) syscall(SYS_memfd_create, "empty", 0);
        char *p;

        if (fd < 0)
                tap_bail_out("memfd_create: %s", strerror(errno));
        p = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
        if (p == MAP_FAILED)
                tap_bail_out("mmap: %s", strerror(errno));
        close(fd);
        return p;
}

/* ---- children ---- */

/* Forks, runs f(arg) in the child, returns its wait status. */
static inline int child_status(int (*f)(void *), void *arg) {
        int status;
        pid_t pid;

        fflush(stdout);
        pid = fork();
        if (pid < 0)
                tap_bail_out("fork: %s", strerror(errno));
        if (pid == 0)
                _exit(f(arg));
        while (waitpid(pid, &status, 0) < 0)
                if (errno != EINTR)
                        tap_bail_out("waitpid: %s", strerror(errno));
        return status;
}

/* The same, for a child that exits by itself: its exit code, or 256 + signal. */
static inline int child_exit(int (*f)(void *), void *arg) {
        int status = child_status(f, arg);

        return WIFEXITED(status) ? WEXITSTATUS(status) : 256 + WTERMSIG(status);
}

/* ---- files ---- */

/* The start of a file as a string, without its last newline; "" when it can't be read. */
__attribute__((unused)) static const char *file_text(const char *path) {
        static char text[64 * 1024];
        int fd = open(path, O_RDONLY | O_CLOEXEC);
        size_t n = 0;

        if (fd >= 0) {
                ssize_t r;

                while (n < sizeof text - 1 && (r = read(fd, text + n, sizeof text - 1 - n)) > 0)
                        n += (size_t) r;
                close(fd);
        }
        if (n > 0 && text[n - 1] == '\n')
                n--;
        text[n] = 0;
        return text;
}

/* The value of a line "key:\tvalue" of /proc/self/status; "" when there is none. */
__attribute__((unused)) static const char *status_field(const char *key) {
        static char value[256];
        char line[512];
        FILE *f = fopen("/proc/self/status", "re");

        value[0] = 0;
        while (f && fgets(line, sizeof line, f)) {
                size_t n = strlen(key);

                if (strncmp(line, key, n) == 0 && line[n] == ':') {
                        snprintf(value, sizeof value, "%s", line + n + 1 + strspn(line + n + 1, " \t"));
                        value[strcspn(value, "\n")] = 0;
                        break;
                }
        }
        if (f)
                fclose(f);
        return value;
}

static inline int64_t now_ns(clockid_t clock) {
        struct timespec ts;

        clock_gettime(clock, &ts);
        return (int64_t) ts.tv_sec * 1000000000 + ts.tv_nsec;
}
