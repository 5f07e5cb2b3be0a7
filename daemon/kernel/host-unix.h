/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* UNIX sockets of a sandbox in the host's network, which are made elsewhere (MakerRequest), and what programs see of its
 * names in /proc; see HostOps. */

#include "host-seccomp.h"

/* Gets to know the maker, if the launcher passed one. */
void host_unix_attach(HostSeccomp *host);

int host_unix_make(Host *host, const Call *call, int32_t type, int32_t protocol, unsigned n, int ret[]);
int host_interface(Host *host, uint32_t request, AbiIfreq *interface);
int host_fd_add(Host *host, const Call *call, int fd, uint32_t flags);
void host_names_changed(Host *host, const char *nodename, const char *domainname);
