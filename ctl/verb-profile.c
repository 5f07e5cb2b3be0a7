/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* profile: checks a file, lists what there is, shows one with everything it extends. The daemon is asked when one
 * runs, since it may see other directories than we do; without one we look ourselves. */

#include "connect.h"
#include "profile.h"
#include "table.h"
#include "text.h"

typedef struct Listing {
        ProfileListing *items;
        size_t n;
} Listing;

static void listing_done(Listing *listing) {
        profile_listing_free(listing->items, listing->n);
}

/* In the order of ListProfiles. */
static const Column profile_columns[] = {
        { "name", "NAME", 's', COLUMN_TEXT, false, 0 },
        { "file", "FILE", 's', COLUMN_TEXT, false, 0 },
        { "description", "DESCRIPTION", 's', COLUMN_TEXT, true, 0 },
        {},
};

static int add_string(json_object *row, const char *key, const char *value) {
        json_object *string = json_object_new_string(value ?: "");

        if (!string || json_object_object_add(row, key, string) < 0) {
                json_object_put(string);
                return -ENOMEM;
        }
        return 0;
}

/* A new, empty row at the end of rows. Borrowed; NULL without memory. */
static json_object *new_row(json_object *rows) {
        json_object *row = json_object_new_object();

        if (!row || json_object_array_add(rows, row) < 0) {
                json_object_put(row);
                return NULL;
        }
        return row;
}

static int list_locally(json_object *rows) {
        _cleanup_strv_free_ char **search_path = NULL;
        _cleanup_(listing_done) Listing listing = {};
        int r;

        r = profile_search_path(geteuid() != 0, &search_path);
        if (r >= 0)
                r = profile_list(search_path, &listing.items, &listing.n);
        if (r < 0)
                return ctl_error("cannot list the profiles: %s", strerror(-r));
        for (size_t i = 0; i < listing.n; i++) {
                json_object *row = new_row(rows);

                if (!row || add_string(row, "name", listing.items[i].name) < 0 ||
                    add_string(row, "file", listing.items[i].file) < 0 ||
                    add_string(row, "description", listing.items[i].description) < 0)
                        return ctl_oom();
        }
        return 0;
}

static int profile_list_main(Ctl *ctl) {
        _cleanup_bus_message_ sd_bus_message *reply = NULL;
        _cleanup_json_ json_object *rows = json_object_new_array();
        int r;

        if (!rows)
                return ctl_oom();
        r = ctl_connect(ctl, CONNECT_RUNNING);
        if (r < 0)
                return r;
        if (ctl->bus) {
                r = ctl_call(ctl, BUS_MANAGER_PATH, BUS_MANAGER_INTERFACE, "ListProfiles", &reply, NULL);
                if (r < 0)
                        return r;
                r = table_read(rows, profile_columns, reply, NULL);
                if (r < 0)
                        return ctl_bad_reply("ListProfiles", r);
        } else {
                r = list_locally(rows);
                if (r < 0)
                        return r;
        }
        r = table_print(ctl, profile_columns, rows);
        if (r >= 0 && json_object_array_length(rows) == 0)
                ctl_notice(ctl, "No profiles.");
        return r;
}

static const Column problem_columns[] = {
        { "file", NULL, 0, COLUMN_TEXT, false, 0 },
        { "line", NULL, 0, COLUMN_NUMBER, false, 0 },
        { "key", NULL, 0, COLUMN_TEXT, false, 0 },
        { "message", NULL, 0, COLUMN_TEXT, false, 0 },
        {},
};

/* "file:line: key: message", one by one: each may name what the file has in it. */
static int print_problems(FILE *stream, ProfileProblems *problems) {
        _cleanup_free_ char *text = profile_problems_to_string(problems);
        char *state = NULL;

        if (!text)
                return ctl_oom();
        for (char *line = strtok_r(text, "\n", &state); line; line = strtok_r(NULL, "\n", &state)) {
                _cleanup_free_ char *safe = text_escape(line, ESCAPE_TERMINAL);

                fprintf(stream, "%s\n", safe ?: "");
        }
        return 0;
}

static int show_locally(const char *name, char **ret) {
        _cleanup_strv_free_ char **search_path = NULL;
        ProfileProblems problems = {};
        int r;

        r = profile_search_path(geteuid() != 0, &search_path);
        if (r >= 0)
                r = profile_load(search_path, name, NULL, ret, &problems);
        if (r >= 0)
                goto finish;
        if (problems.n_items > 0 && print_problems(stderr, &problems) >= 0)
                r = CTL_FAILED; /* they say all there is to say */
        else
                r = ctl_error("the profile '%s' cannot be used: %s", name, strerror(-r));
finish:
        profile_problems_done(&problems);
        return r;
}

static int profile_show_main(Ctl *ctl, const char *name) {
        _cleanup_bus_message_ sd_bus_message *reply = NULL;
        _cleanup_json_ json_object *document = NULL;
        _cleanup_free_ char *local = NULL;
        const char *text;
        int r;

        r = ctl_connect(ctl, CONNECT_RUNNING);
        if (r < 0)
                return r;
        if (ctl->bus) {
                r = ctl_call(ctl, BUS_MANAGER_PATH, BUS_MANAGER_INTERFACE, "GetProfile", &reply, "s", name);
                if (r < 0)
                        return r;
                r = sd_bus_message_read(reply, "s", &text);
                if (r < 0)
                        return ctl_bad_reply("GetProfile", r);
        } else {
                r = show_locally(name, &local);
                if (r < 0)
                        return r;
                text = local;
        }

        document = json_tokener_parse(text);
        if (!document)
                return ctl_bad_reply("GetProfile", -EBADMSG);
        if (ctl->json == JSON_OFF)
                ctl->json = JSON_PRETTY; /* it has no other form */
        return json_print(ctl, NULL, document);
}

static int read_profile(const char *file, bool is_stdin, char **ret) {
        size_t size;
        int r;

        r = is_stdin ? read_full_fd(STDIN_FILENO, PROFILE_TEXT_MAX, ret, &size) :
                       read_full_file(file, PROFILE_TEXT_MAX, ret, &size);
        if (r == -EFBIG)
                return ctl_error("%s: larger than %u bytes, the most a profile may have", file, PROFILE_TEXT_MAX);
        if (r == -EINVAL && !is_stdin)
                return ctl_error("%s: this is no regular file (to check the output of a program, pipe it to "
                                 "\"sentryctl profile check -\")", file);
        if (r == -ENOENT && !strchr(file, '/'))
                return ctl_error("%s: there is no such file (for a profile by its name: sentryctl profile show %s)",
                                 file, file);
        if (r < 0)
                return ctl_error("%s: %s", file, strerror(-r));
        if (strlen(*ret) != size)
                return ctl_error("%s: this is not text: it has a NUL byte at position %zu", file, strlen(*ret));
        return 0;
}

/* Checks one file. Appends its problems to rows for JSON, prints them otherwise. Returns how many, or negative. */
static int check_file(Ctl *ctl, const char *file, json_object *rows) {
        _cleanup_(profile_problems_done) ProfileProblems problems = {};
        _cleanup_free_ char *text = NULL;
        bool is_stdin = streq(file, "-");
        int r;

        if (is_stdin)
                file = "stdin";
        r = read_profile(file, is_stdin, &text);
        if (r < 0)
                return r;
        r = profile_check(text, file, &problems);
        if (r < 0 && r != -EBADMSG)
                return ctl_error("%s: %s", file, strerror(-r));
        if (ctl->json == JSON_OFF && print_problems(stdout, &problems) < 0)
                return CTL_FAILED;

        for (size_t i = 0; ctl->json != JSON_OFF && i < problems.n_items; i++) {
                const ProfileProblem *problem = problems.items + i;
                json_object *row = new_row(rows);

                if (!row || add_string(row, "file", problem->file) < 0 ||
                    json_object_object_add(row, "line", json_object_new_uint64(problem->line)) < 0 ||
                    add_string(row, "key", problem->key) < 0 || add_string(row, "message", problem->message) < 0)
                        return ctl_oom();
        }
        if (r >= 0)
                ctl_notice(ctl, "%s: no problems", file);
        return r < 0 ? 1 : 0;
}

static int profile_check_main(Ctl *ctl, char **files) {
        _cleanup_json_ json_object *rows = json_object_new_array();
        int r, result = 0;

        if (!rows)
                return ctl_oom();
        for (; *files; files++) {
                r = check_file(ctl, *files, rows);
                if (r != 0)
                        result = CTL_FAILED;
        }
        if (ctl->json != JSON_OFF && json_print(ctl, problem_columns, rows) < 0)
                return CTL_FAILED;
        return result;
}

static int verb_profile_main(Ctl *ctl, int argc, char **argv) {
        TextNearest nearest;
        const char *command;
        int index, count;

        index = options_only(ctl, argc, argv, 1, -1);
        if (index < 0)
                return index;
        command = argv[index++];
        count = argc - index;

        if (streq(command, "check"))
                return count < 1 ? ctl_usage(ctl, "profile check needs the name of a file") :
                                   profile_check_main(ctl, argv + index);
        if (streq(command, "list"))
                return count > 0 ? ctl_usage(ctl, "profile list takes no arguments") : profile_list_main(ctl);
        if (streq(command, "show"))
                return count != 1 ? ctl_usage(ctl, "profile show needs the name of one profile") :
                                    profile_show_main(ctl, argv[index]);

        nearest = TEXT_NEAREST_INIT(command);
        text_nearest_offer(&nearest, "check");
        text_nearest_offer(&nearest, "list");
        text_nearest_offer(&nearest, "show");
        if (nearest.best)
                return ctl_usage(ctl, "profile does not know '%s', did you mean '%s'?", command, nearest.best);
        return ctl_usage(ctl, "profile does not know '%s', only check, list and show", command);
}

const Verb verb_profile = {
        .name = "profile",
        .arguments = "check FILE... | list | show NAME",
        .summary = "Check, list or show profiles",
        .details = "Example:\n"
                   "  sentryctl profile check web.json\n"
                   "prints FILE:LINE: KEY: MESSAGE per problem; exits with 1 if there is any.\n",
        .lists = true,
        .pages = true,
        .run = verb_profile_main,
};
