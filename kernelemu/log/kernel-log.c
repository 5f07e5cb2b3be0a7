/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "log/kernel-log.h"
#include "util/macros.h"

#define CONSOLE_LEVEL_DEFAULT 7U

void kernel_log_init(KernelLog *log, uint32_t size_max) {
        *log = (KernelLog) {
                .size_max = size_max < KERNEL_LOG_SIZE_MIN ? KERNEL_LOG_SIZE_MIN : MIN2(size_max, KERNEL_LOG_SIZE_MAX),
                .console_level = CONSOLE_LEVEL_DEFAULT,
                .saved_console_level = -1,
        };
        TAILQ_INIT(&log->entries);
}

size_t log_entry_format(const LogEntry *entry, char line[static KERNEL_LOG_LINE_MAX + 1]) {
        int n;

        n = snprintf(line, KERNEL_LOG_LINE_MAX + 1, "<%" PRIu32 ">[%5" PRIu64 ".%06" PRIu64 "] %s\n", entry->level,
                     entry->usec / 1000000, entry->usec % 1000000, entry->text);
        return n < 0 ? 0 : MIN2((size_t) n, (size_t) KERNEL_LOG_LINE_MAX);
}

static size_t line_length(const LogEntry *entry) {
        char line[KERNEL_LOG_LINE_MAX + 1];

        return log_entry_format(entry, line);
}

static void drop_oldest(KernelLog *log) {
        LogEntry *entry = TAILQ_FIRST(&log->entries);

        TAILQ_REMOVE(&log->entries, entry, link);
        log->size -= (uint32_t) line_length(entry);
        if (log->read_sequence <= entry->sequence) {
                log->read_sequence = entry->sequence + 1;
                log->read_offset = 0;
        }
        free(entry);
}

void kernel_log_done(KernelLog *log) {
        while (!TAILQ_EMPTY(&log->entries))
                drop_oldest(log);
}

static LogEntry *entry_new(uint64_t sequence, uint64_t usec, uint32_t level, const char *text) {
        size_t length = strcspn(text, "\n");
        LogEntry *entry;

        length = MIN2(length, (size_t) KERNEL_LOG_TEXT_MAX);
        entry = malloc(sizeof(LogEntry) + length + 1);
        if (!entry)
                return NULL;

        *entry = (LogEntry) {
                .sequence = sequence,
                .usec = usec,
                .level = level & 7,
                .length = (uint32_t) length,
        };
        for (size_t i = 0; i < length; i++)
                entry->text[i] = (unsigned char) text[i] < ' ' || text[i] == 127 ? '?' : text[i];
        entry->text[length] = '\0';
        return entry;
}

static void append(KernelLog *log, LogEntry *entry) {
        TAILQ_INSERT_TAIL(&log->entries, entry, link);
        log->changed = true;
        log->size += (uint32_t) line_length(entry);
        while (log->size > log->size_max && TAILQ_FIRST(&log->entries) != entry)
                drop_oldest(log);
}

void kernel_log_add(KernelLog *log, uint64_t usec, uint32_t level, const char *text) {
        LogEntry *entry = entry_new(log->next_sequence, usec, level, text);

        log->next_sequence++;
        if (entry)
                append(log, entry);
}

void kernel_log_printf(KernelLog *log, uint64_t usec, uint32_t level, const char *format, ...) {
        char text[KERNEL_LOG_TEXT_MAX + 1];
        va_list ap;

        va_start(ap, format);
        (void) vsnprintf(text, sizeof(text), format, ap);
        va_end(ap);
        kernel_log_add(log, usec, level, text);
}

size_t kernel_log_read(KernelLog *log, char *buffer, size_t size) {
        char line[KERNEL_LOG_LINE_MAX + 1];
        size_t done = 0;
        LogEntry *entry;

        TAILQ_FOREACH(entry, &log->entries, link) {
                size_t length, left, n;

                if (entry->sequence < log->read_sequence)
                        continue;
                if (entry->sequence > log->read_sequence) {
                        log->read_sequence = entry->sequence;
                        log->read_offset = 0;
                }

                length = log_entry_format(entry, line);
                left = length - MIN2((size_t) log->read_offset, length);
                n = MIN2(left, size - done);
                /* A line is only broken when it is the first: a reader gets whole lines if his buffer can
                 * hold one. */
                if (n < left && done > 0)
                        break;
                memcpy(buffer + done, line + log->read_offset, n);
                done += n;
                if (n < left) {
                        log->read_offset += (uint32_t) n;
                        break;
                }
                log->read_sequence = entry->sequence + 1;
                log->read_offset = 0;
        }
        log->changed = log->changed || done > 0;
        return done;
}

size_t kernel_log_unread(const KernelLog *log) {
        const LogEntry *entry;
        size_t n = 0;

        TAILQ_FOREACH(entry, &log->entries, link)
                if (entry->sequence >= log->read_sequence)
                        n += line_length(entry);
        if (n > 0)
                n -= MIN2((size_t) log->read_offset, n);
        return n;
}

size_t kernel_log_read_all(const KernelLog *log, char *buffer, size_t size) {
        char line[KERNEL_LOG_LINE_MAX + 1];
        const LogEntry *entry, *first = NULL;
        size_t room = size, done = 0;

        TAILQ_FOREACH_REVERSE(entry, &log->entries, LogEntryList, link) {
                size_t length;

                if (entry->sequence < log->clear_sequence)
                        break;
                length = line_length(entry);
                if (length > room)
                        break;
                room -= length;
                first = entry;
        }

        for (entry = first; entry; entry = TAILQ_NEXT(entry, link)) {
                size_t length = log_entry_format(entry, line);

                memcpy(buffer + done, line, length);
                done += length;
        }
        return done;
}

void kernel_log_clear(KernelLog *log) {
        log->clear_sequence = log->next_sequence;
        log->changed = true;
}

static int entry_read(KernelLog *log, Record *record) {
        char text[KERNEL_LOG_TEXT_MAX + 1];
        LogEntry head = {}, *entry;
        int r;

        record_begin(record, "log-entry", 1);
        record_u64(record, "sequence", &head.sequence);
        record_u64(record, "usec", &head.usec);
        record_u32(record, "level", &head.level);
        record_string(record, "text", text, sizeof(text));
        r = record_end(record);
        if (r < 0)
                return r;
        if (head.sequence >= log->next_sequence ||
            (!TAILQ_EMPTY(&log->entries) &&
             head.sequence <= TAILQ_LAST(&log->entries, LogEntryList)->sequence))
                return -EBADMSG;

        entry = entry_new(head.sequence, head.usec, head.level, text);
        if (!entry)
                return -ENOMEM;
        append(log, entry);
        return 0;
}

static int entry_write(LogEntry *entry, Record *record) {
        record_begin(record, "log-entry", 1);
        record_u64(record, "sequence", &entry->sequence);
        record_u64(record, "usec", &entry->usec);
        record_u32(record, "level", &entry->level);
        record_string(record, "text", entry->text, entry->length + 1);
        return record_end(record);
}

/* All but the entries. */
static int head_record(KernelLog *log, const char *type, uint64_t *n_entries, Record *record) {
        int r;

        record_begin(record, type, 1);
        record_u32(record, "size-max", &log->size_max);
        record_u64(record, "next-sequence", &log->next_sequence);
        record_u64(record, "clear-sequence", &log->clear_sequence);
        record_u64(record, "read-sequence", &log->read_sequence);
        record_u32(record, "read-offset", &log->read_offset);
        record_u32(record, "console-level", &log->console_level);
        record_i64(record, "saved-console-level", &log->saved_console_level);
        record_u64(record, "entries", n_entries);
        r = record_end(record);
        if (r < 0 || record->mode == RECORD_WRITE)
                return r;

        if (log->size_max < KERNEL_LOG_SIZE_MIN || log->size_max > KERNEL_LOG_SIZE_MAX || log->console_level < 1 ||
            log->console_level > 8 || log->saved_console_level < -1 || log->saved_console_level > 8 ||
            log->read_offset > KERNEL_LOG_LINE_MAX)
                return -EBADMSG;
        return 0;
}

static int entries_record(KernelLog *log, LogEntry *first, uint64_t n_entries, Record *record) {
        uint64_t read_sequence = log->read_sequence;
        uint32_t read_offset = log->read_offset;

        if (record->mode == RECORD_WRITE) {
                for (LogEntry *entry = first; entry; entry = TAILQ_NEXT(entry, link)) {
                        int r = entry_write(entry, record);

                        if (r < 0)
                                return r;
                }
                log->changed = false;
                log->kept_sequence = log->next_sequence;
                return 0;
        }

        for (uint64_t i = 0; i < n_entries; i++) {
                int r = entry_read(log, record);

                if (r < 0)
                        return r;
        }
        /* Dropping entries moves the reader on; what was recorded of it holds. */
        log->read_sequence = read_sequence;
        log->read_offset = read_offset;
        log->changed = false;
        log->kept_sequence = log->next_sequence;
        return 0;
}

int kernel_log_record(KernelLog *log, Record *record) {
        uint64_t n_entries = 0;
        LogEntry *entry;
        int r;

        if (record->mode == RECORD_READ)
                kernel_log_done(log);
        TAILQ_FOREACH(entry, &log->entries, link)
                n_entries++;
        r = head_record(log, "kernel-log", &n_entries, record);
        return r < 0 ? r : entries_record(log, TAILQ_FIRST(&log->entries), n_entries, record);
}

int kernel_log_record_changes(KernelLog *log, Record *record) {
        LogEntry *first = NULL, *entry;
        uint64_t n_entries = 0;
        int r;

        TAILQ_FOREACH_REVERSE(entry, &log->entries, LogEntryList, link) {
                if (entry->sequence < log->kept_sequence)
                        break;
                first = entry;
                n_entries++;
        }
        r = head_record(log, "kernel-log-change", &n_entries, record);
        return r < 0 ? r : entries_record(log, first, n_entries, record);
}
