/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* daemon/image/pty.c: what is on its way in a pseudo terminal is taken out and put back, there or in another one, and whoever
 * uses the terminal sees nothing of it. */

#include <fcntl.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <unistd.h>

#include "pty.h"
#include "tap.h"
#include "util.h"

typedef struct Pair {
        int master, slave;
} Pair;

static Pair open_pair(void) {
        Pair pair = { .master = open("/dev/ptmx", O_RDWR | O_NOCTTY | O_NONBLOCK | O_CLOEXEC) };
        int unlock = 0;

        (void) ioctl(pair.master, TIOCSPTLCK, &unlock);
        pair.slave = pty_open_slave(pair.master);
        return pair;
}

static void close_pair(Pair pair) {
        close(pair.master);
        close(pair.slave);
}

static void set_local(Pair pair, tcflag_t on, tcflag_t off) {
        struct termios termios;

        (void) tcgetattr(pair.slave, &termios);
        termios.c_lflag = (termios.c_lflag | on) & ~off;
        (void) tcsetattr(pair.slave, TCSANOW, &termios);
}

static short ask(int fd) {
        struct pollfd pollfd = { .fd = fd, .events = POLLIN | POLLOUT };

        (void) poll(&pollfd, 1, 0);
        return pollfd.revents;
}

static void put_in(int fd, int other, const char *text, size_t size) {
        for (size_t done = 0; done < size;) {
                ssize_t n = write(fd, text + done, size - done);

                (void) ask(other);
                if (n <= 0)
                        return;
                done += (size_t) n;
        }
}

/* Reads once, as a program would. */
static void reads(int fd, const char *expected, size_t size, const char *what) {
        static char buffer[PTY_BYTES_MAX];
        ssize_t n;

        (void) ask(fd);
        n = read(fd, buffer, sizeof(buffer));
        ok(n == (ssize_t) size && memcmp(buffer, expected, size) == 0, "%s: reads %zu bytes", what, size) ||
                (tap_diag("it read %zd: %.*s", n, n > 0 ? (int) n : 0, buffer), 0);
}

static void has_no_more(int fd, const char *what) {
        char c;

        (void) ask(fd);
        ok(read(fd, &c, 1) < 0 && errno == EAGAIN, "%s: and no more", what);
}

/* In the same one, after half of it was done before; or in another one that is set in the same way. */
static Pair through(Pair pair, bool other, const char *what) {
        _cleanup_free_ PtyContents *contents = calloc(1, sizeof(PtyContents));
        uint8_t before[PTY_TERMIOS_SIZE], after[PTY_TERMIOS_SIZE];
        Pair to = pair;
        int r;

        (void) ioctl(pair.slave, _IOR('T', 0x2A, uint8_t[PTY_TERMIOS_SIZE]), before);
        r = pty_take(pair.master, pair.slave, contents);
        is_int(r, 0, "%s: it is taken", what);
        if (other) {
                to = open_pair();
                (void) ioctl(to.slave, _IOW('T', 0x2B, uint8_t[PTY_TERMIOS_SIZE]), before);
                close_pair(pair);
        } else {
                (void) pty_put(to.master, to.slave, contents);
                contents->stage = PTY_TAKEN;
        }
        is_int(pty_put(to.master, to.slave, contents), 0, "%s: and put back%s", what, other ? ", elsewhere" : "");
        (void) ioctl(to.slave, _IOR('T', 0x2A, uint8_t[PTY_TERMIOS_SIZE]), after);
        ok(memcmp(before, after, sizeof(before)) == 0, "%s: the terminal is set as it was", what);
        return to;
}

static void test_output(bool other) {
        static char much[PTY_BYTES_MAX], got[PTY_BYTES_MAX];
        Pair pair = open_pair();
        size_t size = 0, done = 0;
        ssize_t n;

        put_in(pair.slave, pair.master, "one\ntwo\n", 8);
        pair = through(pair, other, "output");
        reads(pair.master, "one\r\ntwo\r\n", 10, "output");
        has_no_more(pair.master, "output");
        close_pair(pair);

        pair = open_pair();
        for (size_t i = 0; i < sizeof(much); i++)
                much[i] = (char) ('a' + i % 23);
        for (unsigned i = 0; i < 3; i++, (void) ask(pair.master))
                while ((n = write(pair.slave, much + size, 100)) > 0)
                        size += (size_t) n;
        pair = through(pair, other, "as much output as there is room for");
        while ((n = read(pair.master, got + done, sizeof(got) - done)) > 0)
                done += (size_t) n;
        ok(done == size && size > 8192 && memcmp(got, much, size) == 0, "all %zu bytes of it are there", size);
        close_pair(pair);

        pair = open_pair();
        put_in(pair.slave, pair.master, "last", 4);
        close(pair.slave);
        pair.slave = pty_open_slave(pair.master);
        pair = through(pair, other, "output of a slave that was closed");
        close(pair.slave);
        reads(pair.master, "last", 4, "output of a slave that was closed");
        ok(read(pair.master, got, 1) < 0 && errno == EIO, "and then it is at its end");
        close(pair.master);
}

static void test_input(bool other) {
        static const char bytes[] = "\3\x13\x11\x7f\0\xff\r\n\x1a";
        static char much[22000], got[22000];
        Pair pair = open_pair();
        size_t done = 0;
        ssize_t n;

        set_local(pair, ICANON | ECHO, 0);
        put_in(pair.master, pair.slave, "one\ntwo\npart", 12);
        pair = through(pair, other, "lines");
        reads(pair.slave, "one\n", 4, "lines: the first");
        reads(pair.slave, "two\n", 4, "lines: the second");
        has_no_more(pair.slave, "lines");
        put_in(pair.master, pair.slave, "ial\n", 4);
        reads(pair.slave, "partial\n", 8, "lines: what was begun");
        reads(pair.master, "one\r\ntwo\r\npartial\r\n", 19, "lines: their echo");
        close_pair(pair);

        pair = open_pair();
        put_in(pair.master, pair.slave, "abc\4def\n\4x", 10);
        pair = through(pair, other, "ends of file");
        reads(pair.slave, "abc", 3, "ends of file: in a line");
        reads(pair.slave, "def\n", 4, "ends of file: a line");
        reads(pair.slave, "", 0, "ends of file: one alone");
        has_no_more(pair.slave, "ends of file");
        close_pair(pair);

        pair = open_pair();
        put_in(pair.master, pair.slave, "a\0b\nc", 5);
        pair = through(pair, other, "a NUL that was typed");
        reads(pair.slave, "a\0b\n", 4, "a NUL that was typed");
        has_no_more(pair.slave, "a NUL that was typed");
        close_pair(pair);

        pair = open_pair();
        set_local(pair, 0, ICANON | ISIG | IEXTEN | ECHO);
        put_in(pair.master, pair.slave, "x\n", 2);
        pair = through(pair, other, "no lines");
        reads(pair.slave, "x\n", 2, "no lines");
        close_pair(pair);

        pair = open_pair();
        {
                struct termios termios;

                (void) tcgetattr(pair.slave, &termios);
                cfmakeraw(&termios);
                (void) tcsetattr(pair.slave, TCSANOW, &termios);
        }
        put_in(pair.master, pair.slave, bytes, sizeof(bytes));
        pair = through(pair, other, "raw bytes");
        reads(pair.slave, bytes, sizeof(bytes), "raw bytes");
        for (size_t i = 0; i < sizeof(much); i++)
                much[i] = (char) i;
        put_in(pair.master, pair.slave, much, 12000);
        pair = through(pair, other, "more than the slave has room for");
        while ((void) ask(pair.slave), (n = read(pair.slave, got + done, sizeof(got) - done)) > 0)
                done += (size_t) n;
        ok(done == 12000 && memcmp(got, much, done) == 0, "all 12000 bytes of it are there") || (tap_diag("%zu", done), 0);
        close_pair(pair);
}

static void test_stops(bool other) {
        Pair pair = open_pair();
        char c;

        put_in(pair.slave, pair.master, "early", 5);
        (void) tcflow(pair.slave, TCOOFF);
        pair = through(pair, other, "a terminal that a call stopped");
        reads(pair.master, "early", 5, "a terminal that a call stopped");
        ok(!(ask(pair.slave) & POLLOUT), "it is stopped");
        put_in(pair.master, pair.slave, "\x11", 1);
        ok(!(ask(pair.slave) & POLLOUT), "no key lets it go on");
        (void) tcflow(pair.slave, TCOON);
        ok(ask(pair.slave) & POLLOUT, "but a call does");
        close_pair(pair);

        pair = open_pair();
        set_local(pair, 0, ECHO);
        put_in(pair.slave, pair.master, "early", 5);
        put_in(pair.master, pair.slave, "line\n\x13", 6);
        pair = through(pair, other, "a terminal that Ctrl-S stopped");
        reads(pair.master, "early", 5, "a terminal that Ctrl-S stopped");
        reads(pair.slave, "line\n", 5, "a terminal that Ctrl-S stopped");
        ok(!(ask(pair.slave) & POLLOUT), "it is stopped");
        put_in(pair.master, pair.slave, "\x11", 1);
        ok(ask(pair.slave) & POLLOUT, "until Ctrl-Q");
        has_no_more(pair.slave, "which nobody reads");
        ok(read(pair.master, &c, 1) < 0, "and nobody sees");
        close_pair(pair);
}

static void test_packets(void) {
        _cleanup_free_ PtyContents *contents = calloc(1, sizeof(PtyContents));
        Pair pair = open_pair();
        int on = 1;

        (void) ioctl(pair.master, TIOCPKT, &on);
        put_in(pair.slave, pair.master, "data", 4);
        pair = through(pair, false, "packet mode");
        reads(pair.master, "\0data", 5, "packet mode");
        has_no_more(pair.master, "packet mode");
        (void) tcflush(pair.slave, TCIFLUSH);
        is_int(pty_take(pair.master, pair.slave, contents), -EOPNOTSUPP, "a word that nobody has read is refused");
        reads(pair.master, "\1", 1, "and it is still there");
        close_pair(pair);

        pair = open_pair();
        (void) fcntl(pair.master, F_SETFL, 0);
        pair = through(pair, false, "a master that blocks");
        ok(!(fcntl(pair.master, F_GETFL) & O_NONBLOCK), "it does so again");
        close_pair(pair);

}

int main(void) {
        for (unsigned other = 0; other < 2; other++) {
                test_output(other);
                test_input(other);
                test_stops(other);
        }
        test_packets();
        return tap_done();
}
