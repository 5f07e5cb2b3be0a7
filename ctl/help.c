/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The help texts, made of the descriptions that drive the parser. */

#include "help.h"
#include "util.h"

/* Those that look at one thing, in a few lines of their own. */
static void print_aside(void) {
        size_t column = 0;

        for (const Verb *const *v = verb_table; *v; v++) {
                if (!(*v)->aside)
                        continue;
                if (column == 0 || column + strlen((*v)->name) + 2 > 78)
                        column = (size_t) printf("%s  More:     ", column > 0 ? "\n" : "");
                column += (size_t) printf("%s ", (*v)->name);
        }
        putchar('\n');
}

void help_main(void) {
        puts("Usage: sentryctl [OPTION...] VERB [ARGUMENT...]");
        for (const Verb *const *v = verb_table; *v; v++)
                if (!(*v)->aside)
                        printf("  %-9s %s\n", (*v)->name, (*v)->summary);
        print_aside();
        puts("\n"
             "  -h --help, -q --quiet, --no-legend, --json[=MODE], --columns=NAME,...\n"
             "  --no-pager, --user, --system\n"
             "\"sentryctl VERB --help\" tells more about a verb, sentryctl(1) everything.");
}

static void print_options(const Option *options) {
        for (const Option *o = options; o && o->name; o++) {
                _cleanup_free_ char *text = NULL;

                if (!o->help)
                        continue;
                if (string_appendf(&text, "--%s%s%s%s%s", o->name, o->optional ? "[" : "", o->argument ? "=" : "",
                                   o->argument ?: "", o->optional ? "]" : "") < 0)
                        continue;
                if (o->letter)
                        printf("  -%c %-28s %s\n", o->letter, text, o->help);
                else
                        printf("     %-28s %s\n", text, o->help);
        }
}

void help_verb(const Verb *verb) {
        printf("Usage: sentryctl %s [OPTION...]%s%s\n\n%s.\n\nOptions:\n", verb->name,
               *verb->arguments ? " " : "", verb->arguments, verb->summary);
        print_options(verb->options);
        print_options(common_options);
        if (verb->details)
                printf("\n%s", verb->details);
}
