/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "unit-exec.h"
#include "util.h"

#define COMMANDS_MAX 256U
#define WHITESPACE " \t\n\r"

static void exec_done(UnitExec *exec) {
        free(exec->prefix);
        free(exec->argv0);
        free(exec->program);
        free(exec->arguments);
        *exec = (UnitExec) {};
}

void unit_execs_done(UnitExecs *execs) {
        for (size_t i = 0; i < execs->n_items; i++)
                exec_done(execs->items + i);
        free(execs->items);
        *execs = (UnitExecs) {};
}

/* The length of the word that p begins with, as it is written. -EINVAL when a quote does not end. */
static ssize_t word_length(const char *p) {
        char quote = 0;
        size_t i;

        for (i = 0; p[i]; i++) {
                if (p[i] == '\\') {
                        if (!p[i + 1])
                                return -EINVAL;
                        i++;
                } else if (quote) {
                        if (p[i] == quote)
                                quote = 0;
                } else if (p[i] == '"' || p[i] == '\'')
                        quote = p[i];
                else if (strchr(WHITESPACE, p[i]))
                        break;
        }
        return quote ? -EINVAL : (ssize_t) i;
}

/* A ";" that stands alone ends a command. */
static bool is_separator(const char *word, size_t size) {
        return size == 1 && *word == ';';
}

/* Splits what stands before the program off the first word, which may be in quotes together with it. */
static int split_prefix(const char *word, size_t size, UnitExec *exec, bool *ret_argv0, char **ret_program) {
        char quote = size > 0 && (*word == '"' || *word == '\'') ? *word : 0;
        size_t start = quote ? 1 : 0, end = start + strspn(word + start, "-@:+!|"), k = 0;
        bool substitutes = true;
        size_t n_bangs = 0;

        end = MIN(end, size);
        exec->prefix = calloc(end - start + 1, 1);
        if (!exec->prefix)
                return -ENOMEM;
        for (size_t i = start; i < end; i++) {
                if (word[i] == '|')
                        return -EBADMSG;
                if (word[i] == '@') {
                        *ret_argv0 = true;
                        continue;
                }
                exec->prefix[k++] = word[i];
                substitutes = substitutes && word[i] != ':';
                n_bangs += word[i] == '!';
                exec->privileged = exec->privileged || word[i] == '+';
        }
        exec->privileged = exec->privileged || n_bangs == 1;
        if (end >= size)
                return -EBADMSG;

        /* The name of a program stands for itself, but arguments, as which it will be written, are substituted. */
        *ret_program = calloc(2 * size + 1, 1);
        if (!*ret_program)
                return -ENOMEM;
        k = 0;
        if (quote)
                (*ret_program)[k++] = quote;
        for (size_t i = end; i < size; i++) {
                if (word[i] == '$' && substitutes)
                        (*ret_program)[k++] = '$';
                (*ret_program)[k++] = word[i];
        }
        return 0;
}

static int take_word(const char **p, const char **ret, size_t *ret_size) {
        ssize_t size;

        *p += strspn(*p, WHITESPACE);
        size = word_length(*p);
        if (size < 0)
                return -EBADMSG;
        *ret = *p;
        *ret_size = (size_t) size;
        *p += size;
        return size > 0;
}

/* The next command of a line. 1; 0 when there is none; -EBADMSG. */
static int read_command(const char **p, UnitExec *ret) {
        const char *word, *end;
        bool with_argv0 = false;
        size_t size;
        int r;

        r = take_word(p, &word, &size);
        if (r <= 0)
                return r;
        r = split_prefix(word, size, ret, &with_argv0, &ret->program);
        if (r < 0)
                return r;
        if (with_argv0) {
                r = take_word(p, &word, &size);
                if (r == 0 || (r > 0 && is_separator(word, size)))
                        r = -EBADMSG;
                if (r < 0)
                        return r;
                ret->argv0 = strndup(word, size);
                if (!ret->argv0)
                        return -ENOMEM;
        }

        *p += strspn(*p, WHITESPACE);
        for (word = end = *p;;) {
                const char *next;

                r = take_word(p, &next, &size);
                if (r < 0)
                        return r;
                if (r == 0 || is_separator(next, size))
                        break;
                end = *p;
        }
        ret->arguments = strndup(word, (size_t) (end - word));
        return ret->arguments ? 1 : -ENOMEM;
}

static int read_value(const char *value, UnitExecs *execs) {
        int r;

        if (!*value) { /* those before do not count */
                unit_execs_done(execs);
                return 0;
        }
        for (;;) {
                UnitExec exec = {}, *bigger;

                r = read_command(&value, &exec);
                if (r > 0 && execs->n_items >= COMMANDS_MAX)
                        r = -E2BIG;
                bigger = r > 0 ? realloc(execs->items, (execs->n_items + 1) * sizeof(UnitExec)) : NULL;
                if (r > 0 && !bigger)
                        r = -ENOMEM;
                if (r <= 0) {
                        exec_done(&exec);
                        return r;
                }
                execs->items = bigger;
                execs->items[execs->n_items++] = exec;
        }
}

static char *strip(char *text) {
        size_t n;

        text += strspn(text, WHITESPACE);
        for (n = strlen(text); n > 0 && strchr(WHITESPACE, text[n - 1]); n--)
                text[n - 1] = '\0';
        return text;
}

/* A whole line, its continuations joined. */
static int read_line(char *line, bool *in_service, UnitExecs *execs, char **ret_line) {
        char *equals;
        int r;

        line = strip(line);
        if (*line == '[') {
                *in_service = streq(line, "[Service]");
                return 0;
        }
        equals = strchr(line, '=');
        if (!*in_service || !equals)
                return 0;
        *equals = '\0';
        if (!streq(strip(line), "ExecStart"))
                return 0;
        r = read_value(strip(equals + 1), execs);
        if (r == -EBADMSG)
                *ret_line = strdup(strip(equals + 1));
        return r;
}

/* Whether the last character is a backslash that is not itself escaped. */
static bool continues(const char *line) {
        bool escaped = false;

        for (; *line; line++)
                escaped = !escaped && *line == '\\';
        return escaped;
}

int unit_execs_read(const char *text, UnitExecs *execs, char **ret_line) {
        _cleanup_free_ char *copy = NULL, *joined = NULL;
        bool in_service = false;
        char *next;
        int r;

        *ret_line = NULL;
        copy = strdup(startswith(text, "\xef\xbb\xbf") ?: text);
        if (!copy)
                return -ENOMEM;
        next = copy;
        for (char *line; (line = strsep(&next, "\n"));) {
                bool more;

                line += strspn(line, WHITESPACE);
                if (*line == '#' || *line == ';') /* also in the middle of a continued line */
                        continue;
                if (*line && line[strlen(line) - 1] == '\r')
                        line[strlen(line) - 1] = '\0';
                more = continues(line);
                if (more)
                        line[strlen(line) - 1] = ' ';
                r = string_appendf(&joined, "%s", line);
                if (r < 0)
                        return r;
                if (more && next)
                        continue;
                r = read_line(joined, &in_service, execs, ret_line);
                free(joined);
                joined = NULL;
                if (r < 0)
                        return r;
        }
        /* What is continued by nothing. */
        return joined ? read_line(joined, &in_service, execs, ret_line) : 0;
}

char *unit_exec_wrap(const UnitExec *exec, const char *runner) {
        char *line = NULL;

        if (string_appendf(&line, "%s%s%s%s -- %s%s%s", exec->prefix, runner, exec->argv0 ? " --argv0 " : "", exec->argv0 ?: "",
                           exec->program, *exec->arguments ? " " : "", exec->arguments) < 0) {
                free(line);
                return NULL;
        }
        return line;
}
