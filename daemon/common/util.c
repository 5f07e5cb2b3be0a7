/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The small things that every part of the daemon needs. */

#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include "util.h"

int safe_close(int fd) {
        if (fd >= 0) {
                int saved = errno;

                close(fd); /* not again on EINTR: Linux has closed it */
                errno = saved;
        }

        return -EBADF;
}

char **strv_free(char **strv) {
        if (strv)
                for (char **s = strv; *s; s++)
                        free(*s);
        free(strv);
        return NULL;
}

size_t strv_length(char *const *strv) {
        size_t n = 0;

        if (strv)
                while (strv[n])
                        n++;
        return n;
}

bool strv_contains(char *const *strv, const char *value) {
        if (strv)
                for (; *strv; strv++)
                        if (streq(*strv, value))
                                return true;
        return false;
}

int strv_consume(char ***strv, char *value) {
        size_t n = strv_length(*strv);

        if (!value)
                return -ENOMEM;

        char **longer = reallocarray(*strv, n + 2, sizeof(char *));
        if (!longer) {
                free(value);
                return -ENOMEM;
        }

        longer[n] = value;
        longer[n + 1] = NULL;
        *strv = longer;
        return 0;
}

int strv_extend(char ***strv, const char *value) {
        return strv_consume(strv, strdup(value));
}

char **strv_copy(char *const *strv) {
        size_t n = strv_length(strv);

        char **copy = calloc(n + 1, sizeof(char *));
        if (!copy)
                return NULL;
        for (size_t i = 0; i < n; i++) {
                copy[i] = strdup(strv[i]);
                if (!copy[i])
                        return strv_free(copy);
        }

        return copy;
}

char *strv_join(char *const *strv, const char *separator) {
        size_t size = 1, n = strv_length(strv);

        for (size_t i = 0; i < n; i++)
                size += strlen(strv[i]) + (i > 0 ? strlen(separator) : 0);

        char *text = malloc(size), *p = text;
        if (!text)
                return NULL;
        for (size_t i = 0; i < n; i++) {
                if (i > 0)
                        p = stpcpy(p, separator);
                p = stpcpy(p, strv[i]);
        }
        *p = '\0';
        return text;
}

static int digit_value(char c) {
        if (c >= '0' && c <= '9')
                return c - '0';
        if (c >= 'a' && c <= 'z')
                return c - 'a' + 10;
        if (c >= 'A' && c <= 'Z')
                return c - 'A' + 10;
        return INT_MAX;
}

int safe_atou64(const char *text, unsigned base, uint64_t *ret) {
        uint64_t value = 0;
        bool overflow = false;

        if (base == 0) {
                base = 10;
                if (text[0] == '0' && (text[1] == 'x' || text[1] == 'X')) {
                        base = 16;
                        text += 2;
                } else if (text[0] == '0' && text[1] != '\0') {
                        base = 8;
                        text++;
                }
        }
        if (*text == '\0')
                return -EINVAL;

        for (; *text; text++) {
                int digit = digit_value(*text);

                if (digit >= (int) base)
                        return -EINVAL;
                if (__builtin_mul_overflow(value, (uint64_t) base, &value) ||
                    __builtin_add_overflow(value, (uint64_t) digit, &value))
                        overflow = true; /* go on: what is no number at all is -EINVAL */
        }
        if (overflow)
                return -ERANGE;

        *ret = value;
        return 0;
}

int safe_atou(const char *text, unsigned *ret) {
        uint64_t value;

        int r = safe_atou64(text, 10, &value);
        if (r < 0)
                return r;
        if (value > UINT_MAX)
                return -ERANGE;

        *ret = value;
        return 0;
}

int safe_atoi(const char *text, int *ret) {
        bool negative = text[0] == '-';
        uint64_t value;

        int r = safe_atou64(text + negative, 10, &value);
        if (r < 0)
                return r;
        if (value > (uint64_t) INT_MAX + negative)
                return -ERANGE;

        *ret = negative ? (int) -(int64_t) value : (int) value;
        return 0;
}

int read_full_fd(int fd, size_t max, char **ret, size_t *ret_size) {
        _cleanup_free_ char *text = NULL;
        size_t size = 0, capacity = 0;

        for (;;) {
                if (capacity - size < 2) {
                        /* One byte more than the limit, so that a text that passes it is noticed; and the NUL. */
                        size_t wanted = MIN(MAX(capacity * 2, (size_t) 4096), max + 2);

                        char *longer = realloc(text, wanted);
                        if (!longer)
                                return -ENOMEM;
                        text = longer;
                        capacity = wanted;
                }

                ssize_t n = read(fd, text + size, capacity - size - 1);
                if (n < 0) {
                        if (errno == EINTR)
                                continue;
                        return -errno;
                }
                if (n == 0)
                        break;
                size += (size_t) n;
                if (size > max)
                        return -EFBIG;
        }

        text[size] = '\0';
        *ret = TAKE_PTR(text);
        if (ret_size)
                *ret_size = size;
        return 0;
}

int read_full_file(const char *path, size_t max, char **ret, size_t *ret_size) {
        struct stat st;

        _cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
        if (fd < 0)
                return -errno;
        if (fstat(fd, &st) < 0)
                return -errno;
        if (S_ISDIR(st.st_mode))
                return -EISDIR;
        if (!S_ISREG(st.st_mode))
                return -EINVAL;

        return read_full_fd(fd, max, ret, ret_size);
}

int send_fds(int socket, const void *data, size_t size, const int fds[], size_t n) {
        union {
                char buffer[CMSG_SPACE(SEND_FDS_MAX * sizeof(int))];
                struct cmsghdr align;
        } control = {};
        struct iovec iov = { (void *) data, size };
        struct msghdr header = {
                .msg_iov = &iov,
                .msg_iovlen = 1,
                .msg_control = n > 0 ? control.buffer : NULL,
                .msg_controllen = n > 0 ? CMSG_SPACE(n * sizeof(int)) : 0,
        };
        ssize_t sent;

        if (n > SEND_FDS_MAX)
                return -EINVAL;
        if (n > 0) {
                struct cmsghdr *cmsg = CMSG_FIRSTHDR(&header);

                cmsg->cmsg_level = SOL_SOCKET;
                cmsg->cmsg_type = SCM_RIGHTS;
                cmsg->cmsg_len = CMSG_LEN(n * sizeof(int));
                memcpy(CMSG_DATA(cmsg), fds, n * sizeof(int));
        }
        sent = sendmsg(socket, &header, MSG_NOSIGNAL);
        if (sent < 0)
                return -errno;
        return (size_t) sent == size ? 0 : -EIO;
}

/* Length of the valid UTF-8 sequence at p, of which left bytes are there; 0 when there is none. */
static size_t utf8_sequence(const unsigned char *p, size_t left) {
        size_t n = p[0] < 0x80 ? 1 : p[0] < 0xC2 ? 0 : p[0] < 0xE0 ? 2 : p[0] < 0xF0 ? 3 : p[0] < 0xF5 ? 4 : 0;

        if (n == 0 || n > left)
                return 0;
        for (size_t i = 1; i < n; i++)
                if ((p[i] & 0xC0) != 0x80)
                        return 0;
        if ((p[0] == 0xE0 && p[1] < 0xA0) || (p[0] == 0xED && p[1] > 0x9F) || (p[0] == 0xF0 && p[1] < 0x90) ||
            (p[0] == 0xF4 && p[1] > 0x8F))
                return 0;

        return n;
}

size_t utf8_valid_length(const char *text, size_t size) {
        size_t at = 0;

        while (at < size) {
                size_t n = utf8_sequence((const unsigned char *) text + at, size - at);

                if (n == 0)
                        break;
                at += n;
        }

        return at;
}

static bool utf8_is_shown(const unsigned char *p, size_t n) {
        if (n == 0 || (n == 1 && (p[0] < 0x20 || p[0] == 0x7F)))
                return false;
        if (n == 2 && p[0] == 0xC2 && p[1] < 0xA0) /* U+0080 … U+009F */
                return false;
        if (n == 3 && p[0] == 0xE2 && /* U+2028 … U+202E, U+2066 … U+2069 */
            ((p[1] == 0x80 && p[2] >= 0xA8 && p[2] <= 0xAE) || (p[1] == 0x81 && p[2] >= 0xA6 && p[2] <= 0xA9)))
                return false;
        return true;
}

char *text_shown(const char *text, size_t max) {
        static const char ellipsis[] = "…"; /* three bytes in UTF-8 */
        size_t size = strnlen(text, max + 1), at = 0;
        bool cut = size > max;
        size_t limit = cut ? max - (sizeof ellipsis - 1) : size;

        char *shown = malloc(max + 1), *p = shown;
        if (!shown)
                return NULL;

        while (at < limit) {
                const unsigned char *from = (const unsigned char *) text + at;
                size_t n = utf8_sequence(from, size - at);

                if (at + n > limit)
                        break;
                if (utf8_is_shown(from, n))
                        p = mempcpy(p, from, n);
                else
                        *p++ = '?';
                at += MAX(n, (size_t) 1);
        }
        if (cut)
                p = stpcpy(p, ellipsis);
        *p = '\0';
        return shown;
}

unsigned text_distance(const char *a, const char *b) {
        enum { LONGEST = 64 };
        unsigned row[LONGEST + 1];
        size_t n_a = strnlen(a, LONGEST + 1), n_b = strnlen(b, LONGEST + 1);

        if (n_a > LONGEST || n_b > LONGEST)
                return UINT_MAX;

        /* Levenshtein's distance, one row at a time. */
        for (size_t j = 0; j <= n_b; j++)
                row[j] = (unsigned) j;
        for (size_t i = 1; i <= n_a; i++) {
                unsigned diagonal = row[0];

                row[0] = (unsigned) i;
                for (size_t j = 1; j <= n_b; j++) {
                        int c = a[i - 1], d = b[j - 1];
                        bool same = (c >= 'A' && c <= 'Z' ? c | 0x20 : c) == (d >= 'A' && d <= 'Z' ? d | 0x20 : d);
                        unsigned replaced = diagonal + !same;

                        diagonal = row[j];
                        row[j] = MIN(replaced, MIN(row[j - 1], row[j]) + 1);
                }
        }

        return row[n_b];
}

int path_normalize(const char *path, char **ret) {
        if (path[0] != '/')
                return -EINVAL;
        if (strnlen(path, PATH_MAX) >= PATH_MAX)
                return -ENAMETOOLONG;

        _cleanup_free_ char *normalized = malloc(strlen(path) + 1);
        if (!normalized)
                return -ENOMEM;

        char *p = normalized;
        while (*path) {
                size_t n = strcspn(path, "/");

                if (n > NAME_MAX)
                        return -ENAMETOOLONG;
                if (n == 2 && path[0] == '.' && path[1] == '.')
                        return -EXDEV;
                if (n > 0 && !(n == 1 && path[0] == '.')) {
                        *p++ = '/';
                        p = mempcpy(p, path, n);
                }
                path += n;
                path += *path == '/';
        }
        if (p == normalized)
                *p++ = '/';
        *p = '\0';

        *ret = TAKE_PTR(normalized);
        return 0;
}

int string_appendf(char **text, const char *format, ...) {
        _cleanup_free_ char *more = NULL;
        va_list ap;

        va_start(ap, format);
        int n = vasprintf(&more, format, ap);
        va_end(ap);
        if (n < 0) {
                more = NULL; /* undefined otherwise */
                return -ENOMEM;
        }

        size_t have = *text ? strlen(*text) : 0;
        char *longer = realloc(*text, have + (size_t) n + 1);
        if (!longer)
                return -ENOMEM;
        memcpy(longer + have, more, (size_t) n + 1);
        *text = longer;
        return 0;
}
