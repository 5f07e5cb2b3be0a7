/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* kill, wait, pause and resume. */

#include "connect.h"
#include "sandboxes.h"

enum {
        OPTION_STATUS = OPTION_FIRST,
        OPTION_WAIT,
};

#define STATUS_KILLED 137 /* as a shell has it for SIGKILL */

/* Waits for the end of a sandbox. `gone`: that it is not there any more is an answer, too. */
static int wait_for(Ctl *ctl, const char *path, bool gone, int32_t *ret_status) {
        _cleanup_bus_message_ sd_bus_message *call = NULL, *reply = NULL;
        _cleanup_bus_error_ sd_bus_error error = SD_BUS_ERROR_NULL;
        int r;

        r = ctl_new_call(ctl, path, BUS_SANDBOX_INTERFACE, "Wait", &call);
        if (r < 0)
                return CTL_FAILED;
        r = ctl_send(ctl, call, UINT64_MAX, &error, &reply);
        if (r < 0 && gone && sd_bus_error_has_names(&error, BUS_ERROR_NO_SUCH_SANDBOX, BUS_ERROR_NOT_RUNNING,
                                                    SD_BUS_ERROR_UNKNOWN_OBJECT))
                return 0;
        if (r < 0 && !ctl->bus)
                return ctl_error("the sandbox has ended without a sentryd to tell its status");
        if (r < 0)
                return ctl_error("%s", bus_error_message(&error, ECONNRESET));
        r = sd_bus_message_read(reply, "i", ret_status);
        return r < 0 ? ctl_bad_reply("Wait", r) : 0;
}

static int kill_one(Ctl *ctl, const char *name, int status, bool wait) {
        _cleanup_free_ char *path = NULL;
        int32_t ignored;
        int r;

        r = sandbox_find(ctl, name, NULL, &path);
        if (r >= 0)
                r = ctl_call(ctl, path, BUS_SANDBOX_INTERFACE, "Kill", NULL, "i", (int32_t) status);
        return r >= 0 && wait ? wait_for(ctl, path, true, &ignored) : r;
}

static int verb_kill_main(Ctl *ctl, int argc, char **argv) {
        OptionParser parser = { .ctl = ctl, .argc = argc, .argv = argv };
        int id, r, status = STATUS_KILLED, result = 0;
        bool wait = false;

        while ((id = options_next(&parser)) > 0) {
                if (id == OPTION_WAIT)
                        wait = true;
                else if (safe_atoi(parser.value, &status) < 0 || status < 0 || status > 255)
                        return ctl_usage(ctl, "--status is a number from 0 to 255, not '%s'", parser.value);
        }
        if (id < 0)
                return id;
        r = options_check_count(ctl, argc - parser.index, 1, -1);
        if (r < 0)
                return r;

        for (int i = parser.index; i < argc; i++) {
                r = kill_one(ctl, argv[i], status, wait);
                if (r < 0)
                        result = r; /* the others all the same */
        }
        return result;
}

const Verb verb_kill = {
        .name = "kill",
        .arguments = "NAME...",
        .summary = "End sandboxes and everything in them",
        .options = (const Option[]) {
                { OPTION_STATUS, "status", 0, "N", false, "Exit status of the sandbox, 137 if not given" },
                { OPTION_WAIT, "wait", 'w', NULL, false, "Return when they have ended" },
                {},
        },
        .run = verb_kill_main,
};

static int verb_wait_main(Ctl *ctl, int argc, char **argv) {
        _cleanup_free_ char *path = NULL;
        int32_t status = 0;
        int index, r;

        index = options_only(ctl, argc, argv, 1, 1);
        if (index < 0)
                return index;
        r = sandbox_find(ctl, argv[index], NULL, &path);
        if (r >= 0)
                r = wait_for(ctl, path, false, &status);
        return r < 0 ? r : status & 0xff;
}

const Verb verb_wait = {
        .name = "wait",
        .aside = true,
        .arguments = "NAME",
        .summary = "Wait for a sandbox to end, exit with its status",
        .run = verb_wait_main,
};

/* Calls the method on every sandbox named. */
static int call_each(Ctl *ctl, int argc, char **argv, const char *member) {
        int index, r, result = 0;

        index = options_only(ctl, argc, argv, 1, -1);
        if (index < 0)
                return index;
        for (int i = index; i < argc; i++) {
                _cleanup_free_ char *path = NULL;

                r = sandbox_find(ctl, argv[i], NULL, &path);
                if (r >= 0)
                        r = sandbox_call(ctl, path, member, NULL);
                if (r < 0)
                        result = r;
        }
        return result;
}

static int verb_pause_main(Ctl *ctl, int argc, char **argv) {
        return call_each(ctl, argc, argv, "Pause");
}

static int verb_resume_main(Ctl *ctl, int argc, char **argv) {
        return call_each(ctl, argc, argv, "Resume");
}

const Verb verb_pause = {
        .name = "pause",
        .arguments = "NAME...",
        .summary = "Stop everything in sandboxes for a while; pauses nest",
        .run = verb_pause_main,
};

const Verb verb_resume = {
        .name = "resume",
        .arguments = "NAME...",
        .summary = "Undo one pause",
        .run = verb_resume_main,
};
