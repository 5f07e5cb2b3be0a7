/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Fuzzing the profile decoder: any bytes are a good profile or a bad one with reasons, never a crash, and what is
 * good comes back the same. With -DLIBFUZZER this is a target for libFuzzer; otherwise a program of its own:
 *
 *         fuzz-profile [-n RUNS] [-s SEED] [FILE…]
 *
 * runs over mutations of the files (or of documents that it knows); a FILE with -n 0 is run as it is, which is how
 * a finding is replayed. */

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "profile-internal.h"
#include "profile.h"
#include "util.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* A profile for the input to be laid over, in a directory that lives as long as the process. */
static char directory[] = "/tmp/fuzz-profile-XXXXXX";
static char base_file[sizeof directory + sizeof "/base.json"];
static char *search_path[] = { NULL, NULL };

static const char base[] = "{ \"hostname\": \"base\", \"process\": { \"env\": [ \"A=1\", \"B=2\" ] }, \"mounts\": [ { "
                           "\"destination\": \"/tmp\", "
                           "\"type\": \"tmpfs\" }, { \"destination\": \"/x\", \"type\": \"bind\", \"source\": \"/y\" "
                           "} ], \"sentry\": { \"network\": "
                           "\"none\", \"cpus\": 2 } }";

static const char *const seeds[] = {
        "{}",
        base,
        "{\n  \"hostname\": \"h\", \"domainname\": \"d\",\n  \"root\": { \"path\": \"/srv\", \"readonly\": false },\n"
        "  \"process\": { \"cwd\": \"/w\", \"env\": [ \"A=1\", \"C=3\" ], \"capabilities\": [ \"CAP_CHOWN\" ],\n"
        "    \"rlimits\": [ { \"type\": \"RLIMIT_NOFILE\", \"soft\": 10, \"hard\": \"infinity\" } ], "
        "\"noNewPrivileges\": true },\n"
        "  \"mounts\": [ { \"destination\": \"/tmp\", \"type\": \"tmpfs\", \"options\": [ \"noexec\", \"mode=1777\", "
        "\"size=64m\" ] },\n"
        "    { \"destination\": \"/proc\", \"type\": \"proc\" } ],\n"
        "  \"linux\": { \"namespaces\": [ { \"type\": \"user\" }, { \"type\": \"mount\" }, { \"type\": \"network\" } "
        "] },\n"
        "  \"sentry\": { \"kernelRelease\": \"6.1\", \"cpus\": \"0-3,5\", \"pid\": \"host\", \"network\": "
        "\"private\",\n"
        "    \"emulatedCapabilities\": [ \"CAP_SYSLOG\" ], \"logSize\": 4096, \"env\": \"clear\", \"unsetenv\": [ "
        "\"C\" ],\n"
        "    \"description\": \"\\u00e4\\ud83d\\ude00\" }\n}\n",
        "{ \"sentry\": { \"extends\": \"base\", \"netwrok\": 1, \"cpus\": 99999999999999999999 }, \"a\": [[[[1]]]], "
        "\"a\": null }",
};

__attribute__((noreturn)) static void die(const char *what) {
        fprintf(stderr, "fuzz-profile: %s\n", what);
        abort();
}

static void clean_up(void) {
        unlink(base_file);
        rmdir(directory);
}

static void set_up(void) {
        if (search_path[0])
                return;

        if (!mkdtemp(directory))
                die("cannot make a directory");
        search_path[0] = directory;
        snprintf(base_file, sizeof base_file, "%s/base.json", directory);
        atexit(clean_up);

        FILE *f = fopen(base_file, "we");
        if (!f || fputs(base, f) < 0 || fclose(f) != 0)
                die("cannot write the base");
}

static void check_problems(int r, const ProfileProblems *problems) {
        if (r != 0 && r != -EBADMSG)
                die("neither good nor bad");
        if ((r == 0) != (problems->n_items == 0))
                die("bad without a problem, or good with one");
        if (problems->n_items > PROFILE_PROBLEMS_MAX)
                die("too many problems");

        for (size_t i = 0; i < problems->n_items; i++) {
                const ProfileProblem *p = &problems->items[i];

                if (utf8_valid_length(p->message, strlen(p->message)) != strlen(p->message) ||
                    utf8_valid_length(p->key, strlen(p->key)) != strlen(p->key))
                        die("a problem that is not UTF-8");
                if (strlen(p->message) > 2048 || strlen(p->key) > 4096)
                        die("a problem without end");
                for (const char *c = p->message; *c; c++)
                        if ((unsigned char) *c < ' ')
                                die("a problem with control characters");
                if (startswith(p->message, "json-c:"))
                        die("json-c refuses what the scanner takes");
        }

        _cleanup_free_ char *text = profile_problems_to_string(problems);
        if (!text)
                die("no memory");
}

/* A resolved document is a profile, and merging nothing with it changes nothing. */
static void check_resolved(const char *document) {
        _cleanup_(profile_problems_done) ProfileProblems problems = {};
        _cleanup_(profile_freep) Profile *profile = NULL;

        if (profile_parse(document, &profile, &problems) != 0)
                die("what was resolved cannot be parsed");
        if (!profile->hostname || !profile->domainname || !profile->root_path || !profile->env || !profile->unsetenv)
                die("a field is missing");
        for (size_t i = 0; i < profile->n_mounts; i++)
                if (profile->mounts[i].destination[0] != '/' ||
                    (profile->mounts[i].type == PROFILE_MOUNT_BIND) != (profile->mounts[i].source != NULL))
                        die("a mount that is not whole");
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
        _cleanup_free_ char *text = malloc(size + 1);

        set_up();
        if (!text)
                die("no memory");
        if (size > 0)
                memcpy(text, data, size);
        text[size] = '\0';

        ProfileProblems problems = {};
        int r = profile_check_text(text, size, "fuzz", &problems);
        check_problems(r, &problems);
        profile_problems_done(&problems);

        /* The other ways in take C strings. */
        if (strlen(text) != size)
                return 0;

        _cleanup_(profile_freep) Profile *profile = NULL;
        r = profile_parse(text, &profile, &problems);
        check_problems(r, &problems);
        if ((r == 0) != (profile != NULL))
                die("a profile without success, or the other way round");
        profile_problems_done(&problems);

        _cleanup_free_ char *document = NULL;
        r = profile_load(search_path, "base", text, &document, &problems);
        check_problems(r, &problems);
        profile_problems_done(&problems);
        if (r == 0)
                check_resolved(document);
        return 0;
}

#ifndef LIBFUZZER
static uint64_t random_state;

static uint32_t random_number(void) {
        random_state ^= random_state << 13;
        random_state ^= random_state >> 7;
        random_state ^= random_state << 17;
        return (uint32_t) (random_state >> 32);
}

static size_t mutate(uint8_t *text, size_t size, size_t capacity) {
        static const char *const pieces[] = {
                "{",
                "}",
                "[",
                "]",
                ":",
                ",",
                "\"",
                "\\u0000",
                "\\ud800",
                "\\",
                "null",
                "true",
                "false",
                "-1",
                "0",
                "1e999",
                "1.5",
                "18446744073709551615",
                "99999999999999999999",
                "\xFF",
                "\xC3",
                "\xED\xA0\x80",
                "\n",
                "{\"\":[",
                "//",
                "/*",
                "\"mounts\":",
                "\"sentry\":",
                "\"extends\":\"base\"",
                "\"type\":\"bind\"",
                "\"options\":[\"ro\"]",
                "..",
                "/",
                "\"process\":{\"env\":[\"A=2\"]}",
                "[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[",
        };

        for (uint32_t i = random_number() % 8 + 1; i > 0; i--) {
                size_t at = size ? random_number() % size : 0, n = random_number() % 48, to;

                n = MIN(n, size - at);
                switch (random_number() % 6) {
                case 0:
                        if (size > 0)
                                text[at] = (uint8_t) random_number();
                        break;
                case 1:
                        if (size > 0)
                                text[at] ^= (uint8_t) (1U << random_number() % 8);
                        break;
                case 2:
                        memmove(text + at, text + at + n, size - at - n);
                        size -= n;
                        break;
                case 3: {
                        const char *piece = pieces[random_number() % ELEMENTSOF(pieces)];

                        n = strlen(piece);
                        if (size + n <= capacity) {
                                memmove(text + at + n, text + at, size - at);
                                memcpy(text + at, piece, n);
                                size += n;
                        }
                        break;
                }
                case 4:
                        if (size + n <= capacity) {
                                memmove(text + at + n, text + at, size - at);
                                size += n;
                        }
                        break;
                default:
                        to = size ? random_number() % size : 0;
                        memmove(text + to, text + at, MIN(n, size - to));
                        break;
                }
        }

        return size;
}

int main(int argc, char *argv[]) {
        uint64_t runs = 20000, seed = 1;
        int c;

        while ((c = getopt(argc, argv, "n:s:")) >= 0)
                if ((c == 'n' && safe_atou64(optarg, 10, &runs) < 0) ||
                    (c == 's' && safe_atou64(optarg, 10, &seed) < 0) || c == '?') {
                        fprintf(stderr, "usage: %s [-n RUNS] [-s SEED] [FILE…]\n", argv[0]);
                        return 2;
                }
        random_state = seed * UINT64_C(0x9E3779B97F4A7C15) + 1;

        size_t n = optind < argc ? (size_t) (argc - optind) : ELEMENTSOF(seeds);
        for (uint64_t i = 0; i < MAX(runs, (uint64_t) n); i++) {
                _cleanup_free_ char *read = NULL;
                size_t size, capacity;
                const char *from;

                /* Every seed once as it is, then mutations of them in turn. */
                if (optind < argc) {
                        const char *file = argv[(size_t) optind + i % n];

                        if (read_full_file(file, 16 * PROFILE_TEXT_MAX, &read, &size) < 0) {
                                fprintf(stderr, "fuzz-profile: cannot read %s\n", file);
                                return 2;
                        }
                        from = read;
                } else {
                        from = seeds[i % n];
                        size = strlen(from);
                }

                capacity = size + 1024;
                _cleanup_free_ uint8_t *text = malloc(capacity);
                if (!text)
                        die("no memory");
                memcpy(text, from, size);
                if (i >= n)
                        size = mutate(text, size, capacity);
                LLVMFuzzerTestOneInput(text, size);
        }

        printf("fuzz-profile: %" PRIu64 " runs, seed %" PRIu64 ": nothing found\n", MAX(runs, (uint64_t) n), seed);
        return 0;
}
#endif
