/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The Kernel object and the handlers of emulated calls, on a fake host. What the calls do is compared with the host's
 * own in tests/sys; here are the things that no guest can bring about. */

#include <errno.h>
#include <linux/reboot.h>
#include <signal.h>

#include "tap.h"
#include "fake-host.h"

static void test_table(void) {
        unsigned ours = 0;

        for (SyscallId id = 0; id < _SYSCALL_ID_MAX; id++) {
                const SyscallRow *row = &syscall_table[id];

                if (syscall_id_from_name(row->name) != id)
                        ok(false, "%s is found by its name", row->name);
                if (!syscall_class_to_string(row->class) || !row->family[0])
                        ok(false, "%s has a class and a family", row->name);
                if (syscall_row_is_ours(row, UINT32_MAX) && !row->handler)
                        ok(false, "%s has a handler", row->name);
                if (row->class == SYSCALL_REFUSED && row->error <= 0)
                        ok(false, "%s has an errno", row->name);
                for (unsigned i = 0; i < row->n_args; i++)
                        if (!syscall_arg_to_string(row->args[i]))
                                ok(false, "argument %u of %s has a kind", i, row->name);
                if (syscall_row_is_ours(row, 0))
                        ours++;
        }
        ok(ours > 50, "%u rows are ours", ours);
        is_int(syscall_id_from_name("no_such_call"), SYSCALL_ID_UNKNOWN, "what is not there is not found");
        is_int(syscall_id_from_name(""), SYSCALL_ID_UNKNOWN, "nor is nothing");
}

static void test_config(void) {
        FakeHost fake = { .host.ops = &fake_ops };
        KernelConfig config = { .name = "x", .cpu_mask_size = 128 };
        Kernel *kernel;

        is_int(kernel_new(&config, &fake.host, &kernel), -EINVAL, "a kernel without CPUs is refused");
        kernel_free(NULL);
        ok(true, "freeing nothing is possible");
}

static void test_uts(void) {
        FakeHost fake;
        Kernel *kernel = fake_kernel(&fake);
        AbiUtsname *names = (AbiUtsname *) (void *) fake.memory;

        is_int(fake_call(kernel, "uname", GUEST_BASE, 0, 0).value, 0, "uname");
        is_str(names->nodename, "box", "gives the host name");
        is_str(names->release, "6.1.0-test", "and the release");
        is_int(fake_call(kernel, "uname", GUEST_BASE + GUEST_SIZE - 389, 0, 0).value, EFAULT, "a byte too far: EFAULT");
        is_int(fake_call(kernel, "uname", UINT64_MAX, 0, 0).value, EFAULT, "the end of all addresses: EFAULT");

        memset(fake.memory, 'a', 65);
        is_int(fake_call(kernel, "sethostname", GUEST_BASE, 64, 0).kind, VERDICT_VALUE, "64 bytes are a name");
        is_int(fake_call(kernel, "sethostname", GUEST_BASE, 65, 0).value, EINVAL, "65 are none");
        is_int(fake_call(kernel, "sethostname", GUEST_BASE, UINT64_MAX, 0).value, EINVAL, "-1 neither");
        is_int(fake_call(kernel, "sethostname", 1, 3, 0).value, EFAULT, "out of reach");
        is_int(fake_call(kernel, "sethostname", 1, 0, 0).value, 0, "nothing is read of an empty name");
        is_int(fake.n_events[KERNEL_EVENT_UTS_CHANGED], 2, "the host is told of changes");
        is_int(fake_call(kernel, "setdomainname", GUEST_BASE, 3, 0).value, 0, "a domain name");
        is_str(kernel->first_uts->domainname, "aaa", "is set");

        fake.uts_inode++;
        is_int(fake_call(kernel, "sethostname", GUEST_BASE, 1, 0).value, 0, "in another namespace");
        is_int((intmax_t) kernel->namespaces.n[NAMESPACE_UTS], 2, "it is another name");
        is_str(kernel->first_uts->nodename, "", "and the first stays");
        for (unsigned i = 0; i < NAMESPACES_MAX; i++) {
                fake.uts_inode++;
                (void) fake_call(kernel, "uname", GUEST_BASE, 0, 0);
        }
        ok(kernel->namespaces.n[NAMESPACE_UTS] < NAMESPACES_MAX, "those that nobody is in any more make room");
        for (unsigned i = 0; i < NAMESPACES_MAX; i++) {
                if (i < NAMESPACES_MAX - 1)
                        fake_task(&fake, (GuestPid) i + 1, 0, 1, 1)->namespaces[NAMESPACE_UTS] = fake.uts_inode + 1;
                fake.uts_inode++;
                (void) fake_call(kernel, "uname", GUEST_BASE, 0, 0);
        }
        is_int((intmax_t) kernel->namespaces.n[NAMESPACE_UTS], NAMESPACES_MAX, "their number is limited");
        is_int(fake_call(kernel, "uname", GUEST_BASE, 0, 0).value, ENOSPC, "ENOSPC beyond");

        fake.uts_inode = FAKE_UTS_INODE;
        fake.personality = 0x20008;
        (void) fake_call(kernel, "uname", GUEST_BASE, 0, 0);
        is_str(names->machine, "x86_64", "nobody asked for a personality");
        is_int(fake_call(kernel, "personality", 0x20008, 0, 0).kind, VERDICT_CONTINUE, "one does");
        (void) fake_call(kernel, "uname", GUEST_BASE, 0, 0);
        is_str(names->machine, "i686", "PER_LINUX32");
        is_str(names->release, "2.6.61-test", "UNAME26");

        kernel->emulated_capabilities = 0;
        is_int(fake_call(kernel, "sethostname", 0, UINT64_MAX, 0).value, EPERM, "without CAP_SYS_ADMIN: EPERM first");
        kernel_free(kernel);
}

static void test_affinity(void) {
        FakeHost fake;
        Kernel *kernel = fake_kernel(&fake);
        uint64_t *mask = (uint64_t *) (void *) fake.memory;

        is_int(fake_call(kernel, "sched_getaffinity", 0, 128, GUEST_BASE).value, 128, "all bytes of the mask");
        is_int((intmax_t) mask[0], 7, "cut to the sandbox's CPUs");
        is_int(fake_call(kernel, "sched_getaffinity", 0, 4096, GUEST_BASE).value, 128, "never more than the host's");
        is_int(fake_call(kernel, "sched_getaffinity", 0, 0, GUEST_BASE).value, EINVAL, "no room");
        is_int(fake_call(kernel, "sched_getaffinity", 0, 12, GUEST_BASE).value, EINVAL, "half a long");
        is_int(fake_call(kernel, "sched_getaffinity", 77, 128, GUEST_BASE).value, ESRCH, "nobody");

        mask[0] = 8;
        is_int(fake_call(kernel, "sched_setaffinity", 0, 8, GUEST_BASE).value, EINVAL, "a CPU of others only");
        mask[0] = 10;
        is_int(fake_call(kernel, "sched_setaffinity", 0, 8, GUEST_BASE).value, 0, "one of others, one of ours");
        is_int((intmax_t) fake.affinity.words[0], 2, "gives ours");
        is_int(fake_call(kernel, "sched_setaffinity", 77, 8, GUEST_BASE).value, ESRCH, "nobody");
        is_int(fake_call(kernel, "sched_setaffinity", 77, 8, 1).value, EFAULT, "the address is looked at first");
        kernel_free(kernel);
}

static void test_sysinfo(void) {
        FakeHost fake;
        Kernel *kernel = fake_kernel(&fake);

        is_int(fake_call(kernel, "sysinfo", GUEST_BASE, 0, 0).value, 0, "sysinfo");
        is_int((intmax_t) * (int64_t *) (void *) fake.memory, 2, "uptime is rounded up");
        is_int(*(uint16_t *) (void *) (fake.memory + 80), UINT16_MAX, "the number of tasks is cut, not wrapped");
        kernel_free(kernel);
}

static void test_parking(void) {
        FakeHost fake;
        Kernel *kernel = fake_kernel(&fake);
        unsigned parked = 0;
        Verdict verdict;

        verdict = fake_call(kernel, "syslog", 2, GUEST_BASE, 4096);
        ok(verdict.kind == VERDICT_VALUE && verdict.value > 0, "the boot lines are read");
        verdict = fake_call(kernel, "syslog", 2, GUEST_BASE, 4096);
        is_int(verdict.kind, VERDICT_PARKED, "then a reader waits");
        is_int(fake_call(kernel, "syslog", 2, GUEST_BASE, 4096).kind, VERDICT_PARKED, "and another");

        (void) fake_call(kernel, "no_such_call", 0, 0, 0);
        is_int(fake.n_answers, 1, "a new line goes to one of them");
        ok(fake.last_answer.kind == VERDICT_VALUE && fake.last_answer.value > 0, "as its result");
        is_int(kernel->n_parked, 1, "the other waits on");

        ok(kernel_unpark(kernel, fake.last_cookie + 1), "it is taken out");
        ok(!kernel_unpark(kernel, fake.last_cookie + 1), "once");
        ok(kernel->n_parked == 0 && kernel->log_readers.n_waiting == 0, "nobody waits");

        while (fake_call(kernel, "syslog", 2, GUEST_BASE, 10).kind == VERDICT_PARKED && parked < 5000)
                parked++;
        is_int(parked, PARKED_CALLS_MAX, "the number of those who wait is limited");
        kernel_free(kernel);
}

static void test_log_fault(void) {
        FakeHost fake;
        Kernel *kernel = fake_kernel(&fake);
        size_t unread = kernel_log_unread(&kernel->log);

        is_int(fake_call(kernel, "syslog", 2, 1, 4096).value, EFAULT, "read to nowhere");
        is_int((intmax_t) kernel_log_unread(&kernel->log), (intmax_t) unread, "loses nothing");
        is_int(fake_call(kernel, "syslog", 8, 0, 0).value, EINVAL, "console level 0");
        is_int(fake_call(kernel, "syslog", 8, 0, 9).value, EINVAL, "console level 9");
        is_int(fake_call(kernel, "syslog", 10, 0, 0).value, 4096, "size of the buffer");
        is_int(fake_call(kernel, "syslog", 11, 0, 0).value, EINVAL, "no such action");
        (void) fake_call(kernel, "syslog", 8, 0, 4);
        (void) fake_call(kernel, "syslog", 6, 0, 0);
        (void) fake_call(kernel, "syslog", 6, 0, 0);
        is_int(kernel->log.console_level, 1, "the console is off");
        (void) fake_call(kernel, "syslog", 7, 0, 0);
        is_int(kernel->log.console_level, 4, "on again, it has the level of before");
        kernel->emulated_capabilities = 0;
        is_int(fake_call(kernel, "syslog", 5, 0, 0).value, EPERM, "clearing needs CAP_SYSLOG");
        is_int(fake_call(kernel, "syslog", 3, GUEST_BASE, 0).value, 0, "reading all needs nothing");
        kernel_free(kernel);
}

static void test_events(void) {
        FakeHost fake;
        Kernel *kernel = fake_kernel(&fake);
        uint64_t lines = kernel->log.next_sequence;

        is_int(fake_call(kernel, "bpf", 0, 0, 0).value, EPERM, "a refused call");
        is_int(fake.n_events[KERNEL_EVENT_REFUSED], 1, "is an event");
        is_int(fake.last_error, EPERM, "with its errno");
        is_int(fake_call(kernel, "no_such_call", 0, 0, 0).value, ENOSYS, "a call without a row is ENOSYS");
        is_int(fake.n_events[KERNEL_EVENT_UNIMPLEMENTED], 1, "and an event");
        is_int(fake_call(kernel, "clone3", 0, 0, 0).value, ENOSYS, "clone3 is ENOSYS");
        is_int(fake.n_events[KERNEL_EVENT_UNIMPLEMENTED], 1, "and no news");

        for (unsigned i = 0; i < 50000; i++)
                (void) fake_call(kernel, "bpf", 0, 0, 0);
        is_int(fake.n_events[KERNEL_EVENT_REFUSED], EVENT_BURST - 1, "a storm is held back");
        is_int((intmax_t) (kernel->log.next_sequence - lines), 2, "and logged once for each call");
        event_report_dropped(kernel);
        is_int((intmax_t) fake.n_dropped, 50000 - (EVENT_BURST - 2), "the number dropped is told");
        fake.now_ns += NSEC_PER_SEC;
        for (unsigned i = 0; i < 1000; i++)
                (void) fake_call(kernel, "bpf", 0, 0, 0);
        is_int(fake.n_events[KERNEL_EVENT_REFUSED], EVENT_BURST - 1 + EVENT_RATE, "a second later some pass again");
        kernel_free(kernel);
}

static void test_reboot(void) {
        FakeHost fake;
        Kernel *kernel = fake_kernel(&fake);

        is_int(fake_call(kernel, "reboot", 1, LINUX_REBOOT_MAGIC2, LINUX_REBOOT_CMD_RESTART).value, EINVAL, "magic");
        is_int(fake_call(kernel, "reboot", LINUX_REBOOT_MAGIC1, LINUX_REBOOT_MAGIC2, LINUX_REBOOT_CMD_CAD_ON).value,
               EINVAL, "a command that no namespace has");
        is_int(fake.n_ends, 0, "the sandbox lives");
        is_int(fake_call(kernel, "reboot", LINUX_REBOOT_MAGIC1, LINUX_REBOOT_MAGIC2C, LINUX_REBOOT_CMD_HALT).kind,
               VERDICT_PARKED, "who halts sees no answer");
        is_int(fake.end_status, 128 + SIGINT, "halted");
        (void) fake_call(kernel, "reboot", LINUX_REBOOT_MAGIC1, LINUX_REBOOT_MAGIC2, LINUX_REBOOT_CMD_RESTART);
        is_int(fake.n_ends, 1, "a sandbox ends once");
        kernel_free(kernel);
}

static void test_record(void) {
        FakeHost fake, other;
        Kernel *kernel = fake_kernel(&fake), *copy = fake_kernel(&other);
        Record writer, reader;
        unsigned refused = 0, cuts = 0;

        memcpy(fake.memory, "changed\0name", 12);
        (void) fake_call(kernel, "sethostname", GUEST_BASE, 12, 0);
        fake.uts_inode++;
        (void) fake_call(kernel, "sethostname", GUEST_BASE, 4, 0);
        (void) fake_call(kernel, "bpf", 0, 0, 0);

        record_init_write(&writer);
        is_int(kernel_record(kernel, &writer), 0, "a kernel is written");
        record_init_read(&reader, writer.data, writer.size);
        is_int(kernel_record(copy, &reader), 0, "and read");
        ok(memcmp(copy->first_uts->nodename, "changed\0name", 13) == 0, "its host name is there, NUL and all");
        is_int((intmax_t) copy->namespaces.n[NAMESPACE_UTS], 2, "so are the namespaces");
        is_str(namespace_find(&copy->namespaces, NAMESPACE_UTS, FAKE_UTS_INODE + 1)->nodename, "chan", "each with its name");
        is_int((intmax_t) copy->log.next_sequence, (intmax_t) kernel->log.next_sequence, "and the log");

        for (size_t cut = 0; cut < writer.size; cut += 13, cuts++) {
                Kernel *victim = fake_kernel(&other);

                record_init_read(&reader, writer.data, cut);
                if (kernel_record(victim, &reader) < 0)
                        refused++;
                kernel_free(victim);
        }
        is_int(refused, cuts, "no cut kernel is taken for whole");

        srandom(2);
        for (unsigned i = 0; i < 2000; i++) {
                Kernel *victim = fake_kernel(&other);
                uint8_t *damaged = malloc(writer.size);

                memcpy(damaged, writer.data, writer.size);
                for (unsigned flips = 0; flips < 3; flips++)
                        damaged[(size_t) random() % writer.size] ^= (uint8_t) (1U << random() % 8);
                record_init_read(&reader, damaged, writer.size);
                (void) kernel_record(victim, &reader);
                free(damaged);
                kernel_free(victim);
        }
        ok(true, "2,000 damaged kernels were survived");
        record_done(&writer);
        kernel_free(kernel);
        kernel_free(copy);
}

int main(void) {
        test_table();
        test_config();
        test_uts();
        test_affinity();
        test_sysinfo();
        test_parking();
        test_log_fault();
        test_events();
        test_reboot();
        test_record();
        return tap_done();
}
