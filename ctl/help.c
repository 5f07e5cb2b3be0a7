/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The help texts, made of the descriptions that drive the parser. */

#include "help.h"
#include "util.h"

/* "  fds, sockets  List what …": the listings have a line together. */
static void print_lists(const Verb *const *first) {
        const char *separator = "  ";

        for (const Verb *const *v = first; *v && (*v)->is_list; v++) {
                printf("%s%s", separator, (*v)->name);
                separator = ", ";
        }
        puts("  List what it is made of");
}

void help_main(void) {
        puts("Usage: sentryctl [OPTION...] VERB [ARGUMENT...]");
        for (const Verb *const *v = verb_table; *v; v++)
                if (!(*v)->is_list)
                        printf("  %-9s %s\n", (*v)->name, (*v)->summary);
                else if (!v[-1]->is_list)
                        print_lists(v);
        puts("\n"
             "  -h --help, -q --quiet, --no-legend, --json[=MODE], --user, --system\n"
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
