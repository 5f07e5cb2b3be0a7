/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* daemon/common/rendezvous.h: what is said arrives, and what is not of ours is refused and leaves nothing open. */

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/inotify.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include "rendezvous.h"
#include "tap.h"
#include "util.h"

static unsigned count_fds(void) {
        _cleanup_(closedirp) DIR *dir = opendir("/proc/self/fd");
        unsigned n = 0;

        while (dir && readdir(dir))
                n++;
        return n;
}

/* Sends bytes with so many copies of descriptor 0. */
static void send_raw(int fd, const void *data, size_t size, size_t n_fds) {
        union {
                struct cmsghdr align;
                char buffer[CMSG_SPACE(253 * sizeof(int))];
        } control = {};
        struct iovec iov = { (void *) data, size };
        struct msghdr header = { .msg_iov = &iov, .msg_iovlen = 1 };

        if (n_fds > 0) {
                header.msg_control = &control;
                header.msg_controllen = CMSG_SPACE(n_fds * sizeof(int));
                struct cmsghdr *cmsg = CMSG_FIRSTHDR(&header);
                cmsg->cmsg_level = SOL_SOCKET;
                cmsg->cmsg_type = SCM_RIGHTS;
                cmsg->cmsg_len = CMSG_LEN(n_fds * sizeof(int));
                memset(CMSG_DATA(cmsg), 0, n_fds * sizeof(int));
        }
        if (sendmsg(fd, &header, MSG_NOSIGNAL) != (ssize_t) size)
                tap_bail_out("sendmsg: %s", strerror(errno));
}

/* The bytes of a HELLO with n descriptors, as the sender makes them. */
static size_t hello_bytes(uint32_t n, uint8_t buffer[static 4096]) {
        Rendezvous hello = { .name = "web", .index_fd = 0, .pidfd = 0, .n = n };
        int pair[2];
        ssize_t size;

        for (uint32_t i = 0; i < n; i++)
                hello.table[i] = (RendezvousFd) { RENDEZVOUS_LISTENER, 20 + i };
        if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0 || rendezvous_send(pair[0], &hello) < 0)
                tap_bail_out("cannot make a HELLO");
        size = recv(pair[1], buffer, 4096, 0);
        safe_close(pair[0]);
        safe_close(pair[1]);
        return size < 0 ? 0 : (size_t) size;
}

/* What becomes of bytes that somebody sends. */
static int receive_raw(const void *data, size_t size, size_t n_fds) {
        Rendezvous hello;
        int pair[2], r;

        if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0)
                tap_bail_out("socketpair: %s", strerror(errno));
        send_raw(pair[0], data, size, n_fds);
        r = rendezvous_receive(pair[1], &hello);
        if (r == 0)
                rendezvous_done(&hello);
        safe_close(pair[0]);
        safe_close(pair[1]);
        return r;
}

static void test_hello(void) {
        Rendezvous hello = { .name = "web", .index_fd = 0, .pidfd = 0, .n = RENDEZVOUS_FDS_MAX }, got;
        unsigned before = count_fds();
        bool same = true;
        int pair[2];

        if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0)
                tap_bail_out("socketpair: %s", strerror(errno));
        is_int(rendezvous_receive(pair[1], &got), -EAGAIN, "nothing is there yet");
        for (uint32_t i = 0; i < hello.n; i++)
                hello.table[i] = (RendezvousFd) { 1 + i % (_RENDEZVOUS_ROLE_END - 1), 100 + i };
        is_int(rendezvous_send(pair[0], &hello), 0, "a HELLO with as many descriptors as there may be");
        if (is_int(rendezvous_receive(pair[1], &got), 0, "arrives")) {
                for (uint32_t i = 0; i < got.n; i++)
                        same = same && got.table[i].role == hello.table[i].role &&
                               got.table[i].number == hello.table[i].number &&
                               (fcntl(got.fds[i], F_GETFD) & FD_CLOEXEC);
                ok(same && got.n == hello.n, "with every number and role, and close-on-exec");
                is_str(got.name, "web", "and the name");
                rendezvous_done(&got);
        }

        is_int(rendezvous_receive_answer(pair[0]), -EAGAIN, "no answer yet");
        ok(rendezvous_answer(pair[1], 0) == 0 && rendezvous_receive_answer(pair[0]) == 0, "taken");
        ok(rendezvous_answer(pair[1], EPROTO) == 0 && rendezvous_receive_answer(pair[0]) == EPROTO, "refused");
        send_raw(pair[1], "nonsense nonsens", 16, 0);
        is_int(rendezvous_receive_answer(pair[0]), -EBADMSG, "no answer of ours");
        pair[1] = safe_close(pair[1]);
        is_int(rendezvous_receive_answer(pair[0]), -ECONNRESET, "nobody there");
        is_int(rendezvous_send(pair[0], &hello), -EPIPE, "nor to speak to");
        hello.table[1].number = hello.table[0].number;
        is_int(rendezvous_send(pair[0], &hello), -EINVAL, "a number twice is not sent");
        safe_close(pair[0]);
        is_int(count_fds(), before, "nothing is left open");
}

static void test_hostile(void) {
        unsigned before = count_fds();
        uint8_t good[4096], bad[4096];
        size_t size = hello_bytes(3, good);
        uint32_t value;
        int wrong = 0;

        is_int(receive_raw(good, size, 5), 0, "bytes of a HELLO");
        is_int(receive_raw(good, size, 4), -EBADMSG, "a descriptor less than it says");
        is_int(receive_raw(good, size, 6), -EBADMSG, "one more");
        is_int(receive_raw(good, size, 253), -EBADMSG, "as many as one can send");
        is_int(receive_raw(good, size, 0), -EBADMSG, "none");
        for (size_t n = 1; n < size; n++)
                if (receive_raw(good, n, 5) != -EBADMSG)
                        wrong++;
        is_int(wrong, 0, "cut off anywhere it is none");

        memcpy(bad, good, size);
        value = 2;
        memcpy(bad + 8, &value, sizeof(value));
        is_int(receive_raw(bad, size, 5), -EPROTO, "another version");
        is_int(receive_raw(bad, 12, 0), -EPROTO, "another version, of another size");

        static const uint32_t counts[] = { 0, 1, 2, 4, RENDEZVOUS_FDS_MAX + 1, INT32_MAX, UINT32_MAX - 1, UINT32_MAX };
        for (size_t i = 0; i < ELEMENTSOF(counts); i++) {
                memcpy(bad, good, size);
                memcpy(bad + 12, &counts[i], sizeof(uint32_t));
                is_int(receive_raw(bad, size, 5), -EBADMSG, "5 descriptors for a count of %u", counts[i]);
        }

        memcpy(bad, good, size);
        memset(bad + 16, 'x', RENDEZVOUS_NAME_MAX + 1);
        is_int(receive_raw(bad, size, 5), -EBADMSG, "a name without an end");
        memset(bad + 16, 0, RENDEZVOUS_NAME_MAX + 1);
        is_int(receive_raw(bad, size, 5), -EBADMSG, "no name");

        static const RendezvousFd entries[] = {
                { 0, 30 }, { _RENDEZVOUS_ROLE_END, 30 }, { UINT32_MAX, 30 }, { 1, 0 }, { 1, RENDEZVOUS_FD_BUS },
                { 1, RENDEZVOUS_FD_INDEX }, { 1, RENDEZVOUS_FD_RUNDIR }, { 1, 65536 }, { 1, UINT32_MAX }, { 1, 21 },
        };
        for (size_t i = 0; i < ELEMENTSOF(entries); i++) {
                memcpy(bad, good, size);
                memcpy(bad + 88, &entries[i], sizeof(RendezvousFd));
                is_int(receive_raw(bad, size, 5), -EBADMSG, "role %u, number %u", entries[i].role, entries[i].number);
        }

        srand(6);
        for (unsigned i = 0; i < 20000; i++) {
                memcpy(bad, good, size);
                for (unsigned j = 0; j < 4; j++)
                        bad[(size_t) rand() % (j < 2 ? 120 : size)] = (uint8_t) rand();
                (void) receive_raw(bad, size, (size_t) rand() % 8);
        }
        is_int(count_fds(), before, "nothing is left open, after 20,000 with random bytes either");
}

static void test_connect(void) {
        char directory[] = "/tmp/sentryd-rendezvous-XXXXXX", event[512];
        struct sockaddr_un address = { .sun_family = AF_UNIX };
        _cleanup_close_ int dir = -EBADF, listening = -EBADF, watch = -EBADF, fd = -EBADF;

        if (!mkdtemp(directory))
                tap_bail_out("mkdtemp: %s", strerror(errno));
        dir = open(directory, O_PATH | O_DIRECTORY | O_CLOEXEC);
        is_int(rendezvous_connect(dir), -ENOENT, "no socket");

        watch = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
        (void) snprintf(event, sizeof(event), "/proc/self/fd/%d", dir);
        ok(inotify_add_watch(watch, event, IN_MOVED_TO) >= 0, "a directory is watched by its descriptor");
        listening = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
        (void) snprintf(address.sun_path, sizeof(address.sun_path), "%s/.new", directory);
        if (bind(listening, (struct sockaddr *) &address, sizeof(address)) < 0 || listen(listening, 8) < 0 ||
            renameat(dir, ".new", dir, RENDEZVOUS_SOCKET) < 0)
                tap_bail_out("cannot listen: %s", strerror(errno));
        ok(read(watch, event, sizeof(event)) > 0, "which says when somebody listens");
        fd = rendezvous_connect(dir);
        ok(fd >= 0, "connected");
        fd = safe_close(fd);
        listening = safe_close(listening);
        is_int(rendezvous_connect(dir), -ECONNREFUSED, "the one who listened is gone");
        (void) unlinkat(dir, RENDEZVOUS_SOCKET, 0);
        (void) rmdir(directory);
}

int main(void) {
        test_hello();
        test_hostile();
        test_connect();
        return tap_done();
}
