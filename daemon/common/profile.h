/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Profiles: what a sandbox is made of. JSON in the OCI runtime specification's shape where it has the key,
 * the rest under "sentry" (sentryd-profile(5)). Hostile input: every size, depth and count is limited. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/resource.h>

#include <json-c/json.h>

#include "net/address-rules.h"

#define PROFILE_TEXT_MAX (256U * 1024U) /* bytes of one profile file or document */
#define PROFILE_EXTENDS_MAX 8U          /* how long a chain of "extends" may be */
#define PROFILE_MOUNTS_MAX 256U
#define PROFILE_ENV_MAX 4096U
#define PROFILE_HUGEPAGES_MAX 8U
#define PROFILE_THROTTLES_MAX 64U

typedef enum ProfileMountType {
        PROFILE_MOUNT_BIND,
        PROFILE_MOUNT_TMPFS,
        PROFILE_MOUNT_PROC,
        PROFILE_MOUNT_DEV,    /* a tmpfs with the harmless devices, fd, std*, pts, shm, ptmx */
        PROFILE_MOUNT_DEVPTS,
        PROFILE_MOUNT_MQUEUE,
        PROFILE_MOUNT_SYSFS,   /* that of the sandbox's network namespace, or the host's; always read-only */
        PROFILE_MOUNT_OVERLAY,
        _PROFILE_MOUNT_TYPE_MAX,
} ProfileMountType;

typedef struct ProfileMount {
        ProfileMountType type;
        char *destination; /* absolute, normalized */
        char *source;      /* BIND: absolute, normalized */
        bool read_only, nosuid, nodev, noexec, recursive; /* nosuid and nodev are always true in effect */
        char *data;        /* options for the file system (mode=, size=, hidepid=), comma-separated, or NULL */
        char **lower;      /* OVERLAY: absolute, normalized, the topmost first; at least one */
        char *upper, *work; /* OVERLAY: absolute, normalized; both NULL: what is written goes with the sandbox */
} ProfileMount;

typedef struct ProfileRlimit {
        int resource; /* RLIMIT_* */
        struct rlimit limit;
} ProfileRlimit;

typedef enum ProfileNetwork {
        PROFILE_NETWORK_NONE,    /* a network namespace with nothing up */
        PROFILE_NETWORK_PRIVATE, /* with loopback up */
        PROFILE_NETWORK_HOST,
        _PROFILE_NETWORK_MAX,
} ProfileNetwork;

typedef enum ProfileUsers {
        PROFILE_USERS_SINGLE, /* the caller alone, who is inside who he is outside */
        PROFILE_USERS_RANGE,  /* the caller as 0, and his subordinate ids (subuid(5)) from 1 on */
        PROFILE_USERS_HOST,   /* all, who are inside who they are outside; only root can give that */
        _PROFILE_USERS_MAX,
} ProfileUsers;

typedef enum ProfileLandlock {
        PROFILE_LANDLOCK_AUTO, /* for what no namespace keeps apart */
        PROFILE_LANDLOCK_OFF,
        PROFILE_LANDLOCK_FULL, /* also for what is read-only, and the ports of a sandbox without network */
        _PROFILE_LANDLOCK_MAX,
} ProfileLandlock;

typedef enum ProfileFreezer {
        PROFILE_FREEZER_AUTO,   /* the control group if there is one to be had, else ptrace */
        PROFILE_FREEZER_CGROUP,
        PROFILE_FREEZER_PTRACE,
        _PROFILE_FREEZER_MAX,
} ProfileFreezer;

typedef enum ProfileLimits {
        PROFILE_LIMITS_REQUIRED,    /* no sandbox without what linux.resources asks for */
        PROFILE_LIMITS_BEST_EFFORT, /* a warning in place of what cannot be had */
        _PROFILE_LIMITS_MAX,
} ProfileLimits;

typedef struct ProfileHugepages {
        char *page_size; /* "2MB": letters and digits */
        int64_t limit;   /* bytes; -1: none */
} ProfileHugepages;

typedef enum ProfileThrottleKind {
        PROFILE_THROTTLE_RBPS,
        PROFILE_THROTTLE_WBPS,
        PROFILE_THROTTLE_RIOPS,
        PROFILE_THROTTLE_WIOPS,
        _PROFILE_THROTTLE_KIND_MAX,
} ProfileThrottleKind;

/* sentry.mounts: what mount(2) may do inside. */
typedef struct ProfileMountCalls {
        uint32_t kinds;     /* bit (1 << MountKind); 0: the calls are refused */
        unsigned max;       /* how many mounts at a time, beside those of the launch */
        unsigned tmpfs_mib; /* the size that a tmpfs made inside has at most */
} ProfileMountCalls;

typedef struct ProfileThrottle {
        ProfileThrottleKind kind;
        int64_t major, minor, rate; /* rate: bytes or operations per second */
} ProfileThrottle;

/* linux.resources. Numbers: 0 is not set, -1 no limit (which lifts none of a group above). */
typedef struct ProfileResources {
        int64_t memory, memory_and_swap, memory_low, pids; /* memory: bytes */
        int64_t cpu_quota, cpu_period, cpu_shares;         /* microseconds; shares as in cgroups version 1 */
        int64_t io_weight;
        ProfileHugepages hugepages[PROFILE_HUGEPAGES_MAX];
        size_t n_hugepages;
        ProfileThrottle throttles[PROFILE_THROTTLES_MAX];
        size_t n_throttles;
} ProfileResources;

/* A profile, resolved (extends and overrides applied) and checked. All fields immutable after parsing. */
typedef struct Profile {
        char *hostname, *domainname; /* NULL: the host's */
        char *root_path;
        bool root_read_only;
        char *cwd; /* or NULL */
        char **env;   /* K=V, NULL-terminated, never NULL */
        char **unsetenv; /* names, NULL-terminated, never NULL */
        bool clear_env;
        uint64_t capabilities;          /* bit per CAP_*: kept natively inside the sandbox. PROFILE_USERS_HOST: of those
                                         * that the caller has, all if none are given */
        bool capabilities_given;
        uint64_t emulated_capabilities; /* bit per CAP_*: held against objects of the emulated kernel */
        ProfileRlimit *rlimits;
        size_t n_rlimits;
        ProfileMount *mounts; /* in order */
        size_t n_mounts;
        char **masked_paths; /* absolute, normalized; nothing of them is to be seen. NULL: what a mount of type "proc" has
                              * by default, and profile_masked_by_default */
        char **readonly_paths; /* absolute, normalized; or NULL */
        int namespaces; /* CLONE_NEW* the sandbox gets of its own, after "pid" and "network" are applied */
        bool pid_host;
        bool init; /* sentry-init is the first process, not the program */
        unsigned ptrace_scope; /* 0-3, as in Yama */
        unsigned nested_namespaces; /* of each type, that programs inside may make: 0 to PROFILE_NESTED_MAX */
        ProfileMountCalls mount_calls;
        ProfileNetwork network;
        bool pasta; /* with a private network: pasta(1) is its way out */
        ProfileUsers users;
        ProfileLandlock landlock;
        AddressRules addresses; /* abstract_is_shared is for who uses them to say */
        ProfileFreezer freezer;
        bool timers_emulated;
        bool pause_timers;     /* while the sandbox is paused nothing expires */
        ProfileResources resources;
        ProfileLimits limits;
        char *kernel_release, *kernel_version; /* or NULL: the host's */
        char *cpus; /* list as in cpuset(7) ("0-3,5"), or NULL */
        unsigned n_cpus; /* > 0: the first so many of the allowed ones; cpus is NULL then */
        uint32_t log_size; /* bytes of the sandbox's kernel log */
        char *description; /* or NULL */
} Profile;

Profile *profile_free(Profile *profile);
static inline void profile_freep(Profile **profile) { profile_free(*profile); }

/* What of the host is hidden where linux.maskedPaths says nothing: below each mount of type "proc", and anywhere. */
extern const char *const profile_masked_in_proc[], *const profile_masked_by_default[]; /* NULL-terminated */

/* "RLIMIT_NOFILE" and the like for 0, 1, …; NULL at the end. */
const char *profile_rlimit_name(unsigned resource);

/* One thing wrong in a profile. */
typedef struct ProfileProblem {
        char *file;    /* as the caller named it */
        unsigned line; /* from 1; 0: not known (a document without a file) */
        char *key;     /* path of the key: "sentry.network", "mounts[2].type"; "" for syntax errors */
        char *message; /* the value seen, the values allowed, what to do */
} ProfileProblem;

typedef struct ProfileProblems {
        ProfileProblem *items; /* at most 64 are kept */
        size_t n_items;
} ProfileProblems;

void profile_problems_done(ProfileProblems *problems);
/* "file:line: key: message" lines, one per problem; the caller frees. NULL only without memory. */
char *profile_problems_to_string(const ProfileProblems *problems);

/* Where profiles lie, first wins: $SENTRYD_PROFILE_PATH (colon-separated) alone when it is set and the process
 * is not privileged by setuid; else, when with_user, $XDG_CONFIG_HOME/sentryd/profiles; SYSCONFDIR/sentryd/profiles;
 * the data directory's (that beside an uninstalled binary when there is one). NULL-terminated; the caller frees. */
int profile_search_path(bool with_user, char ***ret);

/* Finds NAME.json in search_path. -ENOENT if there is none, -EINVAL for a name that is none. */
int profile_find(char *const *search_path, const char *name, char **ret_file);

/* Loads a profile by name, follows "extends", merges overrides (JSON text, or NULL) on top, checks everything.
 * Returns 0 and the merged document (a JSON text of its own that profile_parse() takes back), or -ENOENT when a
 * profile or one that it extends is missing, -EBADMSG when something is wrong with one; problems say what. */
int profile_load(char *const *search_path, const char *name, const char *overrides, char **ret_document,
                 ProfileProblems *ret_problems);

/* Checks a whole text as `profile check FILE` does: syntax, keys, types, values, without following "extends".
 * 0 or -EBADMSG. */
int profile_check(const char *text, const char *file, ProfileProblems *ret_problems);

/* Makes a Profile of a resolved document. -EBADMSG with problems when it is not valid. */
int profile_parse(const char *document, Profile **ret, ProfileProblems *ret_problems);

/* Lists all profiles of the search path: name, file, description (may be NULL) triples, sorted by name. */
typedef struct ProfileListing {
        char *name, *file, *description;
} ProfileListing;
int profile_list(char *const *search_path, ProfileListing **ret, size_t *ret_n);
ProfileListing *profile_listing_free(ProfileListing *listing, size_t n);
