/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* syslog(2), on the sandbox's own kernel log. */

#include <errno.h>
#include <linux/capability.h>

#include "kernel.h"
#include "util/macros.h"

/* <linux/syslog.h> is not among the kernel's public headers. */
enum {
        SYSLOG_ACTION_CLOSE = 0,
        SYSLOG_ACTION_OPEN,
        SYSLOG_ACTION_READ,
        SYSLOG_ACTION_READ_ALL,
        SYSLOG_ACTION_READ_CLEAR,
        SYSLOG_ACTION_CLEAR,
        SYSLOG_ACTION_CONSOLE_OFF,
        SYSLOG_ACTION_CONSOLE_ON,
        SYSLOG_ACTION_CONSOLE_LEVEL,
        SYSLOG_ACTION_SIZE_UNREAD,
        SYSLOG_ACTION_SIZE_BUFFER,
};

#define CONSOLE_LEVEL_MIN 1
#define CONSOLE_LEVEL_MAX 8

/* Room for up to `length` bytes of the log; never larger than the log can fill. */
static char *log_buffer(Kernel *kernel, int32_t length, size_t *ret_size) {
        *ret_size = MIN2((size_t) length, (size_t) kernel->log.size_max + KERNEL_LOG_LINE_MAX);
        return kernel_scratch(kernel, *ret_size);
}

static Verdict log_read(Kernel *kernel, const Call *call, GuestAddr address, int32_t length) {
        KernelLog *log = &kernel->log;
        uint64_t sequence = log->read_sequence, next_sequence;
        uint32_t offset = log->read_offset, next_offset;
        size_t size, n;
        char *buffer;
        int r;

        if (kernel_log_unread(log) == 0)
                return kernel_park(kernel, call, &kernel->log_readers);

        buffer = log_buffer(kernel, length, &size);
        if (!buffer)
                return verdict_error(ENOMEM);
        n = kernel_log_read(log, buffer, size);
        next_sequence = log->read_sequence;
        next_offset = log->read_offset;
        /* What the reader does not get stays unread. */
        log->read_sequence = sequence;
        log->read_offset = offset;
        r = kernel->host->ops->memory_write(kernel->host, call, address, buffer, n);
        if (r < 0)
                return verdict_error(r);
        log->read_sequence = next_sequence;
        log->read_offset = next_offset;
        return verdict_value((int64_t) n);
}

static Verdict log_read_all(Kernel *kernel, const Call *call, GuestAddr address, int32_t length, bool clear) {
        size_t size, n;
        char *buffer;
        int r;

        buffer = log_buffer(kernel, length, &size);
        if (!buffer)
                return verdict_error(ENOMEM);
        n = kernel_log_read_all(&kernel->log, buffer, size);
        r = kernel->host->ops->memory_write(kernel->host, call, address, buffer, n);
        if (r < 0)
                return verdict_error(r);
        if (clear)
                kernel_log_clear(&kernel->log);
        return verdict_value((int64_t) n);
}

SYSCALL_DEFINE3(syslog, int32_t, type, GuestAddr, address, int32_t, length) {
        KernelLog *log = &kernel->log;

        /* As with kernel.dmesg_restrict=0: everyone may read all and ask for the size. */
        if (type != SYSLOG_ACTION_READ_ALL && type != SYSLOG_ACTION_SIZE_BUFFER &&
            !kernel_capable(kernel, call, CAP_SYSLOG))
                return verdict_error(EPERM);

        switch (type) {
        case SYSLOG_ACTION_CLOSE:
        case SYSLOG_ACTION_OPEN:
                return verdict_value(0);

        case SYSLOG_ACTION_READ:
        case SYSLOG_ACTION_READ_ALL:
        case SYSLOG_ACTION_READ_CLEAR:
                if (address == 0 || length < 0)
                        return verdict_error(EINVAL);
                if (length == 0)
                        return verdict_value(0);
                if (type == SYSLOG_ACTION_READ)
                        return log_read(kernel, call, address, length);
                return log_read_all(kernel, call, address, length, type == SYSLOG_ACTION_READ_CLEAR);

        case SYSLOG_ACTION_CLEAR:
                kernel_log_clear(log);
                return verdict_value(0);

        case SYSLOG_ACTION_CONSOLE_OFF:
                if (log->saved_console_level < 0)
                        log->saved_console_level = log->console_level;
                log->console_level = CONSOLE_LEVEL_MIN;
                log->changed = true;
                return verdict_value(0);

        case SYSLOG_ACTION_CONSOLE_ON:
                if (log->saved_console_level >= 0) {
                        log->console_level = (uint32_t) log->saved_console_level;
                        log->saved_console_level = -1;
                        log->changed = true;
                }
                return verdict_value(0);

        case SYSLOG_ACTION_CONSOLE_LEVEL:
                if (length < CONSOLE_LEVEL_MIN || length > CONSOLE_LEVEL_MAX)
                        return verdict_error(EINVAL);
                log->console_level = (uint32_t) length;
                log->saved_console_level = -1;
                log->changed = true;
                return verdict_value(0);

        case SYSLOG_ACTION_SIZE_UNREAD:
                return verdict_value((int64_t) kernel_log_unread(log));

        case SYSLOG_ACTION_SIZE_BUFFER:
                return verdict_value(log->size_max);

        default:
                return verdict_error(EINVAL);
        }
}
