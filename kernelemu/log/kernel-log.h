/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The kernel log of a sandbox: what syslog(2) reads inside and `sentryctl dmesg` outside. A ring of entries;
 * the oldest go when the text is over its limit. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/queue.h>

#include "record.h"

#define KERNEL_LOG_SIZE_MIN 4096U
#define KERNEL_LOG_SIZE_MAX (16U << 20)
#define KERNEL_LOG_TEXT_MAX 1023U   /* bytes of one entry; longer text is cut */
#define KERNEL_LOG_LINE_MAX (KERNEL_LOG_TEXT_MAX + 32U) /* the same with its prefix and newline */

/* Levels of syslog(3) that the sentry itself uses. */
enum {
        LOG_LEVEL_WARNING = 4,
        LOG_LEVEL_NOTICE = 5,
        LOG_LEVEL_INFO = 6,
};

typedef struct LogEntry {
        uint64_t sequence;         /* immutable, recorded. From 0, never reused */
        uint64_t usec;             /* immutable, recorded. Since the sandbox booted */
        uint32_t level;            /* immutable, recorded. 0-7 */
        uint32_t length;           /* immutable, not recorded: strlen(text) */
        TAILQ_ENTRY(LogEntry) link; /* owned by the log */
        char text[];               /* immutable, recorded. No newline, NUL-terminated */
} LogEntry;

typedef struct KernelLog {
        TAILQ_HEAD(LogEntryList, LogEntry) entries; /* owned, recorded. Oldest first */
        uint32_t size_max;       /* immutable, recorded. Bytes of lines that are kept */
        uint32_t size;           /* bytes of lines now; not recorded: follows from the entries */
        uint64_t next_sequence;  /* recorded */
        uint64_t clear_sequence; /* recorded. READ_ALL starts here: SYSLOG_ACTION_CLEAR */
        uint64_t read_sequence;  /* recorded. SYSLOG_ACTION_READ goes on here … */
        uint32_t read_offset;    /* recorded. … this far into the line */
        uint32_t console_level;  /* recorded. Kept and returned; no console listens to it */
        int64_t saved_console_level; /* recorded. -1: CONSOLE_OFF is not in force */
        bool changed;            /* since kernel_log_record() or kernel_log_record_changes() */
        uint64_t kept_sequence;  /* entries before this one were recorded then */
} KernelLog;

/* size_max is moved into KERNEL_LOG_SIZE_MIN … KERNEL_LOG_SIZE_MAX. */
void kernel_log_init(KernelLog *log, uint32_t size_max);
void kernel_log_done(KernelLog *log);

/* Appends; a newline ends the text, control characters become '?'. Without memory the entry is lost. */
void kernel_log_add(KernelLog *log, uint64_t usec, uint32_t level, const char *text);
void kernel_log_printf(KernelLog *log, uint64_t usec, uint32_t level, const char *format, ...)
                __attribute__((format(printf, 4, 5)));

/* Writes "<level>[seconds.micros] text\n" of an entry into line; returns its length. */
size_t log_entry_format(const LogEntry *entry, char line[static KERNEL_LOG_LINE_MAX + 1]);

/* SYSLOG_ACTION_READ: takes up to size unread bytes out into buffer, whole lines where they fit, the rest of a
 * longer one next time. Returns how many; 0: nothing is unread. */
size_t kernel_log_read(KernelLog *log, char *buffer, size_t size);
/* SYSLOG_ACTION_SIZE_UNREAD */
size_t kernel_log_unread(const KernelLog *log);
/* SYSLOG_ACTION_READ_ALL: the last whole lines that fit, oldest first. Returns the number of bytes. */
size_t kernel_log_read_all(const KernelLog *log, char *buffer, size_t size);
/* SYSLOG_ACTION_CLEAR */
void kernel_log_clear(KernelLog *log);

/* Visits the log, entries included. Reading replaces what the log held. */
int kernel_log_record(KernelLog *log, Record *record);
/* What has changed since the last time that, or this, was written; and on top of what was read. */
int kernel_log_record_changes(KernelLog *log, Record *record);
