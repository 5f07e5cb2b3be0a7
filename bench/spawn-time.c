/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* How long commands take from posix_spawn(3) to the end, several of them side by side: each round runs every
 * command once, forwards and backwards in turn, so that a slow moment of the machine and what one leaves
 * behind for the next hit all alike. Prints one line of JSON per command. */

#ifndef _GNU_SOURCE
#define _GNU_SOURCE 1
#endif

#include <fcntl.h>
#include <limits.h>
#include <spawn.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bench.h"

#define CONTENDERS_MAX 16U
#define RUNS_MAX 100000UL
#define GONE_WAIT_NS UINT64_C(5000000000) /* how long to wait for what --gone names */

extern char **environ;

/* One of the commands. All but what is said to be results: immutable once parsed. */
typedef struct Contender {
        const char *label;
        char **argv;            /* NULL-terminated, part of main()'s */
        const char *fresh_name; /* variable that names a new directory in each run, or NULL */
        const char *fresh_base; /* where those are made */
        const char *gone;       /* path in it that has to be gone before anything else starts, or NULL */

        /* results */
        double *usec; /* in the order of the rounds; negative: failed */
        unsigned long n_failed;
        int last_failure; /* exit status */
} Contender;

/* The environment with one variable set. The caller frees the array and its first entry. */
static char **environment_with(const char *name, const char *value) {
        size_t n = 0, j = 1, l = strlen(name);
        char **env;

        while (environ[n])
                n++;

        env = calloc(n + 2, sizeof(char *));
        if (!env)
                return NULL;
        if (asprintf(&env[0], "%s=%s", name, value) < 0) {
                free(env);
                return NULL;
        }
        for (size_t i = 0; i < n; i++)
                if (strncmp(environ[i], name, l) != 0 || environ[i][l] != '=')
                        env[j++] = environ[i];
        return env;
}

/* Waits, not counted, for what a run leaves behind to go. */
static void wait_gone(const char *directory, const char *suffix) {
        const struct timespec pause = { .tv_nsec = 2000000 };
        uint64_t start = now_ns();
        char path[PATH_MAX];

        if (snprintf(path, sizeof(path), "%s/%s", directory, suffix) >= (int) sizeof(path))
                return;
        while (access(path, F_OK) == 0 && now_ns() - start < GONE_WAIT_NS)
                (void) nanosleep(&pause, NULL);
}

/* Runs the command once. Returns its exit status (128+n for signal n) and the time it took, or a negative
 * errno. */
static int contender_run(const Contender *c, unsigned long number, const posix_spawn_file_actions_t *actions,
                         double *ret_usec) {
        char directory[PATH_MAX] = "", **env = environ;
        uint64_t start, end;
        int status, r;
        pid_t pid;

        if (c->fresh_name) {
                r = snprintf(directory, sizeof(directory), "%s/%lu", c->fresh_base, number);
                if (r < 0 || (size_t) r >= sizeof(directory))
                        return -ENAMETOOLONG;
                if (mkdir(directory, 0700) < 0)
                        return -errno;
                env = environment_with(c->fresh_name, directory);
                if (!env)
                        return -ENOMEM;
        }

        start = now_ns();
        r = posix_spawnp(&pid, c->argv[0], actions, NULL, c->argv, env);
        if (r == 0)
                while (waitpid(pid, &status, 0) < 0)
                        if (errno != EINTR) {
                                r = errno;
                                break;
                        }
        end = now_ns();

        if (env != environ) {
                free(env[0]);
                free(env);
        }
        if (r != 0)
                return -r;
        if (c->gone)
                wait_gone(directory, c->gone);

        *ret_usec = (double) (end - start) / 1000;
        return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

/* Prints the times of one command, and the median of its ratios to the first command, round by round. */
static int contender_print(const Contender *c, const Contender *first, unsigned long runs) {
        double *sorted, *ratios;
        size_t n = 0, n_ratios = 0;

        sorted = calloc(runs, sizeof(double));
        ratios = calloc(runs, sizeof(double));
        if (!sorted || !ratios) {
                free(sorted);
                free(ratios);
                return -ENOMEM;
        }

        for (unsigned long i = 0; i < runs; i++) {
                if (c->usec[i] < 0)
                        continue;
                sorted[n++] = c->usec[i];
                if (first->usec[i] > 0)
                        ratios[n_ratios++] = c->usec[i] / first->usec[i];
        }
        double_sort(sorted, n);
        double_sort(ratios, n_ratios);

        printf("{\"label\":\"%s\",\"runs\":%zu,\"failed\":%lu,\"status\":%d,\"min_us\":%.1f,"
               "\"median_us\":%.1f,\"p95_us\":%.1f,\"paired\":%.4f}\n",
               c->label, n, c->n_failed, c->last_failure, n > 0 ? sorted[0] : 0,
               sorted_quantile(sorted, n, 0.5), sorted_quantile(sorted, n, 0.95),
               sorted_quantile(ratios, n_ratios, 0.5));
        free(sorted);
        free(ratios);
        return 0;
}

static void help(void) {
        printf("spawn-time [--runs=N] [--warmup=N] :: LABEL [OPTIONS] COMMAND [ARGUMENT...] [:: ...]\n\n"
               "Times commands side by side, from spawn to end.\n\n"
               "  --runs=N           rounds that count (default 20)\n"
               "  --warmup=N         rounds before (default 2)\n"
               "  --help\n\n"
               "For the contender they stand before:\n"
               "  --fresh=NAME=DIR   each run finds in $NAME a new directory, made in DIR\n"
               "  --gone=PATH        wait after each run until PATH in that directory is gone\n");
}

/* Fills a contender from the arguments that follow a "::". Returns 0 or negative. */
static int contender_parse(Contender *c, char *argv[]) {
        char *base;

        c->label = *argv;
        if (!c->label)
                return -EINVAL;

        for (argv++; *argv; argv++) {
                if (strncmp(*argv, "--fresh=", 8) == 0) {
                        c->fresh_name = *argv + 8;
                        base = strchr(*argv + 8, '=');
                        if (!base)
                                return -EINVAL;
                        *base = '\0';
                        c->fresh_base = base + 1;
                } else if (strncmp(*argv, "--gone=", 7) == 0)
                        c->gone = *argv + 7;
                else
                        break;
        }
        if (!*argv || (c->gone && !c->fresh_name))
                return -EINVAL;
        c->argv = argv;
        return 0;
}

int main(int argc, char *argv[]) {
        unsigned long runs = 20, warmup = 2, number = 0;
        Contender contenders[CONTENDERS_MAX] = {};
        posix_spawn_file_actions_t actions;
        size_t n = 0;
        int i, r = 0;

        for (i = 1; i < argc && strcmp(argv[i], "::") != 0; i++) {
                if (strcmp(argv[i], "--help") == 0) {
                        help();
                        return EXIT_SUCCESS;
                }
                if (strncmp(argv[i], "--runs=", 7) == 0 &&
                    parse_number(argv[i] + 7, 1, RUNS_MAX, &runs) == 0)
                        continue;
                if (strncmp(argv[i], "--warmup=", 9) == 0 &&
                    parse_number(argv[i] + 9, 0, RUNS_MAX, &warmup) == 0)
                        continue;
                fprintf(stderr, "spawn-time: %s is no option, or its number no good; --help explains\n",
                        argv[i]);
                return 2;
        }

        while (i < argc) {
                int start = ++i; /* after the "::" */

                if (n >= CONTENDERS_MAX) {
                        fprintf(stderr, "spawn-time: more than %u commands\n", CONTENDERS_MAX);
                        return 2;
                }
                while (i < argc && strcmp(argv[i], "::") != 0)
                        i++;
                argv[i] = NULL; /* the "::", or the end */
                if (start >= i || contender_parse(&contenders[n], argv + start) < 0) {
                        fprintf(stderr, "spawn-time: command %zu lacks a label, a value or a program\n",
                                n + 1);
                        return 2;
                }
                n++;
        }
        if (n == 0) {
                fprintf(stderr, "spawn-time: nothing to run; --help explains\n");
                return 2;
        }

        r = -posix_spawn_file_actions_init(&actions);
        if (r == 0)
                r = -posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
        if (r == 0)
                r = -posix_spawn_file_actions_addopen(&actions, STDOUT_FILENO, "/dev/null", O_WRONLY, 0);
        for (size_t k = 0; k < n && r == 0; k++) {
                contenders[k].usec = calloc(runs, sizeof(double));
                if (!contenders[k].usec)
                        r = -ENOMEM;
        }

        for (unsigned long round = 0; round < warmup + runs && r == 0; round++)
                for (size_t k = 0; k < n; k++) {
                        Contender *c = &contenders[round % 2 == 0 ? k : n - 1 - k];
                        double usec = -1;

                        r = contender_run(c, number++, &actions, &usec);
                        if (r < 0) {
                                fprintf(stderr, "spawn-time: cannot run %s: %s\n", c->argv[0], strerror(-r));
                                break;
                        }
                        if (r > 0) {
                                c->n_failed++;
                                c->last_failure = r;
                                usec = -1;
                        }
                        if (round >= warmup)
                                c->usec[round - warmup] = usec;
                        r = 0;
                }

        for (size_t k = 0; k < n && r == 0; k++)
                r = contender_print(&contenders[k], &contenders[0], runs);

        for (size_t k = 0; k < n; k++)
                free(contenders[k].usec);
        (void) posix_spawn_file_actions_destroy(&actions);
        if (r < 0)
                fprintf(stderr, "spawn-time: %s\n", strerror(-r));
        return r < 0 ? EXIT_FAILURE : EXIT_SUCCESS;
}
