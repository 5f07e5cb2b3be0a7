/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The table of system calls as subsections of mdoc(7). The build makes man/sentry-syscalls.7 of it. */

#include "syscalls-man.h"
#include "util.h"

#define LINE_MAX_BYTES 76U

/* Text that roff takes as it is: no escapes, no requests, no long lines. Ends the line. */
static void print_text(const char *text) {
        size_t column = 0;

        while (*text) {
                size_t n = strcspn(text, " \n");

                if (column > 0) {
                        bool fits = column + 1 + n <= LINE_MAX_BYTES;

                        putchar(fits ? ' ' : '\n');
                        column = fits ? column + 1 : 0;
                }
                if (column == 0 && (*text == '.' || *text == '\''))
                        fputs("\\&", stdout);
                for (size_t i = 0; i < n; i++)
                        if (text[i] == '\\')
                                fputs("\\e", stdout);
                        else
                                putchar(text[i]);
                column += n;
                text += n;
                if (*text == '\n') { /* sentences begin on lines of their own */
                        putchar('\n');
                        column = 0;
                }
                text += *text != 0;
        }
        putchar('\n');
}

static const struct {
        SyscallClass class;
        const char *title, *text;
} sections[] = {
        { SYSCALL_EMULATED, "Emulated", "The emulated kernel of the sandbox answers every call." },
        { SYSCALL_MEDIATED, "Mediated",
          "The emulated kernel answers when the profile has the feature, the host kernel otherwise.\n"
          "Where conditions are shown, other calls are native." },
        { SYSCALL_REFUSED, "Refused",
          "Calls fail with the error that is shown, and an event tells of it.\n"
          "Where conditions are shown, other calls are native." },
        { SYSCALL_DENIED, "Denied",
          "Calls that meet the conditions fail with the error that is shown, without an event.\n"
          "Other calls are native." },
        { SYSCALL_NATIVE, "Native",
          "The host kernel answers, at full speed and within the namespaces of the sandbox.\n"
          "Where conditions are shown, the emulated kernel answers calls that meet them." },
};

static int print_row(SyscallId id) {
        const SyscallRow *row = syscall_table + id;
        _cleanup_free_ char *arguments = syscall_arguments(row), *text = NULL;
        const char *condition = syscall_condition(id), *also = syscall_also_condition(id);

        if (!arguments)
                return ctl_oom();
        if (*arguments)
                printf(".It Ic %s Ns Pq %s\n", row->name, arguments);
        else
                printf(".It Ic %s Ns ()\n", row->name);
        if (*syscall_detail(row) && row->class == SYSCALL_MEDIATED)
                printf("Feature %s%s\n", syscall_detail(row), condition || *row->note ? ":" : ".");
        else if (*syscall_detail(row))
                printf(".Er %s %s\n", syscall_detail(row), condition || *row->note ? ":" : ".");
        if (condition && string_appendf(&text, "when %s%s", condition, also || *row->note ? "; " : "") < 0)
                return ctl_oom();
        if (also && string_appendf(&text, "with the feature %s when %s%s", syscall_feature_to_string(row->also), also,
                                   *row->note ? "; " : "") < 0)
                return ctl_oom();
        if ((condition || *row->note) && string_appendf(&text, "%s.", row->note) < 0)
                return ctl_oom();
        if (text)
                print_text(text);
        return 0;
}

int syscalls_man(void) {
        int r;

        puts(".Pp\n"
             "After the name of each call stands how its arguments are read.\n"
             "Conditions count them from 0.");

        for (size_t i = 0; i < ELEMENTSOF(sections); i++) {
                bool open = false;

                for (SyscallId id = 0; id < _SYSCALL_ID_MAX; id++) {
                        if (syscall_table[id].class != sections[i].class)
                                continue;
                        if (!open) {
                                printf(".Ss %s\n", sections[i].title);
                                print_text(sections[i].text);
                                puts(".Bl -tag -width Ds -compact");
                                open = true;
                        }
                        r = print_row(id);
                        if (r < 0)
                                return r;
                }
                if (open)
                        puts(".El");
        }
        return 0;
}
