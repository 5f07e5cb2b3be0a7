/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Save(): sentry-imager does it, which this starts, answers, and tidies up after. */

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include <systemd/sd-bus.h>
#include <systemd/sd-event.h>

typedef struct Sentry Sentry;

typedef enum SaveStatus {
        SAVE_NEVER,
        SAVE_SAVING,
        SAVE_SAVED,
        SAVE_FAILED,
        _SAVE_STATUS_MAX,
} SaveStatus;

typedef struct Saver {
        Sentry *sentry;            /* lookup only */
        SaveStatus status;         /* not recorded: a restored sandbox was never saved */
        char *message;             /* owned: why the last one failed; NULL */

        /* While one is under way */
        sd_bus_message *call;      /* owned: to be answered */
        sd_bus_message *reply;     /* owned: the answer, sent when the imager is gone and another save may begin; or NULL */
        char *name;                /* owned: what the image will be called */
        bool leave_running;
        int directory_fd;          /* owned, where it will lie */
        int control_fd;            /* owned */
        int records_fd;            /* owned: memfd */
        int pidfd;                 /* owned: of sentry-imager */
        pid_t pid;
        sd_event_source *source;   /* owned: control_fd */
        int lifeline_fd;           /* owned; -EBADF: nobody takes the save back … */
        sd_event_source *lifeline_source; /* owned: … when its other end is closed */
        bool taken_back;
        bool clocks_stopped;       /* the emulated ones */
        bool answered;             /* DONE or FAILED has come */
        bool ending;               /* it is saved, and ends */
} Saver;

void saver_init(Saver *saver, Sentry *sentry);
void saver_done(Saver *saver);
static inline bool saver_is_busy(const Saver *saver) { return saver->call != NULL || saver->pidfd >= 0; }
/* Whether a process is one of ours, and none of the sandbox's. */
bool saver_is_child(const Saver *saver, pid_t pid);

int kernel_method_save(sd_bus_message *m, void *userdata, sd_bus_error *error);
int kernel_property_save(sd_bus *bus, const char *path, const char *interface, const char *property, sd_bus_message *reply,
                         void *userdata, sd_bus_error *error);
