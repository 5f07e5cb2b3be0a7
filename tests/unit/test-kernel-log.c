/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* kernelemu/log: the ring, its readers, its record. */

#include "tap.h"
#include "log/kernel-log.h"

static unsigned count(const KernelLog *log) {
        const LogEntry *entry;
        unsigned n = 0;

        TAILQ_FOREACH(entry, &log->entries, link)
                n++;
        return n;
}

static void test_lines(void) {
        char line[KERNEL_LOG_LINE_MAX + 1], longest[KERNEL_LOG_TEXT_MAX + 100];
        KernelLog log;

        kernel_log_init(&log, 0);
        is_int(log.size_max, KERNEL_LOG_SIZE_MIN, "a log too small is made larger");
        kernel_log_add(&log, 1500000, 6, "one\ntwo");
        log_entry_format(TAILQ_FIRST(&log.entries), line);
        is_str(line, "<6>[    1.500000] one\n", "a line, which a newline ends");
        kernel_log_add(&log, 0, 4, "a\tb\033[31m\177");
        is_str(TAILQ_LAST(&log.entries, LogEntryList)->text, "a?b?[31m?", "control characters are shown");

        memset(longest, 'x', sizeof(longest) - 1);
        longest[sizeof(longest) - 1] = '\0';
        kernel_log_add(&log, UINT64_MAX, 7, longest);
        is_int(TAILQ_LAST(&log.entries, LogEntryList)->length, KERNEL_LOG_TEXT_MAX, "a long text is cut");
        ok(log_entry_format(TAILQ_LAST(&log.entries, LogEntryList), line) <= KERNEL_LOG_LINE_MAX,
           "its line has room at any time");
        kernel_log_done(&log);
}

static void test_ring(void) {
        char buffer[KERNEL_LOG_SIZE_MIN + KERNEL_LOG_LINE_MAX];
        KernelLog log;
        size_t n;

        kernel_log_init(&log, KERNEL_LOG_SIZE_MIN);
        for (unsigned i = 0; i < 1000; i++)
                kernel_log_printf(&log, i, 6, "line %u", i);
        ok(log.size <= log.size_max && count(&log) < 1000, "the oldest go");
        is_str(TAILQ_LAST(&log.entries, LogEntryList)->text, "line 999", "the newest stays");
        is_int((intmax_t) kernel_log_unread(&log), log.size, "all of it is unread");
        n = kernel_log_read_all(&log, buffer, sizeof(buffer));
        is_int((intmax_t) n, log.size, "all of it is read");

        n = kernel_log_read_all(&log, buffer, 60);
        ok(n > 0 && n <= 60 && memcmp(buffer + n - 9, "line 999\n", 9) == 0 && buffer[0] == '<',
           "a small buffer gets the last whole lines");
        is_int((intmax_t) kernel_log_read_all(&log, buffer, 5), 0, "a tiny one none");
        kernel_log_clear(&log);
        is_int((intmax_t) kernel_log_read_all(&log, buffer, sizeof(buffer)), 0, "cleared, there is nothing");
        ok(kernel_log_unread(&log) > 0, "but for the reader that takes lines out");
        kernel_log_add(&log, 0, 6, "new");
        n = kernel_log_read_all(&log, buffer, sizeof(buffer));
        ok(n > 4 && memcmp(buffer + n - 4, "new\n", 4) == 0, "what comes after is there");
        kernel_log_done(&log);
}

static void test_read(void) {
        char whole[200] = "", buffer[200];
        KernelLog log;
        size_t n, total = 0;

        kernel_log_init(&log, 4096);
        kernel_log_add(&log, 0, 6, "first");
        kernel_log_add(&log, 0, 6, "second");
        n = kernel_log_read_all(&log, whole, sizeof(whole));

        /* Byte by byte it is the same text. */
        while (kernel_log_read(&log, buffer + total, 1) == 1)
                total++;
        ok(total == n && memcmp(buffer, whole, n) == 0, "read byte by byte");
        is_int((intmax_t) kernel_log_unread(&log), 0, "then nothing is unread");

        kernel_log_add(&log, 0, 6, "third");
        kernel_log_add(&log, 0, 6, "fourth");
        n = kernel_log_read(&log, buffer, 30);
        is_int((intmax_t) n, 24, "a line that does not fit waits");
        is_int((intmax_t) kernel_log_read(&log, buffer, sizeof(buffer)), 25, "and comes whole");

        kernel_log_add(&log, 0, 6, "fifth");
        (void) kernel_log_read(&log, buffer, 3);
        for (unsigned i = 0; i < 1000; i++)
                kernel_log_printf(&log, 0, 6, "flood %u", i);
        n = kernel_log_read(&log, buffer, sizeof(buffer));
        ok(n > 0 && buffer[0] == '<', "a line dropped while half read is not read on");
        kernel_log_done(&log);
}

static void test_record(void) {
        KernelLog log, copy;
        char a[8192], b[8192], buffer[100];
        Record writer, reader;
        unsigned refused = 0;

        kernel_log_init(&log, 5000);
        for (unsigned i = 0; i < 300; i++)
                kernel_log_printf(&log, i * 1000, i % 8, "entry %u", i);
        (void) kernel_log_read(&log, buffer, 10);
        log.console_level = 3;

        record_init_write(&writer);
        is_int(kernel_log_record(&log, &writer), 0, "a log is written");
        kernel_log_init(&copy, 0);
        kernel_log_add(&copy, 0, 6, "goes away");
        record_init_read(&reader, writer.data, writer.size);
        is_int(kernel_log_record(&copy, &reader), 0, "and read");
        ok(copy.next_sequence == log.next_sequence && copy.read_sequence == log.read_sequence &&
           copy.read_offset == log.read_offset && copy.size == log.size && copy.console_level == 3,
           "its state comes back");
        ok(kernel_log_read_all(&log, a, sizeof(a)) == kernel_log_read_all(&copy, b, sizeof(b)) &&
           memcmp(a, b, log.size) == 0, "its text comes back");

        for (size_t cut = 0; cut < writer.size; cut += 7) {
                record_init_read(&reader, writer.data, cut);
                if (kernel_log_record(&copy, &reader) < 0)
                        refused++;
        }
        is_int(refused, (intmax_t) (writer.size + 6) / 7, "no cut log is taken for whole");
        record_done(&writer);
        kernel_log_done(&log);
        kernel_log_done(&copy);
}

int main(void) {
        test_lines();
        test_ring();
        test_read();
        test_record();
        return tap_done();
}
