/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Socket calls on behalf of the tasks of a sandbox: see HostOps. What may wait is done by threads of their own, in
 * socket-jobs.c. */

#include "host.h"

typedef struct Sentry Sentry;

int host_socket_copy(Host *host, const Call *call, int32_t number, HostSocket *ret);
int host_socket_fd(Host *host, const Call *call, int32_t number);
void host_socket_close(Host *host, int fd);
int host_socket_locate(Host *host, const Call *call, const char *path, bool for_bind, HostPlace *ret,
                       char ret_path[static ADDRESS_PATH_MAX]);
int host_socket_bind(Host *host, const Call *call, const HostSocket *socket, const HostAddress *address);
int host_socket_name(Host *host, const HostSocket *socket, HostAddress *ret);
int host_socket_listen(Host *host, const HostSocket *socket, int32_t backlog);
int host_socket_connect(Host *host, const Call *call, const HostSocket *socket, const HostAddress *address);
int64_t host_socket_send(Host *host, const Call *call, const HostSocket *socket, const HostMessage *message);
void host_socket_credentials(Host *host, AbiUcred *ret);
int host_socket_start(Host *host, uint64_t cookie, const HostSocket *socket, const HostAddress *address,
                      const HostMessage *message, void *data);
void host_socket_stop(Host *host, uint64_t cookie, int64_t *ret);

/* The address as the host is to be told it, a path as the descriptor of where it leads. Returns its size. */
uint32_t host_socket_address(const HostAddress *address, uint8_t to[static ABI_SOCKADDR_MAX]);

/* Whether threads wait that must not be waited for at the end. */
bool socket_jobs_have_threads(void);
