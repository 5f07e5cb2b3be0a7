/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Reading options, telling errors, and the help of a verb: all from the descriptions in Option and Verb. */

#include <getopt.h>
#include <stdarg.h>

#include "ctl.h"
#include "help.h"
#include "pager.h"
#include "text.h"
#include "util.h"

enum { OPTIONS_MAX = 40 };

/* Ids of the common options. */
enum {
        COMMON_HELP = 1000,
        COMMON_VERSION,
        COMMON_USER,
        COMMON_SYSTEM,
        COMMON_JSON,
        COMMON_NO_LEGEND,
        COMMON_COLUMNS,
        COMMON_NO_PAGER,
        COMMON_QUIET,
        _COMMON_FIRST = COMMON_HELP,
};

const Option common_options[] = {
        { COMMON_HELP, "help", 'h', NULL, false, "Show this help" },
        { COMMON_VERSION, "version", 0, NULL, false, "Show the version of sentryctl" },
        { COMMON_USER, "user", 0, NULL, false, "Talk to the user's instance of sentryd" },
        { COMMON_SYSTEM, "system", 0, NULL, false, "Talk to the system's instance of sentryd" },
        { COMMON_JSON, "json", 0, "MODE", true, "Print JSON: short, pretty, or off" },
        { COMMON_NO_LEGEND, "no-legend", 0, NULL, false, "Print no header line" },
        { COMMON_COLUMNS, "columns", 0, "NAME,...", false, "Print these columns of a table, in this order" },
        { COMMON_NO_PAGER, "no-pager", 0, NULL, false, "Show no output through a pager" },
        { COMMON_QUIET, "quiet", 'q', NULL, false, "Print no notices" },
        {},
};

/* Lines on stderr, each made fit for a terminal. */
static void print_lines(const char *prefix, const char *text) {
        while (*text) {
                size_t n = strcspn(text, "\n");
                _cleanup_free_ char *line = strndup(text, n), *safe = line ? text_escape(line, ESCAPE_TERMINAL) : NULL;

                if (n > 0)
                        fprintf(stderr, "%s%s\n", prefix, safe ?: "out of memory");
                text += n + (text[n] == '\n');
        }
}

__attribute__((format(printf, 2, 0))) static void print_message(const char *prefix, const char *format, va_list ap) {
        _cleanup_free_ char *message = NULL;

        fflush(stdout); /* what was printed before comes before */
        if (vasprintf(&message, format, ap) < 0)
                message = NULL;
        print_lines(prefix, message ?: "out of memory");
}

int ctl_error(const char *format, ...) {
        va_list ap;

        va_start(ap, format);
        print_message("sentryctl: ", format, ap);
        va_end(ap);
        return CTL_FAILED;
}

int ctl_oom(void) {
        fputs("sentryctl: out of memory\n", stderr);
        return CTL_FAILED;
}

int ctl_usage(Ctl *ctl, const char *format, ...) {
        va_list ap;

        va_start(ap, format);
        print_message("sentryctl: ", format, ap);
        va_end(ap);
        fprintf(stderr, "Try sentryctl %s%s--help.\n", ctl->verb ? ctl->verb->name : "", ctl->verb ? " " : "");
        return CTL_USAGE;
}

void ctl_notice(const Ctl *ctl, const char *format, ...) {
        va_list ap;

        if (ctl->quiet)
                return;
        va_start(ap, format);
        print_message("", format, ap);
        va_end(ap);
}

/* The options of the verb and the common ones for getopt. Returns their number. */
static size_t collect(const Option *own, const Option *ret[static OPTIONS_MAX]) {
        const Option *sources[] = { own, common_options };
        size_t n = 0;

        for (size_t i = 0; i < ELEMENTSOF(sources); i++)
                for (const Option *o = sources[i]; o && o->name && n < OPTIONS_MAX; o++)
                        ret[n++] = o;
        return n;
}

static int unknown_option(OptionParser *parser, const Option *const *options, size_t n) {
        const char *word = parser->argv[optind - 1];
        TextNearest nearest;
        size_t length;

        if (optopt > 0 && optopt < OPTION_FIRST) /* word may be another one here: `-qx` is not over yet */
                return ctl_usage(parser->ctl, "unknown option '-%c'", optopt);

        length = strcspn(word, "=");
        _cleanup_free_ char *name = strndup(word, length);
        if (!name)
                return ctl_oom();
        if (optopt != 0) /* known, but with a value it does not take */
                return ctl_usage(parser->ctl, "option '%s' takes no value", name);

        nearest = TEXT_NEAREST_INIT(name + 2);
        for (size_t i = 0; i < n; i++)
                if (options[i]->help)
                        text_nearest_offer(&nearest, options[i]->name);
        if (nearest.best)
                return ctl_usage(parser->ctl, "unknown option '%s', did you mean '--%s'?", name, nearest.best);
        return ctl_usage(parser->ctl, "unknown option '%s'", name);
}

int options_check_columns(Ctl *ctl) {
        if (ctl->columns && ctl->verb && !ctl->verb->lists)
                return ctl_usage(ctl, "%s prints no table that --columns could choose from", ctl->verb->name);
        return 0;
}

static int common_option(Ctl *ctl, int id, const char *value) {
        switch (id) {
        case COMMON_HELP:
                pager_open(ctl, true);
                if (ctl->verb)
                        help_verb(ctl->verb);
                else
                        help_main();
                return CTL_DONE;
        case COMMON_VERSION:
                puts("sentryctl " PACKAGE_VERSION);
                return CTL_DONE;
        case COMMON_USER:
                ctl->daemon = DAEMON_USER;
                return 0;
        case COMMON_SYSTEM:
                ctl->daemon = DAEMON_SYSTEM;
                return 0;
        case COMMON_JSON:
                if (!value)
                        ctl->json = pager_on_terminal() ? JSON_PRETTY : JSON_SHORT;
                else if (streq(value, "short"))
                        ctl->json = JSON_SHORT;
                else if (streq(value, "pretty"))
                        ctl->json = JSON_PRETTY;
                else if (streq(value, "off"))
                        ctl->json = JSON_OFF;
                else
                        return ctl_usage(ctl, "--json is short, pretty or off, not '%s'", value);
                return 0;
        case COMMON_NO_LEGEND:
                ctl->legend = false;
                return 0;
        case COMMON_COLUMNS:
                ctl->columns = value;
                return options_check_columns(ctl);
        case COMMON_NO_PAGER:
                ctl->no_pager = true;
                return 0;
        default: /* COMMON_QUIET */
                ctl->quiet = true;
                return 0;
        }
}

int options_next(OptionParser *parser) {
        const Option *options[OPTIONS_MAX];
        struct option longs[OPTIONS_MAX + 1] = {};
        char shorts[3 * OPTIONS_MAX + 3], *s = shorts;
        size_t n = collect(parser->ctl->verb ? parser->ctl->verb->options : NULL, options);
        int id, r;

        if (parser->in_order)
                *s++ = '+';
        *s++ = ':'; /* tells a missing argument from an unknown option */
        for (size_t i = 0; i < n; i++) {
                const Option *o = options[i];

                longs[i] = (struct option) {
                        .name = o->name,
                        .has_arg = !o->argument ? no_argument : o->optional ? optional_argument : required_argument,
                        .val = o->id,
                };
                if (o->letter) {
                        *s++ = o->letter;
                        if (o->argument)
                                *s++ = ':';
                        if (o->argument && o->optional)
                                *s++ = ':';
                }
        }
        *s = 0;

        opterr = 0;
        if (!parser->started) {
                optind = 0; /* starts getopt afresh */
                parser->started = true;
        }
        for (;;) {
                id = getopt_long(parser->argc, parser->argv, shorts, longs, NULL);
                if (id < 0) {
                        parser->index = optind;
                        return 0;
                }
                if (id == '?')
                        return unknown_option(parser, options, n);
                if (id == ':')
                        return ctl_usage(parser->ctl, "option '%s' needs a value", parser->argv[optind - 1]);
                for (size_t i = 0; i < n; i++)
                        if (id < OPTION_FIRST && options[i]->letter == id)
                                id = options[i]->id;
                parser->value = optarg;
                if (id < _COMMON_FIRST)
                        return id;
                r = common_option(parser->ctl, id, optarg);
                if (r < 0)
                        return r;
        }
}

int options_check_count(Ctl *ctl, int count, int min, int max) {
        if (count < min)
                return ctl_usage(ctl, "%s needs %s", ctl->verb->name, ctl->verb->arguments);
        if (max >= 0 && count > max)
                return ctl_usage(ctl, max == 0 ? "%s takes no arguments" : "too many arguments for %s",
                                 ctl->verb->name);
        return 0;
}

int options_only(Ctl *ctl, int argc, char **argv, int min, int max) {
        OptionParser parser = { .ctl = ctl, .argc = argc, .argv = argv };
        int r;

        r = options_next(&parser);
        if (r < 0)
                return r;
        r = options_check_count(ctl, argc - parser.index, min, max);
        return r < 0 ? r : parser.index;
}
