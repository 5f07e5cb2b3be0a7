/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Log lines on stderr. */

#include <errno.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "log.h"
#include "util.h"

/* How stderr wants its lines. */
typedef enum LogTarget {
        LOG_TARGET_PLAIN,   /* a terminal or a pipe: "name: text" */
        LOG_TARGET_JOURNAL, /* "<n>text": the journal knows time and name */
        LOG_TARGET_FILE,    /* "time name[pid]: text" */
        LOG_TARGET_NULL,    /* nothing */
} LogTarget;

/* One per process, set by log_open(); the process is single-threaded. */
static struct {
        bool open;
        int max_level;
        LogTarget target;
        const char *name; /* not owned */
} logger = { .max_level = LOG_INFO };

int log_level_from_string(const char *text) {
        static const struct {
                const char *name;
                int level;
        } names[] = {
                { "emerg", LOG_EMERG },     { "alert", LOG_ALERT },   { "crit", LOG_CRIT },
                { "error", LOG_ERR },       { "err", LOG_ERR },       { "warning", LOG_WARNING },
                { "warn", LOG_WARNING },    { "notice", LOG_NOTICE }, { "info", LOG_INFO },
                { "debug", LOG_DEBUG },
        };
        int level;

        for (size_t i = 0; i < ELEMENTSOF(names); i++)
                if (streq(text, names[i].name))
                        return names[i].level;

        if (safe_atoi(text, &level) >= 0 && level >= LOG_EMERG && level <= LOG_DEBUG)
                return level;

        return -EINVAL;
}

static bool stderr_is_journal(const struct stat *st) {
        const char *stream = getenv("JOURNAL_STREAM"), *colon;
        _cleanup_free_ char *device = NULL;
        uint64_t dev, ino;

        if (!stream)
                return false;

        colon = strchr(stream, ':');
        if (!colon)
                return false;

        device = strndup(stream, (size_t) (colon - stream));
        if (!device || safe_atou64(device, 10, &dev) < 0 || safe_atou64(colon + 1, 10, &ino) < 0)
                return false;

        return st->st_dev == dev && st->st_ino == ino;
}

/* What stderr is. */
static LogTarget find_target(void) {
        struct stat st;

        if (fstat(STDERR_FILENO, &st) < 0)
                return LOG_TARGET_PLAIN;
        if (stderr_is_journal(&st))
                return LOG_TARGET_JOURNAL;
        return S_ISREG(st.st_mode) ? LOG_TARGET_FILE : LOG_TARGET_PLAIN;
}

void log_open(void) {
        const char *text = getenv("SENTRYD_LOG_LEVEL");

        logger.open = true;
        logger.target = find_target();

        logger.max_level = LOG_INFO;
        if (text && *text) {
                int level = log_level_from_string(text);

                if (level >= 0)
                        logger.max_level = level;
                else
                        log_warning("SENTRYD_LOG_LEVEL is \"%s\", which is no level: it may be error, warning, info, "
                                    "debug, or 0 to 7. Using info.", text);
        }
}

void log_set_name(const char *name) {
        logger.name = name;
}

const char *log_level_to_string(int level) {
        static const char *const names[] = { "emerg", "alert", "crit", "err", "warning", "notice", "info", "debug" };

        return level >= LOG_EMERG && level <= LOG_DEBUG ? names[level] : "info";
}

int log_max_level(void) {
        if (!logger.open)
                log_open();

        return logger.max_level;
}

void log_set_max_level(int level) {
        if (!logger.open)
                log_open();

        logger.max_level = level;
}

const char *log_target(void) {
        if (!logger.open)
                log_open();

        return logger.target == LOG_TARGET_JOURNAL ? "journal" : logger.target == LOG_TARGET_NULL ? "null" : "console";
}

int log_set_target(const char *name) {
        LogTarget found = find_target();

        if (streq(name, "null"))
                logger.target = LOG_TARGET_NULL;
        else if (streq(name, "auto"))
                logger.target = found;
        else if (streq(name, "journal") && found == LOG_TARGET_JOURNAL)
                logger.target = found;
        else if (streq(name, "console"))
                logger.target = found == LOG_TARGET_FILE ? found : LOG_TARGET_PLAIN;
        else
                return -EINVAL;
        return 0;
}

bool log_wants(int level) {
        return level <= log_max_level() && logger.target != LOG_TARGET_NULL;
}

/* Writes the start of a line. Returns its length. */
static size_t format_prefix(char *line, size_t size, int level) {
        const char *name = logger.name ?: program_invocation_short_name;
        struct timespec now;
        struct tm tm;
        int n = 0;

        switch (logger.target) {

        case LOG_TARGET_JOURNAL:
                n = logger.name ? snprintf(line, size, "<%d>%s: ", level, name) : snprintf(line, size, "<%d>", level);
                break;

        case LOG_TARGET_FILE:
                (void) clock_gettime(CLOCK_REALTIME, &now);
                if (!localtime_r(&now.tv_sec, &tm))
                        tm = (struct tm) {};
                n = snprintf(line, size, "%04d-%02d-%02d %02d:%02d:%02d.%03ld %s[%d]: ", tm.tm_year + 1900,
                             tm.tm_mon + 1, tm.tm_mday, tm.tm_hour, tm.tm_min, tm.tm_sec, now.tv_nsec / 1000000,
                             name, (int) getpid());
                break;

        case LOG_TARGET_PLAIN:
        case LOG_TARGET_NULL: /* not written */
                n = snprintf(line, size, "%s: ", name);
                break;
        }

        return n > 0 ? MIN((size_t) n, size - 1) : 0;
}

void log_clean(char *text, size_t length) {
        for (size_t i = 0; i < length; i++)
                if (text[i] == '\n')
                        text[i] = ' ';
                else if (((unsigned char) text[i] < 0x20 && text[i] != '\t') || text[i] == 0x7f)
                        text[i] = '?';
}

int log_write(int level, int error, const char *format, ...) {
        int saved_errno = errno, n;
        char line[LOG_LINE_MAX];
        size_t start, length;
        va_list ap;

        error = abs(error);
        if (!log_wants(level))
                return -error;

        start = format_prefix(line, sizeof(line) / 2, level);

        errno = error;
        va_start(ap, format);
        n = vsnprintf(line + start, sizeof(line) - start - 1, format, ap);
        va_end(ap);

        length = start + (n > 0 ? MIN((size_t) n, sizeof(line) - start - 2) : 0);
        log_clean(line + start, length - start);
        line[length++] = '\n';

        /* Nobody can be told when this fails. */
        if (write(STDERR_FILENO, line, length) < 0) {
        }

        errno = saved_errno;
        return -error;
}
