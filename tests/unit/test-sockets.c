/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Socket calls on behalf, on a host that writes down what it is told: that what was judged is what is acted on, that waits
 * end well, and that every descriptor is given back. */

#include <linux/capability.h>
#include <signal.h>

#include "fake-host.h"
#include "tap.h"

#define ADDRESS_AT GUEST_BASE
#define HEADER_AT (GUEST_BASE + 0x100)
#define IOV_AT (GUEST_BASE + 0x200)
#define CONTROL_AT (GUEST_BASE + 0x300)
#define DATA_AT (GUEST_BASE + 0x1000)
#define ALLOWED 80
#define DENIED 81

static FakeHost fake;
static HostOps ops;
static HostSocket the_socket;
static uint64_t capabilities;    /* of the caller */
static int n_open;               /* descriptors that were not given back */
static unsigned n_binds, n_connects, n_sends, n_starts, n_stops;
static uint16_t acted_port;      /* of the last act with an address */
static int64_t send_results[4], stop_result;
static size_t sent_sizes[4], started_size;
static void *started_data;
static uint64_t started_cookie;
static bool flips;               /* another thread rewrites the port after each look at it */

static void put_port(uint16_t port) {
        fake.memory[2] = (uint8_t) (port >> 8);
        fake.memory[3] = (uint8_t) port;
}

static void put_address(uint16_t port) {
        memset(fake.memory, 0, 16);
        memcpy(fake.memory, &(uint16_t) { ABI_AF_INET }, 2);
        put_port(port);
        fake.memory[4] = 127;
        fake.memory[7] = 1;
}

static int read_and_flip(Host *host, const Call *call, GuestAddr address, void *buffer, size_t size) {
        int r = fake_read(host, call, address, buffer, size);

        if (flips && address == ADDRESS_AT)
                put_port(DENIED);
        return r;
}

static uint16_t port_of(const HostAddress *address) {
        return (uint16_t) (address->bytes[2] << 8 | address->bytes[3]);
}

static int copy(Host *host, const Call *call, int32_t fd, HostSocket *ret) {
        if (fd != 5)
                return -EBADF;
        *ret = the_socket;
        ret->fd = 1000 + n_open++;
        return 0;
}

static int copy_fd(Host *host, const Call *call, int32_t fd) {
        return fd == 7 ? 1000 + n_open++ : -EBADF;
}

static void close_fd(Host *host, int fd) {
        n_open--;
}

static int task_info(Host *host, HostTid tid, HostPeer *ret) {
        *ret = (HostPeer) { .tid = tid, .tgid = tid, .capabilities = capabilities };
        return 0;
}

static int do_bind(Host *host, const Call *call, const HostSocket *socket, const HostAddress *address) {
        n_binds++;
        acted_port = port_of(address);
        return 0;
}

static int do_connect(Host *host, const Call *call, const HostSocket *socket, const HostAddress *address) {
        n_connects++;
        acted_port = port_of(address);
        return 0;
}

static int64_t do_send(Host *host, const Call *call, const HostSocket *socket, const HostMessage *message) {
        if (message->address)
                acted_port = port_of(message->address);
        sent_sizes[n_sends % 4] = message->size;
        return send_results[n_sends++ % 4];
}

static int do_start(Host *host, uint64_t cookie, const HostSocket *socket, const HostAddress *address,
                    const HostMessage *message, void *data) {
        n_starts++;
        started_cookie = cookie;
        started_size = message ? message->size : 0;
        started_data = data;
        if (address)
                acted_port = port_of(address);
        return 0;
}

static void finish(Kernel *kernel, int64_t result) {
        free(started_data);
        started_data = NULL;
        sockets_finished(kernel, started_cookie, result);
}

static void do_stop(Host *host, uint64_t cookie, int64_t *ret) {
        n_stops++;
        free(started_data);
        started_data = NULL;
        *ret = stop_result;
}

static Kernel *sockets_kernel(int32_t type) {
        AddressRule items[] = {
                { .allow = true, .calls = ADDRESS_CALLS_ALL, .family = ABI_AF_INET, .n_ports = 1,
                  .ports = { { ALLOWED, ALLOWED } } },
                { .allow = true, .calls = ADDRESS_CALLS_ALL, .family = ABI_AF_UNIX },
        };
        const AddressRules rules = { .items = items, .n = ELEMENTSOF(items) };
        Kernel *kernel = fake_kernel(&fake);

        ops = fake_ops;
        ops.memory_read = read_and_flip;
        ops.socket_copy = copy;
        ops.socket_fd = copy_fd;
        ops.socket_close = close_fd;
        ops.socket_bind = do_bind;
        ops.socket_connect = do_connect;
        ops.socket_send = do_send;
        ops.socket_start = do_start;
        ops.socket_stop = do_stop;
        fake.host.ops = &ops;
        if (address_rules_copy(&rules, &kernel->sockets.rules) < 0)
                abort();
        kernel->features |= 1U << SYSCALL_FEATURE_SOCKETS;
        kernel->sockets.own_network = true;
        the_socket = (HostSocket) { .domain = ABI_AF_INET, .type = type };
        n_open = 0;
        n_binds = n_connects = n_sends = n_starts = n_stops = 0;
        flips = false;
        memset(send_results, 0, sizeof(send_results));
        return kernel;
}

static bool is_error(Verdict verdict, int error) {
        return verdict.kind == VERDICT_ERROR && verdict.value == error;
}

static bool is_value(Verdict verdict, int64_t value) {
        return verdict.kind == VERDICT_VALUE && verdict.value == value;
}

static void put_message(uint64_t size, bool named) {
        AbiMsghdr header = { .name = named ? ADDRESS_AT : 0, .name_size = named ? 16 : 0, .iov = IOV_AT, .n_iov = 1 };
        AbiIovec iov = { .base = DATA_AT, .size = size };

        memcpy(fake.memory + (HEADER_AT - GUEST_BASE), &header, sizeof(header));
        memcpy(fake.memory + (IOV_AT - GUEST_BASE), &iov, sizeof(iov));
}

/* Ports below 1024 of the host's, without rules. */
static void test_ports(void) {
        Kernel *kernel = sockets_kernel(ABI_SOCK_STREAM);

        ops.task_info = task_info;
        kernel->features &= ~(1U << SYSCALL_FEATURE_SOCKETS);
        kernel->sockets.own_network = false;
        kernel->sockets.binds_ports = true;
        put_address(ALLOWED);
        capabilities = UINT64_C(1) << CAP_NET_BIND_SERVICE;
        flips = true;
        ok(is_value(fake_call(kernel, "bind", 5, ADDRESS_AT, 16), 0), "who has the capability gets a low port");
        is_int(acted_port, ALLOWED, "and the one that was looked at");
        capabilities = 0;
        put_address(ALLOWED);
        ok(fake_call(kernel, "bind", 5, ADDRESS_AT, 16).kind == VERDICT_CONTINUE, "who has it not is the host's to judge");
        capabilities = UINT64_C(1) << CAP_NET_BIND_SERVICE;
        put_address(8080);
        ok(fake_call(kernel, "bind", 5, ADDRESS_AT, 16).kind == VERDICT_CONTINUE, "so is a high port");
        ok(fake_call(kernel, "bind", 5, ADDRESS_AT, 3).kind == VERDICT_CONTINUE, "so is an address that is too short");
        ok(fake_call(kernel, "bind", 6, ADDRESS_AT, 16).kind == VERDICT_CONTINUE, "so is what is no socket");
        put_address(ALLOWED);
        the_socket.domain = ABI_AF_UNIX;
        ok(fake_call(kernel, "bind", 5, ADDRESS_AT, 16).kind == VERDICT_CONTINUE, "so is a UNIX socket");
        is_int(n_binds, 1, "one was bound on behalf");
        is_int(n_open, 0, "no descriptor is left");
        kernel_free(kernel);
}

static void test_judging(void) {
        Kernel *kernel = sockets_kernel(ABI_SOCK_DGRAM);

        put_address(ALLOWED);
        flips = true;
        ok(is_value(fake_call(kernel, "connect", 5, ADDRESS_AT, 16), 0), "an allowed address");
        is_int(acted_port, ALLOWED, "is the one that is acted on, whatever is there by then");
        ok(is_error(fake_call(kernel, "connect", 5, ADDRESS_AT, 16), EACCES), "what is there by then is refused");
        is_int(n_connects, 1, "and not acted on");
        is_int(fake.n_events[KERNEL_EVENT_REFUSED], 1, "but told");
        put_address(ALLOWED);
        put_message(4, true);
        send_results[0] = 4;
        ok(is_value(fake_call(kernel, "sendmsg", 5, HEADER_AT, 0), 4), "a message to an allowed address");
        is_int(acted_port, ALLOWED, "goes there");
        ok(is_error(fake_call(kernel, "sendmsg", 5, HEADER_AT, 0), EACCES), "one to another does not");
        is_int(n_sends, 1, "get sent");
        ok(is_error(fake_call(kernel, "connect", 6, ADDRESS_AT, 16), EBADF), "no descriptor");
        ok(is_error(fake_call(kernel, "connect", 5, 1, 16), EFAULT), "no address");
        ok(is_error(fake_call(kernel, "connect", 5, ADDRESS_AT, 129), EINVAL), "too long an address");
        ok(is_error(fake_call(kernel, "sendmsg", 5, 1, 0), EFAULT), "no message");

        put_address(ALLOWED);
        flips = false;
        ok(is_error(fake_call(kernel, "bind", 5, ADDRESS_AT, 16), EACCES), "a low port wants a capability");
        is_int(n_binds, 0, "of the caller, not ours");
        fake.peers[0].info.capabilities = UINT64_C(1) << 10;
        ok(is_value(fake_call(kernel, "bind", 5, ADDRESS_AT, 16), 0), "which may have it");
        the_socket.type = 3;
        ok(is_error(fake_call(kernel, "connect", 5, ADDRESS_AT, 16), EACCES), "a raw socket that came from elsewhere");
        ok(is_error(fake_call(kernel, "socket", ABI_AF_INET, 3, 255), EACCES), "a raw socket");
        ok(fake_call(kernel, "socket", ABI_AF_INET, 1 | 02000000, 6).kind == VERDICT_CONTINUE, "one of TCP");
        ok(is_error(fake_call(kernel, "socket", ABI_AF_NETLINK, 3, 0), EACCES), "a family without a rule");
        is_int(n_open, 0, "every descriptor was given back");
        kernel_free(kernel);
}

static void test_waiting(void) {
        Kernel *kernel = sockets_kernel(ABI_SOCK_STREAM);
        Verdict verdict;

        put_address(ALLOWED);
        ok(fake_call(kernel, "connect", 5, ADDRESS_AT, 16).kind == VERDICT_PARKED, "connect of a stream waits elsewhere");
        is_int(n_connects, 0, "and not here");
        finish(kernel, -ECONNREFUSED);
        ok(fake.n_answers == 1 && is_error(fake.last_answer, ECONNREFUSED), "its result is the answer");
        (void) fake_call(kernel, "connect", 5, ADDRESS_AT, 16);
        stop_result = -EINTR;
        ok(!kernel_interrupt(kernel, started_cookie, &verdict), "an interrupted one may be run again");
        (void) fake_call(kernel, "connect", 5, ADDRESS_AT, 16);
        stop_result = 0;
        ok(kernel_interrupt(kernel, started_cookie, &verdict) && is_value(verdict, 0), "unless it was through");
        (void) fake_call(kernel, "connect", 5, ADDRESS_AT, 16);
        ok(kernel_unpark(kernel, started_cookie), "a caller that dies");
        is_int(n_stops, 3, "ends the wait");

        put_message(1000, false);
        send_results[0] = 400;
        send_results[1] = -EAGAIN;
        ok(fake_call(kernel, "sendmsg", 5, HEADER_AT, 0).kind == VERDICT_PARKED, "a send that finds no room waits");
        is_int((long) sent_sizes[1], 600, "with the rest");
        is_int((long) kernel->sockets.held, 600, "which is counted");
        finish(kernel, 600);
        ok(is_value(fake.last_answer, 1000), "and is all there in the end");
        is_int((long) kernel->sockets.held, 0, "and not counted any more");

        n_sends = 0;
        (void) fake_call(kernel, "sendmsg", 5, HEADER_AT, 0);
        stop_result = 100;
        ok(kernel_interrupt(kernel, started_cookie, &verdict) && is_value(verdict, 500), "an interrupted one says how far it is");
        n_sends = 1;
        (void) fake_call(kernel, "sendmsg", 5, HEADER_AT, 0);
        stop_result = -EINTR;
        ok(!kernel_interrupt(kernel, started_cookie, &verdict), "one that has done nothing is run again");
        n_sends = 1;
        ok(is_error(fake_call(kernel, "sendmsg", 5, HEADER_AT, ABI_MSG_DONTWAIT), EAGAIN), "MSG_DONTWAIT does not wait");
        the_socket.nonblocking = true;
        n_sends = 0;
        ok(is_value(fake_call(kernel, "sendmsg", 5, HEADER_AT, 0), 400), "nor does a socket that does not block");
        send_results[0] = -EPIPE;
        n_sends = 0;
        ok(is_error(fake_call(kernel, "sendmsg", 5, HEADER_AT, 0), EPIPE), "a broken pipe");
        is_int(fake.peers[0].last_signo, SIGPIPE, "sends a signal");
        fake.peers[0].last_signo = n_sends = 0;
        ok(is_error(fake_call(kernel, "sendmsg", 5, HEADER_AT, ABI_MSG_NOSIGNAL), EPIPE), "or none");
        is_int(fake.peers[0].last_signo, 0, "when none is wanted");

        the_socket.nonblocking = false;
        (void) fake_call(kernel, "connect", 5, ADDRESS_AT, 16);
        kernel_free(kernel);
        is_int(n_open, 0, "every descriptor was given back, at the end too");
}

static void test_control(void) {
        Kernel *kernel = sockets_kernel(ABI_SOCK_DGRAM);
        AbiMsghdr *header = (AbiMsghdr *) (void *) (fake.memory + (HEADER_AT - GUEST_BASE));
        AbiCmsghdr *control = (AbiCmsghdr *) (void *) (fake.memory + (CONTROL_AT - GUEST_BASE));
        int32_t *fds = (int32_t *) (void *) (control + 1);

        put_message(1, false);
        header->control = CONTROL_AT;
        header->control_size = 24;
        *control = (AbiCmsghdr) { .size = 24, .level = ABI_SOL_SOCKET, .type = ABI_SCM_RIGHTS };
        fds[0] = fds[1] = 7;
        the_socket.domain = ABI_AF_UNIX;
        send_results[0] = 1;
        ok(is_value(fake_call(kernel, "sendmsg", 5, HEADER_AT, 0), 1), "descriptors");
        fds[1] = 8;
        ok(is_error(fake_call(kernel, "sendmsg", 5, HEADER_AT, 0), EBADF), "one that is none");
        is_int(n_open, 0, "leaves none behind");
        control->size = 15;
        ok(is_error(fake_call(kernel, "sendmsg", 5, HEADER_AT, 0), EINVAL), "too short a header");
        control->size = UINT64_MAX;
        ok(is_error(fake_call(kernel, "sendmsg", 5, HEADER_AT, 0), EINVAL), "too long a message");
        header->control_size = UINT64_MAX;
        ok(is_error(fake_call(kernel, "sendmsg", 5, HEADER_AT, 0), ENOBUFS), "too much of it all");
        header->control_size = 24;
        the_socket.domain = ABI_AF_INET;
        *control = (AbiCmsghdr) { .size = 20, .level = 41, .type = ABI_IPV6_RTHDR };
        ok(is_error(fake_call(kernel, "sendmsg", 5, HEADER_AT, 0), EPERM), "a route");
        header->control_size = 0;
        header->n_iov = UINT64_MAX;
        ok(is_error(fake_call(kernel, "sendmsg", 5, HEADER_AT, 0), EMSGSIZE), "too many pieces");
        put_message(SOCKET_DATAGRAM_MAX + 1, false);
        ok(is_error(fake_call(kernel, "sendmsg", 5, HEADER_AT, 0), EMSGSIZE), "too large a datagram");
        is_int(n_open, 0, "every descriptor was given back");
        kernel_free(kernel);
}

int main(void) {
        test_ports();
        test_judging();
        test_waiting();
        test_control();
        return tap_done();
}
