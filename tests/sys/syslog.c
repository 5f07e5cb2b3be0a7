/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* syslog(2): the kernel's log. Natively a user namespace's root may not see the host's, so natively everything is
 * EPERM, whatever the arguments; in a sandbox the log is the sandbox's own and every action works. */

#include <sys/time.h>

#include "sys.h"

enum {
        CLOSE,
        OPEN,
        READ,
        READ_ALL,
        READ_CLEAR,
        CLEAR,
        CONSOLE_OFF,
        CONSOLE_ON,
        CONSOLE_LEVEL,
        SIZE_UNREAD,
        SIZE_BUFFER,
};

static const char *const names[] = { "CLOSE", "OPEN",        "READ",       "READ_ALL",      "READ_CLEAR", "CLEAR",
                                     "CONSOLE_OFF", "CONSOLE_ON", "CONSOLE_LEVEL", "SIZE_UNREAD", "SIZE_BUFFER" };

static long action(int type, void *buffer, int size) {
        return RAW(SYS_syslog, type, buffer, size);
}

static void on_alarm(int signo) {
        (void) signo;
}

static int interrupted_read(void *arg) {
        struct sigaction action_alarm = { .sa_handler = on_alarm };
        struct itimerval in = { .it_value.tv_usec = 100000 };
        char buffer[16];

        (void) arg;
        sigaction(SIGALRM, &action_alarm, NULL);
        setitimer(ITIMER_REAL, &in, NULL);
        return action(READ, buffer, sizeof buffer) == -EINTR ? 0 : 1;
}

static int native(void) {
        bool restricted = strcmp(file_text("/proc/sys/kernel/dmesg_restrict"), "0") != 0;
        char buffer[64];

        for (int type = CLOSE; type <= SIZE_BUFFER; type++) {
                if (!restricted && (type == READ_ALL || type == SIZE_BUFFER)) {
                        ok(action(type, buffer, sizeof buffer) >= 0, "%s is open to all when dmesg_restrict is 0",
                           names[type]);
                        continue;
                }
                is_int(action(type, buffer, sizeof buffer), -EPERM, "%s without CAP_SYSLOG is EPERM", names[type]);
                is_int(action(type, NULL, -1), -EPERM, "… also with bad arguments");
        }
        is_int(action(11, NULL, 0), -EPERM, "an unknown action is EPERM too");
        is_int(action(-1, NULL, 0), -EPERM, "… and a negative one");
        return tap_done();
}

/* Lines as syslog(2) gives them: "<LEVEL>[SECONDS.MICROS] text\n". */
static bool is_log(const char *text, long n) {
        const char *end = text + n;

        if (n <= 0 || end[-1] != '\n')
                return false;
        while (text < end) {
                const char *eol = memchr(text, '\n', (size_t) (end - text));
                char line[1024];
                int level, used = 0;
                double seconds;

                snprintf(line, sizeof line, "%.*s", (int) (eol - text), text);
                if (sscanf(line, "<%d>[%lf] %n", &level, &seconds, &used) != 2 || used == 0 || level < 0)
                        return false;
                text = eol + 1;
        }
        return true;
}

int main(void) {
        static char whole[1 << 18], part[1 << 18], again[1 << 18];
        long size, n, unread, total;
        pid_t pid;
        int status;

        if (!sandboxed())
                return native();

        is_int(action(OPEN, NULL, 0), 0, "OPEN does nothing");
        is_int(action(CLOSE, NULL, 0), 0, "CLOSE does nothing");
        is_int(action(OPEN, KERNEL_ADDRESS, -1), 0, "… and looks at no argument");
        size = action(SIZE_BUFFER, NULL, 0);
        is_int(size, 65536, "SIZE_BUFFER is the profile's logSize");
        is_int(action(SIZE_BUFFER, KERNEL_ADDRESS, -1), size, "… and looks at no argument");
        unread = action(SIZE_UNREAD, NULL, 0);
        ok(unread > 0 && unread <= size, "SIZE_UNREAD: %ld boot bytes", unread);

        for (int type = READ; type <= READ_ALL; type++) {
                is_int(action(type, NULL, 10), -EINVAL, "%s to NULL is EINVAL", names[type]);
                is_int(action(type, NULL, 0), -EINVAL, "… also of nothing");
                is_int(action(type, whole, -1), -EINVAL, "… of -1 bytes is EINVAL");
                is_int(action(type, whole, INT_MIN), -EINVAL, "… of the least is EINVAL");
                is_int(action(type, whole, 0), 0, "… of nothing is nothing");
                is_int(action(type, KERNEL_ADDRESS, 0), 0, "… wherever");
                is_int(action(type, KERNEL_ADDRESS, 100), -EFAULT, "… to a kernel address is EFAULT");
                is_int(action(type, page_unmapped(), 1 << 16), -EFAULT, "… to an unmapped page is EFAULT");
                is_int(action(type, page_new(PROT_READ), (int) PAGE), -EFAULT, "… to a read-only page is EFAULT");
        }

        n = action(READ_ALL, whole, sizeof whole);
        ok(n > 0 && n <= size, "READ_ALL gives the boot lines: %ld bytes", n);
        ok(is_log(whole, n), "… as lines with level and time");
        is_int(action(READ_ALL, again, sizeof again), n, "… and again");
        ok(memcmp(whole, again, (size_t) n) == 0, "… the same");
        is_int(action(SIZE_UNREAD, NULL, 0), unread, "READ_ALL consumes nothing");
        long tail = action(READ_ALL, part, (int) n - 1);
        ok(tail > 0 && tail < n && memcmp(part, whole + n - tail, (size_t) tail) == 0,
           "READ_ALL into too small a buffer gives the last lines: %ld of %ld", tail, n);
        ok(is_log(part, tail), "… whole ones");
        is_int(action(READ_ALL, part, 1), 0, "… and none when none fits");

        /* READ consumes */
        is_int(action(READ, again, 7), 7, "READ gives part of a line");
        total = 7;
        is_int(action(SIZE_UNREAD, NULL, 0), unread - 7, "… which is consumed");
        while (total < unread) {
                long r = action(READ, again + total, 100);

                if (r <= 0) {
                        fail("READ failed at %ld of %ld: %ld", total, unread, r);
                        break;
                }
                total += r;
        }
        is_int(total, unread, "READ after READ gives all");
        ok(memcmp(again, whole, (size_t) total) == 0, "… in order");
        is_int(action(SIZE_UNREAD, NULL, 0), 0, "nothing is left");
        is_int(action(READ_ALL, again, sizeof again), n, "READ_ALL still has everything");

        /* An empty log is waited for, until a signal. */
        fflush(stdout);
        pid = fork();
        if (pid == 0)
                _exit(interrupted_read(NULL));
        status = -1;
        for (int i = 0; i < 500 && waitpid(pid, &status, WNOHANG) == 0; i++)
                usleep(10000);
        if (status == -1) {
                kill(pid, SIGKILL);
                waitpid(pid, &status, 0);
        }
        ok(WIFEXITED(status) && WEXITSTATUS(status) == 0, "READ of an empty log waits; a signal ends it with EINTR");

        /* Clearing */
        is_int(action(READ_CLEAR, NULL, 10), -EINVAL, "READ_CLEAR to NULL is EINVAL");
        is_int(action(READ_CLEAR, whole, -1), -EINVAL, "… of -1 bytes is EINVAL");
        is_int(action(READ_CLEAR, whole, 0), 0, "… of nothing is nothing");
        is_int(action(READ_CLEAR, KERNEL_ADDRESS, 100), -EFAULT, "… to a kernel address is EFAULT");
        is_int(action(READ_ALL, again, sizeof again), n, "… and none of that clears anything");
        is_int(action(CLEAR, KERNEL_ADDRESS, -1), 0, "CLEAR looks at no argument");
        is_int(action(READ_ALL, again, sizeof again), 0, "… and READ_ALL gives nothing any more");
        is_int(action(READ_CLEAR, again, sizeof again), 0, "… nor does READ_CLEAR");
        is_int(action(SIZE_BUFFER, NULL, 0), size, "the buffer's size is the same");

        /* The console */
        is_int(action(CONSOLE_OFF, NULL, 0), 0, "CONSOLE_OFF");
        is_int(action(CONSOLE_ON, NULL, 0), 0, "CONSOLE_ON");
        is_int(action(CONSOLE_ON, NULL, 0), 0, "CONSOLE_ON again");
        is_int(action(CONSOLE_LEVEL, NULL, 0), -EINVAL, "CONSOLE_LEVEL 0 is EINVAL");
        is_int(action(CONSOLE_LEVEL, NULL, 9), -EINVAL, "CONSOLE_LEVEL 9 is EINVAL");
        is_int(action(CONSOLE_LEVEL, NULL, -1), -EINVAL, "CONSOLE_LEVEL -1 is EINVAL");
        for (int level = 1; level <= 8; level++)
                is_int(action(CONSOLE_LEVEL, NULL, level), 0, "CONSOLE_LEVEL %d", level);
        is_int(action(11, NULL, 0), -EINVAL, "action 11 is EINVAL");
        is_int(action(-1, NULL, 0), -EINVAL, "action -1 is EINVAL");
        return tap_done();
}
