/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <inttypes.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/sysinfo.h>
#include <sys/time.h>
#include <time.h>

#include "trace.h"
#include "trace-struct.h"
#include "util/cpuset.h"
#include "util/macros.h"

#define TEXT_MAX 24U /* bytes shown of a text in a structure */

typedef enum FieldKind {
        FIELD_INT,
        FIELD_UINT,
        FIELD_HEX,
        FIELD_TEXT,     /* ends with a NUL, or with the field */
        FIELD_SIGNAL,
        FIELD_TIMESPEC, /* two of 64 bits */
        FIELD_TIMEVAL,
} FieldKind;

typedef struct Field {
        const char *name;
        FieldKind kind;
        unsigned offset, size;
} Field;

typedef struct Struct {
        size_t size;
        bool output;
        Field fields[16]; /* up to one without a name */
} Struct;

#define FIELD(type, member, kind) { #member, kind, offsetof(type, member), sizeof(((type *) NULL)->member) }

#define ITIMERSPEC(out)                                                 \
        { sizeof(struct itimerspec), out, {                             \
                FIELD(struct itimerspec, it_interval, FIELD_TIMESPEC),  \
                FIELD(struct itimerspec, it_value, FIELD_TIMESPEC),     \
        } }
#define ITIMERVAL(out)                                                  \
        { sizeof(struct itimerval), out, {                              \
                FIELD(struct itimerval, it_interval, FIELD_TIMEVAL),    \
                FIELD(struct itimerval, it_value, FIELD_TIMEVAL),       \
        } }

static const Struct structs[_SYSCALL_ARG_MAX] = {
        [ARG_OUT_UTSNAME] = { sizeof(AbiUtsname), true, {
                FIELD(AbiUtsname, sysname, FIELD_TEXT),
                FIELD(AbiUtsname, nodename, FIELD_TEXT),
                FIELD(AbiUtsname, release, FIELD_TEXT),
                FIELD(AbiUtsname, version, FIELD_TEXT),
                FIELD(AbiUtsname, machine, FIELD_TEXT),
                FIELD(AbiUtsname, domainname, FIELD_TEXT),
        } },
        [ARG_OUT_SYSINFO] = { sizeof(struct sysinfo), true, {
                FIELD(struct sysinfo, uptime, FIELD_INT),
                FIELD(struct sysinfo, totalram, FIELD_UINT),
                FIELD(struct sysinfo, freeram, FIELD_UINT),
                FIELD(struct sysinfo, sharedram, FIELD_UINT),
                FIELD(struct sysinfo, bufferram, FIELD_UINT),
                FIELD(struct sysinfo, totalswap, FIELD_UINT),
                FIELD(struct sysinfo, freeswap, FIELD_UINT),
                FIELD(struct sysinfo, procs, FIELD_UINT),
                FIELD(struct sysinfo, mem_unit, FIELD_UINT),
        } },
        [ARG_IN_ITIMERSPEC] = ITIMERSPEC(false),
        [ARG_OUT_ITIMERSPEC] = ITIMERSPEC(true),
        [ARG_IN_ITIMERVAL] = ITIMERVAL(false),
        [ARG_OUT_ITIMERVAL] = ITIMERVAL(true),
        [ARG_IN_SIGEVENT] = { sizeof(struct sigevent), false, {
                FIELD(struct sigevent, sigev_value, FIELD_HEX),
                FIELD(struct sigevent, sigev_signo, FIELD_SIGNAL),
                FIELD(struct sigevent, sigev_notify, FIELD_INT),
        } },
};

size_t trace_struct_size(SyscallArg kind) {
        return kind < _SYSCALL_ARG_MAX ? structs[kind].size : 0;
}

bool trace_struct_is_output(SyscallArg kind) {
        return structs[kind].output;
}

typedef struct Text {
        char *to;
        size_t room; /* with the NUL */
} Text;

__attribute__((format(printf, 2, 3))) static void text_add(Text *text, const char *format, ...) {
        va_list ap;
        int n;

        va_start(ap, format);
        n = vsnprintf(text->to, text->room, format, ap);
        va_end(ap);
        if (n < 0)
                return;
        n = (int) MIN2((size_t) n, text->room - 1);
        text->to += n;
        text->room -= (size_t) n;
}

static uint64_t number_of(const uint8_t *bytes, size_t size) {
        uint64_t u64 = 0;
        uint32_t u32;
        uint16_t u16;

        switch (size) {
        case sizeof(u16):
                memcpy(&u16, bytes, sizeof(u16));
                return u16;
        case sizeof(u32):
                memcpy(&u32, bytes, sizeof(u32));
                return u32;
        default:
                memcpy(&u64, bytes, MIN2(size, sizeof(u64)));
                return u64;
        }
}

static void add_field(Text *text, const Field *field, const uint8_t *bytes) {
        char buffer[TRACE_ARGUMENT_MAX];
        uint64_t number = number_of(bytes, field->size);
        size_t n;

        switch (field->kind) {
        case FIELD_INT:
                text_add(text, "%" PRId64, field->size == sizeof(int32_t) ? (int32_t) number : (int64_t) number);
                break;
        case FIELD_UINT:
                text_add(text, "%" PRIu64, number);
                break;
        case FIELD_HEX:
                text_add(text, "%#" PRIx64, number);
                break;
        case FIELD_TEXT:
                n = strnlen((const char *) bytes, field->size);
                trace_quote(buffer, bytes, MIN2(n, (size_t) TEXT_MAX), n > TEXT_MAX);
                text_add(text, "%s", buffer);
                break;
        case FIELD_SIGNAL:
                trace_format_signal((int32_t) number, buffer);
                text_add(text, "%s", buffer);
                break;
        case FIELD_TIMESPEC:
        case FIELD_TIMEVAL:
                text_add(text, "{tv_sec=%" PRId64 ", %s=%" PRId64 "}", (int64_t) number,
                         field->kind == FIELD_TIMEVAL ? "tv_usec" : "tv_nsec",
                         (int64_t) number_of(bytes + sizeof(number), sizeof(number)));
                break;
        }
}

void trace_struct_format(SyscallArg kind, const void *bytes, char *to, size_t size) {
        Text text = { .to = to, .room = size };

        for (const Field *field = structs[kind].fields; field->name; field++) {
                text_add(&text, "%s%s=", field == structs[kind].fields ? "{" : ", ", field->name);
                add_field(&text, field, (const uint8_t *) bytes + field->offset);
        }
        text_add(&text, "}");
}

void trace_cpus_format(const void *bytes, size_t n, char *to, size_t size) {
        char list[CPUSET_LIST_MAX];
        CpuSet set = {};

        memcpy(set.words, bytes, MIN2(n, sizeof(set.words)));
        cpuset_format(&set, list, sizeof(list));
        (void) snprintf(to, size, "[%s]", list);
}
