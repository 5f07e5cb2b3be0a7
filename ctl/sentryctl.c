/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* sentryctl: runs programs in sandboxes and looks after those that run. The global options and the choice of
 * verb; each verb lives in a verb-*.c of its own. */

#include <locale.h>

#include "connect.h"
#include "ctl.h"
#include "help.h"
#include "pager.h"
#include "text.h"
#include "util.h"

const Verb *const verb_table[] = {
        &verb_run,    &verb_restore, &verb_exec,   &verb_start,    &verb_list,    &verb_status,  &verb_show,   &verb_ps,
        &verb_top,    &verb_kill,   &verb_wait,     &verb_pause,   &verb_resume,  &verb_save,   &verb_signal, &verb_dmesg,
        &verb_events, &verb_trace,  &verb_syscalls, &verb_profile, &verb_fds,     &verb_sockets, &verb_mounts,
        &verb_namespaces, &verb_ipc, &verb_cgroups, &verb_timers,  &verb_clock, &verb_image, &verb_log_level, &verb_harden, &verb_version, NULL,
};

static const Verb *find_verb(const char *name, const char **ret_nearest) {
        TextNearest nearest = TEXT_NEAREST_INIT(name);

        for (const Verb *const *v = verb_table; *v; v++) {
                if (streq((*v)->name, name))
                        return *v;
                text_nearest_offer(&nearest, (*v)->name);
        }
        *ret_nearest = nearest.best;
        return NULL;
}

static int run(Ctl *ctl, int argc, char **argv) {
        OptionParser parser = { .ctl = ctl, .argc = argc, .argv = argv, .in_order = true };
        const char *name, *nearest = NULL;
        const Verb *verb;
        int r;

        r = options_next(&parser);
        if (r < 0)
                return r;
        if (parser.index >= argc)
                return ctl_usage(ctl, "a verb is missing: what to do?");

        name = argv[parser.index];
        if (streq(name, "help")) {
                pager_open(ctl, true);
                help_main();
                return CTL_DONE;
        }
        verb = find_verb(name, &nearest);
        if (!verb && nearest)
                return ctl_usage(ctl, "unknown verb '%s', did you mean '%s'?", name, nearest);
        if (!verb)
                return ctl_usage(ctl, "unknown verb '%s'", name);

        ctl->verb = verb;
        r = options_check_columns(ctl);
        return r < 0 ? r : verb->run(ctl, argc - parser.index, argv + parser.index);
}

int main(int argc, char **argv) {
        Ctl ctl = { .legend = true };
        int r;

        setlocale(LC_CTYPE, "");
        setlocale(LC_TIME, "");

        r = run(&ctl, argc, argv);
        ctl_disconnect(&ctl);

        if (r == CTL_DONE)
                r = EXIT_SUCCESS;
        else if (r < 0 && ctl.verb && ctl.verb->runs_program)
                r = EXIT_OWN_FAILURE;
        else if (r < 0)
                r = r == CTL_USAGE ? EXIT_USAGE : EXIT_FAILURE;

        if (pager_close())
                return r;
        if ((fflush(stdout) != 0 || ferror(stdout)) && r == EXIT_SUCCESS) {
                (void) ctl_error("the output could not be written: %s", strerror(errno));
                r = EXIT_FAILURE;
        }
        return r;
}
