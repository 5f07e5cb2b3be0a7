/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Profiles: each class of error with its file, line, key and message; defaults and values; extends, merging and
 * overrides; where profiles are looked for; and that no text, however mangled, does harm. */

#include <ftw.h>
#include <sched.h>
#include <sys/capability.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include "profile-internal.h"
#include "profile.h"
#include "tap.h"
#include "util.h"

#ifndef CLONE_NEWTIME
#define CLONE_NEWTIME 0x00000080
#endif

static char directory[] = "/tmp/test-profile-XXXXXX";
static char *dirs[3]; /* "a" and "b" below it, NULL */

static int remove_entry(const char *path, const struct stat *st, int type, struct FTW *ftw) {
        return remove(path);
}

static void remove_directory(void) {
        nftw(directory, remove_entry, 8, FTW_DEPTH | FTW_PHYS);
        free(dirs[0]);
        free(dirs[1]);
}

static void put_file(const char *dir, const char *name, const char *text, size_t size) {
        _cleanup_free_ char *path = NULL;

        if (string_appendf(&path, "%s/%s", dir, name) < 0)
                tap_bail_out("no memory");
        FILE *f = fopen(path, "we");
        if (!f || fwrite(text, 1, size, f) != size || fclose(f) != 0)
                tap_bail_out("cannot write %s", path);
}

static void put_profile(int dir, const char *name, const char *text) {
        _cleanup_free_ char *file = NULL;

        if (string_appendf(&file, "%s.json", name) < 0)
                tap_bail_out("no memory");
        put_file(dirs[dir], file, text, strlen(text));
}

static const ProfileProblem *find_problem(const ProfileProblems *problems, unsigned line, const char *key,
                                          const char *part) {
        for (size_t i = 0; i < problems->n_items; i++) {
                const ProfileProblem *p = &problems->items[i];

                if (p->line == line && streq(p->key, key) && strstr(p->message, part))
                        return p;
        }
        return NULL;
}

static void show_problems(const ProfileProblems *problems) {
        _cleanup_free_ char *text = profile_problems_to_string(problems);

        for (char *line = text, *end; line && (end = strchr(line, '\n')); line = end + 1)
                tap_diag("  %.*s", (int) (end - line), line);
}

/* One problem, exactly this one. */
static void bad(const char *text, unsigned line, const char *key, const char *part) {
        _cleanup_(profile_problems_done) ProfileProblems problems = {};

        int r = profile_check(text, "x.json", &problems);
        if (!ok(r == -EBADMSG && problems.n_items == 1 && find_problem(&problems, line, key, part) &&
                                streq(problems.items[0].file, "x.json"),
                "line %u, \"%s\": %s", line, key, part)) {
                tap_diag("  profile_check() = %d, %zu problems, of", r, problems.n_items);
                tap_diag("  %.300s", text);
                show_problems(&problems);
        }
}

static void good(const char *text) {
        _cleanup_(profile_problems_done) ProfileProblems problems = {};

        if (!ok(profile_check(text, "x.json", &problems) == 0 && problems.n_items == 0, "good: %.200s", text))
                show_problems(&problems);
}

static void test_syntax(void) {
        bad("", 1, "", "the text is empty");
        bad(" \n\n ", 3, "", "the text is empty");
        bad("{", 1, "", "the text ends where a key in double quotes, or '}' is expected");
        bad("{\n\n  \"hostname\": \"x\"\n", 4, "", "the text ends where ',' or '}' behind a value is expected");
        bad("{ \"hostname\": \"x\"\n \"domainname\": \"y\" }", 2, "",
            "expected ',' or '}' behind a value, found '\"'");
        bad("{ \"hostname\": \"x\",\n}", 2, "", "no comma before '}'");
        bad("{ \"mounts\": [\n{ \"destination\": \"/a\", \"type\": \"tmpfs\" },\n] }", 3, "", "no comma before ']'");
        bad("{} x", 1, "", "expected nothing more behind the document, found 'x'");
        bad("{}\n{}", 2, "", "expected nothing more");
        bad("{\n// what\n}", 2, "", "JSON has no comments");
        bad("{ /* what */ }", 1, "", "JSON has no comments");
        bad("{ 'hostname': 'x' }", 1, "", "stand in double quotes");
        bad("{ hostname: \"x\" }", 1, "", "expected a key in double quotes, or '}', found 'h'");
        bad("{ \"hostname\" \"x\" }", 1, "", "expected ':' behind the key");
        bad("{ \"hostname\": \"x }\n}", 1, "", "the line ends within a string");
        bad("{ \"hostname\": \"x", 1, "", "the text ends within a string");
        bad("{ \"hostname\": \"x\\", 1, "", "a backslash in a string must be followed by");
        bad("{ \"hostname\": \"\\x41\" }", 1, "", "a backslash in a string must be followed by");
        bad("{ \"hostname\": \"\\u00g0\" }", 1, "", "four hexadecimal digits");
        bad("{ \"hostname\": \"a\tb\" }", 1, "", "control character");
        bad("{ \"hostname\": nul }", 1, "", "expected a value, found 'n'");
        bad("{ \"hostname\": True }", 1, "", "expected a value, found 'T'");
        bad("{ \"hostname\": }", 1, "", "expected a value, found '}'");
        bad("{ \"sentry\": { \"cpus\": 010 } }", 1, "", "a number must not start with 0");
        bad("{ \"sentry\": { \"cpus\": 0x10 } }", 1, "", "no hexadecimal numbers");
        bad("{ \"sentry\": { \"cpus\": - } }", 1, "", "expected a digit, found ' '");
        bad("{ \"sentry\": { \"cpus\": 1. } }", 1, "", "a digit behind the decimal point");
        bad("{ \"sentry\": { \"cpus\": 1e } }", 1, "", "a digit of the exponent");
        bad("{ \"sentry\": { \"cpus\": NaN } }", 1, "", "expected a value");
        bad("{ \"sentry\": { \"cpus\": Infinity } }", 1, "", "expected a value");
        bad("\xEF\xBB\xBF{}", 1, "", "byte order mark");
        bad("{\n\"hostname\": \"\xC3(\" }", 2, "", "0xc3 is no UTF-8");
        bad("{ \"hostname\": \"\xED\xA0\x80\" }", 1, "", "is no UTF-8");
        bad("{ \"hostname\": \"\xC0\x80\" }", 1, "", "is no UTF-8");
        bad("{ \"hostname\": \"\xF4\x90\x80\x80\" }", 1, "", "is no UTF-8");
        bad("{\n\n\"hostname\":\n\"a\\u0000b\" }", 4, "hostname", "\\u0000");
        bad("{ \"host\\u0000name\": 1 }", 1, "[\"host\xEF\xBF\xBDname\"]", "\\u0000");
        bad("{ \"hostname\": \"\\ud800\" }", 1, "hostname", "surrogate");
        bad("{ \"hostname\": \"\\ud800\\u0041\" }", 1, "hostname", "surrogate");
        bad("{ \"hostname\": \"\\udc00\" }", 1, "hostname", "surrogate");
        good("{ \"hostname\": \"\\ud83d\\ude00\" }");
        good(" \r\n\t{ } \n\n");
        bad("[]", 1, "", "a profile is an object");
        bad("\n\n17", 3, "", "a profile is an object");
        bad("null", 1, "", "a profile is an object");
        bad("{ \"hostname\": \"x\",\n\"domainname\": \"d\",\n\"hostname\": \"y\" }", 3, "hostname",
            "duplicate key; it stands on line 1 already");
        bad("{ \"sentry\": { \"pid\": \"host\",\n\"p\\u0069d\": \"host\" } }", 2, "sentry.pid", "duplicate key");
        bad("{ \"sentry\": { \"logSize\": 18446744073709551616 } }", 1, "sentry.logSize", "does not fit in 64 bits");
        bad("{ \"sentry\": { \"logSize\": -9223372036854775809 } }", 1, "sentry.logSize", "does not fit in 64 bits");
}

static void test_limits(void) {
        _cleanup_free_ char *deep = NULL, *large = NULL;
        _cleanup_(profile_problems_done) ProfileProblems problems = {};
        static const char nul[] = "{\n\"hostname\": \"a\0b\" }";

        for (int i = 0; i < 31; i++)
                string_appendf(&deep, "{\"x\":");
        string_appendf(&deep, "[1]");
        for (int i = 0; i < 31; i++)
                string_appendf(&deep, "}");
        bad(deep, 1, "x", "unknown key");
        free(TAKE_PTR(deep));
        for (int i = 0; i < 100000; i++)
                if (i < 33)
                        string_appendf(&deep, "{\n\"x\":");
        bad(deep, 33, "", "nested deeper than 32 levels");

        large = calloc(1, PROFILE_TEXT_MAX + 2);
        if (!large)
                tap_bail_out("no memory");
        memset(large, ' ', PROFILE_TEXT_MAX);
        memcpy(large, "{}", 2);
        ok(profile_check(large, "x.json", &problems) == 0, "a text of %u bytes is taken", PROFILE_TEXT_MAX);
        large[PROFILE_TEXT_MAX] = ' ';
        bad(large, 0, "", "262145 bytes; at most 262144");

        is_int(profile_check_text(nul, sizeof nul - 1, "x.json", &problems), -EBADMSG, "a NUL byte is refused");
        ok(find_problem(&problems, 2, "", "NUL byte"), "and found on its line");
        profile_problems_done(&problems);

        /* More problems than are kept. */
        _cleanup_free_ char *many = NULL;
        string_appendf(&many, "{");
        for (int i = 0; i < 1000; i++)
                string_appendf(&many, "%s\n\"k%d\": 1", i > 0 ? "," : "", i);
        string_appendf(&many, "}");
        is_int(profile_check(many, "x.json", &problems), -EBADMSG, "a thousand unknown keys are refused");
        is_int(problems.n_items, 64, "of which 64 are kept");
        ok(problems.n_items == 64 && strstr(problems.items[63].message, "there are more problems"),
           "the last of them says that there are more");
        ok(find_problem(&problems, 2, "k0", "unknown key") && find_problem(&problems, 64, "k62", "unknown key"),
           "the others are the first ones");
        profile_problems_done(&problems);
}

static void test_keys(void) {
        bad("{ \"sentry\": {\n\n\"netwrok\": \"none\" } }", 3, "sentry.netwrok",
            "unknown key; did you mean \"network\"? Known here: extends, description,");
        bad("{ \"hostName\": \"x\" }", 1, "hostName", "did you mean \"hostname\"?");
        bad("{ \"network\": \"none\" }", 1, "network", "did you mean \"sentry.network\"?");
        bad("{ \"destination\": \"/x\" }", 1, "destination", "did you mean \"mounts[].destination\"?");
        bad("{ \"xyzzy\": 1 }", 1, "xyzzy", "unknown key. Known here: hostname, domainname, root, process, mounts");
        bad("{ \"root\": { \"readOnly\": true } }", 1, "root.readOnly", "did you mean \"readonly\"?");
        bad("{ \"\": 1 }", 1, "[\"\"]", "unknown key");
        bad("{ \"a.b\": 1 }", 1, "[\"a.b\"]", "unknown key");
        bad("{ \"a\\u001b[31m\\u009b\": 1 }", 1, "[\"a?[31m?\"]", "unknown key");
        bad("{ \"mounts\": [ { \"destination\": \"/a\", \"type\": \"tmpfs\" },\n{ \"dest\": \"/b\", \"destination\": "
            "\"/b\", \"type\": \"tmpfs\" } ] }",
            2, "mounts[1].dest", "unknown key");
        bad("{ \"process\": { \"rlimits\": [\n{ \"type\": \"RLIMIT_CORE\", \"soft\": 0, \"hard\": 0, \"max\": 0 } ] } "
            "}",
            2, "process.rlimits[0].max", "Known here: type, soft, hard");
        bad("{ \"linux\": { \"namespaces\": [ { \"type\": \"user\" }, { \"type\": \"mount\", \"path\": \"/x\" } ] } }",
            1, "linux.namespaces[1].path", "Known here: type");

        bad("{ \"hostname\": 5 }", 1, "hostname", "found 5, a number");
        bad("{ \"hostname\": null }", 1, "hostname", "found null");
        bad("{ \"hostname\": [\"x\"] }", 1, "hostname", "found […], an array");
        bad("{ \"root\": \"/\" }", 1, "root", "expected an object, found \"/\", a string");
        bad("{ \"root\": { \"readonly\": \"yes\" } }", 1, "root.readonly", "expected true or false, found \"yes\"");
        bad("{ \"mounts\": {} }", 1, "mounts", "found {}, an object");
        bad("{ \"sentry\": { \"cpus\": 1.5 } }", 1, "sentry.cpus", "found 1.5, a number that is no integer");
        bad("{ \"sentry\": { \"cpus\": 1e999 } }", 1, "sentry.cpus", "a number that is no integer");
        bad("{ \"process\": { \"capabilities\": \"CAP_KILL\" } }", 1, "process.capabilities",
            "expected an array of capability names");
}

static void test_names(void) {
        _cleanup_free_ char *text = NULL;

        bad("{ \"hostname\": \"\" }", 1, "hostname", "1 to 64 bytes");
        bad("{ \"hostname\": \"a/b\" }", 1, "hostname", "without '/'");
        bad("{ \"hostname\": \"a\\nb\" }", 1, "hostname", "found \"a\\nb\"");
        bad("{ \"domainname\": \"a\\u007fb\" }", 1, "domainname", "found \"a?b\"");
        string_appendf(&text, "{ \"hostname\": \"%064d\" }", 0);
        good(text);
        free(TAKE_PTR(text));
        string_appendf(&text, "{ \"hostname\": \"%065d\" }", 0);
        bad(text, 1, "hostname", "1 to 64 bytes");

        bad("{ \"root\": { \"path\": \"x\" } }", 1, "root.path", "an absolute path");
        bad("{ \"root\": { \"path\": \"\" } }", 1, "root.path", "an absolute path");
        bad("{ \"root\": { \"path\": \"~/x\" } }", 1, "root.path", "is not expanded");
        bad("{ \"root\": { \"path\": \"/a/../b\" } }", 1, "root.path", "without \"..\"");
        bad("{ \"process\": { \"cwd\": \"/..\" } }", 1, "process.cwd", "without \"..\"");
        good("{ \"process\": { \"cwd\": \"/..a/b../...\" } }");
        free(TAKE_PTR(text));
        string_appendf(&text, "{ \"root\": { \"path\": \"/%0256d\" } }", 0);
        bad(text, 1, "root.path", "at most 4095 bytes, 255 in a component");
        free(TAKE_PTR(text));
        string_appendf(&text, "{ \"root\": { \"path\": \"");
        for (int i = 0; i < 4096; i += 2)
                string_appendf(&text, "/a");
        string_appendf(&text, "\" } }");
        bad(text, 1, "root.path", "at most 4095 bytes");

        bad("{ \"sentry\": { \"kernelRelease\": \"\" } }", 1, "sentry.kernelRelease", "1 to 64 printable");
        bad("{ \"sentry\": { \"kernelVersion\": \"#1 Ä\" } }", 1, "sentry.kernelVersion", "printable ASCII");
        good("{ \"sentry\": { \"kernelRelease\": \"6.1.0\", \"kernelVersion\": \"#1 SMP\" } }");
        bad("{ \"sentry\": { \"description\": \"a\\nb\" } }", 1, "sentry.description", "one line");
        bad("{ \"sentry\": { \"extends\": \"../x\" } }", 1, "sentry.extends", "the name of a profile");
        bad("{ \"sentry\": { \"extends\": \"\" } }", 1, "sentry.extends", "the name of a profile");
        bad("{ \"sentry\": { \"extends\": \".x\" } }", 1, "sentry.extends", "the name of a profile");
        good("{ \"sentry\": { \"extends\": \"nobody-looks_for.it\" } }");
}

static void test_values(void) {
        bad("{ \"process\": { \"env\": [ \"A=1\", \"B\" ] } }", 1, "process.env[1]",
            "expected \"NAME=VALUE\", found \"B\"");
        bad("{ \"process\": { \"env\": [ \"=1\" ] } }", 1, "process.env[0]", "NAME=VALUE");
        bad("{ \"process\": { \"env\": [ 1 ] } }", 1, "process.env[0]", "found 1, a number");
        bad("{ \"process\": { \"env\": [ \"A=1\",\n\"AB=2\",\n\"A=3\" ] } }", 3, "process.env[2]",
            "each variable once");
        good("{ \"process\": { \"env\": [ \"A=\", \"B==\", \"C=a b\" ] } }");
        bad("{ \"sentry\": { \"unsetenv\": [ \"A=1\" ] } }", 1, "sentry.unsetenv[0]", "without \"=\"");
        bad("{ \"sentry\": { \"unsetenv\": [ \"\" ] } }", 1, "sentry.unsetenv[0]", "the name of a variable");
        bad("{ \"sentry\": { \"env\": \"drop\" } }", 1, "sentry.env",
            "expected \"keep\" or \"clear\", found \"drop\"");

        bad("{ \"process\": { \"capabilities\": [ \"cap_sys_nice\" ] } }", 1, "process.capabilities[0]",
            "did you mean \"CAP_SYS_NICE\"?");
        bad("{ \"process\": { \"capabilities\": [ \"CAP_SYS_ADMN\" ] } }", 1, "process.capabilities[0]",
            "did you mean \"CAP_SYS_ADMIN\"?");
        bad("{ \"sentry\": { \"emulatedCapabilities\": [ \"SYS_ADMIN\" ] } }", 1, "sentry.emulatedCapabilities[0]",
            "did you mean \"CAP_SYS_ADMIN\"?");
        bad("{ \"process\": { \"capabilities\": [ \"21\" ] } }", 1, "process.capabilities[0]", "found \"21\"");
        bad("{ \"process\": { \"capabilities\": [ \"CAP_21\" ] } }", 1, "process.capabilities[0]", "found \"CAP_21\"");
        bad("{ \"process\": { \"capabilities\": [ 21 ] } }", 1, "process.capabilities[0]", "found 21, a number");

        bad("{ \"process\": { \"noNewPrivileges\": false } }", 1, "process.noNewPrivileges", "without no_new_privs");
        good("{ \"process\": { \"noNewPrivileges\": true } }");

#define RLIMIT(text) "{ \"process\": { \"rlimits\": [ " text " ] } }"
        bad(RLIMIT("{ \"type\": \"RLIMIT_NOFILES\", \"soft\": 1, \"hard\": 1 }"), 1, "process.rlimits[0].type",
            "did you mean \"RLIMIT_NOFILE\"?");
        bad(RLIMIT("{ \"type\": \"RLIMIT_NOFILE\", \"soft\": 1 }"), 1, "process.rlimits[0].hard", "missing; expected");
        bad(RLIMIT("{ \"soft\": 1, \"hard\": 2 }"), 1, "process.rlimits[0].type", "missing; expected");
        bad(RLIMIT("{ \"type\": \"RLIMIT_NOFILE\", \"soft\": 2,\n\"hard\": 1 }"), 1, "process.rlimits[0]",
            "the soft limit (2) is higher than the hard one (1)");
        bad(RLIMIT("{ \"type\": \"RLIMIT_NOFILE\", \"soft\": \"infinity\", \"hard\": 1 }"), 1, "process.rlimits[0]",
            "the soft limit (infinity) is higher");
        bad(RLIMIT("{ \"type\": \"RLIMIT_NOFILE\", \"soft\": -1, \"hard\": 1 }"), 1, "process.rlimits[0].soft",
            "expected a number that is not negative, or \"infinity\", found -1");
        bad(RLIMIT("{ \"type\": \"RLIMIT_NOFILE\", \"soft\": 1, \"hard\": \"lots\" }"), 1, "process.rlimits[0].hard",
            "found \"lots\"");
        bad(RLIMIT("{ \"type\": \"RLIMIT_NOFILE\", \"soft\": 1, \"hard\": 1 },\n"
                   "{ \"type\": \"RLIMIT_NOFILE\", \"soft\": 2, \"hard\": 2 }"),
            2, "process.rlimits[1]", "RLIMIT_NOFILE is set twice");
        bad(RLIMIT("7"), 1, "process.rlimits[0]", "found 7");
        good(RLIMIT("{ \"type\": \"RLIMIT_AS\", \"soft\": 18446744073709551614, \"hard\": \"unlimited\" }"));

        bad("{ \"sentry\": { \"cpus\": 0 } }", 1, "sentry.cpus", "from 1 to 1024");
        bad("{ \"sentry\": { \"cpus\": 1025 } }", 1, "sentry.cpus", "found 1025");
        bad("{ \"sentry\": { \"cpus\": -1 } }", 1, "sentry.cpus", "found -1");
        static const char *const lists[] = {
                "",      ",",      "0,",    "-1",   "3-1",    "1-",
                "a",     "0-3,,5", "0 - 3", "1024", "0-1024", "0-99999999999999999999",
                "0-3:2",
        };
        for (size_t i = 0; i < ELEMENTSOF(lists); i++) {
                _cleanup_free_ char *text = NULL;

                string_appendf(&text, "{ \"sentry\": { \"cpus\": \"%s\" } }", lists[i]);
                bad(text, 1, "sentry.cpus", "a list of them");
        }
        good("{ \"sentry\": { \"cpus\": \"0-3,5,1023\" } }");
        good("{ \"sentry\": { \"cpus\": 1024 } }");

        bad("{ \"sentry\": { \"pid\": \"Host\" } }", 1, "sentry.pid", "did you mean \"host\"?");
        bad("{ \"sentry\": { \"network\": \"bridge\" } }", 1, "sentry.network",
            "expected \"none\", \"private\" or \"host\", found \"bridge\"");
        bad("{ \"sentry\": { \"ptraceScope\": 4 } }", 1, "sentry.ptraceScope", "from 0 to 3, found 4");
        bad("{ \"sentry\": { \"mounts\": \"native\" } }", 1, "sentry.mounts", "\"none\" or \"emulated\"");
        bad("{ \"sentry\": { \"mounts\": 7 } }", 1, "sentry.mounts", "found 7, a number");
        bad("{ \"sentry\": { \"mounts\": {} } }", 1, "sentry.mounts.types", "missing");
        bad("{ \"sentry\": { \"mounts\": { \"types\": [ \"tmpfs\", \"ext4\" ] } } }", 1, "sentry.mounts.types[1]",
            "found \"ext4\"");
        bad("{ \"sentry\": { \"mounts\": { \"types\": [ \"bind\" ], \"max\": 4097 } } }", 1, "sentry.mounts.max",
            "from 1 to 4096, found 4097");
        bad("{ \"sentry\": { \"mounts\": { \"types\": [ \"bind\" ], \"tmpfsSize\": 0 } } }", 1,
            "sentry.mounts.tmpfsSize", "found 0");
        good("{ \"sentry\": { \"mounts\": { \"types\": [ \"bind\", \"proc\" ], \"max\": 4096, \"tmpfsSize\": 1 } } }");
        bad("{ \"sentry\": { \"nestedNamespaces\": 64 } }", 1, "sentry.nestedNamespaces", "from 0 to 63, found 64");
        bad("{ \"sentry\": { \"ptraceScope\": -1 } }", 1, "sentry.ptraceScope", "from 0 to 3, found -1");
        bad("{ \"sentry\": { \"logSize\": 4095 } }", 1, "sentry.logSize", "from 4096 to 16777216, found 4095");
        bad("{ \"sentry\": { \"logSize\": 16777217 } }", 1, "sentry.logSize", "found 16777217");
        bad("{ \"sentry\": { \"logSize\": 18446744073709551615 } }", 1, "sentry.logSize",
            "found 18446744073709551615");
}

static void test_namespaces(void) {
#define NAMESPACES(text) "{ \"linux\": { \"namespaces\": [ " text " ] } }"
        bad(NAMESPACES("{ \"type\": \"mount\" }"), 1, "linux.namespaces", "must have { \"type\": \"user\" }");
        bad(NAMESPACES("{ \"type\": \"user\" }"), 1, "linux.namespaces", "no \"mount\", which root.readonly needs");
        good("{ \"root\": { \"readonly\": false }, \"linux\": { \"namespaces\": [ { \"type\": \"user\" } ] } }");
        bad("{ \"root\": { \"readonly\": false }, \"linux\": { \"namespaces\": [ { \"type\": \"user\" }, { \"type\": \"pid\" } ] } }", 1,
            "linux.namespaces", "no \"mount\", which sentry.pid");
        bad(NAMESPACES("{ \"type\": \"user\" }, { \"type\": \"mount\" },\n{ \"type\": \"net\" }"), 2,
            "linux.namespaces[2].type",
            "expected \"user\", \"mount\", \"pid\", \"ipc\", \"network\", \"uts\", \"time\" or \"cgroup\"");
        bad(NAMESPACES("{ \"type\": \"user\" }, { \"type\": \"mount\" },\n{ \"type\": \"user\" }"), 2,
            "linux.namespaces[2].type", "\"user\" is listed twice");
        bad(NAMESPACES("{ \"type\": \"user\" }, { \"type\": \"mount\" },\n{}"), 2, "linux.namespaces[2].type",
            "missing");
        bad(NAMESPACES("\"user\", { \"type\": \"user\" }, { \"type\": \"mount\" }"), 1, "linux.namespaces[0]",
            "found \"user\", a string");
        bad("{ \"linux\": {\n\"namespaces\": [ { \"type\": \"user\" }, { \"type\": \"mount\" }, { \"type\": \"pid\" } "
            "] },\n"
            "\"sentry\": { \"network\": \"none\" } }",
            2, "linux.namespaces", "but sentry.network is \"none\"");
        bad("{ \"linux\": {\n\"namespaces\": [ { \"type\": \"user\" }, { \"type\": \"mount\" } ] },\n"
            "\"sentry\": { \"pid\": \"private\" } }",
            2, "linux.namespaces", "but sentry.pid is \"private\"");
        good("{ \"linux\": { \"namespaces\": [ { \"type\": \"user\" }, { \"type\": \"mount\" } ] },\n"
             "\"sentry\": { \"pid\": \"host\", \"network\": \"host\" } }");
}

static void test_mounts(void) {
#define MOUNT(text) "{ \"mounts\": [ " text " ] }"
#define OPTION(type, option)                                                                                          \
        MOUNT("{ \"destination\": \"/x\", \"type\": \"" type "\", \"options\": [\n\"" option "\" ] }")
        _cleanup_free_ char *text = NULL;

        bad(MOUNT("{ \"type\": \"tmpfs\" }"), 1, "mounts[0].destination", "missing; expected an absolute path");
        bad(MOUNT("{ \"destination\": \"/x\" }"), 1, "mounts[0].type", "missing; expected \"bind\"");
        bad(MOUNT("{ \"destination\": \"x\", \"type\": \"tmpfs\" }"), 1, "mounts[0].destination", "absolute");
        bad(MOUNT("{ \"destination\": \"/\", \"type\": \"tmpfs\" }"), 1, "mounts[0].destination", "set root.path");
        bad(MOUNT("{ \"destination\": \"//.\", \"type\": \"tmpfs\" }"), 1, "mounts[0].destination", "set root.path");
        bad(MOUNT("{ \"destination\": \"/x\", \"type\": \"ext4\" }"), 1, "mounts[0].type",
            "expected \"bind\", \"tmpfs\", \"proc\", \"dev\", \"devpts\", \"mqueue\", \"sysfs\" or \"overlay\", found \"ext4\"");
        bad(MOUNT("{ \"destination\": \"/x\", \"type\": \"bind\" }"), 1, "mounts[0].source", "missing");
        bad(MOUNT("{ \"destination\": \"/x\", \"type\": \"bind\",\n\"source\": \"y\" }"), 2, "mounts[0].source",
            "absolute");
        bad(MOUNT("{ \"destination\": \"/x\", \"type\": \"bind\", \"source\": \"/a/..\" }"), 1, "mounts[0].source",
            "\"..\"");
        good(MOUNT("{ \"destination\": \"/x\", \"type\": \"proc\", \"source\": \"proc\" }"));
        bad(MOUNT("{ \"destination\": \"/x/\", \"type\": \"tmpfs\" },\n{ \"destination\": \"//x\", \"type\": "
                  "\"tmpfs\" }"),
            2, "mounts[1].destination", "\"/x\" has a mount already");
#define RULE(text) "{ \"sentry\": { \"addresses\": [\n" text " ] } }"
        bad(RULE("3"), 2, "sentry.addresses[0]", "expected an object { \"action\": \"allow\", … }, found 3");
        bad(RULE("{ }"), 2, "sentry.addresses[0].action", "missing; expected \"allow\" or \"deny\"");
        bad(RULE("{ \"action\": \"alow\" }"), 2, "sentry.addresses[0].action", "did you mean \"allow\"?");
        bad(RULE("{ \"action\": \"deny\", \"prot\": 1 }"), 2, "sentry.addresses[0].prot", "did you mean \"port\"?");
        bad(RULE("{ \"action\": \"deny\",\n\"family\": \"inet4\" }"), 3, "sentry.addresses[0].family",
            "\"netlink\", \"vsock\"");
        bad(RULE("{ \"action\": \"deny\", \"address\": \"10.0.0.0/33\" }"), 2, "sentry.addresses[0].address",
            "expected a prefix of 0 to 32 bits, found \"10.0.0.0/33\"");
        bad(RULE("{ \"action\": \"deny\", \"address\": \"10.0.0.1/8\" }"), 2, "sentry.addresses[0].address",
            "bits after its length are 0");
        bad(RULE("{ \"action\": \"deny\", \"address\": \"localhost\" }"), 2, "sentry.addresses[0].address",
            "expected an address of IPv4");
        bad(RULE("{ \"action\": \"deny\", \"address\": \"fd00::x\" }"), 2, "sentry.addresses[0].address",
            "expected an address of IPv6");
        bad(RULE("{ \"action\": \"deny\", \"address\": \"::ffff:10.0.0.0/104\" }"), 2, "sentry.addresses[0].address",
            "in the way of IPv4");
        bad(RULE("{ \"action\": \"deny\", \"address\": \"/run/../x\" }"), 2, "sentry.addresses[0].address",
            "an absolute path without");
        bad(RULE("{ \"action\": \"deny\", \"family\": \"netlink\", \"address\": \"x\" }"), 2,
            "sentry.addresses[0].address", "no \"address\" with this family");
        bad(RULE("{ \"action\": \"deny\", \"port\": 65536 }"), 2, "sentry.addresses[0].port", "found 65536");
        bad(RULE("{ \"action\": \"deny\", \"port\": \"80;81\" }"), 2, "sentry.addresses[0].port", "found \"80;81\"");
        bad(RULE("{ \"action\": \"deny\", \"port\": \"81-80\" }"), 2, "sentry.addresses[0].port", "the lower one first");
        bad(RULE("{ \"action\": \"deny\", \"port\": \"\" }"), 2, "sentry.addresses[0].port", "expected a port");
        bad(RULE("{ \"action\": \"deny\", \"family\": \"unix\", \"port\": 1 }"), 2, "sentry.addresses[0].port",
            "no \"port\" with this family");
        bad(RULE("{ \"action\": \"deny\", \"calls\": [] }"), 2, "sentry.addresses[0].calls", "an empty array");
        bad(RULE("{ \"action\": \"deny\", \"calls\": [ \"recv\" ] }"), 2, "sentry.addresses[0].calls[0]",
            "expected \"bind\", \"connect\" or \"send\"");
        bad(RULE("{ \"action\": \"deny\", \"calls\": [ \"send\", \"send\" ] }"), 2, "sentry.addresses[0].calls[1]",
            "stands twice");
        bad(MOUNT("3"), 1, "mounts[0]", "expected an object with destination and type, found 3");

        bad(OPTION("tmpfs", "suid"), 2, "mounts[0].options[0]", "\"suid\" is not allowed: no program");
        bad(OPTION("tmpfs", "dev"), 2, "mounts[0].options[0]", "\"dev\" is not allowed");
        bad(OPTION("tmpfs", "nosiud"), 2, "mounts[0].options[0]", "did you mean \"nosuid\"?");
        bad(OPTION("tmpfs", "uid=0"), 2, "mounts[0].options[0]",
            "expected one of ro, rw, nosuid, nodev, noexec, exec, mode=, size=, nr_inodes=, found \"uid=0\"");
        bad(OPTION("tmpfs", "rbind"), 2, "mounts[0].options[0]", "found \"rbind\"");
        bad(OPTION("proc", "size=1m"), 2, "mounts[0].options[0]",
            "expected one of ro, rw, nosuid, nodev, noexec, exec, hidepid=, found \"size=1m\"");
        bad(OPTION("proc", "hidepid=3"), 2, "mounts[0].options[0]", "expected off, noaccess, invisible or ptraceable");
        bad(OPTION("overlay", "upperdir=/x"), 1, "mounts[0].options", "needs an option \"lowerdir=/");
        bad(OPTION("overlay", "lowerdir=/a:b"), 2, "mounts[0].options[0]", "absolute paths without \"..\"");
        bad(OPTION("overlay", "lowerdir=/a/../b"), 2, "mounts[0].options[0]", "absolute paths without \"..\"");
        bad(OPTION("tmpfs", "lowerdir=/a"), 2, "mounts[0].options[0]", "found \"lowerdir=/a\"");
        bad("{ \"linux\": { \"maskedPaths\": [\"x\"] } }", 1, "linux.maskedPaths[0]", "expected an absolute path");
        bad("{ \"linux\": { \"readonlyPaths\": [\"/\"] } }", 1, "linux.readonlyPaths[0]", "and not \"/\", found \"/\"");
        bad("{ \"linux\": { \"resources\": { \"memory\": { \"limit\": 0 } } } }", 1, "linux.resources.memory.limit",
            "expected a number of bytes above 0, or -1");
        bad("{ \"linux\": { \"resources\": { \"memory\": { \"swap\": 5 } } } }", 1, "linux.resources.memory.swap",
            "needs linux.resources.memory.limit");
        bad("{ \"linux\": { \"resources\": { \"cpu\": { \"period\": 5 } } } }", 1, "linux.resources.cpu.period", "1000 to");
        bad("{ \"linux\": { \"resources\": { \"pids\": {} } } }", 1, "linux.resources.pids.limit", "missing");
        bad("{ \"linux\": { \"resources\": { \"hugepageLimits\": [{ \"pageSize\": \"../x\", \"limit\": 1 }] } } }", 1,
            "linux.resources.hugepageLimits[0].pageSize", "a size of pages");
        bad("{ \"linux\": { \"resources\": { \"blockIO\": { \"throttleReadBpsDevice\": [{ \"major\": 8, \"minor\": 0 }] } } } }",
            1, "linux.resources.blockIO.throttleReadBpsDevice[0].rate", "missing");
        bad("{ \"sentry\": { \"limits\": \"none\" } }", 1, "sentry.limits", "\"required\" or \"best-effort\"");
        bad(OPTION("devpts", "gid=5"), 2, "mounts[0].options[0]", "expected one of ro");
        bad(OPTION("tmpfs", "ro,nosuid"), 2, "mounts[0].options[0]", "one option per string");
        bad(OPTION("tmpfs", "ro=1"), 2, "mounts[0].options[0]", "found \"ro=1\"");
        bad(OPTION("tmpfs", "mode"), 2, "mounts[0].options[0]", "did you mean \"mode=\"?");
        bad(OPTION("tmpfs", ""), 2, "mounts[0].options[0]", "found \"\"");
        bad(OPTION("tmpfs", "ro\", \"rw"), 2, "mounts[0].options[1]", "\"rw\" contradicts \"ro\"");
        bad(OPTION("tmpfs", "size=1m\", \"size=2m"), 2, "mounts[0].options[1]", "each option once");
        bad(MOUNT("{ \"destination\": \"/x\", \"type\": \"tmpfs\", \"options\": [ 1 ] }"), 1, "mounts[0].options[0]",
            "found 1");
        bad(MOUNT("{ \"destination\": \"/x\", \"type\": \"tmpfs\", \"options\": \"ro\" }"), 1, "mounts[0].options",
            "an array of strings");
        static const char *const modes[] = { "", "8", "10000", "-1", "0x1", "rwx", "99999999999999999999999" };
        for (size_t i = 0; i < ELEMENTSOF(modes); i++) {
                free(TAKE_PTR(text));
                string_appendf(&text,
                               MOUNT("{ \"destination\": \"/x\", \"type\": \"tmpfs\", \"options\": [ \"mode=%s\" ] }"),
                               modes[i]);
                bad(text, 1, "mounts[0].options[0]", "an octal number up to 7777");
        }
        static const char *const sizes[] = {
                "",    "0", "k", "-1", "1t", "1kk", "0%", "101%", "50%k", "18446744073709551616", "18014398509481984k",
                "1 m",
        };
        for (size_t i = 0; i < ELEMENTSOF(sizes); i++) {
                free(TAKE_PTR(text));
                string_appendf(&text,
                               MOUNT("{ \"destination\": \"/x\", \"type\": \"tmpfs\", \"options\": [ \"size=%s\" ] }"),
                               sizes[i]);
                bad(text, 1, "mounts[0].options[0]", "a number of bytes, with k, m or g behind it, or 1%");
        }
        bad(OPTION("tmpfs", "nr_inodes=50%"), 2, "mounts[0].options[0]", "a number of files");

        free(TAKE_PTR(text));
        string_appendf(&text, "{ \"mounts\": [");
        for (int i = 0; i < 257; i++)
                string_appendf(&text, "%s{ \"destination\": \"/m%d\", \"type\": \"tmpfs\" }", i > 0 ? "," : "", i);
        string_appendf(&text, "] }");
        bad(text, 1, "mounts", "257 mounts; at most 256");
}

static void test_many(void) {
        _cleanup_(profile_problems_done) ProfileProblems problems = {};
        static const char text[] = "{\n"
                                   "  \"sentry\": { \"netwrok\": 1,\n"
                                   "    \"pid\": 7 },\n"
                                   "  \"hostname\": \"a/b\",\n"
                                   "  \"mounts\": [ { \"type\": \"tmpfs\",\n"
                                   "    \"options\": [ \"suid\" ] } ]\n"
                                   "}\n";

        is_int(profile_check(text, "some/where.json", &problems), -EBADMSG, "several problems at once");
        _cleanup_free_ char *shown = profile_problems_to_string(&problems);
        is_str(shown,
               "some/where.json:2: sentry.netwrok: unknown key; did you mean \"network\"? Known here: extends, "
               "description, kernelRelease, kernelVersion, cpus, pid, freezer, users, landlock, limits, init, ptraceScope, "
               "timers, pauseTimers, nestedNamespaces, mounts, network, addresses, emulatedCapabilities, logSize, env, unsetenv\n"
               "some/where.json:3: sentry.pid: expected \"private\" or \"host\", found 7, a number\n"
               "some/where.json:4: hostname: expected a name of 1 to 64 bytes without '/' and control characters, "
               "found \"a/b\"\n"
               "some/where.json:5: mounts[0].destination: missing; expected an absolute path without \"..\"\n"
               "some/where.json:6: mounts[0].options[0]: \"suid\" is not allowed: no program in a sandbox gains "
               "privileges by set-user-ID bits (noNewPrivileges), so that every mount is nosuid; remove it\n",
               "all of them are told, in order");

        ProfileProblems none = {};
        _cleanup_free_ char *empty = profile_problems_to_string(&none);
        is_str(empty, "", "no problems are no text");
        profile_problems_done(NULL);
        profile_free(NULL);
        profile_listing_free(NULL, 0);
        pass("destructors take NULL");
}

static Profile *parse(const char *text) {
        _cleanup_(profile_problems_done) ProfileProblems problems = {};
        Profile *profile = NULL;

        if (!ok(profile_parse(text, &profile, &problems) == 0 && problems.n_items == 0, "parses: %.100s", text))
                show_problems(&problems);
        return profile;
}

static void test_parse(void) {
        const int all = CLONE_NEWPID | CLONE_NEWUSER | CLONE_NEWNS | CLONE_NEWIPC | CLONE_NEWNET | CLONE_NEWUTS |
                        CLONE_NEWTIME | CLONE_NEWCGROUP;
        _cleanup_(profile_freep) Profile *profile = parse("{}");

        if (!profile)
                return;
        is_str(profile->hostname, "sandbox", "default of hostname");
        is_str(profile->domainname, "(none)", "default of domainname");
        is_str(profile->root_path, "/", "default of root.path");
        ok(profile->root_read_only, "default of root.readonly");
        ok(!profile->cwd && !profile->cpus && profile->n_cpus == 0 && !profile->description, "what is not there");
        ok(profile->env && !profile->env[0] && profile->unsetenv && !profile->unsetenv[0] && !profile->clear_env,
           "default of the environment");
        ok(profile->capabilities == 0 && profile->emulated_capabilities == 0, "default of the capabilities");
        ok(profile->n_mounts == 0 && profile->n_rlimits == 0, "no mounts and no limits");
        is_int(profile->namespaces, all, "default of the namespaces");
        ok(!profile->pid_host && profile->network == PROFILE_NETWORK_NONE, "default of pid and network");
        is_int(profile->log_size, 65536, "default of logSize");
        is_int(profile->ptrace_scope, 1, "default of ptraceScope");

        profile = profile_free(profile);
        profile = parse("{ \"hostname\": \"h\", \"domainname\": \"d\", \"root\": { \"path\": \"//srv/./root/\", "
                        "\"readonly\": "
                        "false }, \"process\": { \"cwd\": \"/work/\", \"env\": [ \"A=1\", \"B=2\" ], "
                        "\"capabilities\": [ "
                        "\"CAP_CHOWN\", \"CAP_NET_RAW\" ], \"rlimits\": [ { \"type\": \"RLIMIT_NOFILE\", \"soft\": "
                        "10, "
                        "\"hard\": \"infinity\" } ] }, \"mounts\": [ { \"destination\": \"/a/\", \"type\": \"tmpfs\", "
                        "\"options\": [ \"noexec\", \"mode=1777\", \"ro\", \"size=64m\" ] }, { \"destination\": "
                        "\"/b\", \"type\": "
                        "\"bind\", \"source\": \"/home//x/\", \"options\": [ \"rbind\", \"rw\" ] } ], \"sentry\": { "
                        "\"kernelRelease\": \"6.1\", \"kernelVersion\": \"#1\", \"cpus\": \"0-3,5\", \"pid\": "
                        "\"host\", \"ptraceScope\": 3, "
                        "\"network\": \"private\", \"emulatedCapabilities\": [ \"CAP_SYSLOG\" ], \"logSize\": 4096, "
                        "\"env\": "
                        "\"clear\", \"unsetenv\": [ \"C\" ], \"description\": \"what\" } }");
        if (!profile)
                return;
        is_str(profile->hostname, "h", "hostname");
        is_str(profile->domainname, "d", "domainname");
        is_str(profile->root_path, "/srv/root", "root.path, normalized");
        ok(!profile->root_read_only, "root.readonly");
        is_str(profile->cwd, "/work", "process.cwd");
        ok(strv_length(profile->env) == 2 && streq(profile->env[1], "B=2"), "process.env");
        is_int(profile->capabilities, 1 << CAP_CHOWN | 1 << CAP_NET_RAW, "process.capabilities");
        ok(profile->n_rlimits == 1 && profile->rlimits[0].resource == RLIMIT_NOFILE &&
                           profile->rlimits[0].limit.rlim_cur == 10 &&
                           profile->rlimits[0].limit.rlim_max == RLIM_INFINITY,
           "process.rlimits");
        if (is_int(profile->n_mounts, 2, "mounts")) {
                const ProfileMount *m = profile->mounts;

                ok(m->type == PROFILE_MOUNT_TMPFS && streq(m->destination, "/a") && !m->source, "a tmpfs");
                ok(m->read_only && m->noexec && m->nosuid && m->nodev && !m->recursive, "its flags");
                is_str(m->data, "mode=1777,size=64m", "its data");
                m++;
                ok(m->type == PROFILE_MOUNT_BIND && streq(m->destination, "/b"), "a bind mount");
                is_str(m->source, "/home/x", "its source, normalized");
                ok(!m->read_only && !m->noexec && m->nosuid && m->nodev && m->recursive && !m->data, "its flags");
        }
        is_str(profile->kernel_release, "6.1", "sentry.kernelRelease");
        is_str(profile->kernel_version, "#1", "sentry.kernelVersion");
        is_str(profile->cpus, "0-3,5", "sentry.cpus as a list");
        ok(profile->pid_host && profile->namespaces == (all & ~CLONE_NEWPID), "sentry.pid: host");
        is_int(profile->network, PROFILE_NETWORK_PRIVATE, "sentry.network");
        is_int(profile->emulated_capabilities, UINT64_C(1) << CAP_SYSLOG, "sentry.emulatedCapabilities");
        is_int(profile->log_size, 4096, "sentry.logSize");
        is_int(profile->ptrace_scope, 3, "sentry.ptraceScope");
        ok(profile->clear_env && streq(profile->unsetenv[0], "C") && !profile->unsetenv[1], "sentry.env, unsetenv");
        is_str(profile->description, "what", "sentry.description");

        profile = profile_free(profile);
        profile = parse("{ \"sentry\": { \"cpus\": 2, \"network\": \"host\" } }");
        if (profile) {
                ok(profile->n_cpus == 2 && !profile->cpus, "sentry.cpus as a number");
                ok(profile->network == PROFILE_NETWORK_HOST && profile->namespaces == (all & ~CLONE_NEWNET),
                   "sentry.network: host");
        }
        profile = profile_free(profile);
        profile = parse("{ \"sentry\": { \"addresses\": ["
                        "{ \"action\": \"allow\", \"address\": \"10.0.0.0/8\", \"port\": \"80,8000-8100\", "
                        "\"calls\": [ \"send\" ] }, { \"action\": \"deny\", \"address\": \"fd00::/8\", \"port\": 0 }, "
                        "{ \"action\": \"allow\", \"address\": \"/run/a/\" }, "
                        "{ \"action\": \"deny\", \"family\": \"vsock\" }, { \"action\": \"allow\" } ] } }");
        if (profile) {
                const AddressRule *rule = profile->addresses.items;

                is_int((long) profile->addresses.n, 5, "sentry.addresses");
                ok(rule->allow && rule->family == AF_INET && rule->has_prefix && rule->prefix[0] == 10 &&
                           rule->prefix_bits == 8 && rule->n_ports == 2 && rule->ports[0].last == 80 &&
                           rule->ports[1].first == 8000 && rule->ports[1].last == 8100 &&
                           rule->calls == 1U << ADDRESS_SEND, "a rule with everything");
                ok(!rule[1].allow && rule[1].family == AF_INET6 && rule[1].n_ports == 1 && rule[1].ports[0].last == 0 &&
                           rule[1].calls == ADDRESS_CALLS_ALL, "a port as a number");
                ok(rule[2].family == AF_UNIX && streq(rule[2].name, "/run/a"), "a path");
                ok(rule[3].family == AF_VSOCK && rule[4].family == ADDRESS_FAMILY_ANY && !rule[4].has_prefix,
                   "a family, and none");
        }
        profile = profile_free(profile);
        profile = parse("{ \"linux\": { \"namespaces\": [ { \"type\": \"user\" }, { \"type\": \"mount\" } ] } }");
        if (profile)
                ok(profile->namespaces == (CLONE_NEWUSER | CLONE_NEWNS) && profile->pid_host &&
                                   profile->network == PROFILE_NETWORK_HOST,
                   "what linux.namespaces leaves out is the host's");

        _cleanup_(profile_problems_done) ProfileProblems problems = {};
        Profile *none = NULL;
        is_int(profile_parse("{\n\"sentry\": { \"extends\": \"default\" } }", &none, &problems), -EBADMSG,
               "a resolved profile extends nothing");
        ok(!none && find_problem(&problems, 2, "sentry.extends", "resolved"), "and is told so");
}

typedef struct Loaded {
        int r;
        char *document;
        ProfileProblems problems;
        Profile *profile;
} Loaded;

static void loaded_done(Loaded *loaded) {
        free(loaded->document);
        profile_problems_done(&loaded->problems);
        profile_free(loaded->profile);
}

static Loaded load(const char *name, const char *overrides) {
        Loaded loaded = {};

        loaded.r = profile_load(dirs, name, overrides, &loaded.document, &loaded.problems);
        if (loaded.r == 0) {
                _cleanup_(profile_problems_done) ProfileProblems problems = {};

                if (!is_int(profile_parse(loaded.document, &loaded.profile, &problems), 0, "%s can be parsed back",
                            name))
                        show_problems(&problems);
        }
        return loaded;
}

static void loads_badly(const char *name, const char *overrides, int error, const char *file, unsigned line,
                        const char *key, const char *part) {
        _cleanup_(loaded_done) Loaded loaded = load(name, overrides);
        _cleanup_free_ char *path = NULL;

        string_appendf(&path, startswith(file, "?") ? "%s" : "%s%s", startswith(file, "?") ? file + 1 : directory,
                       file);
        const ProfileProblem *p = find_problem(&loaded.problems, line, key, part);
        if (!ok(loaded.r == error && p && streq(p->file, path), "loading %s: %s:%u: %s: %s", name, file, line, key,
                part)) {
                tap_diag("  profile_load() = %d", loaded.r);
                show_problems(&loaded.problems);
        }
}

static void test_load(void) {
        put_profile(1, "base",
                    "{ \"hostname\": \"base\", \"process\": { \"env\": [ \"A=1\", \"B=2\" ], \"cwd\": \"/base\", "
                    "\"capabilities\": [ \"CAP_CHOWN\" ] },\n"
                    "\"mounts\": [ { \"destination\": \"/tmp\", \"type\": \"tmpfs\" }, { \"destination\": \"/tmp/x\", "
                    "\"type\": "
                    "\"tmpfs\" } ], \"sentry\": { \"description\": \"the base\", \"network\": \"none\", \"unsetenv\": "
                    "[ \"X\" ], "
                    "\"kernelRelease\": \"5.10\" } }");
        put_profile(1, "child",
                    "{ \"process\": { \"env\": [ \"B=3\", \"C=4\" ], \"capabilities\": [ \"CAP_KILL\" ] },\n"
                    "\"mounts\": [ { \"destination\": \"/tmp/\", \"type\": \"bind\", \"source\": \"/a\" }, { "
                    "\"destination\": "
                    "\"/new\", \"type\": \"tmpfs\" } ],\n"
                    "\"sentry\": { \"extends\": \"base\", \"unsetenv\": [ \"Y\" ] } }");

        _cleanup_(loaded_done) Loaded loaded = load("child", NULL);
        if (!is_int(loaded.r, 0, "a profile that extends another one")) {
                show_problems(&loaded.problems);
                return;
        }
        const Profile *p = loaded.profile;
        is_str(p->hostname, "base", "a scalar is inherited");
        is_str(p->cwd, "/base", "also one in an object");
        ok(strv_length(p->env) == 3 && streq(p->env[0], "A=1") && streq(p->env[1], "B=3") && streq(p->env[2], "C=4"),
           "process.env is merged by name");
        is_int(p->capabilities, 1 << CAP_KILL, "other arrays are replaced");
        ok(strv_length(p->unsetenv) == 1 && streq(p->unsetenv[0], "Y"), "so is unsetenv");
        ok(p->n_mounts == 3 && p->mounts[0].type == PROFILE_MOUNT_BIND && streq(p->mounts[0].destination, "/tmp") &&
                           streq(p->mounts[1].destination, "/tmp/x") && streq(p->mounts[2].destination, "/new"),
           "mounts are merged by destination, in their places");
        ok(!p->description, "a description is not inherited");
        ok(!strstr(loaded.document, "extends"), "the merged document extends nothing");

        _cleanup_(loaded_done) Loaded over = load("child", "{ \"hostname\": \"over\", \"process\": { \"env\": [ "
                                                           "\"A=9\" ] }, \"sentry\": { \"network\": \"host\" }, "
                                                           "\"root\": { \"readonly\": false } }");
        if (is_int(over.r, 0, "with overrides")) {
                is_str(over.profile->hostname, "over", "which replace scalars");
                is_str(over.profile->env[0], "A=9", "and variables");
                is_int(over.profile->network, PROFILE_NETWORK_HOST, "and what was inherited");
                ok(!over.profile->root_read_only, "and add objects");
        } else
                show_problems(&over.problems);

        /* The first directory wins. */
        put_profile(0, "base", "{ \"hostname\": \"other\", \"sentry\": { \"description\": \"the other base\" } }");
        _cleanup_(loaded_done) Loaded other = load("child", NULL);
        if (is_int(other.r, 0, "a profile of the same name in an earlier directory"))
                is_str(other.profile->hostname, "other", "is taken instead");

        _cleanup_free_ char *file = NULL;
        is_int(profile_find(dirs, "child", &file), 0, "profile_find()");
        ok(file && strstr(file, "/b/child.json"), "returns the file");
        static const char *const names[] = { "", "../child", "a/b", ".", "..", ".hidden", "-x", "a b", "\xC3\xA4" };
        for (size_t i = 0; i < ELEMENTSOF(names); i++) {
                char *none = NULL;

                is_int(profile_find(dirs, names[i], &none), -EINVAL, "profile_find(\"%s\")", names[i]);
        }
        is_int(profile_find(dirs, "nobody", &file), -ENOENT, "profile_find() of what is not there");

        ProfileListing *listing = NULL;
        size_t n = 0;
        put_profile(1, "broken", "{ x");
        put_file(dirs[1], "not-a-profile.txt", "", 0);
        put_file(dirs[1], ".hidden.json", "{}", 2);
        put_file(dirs[1], ".json", "{}", 2);
        is_int(profile_list(dirs, &listing, &n), 0, "profile_list()");
        if (is_int(n, 3, "finds three")) {
                is_str(listing[0].name, "base", "sorted by name");
                ok(strstr(listing[0].file, "/a/base.json"), "that of the first directory");
                is_str(listing[0].description, "the other base", "with its description");
                is_str(listing[1].name, "broken", "also one that is broken");
                ok(!listing[1].description, "which has no description");
                is_str(listing[2].name, "child", "and the third");
        }
        profile_listing_free(listing, n);
        char *const nowhere[] = { (char *) "/nonexistent", NULL };
        ok(profile_list(nowhere, &listing, &n) == 0 && n == 0, "a directory that is not there holds none");
        profile_listing_free(listing, n);
}

static void test_load_errors(void) {
        put_profile(1, "loop-a", "{\n\"sentry\": { \"extends\": \"loop-b\" } }");
        put_profile(1, "loop-b", "{\n\n\"sentry\": { \"extends\": \"loop-c\" } }");
        put_profile(1, "loop-c", "{ \"sentry\": {\n\n\n\"extends\": \"loop-b\" } }");
        put_profile(1, "self", "{ \"sentry\": { \"extends\": \"self\" } }");
        loads_badly("loop-a", NULL, -EBADMSG, "/b/loop-c.json", 4, "sentry.extends",
                    "the profile extends itself: loop-b → loop-c → loop-b");
        loads_badly("self", NULL, -EBADMSG, "/b/self.json", 1, "sentry.extends", "self → self");

        for (int i = 0; i <= 9; i++) {
                char name[32], text[64];

                snprintf(name, sizeof name, "chain%d", i);
                snprintf(text, sizeof text, "{ \"sentry\": { \"extends\": \"chain%d\" } }", i + 1);
                put_profile(1, name, i == 9 ? "{}" : text);
        }
        _cleanup_(loaded_done) Loaded loaded = load("chain1", NULL);
        is_int(loaded.r, 0, "a chain of %u", PROFILE_EXTENDS_MAX);
        loads_badly("chain0", NULL, -EBADMSG, "/b/chain8.json", 1, "sentry.extends", "too long; at most 8");

        loads_badly("nobody", NULL, -ENOENT, "?", 0, "", "there is no profile \"nobody\"");
        loads_badly("chidl", NULL, -ENOENT, "?", 0, "", "did you mean \"child\"?");
        loads_badly("../x", NULL, -ENOENT, "?", 0, "", "\"../x\" is no name of a profile");
        put_profile(1, "orphan", "{\n\"sentry\": {\n\"extends\": \"defualt\" } }");
        put_profile(1, "default", "{}");
        loads_badly("orphan", NULL, -ENOENT, "/b/orphan.json", 3, "sentry.extends",
                    "there is no profile \"defualt\"; did you mean \"default\"?");

        /* Each problem belongs to its file. */
        put_profile(1, "bad-base", "{\n\n\n\"hostname\": 7 }");
        put_profile(1, "bad-child", "{ \"sentry\": { \"extends\": \"bad-base\",\n\"cpus\": 0 } }");
        loads_badly("bad-child", "{ \"sentry\":\n{ \"pid\": 1 } }", -EBADMSG, "/b/bad-base.json", 4, "hostname",
                    "found 7");
        loads_badly("bad-child", "{ \"sentry\":\n{ \"pid\": 1 } }", -EBADMSG, "/b/bad-child.json", 2, "sentry.cpus",
                    "found 0");
        loads_badly("bad-child", "{ \"sentry\":\n{ \"pid\": 1 } }", -EBADMSG, "?command line", 0, "sentry.pid",
                    "found 1");
        loads_badly("default", "{ x", -EBADMSG, "?command line", 0, "", "expected a key in double quotes");
        loads_badly("default", "{ \"sentry\": { \"extends\": \"x\" } }", -EBADMSG, "?command line", 0,
                    "sentry.extends", "not allowed here");
        loads_badly("default", "{ \"mounts\": [ { \"type\": \"tmpfs\" } ] }", -EBADMSG, "?command line", 0,
                    "mounts[0].destination", "missing");
        put_profile(1, "bad-syntax", "{\n\"hostname\" }");
        put_profile(1, "on-bad-syntax", "{ \"sentry\": { \"extends\": \"bad-syntax\" } }");
        loads_badly("on-bad-syntax", NULL, -EBADMSG, "/b/bad-syntax.json", 2, "", "expected ':'");

        /* What holds for each file but not for the whole. */
        put_profile(1, "net-base", "{ \"sentry\": { \"network\": \"none\", \"pid\": \"host\" } }");
        put_profile(1, "net-child",
                    "{ \"sentry\": { \"extends\": \"net-base\" },\n\"linux\": {\n\"namespaces\": [ { \"type\": "
                    "\"user\" }, { "
                    "\"type\": \"mount\" } ] } }");
        put_profile(1, "net-grandchild", "{ \"sentry\": { \"extends\": \"net-child\" } }");
        loads_badly("net-grandchild", NULL, -EBADMSG, "/b/net-child.json", 3, "linux.namespaces",
                    "but sentry.network is \"none\"");
        loads_badly("net-base",
                    "{ \"linux\": { \"namespaces\": [ { \"type\": \"user\" }, { \"type\": \"mount\" } ] } }", -EBADMSG,
                    "?command line", 0, "linux.namespaces", "but sentry.network is \"none\"");

        _cleanup_free_ char *below = NULL, *above = NULL;
        for (int i = 0; i < 400; i++) {
                char **text = i < 200 ? &below : &above;

                string_appendf(text, "%s{ \"destination\": \"/m%d\", \"type\": \"tmpfs\" }",
                               *text ? ",\n" : "{ \"mounts\": [\n", i);
        }
        string_appendf(&below, "] }");
        string_appendf(&above, "],\n \"sentry\": { \"extends\": \"many-base\" } }");
        put_profile(1, "many-base", below);
        put_profile(1, "many", above);
        loads_badly("many", NULL, -EBADMSG, "/b/many.json", 1, "mounts", "400 mounts; at most 256");

        /* Files that are none. */
        _cleanup_free_ char *path = NULL, *link = NULL, *pipe = NULL, *large = calloc(1, PROFILE_TEXT_MAX + 1);
        string_appendf(&path, "%s/directory.json", dirs[1]);
        string_appendf(&link, "%s/dangling.json", dirs[1]);
        string_appendf(&pipe, "%s/pipe.json", dirs[1]);
        if (!large || mkdir(path, 0755) < 0 || symlink("nowhere", link) < 0 || mkfifo(pipe, 0600) < 0)
                tap_bail_out("cannot make the files: %s", strerror(errno));
        loads_badly("directory", NULL, -EBADMSG, "/b/directory.json", 0, "", "Is a directory");
        loads_badly("dangling", NULL, -EBADMSG, "/b/dangling.json", 0, "", "No such file");
        loads_badly("pipe", NULL, -EBADMSG, "/b/pipe.json", 0, "", "no regular file");
        put_file(dirs[1], "large.json", large, PROFILE_TEXT_MAX + 1);
        loads_badly("large", NULL, -EBADMSG, "/b/large.json", 0, "", "too large");
        put_file(dirs[1], "nul.json", "{\n\0}", 4);
        loads_badly("nul", NULL, -EBADMSG, "/b/nul.json", 2, "", "NUL byte");
}

static void test_search_path(void) {
        _cleanup_strv_free_ char **path = NULL;

        setenv("SENTRYD_PROFILE_PATH", "/one::/two:", 1);
        is_int(profile_search_path(true, &path), 0, "profile_search_path()");
        ok(strv_length(path) == 2 && streq(path[0], "/one") && streq(path[1], "/two"),
           "$SENTRYD_PROFILE_PATH replaces all others");
        unsetenv("SENTRYD_PROFILE_PATH");

        path = strv_free(path);
        setenv("XDG_CONFIG_HOME", "/conf", 1);
        setenv("HOME", "/home/someone", 1);
        profile_search_path(true, &path);
        ok(strv_length(path) == 3 && streq(path[0], "/conf/sentryd/profiles"), "$XDG_CONFIG_HOME comes first");
        ok(path[0] && path[1] && strstr(path[1], "/profiles") && path[2] && strstr(path[2], "/profiles"),
           "then the administrator's and the vendor's");
        path = strv_free(path);
        setenv("XDG_CONFIG_HOME", "relative", 1);
        profile_search_path(true, &path);
        is_str(path[0], "/home/someone/.config/sentryd/profiles", "without it $HOME/.config");
        path = strv_free(path);
        profile_search_path(false, &path);
        is_int(strv_length(path), 2, "without the user's");
}

/* The profiles that are shipped: `make check` tells where the source is; else it is where this file was. */
static void test_shipped(void) {
        const char *top = getenv("srcdir");
        _cleanup_free_ char *shipped = NULL;

        if (top)
                string_appendf(&shipped, "%s/profiles", top);
        else
                string_appendf(&shipped, "%.*s../../profiles", (int) (strrchr(__FILE__, '/') - __FILE__ + 1),
                               __FILE__);
        if (!top && access(shipped, F_OK) < 0) {
                tap_skip("$srcdir is not set, and there is no %s", shipped);
                return;
        }

        char *const path[] = { shipped, NULL };
        ProfileListing *listing = NULL;
        size_t n = 0;
        profile_list(path, &listing, &n);
        ok(n >= 2, "%zu profiles are shipped", n);
        for (size_t i = 0; i < n; i++) {
                _cleanup_(profile_problems_done) ProfileProblems problems = {}, more = {};
                _cleanup_(profile_freep) Profile *profile = NULL;
                _cleanup_free_ char *document = NULL;

                if (!ok(profile_load(path, listing[i].name, NULL, &document, &problems) == 0 &&
                                        profile_parse(document, &profile, &more) == 0,
                        "profile \"%s\" is good", listing[i].name)) {
                        show_problems(&problems);
                        show_problems(&more);
                }
                ok(listing[i].description && listing[i].description[0], "profile \"%s\" has a description",
                   listing[i].name);
                if (!profile || !streq(listing[i].name, "default"))
                        continue;
                is_int(profile->n_mounts, 6, "default has six mounts");
                ok(profile->root_read_only && profile->network == PROFILE_NETWORK_NONE && !profile->pid_host,
                   "default is tight");
                is_int(profile->emulated_capabilities,
                       UINT64_C(1) << CAP_SYS_ADMIN | UINT64_C(1) << CAP_SYSLOG | UINT64_C(1) << CAP_SYS_BOOT |
                                       UINT64_C(1) << CAP_SYS_NICE,
                       "default's emulated capabilities");
        }
        profile_listing_free(listing, n);
}

static uint64_t random_state = UINT64_C(0x9E3779B97F4A7C15);

static uint32_t random_number(void) {
        random_state ^= random_state << 13;
        random_state ^= random_state >> 7;
        random_state ^= random_state << 17;
        return (uint32_t) (random_state >> 32);
}

static void mutate(char *text, size_t *size, size_t capacity) {
        static const char *const pieces[] = {
                "{",           "}",
                "[",           "]",
                ":",           ",",
                "\"",          "\\u0000",
                "\\ud800",     "null",
                "true",        "-1",
                "1e999",       "\"type\"",
                "/*",          "99999999999999999999",
                "\xFF",        "\xC3",
                "\n",          "{\"\":[",
                "\"sentry\":", "[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[",
        };

        for (uint32_t i = random_number() % 6 + 1; i > 0; i--) {
                size_t at = *size ? random_number() % *size : 0;
                size_t n = MIN((size_t) (random_number() % 40), *size - at), to;

                switch (random_number() % 5) {
                case 0: /* another byte */
                        if (*size > 0)
                                text[at] = (char) random_number();
                        break;
                case 1: /* less */
                        memmove(text + at, text + at + n, *size - at - n);
                        *size -= n;
                        break;
                case 2: { /* something of JSON */
                        const char *piece = pieces[random_number() % ELEMENTSOF(pieces)];

                        n = strlen(piece);
                        if (*size + n <= capacity) {
                                memmove(text + at + n, text + at, *size - at);
                                memcpy(text + at, piece, n);
                                *size += n;
                        }
                        break;
                }
                case 3: /* one part twice */
                        if (*size + n <= capacity) {
                                memmove(text + at + n, text + at, *size - at);
                                *size += n;
                        }
                        break;
                default: /* one part over another */
                        to = *size ? random_number() % *size : 0;
                        memmove(text + to, text + at, MIN(n, *size - to));
                        break;
                }
        }
}

static void test_mutations(void) {
        static const char seed[] =
                        "{ \"hostname\": \"h\", \"root\": { \"path\": \"/srv\", \"readonly\": false }, \"process\": { "
                        "\"cwd\": \"/w\", "
                        "\"env\": [ \"A=1\" ], \"capabilities\": [ \"CAP_CHOWN\" ], \"rlimits\": [ { \"type\": "
                        "\"RLIMIT_NOFILE\", \"soft\": "
                        "10, \"hard\": \"infinity\" } ] }, \"mounts\": [ { \"destination\": \"/a\", \"type\": "
                        "\"tmpfs\", \"options\": [ "
                        "\"noexec\", \"mode=1777\", \"size=64m\" ] }, { \"destination\": \"/b\", \"type\": \"bind\", "
                        "\"source\": \"/x\" } ], "
                        "\"linux\": { \"namespaces\": [ { \"type\": \"user\" }, { \"type\": \"mount\" } ] }, "
                        "\"sentry\": { \"cpus\": \"0-3,5\", "
                        "\"pid\": \"host\", \"network\": \"host\", \"logSize\": 4096, \"unsetenv\": [ \"C\" ] } }";
        unsigned n_good = 0, n_bad = 0, n_strange = 0, n_differ = 0;

        for (unsigned i = 0; i < 10000; i++) {
                _cleanup_(profile_problems_done) ProfileProblems problems = {};
                size_t size = sizeof seed - 1, capacity = size + 400;
                _cleanup_free_ char *text = malloc(capacity + 1);

                if (!text)
                        tap_bail_out("no memory");
                memcpy(text, seed, size);
                mutate(text, &size, capacity);
                text[size] = '\0';

                int r = profile_check_text(text, size, "x", &problems);
                if (r == 0)
                        n_good++;
                else if (r == -EBADMSG)
                        n_bad++;
                n_strange += (r != 0 && r != -EBADMSG) || (r == 0) != (problems.n_items == 0);
                for (size_t j = 0; j < problems.n_items; j++) {
                        const ProfileProblem *p = &problems.items[j];

                        /* They go over the bus, which takes UTF-8 only. */
                        n_strange += utf8_valid_length(p->message, strlen(p->message)) != strlen(p->message) ||
                                     utf8_valid_length(p->key, strlen(p->key)) != strlen(p->key);
                        n_differ += startswith(p->message, "json-c:") != NULL;
                }

                /* As overrides of a good profile, too: what is good must merge and come back. */
                if (i % 10 == 0 && strlen(text) == size) {
                        Loaded loaded = {};

                        loaded.r = profile_load(dirs, "child", text, &loaded.document, &loaded.problems);
                        if (loaded.r == 0) {
                                ProfileProblems more = {};

                                n_strange += profile_parse(loaded.document, &loaded.profile, &more) != 0;
                                profile_problems_done(&more);
                        } else
                                n_strange += loaded.r != -EBADMSG || loaded.problems.n_items == 0;
                        loaded_done(&loaded);
                }
        }

        is_int(n_good + n_bad, 10000, "10000 mangled documents: %u good, %u bad", n_good, n_bad);
        is_int(n_strange, 0, "each either good and without problems, or bad and told why");
        is_int(n_differ, 0, "json-c refuses nothing that the scanner takes");
}

int main(void) {
        if (!mkdtemp(directory))
                tap_bail_out("cannot make a directory: %s", strerror(errno));
        for (int i = 0; i < 2; i++)
                if (string_appendf(&dirs[i], "%s/%c", directory, 'a' + i) < 0 || mkdir(dirs[i], 0755) < 0)
                        tap_bail_out("cannot make a directory: %s", strerror(errno));

        test_syntax();
        test_limits();
        test_keys();
        test_names();
        test_values();
        test_namespaces();
        test_mounts();
        test_many();
        test_parse();
        test_load();
        test_load_errors();
        test_search_path();
        test_shipped();
        test_mutations();

        remove_directory();
        return tap_done();
}
