/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "kernel.h"
#include "trace.h"
#include "trace-struct.h"
#include "util/macros.h"

#define GUEST_PAGE 4096U /* the smallest there is: memory is mapped in pieces of this or more */

/* ---- which calls ---- */

static void filter_set(TraceFilter *filter, bool value) {
        memset(filter->ids, value, sizeof(filter->ids));
        filter->unknown = value;
}

static bool word_is(const char *word, size_t length, const char *what) {
        return strlen(what) == length && memcmp(word, what, length) == 0;
}

/* %CLASS or %FAMILY; false when it is neither. */
static bool filter_add_set(TraceFilter *filter, const char *word, size_t length) {
        bool any = false;

        if (word_is(word, length, "unknown"))
                return filter->unknown = true;
        for (SyscallId id = 0; id < _SYSCALL_ID_MAX; id++) {
                const char *class = syscall_class_to_string(syscall_table[id].class);

                if (word_is(word, length, syscall_table[id].family) || (class && word_is(word, length, class)))
                        filter->ids[id] = any = true;
        }
        /* A class that no row has now is one all the same. */
        for (SyscallClass class = 0; class < _SYSCALL_CLASS_MAX; class++)
                any = any || word_is(word, length, syscall_class_to_string(class));
        return any;
}

static bool filter_add(TraceFilter *filter, const char *word, size_t length) {
        char name[64];
        SyscallId id;

        if (word_is(word, length, "all")) {
                filter_set(filter, true);
                return true;
        }
        if (word_is(word, length, "none"))
                return true;
        if (length > 0 && *word == '%')
                return filter_add_set(filter, word + 1, length - 1);
        if (length >= sizeof(name))
                return false;

        memcpy(name, word, length);
        name[length] = '\0';
        id = syscall_id_from_name(name);
        if (id == SYSCALL_ID_UNKNOWN)
                return false;
        filter->ids[id] = true;
        return true;
}

int trace_filter_parse(const char *text, TraceFilter *ret, const char **ret_word, size_t *ret_length) {
        bool negate;

        if (!text || !*text) {
                filter_set(ret, true);
                return 0;
        }

        negate = *text == '!';
        text += negate;
        filter_set(ret, false);
        for (;;) {
                size_t n = strcspn(text, ",");

                if (!filter_add(ret, text, n)) {
                        *ret_word = text;
                        *ret_length = n;
                        return -EINVAL;
                }
                if (!text[n])
                        break;
                text += n + 1;
        }

        if (negate) {
                for (SyscallId id = 0; id < _SYSCALL_ID_MAX; id++)
                        ret->ids[id] = !ret->ids[id];
                ret->unknown = !ret->unknown;
        }
        return 0;
}

/* ---- arguments ---- */

void trace_quote(char *to, const uint8_t *bytes, size_t n, bool cut) {
        static const char letters[] = "abtnvfr"; /* \a is 7 */

        *to++ = '"';
        for (size_t i = 0; i < n; i++)
                if (bytes[i] == '"' || bytes[i] == '\\') {
                        *to++ = '\\';
                        *to++ = (char) bytes[i];
                } else if (bytes[i] >= 7 && bytes[i] <= 13) {
                        *to++ = '\\';
                        *to++ = letters[bytes[i] - 7];
                } else if (bytes[i] < 0x20 || bytes[i] > 0x7e)
                        to += sprintf(to, "\\%03o", bytes[i]);
                else
                        *to++ = (char) bytes[i];
        strcpy(to, cut ? "\"..." : "\"");
}

/* Reads up to a NUL, page by page: what follows the string may not be there. The number of bytes before the NUL, or
 * max when there is none; or an error when not even the first can be read. */
static ssize_t read_string(Kernel *kernel, const Call *call, GuestAddr address, uint8_t *buffer, size_t max) {
        size_t done = 0;

        while (done < max) {
                size_t n = MIN2(max - done, (size_t) (GUEST_PAGE - (address + done) % GUEST_PAGE));
                const uint8_t *nul;
                int r;

                r = kernel->host->ops->memory_read(kernel->host, call, address + done, buffer + done, n);
                if (r < 0)
                        return r;
                nul = memchr(buffer + done, '\0', n);
                if (nul)
                        return nul - buffer;
                done += n;
        }
        return (ssize_t) max;
}

static void format_address(char *to, GuestAddr address) {
        if (address == 0)
                strcpy(to, "NULL");
        else
                (void) snprintf(to, TRACE_ARGUMENT_MAX, "0x%" PRIx64, address);
}

static void format_string(Kernel *kernel, const Call *call, GuestAddr address, size_t max, char *to) {
        uint8_t buffer[TRACE_PATH_MAX + 1];
        ssize_t n;

        n = address == 0 ? -EFAULT : read_string(kernel, call, address, buffer, max + 1);
        if (n < 0)
                format_address(to, address);
        else
                trace_quote(to, buffer, MIN2((size_t) n, max), (size_t) n > max);
}

/* A buffer, if it holds text: other contents only the family of the call could tell. */
static void format_buffer(Kernel *kernel, const Call *call, GuestAddr address, uint64_t size, char *to) {
        size_t n = size < TRACE_STRING_MAX ? (size_t) size : TRACE_STRING_MAX;
        uint8_t buffer[TRACE_STRING_MAX];

        format_address(to, address);
        if (address == 0 || n == 0 ||
            kernel->host->ops->memory_read(kernel->host, call, address, buffer, n) < 0)
                return;
        for (size_t i = 0; i < n; i++)
                if ((buffer[i] < 0x20 && buffer[i] != '\n' && buffer[i] != '\t') || buffer[i] > 0x7e)
                        return;
        trace_quote(to, buffer, n, size > n);
}

void trace_format_signal(int32_t number, char *to) {
        const char *name = number > 0 && number < 32 ? sigabbrev_np(number) : NULL;

        if (name)
                (void) snprintf(to, TRACE_ARGUMENT_MAX, "SIG%s", name);
        else if (number >= 32 && number <= 64)
                (void) snprintf(to, TRACE_ARGUMENT_MAX, "SIGRT_%" PRId32, number - 32);
        else
                (void) snprintf(to, TRACE_ARGUMENT_MAX, "%" PRId32, number);
}

static void format_clock(int32_t number, char *to) {
        static const char *const names[] = {
                [CLOCK_REALTIME] = "CLOCK_REALTIME",
                [CLOCK_MONOTONIC] = "CLOCK_MONOTONIC",
                [CLOCK_PROCESS_CPUTIME_ID] = "CLOCK_PROCESS_CPUTIME_ID",
                [CLOCK_THREAD_CPUTIME_ID] = "CLOCK_THREAD_CPUTIME_ID",
                [CLOCK_MONOTONIC_RAW] = "CLOCK_MONOTONIC_RAW",
                [CLOCK_REALTIME_COARSE] = "CLOCK_REALTIME_COARSE",
                [CLOCK_MONOTONIC_COARSE] = "CLOCK_MONOTONIC_COARSE",
                [CLOCK_BOOTTIME] = "CLOCK_BOOTTIME",
                [CLOCK_REALTIME_ALARM] = "CLOCK_REALTIME_ALARM",
                [CLOCK_BOOTTIME_ALARM] = "CLOCK_BOOTTIME_ALARM",
                [CLOCK_TAI] = "CLOCK_TAI",
        };

        if (number >= 0 && (size_t) number < ELEMENTSOF(names) && names[number])
                strcpy(to, names[number]);
        else
                (void) snprintf(to, TRACE_ARGUMENT_MAX, "%" PRId32, number);
}

static void format_struct(Kernel *kernel, const Call *call, SyscallArg kind, GuestAddr address, Verdict verdict,
                          char *to) {
        uint8_t bytes[TRACE_STRUCT_SIZE_MAX];

        format_address(to, address);
        if (address == 0 || (trace_struct_is_output(kind) && verdict.kind != VERDICT_VALUE) ||
            kernel->host->ops->memory_read(kernel->host, call, address, bytes, trace_struct_size(kind)) < 0)
                return;
        trace_struct_format(kind, bytes, to, TRACE_ARGUMENT_MAX);
}

/* The result of a call that writes a set is its size. */
static void format_cpus(Kernel *kernel, const Call *call, unsigned i, bool output, Verdict verdict, char *to) {
        uint64_t size = i > 0 ? call->args[i - 1] : 0;
        CpuSet set;

        format_address(to, call->args[i]);
        if (output)
                size = verdict.kind == VERDICT_VALUE && verdict.value > 0 ? (uint64_t) verdict.value : 0;
        size = MIN2(size, (uint64_t) sizeof(set));
        if (size > 0 && kernel->host->ops->memory_read(kernel->host, call, call->args[i], &set, size) >= 0)
                trace_cpus_format(&set, size, to, TRACE_ARGUMENT_MAX);
}

static void format_argument(Kernel *kernel, const Call *call, const SyscallRow *row, unsigned i, Verdict verdict,
                            char *to) {
        bool sized = i + 1 < row->n_args && row->args[i + 1] == ARG_SIZE;
        uint64_t value = call->args[i], size = sized ? call->args[i + 1] : 0;
        const char *format = "%" PRId64;

        switch (row->args[i]) {
        case ARG_PATH:
                format_string(kernel, call, value, TRACE_PATH_MAX, to);
                return;
        case ARG_STR:
                format_string(kernel, call, value, TRACE_STRING_MAX, to);
                return;
        case ARG_PTR:
                format_buffer(kernel, call, value, size, to);
                return;
        case ARG_OUT:
                /* The result is the number of bytes written, where there is a size beside the buffer. */
                format_buffer(kernel, call, value,
                              verdict.kind == VERDICT_VALUE && verdict.value > 0 ?
                                      MIN2(size, (uint64_t) verdict.value) : 0, to);
                return;
        case ARG_IN_CPUS:
        case ARG_OUT_CPUS:
                format_cpus(kernel, call, i, row->args[i] == ARG_OUT_CPUS, verdict, to);
                return;
        case ARG_OUT_UTSNAME:
        case ARG_OUT_SYSINFO:
        case ARG_IN_ITIMERSPEC:
        case ARG_OUT_ITIMERSPEC:
        case ARG_IN_ITIMERVAL:
        case ARG_OUT_ITIMERVAL:
        case ARG_IN_SIGEVENT:
                format_struct(kernel, call, row->args[i], value, verdict, to);
                return;
        case ARG_INOUT:
        case ARG_ADDR:
                format_address(to, value);
                return;
        case ARG_SIGNAL:
                trace_format_signal((int32_t) value, to);
                return;
        case ARG_CLOCK:
                format_clock((int32_t) value, to);
                return;
        case ARG_DIRFD:
                if ((int32_t) value == AT_FDCWD) {
                        strcpy(to, "AT_FDCWD");
                        return;
                }
                __attribute__((fallthrough));
        case ARG_INT:
        case ARG_FD:
        case ARG_PID:
        case ARG_ID: /* -1 leaves an id as it is: more to the point than 4294967295 */
                value = (uint64_t) (int64_t) (int32_t) value;
                break;
        case ARG_UINT:
                value = (uint32_t) value;
                break;
        case ARG_MODE:
                value = (uint32_t) value;
                format = "%#" PRIo64;
                break;
        case ARG_CMD: /* ioctls and the like are bits, selectors are small */
                value = (uint32_t) value;
                if (value > 0xffff)
                        format = "%#" PRIx64;
                break;
        case ARG_HEX:
        case ARG_FLAGS:
                format = "%#" PRIx64;
                break;
        case ARG_SIZE:
        case ARG_OFFSET:
        case _SYSCALL_ARG_MAX:
                break;
        }
        if (row->args[i] == ARG_SIZE)
                format = "%" PRIu64;
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
        (void) snprintf(to, TRACE_ARGUMENT_MAX, format, value);
#pragma GCC diagnostic pop
}

void trace_read_arguments(Kernel *kernel, const Call *call, Verdict verdict, TraceArguments *ret) {
        const SyscallRow *row = call->id != SYSCALL_ID_UNKNOWN && !call->foreign ? &syscall_table[call->id] : NULL;

        ret->n = row ? row->n_args : SYSCALL_ARGS_MAX;
        for (unsigned i = 0; i < ret->n; i++)
                if (row)
                        format_argument(kernel, call, row, i, verdict, ret->text[i]);
                else
                        (void) snprintf(ret->text[i], sizeof(ret->text[i]), "%#" PRIx64, call->args[i]);
}

/* ---- lines ---- */

typedef struct Line {
        char *text;  /* TRACE_LINE_MAX of it */
        size_t size; /* used; more than there is room for: it did not fit */
} Line;

__attribute__((format(printf, 2, 3))) static void line_printf(Line *line, const char *format, ...) {
        size_t room = line->size < TRACE_LINE_MAX ? TRACE_LINE_MAX - line->size : 0;
        va_list ap;
        int n;

        va_start(ap, format);
        n = vsnprintf(room > 0 ? line->text + line->size : NULL, room, format, ap);
        va_end(ap);
        line->size += n > 0 ? (size_t) n : 0;
}

/* A string of JSON; text is UTF-8. */
static void line_string(Line *line, const char *text) {
        line_printf(line, "\"");
        for (; *text; text++) {
                unsigned char c = (unsigned char) *text;

                if (c == '"' || c == '\\')
                        line_printf(line, "\\%c", c);
                else if (c < 0x20 || c == 0x7f)
                        line_printf(line, "\\u%04x", c);
                else
                        line_printf(line, "%c", c);
        }
        line_printf(line, "\"");
}

static void line_error(Line *line, int error) {
        const char *name = strerrorname_np(error);

        /* Known inside kernels only; the guest's restarts the call, unseen by the program. */
        if (error == 512)
                name = "ERESTARTSYS";
        line_printf(line, ",\"result\":-1,\"errno\":");
        if (name)
                line_string(line, name);
        else
                line_printf(line, "\"%d\"", error);
}

static void line_result(Line *line, const TraceRecord *record) {
        switch (record->verdict.kind) {
        case VERDICT_VALUE:
                line_printf(line, ",\"result\":%" PRId64, record->verdict.value);
                break;
        case VERDICT_ERROR:
                line_error(line, (int) record->verdict.value);
                break;
        case VERDICT_FD:
                if (record->fd < 0)
                        line_error(line, -record->fd);
                else
                        line_printf(line, ",\"result\":%d", record->fd);
                break;
        case VERDICT_CONTINUE:
                line_printf(line, ",\"result\":null"); /* the host kernel's, which nobody tells us */
                break;
        case VERDICT_PARKED:
                break;
        }
}

static void format_line(Line *line, const TraceRecord *record, bool with_arguments) {
        const Call *call = record->call;
        bool known = call->id != SYSCALL_ID_UNKNOWN && !call->foreign;

        line->size = 0;
        line_printf(line, "{\"time\":%" PRIu64 ",\"pid\":%" PRId32 ",\"hostpid\":%" PRId32 ",\"comm\":", record->usec,
                    record->pid, call->tid);
        line_string(line, record->comm);
        line_printf(line, ",\"syscall\":");
        line_string(line, record->name);
        if (record->arch) {
                line_printf(line, ",\"arch\":");
                line_string(line, record->arch);
        }
        line_printf(line, ",\"class\":\"%s\"",
                    known ? syscall_class_to_string(syscall_table[call->id].class) : "unknown");
        if (with_arguments && record->arguments) {
                line_printf(line, ",\"args\":[");
                for (unsigned i = 0; i < record->arguments->n; i++) {
                        line_printf(line, "%s", i > 0 ? "," : "");
                        line_string(line, record->arguments->text[i]);
                }
                line_printf(line, "]");
        }
        line_result(line, record);
        line_printf(line, ",\"nsec\":%" PRIu64 "}\n", record->duration_ns);
}

size_t trace_format(const TraceRecord *record, char text[static TRACE_LINE_MAX]) {
        Line line = { .text = text };

        format_line(&line, record, true);
        if (line.size >= TRACE_LINE_MAX)
                format_line(&line, record, false);
        return MIN2(line.size, (size_t) TRACE_LINE_MAX - 1);
}

size_t trace_format_dropped(uint64_t n, char text[static TRACE_LINE_MAX]) {
        Line line = { .text = text };

        line_printf(&line, "{\"dropped\":%" PRIu64 "}\n", n);
        return line.size;
}
