/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <unistd.h>

#include "pty.h"
#include "util.h"

/* struct termios2, and its ioctls. */
typedef struct Termios {
        uint32_t iflag, oflag, cflag, lflag;
        uint8_t line;
        uint8_t cc[19];
        uint32_t speeds[2];
} Termios;
_Static_assert(sizeof(Termios) == PTY_TERMIOS_SIZE, "as the kernel has it");

#define GET_TERMIOS2 _IOR('T', 0x2A, Termios)
#define SET_TERMIOS2 _IOW('T', 0x2B, Termios)
#ifndef TIOCGPTPEER
#  define TIOCGPTPEER _IO('T', 0x41)
#endif
#define EXTPROC_FLAG 0200000U

#define STOP_CHARACTER 0x13 /* any that is no other's */
#define CHUNK 1024U         /* less than there is room for at once */
#define TRIES 200U          /* of TRY_MSEC each, until what is put back has found room */
#define TRY_MSEC 10

/* Being asked has the kernel deal with what is on its way between both ends. */
static short ask(int fd) {
        struct pollfd pollfd = { .fd = fd, .events = POLLIN | POLLOUT | POLLPRI };

        return poll(&pollfd, 1, 0) < 0 ? 0 : pollfd.revents;
}

static uint32_t count(int fd) {
        int n = 0;

        (void) ask(fd);
        return ioctl(fd, FIONREAD, &n) < 0 || n < 0 ? 0 : (uint32_t) n;
}

static int set(int slave, const Termios *termios) {
        return ioctl(slave, SET_TERMIOS2, termios) < 0 ? -errno : 0;
}

int pty_open_slave(int master) {
        int fd = ioctl(master, TIOCGPTPEER, O_RDWR | O_NOCTTY | O_NONBLOCK | O_CLOEXEC);

        return fd < 0 ? -errno : fd;
}

/* ---- out ---- */

/* No more is asked for than there is, so it never blocks, and it is known how many bytes a read that was not heard of took. */
static int drain(int fd, PtyBytes *to) {
        uint32_t n;

        if (to->pending > 0 && count(fd) + to->pending <= to->waiting)
                to->n += to->pending;
        to->pending = 0;
        while ((n = count(fd)) > 0) {
                ssize_t done;

                if (to->n + n > PTY_BYTES_MAX)
                        return -E2BIG;
                to->waiting = n;
                to->pending = n;
                done = read(fd, to->bytes + to->n, n);
                if (done <= 0)
                        return done < 0 ? -errno : -EIO;
                to->n += (uint32_t) done;
                to->pending = 0;
        }
        return 0;
}

static bool ends_line(const Termios *termios, uint8_t c) {
        return c == '\n' || (c != 0 && (c == termios->cc[VEOL] || (c == termios->cc[VEOL2] && (termios->lflag & IEXTEN))));
}

/* In a line an end of file that was typed looks like a NUL; it does not count as a byte that can be read. */
static bool has_marks(const PtyContents *contents, const Termios *termios) {
        uint32_t end = 0, marks = 0, marks_at_end = 0;

        for (uint32_t i = 0; i < contents->edited && i < contents->input.n; i++) {
                uint8_t c = contents->input.bytes[i];

                marks += c == 0;
                if (c == 0 || ends_line(termios, c)) {
                        end = i + 1;
                        marks_at_end = marks;
                }
        }
        return marks_at_end > 0 && contents->lines == end - marks_at_end;
}

static int find_stop(int slave, PtyContents *contents) {
        if (ask(slave) & POLLOUT)
                return 0;
        if (ioctl(slave, TCXONC, TCOON) < 0)
                return -errno;
        contents->stop = ask(slave) & POLLOUT ? PTY_STOP_CALL : PTY_STOP_KEY;
        return 0;
}

static int begin(int master, int slave, PtyContents *contents) {
        Termios termios;
        int flags = fcntl(master, F_GETFL), packet = 0;

        if (flags < 0 || ioctl(slave, GET_TERMIOS2, &termios) < 0 || ioctl(master, TIOCGPKT, &packet) < 0)
                return -errno;
        /* A word of packet mode that nobody has heard would be lost; and who does the editing himself has no lines here. */
        if ((packet && (ask(master) & POLLPRI)) || ((termios.lflag & EXTPROC_FLAG) && count(slave) > 0))
                return -EOPNOTSUPP;
        memcpy(contents->termios, &termios, sizeof(termios));
        contents->packet = packet;
        contents->blocking = !(flags & O_NONBLOCK);
        contents->lines = termios.lflag & ICANON ? count(slave) : 0;
        contents->stage = PTY_TAKING;
        return 0;
}

int pty_take(int master, int slave, PtyContents *contents) {
        const int no_packet = 0;
        Termios termios;
        int r;

        if (contents->stage == PTY_UNTOUCHED) {
                r = begin(master, slave, contents);
                if (r < 0)
                        return r;
        }
        if (contents->stage >= PTY_TAKEN)
                return 0;
        if (contents->packet && ioctl(master, TIOCPKT, &no_packet) < 0)
                return -errno;
        r = drain(master, &contents->output);
        if (r >= 0 && contents->stop == PTY_STOP_NONE)
                r = find_stop(slave, contents);
        if (r < 0)
                return r;

        /* As it came in, and what has not been edited yet is not to be. */
        memcpy(&termios, contents->termios, sizeof(termios));
        termios.iflag = 0;
        termios.lflag &= ~(uint32_t) (ICANON | ECHO | ECHONL | ISIG | IEXTEN);
        termios.cc[VMIN] = 1;
        termios.cc[VTIME] = 0;
        r = set(slave, &termios);
        if (r < 0)
                return r;
        if (contents->edited == 0)
                contents->edited = count(slave);
        r = drain(slave, &contents->input);
        if (r < 0)
                return r;
        memcpy(&termios, contents->termios, sizeof(termios));
        contents->marks = (termios.lflag & ICANON) && has_marks(contents, &termios);
        contents->stage = PTY_TAKEN;
        return 0;
}

/* ---- and back ---- */

/* other: the end where it arrives. */
static int write_bytes(int fd, int other, const uint8_t *bytes, uint32_t size) {
        unsigned tries = 0;

        for (uint32_t done = 0; done < size;) {
                ssize_t n = write(fd, bytes + done, MIN(size - done, CHUNK));

                if (n < 0 && errno != EAGAIN && errno != EINTR)
                        return -errno;
                (void) ask(other);
                if (n > 0)
                        done += (uint32_t) n;
                else if (tries++ == TRIES)
                        return -EAGAIN;
                else
                        (void) poll(NULL, 0, TRY_MSEC);
        }
        return 0;
}

static uint8_t unused_byte(const PtyContents *contents, const Termios *termios) {
        bool used[256] = { [0] = true, [STOP_CHARACTER] = true, ['\n'] = true };

        used[termios->cc[VEOL]] = used[termios->cc[VEOL2]] = true;
        for (uint32_t i = 0; i < contents->edited; i++)
                used[contents->input.bytes[i]] = true;
        for (unsigned i = 1; i < ELEMENTSOF(used); i++)
                if (!used[i])
                        return (uint8_t) i;
        return 0;
}

/* What was edited goes through the line discipline once more, which ends lines and does nothing else now. */
static int put_edited(int master, int slave, PtyContents *contents, uint8_t end_of_file) {
        uint8_t bytes[256];

        for (uint32_t i = 0; i < contents->edited;) {
                uint32_t n = MIN(contents->edited - i, sizeof(bytes));
                int r;

                memcpy(bytes, contents->input.bytes + i, n);
                for (uint32_t j = 0; contents->marks && j < n; j++)
                        if (bytes[j] == 0)
                                bytes[j] = end_of_file;
                r = write_bytes(master, slave, bytes, n);
                if (r < 0)
                        return r;
                i += n;
        }
        return 0;
}

/* A stop by a character stays for as long as IXON does. */
static int stop_again(int master, int slave, Termios *termios) {
        const uint8_t character = STOP_CHARACTER;
        int r;

        termios->iflag |= IXON;
        termios->cc[VSTOP] = character;
        r = set(slave, termios);
        if (r >= 0)
                r = write_bytes(master, slave, &character, 1);
        termios->cc[VSTOP] = 0;
        return r < 0 ? r : set(slave, termios);
}

static int put(int master, int slave, PtyContents *contents, const Termios *original) {
        Termios termios = *original;
        uint8_t end_of_file = contents->marks ? unused_byte(contents, original) : 0;
        int r, q;

        termios.iflag = 0;
        termios.oflag &= ~(uint32_t) OPOST;
        termios.lflag &= original->lflag & ICANON ? (uint32_t) (ICANON | IEXTEN) : 0;
        memset(termios.cc, 0, sizeof(termios.cc));
        termios.cc[VEOL] = original->cc[VEOL];
        termios.cc[VEOL2] = original->cc[VEOL2];
        termios.cc[VEOF] = end_of_file;
        r = set(slave, &termios);
        if (r >= 0)
                r = write_bytes(slave, master, contents->output.bytes, contents->output.n);
        if (r >= 0 && contents->stop == PTY_STOP_KEY)
                r = stop_again(master, slave, &termios);
        if (r >= 0)
                r = put_edited(master, slave, contents, end_of_file);
        q = set(slave, original);
        if (r >= 0)
                r = q;
        if (r >= 0 && contents->stop == PTY_STOP_CALL && ioctl(slave, TCXONC, TCOOFF) < 0)
                r = -errno;
        if (r >= 0)
                r = write_bytes(master, slave, contents->input.bytes + contents->edited, contents->input.n - contents->edited);
        return r;
}

/* Whatever a first try has put there is a beginning of what will be. */
static int empty(int master, int slave, const Termios *original) {
        uint8_t bytes[CHUNK];
        Termios termios = *original;
        uint32_t n;
        int r;

        termios.iflag = 0;
        termios.lflag = 0;
        termios.cc[VMIN] = 1;
        termios.cc[VTIME] = 0;
        r = ioctl(slave, TCXONC, TCOON) < 0 ? -errno : set(slave, &termios);
        for (unsigned i = 0; r >= 0 && i < 2; i++) {
                int fd = i == 0 ? master : slave;

                for (uint32_t done = 0; (n = count(fd)) > 0; done += n) {
                        n = MIN(n, CHUNK);
                        if (done > 2 * PTY_BYTES_MAX || read(fd, bytes, n) != (ssize_t) n)
                                return -EIO;
                }
        }
        return r;
}

int pty_put(int master, int slave, PtyContents *contents) {
        const int packet = 1, no_packet = 0;
        Termios original;
        int flags = fcntl(master, F_GETFL), r;

        if (flags < 0)
                return -errno;
        if (contents->stage != PTY_TAKEN)
                return 0;
        memcpy(&original, contents->termios, sizeof(original));
        contents->edited = MIN(contents->edited, contents->input.n);
        if (contents->packet && ioctl(master, TIOCPKT, &no_packet) < 0)
                return -errno;
        (void) fcntl(master, F_SETFL, flags | O_NONBLOCK);
        r = empty(master, slave, &original);
        if (r >= 0)
                r = put(master, slave, contents, &original);
        if (contents->blocking)
                (void) fcntl(master, F_SETFL, flags & ~O_NONBLOCK);
        if (contents->packet && ioctl(master, TIOCPKT, &packet) < 0 && r >= 0)
                r = -errno;
        if (r >= 0)
                contents->stage = PTY_BACK;
        return r;
}
