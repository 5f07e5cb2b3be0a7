/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Tracing: answered calls as lines of JSON, with arguments written as strace(1) writes them, by their kinds in the
 * table; and the lists of names and classes that say which calls. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "syscall.h"

#define TRACE_LINE_MAX 4096U /* with the line break: what Linux writes to a pipe in one piece (PIPE_BUF) */
#define TRACE_PATH_MAX 256U  /* bytes shown of a file name */
#define TRACE_STRING_MAX 64U /* bytes shown of other strings and buffers */
#define TRACE_ARGUMENT_MAX (TRACE_PATH_MAX * 4 + 8)

/* Which calls are traced. */
typedef struct TraceFilter {
        bool ids[_SYSCALL_ID_MAX];
        bool unknown; /* calls without a row, or of a foreign ABI */
} TraceFilter;

/* Parses a list as of strace -e: "uname,%refused"; "!" before it turns it around. A word is the name of a call, "all",
 * "none", or "%" with a class (%emulated, %unknown …) or a family (%sched). NULL and "" are all. Returns 0; -EINVAL
 * with the word that means nothing. */
int trace_filter_parse(const char *text, TraceFilter *ret, const char **ret_word, size_t *ret_length);

static inline bool trace_filter_matches(const TraceFilter *filter, const Call *call) {
        return call->id == SYSCALL_ID_UNKNOWN || call->foreign ? filter->unknown : filter->ids[call->id];
}

/* The arguments of a call as text, ASCII only. */
typedef struct TraceArguments {
        unsigned n;
        char text[SYSCALL_ARGS_MAX][TRACE_ARGUMENT_MAX];
} TraceArguments;

/* Bytes as a string of C: "a\n\377". Room for four characters a byte, quotes and dots is the caller's to have. */
void trace_quote(char *to, const uint8_t *bytes, size_t n, bool cut);
/* "SIGKILL", "SIGRT_2" or the number; to has room for TRACE_ARGUMENT_MAX. */
void trace_format_signal(int32_t number, char *to);

/* Writes the arguments down. Strings and buffers are read from the caller's memory, so it must still wait: after the
 * handler has come to its verdict, before the answer. What cannot be read shows as its address. */
void trace_read_arguments(Kernel *kernel, const Call *call, Verdict verdict, TraceArguments *ret);

/* An answered call. Strings are UTF-8. */
typedef struct TraceRecord {
        const Call *call;
        const char *name;          /* of the call, as its architecture has it */
        const char *arch;          /* of a foreign ABI; else NULL */
        const TraceArguments *arguments; /* NULL: not told */
        Verdict verdict;
        int fd;                    /* FD: the number that the caller got, or a negative errno */
        uint64_t usec;             /* CLOCK_REALTIME of the start of its service */
        uint64_t duration_ns;      /* from there to the answer */
        GuestPid pid;              /* of the calling task, as the sandbox sees it; 0: not known */
        const char *comm;          /* its name */
} TraceRecord;

/* Formats a line, with its line break. Returns the length. Arguments too long for a line are left out. */
size_t trace_format(const TraceRecord *record, char line[static TRACE_LINE_MAX]);

/* The line that tells of n lines that the reader was too slow for. */
size_t trace_format_dropped(uint64_t n, char line[static TRACE_LINE_MAX]);
