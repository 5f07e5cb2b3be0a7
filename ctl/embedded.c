/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Finding and starting the embedded daemon. A connection either reaches a living daemon or is told so at once;
 * who holds the lock beside the socket, and nobody else, may make the socket. The daemon inherits both. */

#include <fcntl.h>
#include <signal.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>

#include "ctl.h"
#include "embedded.h"
#include "runtime-dir.h"
#include "util.h"

#define LOCK_TIMEOUT_USEC UINT64_C(10000000)
#define LOCK_RETRY_USEC 10000U
#define STARTS_MAX 3U

/* Descriptors of the daemon. */
enum {
        DAEMON_FD_LISTEN = 3,
        DAEMON_FD_LOCK = 4,
        _DAEMON_FD_END,
};

static uint64_t now_usec(void) {
        struct timespec now;

        clock_gettime(CLOCK_MONOTONIC, &now);
        return (uint64_t) now.tv_sec * 1000000 + (uint64_t) now.tv_nsec / 1000;
}

char *embedded_log(void) {
        _cleanup_free_ char *path = NULL;

        return runtime_dir_of_user(&path) >= 0 && string_appendf(&path, "/log") >= 0 ? TAKE_PTR(path) : NULL;
}

static int fail(const char *format, ...) __attribute__((format(printf, 1, 2)));
static int fail(const char *format, ...) {
        _cleanup_free_ char *message = NULL;
        va_list ap;

        va_start(ap, format);
        if (vasprintf(&message, format, ap) < 0)
                message = NULL;
        va_end(ap);
        (void) ctl_error("%s", message ?: "out of memory");
        return -EUCLEAN;
}

/* Opens the directory, or makes it. Nobody else may have a say in it: who answers on the socket sees our programs. */
static int open_directory(const char *path, bool make) {
        _cleanup_close_ int fd = -EBADF;
        struct stat st;

        if (make && mkdir(path, 0700) < 0 && errno != EEXIST)
                return fail("cannot make %s for the embedded sentryd: %s", path, strerror(errno));

        fd = open(path, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        if (fd < 0 && errno == ENOENT && !make)
                return -ENOENT;
        if (fd < 0 && (errno == ENOTDIR || errno == ELOOP))
                return fail("%s is not a directory but should be: remove it, or set XDG_RUNTIME_DIR to a directory "
                            "of yours", path);
        if (fd < 0)
                return fail("cannot open %s: %s", path, strerror(errno));
        if (fstat(fd, &st) < 0)
                return fail("cannot look at %s: %s", path, strerror(errno));
        if (st.st_uid != geteuid())
                return fail("%s belongs to uid %u, not to you: set XDG_RUNTIME_DIR to a directory of yours", path,
                            (unsigned) st.st_uid);
        if (st.st_mode & 077)
                return fail("%s can be used by others (mode %04o): run chmod 0700 %s", path,
                            (unsigned) st.st_mode & 07777, path);
        return TAKE_FD(fd);
}

static int socket_address(const char *directory, struct sockaddr_un *ret, socklen_t *ret_length) {
        int n;

        *ret = (struct sockaddr_un) { .sun_family = AF_UNIX };
        n = snprintf(ret->sun_path, sizeof(ret->sun_path), "%s/bus", directory);
        if (n < 0 || (size_t) n >= sizeof(ret->sun_path))
                return fail("%s/bus is too long for the name of a socket (%zu bytes at most): set XDG_RUNTIME_DIR to "
                            "a shorter directory", directory, sizeof(ret->sun_path) - 1);
        *ret_length = (socklen_t) (offsetof(struct sockaddr_un, sun_path) + (size_t) n + 1);
        return 0;
}

/* -ENOENT: nobody listens. -EAGAIN: somebody does, who does not get round to it. */
static int try_connect(const struct sockaddr_un *address, socklen_t length) {
        _cleanup_close_ int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

        if (fd < 0)
                return fail("cannot make a socket: %s", strerror(errno));
        if (connect(fd, (const struct sockaddr *) address, length) >= 0)
                return TAKE_FD(fd);
        if (errno == ENOENT || errno == ECONNREFUSED)
                return -ENOENT;
        if (errno == EAGAIN)
                return -EAGAIN;
        return fail("cannot connect to %s: %s", address->sun_path, strerror(errno));
}

/* The daemon's program: that beside our own when this is a build directory, else the installed one. */
static char *find_daemon(void) {
        _cleanup_free_ char *beside = NULL, *worker = NULL;
        char own[4096];
        ssize_t n = readlink("/proc/self/exe", own, sizeof(own) - 1);
        char *slash;

        if (n > 0) {
                own[n] = 0;
                slash = strrchr(own, '/');
                if (slash) {
                        *slash = 0;
                        if (string_appendf(&beside, "%s/sentryd", own) < 0 ||
                            string_appendf(&worker, "%s/sentry-kernel", own) < 0)
                                return NULL;
                        if (access(beside, X_OK) >= 0 && access(worker, X_OK) >= 0)
                                return TAKE_PTR(beside);
                }
        }
        return strdup(SENTRYD_LIBEXECDIR "/sentryd");
}

/* In the child, on the way to the daemon. Writes errno to report_fd and does not return. */
static void become_daemon(const char *program, int listen_fd, int lock_fd, int log_fd, int report_fd) {
        char *const argv[] = { (char *) program, (char *) "--embedded", NULL };
        sigset_t none;
        int null_fd, fds[_DAEMON_FD_END + 1], error;

        sigemptyset(&none);
        (void) sigprocmask(SIG_SETMASK, &none, NULL);
        for (int i = 1; i < NSIG; i++)
                (void) signal(i, SIG_DFL);
        (void) setsid();
        (void) umask(0077);
        if (chdir("/") < 0) /* so that it keeps no file system busy */
                goto fail;

        /* Out of the way first, so that no number is overwritten before it was used. */
        null_fd = open("/dev/null", O_RDWR | O_CLOEXEC);
        if (null_fd < 0)
                goto fail;
        fds[0] = fds[1] = null_fd;
        fds[2] = log_fd;
        fds[DAEMON_FD_LISTEN] = listen_fd;
        fds[DAEMON_FD_LOCK] = lock_fd;
        fds[_DAEMON_FD_END] = report_fd;
        for (size_t i = 0; i < ELEMENTSOF(fds); i++) {
                fds[i] = fcntl(fds[i], F_DUPFD_CLOEXEC, _DAEMON_FD_END + 1);
                if (fds[i] < 0)
                        goto fail;
        }
        for (int i = 0; i < _DAEMON_FD_END; i++)
                if (dup2(fds[i], i) < 0)
                        goto fail;
        report_fd = fds[_DAEMON_FD_END];
        /* Everything else closes at exec, whoever opened it. */
        (void) close_range(_DAEMON_FD_END, ~0U, CLOSE_RANGE_CLOEXEC);

        execv(program, argv);
fail:
        error = errno;
        (void) !write(report_fd, &error, sizeof(error));
        _exit(EXIT_FAILURE);
}

/* Starts the daemon as nobody's child. Waits until its program runs, not until it serves. */
static int spawn_daemon(const char *directory, int listen_fd, int lock_fd) {
        _cleanup_free_ char *program = find_daemon(), *log = NULL;
        _cleanup_close_ int log_fd = -EBADF, report_fd = -EBADF;
        int fds[2], error = 0;
        ssize_t n;
        pid_t pid;

        if (!program || string_appendf(&log, "%s/log", directory) < 0)
                return fail("out of memory");
        log_fd = open(log, O_WRONLY | O_CREAT | O_TRUNC | O_APPEND | O_NOFOLLOW | O_CLOEXEC, 0600);
        if (log_fd < 0)
                return fail("cannot open %s: %s", log, strerror(errno));
        if (pipe2(fds, O_CLOEXEC) < 0)
                return fail("cannot make a pipe: %s", strerror(errno));
        report_fd = fds[0];

        fflush(NULL);
        pid = fork();
        if (pid == 0) {
                pid = fork();
                if (pid == 0)
                        become_daemon(program, listen_fd, lock_fd, log_fd, fds[1]);
                if (pid < 0) {
                        error = errno;
                        (void) !write(fds[1], &error, sizeof(error));
                }
                _exit(EXIT_SUCCESS);
        }
        error = pid < 0 ? errno : 0;
        (void) close(fds[1]);
        if (error != 0)
                return fail("cannot start %s: %s", program, strerror(error));

        while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
                ;
        do
                n = read(report_fd, &error, sizeof(error));
        while (n < 0 && errno == EINTR);
        if (n == sizeof(error))
                return fail("cannot start %s: %s", program, strerror(error));
        return 0;
}

/* Makes the socket and starts the daemon on it. The lock is held. */
static int start_daemon(const char *directory, const struct sockaddr_un *address, socklen_t length, int lock_fd) {
        _cleanup_close_ int listen_fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

        if (listen_fd < 0)
                return fail("cannot make a socket: %s", strerror(errno));
        if (unlink(address->sun_path) < 0 && errno != ENOENT)
                return fail("cannot remove the stale socket %s: %s", address->sun_path, strerror(errno));
        if (bind(listen_fd, (const struct sockaddr *) address, length) < 0 || listen(listen_fd, SOMAXCONN) < 0)
                return fail("cannot listen on %s: %s", address->sun_path, strerror(errno));
        return spawn_daemon(directory, listen_fd, lock_fd);
}

/* Whether sandboxes are there without a daemon: who has them come to the next one. */
static bool has_sandboxes(int directory_fd) {
        _cleanup_(closedirp) DIR *directory = NULL;
        struct dirent *entry;
        int fd;

        fd = openat(directory_fd, "sandboxes", O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        directory = fd >= 0 ? fdopendir(fd) : NULL;
        if (!directory) {
                safe_close(fd);
                return false;
        }
        while ((entry = readdir(directory)))
                if (entry->d_name[0] != '.')
                        return true;
        return false;
}

int embedded_connect(bool start) {
        _cleanup_free_ char *directory = NULL, *lock = NULL;
        _cleanup_close_ int directory_fd = -EBADF;
        struct sockaddr_un address;
        uint64_t deadline;
        socklen_t length = 0;
        unsigned starts = 0;
        int fd, r;

        if (runtime_dir_of_user(&directory) < 0 || string_appendf(&lock, "%s/lock", directory) < 0)
                return fail("out of memory");
        directory_fd = open_directory(directory, start);
        if (directory_fd < 0)
                return directory_fd;
        r = socket_address(directory, &address, &length);
        if (r < 0)
                return r;

        deadline = now_usec() + LOCK_TIMEOUT_USEC;
        do {
                _cleanup_close_ int lock_fd = -EBADF;
                struct stat st;

                fd = try_connect(&address, length);
                if (fd == -ENOENT && !start)
                        start = has_sandboxes(directory_fd);
                if (fd >= 0 || (fd != -ENOENT && fd != -EAGAIN) || (fd == -ENOENT && !start))
                        return fd;

                /* Opened anew each time: the file may have been removed behind our back. */
                lock_fd = open(lock, O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
                if (lock_fd < 0)
                        return fail("cannot open %s: %s", lock, strerror(errno));
                if (start && flock(lock_fd, LOCK_EX | LOCK_NB) >= 0 && fstat(lock_fd, &st) >= 0 && st.st_nlink > 0) {
                        /* Whoever had the lock may have made the socket in the meantime. */
                        fd = try_connect(&address, length);
                        if (fd != -ENOENT && fd != -EAGAIN)
                                return fd;
                        if (starts++ >= STARTS_MAX)
                                return fail("the embedded sentryd does not stay up; what it says is in %s/log",
                                            directory);
                        r = start_daemon(directory, &address, length, lock_fd);
                        if (r < 0)
                                return r;
                        continue; /* and connect: the backlog holds the call until the daemon is there */
                }
                /* Somebody starts or ends a daemon right now, or one is too busy. */
                (void) usleep(LOCK_RETRY_USEC);
        } while (now_usec() < deadline);

        return fail("a sentryd holds %s but has not answered at %s for %u s; what it says is in %s/log", lock,
                    address.sun_path, (unsigned) (LOCK_TIMEOUT_USEC / 1000000), directory);
}
