/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Log lines on stderr: with a "<n>" priority when stderr leads to the journal ($JOURNAL_STREAM), with a time when
 * it is a file, bare otherwise. $SENTRYD_LOG_LEVEL (error, warning, info, debug, or 0 to 7) says how much; the
 * default is info. Each line is one write(), so that the lines of several processes don't mix. */

#include <stdbool.h>
#include <stddef.h>
#include <syslog.h>

#define LOG_LINE_MAX 2048U /* bytes of one line; the rest is cut off */

/* Parses a level. -EINVAL when it is none. */
int log_level_from_string(const char *text);

/* Reads the environment and looks at stderr. Called by the first line logged if not before. Call it again after
 * stderr has changed. A bad $SENTRYD_LOG_LEVEL is told, and info used. */
void log_open(void);

/* How a level is called where systemd asks for it. */
const char *log_level_to_string(int level);

/* The lines written are those of this level and of more urgent ones. */
int log_max_level(void);
void log_set_max_level(int level);

/* Where lines go: "journal", "console" (stderr that is not the journal's, or is written to as if it were not), "null".
 * -EINVAL for another name, and for the journal where stderr does not lead there; "auto" is what stderr is. */
const char *log_target(void);
int log_set_target(const char *name);

/* What lines start with; the default is the program's name. Not copied: must stay. */
void log_set_name(const char *name);

/* Whether a line of this level would be written: to skip work that only the line needs. */
bool log_wants(int level);

/* Writes one line. error: 0, or an errno of either sign that "%m" shows. Control characters come out as '?', line
 * breaks as spaces: what a guest or a peer names can't forge a line. Returns -|error|; errno is left alone. */
void log_clean(char *text, size_t length); /* does the latter to a text */
int log_write(int level, int error, const char *format, ...) __attribute__((format(printf, 3, 4)));

#define log_error(...) ((void) log_write(LOG_ERR, 0, __VA_ARGS__))
#define log_warning(...) ((void) log_write(LOG_WARNING, 0, __VA_ARGS__))
#define log_info(...) ((void) log_write(LOG_INFO, 0, __VA_ARGS__))
#define log_debug(...) ((void) (log_wants(LOG_DEBUG) ? log_write(LOG_DEBUG, 0, __VA_ARGS__) : 0))

/* The same about an error, for "return log_error_errno(r, "Failed to …: %m")". */
#define log_error_errno(error, ...) log_write(LOG_ERR, (error), __VA_ARGS__)
#define log_warning_errno(error, ...) log_write(LOG_WARNING, (error), __VA_ARGS__)
#define log_debug_errno(error, ...) log_write(LOG_DEBUG, (error), __VA_ARGS__)
#define log_oom() log_write(LOG_ERR, 12 /* ENOMEM */, "Out of memory.")
