/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Memory of the image to where it was. A process reads its own: nothing is copied twice. But what takes the time is making the
 * pages, and one process keeps one CPU busy with that: so when there is much, a thread of ours writes what is at the other end,
 * until they meet. */

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <sys/syscall.h>
#include <sys/uio.h>

#include "image-read.h"
#include "restore-internal.h"
#include "util.h"

#define IOV_MAX_HERE 1024U
#define READ_AT_ONCE (16U << 20)  /* bytes in one call, and that one takes at a time while there are two */
#define TWO_FROM (64U << 20)      /* bytes in all */

/* Runs of which two take from both ends. */
typedef struct Share {
        const ImageReader *reader; /* immutable, as are runs and tid */
        const ImageRun *runs;
        pid_t tid;
        pthread_mutex_t lock;      /* holds what follows */
        size_t front, back;        /* what nobody has taken yet: the back one belongs to it no more */
        int r;                     /* of the thread, once it has ended */
        char *message;             /* owned */
} Share;

/* Runs that follow each other in a page file, read by the process itself: nothing is copied twice. */
static int read_runs(Restore *restore, RestoreProcess *process, const ImageRun *runs, size_t n) {
        struct iovec iov[IOV_MAX_HERE];
        uint64_t offset = runs[0].offset, total = 0, at;
        size_t first = 0;
        int r;

        for (size_t i = 0; i < n; i++) {
                iov[i] = (struct iovec) { (void *) (uintptr_t) runs[i].address, runs[i].size };
                total += runs[i].size;
        }
        while (total > 0) {
                int64_t done;

                r = restore_put(restore, process, 0, iov + first, (n - first) * sizeof(iov[0]), &at);
                if (r < 0)
                        return r;
                done = restore_call(restore, process, "read memory", SYS_preadv, (uint64_t) restore->page_files[runs[0].file], at,
                                    n - first, offset, offset >> 32);
                if (done <= 0)
                        return done == 0 ? restore_fail(restore, -EIO, "page file %u is too short", runs[0].file) : (int) done;
                total -= (uint64_t) done;
                offset += (uint64_t) done;
                while (first < n && (uint64_t) done >= iov[first].iov_len)
                        done -= (int64_t) iov[first++].iov_len;
                if (first < n) {
                        iov[first].iov_base = (char *) iov[first].iov_base + done;
                        iov[first].iov_len -= (size_t) done;
                }
        }
        return 0;
}

/* Runs of `share` that follow each other in one page file, from the front on: their number, 0 at the end. */
static size_t take_front(Share *share, size_t *ret) {
        const ImageRun *runs = share->runs;
        uint64_t size = 0;
        size_t k;

        (void) pthread_mutex_lock(&share->lock);
        *ret = k = share->front;
        if (k < share->back)
                do
                        size += runs[k].size;
                while (++k < share->back && k - *ret < IOV_MAX_HERE && size < READ_AT_ONCE && runs[k].stored == runs[k].size &&
                       runs[*ret].stored == runs[*ret].size && runs[k].file == runs[*ret].file &&
                       runs[k].offset == runs[k - 1].offset + runs[k - 1].size);
        share->front = k;
        (void) pthread_mutex_unlock(&share->lock);
        return k - *ret;
}

static const ImageRun *take_back(Share *share) {
        const ImageRun *run = NULL;

        (void) pthread_mutex_lock(&share->lock);
        if (share->front < share->back)
                run = share->runs + --share->back;
        (void) pthread_mutex_unlock(&share->lock);
        return run;
}

static void *thread_main(void *userdata) {
        Share *share = userdata;
        _cleanup_free_ void *buffer = malloc(IMAGE_BLOCK);
        const ImageRun *run;

        if (!buffer)
                return NULL; /* so the other does it all */
        while (share->r >= 0 && (run = take_back(share)))
                for (uint64_t done = 0; share->r >= 0 && done < run->size;) {
                        size_t size = (size_t) MIN((uint64_t) IMAGE_BLOCK, run->size - done);

                        share->r = image_reader_run(share->reader, run, done, buffer, size, &share->message);
                        if (share->r >= 0)
                                share->r = inject_write(share->tid, run->address + done, buffer, size);
                        done += size;
                }
        return NULL;
}

static int fill(Restore *restore, RestoreProcess *process, Share *share) {
        size_t first, n;

        while ((n = take_front(share, &first)) > 0) {
                const ImageRun *runs = share->runs + first;
                /* Compressed memory goes through us. */
                int r = runs->stored == runs->size ? read_runs(restore, process, runs, n)
                                                   : restore_run_to_process(restore, runs, process->inject.tid);

                if (r < 0)
                        return r;
        }
        return 0;
}

/* Large runs in several: who takes one takes so much only. */
static int split(const ImageRun *runs, size_t n, ImageRuns *ret) {
        for (size_t i = 0; i < n; i++)
                for (uint64_t done = 0; done < runs[i].size;) {
                        ImageRun *part = IMAGE_APPEND(ret->items, ret->n);
                        bool whole = runs[i].stored != runs[i].size;

                        if (!part)
                                return -ENOMEM;
                        *part = runs[i];
                        if (!whole) {
                                part->size = part->stored = MIN((uint64_t) READ_AT_ONCE, runs[i].size - done);
                                part->address += done;
                                part->offset += done;
                        }
                        done += part->size;
                }
        return 0;
}

static bool has_two_cpus(void) {
        cpu_set_t set;

        return sched_getaffinity(0, sizeof(set), &set) >= 0 && CPU_COUNT(&set) > 1;
}

int restore_fill(Restore *restore, RestoreProcess *process, const ImageRun *runs, size_t n) {
        _cleanup_free_ ImageRun *parts = NULL;
        Share share = { .reader = restore->reader, .runs = runs, .tid = process->inject.tid, .back = n };
        ImageRuns split_runs = {};
        pthread_t thread;
        uint64_t size = 0;
        bool two;
        int r;

        for (size_t i = 0; i < n; i++)
                size += runs[i].size;
        two = size >= TWO_FROM && has_two_cpus();
        if (two) {
                r = split(runs, n, &split_runs);
                parts = split_runs.items;
                if (r < 0)
                        return restore_fail(restore, r, "no memory");
                share.runs = parts;
                share.back = split_runs.n;
        }
        (void) pthread_mutex_init(&share.lock, NULL);
        two = two && pthread_create(&thread, NULL, thread_main, &share) == 0;
        r = fill(restore, process, &share);
        if (r < 0)
                while (take_back(&share))
                        ;
        if (two)
                (void) pthread_join(thread, NULL);
        (void) pthread_mutex_destroy(&share.lock);
        if (r >= 0 && share.r < 0)
                r = restore_fail(restore, share.r, "%s", share.message ?: "cannot write what the image has");
        free(share.message);
        return r;
}
