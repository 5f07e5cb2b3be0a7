/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* UNIX sockets of a sandbox in the host's network: which are made elsewhere, that nothing is lost when that fails, and that
 * every descriptor is given back. */

#include "fake-host.h"
#include "net/unix-sockets.h"
#include "tap.h"

#define AT GUEST_BASE
#define HOSTS_NETWORK UINT64_C(4026531840)
#define OTHER_NETWORK UINT64_C(4026532000)
#define CLOEXEC UINT64_C(02000000)
#define NONBLOCK UINT64_C(04000)

static FakeHost fake;
static HostOps ops;
static int n_open, make_says, domain;
static unsigned n_made, n_added, add_fails_at;
static int32_t made_type, made_protocol;
static uint32_t added_flags;
static uint64_t network;

static int make(Host *host, const Call *call, int32_t type, int32_t protocol, unsigned n, int ret[]) {
        made_type = type;
        made_protocol = protocol;
        n_made++;
        if (make_says < 0)
                return make_says;
        for (unsigned i = 0; i < n; i++)
                ret[i] = 1000 + n_open++;
        return 0;
}

static int add(Host *host, const Call *call, int fd, uint32_t flags) {
        added_flags = flags;
        return ++n_added == add_fails_at ? -EMFILE : (int) n_added + 10;
}

static void close_fd(Host *host, int fd) {
        n_open--;
}

static int copy(Host *host, const Call *call, int32_t fd, HostSocket *ret) {
        if (fd != 5)
                return fd == 6 ? -ENOTSOCK : -EBADF;
        *ret = (HostSocket) { .fd = 1000 + n_open++, .domain = domain };
        return 0;
}

static int interface(Host *host, uint32_t request, AbiIfreq *interface) {
        if (request == ABI_SIOCGIFINDEX && strcmp(interface->name, "eth0") == 0)
                interface->index = 7;
        else
                return -ENODEV;
        return 0;
}

static int namespace_of(Host *host, HostTid tid, NamespaceKind kind, uint64_t *ret) {
        if (kind != NAMESPACE_NETWORK)
                return -ESRCH;
        *ret = network;
        return 0;
}

static Kernel *unix_kernel(void) {
        Kernel *kernel = fake_kernel(&fake);

        ops = fake_ops;
        ops.unix_make = make;
        ops.fd_add = add;
        ops.socket_close = close_fd;
        ops.socket_copy = copy;
        ops.interface = interface;
        ops.task_namespace = namespace_of;
        fake.host.ops = &ops;
        kernel->features &= ~(1U << SYSCALL_FEATURE_SOCKETS);
        kernel_make_unix_sockets(kernel, HOSTS_NETWORK);
        n_open = make_says = 0;
        n_made = n_added = add_fails_at = 0;
        domain = ABI_AF_UNIX;
        network = HOSTS_NETWORK;
        return kernel;
}

static void test_sockets(void) {
        Kernel *kernel = unix_kernel();
        Verdict verdict;

        verdict = fake_call(kernel, "socket", ABI_AF_UNIX, ABI_SOCK_STREAM | CLOEXEC | NONBLOCK, 1);
        is_int(verdict.kind, VERDICT_FD, "a UNIX socket is handed over");
        is_int(verdict.value, (int64_t) CLOEXEC, "… close-on-exec is its number's");
        is_int(made_type, (int64_t) (ABI_SOCK_STREAM | CLOEXEC | NONBLOCK), "… the rest goes to who makes it");
        is_int(made_protocol, 1, "… its protocol, too");
        n_open--; /* the verdict's */
        verdict = fake_call(kernel, "socket", ABI_AF_UNIX | UINT64_C(1) << 32, ABI_SOCK_DGRAM, 0);
        ok(verdict.kind == VERDICT_FD && verdict.value == 0, "the upper half of a register is nothing");
        n_open--;
        is_int((int) fake_call(kernel, "socket", ABI_AF_UNIX, 0x40 | ABI_SOCK_STREAM, 0).value, EINVAL, "a flag that there is not");
        make_says = -ESOCKTNOSUPPORT;
        is_int((int) fake_call(kernel, "socket", ABI_AF_UNIX, 7, 0).value, ESOCKTNOSUPPORT, "what its maker says");
        make_says = 0;
        n_made = 0;
        is_int(fake_call(kernel, "socket", ABI_AF_INET, ABI_SOCK_STREAM, 0).kind, VERDICT_CONTINUE, "other families are the host's");
        is_int((int) n_made, 0, "… to make");
        is_int(n_open, 0, "no descriptor is left");
        kernel_free(kernel);
}

static void test_pairs(void) {
        Kernel *kernel = unix_kernel();
        int32_t numbers[2];

        is_int(fake_call4(kernel, FAKE_TID, "socketpair", ABI_AF_UNIX, ABI_SOCK_DGRAM | CLOEXEC, 0, AT).kind, VERDICT_VALUE,
               "a pair of datagram sockets is made elsewhere");
        memcpy(numbers, fake.memory, sizeof(numbers));
        ok(numbers[0] == 11 && numbers[1] == 12, "… and its numbers are told");
        is_int(added_flags, (int64_t) CLOEXEC, "… with their flag");
        is_int(n_open, 0, "… and given back");
        is_int(fake_call4(kernel, FAKE_TID, "socketpair", ABI_AF_UNIX, ABI_SOCK_RAW, 0, AT).kind, VERDICT_VALUE,
               "SOCK_RAW is the same to UNIX sockets");
        n_made = 0;
        is_int(fake_call4(kernel, FAKE_TID, "socketpair", ABI_AF_UNIX, ABI_SOCK_STREAM, 0, AT).kind, VERDICT_CONTINUE,
               "streams are connected for good");
        is_int(fake_call4(kernel, FAKE_TID, "socketpair", ABI_AF_UNIX, ABI_SOCK_SEQPACKET, 0, AT).kind, VERDICT_CONTINUE,
               "so are sequences of packets");
        is_int(fake_call4(kernel, FAKE_TID, "socketpair", ABI_AF_INET, ABI_SOCK_DGRAM, 0, AT).kind, VERDICT_CONTINUE,
               "other families are the host's");
        is_int((int) n_made, 0, "nothing is made for those");

        is_int((int) fake_call4(kernel, FAKE_TID, "socketpair", ABI_AF_UNIX, ABI_SOCK_DGRAM, 0, AT - 8).value, EFAULT,
               "nowhere to tell the numbers");
        is_int((int) n_made, 0, "… is found out before anything is made");
        make_says = -ENFILE;
        is_int((int) fake_call4(kernel, FAKE_TID, "socketpair", ABI_AF_UNIX, ABI_SOCK_DGRAM, 0, AT).value, ENFILE, "none made");
        make_says = 0;
        n_added = 0;
        add_fails_at = 1;
        is_int((int) fake_call4(kernel, FAKE_TID, "socketpair", ABI_AF_UNIX, ABI_SOCK_DGRAM, 0, AT).value, EMFILE, "no number left");
        n_added = 0;
        add_fails_at = 2;
        is_int((int) fake_call4(kernel, FAKE_TID, "socketpair", ABI_AF_UNIX, ABI_SOCK_DGRAM, 0, AT).value, EMFILE, "one left");
        is_int(n_open, 0, "no descriptor is left of ours");
        kernel_free(kernel);
}

static void test_nested(void) {
        Kernel *kernel = unix_kernel();

        network = OTHER_NETWORK;
        is_int(fake_call(kernel, "socket", ABI_AF_UNIX, ABI_SOCK_STREAM, 0).kind, VERDICT_FD,
               "where nothing can be nested nobody looks");
        kernel->features &= ~(1U << SYSCALL_FEATURE_NO_NESTING);
        is_int(fake_call(kernel, "socket", ABI_AF_UNIX, ABI_SOCK_STREAM, 0).kind, VERDICT_CONTINUE,
               "who is in a network namespace of its own has its sockets there");
        is_int(fake_call4(kernel, FAKE_TID, "socketpair", ABI_AF_UNIX, ABI_SOCK_DGRAM, 0, AT).kind, VERDICT_CONTINUE, "… pairs, too");
        network = HOSTS_NETWORK;
        is_int(fake_call(kernel, "socket", ABI_AF_UNIX, ABI_SOCK_STREAM, 0).kind, VERDICT_FD, "who is not has not");
        kernel_free(kernel);
}

static void test_interfaces(void) {
        Kernel *kernel = unix_kernel();
        AbiIfreq request = { .name = "eth0" };

        memcpy(fake.memory, &request, sizeof(request));
        is_int(fake_call(kernel, "ioctl", 5, ABI_SIOCGIFINDEX, AT).kind, VERDICT_VALUE, "the index of an interface");
        memcpy(&request, fake.memory, sizeof(request));
        is_int(request.index, 7, "… is that in the host's network");
        is_int((int) fake_call(kernel, "ioctl", 5, ABI_SIOCGIFNAME, AT).value, ENODEV, "one that there is not");
        is_int((int) fake_call(kernel, "ioctl", 5, ABI_SIOCGIFINDEX, AT - 8).value, EFAULT, "memory out of reach");
        is_int(fake_call(kernel, "ioctl", 6, ABI_SIOCGIFINDEX, AT).kind, VERDICT_CONTINUE, "what is no socket the host knows");
        is_int(fake_call(kernel, "ioctl", 4, ABI_SIOCGIFINDEX, AT).kind, VERDICT_CONTINUE, "what is nothing, too");
        domain = ABI_AF_INET;
        is_int(fake_call(kernel, "ioctl", 5, ABI_SIOCGIFINDEX, AT).kind, VERDICT_CONTINUE, "other sockets are where they were made");
        is_int(n_open, 0, "no descriptor is left");
        kernel_free(kernel);
}

int main(void) {
        test_sockets();
        test_pairs();
        test_nested();
        test_interfaces();
        return tap_done();
}
