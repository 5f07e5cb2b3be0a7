/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* What the object of a sentry-kernel does, and what it says by itself. */

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/resource.h>
#include <sys/syscall.h>

#include "bus-util.h"
#include "kernel-methods.h"
#include "launch-protocol.h"
#include "log.h"
#include "sentry.h"
#include "tasks.h"
#include "util.h"
#include "util/macros.h"
#include "watchdog.h"

#define NAMES_INTERVAL_USEC 100000U

static int not_running(Sentry *sentry, sd_bus_error *error) {
        return sd_bus_error_setf(error, BUS_ERROR_NOT_RUNNING,
                                 "Sandbox \"%s\" is %s, this needs one that is running or paused.", sentry->name,
                                 sentry_state_to_string(sentry->state));
}

static int do_kill(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        Sentry *sentry = userdata;
        int32_t status;
        int r;

        r = sd_bus_message_read(m, "i", &status);
        if (r < 0)
                return r;
        if (status < 0 || status > 255)
                return sd_bus_error_setf(error, SD_BUS_ERROR_INVALID_ARGS,
                                         "Exit status %d is not possible, allowed are 0 to 255.", status);
        r = sentry_kill(sentry, status);
        if (r == -ESRCH)
                return not_running(sentry, error);
        if (r < 0)
                return r;
        return 0;
}

int kernel_method_kill(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        return kernel_once(do_kill, m, userdata, error);
}

static int do_pause(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        _cleanup_free_ char *message = NULL;
        Sentry *sentry = userdata;
        int r;

        (void) m;
        r = sentry_pause(sentry, &message);
        if (r == -ESRCH)
                return not_running(sentry, error);
        if (r < 0 && message)
                return sd_bus_error_setf(error, r == -ETIMEDOUT ? BUS_ERROR_TIMEOUT : BUS_ERROR_KERNEL_FAILED,
                                         "Sandbox \"%s\" could not be paused and runs on: %s.", sentry->name,
                                         message);
        if (r < 0)
                return r;
        return 0;
}

int kernel_method_pause(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        return kernel_once(do_pause, m, userdata, error);
}

static int do_resume(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        Sentry *sentry = userdata;
        int r;

        (void) m;
        r = sentry_resume(sentry);
        if (r == -ESRCH)
                return not_running(sentry, error);
        if (r == -EALREADY)
                return sd_bus_error_setf(error, BUS_ERROR_NOT_PAUSED,
                                         "Sandbox \"%s\" is not paused: each Resume undoes one Pause.",
                                         sentry->name);
        if (r < 0)
                return r;
        return 0;
}

int kernel_method_resume(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        return kernel_once(do_resume, m, userdata, error);
}

int kernel_reply_array(sd_bus_message *m, const char *contents, int (*fill)(sd_bus_message *reply, void *userdata),
                       void *userdata) {
        _cleanup_bus_message_ sd_bus_message *reply = NULL;
        int r;

        r = sd_bus_message_new_method_return(m, &reply);
        if (r >= 0)
                r = sd_bus_message_open_container(reply, SD_BUS_TYPE_ARRAY, contents);
        if (r >= 0)
                r = fill(reply, userdata);
        if (r >= 0)
                r = sd_bus_message_close_container(reply);
        return r < 0 ? r : sd_bus_send(NULL, reply, NULL);
}

static int fill_log(sd_bus_message *reply, void *userdata) {
        const Sentry *sentry = userdata;
        const LogEntry *entry;
        int r = 0;

        TAILQ_FOREACH(entry, &sentry->kernel->log.entries, link) {
                r = sd_bus_message_append(reply, "(ttus)", entry->sequence, entry->usec, entry->level,
                                          entry->text);
                if (r < 0)
                        break;
        }
        return r;
}

int kernel_method_get_log(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        return kernel_reply_array(m, "(ttus)", fill_log, userdata);
}

static int fill_syscalls(sd_bus_message *reply, void *userdata) {
        const Sentry *sentry = userdata;
        int r = 0;

        for (int id = 0; r >= 0 && id < _SYSCALL_ID_MAX; id++) {
                const SyscallStatistics *s = &sentry->kernel->statistics[id];

                if (s->n_calls > 0)
                        r = sd_bus_message_append(reply, "(stt)", syscall_table[id].name, s->n_calls, s->total_ns);
        }
        return r;
}

int kernel_method_get_syscalls(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        return kernel_reply_array(m, "(stt)", fill_syscalls, userdata);
}

static int append_statistics(sd_bus_message *reply, const char *name, const SyscallStatistics *s) {
        int r;

        r = sd_bus_message_open_container(reply, SD_BUS_TYPE_STRUCT, "stttat");
        if (r < 0)
                return r;
        r = sd_bus_message_append(reply, "sttt", name, s->n_calls, s->total_ns, s->max_ns);
        if (r < 0)
                return r;
        r = sd_bus_message_append_array(reply, SD_BUS_TYPE_UINT64, s->histogram,
                                        statistics_used_buckets(s) * sizeof(uint64_t));
        if (r < 0)
                return r;
        return sd_bus_message_close_container(reply);
}

static int fill_statistics(sd_bus_message *reply, void *userdata) {
        const Sentry *sentry = userdata;
        int r = 0;

        for (int id = 0; r >= 0 && id < _SYSCALL_ID_MAX; id++)
                if (sentry->kernel->statistics[id].n_calls > 0)
                        r = append_statistics(reply, syscall_table[id].name, &sentry->kernel->statistics[id]);
        return r;
}

int kernel_method_get_syscall_statistics(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        return kernel_reply_array(m, "(stttat)", fill_statistics, userdata);
}

/* Resident memory of this process in bytes; 0 when it cannot be told. */
static uint64_t memory_rss(void) {
        _cleanup_free_ char *text = NULL;
        unsigned long long pages;

        if (read_full_file("/proc/self/statm", 4096, &text, NULL) < 0 || sscanf(text, "%*u %llu", &pages) != 1)
                return 0;
        return pages * (uint64_t) sysconf(_SC_PAGESIZE);
}

int kernel_method_get_statistics(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        Sentry *sentry = userdata;
        Kernel *kernel = sentry->kernel;
        uint64_t n_calls = kernel->statistics[_SYSCALL_ID_MAX].n_calls, cpu_usec;
        const ThreadGroup *process;
        struct rusage usage = {};
        uint32_t n_threads = 0;

        for (int id = 0; id < _SYSCALL_ID_MAX; id++)
                n_calls += kernel->statistics[id].n_calls;
        cpu_usec = task_table_cpu_usec(&kernel->tasks);
        TAILQ_FOREACH(process, &kernel->tasks.processes, link)
                n_threads += process->n_threads;
        (void) getrusage(RUSAGE_SELF, &usage);

        return sd_bus_reply_method_return(
                        m, "a{sv}", 14,
                        "Freezer", "s", freezer_method(&sentry->freezer)->name,
                        "Calls", "t", n_calls,
                        "CallsUnimplemented", "t", kernel->statistics[_SYSCALL_ID_MAX].n_calls,
                        "CallsParked", "u", kernel->n_parked,
                        "EventsDropped", "t", event_dropped(kernel),
                        "CallsStuck", "t", watchdog.n_stuck,
                        "TraceReaders", "u", (uint32_t) sentry->tracer.n_readers,
                        "TraceDropped", "t", sentry->tracer.n_dropped,
                        "UptimeUSec", "t", kernel_uptime_usec(kernel),
                        "Tasks", "u", (uint32_t) kernel->tasks.n_processes,
                        "Threads", "u", n_threads,
                        "MemoryRSS", "t", memory_rss(),
                        "SandboxCPUTimeUSec", "t", cpu_usec,
                        "CPUTimeUSec", "t", (uint64_t) (usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) * 1000000U +
                                            (uint64_t) (usage.ru_utime.tv_usec + usage.ru_stime.tv_usec));
}

int kernel_property_state(sd_bus *bus, const char *path, const char *interface, const char *property, sd_bus_message *reply,
                          void *userdata, sd_bus_error *error) {
        const Sentry *sentry = userdata;

        return sd_bus_message_append(reply, "s", sentry_state_to_string(sentry->state));
}

int kernel_property_number(sd_bus *bus, const char *path, const char *interface, const char *property, sd_bus_message *reply,
                           void *userdata, sd_bus_error *error) {
        const Sentry *sentry = userdata;

        if (streq(property, "InitPID"))
                return sd_bus_message_append(reply, "u", (uint32_t) sentry->init_pid);
        if (streq(property, "PauseDepth"))
                return sd_bus_message_append(reply, "u", (uint32_t) sentry->pause_depth);
        return sd_bus_message_append(reply, "t", sentry->started_usec);
}

/* A name that the guest chose, fit for D-Bus: what is no UTF-8 becomes '?'. */
int kernel_property_name(sd_bus *bus, const char *path, const char *interface, const char *property, sd_bus_message *reply,
                         void *userdata, sd_bus_error *error) {
        const Sentry *sentry = userdata;
        const Namespace *uts = sentry->kernel->first_uts;
        char name[ABI_UTS_LENGTH];
        size_t n, ok;

        memcpy(name, streq(property, "Hostname") ? uts->nodename : uts->domainname, sizeof(name));
        n = strnlen(name, sizeof(name) - 1);
        name[n] = '\0';
        while ((ok = utf8_valid_length(name, n)) < n)
                name[ok] = '?';
        return sd_bus_message_append(reply, "s", name);
}

int kernel_property_cpus(sd_bus *bus, const char *path, const char *interface, const char *property, sd_bus_message *reply,
                         void *userdata, sd_bus_error *error) {
        const Sentry *sentry = userdata;
        char text[CPUSET_LIST_MAX];

        cpuset_format(&sentry->kernel->cpus, text, sizeof(text));
        return sd_bus_message_append(reply, "s", text);
}

/* Words with a space between them. */
int kernel_property_walls(sd_bus *bus, const char *path, const char *interface, const char *property, sd_bus_message *reply,
                          void *userdata, sd_bus_error *error) {
        const Sentry *sentry = userdata;
        _cleanup_free_ char *text = strdup("");

        for (LaunchWall wall = 0; text && wall < _LAUNCH_WALL_MAX; wall++)
                if ((sentry->walls & (1U << wall)) &&
                    string_appendf(&text, "%s%s", *text ? " " : "", launch_wall_to_string(wall)) < 0)
                        return -ENOMEM;
        return text ? sd_bus_message_append(reply, "s", text) : -ENOMEM;
}

void kernel_dbus_changed(Sentry *sentry, ...) {
        char *names[16] = {};
        va_list ap;
        size_t n = 0;

        va_start(ap, sentry);
        while (n < ELEMENTSOF(names) - 1 && (names[n] = va_arg(ap, char *)))
                n++;
        va_end(ap);

        if (!sentry->bus)
                return;
        sentry->notifier.rearm = true;
        (void) sd_bus_emit_properties_changed_strv(sentry->bus, BUS_KERNEL_PATH, BUS_SANDBOX_INTERFACE, names);
}

static int on_names_due(sd_event_source *source, uint64_t usec, void *userdata) {
        Sentry *sentry = userdata;

        (void) source, (void) usec;
        sentry->names_told_ns = kernel_now(sentry->kernel);
        kernel_dbus_changed(sentry, "Hostname", "DomainName", NULL);
        return 0;
}

/* A program may set its names as often as it likes, but what that makes others do on the bus, it may not: at most ten
 * times a second the last ones are told. */
static void names_changed(Sentry *sentry) {
        uint64_t next = sentry->names_told_ns + NAMES_INTERVAL_USEC * NSEC_PER_USEC, now = kernel_now(sentry->kernel);
        int enabled = SD_EVENT_OFF, r;

        if (sentry->names_source && sd_event_source_get_enabled(sentry->names_source, &enabled) >= 0 &&
            enabled != SD_EVENT_OFF)
                return; /* due already */
        if (now >= next) {
                (void) on_names_due(NULL, 0, sentry);
                return;
        }
        sentry->names_source = sd_event_source_disable_unref(sentry->names_source);
        sentry->notifier.rearm = true;
        r = sd_event_add_time_relative(sentry->event, &sentry->names_source, CLOCK_MONOTONIC,
                                       (next - now) / NSEC_PER_USEC, 0, on_names_due, sentry);
        if (r < 0)
                (void) on_names_due(NULL, 0, sentry);
}

void kernel_dbus_stuck(Sentry *sentry, const Call *call, uint64_t usec) {
        char name[64], comm[65];

        if (!sentry->bus)
                return;
        sentry->notifier.rearm = true;
        notifier_call_name(call, name, sizeof(name));
        task_comm(call->tid, comm);
        (void) sd_bus_emit_signal(sentry->bus, BUS_KERNEL_PATH, BUS_SANDBOX_INTERFACE, "Stuck", "sust", name,
                                  (uint32_t) call->tid, comm, usec);
}

void kernel_dbus_exited(Sentry *sentry, int status) {
        (void) sd_bus_emit_signal(sentry->bus, BUS_KERNEL_PATH, BUS_SANDBOX_INTERFACE, "Exited", "i",
                                  (int32_t) status);
}

void kernel_dbus_event(Sentry *sentry, const KernelEvent *event) {
        char name[64], comm[65];

        sentry->notifier.rearm = true;
        switch (event->kind) {
        case KERNEL_EVENT_TASK_NEW:
        case KERNEL_EVENT_TASK_EXEC:
        case KERNEL_EVENT_TASK_EXIT:
                kernel_dbus_task_event(sentry, event);
                return;

        case _KERNEL_EVENT_KIND_MAX:
                return;

        case KERNEL_EVENT_UTS_CHANGED:
                names_changed(sentry);
                return;

        case KERNEL_EVENT_DROPPED:
                log_warning("%s: %llu events dropped so far", sentry->name, (unsigned long long) event->count);
                (void) sd_bus_emit_signal(sentry->bus, BUS_KERNEL_PATH, BUS_SANDBOX_INTERFACE, "EventsDropped",
                                          "t", event->count);
                return;

        case KERNEL_EVENT_UNIMPLEMENTED:
                notifier_call_name(event->call, name, sizeof(name));
                task_comm(event->call->tid, comm);
                if (event->first)
                        log_info("%s: %s (%s) is not implemented; %s (pid %d) got ENOSYS", sentry->name, name,
                                 notifier_arch_name(event->call), comm, event->call->tid);
                (void) sd_bus_emit_signal(sentry->bus, BUS_KERNEL_PATH, BUS_SANDBOX_INTERFACE,
                                          "UnimplementedSyscall", "sisus", name, event->call->number,
                                          notifier_arch_name(event->call),
                                          (uint32_t) event->call->tid, comm);
                return;

        case KERNEL_EVENT_REFUSED:
                notifier_call_name(event->call, name, sizeof(name));
                task_comm(event->call->tid, comm);
                if (event->first)
                        log_info("%s: %s refused with %s to %s (pid %d)", sentry->name, name,
                                 strerrorname_np(event->error), comm, event->call->tid);
                (void) sd_bus_emit_signal(sentry->bus, BUS_KERNEL_PATH, BUS_SANDBOX_INTERFACE, "Refused", "ssus",
                                          name, strerrorname_np(event->error), (uint32_t) event->call->tid, comm);
                return;
        }
}
