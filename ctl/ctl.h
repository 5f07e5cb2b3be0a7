/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What every verb of sentryctl shares: the options that hold for all of them, how a verb describes itself,
 * how options are read and how errors are told. */

#include <stdbool.h>
#include <stdio.h>

#include <systemd/sd-bus.h>

typedef enum DaemonChoice {
        DAEMON_AUTO,   /* the instance that sentryctl(1) describes under CHOICE OF DAEMON */
        DAEMON_USER,   /* --user */
        DAEMON_SYSTEM, /* --system */
} DaemonChoice;

typedef enum JsonMode {
        JSON_OFF,
        JSON_SHORT,  /* one line per document */
        JSON_PRETTY, /* indented */
} JsonMode;

/* What a verb returns: an exit status, or one of these once the person has been told. */
enum {
        CTL_FAILED = -1, /* exit 1; 125 for verbs that run a program */
        CTL_USAGE = -2,  /* exit 2; 125 for verbs that run a program */
        CTL_DONE = -3,   /* --help was answered: exit 0 */
};

#define EXIT_USAGE 2
#define EXIT_OWN_FAILURE 125 /* of verbs whose exit status is a program's */

typedef struct Verb Verb;

/* The options of this call and the connection it uses. */
typedef struct Ctl {
        DaemonChoice daemon;
        JsonMode json;
        bool legend;      /* header lines in tables */
        const char *columns; /* --columns: names with commas between; NULL: the usual ones */
        bool no_pager;
        bool quiet;
        const Verb *verb; /* NULL until it is known */

        sd_bus *bus;      /* NULL: not connected */
        bool peer;        /* bus leads to an embedded daemon, without a bus daemon between */
        bool autostart;   /* calls may start the daemon */
        unsigned n_lost;  /* how often the daemon went away in the middle of a call */
        pid_t agent;      /* what asks for passwords; 0: not started */
} Ctl;

#define OPTION_FIRST 256 /* ids below are letters */

/* One option. Drives the parser, the help and the suggestion for a misspelled one. */
typedef struct Option {
        int id;               /* what options_next() returns: OPTION_FIRST to 999 */
        const char *name;     /* without the dashes; NULL ends an array */
        char letter;          /* the short form, or 0 */
        const char *argument; /* its name in the help, or NULL: takes none */
        bool optional;        /* the argument may be left out */
        const char *help;     /* one line; NULL: not shown in the help */
} Option;

struct Verb {
        const char *name;
        const char *arguments;  /* for the usage line */
        const char *summary;    /* one line */
        const char *details;    /* further text for `VERB --help`, with examples; or NULL */
        const Option *options;  /* ended by a NULL name; or NULL */
        bool aside;             /* the help of sentryctl names it, without a line of its own */
        bool runs_program;      /* its exit status is a program's */
        bool lists;             /* it prints tables, and takes --columns */
        bool pages;             /* what it prints is for a pager, when it is long */
        bool live;              /* it shows what happens as it happens */
        int (*run)(Ctl *ctl, int argc, char **argv); /* argv[0] is the verb's name */
};

extern const Verb verb_run, verb_restore, verb_exec, verb_start, verb_list, verb_status, verb_show, verb_ps, verb_top, verb_kill,
        verb_wait, verb_pause, verb_resume, verb_signal, verb_dmesg, verb_events, verb_trace, verb_syscalls,
        verb_profile, verb_version, verb_fds, verb_sockets, verb_mounts, verb_namespaces, verb_ipc, verb_cgroups, verb_timers, verb_clock,
        verb_log_level, verb_harden, verb_save, verb_image;

/* The verbs in the order of the help, ended by NULL. */
extern const Verb *const verb_table[];

/* Walks over the options of a verb (or over the global ones while ctl->verb is NULL). Set ctl, argc, argv
 * (argv[0] is skipped) and in_order, the rest zero. */
typedef struct OptionParser {
        Ctl *ctl;
        int argc;
        char **argv;
        bool in_order;     /* the first argument that is no option ends them, nothing is permuted */
        bool started;
        const char *value; /* of the option just returned, or NULL */
        int index;         /* at the end: the first argument that is no option */
} OptionParser;

/* Returns the id of the next option, 0 at the end, or CTL_USAGE or CTL_DONE when the call is over. Options that
 * hold for every verb are dealt with here. */
int options_next(OptionParser *parser);

/* For verbs without options of their own: reads the common ones, and checks that min to max (-1: any number)
 * arguments follow. Returns the index of the first, or negative. */
int options_only(Ctl *ctl, int argc, char **argv, int min, int max);

/* Checks that --columns, if it was given, goes with the verb. Returns 0 or CTL_USAGE. */
int options_check_columns(Ctl *ctl);

/* Checks the number of arguments after the options. Returns 0 or CTL_USAGE. */
int options_check_count(Ctl *ctl, int count, int min, int max);

/* Prints `sentryctl: MESSAGE`, one line per line of it, fit for a terminal. Returns CTL_FAILED. */
int ctl_error(const char *format, ...) __attribute__((format(printf, 1, 2)));
/* The same without memory to do anything fine. */
int ctl_oom(void);
/* Prints the message and where help is. Returns CTL_USAGE. */
int ctl_usage(Ctl *ctl, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* Prints a line on stderr unless --quiet. */
void ctl_notice(const Ctl *ctl, const char *format, ...) __attribute__((format(printf, 2, 3)));
