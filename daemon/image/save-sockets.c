/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Sockets. Who is whose peer sock_diag(7) tells, in the network namespace of the sandbox: a child of ours joins it, and asks. */

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sched.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>

#include "save-files.h"
#include "sock-diag.h"
#include "util.h"

#define TCP_LISTENING 10      /* TCP_LISTEN of the kernel */

/* In the child. */
static int answer_all(const Save *save, int fd) {
        _cleanup_(socket_table_done) SocketTable table = {};
        SocketSource source = { .diag_fd = -EBADF };
        static const struct {
                const char *name;
                int flag;
        } joined[] = { { "user", CLONE_NEWUSER }, { "net", CLONE_NEWNET } };
        int ns[2];
        char path[64];
        struct stat ours, theirs;

        for (size_t i = 0; i < ELEMENTSOF(joined); i++) {
                (void) snprintf(path, sizeof(path), "/proc/%d/ns/%s", (int) save->init, joined[i].name);
                ns[i] = open(path, O_RDONLY | O_CLOEXEC);
                if (ns[i] < 0)
                        return -errno;
        }
        /* With the host's network there is nothing to join. */
        if (fstat(ns[1], &theirs) < 0 || stat("/proc/self/ns/net", &ours) < 0)
                return -errno;
        for (size_t i = 0; ours.st_ino != theirs.st_ino && i < ELEMENTSOF(joined); i++)
                if (setns(ns[i], joined[i].flag) < 0)
                        return -errno;
        source.netns = theirs.st_ino;
        source.net_dir = open("/proc/self/net", O_PATH | O_DIRECTORY | O_CLOEXEC);
        (void) socket_table_add(&table, &source);
        for (size_t i = 0; i < table.n; i++) {
                const SocketInfo *info = table.sockets + i;
                NetSocket answer = {
                        .ino = info->inode, .peer = info->peer_inode, .state = info->state, .waiting = info->recv_queue,
                        .backlog = info->state == TCP_LISTENING ? info->send_queue : 0,
                };

                answer.tcp = info->protocol && streq(info->protocol, "tcp") && endpoint_parse(info->local, &answer.local);
                if (answer.tcp && info->peer)
                        (void) endpoint_parse(info->peer, &answer.remote);
                if (write(fd, &answer, sizeof(answer)) != sizeof(answer))
                        return -EIO;
        }
        return 0;
}

static int compare_sockets(const void *a, const void *b) {
        const NetSocket *x = a, *y = b;

        return x->ino < y->ino ? -1 : x->ino > y->ino;
}

int sockets_list(Files *files) {
        _cleanup_close_ int read_end = -EBADF, write_end = -EBADF;
        struct stat ours, theirs;
        NetSocket answer;
        int ends[2], status;
        char path[64];
        ssize_t n;
        pid_t pid;

        (void) snprintf(path, sizeof(path), "/proc/%d/ns/net", (int) files->save->init);
        if (stat(path, &theirs) < 0 || stat("/proc/self/ns/net", &ours) < 0 || pipe2(ends, O_CLOEXEC) < 0)
                return -errno;
        files->host_network = theirs.st_ino == ours.st_ino && theirs.st_dev == ours.st_dev;
        read_end = ends[0];
        write_end = ends[1];
        pid = fork();
        if (pid < 0)
                return -errno;
        if (pid == 0)
                _exit(answer_all(files->save, write_end) < 0 ? EXIT_FAILURE : EXIT_SUCCESS);
        write_end = safe_close(write_end);
        while ((n = read(read_end, &answer, sizeof(answer))) == sizeof(answer)) {
                NetSocket *socket = IMAGE_APPEND(files->sockets, files->n_sockets);

                if (!socket)
                        break;
                *socket = answer;
        }
        read_end = safe_close(read_end);
        while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
                ;
        if (files->n_sockets > 0)
                qsort(files->sockets, files->n_sockets, sizeof(NetSocket), compare_sockets);
        return n == sizeof(answer) ? -ENOMEM : 0;
}

const NetSocket *find_socket(const Files *files, uint64_t ino) {
        const NetSocket key = { .ino = ino };

        return files->n_sockets == 0 || ino == 0 ? NULL : bsearch(&key, files->sockets, files->n_sockets, sizeof(key), compare_sockets);
}

int socket_get_int(int fd, int level, int name) {
        int value = 0;
        socklen_t size = sizeof(value);

        return getsockopt(fd, level, name, &value, &size) < 0 ? 0 : value;
}

static int add_option(ImageSocket *socket, int level, int name, int64_t value) {
        const int64_t triple[] = { level, name, value };

        for (unsigned i = 0; i < ELEMENTSOF(triple); i++) {
                int64_t *place = IMAGE_APPEND(socket->options, socket->n_options);

                if (!place)
                        return -ENOMEM;
                *place = triple[i];
        }
        return 0;
}

static bool get_option(int fd, const ImageOption *option, int64_t *ret) {
        struct linger linger = {};
        struct timeval time = {};
        int number = 0;
        void *value = option->form == IMAGE_OPTION_LINGER ? (void *) &linger : option->form == IMAGE_OPTION_TIME ? (void *) &time : &number;
        socklen_t size = option->form == IMAGE_OPTION_LINGER ? sizeof(linger) : option->form == IMAGE_OPTION_TIME ? sizeof(time) : sizeof(number);

        if (getsockopt(fd, option->level, option->name, value, &size) < 0)
                return false;
        switch (option->form) {
        case IMAGE_OPTION_INT:
                *ret = number;
                break;
        case IMAGE_OPTION_HALF:
                *ret = number / 2;
                break;
        case IMAGE_OPTION_LINGER:
                *ret = linger.l_onoff ? linger.l_linger : -1;
                break;
        case IMAGE_OPTION_TIME:
                *ret = (int64_t) time.tv_sec * 1000000 + time.tv_usec;
                break;
        }
        return true;
}

static int save_options(int fd, ImageSocket *socket) {
        const ImageOption *option;

        for (size_t i = 0; (option = image_socket_option(i)); i++) {
                bool listens_only = option->level == IPPROTO_TCP && option->name == TCP_DEFER_ACCEPT;
                int64_t value = 0;
                int r;

                if ((option->family != 0 && option->family != socket->family) ||
                    (option->tcp && (socket->family == AF_UNIX || socket->protocol != IPPROTO_TCP)) ||
                    (listens_only && !socket->listening) || !get_option(fd, option, &value))
                        continue;
                r = add_option(socket, option->level, option->name, value);
                if (r < 0)
                        return r;
        }
        return 0;
}

static int save_address(Files *files, int fd, int (*get)(int, struct sockaddr *, socklen_t *), ImageBlob *ret,
                        struct sockaddr_storage *address) {
        socklen_t size = sizeof(*address);

        memset(address, 0, sizeof(*address));
        if (get(fd, (struct sockaddr *) address, &size) < 0)
                return errno == ENOTCONN ? 0 : -errno;
        return size == 0 ? 0 : image_writer_add(&files->save->writer, address, MIN(size, (socklen_t) sizeof(*address)), ret,
                                                &files->save->message);
}

static bool is_path_name(const struct sockaddr_storage *address) {
        const struct sockaddr_un *un = (const struct sockaddr_un *) address;

        return address->ss_family == AF_UNIX && un->sun_path[0] == '/';
}

int describe_socket(FileContext *context, ImageFile *file, const struct stat *st) {
        int family = socket_get_int(context->fd, SOL_SOCKET, SO_DOMAIN), protocol = socket_get_int(context->fd, SOL_SOCKET, SO_PROTOCOL),
            type = socket_get_int(context->fd, SOL_SOCKET, SO_TYPE), r;
        Files *files = context->files;
        const NetSocket *known = find_socket(files, st->st_ino);
        struct sockaddr_storage address, peer;
        ImageSocket *socket;

        if (family != AF_UNIX && family != AF_INET && family != AF_INET6)
                return files_refuse(context, "a socket of a family that is not saved (%d)", family);
        socket = file->socket = calloc(1, sizeof(ImageSocket));
        if (!socket)
                return -ENOMEM;
        file->kind = family == AF_UNIX ? IMAGE_FILE_UNIX : IMAGE_FILE_INET;
        file->peer_id = st->st_ino;
        *socket = (ImageSocket) { .family = family, .type = type, .protocol = protocol, .peer = IMAGE_NONE };
        socket->listening = socket_get_int(context->fd, SOL_SOCKET, SO_ACCEPTCONN) != 0;
        r = save_address(files, context->fd, getsockname, &socket->address, &address);
        if (r >= 0)
                r = save_address(files, context->fd, getpeername, &socket->peer_address, &peer);
        if (r < 0)
                return r;
        if (family == AF_UNIX) {
                /* Nobody's in the sandbox's network: it came from outside, by inheritance or over a socket. */
                if (!known && socket->peer_address.size > 0)
                        return 0;
        } else {
                if (protocol != IPPROTO_TCP && protocol != IPPROTO_UDP && protocol != IPPROTO_UDPLITE)
                        return files_refuse(context, "a socket of a protocol that is not saved (%d)", protocol);
        }
        if (socket->listening) {
                socket->backlog = known ? known->backlog : 128;
                if (!known && (poll_now(context->fd) & POLLIN))
                        return files_refuse(context, "a listening socket with connections that nobody has accepted yet");
        }
        if (is_path_name(&address)) {
                struct sockaddr_un *un = (struct sockaddr_un *) &address;

                un->sun_path[sizeof(un->sun_path) - 1] = '\0';
                (void) save_place(files->save, un->sun_path, 0, &socket->place);
        }
        if (family != AF_UNIX && protocol == IPPROTO_TCP && !socket->listening) {
                struct tcp_info info = {};
                socklen_t size = sizeof(info);

                if (getsockopt(context->fd, IPPROTO_TCP, TCP_INFO, &info, &size) < 0)
                        return -errno;
                socket->state = info.tcpi_state;
        }
        return save_options(context->fd, socket);
}

int find_flying(Files *files) {
        int r = 0;

        /* What is found is looked through in its turn. */
        for (uint32_t i = 0; r >= 0 && i < files->save->image->n_files; i++) {
                const ImageFile *file = files->save->image->files + i;

                if (file->kind == IMAGE_FILE_UNIX && file->socket && !file->socket->listening && find_socket(files, file->peer_id))
                        r = save_queue(files, i);
        }
        return r;
}

/* ---- when all sockets are known ---- */

short poll_now(int fd) {
        struct pollfd pollfd = { .fd = fd, .events = POLLIN | POLLOUT | POLLRDHUP | POLLPRI };

        (void) poll(&pollfd, 1, 0);
        return pollfd.revents;
}

/* A socket whose end is closed reads 0 bytes; one that may not send any more says so to poll(2). */
static void save_shutdown(int fd, ImageSocket *socket) {
        short events = poll_now(fd);

        socket->shut_read = events & POLLRDHUP;
        socket->shut_write = events & POLLHUP;
}

static bool calls(int client, int listener) {
        struct sockaddr_storage theirs, ours;
        socklen_t size = sizeof(theirs), own_size = sizeof(ours);

        return getpeername(client, (struct sockaddr *) &theirs, &size) >= 0 &&
               getsockname(listener, (struct sockaddr *) &ours, &own_size) >= 0 && size == own_size && size <= sizeof(ours) &&
               memcmp(&theirs, &ours, size) == 0;
}

/* Connections that wait for a listening UNIX socket, and the clients that wait in them: those are in the order of their
 * descriptors. What they have sent already lies in ends that nobody can have before he has accepted them. */
static int finish_unix_queues(Files *files) {
        ImageFile *all = files->save->image->files;
        size_t n = files->save->image->n_files;

        for (uint32_t i = 0; i < n; i++) {
                const NetSocket *known = all[i].kind == IMAGE_FILE_UNIX && all[i].socket && all[i].socket->listening
                        ? find_socket(files, all[i].peer_id) : NULL;
                uint32_t waiting = known ? known->waiting : 0, found = 0;
                bool sent = false;

                for (uint32_t j = 0; waiting > 0 && j < n; j++) {
                        const NetSocket *client = all[j].kind == IMAGE_FILE_UNIX && all[j].socket && !all[j].socket->listening
                                ? find_socket(files, all[j].peer_id) : NULL;
                        int unread = 0;

                        if (!client || client->peer != 0 || all[j].socket->type != all[i].socket->type ||
                            !calls(files->known[j].fd, files->known[i].fd) ||
                            (poll_now(files->known[j].fd) & POLLHUP))
                                continue;
                        found++;
                        all[j].socket->queued = true;
                        sent = sent || ioctl(files->known[j].fd, TIOCOUTQ, &unread) < 0 || unread > 0;
                }
                if (found != waiting || sent)
                        files_refuse_index(files, i, "a listening socket with connections that nobody has accepted yet%s",
                                           sent ? ", in which bytes wait" : ", of clients that are gone or outside");
        }
        return 0;
}

/* They would have to be sent by somebody of that address. */
static void refuse_datagrams(Files *files, uint32_t index, size_t n) {
        if (n > 0)
                files_refuse_index(files, index, "%zu datagram%s that nobody has read yet, of senders that are gone, or too large", n,
                                   n == 1 ? "" : "s");
}

static int finish_unix(Files *files, uint32_t index) {
        ImageFile *file = files->save->image->files + index;
        const NetSocket *known = find_socket(files, file->peer_id);
        Known *at = files->known + index;
        struct ucred credentials = {};
        socklen_t size = sizeof(credentials);
        char who[96];

        if (file->socket->peer_address.size > 0 || (known && known->peer != 0)) {
                uint64_t peer = known ? known->peer : 0;

                for (uint32_t i = 0; peer != 0 && i < files->save->image->n_files; i++)
                        if (files->save->image->files[i].kind == IMAGE_FILE_UNIX && files->save->image->files[i].peer_id == peer)
                                file->socket->peer = i;
                if (file->socket->peer == IMAGE_NONE && (!known || peer != 0)) {
                        /* Its other end is outside of the sandbox, or on its way somewhere. */
                        file->kind = IMAGE_FILE_OUTSIDE;
                        file->outside = (uint32_t) at->number;
                        if (file->socket->peer == IMAGE_NONE && known) {
                                save_refuse(files->save, "%s fd %d: a UNIX socket connected to one that nobody in the sandbox has open",
                                            save_who(files->save, at->process, who), at->number);
                        }
                        file->socket = image_socket_free(file->socket);
                        return 0;
                }
        }
        if (file->socket->type == SOCK_DGRAM && file->socket->peer != IMAGE_NONE) {
                const NetSocket *other = find_socket(files, known->peer);

                /* One that others may be connected to as well. */
                if (!other || other->peer != file->peer_id) {
                        file->socket->peer = IMAGE_NONE;
                        file->socket->queued = true;
                }
        }
        if (file->socket->type == SOCK_DGRAM && file->socket->peer == IMAGE_NONE)
                refuse_datagrams(files, index, file->socket->address.size > 0 ? at->strangers : file->socket->n_sizes);
        if (getsockopt(at->fd, SOL_SOCKET, SO_PEERCRED, &credentials, &size) >= 0 && credentials.pid > 0) {
                for (size_t i = 0; i < files->save->n_processes; i++)
                        if (files->save->processes[i].pid == credentials.pid)
                                file->socket->credentials[0] = (uint32_t) files->save->processes[i].id;
                file->socket->credentials[1] = save_uid_inside(files->save, false, credentials.uid);
                file->socket->credentials[2] = save_uid_inside(files->save, true, credentials.gid);
        }
        if (file->socket->listening || file->socket->queued)
                return 0;
        if (file->socket->type != SOCK_DGRAM) {
                save_shutdown(at->fd, file->socket);
                /* Its other end is closed. */
                if (file->socket->peer == IMAGE_NONE && file->socket->peer_address.size > 0)
                        file->socket->state = TCP_ESTABLISHED;
        }
        return 0;
}

int finish_sockets(Files *files) {
        int r;

        r = finish_unix_queues(files);

        for (uint32_t i = 0; r >= 0 && i < files->save->image->n_files; i++) {
                const ImageFile *file = files->save->image->files + i;

                if (file->kind == IMAGE_FILE_UNIX && file->socket)
                        r = finish_unix(files, i);
                else if (file->kind == IMAGE_FILE_INET && file->socket && !file->socket->listening &&
                         file->socket->protocol != IPPROTO_TCP) {
                        r = save_queue(files, i);
                        /* In a network of its own anybody's can be sent again. */
                        if (files->host_network || file->socket->protocol != IPPROTO_UDP)
                                refuse_datagrams(files, i, file->socket->n_sizes);
                }
        }
        return r < 0 ? r : finish_tcp(files);
}
