/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <errno.h>
#include <linux/seccomp.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "journal.h"
#include "kernel.h"
#include "log.h"
#include "notify.h"
#include "util.h"

/* Where things lie. Pages that nobody writes to are not there: what a kernel may hold at most, twice, is but addresses. */
#define SLOTS_AT 8192U
#define STATISTICS_AT (512U * 1024)
#define HALVES_AT (1024U * 1024)
#define HALF_MAX ((size_t) 128 * 1024 * 1024)
#define MAP_SIZE (HALVES_AT + 2 * HALF_MAX)

#define LIMIT_MIN (32U * 1024) /* the length from which on a half is compacted */
#define HALF_KEPT (64U * 1024) /* of the half that is not in use, memory beyond this is given back */

static const char magic[8] = "SENTRYJ";

_Static_assert(sizeof(JournalHeader) <= SLOTS_AT, "the header has its place");
_Static_assert(SLOTS_AT + NOTIFY_SLOTS * sizeof(JournalSlot) <= STATISTICS_AT, "the slots have theirs");
_Static_assert(STATISTICS_AT + KERNEL_STATISTICS * sizeof(SyscallStatistics) <= HALVES_AT, "and the statistics");
_Static_assert(sizeof(struct seccomp_notif) <= JOURNAL_REQUEST_MAX, "a request fits in a slot");

static uint8_t *half_of(const Journal *journal, uint64_t generation) {
        return journal->map + HALVES_AT + (generation & 1) * HALF_MAX;
}

static uint64_t committed(const Journal *journal) {
        return atomic_load_explicit(&journal->header->committed, memory_order_relaxed);
}

/* Where what is written now goes on. */
static uint64_t generation_of(uint64_t position) {
        return position >> 32;
}

static Record *sink_begin(ChangeSink *sink) {
        Journal *journal = (Journal *) (void *) sink;

        if (journal->whole || !journal->snapshot)
                return NULL; /* the snapshot will have it */
        record_init_write_at(&journal->record, half_of(journal, generation_of(committed(journal))) + journal->tail,
                             HALF_MAX - journal->tail);
        return &journal->record;
}

static void sink_end(ChangeSink *sink, Record *record) {
        Journal *journal = (Journal *) (void *) sink;

        if (record->error < 0)
                journal->whole = true;
        else
                journal->tail += record->size;
}

static void sink_all(ChangeSink *sink) {
        ((Journal *) (void *) sink)->whole = true;
}

static void sink_commit(ChangeSink *sink) {
        journal_commit((Journal *) (void *) sink, NULL);
}

static const ChangeSink sink_of_journal = {
        .begin = sink_begin,
        .end = sink_end,
        .all = sink_all,
        .commit = sink_commit,
};

static int map(Journal *journal, int fd) {
        *journal = (Journal) { .sink = sink_of_journal, .fd = fd };
        journal->map = mmap(NULL, MAP_SIZE, PROT_READ | PROT_WRITE,
                            fd >= 0 ? MAP_SHARED : MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, fd, 0);
        if (journal->map == MAP_FAILED) {
                *journal = (Journal) { .fd = -EBADF };
                return -errno;
        }
        journal->header = (JournalHeader *) (void *) journal->map;
        journal->slots = (JournalSlot *) (void *) (journal->map + SLOTS_AT);
        journal->statistics = (SyscallStatistics *) (void *) (journal->map + STATISTICS_AT);
        return 0;
}

int journal_create(Journal *journal, int fd, uint32_t request_size) {
        int r;

        if (request_size > JOURNAL_REQUEST_MAX)
                return -EOVERFLOW;
        if (fd >= 0 && ftruncate(fd, MAP_SIZE) < 0)
                return -errno;
        r = map(journal, fd);
        if (r < 0)
                return r;
        journal->header->version = JOURNAL_VERSION;
        journal->header->n_slots = NOTIFY_SLOTS;
        journal->header->request_size = request_size;
        atomic_store(&journal->header->owner, getpid());
        memcpy(journal->header->magic, magic, sizeof(magic));
        return 0;
}

int journal_open(Journal *journal, int fd, uint32_t request_size, uint32_t *ret_version) {
        JournalHeader *header;
        struct stat st;
        uint64_t position;
        int r;

        *ret_version = JOURNAL_VERSION;
        if (fstat(fd, &st) < 0)
                return -errno;
        if (!S_ISREG(st.st_mode) || (uint64_t) st.st_size < SLOTS_AT)
                return -EBADMSG;
        /* Of another version nothing but the beginning is known. */
        header = mmap(NULL, SLOTS_AT, PROT_READ, MAP_SHARED, fd, 0);
        if (header == MAP_FAILED)
                return -errno;
        r = memcmp(header->magic, magic, sizeof(magic)) != 0 ? -EBADMSG :
                header->version != JOURNAL_VERSION ? -EPROTO : 0;
        *ret_version = header->version;
        (void) munmap(header, SLOTS_AT);
        if (r < 0)
                return r;
        if ((uint64_t) st.st_size < MAP_SIZE)
                return -EBADMSG;

        r = map(journal, fd);
        if (r < 0)
                return r;
        header = journal->header;
        position = committed(journal);
        if (header->n_slots == NOTIFY_SLOTS && header->request_size == request_size && generation_of(position) > 0 &&
            (uint32_t) position <= HALF_MAX && atomic_load(&header->broken) == 0 && atomic_load(&header->table) <= 1 &&
            rendezvous_table_is_valid(header->tables[header->table].fds, header->tables[header->table].n))
                return 0;
        journal->fd = -EBADF; /* stays the caller's */
        journal_done(journal);
        return -EBADMSG;
}

void journal_done(Journal *journal) {
        if (journal->map)
                (void) munmap(journal->map, MAP_SIZE);
        safe_close(journal->fd);
        *journal = (Journal) { .fd = -EBADF };
}

void journal_read(const Journal *journal, Record *ret) {
        uint64_t position = committed(journal);

        record_init_read(ret, half_of(journal, generation_of(position)), (uint32_t) position);
}

void journal_start(Journal *journal, Kernel *kernel, int (*snapshot)(Record *record, void *userdata), void *userdata) {
        journal->kernel = kernel;
        journal->snapshot = snapshot;
        journal->userdata = userdata;
        journal->whole = true;
        kernel->changes = &journal->sink;
}

/* Writes a snapshot into the other half. Returns where that ends, or 0. */
static uint64_t compact(Journal *journal, uint64_t position) {
        uint64_t generation = generation_of(position) + 1;
        int r;

        record_init_write_at(&journal->record, half_of(journal, generation), HALF_MAX);
        r = journal->snapshot(&journal->record, journal->userdata);
        if (r < 0) {
                /* Once and for all: what comes after would have no base. */
                atomic_store(&journal->header->broken, 1);
                if (!journal->warned)
                        log_error("%s: what has changed cannot be kept any more, and a crash would be the end of the "
                                  "sandbox: %s", journal->kernel->name, strerror(-r));
                journal->warned = true;
                return 0;
        }
        journal->whole = false;
        journal->tail = journal->record.size;
        journal->limit = MIN(2 * journal->tail + LIMIT_MIN, HALF_MAX - LIMIT_MIN);
        return generation << 32 | journal->tail;
}

void journal_commit(Journal *journal, JournalSlot *slot) {
        uint64_t before = committed(journal), after = before;
        size_t used = journal->tail;

        if (!journal->snapshot || journal->warned)
                goto finish;
        if (changes_log_pending(journal->kernel) && !journal->whole) {
                Record *record = sink_begin(&journal->sink);

                (void) changes_log_record(journal->kernel, record);
                sink_end(&journal->sink, record);
        }
        if (journal->whole || journal->tail > journal->limit) {
                after = compact(journal, before);
                if (after == 0)
                        after = before;
        } else if (journal->tail != (uint32_t) before)
                after = generation_of(before) << 32 | journal->tail;

finish:
        /* Before the first snapshot, and without any, an answer counts at once: 0 means that it does not. */
        if (slot)
                atomic_store_explicit(&slot->done_at, after != 0 ? after : 1, memory_order_release);
        if (after == before)
                return;
        atomic_store_explicit(&journal->header->committed, after, memory_order_release);
        if (generation_of(after) != generation_of(before) && used > HALF_KEPT)
                (void) madvise(half_of(journal, generation_of(before)) + HALF_KEPT, HALF_MAX - HALF_KEPT,
                               journal->fd >= 0 ? MADV_REMOVE : MADV_DONTNEED);
}

bool journal_slot_is_done(const Journal *journal, const JournalSlot *slot) {
        uint64_t done_at = atomic_load(&slot->done_at);

        return done_at != 0 && done_at <= committed(journal);
}

void journal_set_table(Journal *journal, const RendezvousFd *table, uint32_t n) {
        uint32_t other = atomic_load(&journal->header->table) ^ 1;

        journal->header->tables[other].n = n;
        memcpy(journal->header->tables[other].fds, table, n * sizeof(RendezvousFd));
        atomic_store(&journal->header->table, other);
}
