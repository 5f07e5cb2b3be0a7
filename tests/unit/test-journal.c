/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* daemon/kernel/journal.h: what is committed comes back, all of it and nothing else, whenever its writer stops; and what is
 * no journal of ours is refused. */

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "tap.h"
#include "fake-host.h"
#include "journal.h"
#include "util.h"

#define REQUEST_SIZE 80U

static int snapshot(Record *record, void *userdata) {
        return kernel_snapshot(userdata, record);
}

static int memfd(void) {
        int fd = memfd_create("journal", MFD_CLOEXEC);

        if (fd < 0)
                tap_bail_out("memfd_create: %s", strerror(errno));
        return fd;
}

/* What the next sentry-kernel would have of it: NULL and an error. */
static Kernel *recovered(int fd, FakeHost *fake, int *ret_error) {
        Kernel *kernel = fake_kernel(fake);
        uint32_t version;
        Journal journal;
        Record record;
        int r;

        r = journal_open(&journal, fcntl(fd, F_DUPFD_CLOEXEC, 0), REQUEST_SIZE, &version);
        if (r >= 0) {
                journal_read(&journal, &record);
                r = kernel_snapshot(kernel, &record);
                while (r >= 0) {
                        r = changes_apply(kernel, &record);
                        if (r == 0) {
                                r = record.end == record.size ? 0 : -EBADMSG;
                                break;
                        }
                }
                journal_done(&journal);
        }
        *ret_error = r;
        return r < 0 ? kernel_free(kernel) : kernel;
}

static void set_name(Kernel *kernel, const char *name) {
        FakeHost *fake = (FakeHost *) (void *) kernel->host;

        memcpy(fake->memory, name, strlen(name));
        if (fake_call(kernel, "sethostname", GUEST_BASE, strlen(name), 0).kind != VERDICT_VALUE)
                tap_bail_out("sethostname");
}

static const char *name_in(int fd) {
        static char name[ABI_UTS_LENGTH];
        FakeHost fake;
        int r;
        Kernel *kernel = recovered(fd, &fake, &r);

        if (!kernel)
                return strerror(-r);
        memcpy(name, kernel->first_uts->nodename, sizeof(name));
        kernel_free(kernel);
        return name;
}

static void test_commit(void) {
        FakeHost fake, other;
        Kernel *kernel = fake_kernel(&fake), *copy;
        uint64_t entries = 0;
        Journal journal;
        int fd = memfd(), r;
        char name[32];
        LogEntry *entry;

        is_int(journal_create(&journal, fcntl(fd, F_DUPFD_CLOEXEC, 0), REQUEST_SIZE), 0, "a journal");
        is_str(name_in(fd), strerror(EBADMSG), "of which nothing was committed is none to recover from");
        journal_start(&journal, kernel, snapshot, kernel);
        set_name(kernel, "first");
        journal_commit(&journal, NULL);
        is_str(name_in(fd), "first", "the first commit is a snapshot");
        set_name(kernel, "second");
        is_str(name_in(fd), "first", "what was told and not committed does not count");
        journal_commit(&journal, &journal.slots[7]);
        is_str(name_in(fd), "second", "what was committed does");
        ok(journal_slot_is_done(&journal, &journal.slots[7]) && !journal_slot_is_done(&journal, &journal.slots[8]),
           "and so does the answer that was committed with it");

        /* The answer is written and the writer stops before the one store that counts. */
        uint64_t before = atomic_load(&journal.header->committed);
        set_name(kernel, "third");
        journal_commit(&journal, &journal.slots[8]);
        uint64_t after = atomic_load(&journal.header->committed);
        atomic_store(&journal.header->committed, before);
        ok(!journal_slot_is_done(&journal, &journal.slots[8]) && streq(name_in(fd), "second"),
           "without that store neither a change nor its answer is there");
        atomic_store(&journal.header->committed, after);
        ok(journal_slot_is_done(&journal, &journal.slots[8]) && streq(name_in(fd), "third"), "with it, both");
        journal_commit(&journal, &journal.slots[9]);
        ok(journal_slot_is_done(&journal, &journal.slots[9]) && atomic_load(&journal.header->committed) == after,
           "an answer that changes nothing counts at once");

        size_t longest = 0;
        int wrong = 0;
        for (unsigned i = 0; i < 3000; i++) {
                (void) snprintf(name, sizeof(name), "name-%u", i);
                set_name(kernel, name);
                if (i % 3 == 0)
                        kernel_log_printf(&kernel->log, i, LOG_LEVEL_INFO, "line %u", i);
                journal_commit(&journal, NULL);
                longest = MAX(longest, (size_t) (uint32_t) atomic_load(&journal.header->committed));
                if (i % 100 == 0 && !streq(name_in(fd), name))
                        wrong++;
        }
        is_int(wrong, 0, "3,000 changes: the last one is always there");
        ok(longest < (size_t) 256 * 1024, "and it stays small: %zu bytes", longest);

        copy = recovered(fd, &other, &r);
        if (ok(copy, "all of it is read")) {
                LogEntry *theirs = TAILQ_FIRST(&copy->log.entries);

                TAILQ_FOREACH(entry, &kernel->log.entries, link) {
                        if (!theirs || theirs->sequence != entry->sequence || !streq(theirs->text, entry->text))
                                break;
                        theirs = TAILQ_NEXT(theirs, link);
                        entries++;
                }
                ok(!entry && !theirs && entries > 10, "the log is the same, %" PRIu64 " lines", entries);
                kernel_free(copy);
        }
        journal_done(&journal);
        kernel_free(kernel);
        safe_close(fd);
}

static void test_hostile(void) {
        FakeHost fake, other;
        Kernel *kernel = fake_kernel(&fake), *copy;
        uint32_t version, n_read = 0;
        Journal journal, second;
        int fd = memfd(), bad, r;

        if (journal_create(&journal, fcntl(fd, F_DUPFD_CLOEXEC, 0), REQUEST_SIZE) < 0)
                tap_bail_out("no journal");
        journal_start(&journal, kernel, snapshot, kernel);
        journal_commit(&journal, NULL);
        set_name(kernel, "changed");
        journal_commit(&journal, NULL);

        journal.header->version++;
        is_int(journal_open(&second, fd, REQUEST_SIZE, &version), -EPROTO, "another version is refused");
        is_int(version, JOURNAL_VERSION + 1, "and told");
        journal.header->version--;
        is_int(journal_open(&second, fd, REQUEST_SIZE + 8, &version), -EBADMSG, "requests of another size");
        journal.header->n_slots--;
        is_int(journal_open(&second, fd, REQUEST_SIZE, &version), -EBADMSG, "another number of slots");
        journal.header->n_slots++;
        atomic_store(&journal.header->broken, 1);
        is_int(journal_open(&second, fd, REQUEST_SIZE, &version), -EBADMSG, "one that was given up");
        atomic_store(&journal.header->broken, 0);
        uint64_t committed = atomic_load(&journal.header->committed);
        atomic_store(&journal.header->committed, committed | UINT32_MAX);
        is_int(journal_open(&second, fd, REQUEST_SIZE, &version), -EBADMSG, "one that is longer than it may be");
        atomic_store(&journal.header->committed, committed);
        journal.header->tables[atomic_load(&journal.header->table)].n = UINT32_MAX;
        is_int(journal_open(&second, fd, REQUEST_SIZE, &version), -EBADMSG, "a table without an end");
        journal.header->tables[atomic_load(&journal.header->table)].n = 0;
        is_str(name_in(fd), "changed", "put right again it is read");

        bad = memfd();
        is_int(journal_open(&second, bad, REQUEST_SIZE, &version), -EBADMSG, "an empty file");
        if (ftruncate(bad, 1 << 20) < 0)
                tap_bail_out("ftruncate");
        is_int(journal_open(&second, bad, REQUEST_SIZE, &version), -EBADMSG, "zeros");
        (void) pwrite(bad, journal.header, sizeof(JournalHeader), 0);
        is_int(journal_open(&second, bad, REQUEST_SIZE, &version), -EBADMSG, "one that is cut off");
        safe_close(bad);
        bad = open("/dev/null", O_RDWR | O_CLOEXEC);
        is_int(journal_open(&second, bad, REQUEST_SIZE, &version), -EBADMSG, "no file at all");
        safe_close(bad);

        /* Cut off anywhere, and with bytes changed, it is read or not, and no more. */
        uint8_t *half = journal.map + (1 << 20) + (committed >> 32 & 1) * ((size_t) 128 << 20);
        for (uint32_t length = 0; length < (uint32_t) committed; length += 3) {
                atomic_store(&journal.header->committed, (committed >> 32 << 32) | length);
                copy = recovered(fd, &other, &r);
                n_read += copy != NULL;
                kernel_free(copy);
        }
        ok(n_read < 10, "cut off it is refused, but where a record ends (%u)", n_read);
        atomic_store(&journal.header->committed, committed);
        srand(8);
        for (unsigned i = 0; i < 3000; i++) {
                size_t at = (size_t) rand() % (uint32_t) committed;
                uint8_t was = half[at];

                half[at] = (uint8_t) rand();
                copy = recovered(fd, &other, &r);
                kernel_free(copy);
                half[at] = was;
        }
        is_str(name_in(fd), "changed", "after 3,000 wrong bytes, one at a time, the right ones are read");
        journal_done(&journal);
        kernel_free(kernel);
        safe_close(fd);
}

int main(void) {
        test_commit();
        test_hostile();
        return tap_done();
}
