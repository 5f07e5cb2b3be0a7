/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The task table, on a fake host. */

#include <sys/personality.h>

#include "fake-host.h"
#include "tap.h"

#define EXIT_1 (1 << 8)
#define ARCH_SET_FS_CODE 0x1002

static unsigned n_events(const FakeHost *fake, KernelEventKind kind) {
        return fake->n_events[kind];
}

static void test_membership(void) {
        FakeHost fake;
        Kernel *kernel = fake_kernel(&fake);
        TaskTable *table = &kernel->tasks;
        ThreadGroup *process;

        fake_task(&fake, 1, 0, 1, 1);
        fake_task(&fake, 2, 1, 2, 1);
        fake_task(&fake, 3, 2, 2, 1);
        is_int(task_table_sync(table), 0, "a sync");
        is_int(table->n_processes, 3, "finds three processes");
        task_table_tell(table);
        is_int(n_events(&fake, KERNEL_EVENT_TASK_NEW), 3, "and tells of each");
        process = task_table_find(table, 3);
        ok(process && process->host_pid == 1003 && process->parent == 2 && process->state == 'S',
           "one of them is found by its number");
        ok(task_table_find_host(table, 1003) == process, "and by the host's");
        ok(!task_table_find(table, 4) && !task_table_find_host(table, 1), "what is not there is not found");
        is_int(process->inner_pid, 0, "what costs more to read was not");

        fake_task_at(&fake, 3)->task.credentials.uid = 5;
        (void) task_table_refresh(table, HOST_TASK_STAT | HOST_TASK_UID);
        is_int(process->credentials.uid, 5, "the user is read once");
        fake_task_at(&fake, 3)->task.credentials.uid = 6;
        (void) task_table_refresh(table, HOST_TASK_STAT | HOST_TASK_UID);
        is_int(process->credentials.uid, 5, "and not each time");
        fake_task_at(&fake, 3)->task.owner = 6;
        (void) task_table_refresh(table, HOST_TASK_STAT | HOST_TASK_UID);
        is_int(process->credentials.uid, 6, "but when it has changed");

        is_int(task_table_refresh(table, HOST_TASK_STAT | HOST_TASK_ARGV | HOST_TASK_EXE), 0, "a look at all of it");
        is_str(process->exe, "/bin/task", "has the executable");
        is_str(process->argv, "task", "and the arguments");
        fake_task_at(&fake, 3)->withholds = true;
        (void) task_table_refresh(table, HOST_TASK_STAT | HOST_TASK_ARGV);
        ok(!process->argv && process->argv_size == 0 && process->argv_withheld, "which a process can withhold");
        is_str(task_table_find(table, 2)->argv, "task", "its own ones");
        fake_task_at(&fake, 3)->withholds = false;
        (void) task_table_refresh(table, HOST_TASK_STAT | HOST_TASK_ARGV);
        is_str(process->argv, "task", "and give again");

        ok(process->group && process->group->id == 2 && process->group->session->id == 1, "groups are known");
        ok(process_group_find(table, 2) == process->group && session_find(table, 1), "and found");
        is_int(session_find(table, 1)->n_groups, 2, "a session counts its groups");

        /* setsid() of 3 */
        fake_task_at(&fake, 3)->task.group = fake_task_at(&fake, 3)->task.session = 3;
        (void) task_table_refresh(table, HOST_TASK_STAT);
        ok(process->group->id == 3 && process->group->session->id == 3, "a task moves to a session of its own");
        fake_task_at(&fake, 2)->task.id = 0;
        (void) task_table_sync(table);
        ok(!process_group_find(table, 2), "a group goes with its last member");
        is_int(n_events(&fake, KERNEL_EVENT_TASK_EXIT), 1, "whose end is told");
        is_int(fake.last_status, WAIT_STATUS_UNKNOWN, "with no status when nobody knows it");

        fake_task_at(&fake, 3)->task.id = 0;
        fake_task_at(&fake, 1)->task.id = 0;
        (void) task_table_sync(table);
        ok(table->n_processes == 0 && table->sessions.n == 0 && table->groups.n == 0, "nothing is left of nobody");
        kernel_free(kernel);
}

static void test_exit(void) {
        FakeHost fake;
        Kernel *kernel = fake_kernel(&fake);
        TaskTable *table = &kernel->tasks;
        ThreadGroup *process;

        fake_task(&fake, 1, 0, 1, 1);
        fake_task(&fake, 2, 1, 1, 1);
        (void) task_table_sync(table);

        /* Without watches */
        fake_task_at(&fake, 2)->task.state = 'Z';
        fake_task_at(&fake, 2)->task.wait_status = EXIT_1;
        fake_task_at(&fake, 2)->task.n_threads = 2;
        (void) task_table_sync(table);
        process = task_table_find(table, 2);
        ok(process && !process->dead, "a dead leader of a living group is not the end");
        fake_task_at(&fake, 2)->task.n_threads = 1;
        (void) task_table_sync(table);
        ok(process->dead && process->wait_status == EXIT_1, "a zombie stays, with its status");
        task_table_tell(table);
        is_int(n_events(&fake, KERNEL_EVENT_TASK_EXIT), 1, "its end is told");
        is_int(fake.last_status, EXIT_1, "with the status");
        fake_task_at(&fake, 2)->task.id = 0;
        (void) task_table_sync(table);
        ok(!task_table_find(table, 2), "until it is waited for");
        is_int(n_events(&fake, KERNEL_EVENT_TASK_EXIT), 1, "and is told once");

        /* With watches */
        fake.max_watches = 10;
        fake_task(&fake, 5, 1, 1, 1);
        (void) task_table_sync(table);
        is_int(fake.n_watches, 1, "a new process is watched");
        task_table_note_exit(table, 1005, 9, false);
        task_table_tell(table);
        ok(task_table_find(table, 5)->dead && fake.last_status == 9, "the host tells of its end");
        task_table_note_exit(table, 1005, 9, true);
        ok(!task_table_find(table, 5) && fake.n_watches == 0, "and of its burial, after which nothing watches it");
        task_table_note_exit(table, 1005, 9, true);
        is_int(n_events(&fake, KERNEL_EVENT_TASK_EXIT), 2, "an end of nobody is no news");

        /* The same number again */
        fake.now_ns += NSEC_PER_SEC;
        fake_task(&fake, 1, 0, 1, 1)->task.state = 'R';
        (void) task_table_sync(table);
        ok(task_table_find(table, 1)->state == 'R' && n_events(&fake, KERNEL_EVENT_TASK_EXIT) == 3,
           "a number given again is another process");
        fake.max_watches = 0;
        kernel_free(kernel);
}

static void test_quiet(void) {
        FakeHost fake;
        Kernel *kernel = fake_kernel(&fake);
        TaskTable *table = &kernel->tasks;
        unsigned n;

        fake.birth_mark = 1;
        fake.max_watches = 10;
        fake_task(&fake, 1, 0, 1, 1);
        for (unsigned i = 0; i < 3; i++) {
                (void) task_table_sync(table);
                fake.now_ns += NSEC_PER_SEC;
        }
        n = fake.n_scans;
        for (unsigned i = 0; i < 10; i++)
                (void) task_table_sync(table);
        is_int(fake.n_scans, n, "nobody is counted while nobody is born");
        fake_task(&fake, 2, 1, 1, 1);
        (void) task_table_sync(table);
        ok(task_table_find(table, 2) != NULL, "a birth is noticed");

        /* Born before the scan, but not in /proc until after it */
        fake.birth_mark++;
        (void) task_table_sync(table);
        fake_task(&fake, 3, 1, 1, 1);
        fake.birth_mark--;
        (void) task_table_sync(table);
        ok(task_table_find(table, 3) != NULL, "so is one that takes its time");

        fake.max_watches = 0;
        fake_task(&fake, 4, 1, 1, 1);
        for (unsigned i = 0; i < 3; i++) {
                fake.now_ns += NSEC_PER_SEC;
                (void) task_table_sync(table);
        }
        fake_task_at(&fake, 4)->task.id = 0;
        (void) task_table_sync(table);
        ok(!task_table_find(table, 4), "who is not watched is looked after");
        kernel_free(kernel);
}

static Verdict start(Kernel *kernel, HostTid tid) {
        return fake_call_by(kernel, tid, "arch_prctl", ARCH_SET_FS_CODE, 0, 0);
}

static void test_exec(void) {
        FakeHost fake;
        Kernel *kernel = fake_kernel(&fake);
        TaskTable *table = &kernel->tasks;
        FakeTask *init;
        Verdict verdict;

        init = fake_task(&fake, 1, 0, 1, 1);
        init->n_threads = 3;
        init->task.image = (HostImage) { .stack = 0x7000, .heap = 0x5000, .arguments = 0x7100 };
        verdict = start(kernel, 1001);
        is_int(verdict.kind, VERDICT_CONTINUE, "the host answers arch_prctl");
        ok(task_table_has_events(table), "and there is something to tell, after the answer");
        is_int(n_events(&fake, KERNEL_EVENT_TASK_NEW), 0, "not before it");
        task_table_tell(table);
        is_int(n_events(&fake, KERNEL_EVENT_TASK_NEW), 1, "a process shows by its exec");
        is_int(n_events(&fake, KERNEL_EVENT_TASK_EXEC), 1, "which is told");
        is_str(fake.last_exe, "/bin/task", "with the executable");

        verdict = fake_call_by(kernel, 1001, "set_tid_address", 0x1234, 0, 0);
        is_int(verdict.kind, syscall_row_is_ours(syscall_table + SYSCALL_ID_set_tid_address, 0) ? VERDICT_CONTINUE :
               VERDICT_ERROR, "set_tid_address comes where there is no arch_prctl");
        (void) start(kernel, 1001);
        (void) start(kernel, 1002); /* a thread */
        task_table_tell(table);
        is_int(n_events(&fake, KERNEL_EVENT_TASK_EXEC), 1, "the calls of one image count once");
        is_int(table->n_processes, 1, "and a thread is no process");

        init->task.image.stack += 0x10;
        init->exe = "/bin/other";
        (void) task_table_refresh(table, HOST_TASK_STAT); /* somebody looks between the exec and the call */
        (void) start(kernel, 1001);
        task_table_tell(table);
        is_int(n_events(&fake, KERNEL_EVENT_TASK_EXEC), 2, "another image is another exec");
        is_str(fake.last_exe, "/bin/other", "of another program");

        fake_task(&fake, 7, 1, 1, 1)->task.image = init->task.image;
        (void) start(kernel, 1007);
        task_table_tell(table);
        ok(n_events(&fake, KERNEL_EVENT_TASK_EXEC) == 2 && n_events(&fake, KERNEL_EVENT_TASK_NEW) == 2,
           "a forked process in its parent's image is new, but no exec");

        fake.personality = ADDR_NO_RANDOMIZE;
        (void) start(kernel, 1007);
        task_table_tell(table);
        is_int(n_events(&fake, KERNEL_EVENT_TASK_EXEC), 3, "where images lie tells nothing when that is not random");
        fake.personality = 0;

        fake_task_at(&fake, 7)->task.image = (HostImage) {};
        (void) start(kernel, 1007);
        (void) start(kernel, 1007);
        task_table_tell(table);
        is_int(n_events(&fake, KERNEL_EVENT_TASK_EXEC), 4, "or when the host cannot tell");

        (void) start(kernel, 4711);
        fake_task_at(&fake, 7)->task.id = 0;
        (void) start(kernel, 1007);
        task_table_tell(table);
        is_int(n_events(&fake, KERNEL_EVENT_TASK_EXEC), 4, "the gone do not exec");

        /* A storm of execs is told of in part. */
        for (unsigned i = 0; i < TASK_EVENT_BURST + 100; i++) {
                init->task.image.stack++;
                (void) start(kernel, 1001);
                task_table_tell(table);
        }
        ok(event_dropped(kernel) > 0 && n_events(&fake, KERNEL_EVENT_TASK_EXEC) <= TASK_EVENT_BURST,
           "events are limited in number");
        event_report_dropped(kernel);
        ok(fake.n_dropped > 0, "which is told");
        kernel_free(kernel);
}

static void test_threads(void) {
        FakeHost fake;
        Kernel *kernel = fake_kernel(&fake);
        ThreadGroup *process;

        fake_task(&fake, 1, 0, 1, 1)->n_threads = 3;
        (void) task_table_sync(&kernel->tasks);
        process = task_table_find(&kernel->tasks, 1);
        is_int(thread_group_list_threads(process), 0, "the threads of a process");
        ok(kernel->tasks.n_threads == 3 && TAILQ_FIRST(&process->threads)->tid == 1, "are listed");
        fake_task_at(&fake, 1)->n_threads = 2;
        (void) thread_group_list_threads(process);
        is_int(kernel->tasks.n_threads, 2, "afresh each time");
        fake_task_at(&fake, 1)->task.id = 0;
        is_int(thread_group_list_threads(process), -ESRCH, "and not when it is gone");
        kernel_free(kernel);
}

static const char *container_of(const TaskTable *table, GuestPid pid) {
        const ThreadGroup *process = task_table_find(table, pid);

        return process && process->container ? process->container : "";
}

static void test_containers(void) {
        char longest[CONTAINER_ID_MAX + 1] = {};
        FakeHost fake;
        Kernel *kernel = fake_kernel(&fake);
        TaskTable *table = &kernel->tasks;

        memset(longest, 'x', CONTAINER_ID_MAX);
        fake_task(&fake, 1, 0, 1, 1);
        fake_task(&fake, 10, 0, 10, 10); /* launched from outside */
        is_int(task_table_set_container(table, 1010, "web"), 0, "a process is put into a container");
        is_int(task_table_set_container(table, 4711, "web"), -ESRCH, "nobody is not");
        is_int(task_table_set_container(table, 1010, longest), -EINVAL, "nor anybody into one with too long a name");
        fake_task(&fake, 11, 10, 10, 10);
        fake_task(&fake, 12, 11, 12, 12);
        fake_task(&fake, 2, 1, 1, 1);
        (void) task_table_sync(table);
        is_str(container_of(table, 10), "web", "it is in it");
        is_str(container_of(table, 12), "web", "and so are its descendants");
        is_str(container_of(table, 2), "", "others are in the sandbox's own");

        fake_task(&fake, 13, 1, 12, 12);
        fake_task(&fake, 14, 1, 14, 10);
        fake_task(&fake, 15, 1, 15, 15);
        (void) task_table_sync(table);
        is_str(container_of(table, 13), "web", "an orphan found late is in its group's");
        is_str(container_of(table, 14), "web", "or its session's");
        is_str(container_of(table, 15), "", "and without either, in init's");
        is_int(task_table_set_container(table, 1010, ""), 0, "the sandbox's own container has no name");
        is_str(container_of(table, 10), "", "and takes it back");
        kernel_free(kernel);
}

static void test_namespaces(void) {
        FakeHost fake;
        Kernel *kernel = fake_kernel(&fake);
        TaskTable *table = &kernel->tasks;
        FakeTask *task;

        fake_task(&fake, 1, 0, 1, 1)->task.pid_namespace = 100;
        fake_task(&fake, 2, 1, 1, 1);
        task = fake_task(&fake, 3, 1, 3, 3);
        task->task.pid_namespace = 200;
        task->task.parent_pid_namespace = 100;
        task = fake_task(&fake, 4, 3, 3, 3);
        task->task.pid_namespace = 300;
        task->task.parent_pid_namespace = 200;
        fake_task(&fake, 5, 4, 3, 3); /* does not tell: not exec'ed yet */
        (void) task_table_sync(table);
        is_int((intmax_t) kernel->namespaces.n[NAMESPACE_PID], 3, "namespaces are known by their inodes");
        ok(task_table_find(table, 2)->ns == kernel->namespaces.first_pid, "a child is in its parent's");
        ok(task_table_find(table, 4)->ns->level == 2 &&
           task_table_find(table, 4)->ns->parent == task_table_find(table, 3)->ns, "they nest");
        ok(task_table_find(table, 5)->ns == task_table_find(table, 4)->ns, "also for who does not tell");

        fake_task_at(&fake, 3)->task.id = 0;
        (void) task_table_sync(table);
        is_int((intmax_t) kernel->namespaces.n[NAMESPACE_PID], 3, "one with another in it stays");
        fake_task_at(&fake, 4)->task.id = 0;
        fake_task_at(&fake, 5)->task.id = 0;
        (void) task_table_sync(table);
        is_int((intmax_t) kernel->namespaces.n[NAMESPACE_PID], 1, "both go with the last member");
        kernel_free(kernel);
}

static void test_namespace_objects(void) {
        FakeHost fake;
        Kernel *kernel = fake_kernel(&fake);
        const NamespaceTable *table = &kernel->namespaces;
        const Namespace *ns;

        fake_task(&fake, 1, 0, 1, 1);
        fake_task(&fake, 2, 1, 1, 1)->namespaces[NAMESPACE_NETWORK] = 500;
        fake_task(&fake, 3, 1, 1, 1)->namespaces[NAMESPACE_NETWORK] = 500;
        fake_task(&fake, 4, 1, 1, 1)->held = 600;
        (void) task_table_sync(&kernel->tasks);
        namespaces_sync(kernel);
        is_int(table->n[NAMESPACE_NETWORK], 3, "those with processes, and one that a descriptor holds");
        is_int(table->n[NAMESPACE_MOUNT], 1, "one of each kind where all are");
        ns = namespace_find(table, NAMESPACE_NETWORK, 500);
        ok(ns && ns->n_processes == 2 && ns->first_pid == 2, "members are counted, and the first is known");
        is_int(ns ? (intmax_t) ns->owner_inode : 0, 10 + NAMESPACE_USER, "and its owner");
        ns = namespace_find(table, NAMESPACE_NETWORK, 600);
        ok(ns && ns->n_processes == 0 && ns->holder_pid == 4 && ns->holder_fd == 7, "who holds one without members");
        is_str(kernel->first_uts->nodename, "box", "the first UTS namespace has its names");
        is_int(namespace_find(table, NAMESPACE_UTS, FAKE_UTS_INODE) == kernel->first_uts, 1, "and is found by its inode");

        fake_task_at(&fake, 2)->task.id = 0;
        (void) task_table_sync(&kernel->tasks);
        namespaces_sync(kernel);
        ok(namespace_find(table, NAMESPACE_NETWORK, 500) != NULL, "one member is enough");
        fake_task_at(&fake, 3)->task.id = 0;
        fake_task_at(&fake, 4)->task.id = 0;
        (void) task_table_sync(&kernel->tasks);
        namespaces_sync(kernel);
        is_int(table->n[NAMESPACE_NETWORK], 1, "a namespace goes with the last who is in it or holds it");

        for (unsigned i = 0; i < FAKE_TASKS_MAX - 1; i++)
                fake_task(&fake, (GuestPid) i + 10, 1, 1, 1)->namespaces[NAMESPACE_IPC] = 1000 + i;
        (void) task_table_sync(&kernel->tasks);
        namespaces_sync(kernel);
        is_int(table->n[NAMESPACE_IPC], NAMESPACES_MAX, "as many as may be");
        fake_task_at(&fake, 1)->held = 5000;
        fake_task_at(&fake, 1)->namespaces[NAMESPACE_IPC] = 4000;
        namespaces_sync(kernel);
        ok(table->n[NAMESPACE_IPC] <= NAMESPACES_MAX, "never more");
        kernel_free(kernel);
}

static void test_time(void) {
        FakeHost fake;
        Kernel *kernel = fake_kernel(&fake);

        fake_task(&fake, 1, 0, 1, 1)->task.cpu_usec = 1000;
        fake_task(&fake, 2, 1, 1, 1)->task.cpu_usec = 500;
        is_int(task_table_cpu_usec(&kernel->tasks), 1500, "CPU time is the sum of all");
        fake_task_at(&fake, 2)->task.id = 0;
        is_int(task_table_cpu_usec(&kernel->tasks), 1500, "and never goes back");
        fake_task_at(&fake, 1)->task.children_usec = 700;
        is_int(task_table_cpu_usec(&kernel->tasks), 1700, "those waited for are in it");
        kernel_free(kernel);
}

static void test_record(void) {
        FakeHost fake, other;
        Kernel *kernel = fake_kernel(&fake), *copy = fake_kernel(&other);
        uint8_t *again;
        size_t size;
        Record writer, reader;

        fake_task(&fake, 1, 0, 1, 1);
        fake_task(&fake, 10, 0, 10, 10);
        fake_task(&fake, 20, 0, 20, 20);
        (void) task_table_set_container(&kernel->tasks, 1010, "web");
        (void) task_table_set_container(&kernel->tasks, 1020, "db");
        (void) task_table_sync(&kernel->tasks);

        record_init_write(&writer);
        is_int(task_table_record(&kernel->tasks, &writer), 0, "a task table is written");
        record_init_read(&reader, writer.data, writer.size);
        is_int(task_table_record(&copy->tasks, &reader), 0, "and read");
        for (size_t i = 0; i < FAKE_TASKS_MAX; i++)
                other.tasks[i] = fake.tasks[i];
        (void) task_table_sync(&copy->tasks);
        is_str(container_of(&copy->tasks, 10), "web", "a process that is found has its container again");
        is_str(container_of(&copy->tasks, 20), "db", "another its own");
        is_str(container_of(&copy->tasks, 1), "", "and who had none has none");
        ok(!copy->tasks.attributes, "what was read is used up");

        again = writer.data;
        size = writer.size;
        record_init_write(&writer);
        (void) task_table_record(&copy->tasks, &writer);
        ok(writer.size == size && memcmp(writer.data, again, size) == 0, "written again it is the same");
        record_done(&writer);

        for (size_t cut = 0; cut < size; cut++) {
                record_init_read(&reader, again, cut);
                if (task_table_record(&copy->tasks, &reader) >= 0)
                        break;
                if (cut == size - 1)
                        ok(true, "no part of it is taken for the whole");
        }
        free(again);
        kernel_free(kernel);
        kernel_free(copy);
}

static void test_many(void) {
        IdMap map = {};
        IdNode *nodes = calloc(10000, sizeof(IdNode));
        bool good = nodes != NULL;

        for (uint32_t i = 0; good && i < 10000; i++)
                good = idmap_add(&map, &nodes[i], i * 7) >= 0;
        for (uint32_t i = 0; good && i < 10000; i += 2)
                idmap_remove(&map, &nodes[i]);
        for (uint32_t i = 0; good && i < 10000; i++)
                good = idmap_find(&map, i * 7) == (i % 2 ? &nodes[i] : NULL);
        ok(good && map.n == 5000 && !idmap_find(&map, 8), "a map of ten thousand ids");
        idmap_done(&map);
        free(nodes);
}

int main(void) {
        test_many();
        test_membership();
        test_exit();
        test_quiet();
        test_exec();
        test_threads();
        test_containers();
        test_namespaces();
        test_namespace_objects();
        test_time();
        test_record();
        return tap_done();
}
