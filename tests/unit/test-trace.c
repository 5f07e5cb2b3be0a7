/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* kernelemu/trace: which calls, arguments by their kinds, lines of JSON. */

#include <fcntl.h>
#include <signal.h>
#include <sys/time.h>
#include <time.h>

#include "fake-host.h"
#include "tap.h"
#include "trace.h"
#include "trace-struct.h"

#define has(text, part, ...) ok(strstr((text), (part)) != NULL, __VA_ARGS__)

static TraceFilter filter;

static int parse(const char *text) {
        const char *word;
        size_t n;

        return trace_filter_parse(text, &filter, &word, &n);
}

static void test_filter(void) {
        const char *word = "";
        size_t n = 0;

        is_int(parse(NULL), 0, "no list");
        ok(filter.ids[SYSCALL_ID_uname] && filter.unknown, "… is all");
        is_int(parse("uname,mount"), 0, "two names");
        ok(filter.ids[SYSCALL_ID_uname] && filter.ids[SYSCALL_ID_mount] && !filter.ids[SYSCALL_ID_bpf] &&
           !filter.unknown, "… are those two");
        is_int(parse("!uname,mount"), 0, "!");
        ok(!filter.ids[SYSCALL_ID_uname] && !filter.ids[SYSCALL_ID_mount] && filter.ids[SYSCALL_ID_bpf] &&
           filter.unknown, "… is all but those");
        is_int(parse("%refused"), 0, "a class");
        ok(!filter.ids[SYSCALL_ID_uname] && filter.ids[SYSCALL_ID_pivot_root] && !filter.unknown, "… is its rows");
        is_int(parse("%emulated,bpf"), 0, "a class and a name");
        ok(filter.ids[SYSCALL_ID_uname] && filter.ids[SYSCALL_ID_bpf] && !filter.ids[SYSCALL_ID_pivot_root], "… are both");
        is_int(parse("%mediated"), 0, "a class that may have no row");
        is_int(parse("%sched"), 0, "a family");
        ok(filter.ids[SYSCALL_ID_sched_getaffinity] && !filter.ids[SYSCALL_ID_uname], "… is its rows");
        is_int(parse("%unknown"), 0, "what has no row");
        ok(filter.unknown && !filter.ids[SYSCALL_ID_uname], "… only");
        is_int(parse("none"), 0, "none");
        ok(!filter.unknown && !filter.ids[SYSCALL_ID_uname], "… is none");

        is_int(trace_filter_parse("uname,unam,x", &filter, &word, &n), -EINVAL, "a name that is none");
        ok(n == 4 && strncmp(word, "unam", n) == 0, "… is told");
        is_int(parse("%"), -EINVAL, "no class");
        is_int(parse("uname,"), -EINVAL, "no name");
        is_int(parse("%unam"), -EINVAL, "a class that is none");

        (void) parse("uname");
        ok(trace_filter_matches(&filter, &(Call) { .id = SYSCALL_ID_uname }), "matches");
        ok(!trace_filter_matches(&filter, &(Call) { .id = SYSCALL_ID_uname, .foreign = true }), "not of a foreign ABI");
        ok(!trace_filter_matches(&filter, &(Call) { .id = SYSCALL_ID_UNKNOWN }), "not without a row");
}

static FakeHost fake;
static Kernel *kernel;
static TraceArguments arguments;

static void put(GuestAddr address, const char *text) {
        memcpy(fake.memory + (address - GUEST_BASE), text, strlen(text) + 1);
}

static const char *arg(SyscallId id, unsigned i, uint64_t a0, uint64_t a1, uint64_t a2, uint64_t a3) {
        Call call = { .cookie = 1, .tid = FAKE_TID, .id = id, .args = { a0, a1, a2, a3 } };

        trace_read_arguments(kernel, &call, verdict_value(0), &arguments);
        return i < arguments.n ? arguments.text[i] : "none";
}

static void test_arguments(void) {
        const GuestAddr end = GUEST_BASE + GUEST_SIZE;
        char longest[TRACE_PATH_MAX + 2];

        kernel = fake_kernel(&fake);
        is_int(fake_call(kernel, "uname", GUEST_BASE, 0, 0).kind, VERDICT_VALUE, "a kernel that works");
        put(GUEST_BASE, "/dev/sda");
        is_str(arg(SYSCALL_ID_swapon, 0, GUEST_BASE, 0x8000, 0, 0), "\"/dev/sda\"", "a path");
        is_str(arg(SYSCALL_ID_swapon, 1, GUEST_BASE, 0x8000, 0, 0), "0x8000", "flags");
        is_str(arg(SYSCALL_ID_swapon, 1, GUEST_BASE, 0, 0, 0), "0", "no flags");
        is_str(arg(SYSCALL_ID_swapon, 0, 0, 0, 0, 0), "NULL", "no path");
        is_str(arg(SYSCALL_ID_swapon, 0, 0x42, 0, 0, 0), "0x42", "an address that cannot be read");
        is_str(arg(SYSCALL_ID_swapon, 2, GUEST_BASE, 0, 0, 0), "none", "no more arguments than the row has");

        put(GUEST_BASE, "a\"b\\c\n\t\033[31m\303\244\177");
        is_str(arg(SYSCALL_ID_swapon, 0, GUEST_BASE, 0, 0, 0), "\"a\\\"b\\\\c\\n\\t\\033[31m\\303\\244\\177\"",
               "what a terminal would obey is written out");
        put(end - 4, "abc");
        is_str(arg(SYSCALL_ID_swapon, 0, end - 4, 0, 0, 0), "\"abc\"", "a string up to the end of memory");
        fake.memory[GUEST_SIZE - 1] = 'd';
        has(arg(SYSCALL_ID_swapon, 0, end - 4, 0, 0, 0), "0x", "a string past the end of memory is an address");

        memset(longest, 1, sizeof(longest));
        longest[sizeof(longest) - 1] = '\0';
        put(GUEST_BASE, longest);
        is_int((intmax_t) strlen(arg(SYSCALL_ID_swapon, 0, GUEST_BASE, 0, 0, 0)), TRACE_PATH_MAX * 4 + 5,
               "a long path is cut");
        has(arguments.text[0], "\"...", "… and says so");

        put(GUEST_BASE, "newname-and-more");
        is_str(arg(SYSCALL_ID_sethostname, 0, GUEST_BASE, 7, 0, 0), "\"newname\"", "a buffer of text with its size");
        put(GUEST_BASE, "\001\002");
        has(arg(SYSCALL_ID_sethostname, 0, GUEST_BASE, 2, 0, 0), "0x", "a buffer of other things is an address");
        has(arg(SYSCALL_ID_time, 0, GUEST_BASE, 0, 0, 0), "0x", "so is one that is written to");

        is_str(arg(SYSCALL_ID_move_mount, 0, (uint64_t) AT_FDCWD, 0, 0, 0), "AT_FDCWD", "AT_FDCWD");
        is_str(arg(SYSCALL_ID_move_mount, 0, 0xffffff9c, 0, 0, 0), "AT_FDCWD", "… of 32 bits");
        is_str(arg(SYSCALL_ID_move_mount, 0, 3, 0, 0, 0), "3", "a directory");
        is_str(arg(SYSCALL_ID_tkill, 1, 1, 9, 0, 0), "SIGKILL", "a signal");
        is_str(arg(SYSCALL_ID_tkill, 1, 1, 34, 0, 0), "SIGRT_2", "a real-time signal");
        is_str(arg(SYSCALL_ID_tkill, 1, 1, 0, 0, 0), "0", "no signal");
        is_str(arg(SYSCALL_ID_tkill, 1, 1, 99, 0, 0), "99", "no signal that there is");
        is_str(arg(SYSCALL_ID_tkill, 0, 0xffffffff, 99, 0, 0), "-1", "a pid of 32 bits");
        is_str(arg(SYSCALL_ID_chmod, 1, 0, 0644, 0, 0), "0644", "a mode");
        is_str(arg(SYSCALL_ID_clock_settime, 0, CLOCK_BOOTTIME, 0, 0, 0), "CLOCK_BOOTTIME", "a clock");
        is_str(arg(SYSCALL_ID_clock_settime, 0, 77, 0, 0, 0), "77", "a clock of the future");
        is_str(arg(SYSCALL_ID_chown, 1, 0, 0xffffffff, 0, 0), "-1", "no change of an id");
        is_str(arg(SYSCALL_ID_reboot, 2, 0, 0, 0x4321fedc, 0), "0x4321fedc", "a command of bits");
        is_str(arg(SYSCALL_ID_syslog, 0, 10, 0, 0, 0), "10", "a command that is a number");
        is_str(arg(SYSCALL_ID_UNKNOWN, 5, 1, 2, 3, 4), "0", "without a row there are six numbers");
}

static void test_structs(void) {
        Call uname = { .cookie = 1, .tid = FAKE_TID, .id = SYSCALL_ID_uname, .args = { GUEST_BASE } };
        const struct itimerspec spec = { .it_interval = { 1, 2 }, .it_value = { -3, 999999999 } };
        const struct itimerval val = { .it_value = { 4, 5 } };
        const struct sigevent event = { .sigev_signo = SIGALRM, .sigev_notify = SIGEV_NONE };
        char text[TRACE_ARGUMENT_MAX], small[16];

        (void) fake_call(kernel, "uname", GUEST_BASE, 0, 0);
        is_str(arg(SYSCALL_ID_uname, 0, GUEST_BASE, 0, 0, 0), "{sysname=\"Linux\", nodename=\"box\", "
               "release=\"6.1.0-test\", version=\"#1 SMP\", machine=\"x86_64\", domainname=\"(none)\"}", "uname");
        trace_read_arguments(kernel, &uname, verdict_error(EFAULT), &arguments);
        is_str(arguments.text[0], "0x10000", "… that failed has no answer");
        is_str(arg(SYSCALL_ID_uname, 0, 0, 0, 0, 0), "NULL", "… nor has one without room for it");
        is_str(arg(SYSCALL_ID_uname, 0, 0x42, 0, 0, 0), "0x42", "… or out of reach");
        memset(fake.memory, 'x', sizeof(AbiUtsname));
        has(arg(SYSCALL_ID_uname, 0, GUEST_BASE, 0, 0, 0), "nodename=\"xxxxxxxxxxxxxxxxxxxxxxxx\"..., release",
            "… changed meanwhile shows what is there");
        (void) fake_call(kernel, "sysinfo", GUEST_BASE, 0, 0);
        has(arg(SYSCALL_ID_sysinfo, 0, GUEST_BASE, 0, 0, 0), "{uptime=", "sysinfo");
        has(arguments.text[0], ", procs=65535, mem_unit=", "… with a number of 16 bits");

        memset(fake.memory, 0, 256);
        fake.memory[0] = 0x0b;
        is_str(arg(SYSCALL_ID_sched_setaffinity, 2, 0, 8, GUEST_BASE, 0), "[0-1,3]", "a set of CPUs");
        is_str(arg(SYSCALL_ID_sched_setaffinity, 2, 0, UINT64_MAX, GUEST_BASE, 0), "[0-1,3]", "… of any size");
        is_str(arg(SYSCALL_ID_sched_setaffinity, 2, 0, 0, GUEST_BASE, 0), "0x10000", "… or none");
        is_str(arg(SYSCALL_ID_sched_getaffinity, 2, 0, 128, GUEST_BASE, 0), "0x10000", "one that was not written");

        is_int(trace_struct_size(ARG_OUT), 0, "some arguments are no structures");
        trace_struct_format(ARG_IN_ITIMERSPEC, &spec, text, sizeof(text));
        is_str(text, "{it_interval={tv_sec=1, tv_nsec=2}, it_value={tv_sec=-3, tv_nsec=999999999}}", "itimerspec");
        trace_struct_format(ARG_OUT_ITIMERVAL, &val, text, sizeof(text));
        is_str(text, "{it_interval={tv_sec=0, tv_usec=0}, it_value={tv_sec=4, tv_usec=5}}", "itimerval");
        trace_struct_format(ARG_IN_SIGEVENT, &event, text, sizeof(text));
        is_str(text, "{sigev_value=0, sigev_signo=SIGALRM, sigev_notify=1}", "sigevent");
        trace_struct_format(ARG_IN_ITIMERSPEC, &spec, small, sizeof(small));
        is_str(small, "{it_interval={t", "what has no room is left out");
        for (SyscallArg kind = 0; kind < _SYSCALL_ARG_MAX; kind++)
                if (trace_struct_size(kind) > TRACE_STRUCT_SIZE_MAX || !syscall_arg_to_string(kind))
                        ok(false, "argument kind %d has a size and a name", (int) kind);
}

static char line[TRACE_LINE_MAX];

static const char *format(const Call *call, const char *name, const char *comm, Verdict verdict, int fd) {
        size_t n;

        trace_read_arguments(kernel, call, verdict, &arguments);
        n = trace_format(&(TraceRecord) {
                .call = call,
                .name = name,
                .arch = call->foreign ? "x86" : NULL,
                .arguments = &arguments,
                .verdict = verdict,
                .fd = fd,
                .usec = 1700000000000000,
                .duration_ns = 6931,
                .pid = 2,
                .comm = comm,
        }, line);
        ok(n < TRACE_LINE_MAX && n == strlen(line) && line[n - 1] == '\n', "a line");
        return line;
}

static void test_lines(void) {
        Call call = { .cookie = 1, .tid = FAKE_TID, .id = SYSCALL_ID_syslog, .args = { 10, 0, 0 } };
        char path[TRACE_PATH_MAX + 1];

        is_str(format(&call, "syslog", "a\"b\001\303\244", verdict_value(262144), -1),
               "{\"time\":1700000000000000,\"pid\":2,\"hostpid\":1000,\"comm\":\"a\\\"b\\u0001\303\244\","
               "\"syscall\":\"syslog\",\"class\":\"emulated\",\"args\":[\"10\",\"NULL\",\"0\"],\"result\":262144,"
               "\"nsec\":6931}\n", "as JSON");
        has(format(&call, "syslog", "x", verdict_error(EPERM), -1), "\"result\":-1,\"errno\":\"EPERM\"", "an error");
        has(format(&call, "syslog", "x", verdict_error(512), -1), "\"errno\":\"ERESTARTSYS\"", "a restart");
        has(format(&call, "syslog", "x", verdict_fd(99, 0), 5), "\"result\":5", "a descriptor of the caller's");
        has(format(&call, "syslog", "x", verdict_fd(99, 0), -EMFILE), "\"errno\":\"EMFILE\"", "… or why not");
        has(format(&call, "syslog", "x", verdict_continue(), -1), "\"result\":null", "the host's result");
        call.foreign = true;
        has(format(&call, "olduname", "x", verdict_error(ENOSYS), -1),
             "\"syscall\":\"olduname\",\"arch\":\"x86\",\"class\":\"unknown\"", "a foreign ABI");

        /* The worst that a guest can do: two paths, three strings of bytes that take five characters each */
        memset(path, 1, sizeof(path) - 1);
        path[sizeof(path) - 1] = '\0';
        put(GUEST_BASE, path);
        call = (Call) { .cookie = 1, .tid = FAKE_TID, .id = SYSCALL_ID_move_mount,
                        .args = { 1, GUEST_BASE, 1, GUEST_BASE, 0 } };
        has(format(&call, "move_mount", "x", verdict_error(EPERM), -1), "\"args\":[\"1\"", "two long paths fit");
        call = (Call) { .cookie = 1, .tid = FAKE_TID, .id = SYSCALL_ID_mount,
                        .args = { GUEST_BASE, GUEST_BASE, GUEST_BASE, 0, 0 } };
        has(format(&call, "mount", "x", verdict_error(EPERM), -1), "\"args\":[\"", "those of mount fit");

        is_int((intmax_t) trace_format_dropped(17, line), 15, "a line about dropped ones");
        is_str(line, "{\"dropped\":17}\n", "… says how many");
        kernel_free(kernel);
}

int main(void) {
        test_filter();
        test_arguments();
        test_structs();
        test_lines();
        return tap_done();
}
