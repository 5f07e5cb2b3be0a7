/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* top: what the tasks of sandboxes do, sample after sample. */

#include <inttypes.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <time.h>

#include "connect.h"
#include "sandboxes.h"
#include "tasks.h"
#include "text.h"
#include "util.h"

enum {
        OPTION_BATCH = OPTION_FIRST,
        OPTION_COUNT,
        OPTION_INTERVAL,
};

static const Option top_options[] = {
        { OPTION_BATCH, "batch", 'b', NULL, false, "Print one sample after the other, as when not on a terminal" },
        { OPTION_COUNT, "count", 'n', "COUNT", false, "End after so many samples" },
        { OPTION_INTERVAL, "interval", 'd', "SECONDS", false, "Time between samples, 0.1 to 3600 (default 1)" },
        {},
};

typedef struct Top {
        Ctl *ctl;
        char *name, *path;      /* owned; of the only sandbox wanted, or NULL */
        json_object *tasks, *sandboxes;   /* owned: of this sample */
        json_object *old_tasks, *old_sandboxes; /* owned: of the one before; keyed */
        uint64_t when, old_when; /* µs of CLOCK_MONOTONIC */
        bool screen;            /* redraws a terminal */
        struct termios termios; /* as the terminal was */
} Top;

static volatile sig_atomic_t signalled; /* the signal that ends us */

static void on_signal(int signo) {
        if (signo != SIGWINCH)
                signalled = signo;
}

static uint64_t monotonic(void) {
        struct timespec ts;

        (void) clock_gettime(CLOCK_MONOTONIC, &ts);
        return (uint64_t) ts.tv_sec * 1000000 + (uint64_t) ts.tv_nsec / 1000;
}

static uint64_t number(json_object *object, const char *key) {
        return json_object_get_uint64(json_object_object_get(object, key));
}

static const char *string(json_object *object, const char *key) {
        return json_object_get_string(json_object_object_get(object, key)) ?: "";
}

static int put(json_object *object, const char *key, json_object *value) {
        if (!value || json_object_object_add(object, key, value) < 0) {
                json_object_put(value);
                return -ENOMEM;
        }
        return 0;
}

/* The growth of a number since the last sample, a second; since_usec is how long it has grown if there was none. */
static double rate(const Top *top, json_object *now, json_object *before, const char *key, uint64_t since_usec) {
        uint64_t value = number(now, key), old = before ? number(before, key) : 0;
        uint64_t span = before ? top->when - top->old_when : since_usec;

        return value > old && span > 0 ? (double) (value - old) * 1e6 / (double) span : 0;
}

/* Which task this is: ids are given again. */
static void task_key(json_object *task, char buffer[static 160]) {
        (void) snprintf(buffer, 160, "%s %" PRIu64 " %" PRIu64, string(task, "sandbox"), number(task, "pid"),
                        number(task, "started"));
}

/* Adds "cpu", in percent of one CPU, to each task. */
static int rate_tasks(Top *top) {
        _cleanup_json_ json_object *keyed = json_object_new_object();
        uint64_t now = text_now();

        if (!keyed)
                return -ENOMEM;
        for (size_t i = 0; i < json_object_array_length(top->tasks); i++) {
                json_object *task = json_object_array_get_idx(top->tasks, i), *before;
                uint64_t started = number(task, "started");
                char key[160];
                double cpu;

                task_key(task, key);
                before = top->old_tasks ? json_object_object_get(top->old_tasks, key) : NULL;
                cpu = rate(top, task, before, "cpu_usec", now > started ? now - started : 1) / 1e4;
                if (put(task, "cpu", json_object_new_double(cpu)) < 0 || put(keyed, key, json_object_get(task)) < 0)
                        return -ENOMEM;
        }
        json_object_put(top->old_tasks);
        top->old_tasks = TAKE_PTR(keyed);
        return 0;
}

static int by_cpu(const void *a, const void *b) {
        json_object *x = *(json_object *const *) a, *y = *(json_object *const *) b;
        double left = json_object_get_double(json_object_object_get(x, "cpu"));
        double right = json_object_get_double(json_object_object_get(y, "cpu"));

        if (left != right)
                return left < right ? 1 : -1;
        if (number(x, "cpu_usec") != number(y, "cpu_usec"))
                return number(x, "cpu_usec") < number(y, "cpu_usec") ? 1 : -1;
        return (number(x, "pid") > number(y, "pid")) - (number(x, "pid") < number(y, "pid"));
}

/* Takes the figures of one sandbox; one that has ended has none. */
static int sample_sandbox(Top *top, const char *name, const char *path, json_object *keyed) {
        _cleanup_bus_message_ sd_bus_message *call = NULL, *reply = NULL;
        _cleanup_bus_error_ sd_bus_error error = SD_BUS_ERROR_NULL;
        _cleanup_json_ json_object *facts = NULL;
        double cpu, kernel_cpu;
        json_object *before, *row;
        size_t n = json_object_array_length(top->tasks);
        uint64_t uptime;

        if (ctl_new_call(top->ctl, path, BUS_SANDBOX_INTERFACE, "GetStatistics", &call) < 0)
                return CTL_FAILED;
        if (ctl_send(top->ctl, call, 0, &error, &reply) < 0) {
                if (sd_bus_error_has_names(&error, BUS_ERROR_NO_SUCH_SANDBOX, BUS_ERROR_NOT_RUNNING,
                                           SD_BUS_ERROR_UNKNOWN_OBJECT))
                        return 0;
                return ctl_error("%s", bus_error_message(&error, EIO));
        }
        if (json_from_message(reply, &facts) < 0)
                return ctl_bad_reply("GetStatistics", EBADMSG);
        if (tasks_get(top->ctl, path, name, 0, true, top->tasks) < 0)
                return CTL_FAILED;

        before = top->old_sandboxes ? json_object_object_get(top->old_sandboxes, name) : NULL;
        uptime = number(facts, "UptimeUSec");
        cpu = rate(top, facts, before, "SandboxCPUTimeUSec", uptime) / 1e4;
        kernel_cpu = rate(top, facts, before, "CPUTimeUSec", uptime) / 1e4;
        row = json_object_new_object();
        if (!row || json_object_array_add(top->sandboxes, row) < 0)
                return ctl_oom();
        if (put(row, "sandbox", json_object_new_string(name)) < 0 ||
            put(row, "tasks", json_object_new_uint64(json_object_array_length(top->tasks) - n)) < 0 ||
            put(row, "threads", json_object_new_uint64(number(facts, "Threads"))) < 0 ||
            put(row, "cpu", json_object_new_double(cpu)) < 0 ||
            put(row, "cpu_usec", json_object_new_uint64(number(facts, "SandboxCPUTimeUSec"))) < 0 ||
            put(row, "calls_per_second", json_object_new_double(rate(top, facts, before, "Calls", uptime))) < 0 ||
            put(row, "kernel_cpu", json_object_new_double(kernel_cpu)) < 0 ||
            put(keyed, name, json_object_get(facts)) < 0)
                return ctl_oom();
        return 0;
}

static int sample(Top *top) {
        _cleanup_json_ json_object *keyed = json_object_new_object(), *all = NULL;
        int r = 0;

        json_object_put(top->tasks);
        json_object_put(top->sandboxes);
        top->tasks = json_object_new_array();
        top->sandboxes = json_object_new_array();
        if (!keyed || !top->tasks || !top->sandboxes)
                return ctl_oom();
        top->old_when = top->when;
        top->when = monotonic();

        if (top->path)
                r = sample_sandbox(top, top->name, top->path, keyed);
        else {
                r = sandboxes_list(top->ctl, &all);
                for (size_t i = 0; r >= 0 && i < json_object_array_length(all); i++) {
                        json_object *sandbox = json_object_array_get_idx(all, i);

                        r = sample_sandbox(top, string(sandbox, "name"), string(sandbox, "path"), keyed);
                }
        }
        if (r < 0)
                return r;
        if (rate_tasks(top) < 0)
                return ctl_oom();
        json_object_put(top->old_sandboxes);
        top->old_sandboxes = TAKE_PTR(keyed);
        json_object_array_sort(top->tasks, by_cpu);
        return 0;
}

/* Prints a line, cut to the width of the screen in characters. Tells whether there is room for more. */
static bool print_line(const Top *top, const char *line, int width, int *left) {
        size_t n = 0;
        int shown = 0;

        if (!top->screen) {
                puts(line);
                return true;
        }
        if (*left <= 0)
                return false;
        while (line[n] && shown < width) {
                n++;
                while ((line[n] & 0xc0) == 0x80)
                        n++;
                shown++;
        }
        printf("%.*s\033[K", (int) n, line);
        if (--*left > 0)
                fputs("\r\n", stdout);
        return *left > 0;
}

static char *task_line(const Top *top, json_object *task) {
        _cleanup_free_ char *comm = text_escape(string(task, "comm"), ESCAPE_TERMINAL);
        char *line = NULL, name[24] = "";

        if (!top->path)
                (void) snprintf(name, sizeof(name), "%-14.14s ", string(task, "sandbox"));
        if (asprintf(&line, "%s%7" PRIu64 " %5" PRIu64 " %s %6.1f %8s %4" PRIu64 " %s", name, number(task, "pid"),
                     number(task, "uid"), string(task, "state"),
                     json_object_get_double(json_object_object_get(task, "cpu")), string(task, "TIME"),
                     number(task, "threads"), comm ?: "?") < 0)
                return NULL;
        return line;
}

static int draw(Top *top) {
        struct winsize size = { .ws_row = 24, .ws_col = 80 };
        int width, left;
        bool room = true;
        char line[256];

        if (top->screen) {
                (void) ioctl(STDOUT_FILENO, TIOCGWINSZ, &size);
                fputs("\033[H", stdout);
        }
        width = size.ws_col > 0 ? size.ws_col : 80;
        left = size.ws_row > 0 ? size.ws_row : 24;

        for (size_t i = 0; room && i < json_object_array_length(top->sandboxes); i++) {
                json_object *s = json_object_array_get_idx(top->sandboxes, i);

                (void) snprintf(line, sizeof(line), "%s: %" PRIu64 " tasks, %" PRIu64 " threads, %.1f%% CPU, "
                                "%.0f calls/s (%.1f%% CPU)", string(s, "sandbox"), number(s, "tasks"),
                                number(s, "threads"), json_object_get_double(json_object_object_get(s, "cpu")),
                                json_object_get_double(json_object_object_get(s, "calls_per_second")),
                                json_object_get_double(json_object_object_get(s, "kernel_cpu")));
                room = print_line(top, line, width, &left);
        }
        if (json_object_array_length(top->sandboxes) == 0)
                room = print_line(top, "No sandboxes.", width, &left);
        room = room && print_line(top, "", width, &left);
        if (top->ctl->legend) {
                (void) snprintf(line, sizeof(line), "%s    PID   UID S   %%CPU     TIME THRD COMM",
                                top->path ? "" : "NAME           ");
                room = room && print_line(top, line, width, &left);
        }
        for (size_t i = 0; room && i < json_object_array_length(top->tasks); i++) {
                _cleanup_free_ char *text = task_line(top, json_object_array_get_idx(top->tasks, i));

                if (!text)
                        return ctl_oom();
                room = print_line(top, text, width, &left);
        }
        if (top->screen)
                fputs("\033[J", stdout);
        return fflush(stdout) == 0 ? 0 : ctl_error("the output could not be written: %s", strerror(errno));
}

static int print_json(Top *top) {
        _cleanup_json_ json_object *document = json_object_new_object();
        int r;

        for (size_t i = 0; i < json_object_array_length(top->tasks); i++) {
                json_object *task = json_object_array_get_idx(top->tasks, i);

                json_object_object_del(task, "TIME"); /* for people */
                json_object_object_del(task, "exe");  /* not asked for: it costs */
        }
        if (!document || put(document, "time", json_object_new_uint64(text_now())) < 0 ||
            put(document, "sandboxes", json_object_get(top->sandboxes)) < 0 ||
            put(document, "tasks", json_object_get(top->tasks)) < 0)
                return ctl_oom();
        r = json_print(top->ctl, NULL, document);
        return r < 0 ? r : fflush(stdout) == 0 ? 0 : CTL_FAILED;
}

/* Waits for the next sample. 1: take it; 0: the person has had enough. A key or another size of the screen redraws. */
static int await(Top *top, uint64_t until) {
        struct pollfd fd = { .fd = top->screen ? STDIN_FILENO : -1, .events = POLLIN };
        char keys[64];

        for (;;) {
                uint64_t now = monotonic();
                ssize_t n;

                if (signalled)
                        return 0;
                if (now >= until)
                        return 1;
                n = poll(&fd, 1, (int) ((until - now + 999) / 1000));
                if (n < 0 && errno == EINTR && top->screen && !signalled)
                        (void) draw(top);
                if (n <= 0)
                        continue;
                n = read(STDIN_FILENO, keys, sizeof(keys));
                if (n <= 0)
                        return 0;
                if (memchr(keys, 'q', (size_t) n) || memchr(keys, 3, (size_t) n))
                        return 0;
                if (memchr(keys, ' ', (size_t) n))
                        return 1;
        }
}

static void screen_begin(Top *top) {
        struct termios raw;

        if (tcgetattr(STDIN_FILENO, &top->termios) < 0) {
                top->screen = false;
                return;
        }
        raw = top->termios;
        raw.c_lflag &= ~(tcflag_t) (ICANON | ECHO);
        (void) tcsetattr(STDIN_FILENO, TCSANOW, &raw);
        fputs("\033[?1049h\033[?25l", stdout); /* another screen, no cursor */
}

static void screen_end(Top *top) {
        fputs("\033[?25h\033[?1049l", stdout);
        (void) fflush(stdout);
        (void) tcsetattr(STDIN_FILENO, TCSANOW, &top->termios);
}

static void catch_signals(void) {
        static const int signals[] = { SIGINT, SIGTERM, SIGHUP, SIGWINCH };
        struct sigaction action = { .sa_handler = on_signal }; /* no SA_RESTART: poll() is to return */

        for (size_t i = 0; i < ELEMENTSOF(signals); i++)
                (void) sigaction(signals[i], &action, NULL);
}

static int run(Top *top, uint64_t count, uint64_t interval_usec) {
        uint64_t next = monotonic();
        int r = 0;

        for (uint64_t i = 0; count == 0 || i < count; i++) {
                if (i > 0) {
                        next += interval_usec;
                        if (await(top, next) == 0)
                                break;
                        if (monotonic() < next)
                                next = monotonic(); /* asked for early */
                        if (!top->screen && top->ctl->json == JSON_OFF)
                                putchar('\n');
                }
                r = sample(top);
                if (r >= 0)
                        r = top->ctl->json != JSON_OFF ? print_json(top) : draw(top);
                if (r < 0)
                        break;
                /* Of the one that is watched nothing more will come. */
                if (top->path && json_object_array_length(top->sandboxes) == 0)
                        break;
        }
        return r;
}

static int verb_top_main(Ctl *ctl, int argc, char **argv) {
        OptionParser parser = { .ctl = ctl, .argc = argc, .argv = argv };
        Top top = { .ctl = ctl };
        double interval = 1;
        unsigned long count = 0;
        bool batch = false;
        char *end;
        int r;

        while ((r = options_next(&parser)) > 0)
                switch (r) {
                case OPTION_BATCH:
                        batch = true;
                        break;
                case OPTION_COUNT:
                        count = strtoul(parser.value, &end, 10);
                        if (*end || end == parser.value || count == 0 || *parser.value == '-')
                                return ctl_usage(ctl, "--count is a number from 1, not '%s'", parser.value);
                        break;
                default: /* OPTION_INTERVAL */
                        interval = strtod(parser.value, &end);
                        if (*end || end == parser.value || !(interval >= 0.1 && interval <= 3600))
                                return ctl_usage(ctl, "--interval is 0.1 to 3600 seconds, not '%s'", parser.value);
                }
        if (r >= 0)
                r = options_check_count(ctl, argc - parser.index, 0, 1);
        if (r < 0)
                return r;

        if (parser.index < argc)
                r = sandbox_find(ctl, argv[parser.index], &top.name, &top.path);
        else
                r = ctl_connect(ctl, CONNECT_RUNNING);
        if (r >= 0) {
                if (ctl->json == JSON_PRETTY)
                        ctl->json = JSON_SHORT; /* one sample, one line */
                top.screen = !batch && ctl->json == JSON_OFF && isatty(STDIN_FILENO) && isatty(STDOUT_FILENO);
                catch_signals();
                if (top.screen)
                        screen_begin(&top);
                r = run(&top, count, (uint64_t) (interval * 1e6));
                if (top.screen)
                        screen_end(&top);
        }
        json_object_put(top.tasks);
        json_object_put(top.sandboxes);
        json_object_put(top.old_tasks);
        json_object_put(top.old_sandboxes);
        free(top.name);
        free(top.path);
        return r < 0 ? r : 0;
}

const Verb verb_top = {
        .name = "top",
        .arguments = "[NAME]",
        .summary = "Watch the tasks, CPU time and calls of sandboxes",
        .details = "On a terminal: q ends, the space bar takes a sample at once. The calls are those that\n"
                   "sentry-kernel answers; the CPU time in brackets is its own.\n",
        .options = top_options,
        .live = true,
        .run = verb_top_main,
};
