/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* A test program's voice: TAP on stdout, diagnostics with file and line. One program is one source file that
 * includes this header once:
 *
 *         int main(void) {
 *                 ok(1 + 1 == 2, "numbers add up");
 *                 is_int(f(), -EINVAL, "f() refuses %s", "nonsense");
 *                 is_str(g(), "sandbox", "g() knows its name");
 *                 if (!can_do_it())
 *                         tap_skip("needs a delegated cgroup");
 *                 return tap_done();
 *         }
 *
 * The plan is printed at the end by tap_done(), so a program that dies half-way is seen to have died. Every check
 * returns whether it held, so that what makes no sense after a failure can be left out. */

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static unsigned tap_count, tap_failures;

__attribute__((format(printf, 1, 2), unused)) static void tap_diag(const char *format, ...) {
        va_list ap;

        va_start(ap, format);
        fputs("# ", stdout);
        vprintf(format, ap);
        fputc('\n', stdout);
        fflush(stdout);
        va_end(ap);
}

/* What a name may not hold, because it would end the line or start a directive. */
static inline void tap_put_name(const char *name) {
        for (; *name; name++)
                if (*name == '#')
                        fputs("\\#", stdout);
                else
                        fputc((unsigned char) *name < ' ' ? ' ' : *name, stdout);
}

__attribute__((format(printf, 5, 0), unused)) static bool tap_vresult(
                bool good, const char *file, int line, const char *expression, const char *format, va_list ap) {
        char name[1024];

        vsnprintf(name, sizeof name, format, ap);
        printf("%s %u - ", good ? "ok" : "not ok", ++tap_count);
        tap_put_name(name);
        fputc('\n', stdout);
        if (!good) {
                tap_failures++;
                printf("#   failed at %s:%d: %s\n", file, line, expression);
        }
        fflush(stdout);
        return good;
}

__attribute__((format(printf, 5, 6), unused)) static bool tap_result(
                bool good, const char *file, int line, const char *expression, const char *format, ...) {
        va_list ap;

        va_start(ap, format);
        good = tap_vresult(good, file, line, expression, format, ap);
        va_end(ap);
        return good;
}

__attribute__((format(printf, 6, 7), unused)) static bool tap_is_int(
                intmax_t got, intmax_t expected, const char *file, int line, const char *expression,
                const char *format, ...) {
        va_list ap;

        va_start(ap, format);
        bool good = tap_vresult(got == expected, file, line, expression, format, ap);
        va_end(ap);
        if (!good)
                tap_diag("  got %" PRIdMAX ", expected %" PRIdMAX, got, expected);
        return good;
}

__attribute__((format(printf, 6, 7), unused)) static bool tap_is_str(
                const char *got, const char *expected, const char *file, int line, const char *expression,
                const char *format, ...) {
        va_list ap;

        va_start(ap, format);
        bool good = tap_vresult(got && expected ? strcmp(got, expected) == 0 : got == expected, file, line,
                                expression, format, ap);
        va_end(ap);
        if (!good) {
                /* Line by line: a newline in a value must not end the comment. */
                for (int i = 0; i < 2; i++) {
                        const char *value = i == 0 ? got : expected;

                        fputs(i == 0 ? "#   got      " : "#   expected ", stdout);
                        if (!value)
                                fputs("NULL", stdout);
                        else {
                                fputc('"', stdout);
                                for (const char *p = value; *p; p++)
                                        if (*p == '\n')
                                                fputs("\\n\n#            ", stdout);
                                        else
                                                fputc(*p, stdout);
                                fputc('"', stdout);
                        }
                        fputc('\n', stdout);
                }
                fflush(stdout);
        }
        return good;
}

/* One check that cannot be made here, with the reason. */
__attribute__((format(printf, 1, 2), unused)) static void tap_skip(const char *format, ...) {
        char reason[1024];
        va_list ap;

        va_start(ap, format);
        vsnprintf(reason, sizeof reason, format, ap);
        va_end(ap);
        printf("ok %u # SKIP ", ++tap_count);
        tap_put_name(reason);
        fputc('\n', stdout);
        fflush(stdout);
}

/* The whole program cannot run here. Only before the first check. */
__attribute__((format(printf, 1, 2), noreturn, unused)) static void tap_skip_all(const char *format, ...) {
        char reason[1024];
        va_list ap;

        va_start(ap, format);
        vsnprintf(reason, sizeof reason, format, ap);
        va_end(ap);
        fputs("1..0 # SKIP ", stdout);
        tap_put_name(reason);
        fputc('\n', stdout);
        exit(0);
}

/* Something failed without which no further check makes sense. */
__attribute__((format(printf, 1, 2), noreturn, unused)) static void tap_bail_out(const char *format, ...) {
        char reason[1024];
        va_list ap;

        va_start(ap, format);
        vsnprintf(reason, sizeof reason, format, ap);
        va_end(ap);
        fputs("Bail out! ", stdout);
        tap_put_name(reason);
        fputc('\n', stdout);
        exit(1);
}

/* The plan. Returns the exit status: 1 when any check failed, or none was made. */
static inline int tap_done(void) {
        printf("1..%u\n", tap_count);
        if (tap_failures > 0)
                tap_diag("%u of %u failed", tap_failures, tap_count);
        fflush(stdout);
        return tap_failures > 0 || tap_count == 0;
}

/* The name is a printf format with its arguments. */
#define ok(cond, ...) tap_result(!!(cond), __FILE__, __LINE__, #cond, __VA_ARGS__)
#define pass(...) tap_result(true, __FILE__, __LINE__, "", __VA_ARGS__)
#define fail(...) tap_result(false, __FILE__, __LINE__, "", __VA_ARGS__)
#define is_int(got, expected, ...)                                                                          \
        tap_is_int((intmax_t) (got), (intmax_t) (expected), __FILE__, __LINE__, #got " == " #expected, __VA_ARGS__)
#define is_str(got, expected, ...)                                                                          \
        tap_is_str((got), (expected), __FILE__, __LINE__, #got " == " #expected, __VA_ARGS__)
