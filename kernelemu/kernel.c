/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "kernel.h"
#include "ns/uts.h"
#include "util/macros.h"

/* Cuts what is too long: the host's own strings never are, a profile's are checked. */
static void set_name(char name[static ABI_UTS_LENGTH], const char *value) {
        uts_name_set(name, value, MIN2(strlen(value), (size_t) ABI_UTS_LENGTH - 1));
}

int kernel_new(const KernelConfig *config, Host *host, Kernel **ret) {
        Namespace *uts;
        Kernel *kernel;
        int r;

        if (cpuset_is_empty(&config->cpus) || config->cpu_mask_size == 0 || config->cpu_mask_size > CPUSET_BYTES ||
            config->cpu_mask_size % sizeof(uint64_t) != 0 || config->cpu_ids > CPUSET_MAX)
                return -EINVAL;

        kernel = calloc(1, sizeof(Kernel));
        if (!kernel)
                return -ENOMEM;

        kernel->statistics = config->statistics;
        if (!kernel->statistics) {
                kernel->own_statistics = calloc(KERNEL_STATISTICS, sizeof(SyscallStatistics));
                if (!kernel->own_statistics) {
                        free(kernel);
                        return -ENOMEM;
                }
                kernel->statistics = kernel->own_statistics;
        }
        kernel->host = host;
        kernel->boot_ns = host->ops->now(host);
        strncpy(kernel->name, config->name, sizeof(kernel->name) - 1);
        set_name(kernel->sysname, config->sysname);
        set_name(kernel->release, config->release);
        set_name(kernel->version, config->version);
        set_name(kernel->machine, config->machine);
        kernel->emulated_capabilities = config->emulated_capabilities;
        kernel->features = config->features;
        kernel->mount_rules = config->mount_rules;
        ptrace_rules_init(&kernel->ptrace, config->ptrace_scope);
        kernel->cpus = config->cpus;
        kernel->cpu_mask_size = config->cpu_mask_size;
        kernel->cpu_ids = config->cpu_ids;
        TAILQ_INIT(&kernel->parked);
        LIST_INIT(&kernel->sockets.works);
        timekeeper_init(&kernel->timekeeper, kernel);
        event_source_init(&kernel->events, kernel->boot_ns);

        kernel_log_init(&kernel->log, config->log_size);
        kernel_log_printf(&kernel->log, 0, LOG_LEVEL_NOTICE, "%s version %s (sentryd %s) %s", kernel->sysname,
                          kernel->release, config->version_string, kernel->version);

        /* The host's inode is not known before the first process is there. */
        r = namespace_table_init(&kernel->namespaces);
        if (r >= 0)
                r = task_table_init(&kernel->tasks, kernel);
        if (r >= 0)
                r = sockets_init(&kernel->sockets, config->addresses, config->own_network);
        kernel->sockets.binds_ports = config->binds_ports;
        if (r >= 0)
                r = uts_namespace_add(&kernel->namespaces, 0, NULL, &uts);
        if (r < 0) {
                kernel_free(kernel);
                return r;
        }
        set_name(uts->nodename, config->hostname);
        set_name(uts->domainname, config->domainname);
        uts->n_refs = 1;
        kernel->first_uts = uts;

        *ret = kernel;
        return 0;
}

Kernel *kernel_free(Kernel *kernel) {
        ParkedCall *parked;

        if (!kernel)
                return NULL;

        kernel->changes = NULL; /* nobody is to hear of what ends here */
        while ((parked = TAILQ_FIRST(&kernel->parked))) {
                TAILQ_REMOVE(&kernel->parked, parked, link);
                free(parked);
        }
        sockets_done(kernel);
        timekeeper_done(&kernel->timekeeper);
        task_table_done(&kernel->tasks);
        namespace_table_done(&kernel->namespaces);
        ptrace_rules_done(&kernel->ptrace);
        kernel_log_done(&kernel->log);
        free(kernel->own_statistics);
        free(kernel->scratch);
        free(kernel);
        return NULL;
}

void kernel_boot(Kernel *kernel, uint64_t uts_inode) {
        char cpus[CPUSET_LIST_MAX];
        HostSystemInfo info;
        unsigned ours = 0;

        kernel->first_uts->inode = uts_inode;

        for (SyscallId id = 0; id < _SYSCALL_ID_MAX; id++)
                if (syscall_row_is_ours(&syscall_table[id], kernel->features))
                        ours++;

        cpuset_format(&kernel->cpus, cpus, sizeof(cpus));
        kernel_log_printf(&kernel->log, kernel_uptime_usec(kernel), LOG_LEVEL_INFO,
                          "Sandbox %s, host name %s", kernel->name, kernel->first_uts->nodename);
        kernel_log_printf(&kernel->log, kernel_uptime_usec(kernel), LOG_LEVEL_INFO, "smp: %u CPUs (%s)",
                          cpuset_count(&kernel->cpus), cpus);
        if (kernel->host->ops->system_info(kernel->host, &info) >= 0)
                kernel_log_printf(&kernel->log, kernel_uptime_usec(kernel), LOG_LEVEL_INFO,
                                  "Memory: %" PRIu64 "K/%" PRIu64 "K available", info.free_ram / 1024,
                                  info.total_ram / 1024);
        kernel_log_printf(&kernel->log, kernel_uptime_usec(kernel), LOG_LEVEL_INFO,
                          "seccomp: %u of %u system calls answered here, the others by the host", ours,
                          (unsigned) _SYSCALL_ID_MAX);
        kernel_log_printf(&kernel->log, kernel_uptime_usec(kernel), LOG_LEVEL_INFO, "Run init");
        change_all(kernel);
        kernel_log_changed(kernel);
}

void kernel_make_unix_sockets(Kernel *kernel, uint64_t network) {
        kernel->features |= 1U << SYSCALL_FEATURE_UNIX;
        kernel->sockets.shared_network = network;
}

void kernel_go_on(Kernel *kernel, uint64_t uts_inode) {
        kernel->first_uts->inode = uts_inode;
        kernel->host->ops->names_changed(kernel->host, kernel->first_uts->nodename, kernel->first_uts->domainname);
        kernel_log_printf(&kernel->log, kernel_uptime_usec(kernel), LOG_LEVEL_INFO, "Sandbox %s, restored", kernel->name);
        kernel_log_changed(kernel);
}

uint64_t kernel_now(Kernel *kernel) {
        return kernel->host->ops->now(kernel->host);
}

uint64_t kernel_uptime_usec(Kernel *kernel) {
        return (kernel_now(kernel) - kernel->boot_ns) / NSEC_PER_USEC;
}

bool kernel_capable(const Kernel *kernel, const Call *call, int capability) {
        (void) call; /* all tasks of a sandbox are alike so far */
        return kernel->emulated_capabilities & (UINT64_C(1) << capability);
}

int kernel_uts_of(Kernel *kernel, const Call *call, Namespace **ret) {
        Namespace *ns;
        uint64_t inode;
        int r;

        r = kernel->host->ops->task_namespace(kernel->host, call->tid, NAMESPACE_UTS, &inode);
        if (r < 0)
                return r;

        ns = namespace_find(&kernel->namespaces, NAMESPACE_UTS, inode);
        if (!ns) {
                const Namespace *parent = uts_namespace_parent(kernel, call->tid);

                r = uts_namespace_add(&kernel->namespaces, inode, parent, &ns);
                if (r >= 0)
                        change_uts(kernel, ns);
                if (r == -ENOSPC) {
                        /* Some may be gone. */
                        (void) task_table_sync(&kernel->tasks);
                        namespaces_sync(kernel);
                        ns = namespace_find(&kernel->namespaces, NAMESPACE_UTS, inode);
                        r = ns ? 0 : uts_namespace_add(&kernel->namespaces, inode, kernel->first_uts, &ns);
                }
                if (r < 0)
                        return r;
        }

        *ret = ns;
        return 0;
}

void kernel_log_changed(Kernel *kernel) {
        kernel_wake(kernel, &kernel->log_readers);
}

#define SCRATCH_KEPT (64U * 1024)

void *kernel_scratch(Kernel *kernel, size_t size) {
        /* What was large is not kept. */
        if (size > kernel->scratch_size || kernel->scratch_size > MAX2(size, (size_t) SCRATCH_KEPT)) {
                free(kernel->scratch);
                kernel->scratch = malloc(size);
                kernel->scratch_size = kernel->scratch ? size : 0;
        }
        return kernel->scratch;
}

Verdict kernel_park(Kernel *kernel, const Call *call, WaitQueue *queue) {
        ParkedCall *parked;

        TAILQ_FOREACH(parked, &kernel->parked, link)
                if (parked->call.cookie == call->cookie)
                        return verdict_parked(); /* woken for nothing */

        if (kernel->n_parked >= PARKED_CALLS_MAX)
                return verdict_error(ENOMEM);
        parked = calloc(1, sizeof(ParkedCall));
        if (!parked)
                return verdict_error(ENOMEM);

        parked->call = *call;
        parked->queue = queue;
        TAILQ_INSERT_TAIL(&kernel->parked, parked, link);
        kernel->n_parked++;
        queue->n_waiting++;
        return verdict_parked();
}

static void parked_remove(Kernel *kernel, ParkedCall *parked) {
        TAILQ_REMOVE(&kernel->parked, parked, link);
        kernel->n_parked--;
        parked->queue->n_waiting--;
        free(parked);
}

static void run_again(Kernel *kernel, ParkedCall *parked) {
        Call call = parked->call;
        Verdict verdict = syscall_table[call.id].handler(kernel, &call);

        if (verdict.kind == VERDICT_PARKED)
                return;
        parked_remove(kernel, parked);
        kernel->host->ops->answer(kernel->host, &call, verdict);
}

void kernel_wake(Kernel *kernel, WaitQueue *queue) {
        ParkedCall *parked, *next;

        if (queue->n_waiting == 0)
                return;

        for (parked = TAILQ_FIRST(&kernel->parked); parked; parked = next) {
                next = TAILQ_NEXT(parked, link);
                if (parked->queue == queue)
                        run_again(kernel, parked);
        }
}

static ParkedCall *parked_find(Kernel *kernel, uint64_t cookie) {
        ParkedCall *parked;

        TAILQ_FOREACH(parked, &kernel->parked, link)
                if (parked->call.cookie == cookie)
                        return parked;
        return NULL;
}

void kernel_wake_call(Kernel *kernel, uint64_t cookie) {
        ParkedCall *parked = parked_find(kernel, cookie);

        if (parked)
                run_again(kernel, parked);
}

bool kernel_interrupt(Kernel *kernel, uint64_t cookie, Verdict *ret) {
        ParkedCall *parked = parked_find(kernel, cookie);
        Call call;

        if (!parked || !sockets_interrupt(kernel, cookie)) {
                (void) kernel_unpark(kernel, cookie);
                return false;
        }
        call = parked->call;
        *ret = syscall_table[call.id].handler(kernel, &call);
        parked_remove(kernel, parked);
        return !(ret->kind == VERDICT_ERROR && ret->value == SOCKET_ERESTARTSYS);
}

bool kernel_unpark(Kernel *kernel, uint64_t cookie) {
        ParkedCall *parked = parked_find(kernel, cookie);

        sockets_forget(kernel, cookie);
        if (!parked)
                return false;
        parked_remove(kernel, parked);
        return true;
}

void kernel_end(Kernel *kernel, int status) {
        if (kernel->ended)
                return;

        kernel->ended = true;
        kernel->host->ops->end(kernel->host, status & 0xff);
}

static int namespaces_record(Kernel *kernel, Record *record, uint64_t n_namespaces, uint64_t first_inode) {
        Namespace *ns, copy = {};
        int r;

        if (record->mode == RECORD_WRITE) {
                LIST_FOREACH(ns, &kernel->namespaces.namespaces[NAMESPACE_UTS], link) {
                        r = uts_namespace_record(ns, record);
                        if (r < 0)
                                return r;
                }
                return 0;
        }

        while ((ns = LIST_FIRST(&kernel->namespaces.namespaces[NAMESPACE_UTS])))
                namespace_remove(&kernel->namespaces, ns);
        kernel->first_uts = NULL;
        for (uint64_t i = 0; i < n_namespaces; i++) {
                r = uts_namespace_record(&copy, record);
                if (r < 0)
                        return r;
                r = uts_namespace_add(&kernel->namespaces, copy.inode, &copy, &ns);
                if (r < 0)
                        return r == -ENOMEM ? r : -EBADMSG;
                if (copy.inode == first_inode) {
                        kernel->first_uts = ns;
                        ns->n_refs = 1;
                }
        }
        return kernel->first_uts ? 0 : -EBADMSG;
}

int kernel_record(Kernel *kernel, Record *record) {
        uint64_t n_namespaces = kernel->namespaces.n[NAMESPACE_UTS], first_inode = 0;
        int r;

        if (record->mode == RECORD_WRITE)
                first_inode = kernel->first_uts->inode;

        record_begin(record, "kernel", 1);
        record_string(record, "sysname", kernel->sysname, sizeof(kernel->sysname));
        record_string(record, "release", kernel->release, sizeof(kernel->release));
        record_string(record, "version", kernel->version, sizeof(kernel->version));
        record_string(record, "machine", kernel->machine, sizeof(kernel->machine));
        record_u64(record, "emulated-capabilities", &kernel->emulated_capabilities);
        record_bytes(record, "cpus", kernel->cpus.words, sizeof(kernel->cpus.words));
        record_u64(record, "uts-namespaces", &n_namespaces);
        record_u64(record, "first-uts", &first_inode);
        r = record_end(record);
        if (r < 0)
                return r;
        if (cpuset_is_empty(&kernel->cpus))
                return -EBADMSG;

        r = namespaces_record(kernel, record, n_namespaces, first_inode);
        if (r < 0)
                return r;
        r = task_table_record(&kernel->tasks, record);
        if (r < 0)
                return r;
        r = timekeeper_record(&kernel->timekeeper, record);
        if (r < 0)
                return r;
        return kernel_log_record(&kernel->log, record);
}

int kernel_image(Kernel *kernel, Record *record) {
        char type[RECORD_NAME_MAX + 1];
        int r;

        r = kernel_record(kernel, record);
        if (r < 0 || (record->mode == RECORD_READ && !record_peek(record, type)))
                return r < 0 ? r : record->error;
        record_begin(record, "kernel-in-image", 1);
        record_bool(record, "personalities", &kernel->personalities);
        r = record_end(record);
        return r < 0 ? r : ptrace_rules_image(kernel, record);
}

int kernel_snapshot(Kernel *kernel, Record *record) {
        int r;

        r = kernel_record(kernel, record);
        if (r < 0)
                return r;
        record_begin(record, "kernel-on-host", 1);
        record_u64(record, "boot-ns", &kernel->boot_ns);
        record_bool(record, "personalities", &kernel->personalities);
        r = record_end(record);
        if (r < 0 || record->mode == RECORD_READ)
                return r;
        return ptrace_rules_record(&kernel->ptrace, record);
}
