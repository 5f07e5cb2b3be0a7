/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* A program for save-ipc.sh with objects of System V IPC and POSIX message queues, which knows what they should be. At each SIGUSR1 it looks whether
 * all is as it was, says so in a line ("checked N", or "failed N: WHAT"), and makes again what looking has used up. "ready" at
 * first. */

#include <errno.h>
#include <fcntl.h>
#include <mqueue.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ipc.h>
#include <sys/mman.h>
#include <sys/msg.h>
#include <sys/prctl.h>
#include <sys/sem.h>
#include <sys/shm.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define PAGE 4096U
#define TURNS 70         /* ids are not the first ones */
#define UNMAPPED_SIZE (5U << 20)
#define MAPPED_BY 9U     /* mappings: two of this process and of each child that inherits them, and that of the writer */
#define KEY_UNMAPPED 0x5e01
#define KEY_SEMAPHORES 0x5e02
#define KEY_QUEUE 0x5e03
#define GO 99            /* type of the message that the waiting child gets */
#define PATTERN(i) ((uint8_t) ((i) * 31 + 7))

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
                errno = 0; \
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

/* ---- shared memory ---------------------------------------------------------------------------------------------- */

static int mapped_id, removed_id, unmapped_id;
static volatile uint8_t *mapped, *readonly, *removed;
static pid_t writer; /* increments what is at the start of the second page, through its own mapping */
static struct shmid_ds unmapped_info;

static void memory_set_up(void) {
        uint8_t *all;

        for (unsigned i = 0; i < TURNS; i++) {
                int id = shmget(IPC_PRIVATE, 1, IPC_CREAT | 0600);

                MUST(id >= 0 && shmctl(id, IPC_RMID, NULL) == 0);
        }
        mapped_id = shmget(IPC_PRIVATE, 3 * PAGE + 100, IPC_CREAT | 0600);
        removed_id = shmget(IPC_PRIVATE, 2 * PAGE, IPC_CREAT | 0644);
        unmapped_id = shmget(KEY_UNMAPPED, UNMAPPED_SIZE, IPC_CREAT | IPC_EXCL | 0640);
        MUST(mapped_id >= 0 && removed_id >= 0 && unmapped_id >= 0);
        mapped = shmat(mapped_id, NULL, 0);
        readonly = shmat(mapped_id, NULL, SHM_RDONLY);
        removed = shmat(removed_id, NULL, 0);
        all = shmat(unmapped_id, NULL, 0);
        MUST(mapped != (void *) -1 && readonly != (void *) -1 && removed != (void *) -1 && all != (void *) -1);
        for (unsigned i = 0; i < 3 * PAGE + 100; i++)
                mapped[i] = PATTERN(i);
        for (unsigned i = 0; i < 2 * PAGE; i++)
                removed[i] = PATTERN(i + 1);
        MUST(shmctl(removed_id, IPC_RMID, NULL) == 0);
        all[0] = 1;
        all[UNMAPPED_SIZE - 1] = 2;
        MUST(shmdt(all) == 0 && shmctl(unmapped_id, IPC_STAT, &unmapped_info) == 0);

        writer = fork();
        MUST(writer >= 0);
        if (writer == 0) {
                volatile uint8_t *own = shmat(mapped_id, NULL, 0);

                (void) prctl(PR_SET_PDEATHSIG, SIGKILL);
                /* The second page is all that it keeps. */
                MUST(munmap((void *) own, PAGE) == 0 && munmap((void *) (own + 2 * PAGE), 2 * PAGE) == 0);
                MUST(shmdt((void *) mapped) == 0 && shmdt((void *) readonly) == 0 && shmdt((void *) removed) == 0);
                for (;;) {
                        own[PAGE]++;
                        (void) usleep(1000);
                }
        }
}

static void memory_check(void) {
        struct shmid_ds info;
        uint8_t *all, before = readonly[PAGE];
        unsigned i = 0;

        for (unsigned j = 0; j < 3 * PAGE + 100; j++)
                if (j != PAGE && (mapped[j] != PATTERN(j) || readonly[j] != PATTERN(j)))
                        fail("byte %u of the shared memory is %u and %u", j, mapped[j], readonly[j]);
        for (unsigned j = 0; j < 2 * PAGE; j++)
                if (removed[j] != PATTERN(j + 1))
                        fail("byte %u of the removed shared memory is %u", j, removed[j]);
        while (readonly[PAGE] == before && i++ < 20000)
                (void) usleep(1000);
        CHECK(readonly[PAGE] != before && mapped[PAGE] == readonly[PAGE]);
        CHECK(shmctl(mapped_id, IPC_STAT, &info) == 0 && info.shm_segsz == 3 * PAGE + 100);
        if (info.shm_nattch != MAPPED_BY)
                fail("the shared memory is attached %lu times, not %u", (unsigned long) info.shm_nattch, MAPPED_BY);
        CHECK(shmctl(removed_id, IPC_STAT, &info) == 0 && (info.shm_perm.mode & SHM_DEST) && info.shm_nattch == 4);
        CHECK(mprotect((void *) readonly, PAGE, PROT_READ | PROT_WRITE) < 0 && errno == EACCES);
        CHECK(shmget(KEY_UNMAPPED, UNMAPPED_SIZE, 0) == unmapped_id);
        CHECK(shmctl(unmapped_id, IPC_STAT, &info) == 0 && info.shm_nattch == 0);
        CHECK(info.shm_perm.mode == 0640 && info.shm_perm.uid == unmapped_info.shm_perm.uid &&
              info.shm_perm.cgid == unmapped_info.shm_perm.cgid && info.shm_segsz == UNMAPPED_SIZE);
        all = shmat(unmapped_id, NULL, 0);
        CHECK(all != (void *) -1);
        if (all == (void *) -1)
                return;
        CHECK(all[0] == 1 && all[1] == 0 && all[UNMAPPED_SIZE - 1] == 2 && shmdt(all) == 0);
}

/* ---- semaphores ------------------------------------------------------------------------------------------------- */

static int semaphores;
static pid_t holder, waiter;
static int end_pipe[2];

static int change(unsigned short number, short by, short flags) {
        struct sembuf operation = { number, by, flags };

        return semop(semaphores, &operation, 1);
}

/* A process that has taken two of the first semaphore and one of the fourth, and given seven of the third, until its end. */
static void start_holder(void) {
        int told[2];
        char c;

        MUST(pipe(end_pipe) == 0 && pipe(told) == 0);
        holder = fork();
        MUST(holder >= 0);
        if (holder == 0) {
                (void) prctl(PR_SET_PDEATHSIG, SIGKILL);
                (void) close(end_pipe[1]);
                MUST(change(0, -2, SEM_UNDO) == 0 && change(2, 7, SEM_UNDO) == 0 && change(3, -1, SEM_UNDO) == 0);
                (void) !write(told[1], "", 1);
                (void) !read(end_pipe[0], &c, 1);
                _exit(0);
        }
        (void) close(end_pipe[0]);
        MUST(read(told[0], &c, 1) == 1);
        (void) close(told[0]);
        (void) close(told[1]);
}

static void start_waiter(void) {
        waiter = fork();
        MUST(waiter >= 0);
        if (waiter == 0) {
                (void) close(end_pipe[1]);
                (void) prctl(PR_SET_PDEATHSIG, SIGKILL);
                _exit(change(1, -1, 0) == 0 ? 0 : errno);
        }
}

static void semaphores_set_up(void) {
        semaphores = semget(KEY_SEMAPHORES, 5, IPC_CREAT | IPC_EXCL | 0666);
        MUST(semaphores >= 0 && change(0, 5, 0) == 0 && change(3, 32767, 0) == 0);
        start_holder();
        start_waiter();
}

static void semaphores_check(void) {
        int status;

        CHECK(semget(KEY_SEMAPHORES, 5, 0) == semaphores);
        CHECK(semctl(semaphores, 0, GETVAL) == 3 && semctl(semaphores, 1, GETVAL) == 0 && semctl(semaphores, 2, GETVAL) == 7);
        CHECK(semctl(semaphores, 3, GETVAL) == 32766 && semctl(semaphores, 4, GETVAL) == 0);
        CHECK(semctl(semaphores, 0, GETPID) == holder && semctl(semaphores, 4, GETPID) == 0);
        /* The end of the holder gives back what it had. */
        (void) close(end_pipe[1]);
        CHECK(waitpid(holder, &status, 0) == holder && status == 0);
        CHECK(semctl(semaphores, 0, GETVAL) == 5 && semctl(semaphores, 2, GETVAL) == 0 && semctl(semaphores, 3, GETVAL) == 32767);
        start_holder();
        /* Who waited went on waiting. */
        for (unsigned i = 0; i < 20000 && semctl(semaphores, 1, GETNCNT) != 1; i++)
                (void) usleep(1000);
        CHECK(waitpid(waiter, &status, WNOHANG) == 0 && change(1, 1, 0) == 0);
        CHECK(waitpid(waiter, &status, 0) == waiter && status == 0);
        start_waiter();
}

/* ---- messages --------------------------------------------------------------------------------------------------- */

typedef struct Message {
        long type;
        char text[200];
} Message;

static int queue;
static pid_t receiver;

static void start_receiver(void) {
        receiver = fork();
        MUST(receiver >= 0);
        if (receiver == 0) {
                Message message;

                (void) close(end_pipe[1]);
                (void) prctl(PR_SET_PDEATHSIG, SIGKILL);
                _exit(msgrcv(queue, &message, sizeof(message.text), GO, 0) == 2 ? 0 : errno);
        }
}

static void fill_queue(void) {
        Message message = { .type = 7, .text = "the first" };

        MUST(msgsnd(queue, &message, strlen(message.text), 0) == 0);
        message.type = 3;
        MUST(msgsnd(queue, &message, 0, 0) == 0);
        message.type = 7;
        memset(message.text, 'x', sizeof(message.text));
        MUST(msgsnd(queue, &message, sizeof(message.text), 0) == 0);
}

static void queue_set_up(void) {
        struct msqid_ds info;

        queue = msgget(KEY_QUEUE, IPC_CREAT | IPC_EXCL | 0600);
        MUST(queue >= 0 && msgctl(queue, IPC_STAT, &info) == 0);
        info.msg_qbytes = 1000;
        MUST(msgctl(queue, IPC_SET, &info) == 0);
        fill_queue();
        start_receiver();
}

static void queue_check(void) {
        struct msqid_ds info;
        Message message;
        int status;

        CHECK(msgget(KEY_QUEUE, 0) == queue && msgctl(queue, IPC_STAT, &info) == 0);
        CHECK(info.msg_qbytes == 1000 && info.msg_qnum == 3 && info.msg_perm.mode == 0600);
        CHECK(msgrcv(queue, &message, sizeof(message.text), 0, IPC_NOWAIT) == 9 && message.type == 7 && memcmp(message.text, "the first", 9) == 0);
        CHECK(msgrcv(queue, &message, sizeof(message.text), 0, IPC_NOWAIT) == 0 && message.type == 3);
        CHECK(msgrcv(queue, &message, sizeof(message.text), 0, IPC_NOWAIT) == 200 && message.type == 7 && message.text[199] == 'x');
        CHECK(waitpid(receiver, &status, WNOHANG) == 0);
        message = (Message) { .type = GO, .text = "go" };
        CHECK(msgsnd(queue, &message, 2, 0) == 0);
        CHECK(waitpid(receiver, &status, 0) == receiver && status == 0);
        fill_queue();
        start_receiver();
}

/* ---- queues of POSIX -------------------------------------------------------------------------------------------- */

#define MQ_NAME "/open"          /* and open for reading, and for writing; the same name one had that was removed */
#define MQ_UNOPENED "/.unopened" /* nobody has it open */
#define MQ_FULL "/full"          /* a child that counts waits for room in it */
#define MQ_ASKED "/asked"        /* and one waits for a message here, and answers it there */
#define MQ_ANSWERS "/answers"

typedef struct Post {
        const char *text;
        unsigned priority;
} Post;

/* As they are received. */
static const Post posts[] = { { "the most urgent", 32767 }, { "first of 5", 5 }, { "second of 5", 5 }, { "", 0 }, { "last", 0 } };
static const unsigned order_sent[] = { 1, 3, 0, 2, 4 };
static mqd_t mq_reader, mq_writer, mq_removed, mq_full, mq_asked, mq_answers;
static uint32_t counted;
static struct stat unopened_stat;

static mqd_t mq_make(const char *name, int flags, mode_t mode, long max, long size) {
        struct mq_attr attributes = { .mq_maxmsg = max, .mq_msgsize = size };
        mqd_t q = mq_open(name, flags | O_CREAT | O_EXCL, mode, &attributes);

        MUST(q >= 0);
        return q;
}

static void mq_post_all(mqd_t q) {
        for (unsigned i = 0; i < 5; i++)
                CHECK(mq_send(q, posts[order_sent[i]].text, strlen(posts[order_sent[i]].text), posts[order_sent[i]].priority) == 0);
}

static void mq_take_all(mqd_t q, size_t size) {
        char text[9000];
        struct mq_attr attributes;

        CHECK(mq_getattr(q, &attributes) == 0 && attributes.mq_curmsgs == 5 && attributes.mq_msgsize == (long) size);
        for (unsigned i = 0; i < 5 && !failed; i++) {
                unsigned priority = 0;
                ssize_t n = mq_receive(q, text, size, &priority);

                if (n != (ssize_t) strlen(posts[i].text) || memcmp(text, posts[i].text, (size_t) n) != 0 || priority != posts[i].priority)
                        fail("message %u is \"%.*s\" of priority %u", i, (int) n, text, priority);
        }
}

static void mqueues_set_up(void) {
        mqd_t unopened;

        (void) umask(0);
        mq_removed = mq_make(MQ_NAME, O_RDWR | O_NONBLOCK, 0600, 6, 300);
        MUST(mq_unlink(MQ_NAME) == 0);
        mq_reader = mq_make(MQ_NAME, O_RDONLY | O_NONBLOCK, 0640, 5, 100);
        mq_writer = mq_open(MQ_NAME, O_WRONLY);
        MUST(mq_writer >= 0);
        unopened = mq_make(MQ_UNOPENED, O_RDWR, 0604, 10, 8192);
        mq_full = mq_make(MQ_FULL, O_RDWR, 0600, 1, 4);
        mq_asked = mq_make(MQ_ASKED, O_RDWR, 0600, 1, 16);
        mq_answers = mq_make(MQ_ANSWERS, O_RDWR, 0600, 1, 16);
        mq_post_all(mq_writer);
        mq_post_all(mq_removed);
        mq_post_all(unopened);
        MUST(!failed && fstat(unopened, &unopened_stat) == 0 && mq_close(unopened) == 0);
        if (fork() == 0) {
                (void) prctl(PR_SET_PDEATHSIG, SIGKILL);
                for (uint32_t i = 0;; i++)
                        if (mq_send(mq_full, (const char *) &i, sizeof(i), 0) < 0)
                                _exit(errno);
        }
        if (fork() == 0) {
                char text[16];
                ssize_t n;

                (void) prctl(PR_SET_PDEATHSIG, SIGKILL);
                while ((n = mq_receive(mq_asked, text, sizeof(text), NULL)) >= 0)
                        if (mq_send(mq_answers, text, (size_t) n, 0) < 0)
                                break;
                _exit(errno);
        }
}

static ssize_t mq_await(mqd_t q, void *message, size_t size) {
        struct timespec deadline;

        (void) clock_gettime(CLOCK_REALTIME, &deadline);
        deadline.tv_sec += 30;
        return mq_timedreceive(q, message, size, NULL, &deadline);
}

static void mqueues_check(void) {
        struct pollfd writable = { .fd = mq_writer, .events = POLLOUT };
        struct mq_attr attributes;
        char answer[16] = "";
        struct stat st;
        uint32_t number;
        mqd_t unopened;

        CHECK(mq_getattr(mq_reader, &attributes) == 0 && attributes.mq_flags == O_NONBLOCK && attributes.mq_maxmsg == 5);
        CHECK(mq_getattr(mq_writer, &attributes) == 0 && attributes.mq_flags == 0 && poll(&writable, 1, 0) == 0);
        CHECK(mq_receive(mq_writer, answer, sizeof(answer), NULL) < 0 && errno == EBADF);
        mq_take_all(mq_reader, 100);
        CHECK(mq_receive(mq_reader, (char[100]) {}, 100, NULL) < 0 && errno == EAGAIN);
        mq_post_all(mq_writer);
        mq_take_all(mq_removed, 300);
        mq_post_all(mq_removed);
        CHECK(fstat(mq_removed, &st) == 0 && st.st_nlink == 0);
        unopened = mq_open(MQ_UNOPENED, O_RDWR);
        CHECK(unopened >= 0 && fstat(unopened, &st) == 0 && (st.st_mode & 07777) == 0604 && st.st_uid == unopened_stat.st_uid);
        mq_take_all(unopened, 8192);
        mq_post_all(unopened);
        CHECK(mq_close(unopened) == 0);

        for (unsigned i = 0; i < 3; i++, counted++)
                CHECK(mq_await(mq_full, &number, sizeof(number)) == sizeof(number) && number == counted);
        CHECK(mq_send(mq_asked, "question", 8, 0) == 0);
        CHECK(mq_await(mq_answers, answer, sizeof(answer)) == 8 && memcmp(answer, "question", 8) == 0);
}

int main(void) {
        unsigned round_number = 0;
        sigset_t set;
        int signo;

        setvbuf(stdout, NULL, _IOLBF, 0);
        (void) sigemptyset(&set);
        (void) sigaddset(&set, SIGUSR1);
        (void) sigprocmask(SIG_BLOCK, &set, NULL);
        mqueues_set_up();
        memory_set_up();
        semaphores_set_up();
        queue_set_up();
        printf("ready\n");

        while (sigwait(&set, &signo) == 0) {
                round_number++;
                memory_check();
                semaphores_check();
                queue_check();
                mqueues_check();
                if (failed)
                        printf("failed %u: %s\n", round_number, why);
                else
                        printf("checked %u\n", round_number);
        }
        return 1;
}
