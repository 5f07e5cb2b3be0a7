/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* A program for restore.sh that has some of everything and knows what it should be. At each SIGUSR1 it looks whether all is
 * as it was, says so in a line, and makes again what looking has used up.
 *
 *     restore-program DIRECTORY [MEGABYTES]
 *
 * "checked N" on standard output, or "failed N: WHAT"; "ready" at first. The directory is for its files. */

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/inotify.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/timerfd.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define THREADS 3
#define PAGE 4096U
#define PATTERN(i) ((uint64_t) (i) * 0x9e3779b97f4a7c15U + 1)

static unsigned round_number;
static bool failed;
static char why[400];

__attribute__((format(printf, 1, 2))) static void fail(const char *format, ...) {
        va_list ap;

        if (failed)
                return;
        failed = true;
        va_start(ap, format);
        (void) vsnprintf(why, sizeof(why), format, ap);
        va_end(ap);
}

#define CHECK(condition) \
        do { \
                if (!(condition)) \
                        fail("%s:%d: %s (%s)", __func__, __LINE__, #condition, strerror(errno)); \
        } while (false)
#define MUST(condition) \
        do { \
                if (!(condition)) { \
                        printf("cannot set up, line %d: %s: %s\n", __LINE__, #condition, strerror(errno)); \
                        exit(2); \
                } \
        } while (false)

/* ---- memory ----------------------------------------------------------------------------------------------------- */

static uint64_t *big, *shared, *readonly, *hidden, *dirty;
static size_t big_words;
static char dirty_path[500];

static void memory_set_up(size_t megabytes) {
        int fd;

        big_words = megabytes * 1024 * 1024 / 8;
        big = mmap(NULL, big_words * 8, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        MUST(big != MAP_FAILED);
        for (size_t i = 0; i < big_words; i++)
                if (i / 512 % 7 != 3) /* some pages stay zero */
                        big[i] = PATTERN(i);
        shared = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
        readonly = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        hidden = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        MUST(shared != MAP_FAILED && readonly != MAP_FAILED && hidden != MAP_FAILED);
        readonly[7] = 77;
        hidden[8] = 88;
        MUST(mprotect(readonly, PAGE, PROT_READ) == 0 && mprotect(hidden, PAGE, PROT_NONE) == 0);

        fd = open(dirty_path, O_RDWR | O_CREAT | O_TRUNC, 0600);
        MUST(fd >= 0 && ftruncate(fd, (off_t) 4 * PAGE) == 0);
        MUST(pwrite(fd, "in the file", 11, PAGE) == 11);
        dirty = mmap(NULL, (size_t) 4 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0);
        MUST(dirty != MAP_FAILED);
        dirty[0] = 99;
        (void) close(fd);
}

static void memory_check(void) {
        for (size_t i = 0; i < big_words; i++)
                if (big[i] != (i / 512 % 7 != 3 ? PATTERN(i) : 0)) {
                        fail("memory: word %zu is %#" PRIx64, i, big[i]);
                        return;
                }
        CHECK(readonly[7] == 77);
        CHECK(mprotect(hidden, PAGE, PROT_READ) == 0 && hidden[8] == 88 && mprotect(hidden, PAGE, PROT_NONE) == 0);
        CHECK(dirty[0] == 99 && memcmp((char *) dirty + PAGE, "in the file", 11) == 0);
        CHECK(sbrk(0) != (void *) -1);
        free(malloc(200000));
        free(malloc(300));
}

/* ---- descriptors ------------------------------------------------------------------------------------------------ */

static int file_fd, append_fd, deleted_fd, memfd, pipe_fds[2], pair[2], packets[2], event_fd, timer_fd, signal_fd, epoll_fd, copy_fd;

static void refill(void) {
        uint64_t five = 5;

        MUST(write(pipe_fds[1], "in the pipe", 11) == 11);
        MUST(write(pair[0], "to the right", 12) == 12 && write(pair[1], "left", 4) == 4);
        MUST(send(packets[0], "one", 3, 0) == 3 && send(packets[0], "three", 5, 0) == 5);
        MUST(write(event_fd, &five, 8) == 8);
}

static void files_set_up(const char *directory) {
        struct itimerspec often = { .it_value = { 0, 20000000 }, .it_interval = { 0, 20000000 } };
        struct epoll_event event = { .events = EPOLLIN, .data.u64 = 4711 };
        char path[500];
        sigset_t set;

        (void) snprintf(path, sizeof(path), "%s/file", directory);
        file_fd = open(path, O_RDWR | O_CREAT | O_TRUNC, 0640);
        MUST(file_fd >= 0 && write(file_fd, "0123456789", 10) == 10 && lseek(file_fd, 4, SEEK_SET) == 4);
        copy_fd = fcntl(file_fd, F_DUPFD_CLOEXEC, 100);
        (void) snprintf(path, sizeof(path), "%s/append", directory);
        append_fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_APPEND | O_CLOEXEC, 0600);
        MUST(append_fd >= 0 && copy_fd >= 100);
        (void) snprintf(path, sizeof(path), "%s/deleted", directory);
        deleted_fd = open(path, O_RDWR | O_CREAT | O_TRUNC, 0600);
        MUST(deleted_fd >= 0 && write(deleted_fd, "without a name", 14) == 14 && unlink(path) == 0);
        memfd = memfd_create("test", MFD_ALLOW_SEALING);
        MUST(memfd >= 0 && write(memfd, "sealed", 6) == 6 && fcntl(memfd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW) == 0);
        MUST(pipe(pipe_fds) == 0 && fcntl(pipe_fds[1], F_SETPIPE_SZ, 131072) == 131072);
        MUST(socketpair(AF_UNIX, SOCK_STREAM, 0, pair) == 0 && socketpair(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK, 0, packets) == 0);
        event_fd = eventfd(0, EFD_NONBLOCK);
        timer_fd = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK);
        MUST(event_fd >= 0 && timer_fd >= 0 && timerfd_settime(timer_fd, 0, &often, NULL) == 0);
        (void) sigemptyset(&set);
        (void) sigaddset(&set, SIGRTMIN + 3);
        signal_fd = signalfd(-1, &set, SFD_NONBLOCK);
        epoll_fd = epoll_create1(0);
        MUST(signal_fd >= 0 && epoll_fd >= 0);
        MUST(epoll_ctl(epoll_fd, EPOLL_CTL_ADD, event_fd, &event) == 0);
        refill();
}

static void files_check(void) {
        struct epoll_event events[4];
        struct stat st;
        uint64_t count;
        char buffer[200];

        CHECK(lseek(file_fd, 0, SEEK_CUR) == 4 && pread(file_fd, buffer, 10, 0) == 10 && memcmp(buffer, "0123456789", 10) == 0);
        CHECK(lseek(copy_fd, 5, SEEK_SET) == 5 && lseek(file_fd, 0, SEEK_CUR) == 5 && lseek(file_fd, 4, SEEK_SET) == 4);
        CHECK(fcntl(copy_fd, F_GETFD) == FD_CLOEXEC && fcntl(file_fd, F_GETFD) == 0);
        CHECK((fcntl(append_fd, F_GETFL) & (O_ACCMODE | O_APPEND)) == (O_WRONLY | O_APPEND) && write(append_fd, "x", 1) == 1);
        CHECK(pread(deleted_fd, buffer, 100, 0) == 14 && memcmp(buffer, "without a name", 14) == 0 && lseek(deleted_fd, 0, SEEK_CUR) == 14);
        CHECK(fstat(deleted_fd, &st) == 0 && st.st_nlink == 0);
        CHECK(fcntl(memfd, F_GET_SEALS) == (F_SEAL_SHRINK | F_SEAL_GROW) && pread(memfd, buffer, 10, 0) == 6);
        CHECK(fcntl(pipe_fds[0], F_GETPIPE_SZ) == 131072);
        CHECK(read(pipe_fds[0], buffer, 100) == 11 && memcmp(buffer, "in the pipe", 11) == 0);
        CHECK(read(pair[1], buffer, 100) == 12 && memcmp(buffer, "to the right", 12) == 0);
        CHECK(read(pair[0], buffer, 100) == 4 && memcmp(buffer, "left", 4) == 0);
        CHECK(read(packets[1], buffer, 100) == 3 && read(packets[1], buffer, 100) == 5 && read(packets[1], buffer, 100) < 0);
        errno = 0;
        CHECK(epoll_wait(epoll_fd, events, 4, 0) == 1 && events[0].data.u64 == 4711);
        CHECK(read(event_fd, &count, 8) == 8 && count == 5);
        CHECK(epoll_wait(epoll_fd, events, 4, 0) == 0);
        refill();
}

/* ---- threads ---------------------------------------------------------------------------------------------------- */

static pthread_t threads[THREADS];
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t turn = PTHREAD_COND_INITIALIZER;
static unsigned asked, answered[THREADS];
static pid_t tids[THREADS];

static void *thread_main(void *userdata) {
        size_t index = (size_t) userdata;
        double sum = 1.5; /* lives in a register of the vector unit, more or less */
        char name[16];

        (void) snprintf(name, sizeof(name), "worker-%zu", index);
        (void) prctl(PR_SET_NAME, name);
        (void) pthread_mutex_lock(&lock);
        tids[index] = (pid_t) syscall(SYS_gettid);
        answered[index]++;
        (void) pthread_cond_broadcast(&turn);
        for (;;) {
                while (answered[index] == asked)
                        (void) pthread_cond_wait(&turn, &lock);
                sum *= 1.0000001;
                if ((pid_t) syscall(SYS_gettid) != tids[index] || sum < 1)
                        fail("thread %zu has another number", index);
                answered[index] = asked;
                (void) pthread_cond_broadcast(&turn);
        }
        return NULL;
}

static void threads_ask(void) {
        struct timespec until;

        (void) clock_gettime(CLOCK_REALTIME, &until);
        until.tv_sec += 30;
        (void) pthread_mutex_lock(&lock);
        asked++;
        (void) pthread_cond_broadcast(&turn);
        for (size_t i = 0; i < THREADS; i++)
                while (answered[i] != asked)
                        if (pthread_cond_timedwait(&turn, &lock, &until) != 0) {
                                fail("thread %zu does not answer", i);
                                break;
                        }
        (void) pthread_mutex_unlock(&lock);
}

/* ---- processes -------------------------------------------------------------------------------------------------- */

static pid_t echo_pid, zombie_pid, leader_pid, stopped_pid;
static int to_echo[2], from_echo[2];

static void make_zombie(void) {
        siginfo_t info;

        zombie_pid = fork();
        if (zombie_pid == 0)
                _exit(7);
        MUST(zombie_pid > 0 && waitid(P_PID, (id_t) zombie_pid, &info, WEXITED | WNOWAIT) == 0);
}

static void processes_set_up(void) {
        int status;

        MUST(pipe(to_echo) == 0 && pipe(from_echo) == 0);
        echo_pid = fork();
        MUST(echo_pid >= 0);
        if (echo_pid == 0) {
                uint64_t number;

                (void) prctl(PR_SET_NAME, "echo");
                (void) setpgid(0, 0);
                while (read(to_echo[0], &number, sizeof(number)) == sizeof(number)) {
                        number += *shared;
                        (void) !write(from_echo[1], &number, sizeof(number));
                }
                _exit(0);
        }
        leader_pid = fork();
        MUST(leader_pid >= 0);
        if (leader_pid == 0) {
                (void) setsid();
                if (fork() == 0)
                        for (;;)
                                (void) pause();
                for (;;)
                        (void) pause();
        }
        stopped_pid = fork();
        MUST(stopped_pid >= 0);
        if (stopped_pid == 0) {
                (void) raise(SIGSTOP);
                for (;;)
                        (void) pause();
        }
        MUST(waitpid(stopped_pid, &status, WUNTRACED) == stopped_pid && WIFSTOPPED(status));
        while (getsid(leader_pid) != leader_pid)
                (void) sched_yield();
        make_zombie();
}

static char state_of(pid_t pid) {
        char path[64], text[400] = "", *p;
        int fd;

        (void) snprintf(path, sizeof(path), "/proc/%d/stat", (int) pid);
        fd = open(path, O_RDONLY);
        (void) !read(fd, text, sizeof(text) - 1);
        (void) close(fd);
        p = strrchr(text, ')');
        return p ? p[2] : '?';
}

static void processes_check(void) {
        uint64_t number = round_number;
        int status;

        *shared = 1000 + round_number;
        CHECK(write(to_echo[1], &number, 8) == 8 && read(from_echo[0], &number, 8) == 8 && number == 1000 + (uint64_t) 2 * round_number);
        CHECK(getpgid(echo_pid) == echo_pid && getsid(leader_pid) == leader_pid && getpgid(leader_pid) == leader_pid);
        CHECK(waitpid(stopped_pid, &status, WNOHANG) == 0 && state_of(stopped_pid) == 'T');
        CHECK(waitpid(zombie_pid, &status, WNOHANG) == zombie_pid && WIFEXITED(status) && WEXITSTATUS(status) == 7);
        make_zombie();
}

/* ---- signals, timers, clocks, the rest -------------------------------------------------------------------------- */

static volatile sig_atomic_t timer_hits, alarm_hits, host_timer_hits;
static timer_t host_timers[2]; /* on a clock whose timers the host keeps; the ids before and between them are free */
static struct timespec last_monotonic, last_real;
static char altstack[65536];
static pid_t own_pid;

static void on_timer(int signo, siginfo_t *info, void *context) {
        (void) signo, (void) context;
        if (info->si_value.sival_int == 42)
                timer_hits++;
        if (info->si_value.sival_int == 43)
                host_timer_hits++;
}

static void on_alarm(int signo) {
        (void) signo;
        alarm_hits++;
}

static void queue(void) {
        union sigval value = { .sival_int = 4242 };

        MUST(sigqueue(getpid(), SIGRTMIN + 3, value) == 0);
}

static void host_timers_set_up(void) {
        struct sigevent event = { .sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGRTMIN + 1, .sigev_value.sival_int = 43 };
        struct itimerspec often = { .it_value = { 0, 10000000 }, .it_interval = { 0, 10000000 } };
        struct itimerspec hours = { .it_value = { 36000, 0 }, .it_interval = { 7, 8 } };
        timer_t unused[2];

        MUST(timer_create(CLOCK_TAI, &event, &unused[0]) == 0 && timer_create(CLOCK_TAI, &event, &host_timers[0]) == 0);
        event.sigev_notify = SIGEV_THREAD_ID;
        event._sigev_un._tid = tids[0];
        MUST(timer_create(CLOCK_TAI, &event, &unused[1]) == 0 && timer_create(CLOCK_PROCESS_CPUTIME_ID, &event, &host_timers[1]) == 0);
        for (unsigned i = 0; i < 2; i++)
                MUST(timer_delete(unused[i]) == 0 && timer_settime(host_timers[i], 0, i == 0 ? &often : &hours, NULL) == 0);
}

/* ---- inotify: watches 2 and 5, and an event that nobody has read when the program is saved ---- */

static int inotify_fd, watched_fd; /* of a directory that no other sandbox has */

static void make_event(void) {
        MUST(mkdirat(watched_fd, "made", 0700) == 0 && unlinkat(watched_fd, "made", AT_REMOVEDIR) == 0);
}

/* The only event that there is: the one that was made, or after a restore the word that some were lost. */
static bool take_event(bool may_be_lost) {
        char buffer[4096] __attribute__((aligned(8)));
        const struct inotify_event *event = (const void *) buffer;
        ssize_t n = read(inotify_fd, buffer, sizeof(buffer));

        if (n != (ssize_t) (sizeof(*event) + event->len))
                return false;
        return (event->mask == (IN_CREATE | IN_ISDIR) && event->wd == 2 && strcmp(event->name, "made") == 0) ||
                (may_be_lost && event->mask == IN_Q_OVERFLOW && event->wd == -1);
}

static void inotify_set_up(void) {
        char buffer[4096];

        MUST(mkdir("/tmp/watched", 0700) == 0);
        watched_fd = open("/tmp/watched", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        inotify_fd = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
        MUST(inotify_add_watch(inotify_fd, "/", IN_CREATE) == 1 && inotify_rm_watch(inotify_fd, 1) == 0);
        MUST(inotify_add_watch(inotify_fd, "/tmp/watched", IN_CREATE) == 2);
        for (int i = 3; i < 5; i++)
                MUST(inotify_add_watch(inotify_fd, "/", IN_DELETE_SELF) == i && inotify_rm_watch(inotify_fd, i) == 0);
        MUST(inotify_add_watch(inotify_fd, "/", IN_DELETE_SELF | IN_EXCL_UNLINK) == 5);
        MUST(read(inotify_fd, buffer, sizeof(buffer)) > 0);
        make_event();
}

static void inotify_check(void) {
        CHECK(take_event(true));
        make_event();
        CHECK(take_event(false));
        make_event();
}

static void rest_set_up(const char *directory) {
        struct sigaction action = { .sa_sigaction = on_timer, .sa_flags = SA_SIGINFO | SA_RESTART | SA_ONSTACK };
        struct sigaction alarm_action = { .sa_handler = on_alarm, .sa_flags = SA_RESTART };
        struct itimerspec often = { .it_value = { 0, 10000000 }, .it_interval = { 0, 10000000 } };
        struct itimerval alarms = { .it_value = { 0, 10000 }, .it_interval = { 0, 10000 } };
        stack_t stack = { .ss_sp = altstack, .ss_size = sizeof(altstack) };
        struct sigevent event = { .sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGRTMIN + 1, .sigev_value.sival_int = 42 };
        struct rlimit limit;
        timer_t timer;

        own_pid = getpid();
        MUST(sigaltstack(&stack, NULL) == 0 && sigaction(SIGRTMIN + 1, &action, NULL) == 0 && sigaction(SIGALRM, &alarm_action, NULL) == 0);
        MUST(timer_create(CLOCK_MONOTONIC, &event, &timer) == 0 && timer_settime(timer, 0, &often, NULL) == 0);
        host_timers_set_up();
        MUST(setitimer(ITIMER_REAL, &alarms, NULL) == 0);
        MUST(prctl(PR_SET_NAME, "all-kinds") == 0 && nice(3) == 3 && chdir(directory) == 0);
        inotify_set_up();
        (void) umask(027);
        MUST(getrlimit(RLIMIT_NOFILE, &limit) == 0);
        limit.rlim_cur = 333;
        MUST(setrlimit(RLIMIT_NOFILE, &limit) == 0);
        (void) clock_gettime(CLOCK_MONOTONIC, &last_monotonic);
        (void) clock_gettime(CLOCK_REALTIME, &last_real);
        queue();
}

static double seconds(const struct timespec *t) {
        return (double) t->tv_sec + (double) t->tv_nsec / 1e9;
}

static void rest_check(const char *directory) {
        struct signalfd_siginfo info;
        struct timespec monotonic, real, nap = { 0, 50000000 };
        sig_atomic_t hits = timer_hits, alarms = alarm_hits, host_hits = host_timer_hits;
        struct itimerspec left = {};
        struct rlimit limit;
        struct sigaction action;
        stack_t stack;
        char name[16] = "", cwd[500];
        uint64_t count;
        mode_t mask;

        CHECK(getpid() == own_pid && prctl(PR_GET_NAME, name) == 0 && strcmp(name, "all-kinds") == 0);
        CHECK(getpriority(PRIO_PROCESS, 0) == 3 && getcwd(cwd, sizeof(cwd)) && strcmp(cwd, directory) == 0);
        mask = umask(027);
        CHECK(mask == 027 && getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur == 333);
        CHECK(sigaction(SIGRTMIN + 1, NULL, &action) == 0 && action.sa_sigaction == on_timer);
        CHECK(sigaltstack(NULL, &stack) == 0 && stack.ss_sp == altstack && stack.ss_size == sizeof(altstack));
        CHECK(read(signal_fd, &info, sizeof(info)) == sizeof(info) && info.ssi_int == 4242 && info.ssi_signo == (uint32_t) SIGRTMIN + 3);
        queue();
        (void) clock_gettime(CLOCK_MONOTONIC, &monotonic);
        (void) clock_gettime(CLOCK_REALTIME, &real);
        CHECK(seconds(&monotonic) >= seconds(&last_monotonic));
        if (seconds(&monotonic) - seconds(&last_monotonic) > seconds(&real) - seconds(&last_real) + 1 ||
            seconds(&monotonic) - seconds(&last_monotonic) < seconds(&real) - seconds(&last_real) - 1)
                fail("clocks: monotonic went on by %f s, real time by %f", seconds(&monotonic) - seconds(&last_monotonic),
                     seconds(&real) - seconds(&last_real));
        last_monotonic = monotonic;
        last_real = real;
        for (unsigned i = 0; i < 200 && (timer_hits == hits || alarm_hits == alarms || host_timer_hits == host_hits); i++)
                while (nanosleep(&nap, &nap) < 0 && errno == EINTR && nap.tv_nsec > 0)
                        ;
        CHECK(timer_hits > hits);
        CHECK(alarm_hits > alarms);
        inotify_check();
        CHECK(host_timer_hits > host_hits);
        CHECK(timer_gettime(host_timers[1], &left) == 0 && left.it_value.tv_sec > 35000 && left.it_value.tv_sec <= 36000);
        CHECK(left.it_interval.tv_sec == 7 && left.it_interval.tv_nsec == 8);
        CHECK(read(timer_fd, &count, 8) == 8 && count >= 1);
}

int main(int argc, char *argv[]) {
        sigset_t set;
        int signo;

        setvbuf(stdout, NULL, _IOLBF, 0);
        if (argc < 2)
                return 2;
        (void) snprintf(dirty_path, sizeof(dirty_path), "%s/dirty", argv[1]);
        (void) sigemptyset(&set);
        (void) sigaddset(&set, SIGUSR1);
        (void) sigaddset(&set, SIGRTMIN + 3);
        (void) sigprocmask(SIG_BLOCK, &set, NULL);
        (void) sigdelset(&set, SIGRTMIN + 3);

        memory_set_up(argc > 2 ? (size_t) atoi(argv[2]) : 4);
        processes_set_up(); /* before there are threads and timers, which children do not have */
        files_set_up(argv[1]);
        for (size_t i = 0; i < THREADS; i++)
                MUST(pthread_create(&threads[i], NULL, thread_main, (void *) i) == 0);
        threads_ask();
        rest_set_up(argv[1]);
        printf("ready\n");

        while (sigwait(&set, &signo) == 0) {
                round_number++;
                memory_check();
                files_check();
                processes_check();
                threads_ask();
                rest_check(argv[1]);
                if (failed)
                        printf("failed %u: %s\n", round_number, why);
                else
                        printf("checked %u\n", round_number);
        }
        return 1;
}
