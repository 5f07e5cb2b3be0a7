/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* ctl/unit-exec.h: what is written of a unit's commands is what they were, behind another program. */

#include <errno.h>

#include "tap.h"
#include "unit-exec.h"
#include "util.h"

/* Commands that a file has, wrapped, one per line. */
static char *wrapped(const char *text) {
        _cleanup_(unit_execs_done) UnitExecs execs = {};
        _cleanup_free_ char *bad = NULL;
        char *all = NULL;
        int r;

        r = unit_execs_read(text, &execs, &bad);
        if (r < 0) {
                (void) string_appendf(&all, "error %d: %s", r, bad ?: "");
                return all;
        }
        for (size_t i = 0; i < execs.n_items; i++) {
                _cleanup_free_ char *line = unit_exec_wrap(execs.items + i, "RUN");

                (void) string_appendf(&all, "%s%s%s", i > 0 ? "\n" : "", line, execs.items[i].privileged ? " (privileged)" : "");
        }
        if (!all)
                (void) string_appendf(&all, "%s", "");
        return all;
}

static void line(const char *command, const char *expected) {
        _cleanup_free_ char *text = NULL, *got = NULL;

        (void) string_appendf(&text, "[Unit]\nExecStart=/no\n[Service]\nExecStart=%s\n", command);
        got = wrapped(text);
        if (!ok(streq(got, expected), "%s", command))
                tap_diag("  got %s, expected %s", got, expected);
}

static void file(const char *text, const char *expected, const char *what) {
        _cleanup_free_ char *got = wrapped(text);

        if (!ok(streq(got, expected), "%s", what))
                tap_diag("  got %s, expected %s", got, expected);
}

int main(void) {
        line("/bin/a", "RUN -- /bin/a");
        line("/bin/a b  c", "RUN -- /bin/a b  c");
        line("-/bin/a b", "-RUN -- /bin/a b");
        line("@/bin/a name b", "RUN --argv0 name -- /bin/a b");
        line("-@/bin/a -name", "-RUN --argv0 -name -- /bin/a");
        line("@-:/bin/a \"my name\" $B", "-:RUN --argv0 \"my name\" -- /bin/a $B");
        line(":/bin/$a $B", ":RUN -- /bin/$a $B");
        line("/bin/$a $B ${C}", "RUN -- /bin/$$a $B ${C}");
        line("+/bin/a", "+RUN -- /bin/a (privileged)");
        line("!/bin/a", "!RUN -- /bin/a (privileged)");
        line("!!/bin/a", "!!RUN -- /bin/a");
        line("-!:@/bin/a b c", "-!:RUN --argv0 b -- /bin/a c (privileged)");
        line("/usr/bin/%p --name %i \"%n x\" 'a\"b' c\\ d \\x41", "RUN -- /usr/bin/%p --name %i \"%n x\" 'a\"b' c\\ d \\x41");
        line("\"/opt/my program/run\" x", "RUN -- \"/opt/my program/run\" x");
        line("\"-/opt/my program/run\" x", "-RUN -- \"/opt/my program/run\" x");
        line("/bin/a b ; /bin/c d", "RUN -- /bin/a b\nRUN -- /bin/c d");
        line("/bin/a b; /bin/c", "RUN -- /bin/a b; /bin/c");
        line("/bin/a \\; b \";\" c", "RUN -- /bin/a \\; b \";\" c");
        line("program with arguments", "RUN -- program with arguments");
        line("|/bin/a", "error -74: |/bin/a");
        line("/bin/a \"b", "error -74: /bin/a \"b");
        line("-", "error -74: -");
        line("@/bin/a", "error -74: @/bin/a");
        line("@/bin/a ; /bin/b", "error -74: @/bin/a ; /bin/b");

        file("[Service]\nExecStart=/bin/a \\\n  b \\\n# comment\n; another\n\tc\nType=simple\n", "RUN -- /bin/a b  c",
             "lines that go on, with comments between");
        file("[Service]\nExecStart=/bin/a \\\\\nExecStart=/bin/b\n", "RUN -- /bin/a \\\\\nRUN -- /bin/b", "an escaped backslash ends a line");
        file("[Service]\nExecStart=/bin/a\nExecStart=\nExecStart=/bin/b\nExecStart = /bin/c  \n", "RUN -- /bin/b\nRUN -- /bin/c",
             "an empty one drops those before");
        file("\xef\xbb\xbf[Service]\r\nExecStart=/bin/a\r\n", "RUN -- /bin/a", "a file of another system's");
        file("[Service]\nExecStartPre=/bin/x\n[Install]\nExecStart=/bin/y\n", "", "others are none");
        file("[Service]\nExecStart=/bin/a \\", "RUN -- /bin/a", "one that is continued by nothing");
        file("", "", "an empty file");
        return tap_done();
}
