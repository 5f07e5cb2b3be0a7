/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* From the table of system calls to seccomp programs, by libseccomp. */

#include <errno.h>
#include <limits.h>
#include <linux/seccomp.h>
#include <seccomp.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>

#include "filter.h"
#include "syscall.h"
#include "util.h"

#ifndef SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV
#  define SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV (1UL << 5) /* Linux 5.19 */
#endif

/* Order of comparison, where the order is ours to choose. The kernel answers calls that are always allowed from
 * a bitmap without running the program; those that depend on an argument do run it, so they come first. */
enum {
        ALTERNATIVES_MAX = 128, /* rules to say that a register is none of SYSCALL_WHEN_MAX values */
        PRIORITY_CONDITIONAL = 255,
        OPTIMIZE_BY_PRIORITY = 1, /* the other choice, a binary tree, takes half as long again to build */
};

static void filter_releasep(scmp_filter_ctx *context) {
        if (*context)
                seccomp_release(*context);
}

void filter_programs_done(FilterPrograms *programs) {
        free(programs->deny);
        free(programs->notify);
        *programs = (FilterPrograms) {};
}

/* What may pass is said by rules: libseccomp joins the comparisons of one rule by "and", takes one per argument in
 * it, and rules by "or". So that a register is none of several values is said by several rules, each of which lets a
 * part of the rest pass. */
typedef struct Alternatives {
        unsigned arg;
        unsigned n;
        struct scmp_arg_cmp cmp[ALTERNATIVES_MAX];
} Alternatives;

static int alternatives_add(Alternatives *a, struct scmp_arg_cmp cmp) {
        if (a->n >= ALTERNATIVES_MAX)
                return -EOPNOTSUPP;
        a->cmp[a->n++] = cmp;
        return 0;
}

/* The numbers from first to last, as blocks whose upper bits agree. mask: the bits that count. */
static int add_range(Alternatives *a, uint64_t first, uint64_t last, uint64_t mask) {
        for (;;) {
                uint64_t block = first == 0 ? UINT64_C(1) << 63 : first & -first; /* the largest that may start here */
                int r;

                while (block - 1 > last - first)
                        block /= 2;
                r = alternatives_add(a, SCMP_CMP64(a->arg, SCMP_CMP_MASKED_EQ, mask & ~(block - 1), first));
                if (r < 0 || last - first == block - 1)
                        return r;
                first += block;
        }
}

/* All numbers but these n. */
static int add_all_but(Alternatives *a, const uint64_t *values, unsigned n, uint64_t mask) {
        uint64_t next = 0, last;
        int r = 0;

        for (bool more = true; more && r >= 0;) {
                last = mask;
                more = false;
                for (unsigned i = 0; i < n; i++)
                        if (values[i] >= next && values[i] <= last) {
                                last = values[i];
                                more = true;
                        }
                if (!more && mask == UINT64_MAX)
                        return alternatives_add(a, SCMP_CMP64(a->arg, SCMP_CMP_GE, next, 0));
                if (more ? last > next : true)
                        r = add_range(a, next, more ? last - 1 : mask, mask);
                if (last == mask)
                        break; /* nothing comes after it */
                next = last + 1;
        }
        return r;
}

/* The ways in which an argument can match none of the conditions on it. */
static int alternatives_of(const SyscallWhen *whens, unsigned n_whens, unsigned arg, Alternatives *ret) {
        uint64_t values[SYSCALL_WHEN_MAX], bits = 0;
        SyscallTest test = TEST_IS;
        unsigned n = 0;

        *ret = (Alternatives) { .arg = arg };
        for (unsigned i = 0; i < n_whens; i++) {
                const SyscallWhen *when = whens + i;

                if (when->arg != arg)
                        continue;
                if (n > 0 && when->test != test)
                        return -EOPNOTSUPP;
                test = when->test;
                values[n++] = when->value;
                bits |= when->value;
        }

        if (n == 0)
                return 0;
        switch (test) {
        case TEST_IS:
                if (n == 1)
                        return alternatives_add(ret, SCMP_CMP64(arg, SCMP_CMP_NE, values[0], 0));
                return add_all_but(ret, values, n, UINT64_MAX);
        case TEST_IS32:
                return add_all_but(ret, values, n, UINT32_MAX);
        case TEST_HAS:
                return alternatives_add(ret, SCMP_CMP64(arg, SCMP_CMP_MASKED_EQ, bits, 0));
        case TEST_ISNT32:
                if (n > 1)
                        return -EOPNOTSUPP; /* every number is not one of two */
                return alternatives_add(ret, SCMP_CMP64(arg, SCMP_CMP_MASKED_EQ, UINT32_MAX, values[0]));
        }
        return -EOPNOTSUPP;
}

/* Lets the calls pass that match none of the conditions. */
static int allow_others(scmp_filter_ctx context, const SyscallWhen *whens, unsigned n_whens, int number) {
        Alternatives of[SYSCALL_ARGS_MAX];
        unsigned n = 0, at[SYSCALL_ARGS_MAX] = {};
        int r;

        for (unsigned arg = 0; arg < SYSCALL_ARGS_MAX; arg++) {
                r = alternatives_of(whens, n_whens, arg, of + n);
                if (r < 0)
                        return r;
                if (of[n].n > 0)
                        n++;
        }

        /* Every choice of one alternative per argument. */
        for (unsigned i = 0; i < n;) {
                struct scmp_arg_cmp cmp[SYSCALL_ARGS_MAX];

                for (unsigned j = 0; j < n; j++)
                        cmp[j] = of[j].cmp[at[j]];
                r = seccomp_rule_add_array(context, SCMP_ACT_ALLOW, number, n, cmp);
                if (r < 0 && r != -EEXIST)
                        return r;
                for (i = 0; i < n && ++at[i] == of[i].n; i++)
                        at[i] = 0;
        }
        return 0;
}

/* Numbers below zero are libseccomp's own, for calls that this architecture does not have. */
static int row_number(const SyscallRow *row) {
        return seccomp_syscall_resolve_name(row->name);
}

static int context_new(uint32_t action, uint32_t bad_arch_action, scmp_filter_ctx *ret) {
        _cleanup_(filter_releasep) scmp_filter_ctx context = seccomp_init(action);
        int r;

        if (!context)
                return -EOPNOTSUPP;

        /* A call by way of a foreign ABI reaches the sentry too: x32 counts as one. */
        r = seccomp_attr_set(context, SCMP_FLTATR_ACT_BADARCH, bad_arch_action);
        if (r < 0)
                return r;
        r = seccomp_attr_set(context, SCMP_FLTATR_CTL_NNP, 0);
        if (r < 0)
                return r;
        r = seccomp_attr_set(context, SCMP_FLTATR_CTL_OPTIMIZE, OPTIMIZE_BY_PRIORITY);
        if (r < 0)
                return r;

        *ret = TAKE_PTR(context);
        return 0;
}

/* The program of a context. libseccomp writes it to a descriptor. */
static int context_export(scmp_filter_ctx context, struct sock_filter **ret, size_t *ret_n) {
        _cleanup_close_ int fd = -EBADF;
        _cleanup_free_ char *program = NULL;
        size_t size;
        int r;

        fd = memfd_create("filter", MFD_CLOEXEC);
        if (fd < 0)
                return -errno;
        r = seccomp_export_bpf(context, fd);
        if (r < 0)
                return r;
        if (lseek(fd, 0, SEEK_SET) < 0)
                return -errno;
        r = read_full_fd(fd, BPF_MAXINSNS * sizeof(struct sock_filter), &program, &size);
        if (r < 0)
                return r;
        if (size == 0 || size % sizeof(struct sock_filter) != 0)
                return -EIO;

        *ret = (struct sock_filter *) TAKE_PTR(program); /* from malloc(): aligned for anything */
        *ret_n = size / sizeof(struct sock_filter);
        return 0;
}

static int build_deny(FilterPrograms *ret) {
        _cleanup_(filter_releasep) scmp_filter_ctx context = NULL;
        bool empty = true;
        int r;

        r = context_new(SCMP_ACT_ALLOW, SCMP_ACT_ALLOW, &context);
        if (r < 0)
                return r;

        for (SyscallId id = 0; id < _SYSCALL_ID_MAX; id++) {
                const SyscallRow *row = syscall_table + id;
                int number;

                if (row->class != SYSCALL_DENIED)
                        continue;
                number = row_number(row);
                if (number < 0)
                        continue;

                for (unsigned i = 0; i < row->n_when; i++) {
                        const SyscallWhen *when = row->when + i;
                        struct scmp_arg_cmp cmp;

                        if (when->test == TEST_IS32)
                                cmp = SCMP_CMP64(when->arg, SCMP_CMP_MASKED_EQ, UINT32_MAX, when->value);
                        else if (when->test == TEST_IS)
                                cmp = SCMP_CMP64(when->arg, SCMP_CMP_EQ, when->value, 0);
                        else
                                return -EOPNOTSUPP;

                        r = seccomp_rule_add_array(context, SCMP_ACT_ERRNO((uint32_t) row->error), number, 1, &cmp);
                        if (r < 0)
                                return r;
                        empty = false;
                }
        }

        if (empty)
                return 0;
        return context_export(context, &ret->deny, &ret->n_deny);
}

static int build_notify(uint32_t features, FilterPrograms *ret) {
        _cleanup_(filter_releasep) scmp_filter_ctx context = NULL;
        int r;

        /* What has no rule is notified: calls that are ours, those that nobody knows, foreign ABIs. */
        r = context_new(SCMP_ACT_NOTIFY, SCMP_ACT_NOTIFY, &context);
        if (r < 0)
                return r;

        for (SyscallId id = 0; id < _SYSCALL_ID_MAX; id++) {
                const SyscallRow *row = syscall_table + id;
                const SyscallWhen *whens;
                unsigned n_whens;
                bool ours = syscall_row_calls(row, features, &whens, &n_whens);
                int number;

                if (ours && n_whens == 0)
                        continue;
                number = row_number(row);
                if (number < 0)
                        continue;

                if (ours) {
                        r = seccomp_syscall_priority(context, number, PRIORITY_CONDITIONAL);
                        if (r >= 0)
                                r = allow_others(context, whens, n_whens, number);
                } else
                        r = seccomp_rule_add_array(context, SCMP_ACT_ALLOW, number, 0, NULL);
                if (r < 0 && r != -EEXIST)
                        return r;
        }

        return context_export(context, &ret->notify, &ret->n_notify);
}

int filter_build(uint32_t features, FilterPrograms *ret, LaunchFailure *failure) {
        _cleanup_(filter_programs_done) FilterPrograms programs = {};
        uint32_t action = SECCOMP_RET_USER_NOTIF;
        int r;

        if (syscall(SYS_seccomp, SECCOMP_GET_ACTION_AVAIL, 0, &action) < 0)
                return failure_set(failure, errno,
                                   errno == EPERM ? "Something around us (a container's seccomp profile?) forbids "
                                                    "seccomp(2)."
                                                  : "Linux 5.0 or later with CONFIG_SECCOMP_FILTER is needed.",
                                   "this kernel offers no seccomp user notification");

        r = build_deny(&programs);
        if (r >= 0)
                r = build_notify(features, &programs);
        if (r < 0)
                return failure_set(failure, r, "libseccomp 2.5 or later is needed.",
                                   "cannot build the seccomp filter");

        *ret = programs;
        programs = (FilterPrograms) {};
        return 0;
}

int filter_send(const FilterPrograms *programs, int fd) {
        uint32_t header[2] = { (uint32_t) programs->n_deny, (uint32_t) programs->n_notify };
        struct iovec iov[] = {
                { header, sizeof(header) },
                { programs->deny, programs->n_deny * sizeof(struct sock_filter) },
                { programs->notify, programs->n_notify * sizeof(struct sock_filter) },
        };
        struct msghdr message = { .msg_iov = iov, .msg_iovlen = ELEMENTSOF(iov) };
        size_t size = iov[0].iov_len + iov[1].iov_len + iov[2].iov_len;
        ssize_t n;

        n = sendmsg(fd, &message, MSG_NOSIGNAL);
        if (n < 0)
                return -errno;
        return (size_t) n == size ? 0 : -EIO;
}

static int read_exactly(int fd, void *buffer, size_t size) {
        for (char *p = buffer; size > 0;) {
                ssize_t n = read(fd, p, size);

                if (n < 0 && errno == EINTR)
                        continue;
                if (n < 0)
                        return -errno;
                if (n == 0)
                        return -ENODATA;
                p += n;
                size -= (size_t) n;
        }
        return 0;
}

int filter_receive(int fd, FilterPrograms *ret) {
        _cleanup_(filter_programs_done) FilterPrograms programs = {};
        uint32_t header[2];
        int r;

        r = read_exactly(fd, header, sizeof(header));
        if (r < 0)
                return r;
        if (header[0] > BPF_MAXINSNS || header[1] > BPF_MAXINSNS)
                return -EIO;

        programs.deny = calloc(header[0] + 1, sizeof(struct sock_filter));
        programs.notify = calloc(header[1] + 1, sizeof(struct sock_filter));
        if (!programs.deny || !programs.notify)
                return -ENOMEM;
        programs.n_deny = header[0];
        programs.n_notify = header[1];

        r = read_exactly(fd, programs.deny, programs.n_deny * sizeof(struct sock_filter));
        if (r < 0)
                return r;
        r = read_exactly(fd, programs.notify, programs.n_notify * sizeof(struct sock_filter));
        if (r < 0)
                return r;

        *ret = programs;
        programs = (FilterPrograms) {};
        return 0;
}

static int install_one(struct sock_filter *program, size_t n, unsigned long flags) {
        struct sock_fprog fprog = { .len = (unsigned short) n, .filter = program };

        return (int) syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, flags, &fprog);
}

int filter_install(const FilterPrograms *programs, int *ret_listener, bool *ret_killable, LaunchFailure *failure) {
        int listener;

        /* First this one: once the notifying filter is there, seccomp(2) itself is filtered. */
        if (programs->n_deny > 0 && install_one(programs->deny, programs->n_deny, 0) < 0)
                return failure_set(failure, errno, NULL, "cannot install the seccomp filter");

        listener = install_one(programs->notify, programs->n_notify,
                               SECCOMP_FILTER_FLAG_NEW_LISTENER | SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV);
        *ret_killable = listener >= 0;
        if (listener < 0 && errno == EINVAL) /* before Linux 5.19 */
                listener = install_one(programs->notify, programs->n_notify, SECCOMP_FILTER_FLAG_NEW_LISTENER);
        if (listener < 0)
                return failure_set(failure, errno,
                                   errno == EBUSY ? "A process has one seccomp listener, and something around us "
                                                    "(another sandbox?) has taken it: sandboxes of this kind do not "
                                                    "nest."
                                                  : NULL,
                                   "cannot install the notifying seccomp filter");

        *ret_listener = listener;
        return 0;
}
