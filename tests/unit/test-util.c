/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* daemon/common/util.h: numbers, vectors, text that is safe to show, paths, files; and open-inside.h. */

#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "open-inside.h"
#include "tap.h"
#include "util.h"

int main(void) {
        uint64_t u64 = 0;
        unsigned u = 0;
        int i = 0;

        ok(safe_atou64("18446744073709551615", 10, &u64) == 0 && u64 == UINT64_MAX, "safe_atou64()");
        is_int(safe_atou64("18446744073709551616", 10, &u64), -ERANGE, "out of range");
        is_int(safe_atou64("", 10, &u64), -EINVAL, "empty");
        is_int(safe_atou64("1x", 10, &u64), -EINVAL, "more behind the number");
        is_int(safe_atou64(" 1", 10, &u64), -EINVAL, "white space");
        is_int(safe_atou64("+1", 10, &u64), -EINVAL, "a sign");
        ok(safe_atou64("0x1F", 0, &u64) == 0 && u64 == 31 && safe_atou64("017", 0, &u64) == 0 && u64 == 15 &&
                           safe_atou64("0", 0, &u64) == 0 && u64 == 0,
           "bases by prefix");
        is_int(safe_atou("4294967296", &u), -ERANGE, "safe_atou() out of range");
        ok(safe_atoi("-2147483648", &i) == 0 && i == INT32_MIN, "safe_atoi()");
        is_int(safe_atoi("2147483648", &i), -ERANGE, "safe_atoi() out of range");
        is_int(safe_atoi("-", &i), -EINVAL, "safe_atoi() without digits");

        _cleanup_strv_free_ char **list = NULL;
        for (int n = 0; n < 20; n++)
                strv_extend(&list, n == 7 ? "seven" : "x");
        ok(strv_length(list) == 20 && strv_contains(list, "seven") && !strv_contains(list, "y"), "strv_extend()");
        _cleanup_strv_free_ char **copy = strv_copy(list);
        ok(strv_length(copy) == 20 && strv_extend(&copy, "y") == 0 && strv_contains(copy, "y"), "strv_copy()");
        ok(strv_length(NULL) == 0 && !strv_contains(NULL, ""), "an empty vector");
        char *const two[] = { (char *) "a", (char *) "b", NULL };
        _cleanup_free_ char *joined = strv_join(two, ", "), *none = strv_join(NULL, ",");
        is_str(joined, "a, b", "strv_join()");
        is_str(none, "", "strv_join() of nothing");

        int fd = open("/dev/null", O_RDONLY | O_CLOEXEC), taken = TAKE_FD(fd);
        ok(taken >= 0 && fd == -EBADF, "TAKE_FD()");
        is_int(safe_close(taken), -EBADF, "safe_close()");
        is_int(safe_close(-EBADF), -EBADF, "safe_close() of nothing");

        static const struct {
                const char *text, *shown;
                size_t max;
        } shown[] = {
                { "", "", 4 },
                { "abcd", "abcd", 4 },
                { "abcdefgh", "abcdefgh", 8 },
                { "abcdefghi", "abcde…", 8 },
                { "äää", "äää", 6 },
                { "äääää", "ää…", 8 }, /* between characters */
                { "a\x1b[1m", "a?[1m", 8 },
                { "a\x7f", "a?", 8 },
                { "ä\xC2\x9B", "ä?", 8 },
                { "\xFFx", "?x", 8 },
                { "x\xC3", "x?", 8 },
                { "a\xE2\x80\xAE", "a?", 8 },
        };
        for (size_t n = 0; n < ELEMENTSOF(shown); n++) {
                _cleanup_free_ char *text = text_shown(shown[n].text, shown[n].max);
                is_str(text, shown[n].shown, "text_shown() %zu", n);
        }
        is_int(text_distance("netwrok", "network"), 2, "text_distance()");
        is_int(text_distance("", "abc"), 3, "of nothing");
        is_int(text_distance("HostName", "hostname"), 0, "case does not count");

        _cleanup_free_ char *path = NULL;
        ok(path_normalize("//a/./b//", &path) == 0 && streq(path, "/a/b"), "path_normalize()");
        free(TAKE_PTR(path));
        ok(path_normalize("/", &path) == 0 && streq(path, "/"), "of the root");
        char *text = NULL;
        is_int(path_normalize("a", &text), -EINVAL, "of a relative path");
        is_int(path_normalize("/a/..", &text), -EXDEV, "of one with \"..\"");

        char *file = NULL;
        size_t size = 0;
        is_int(read_full_file("/", 10, &file, &size), -EISDIR, "read_full_file() of a directory");
        is_int(read_full_file("/dev/zero", 10, &file, &size), -EINVAL, "of a device");
        is_int(read_full_file("/nonexistent", 10, &file, &size), -ENOENT, "of nothing");
        int pipes[2];
        if (ok(pipe2(pipes, O_CLOEXEC) == 0 && write(pipes[1], "ab\0cd", 5) == 5, "a pipe")) {
                safe_close(pipes[1]);
                ok(read_full_fd(pipes[0], 5, &file, &size) == 0 && size == 5 && memcmp(file, "ab\0cd", 6) == 0,
                   "read_full_fd() up to its limit");
                free(TAKE_PTR(file));
                safe_close(pipes[0]);
        }
        char directory[] = "/tmp/test-util.XXXXXX";
        if (ok(mkdtemp(directory) != NULL, "a directory")) {
                int root = open(directory, O_PATH | O_CLOEXEC), found;
                static const struct {
                        const char *path;
                        int walk, inside;
                } opened[] = {
                        { "/a/b", 0, 0 },          { "a//./b", 0, 0 },        { "a/", 0, 0 },          { "/", 0, 0 },
                        { "a/b/", -ENOTDIR, -ENOTDIR }, { "a/../a/b", -EXDEV, 0 }, { "a/no", -ENOENT, -ENOENT }, { "up/b", -ENOTDIR, 0 },
                        { "a/link", -ELOOP, -ELOOP },
                };

                ok(mkdirat(root, "a", 0700) == 0 && symlinkat("/a", root, "up") == 0 && symlinkat("b", root, "a/link") == 0,
                   "with a directory and links");
                found = open_inside_walk(root, "a/b", O_WRONLY | O_CREAT | O_EXCL, 0600);
                ok(found >= 0, "open_inside_walk() makes a file");
                safe_close(found);
                is_int(open_inside_walk(root, "a/b", O_WRONLY | O_CREAT | O_EXCL, 0600), -EEXIST, "… once");
                for (size_t n = 0; n < ELEMENTSOF(opened); n++) {
                        found = open_inside_walk(root, opened[n].path, O_RDONLY, 0);
                        is_int(MIN(found, 0), opened[n].walk, "open_inside_walk() of %s", opened[n].path);
                        safe_close(found);
                        found = open_inside(root, opened[n].path, O_RDONLY | O_NOFOLLOW, 0, RESOLVE_IN_ROOT);
                        is_int(MIN(found, 0), opened[n].inside, "open_inside() of it");
                        safe_close(found);
                }
                ok(unlinkat(root, "a/b", 0) == 0 && unlinkat(root, "a/link", 0) == 0 && unlinkat(root, "a", AT_REMOVEDIR) == 0 &&
                   unlinkat(root, "up", 0) == 0 && rmdir(directory) == 0, "all is removed");
                safe_close(root);
        }
        fd = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
        is_int(read_full_fd(fd, 10000, &file, &size), -EFBIG, "read_full_fd() beyond its limit");
        safe_close(fd);

        return tap_done();
}
