/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Changes to a profile's document, as the options of run and exec ask for them. A document may be empty (then it is
 * merged onto a profile as overrides) or whole. Functions return 0 or a negative errno, or CTL_USAGE where they
 * look at what a person wrote and have told what is wrong with it. */

#include <json-c/json.h>

#include "ctl.h"

/* Sets a string. section NULL: at the top. */
int document_set_string(json_object *document, const char *section, const char *key, const char *value);

int document_set_boolean(json_object *document, const char *section, const char *key, bool value);

/* "K=V"; or "K", which takes the value from our own environment and does nothing when it is not there. */
int document_set_env(Ctl *ctl, json_object *document, const char *assignment);

/* Takes a variable out of process.env and has it removed from the environment that the program inherits. */
int document_unset_env(Ctl *ctl, json_object *document, const char *name);

/* Sets process.capabilities to a list of names with commas between, which may be empty. */
int document_set_capabilities(json_object *document, const char *list);

/* Sets a limit of process.rlimits, of either value a reference of its own. */
int document_set_rlimit(json_object *document, const char *name, json_object *soft, json_object *hard);

/* "SRC[:DST]", either relative to the current directory; a colon in a name is written "\:". */
int document_bind(Ctl *ctl, json_object *document, const char *option, const char *spec, bool read_only);
int document_tmpfs(Ctl *ctl, json_object *document, const char *destination);

/* An absolute, normalized path of what a person gave as the value of an option. 0 or CTL_USAGE or CTL_FAILED. */
int path_from_option(Ctl *ctl, const char *option, const char *value, char **ret);
