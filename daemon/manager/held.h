/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The descriptors of a sandbox that another sentry-kernel would need, held for it here and in systemd's store, which keeps
 * them over our own death. Whose they are is the owner's to say: they are passed on to a process of his and nothing else. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct Manager Manager;
typedef struct Sandbox Sandbox;

typedef struct HeldFd {
        int fd;          /* owned */
        uint32_t role;   /* RendezvousRole; 0: from the store, which does not know */
        uint32_t number; /* what it has in a sentry-kernel */
        bool stored;     /* it is in the store */
} HeldFd;

/* Descriptors that systemd gave back to us, before they are some sandbox's. */
typedef struct StoredFd {
        int fd;     /* owned */
        char *name; /* owned: of the sandbox */
        uint32_t number;
} StoredFd;

typedef struct Store {
        StoredFd *fds;    /* owned, n_fds of them: what nobody has claimed yet */
        size_t n_fds;
        bool enabled;     /* immutable after store_open(): there is one */
        unsigned n, max;  /* how many are in it, and may be */
        bool full;        /* that was said */
} Store;

/* Takes what systemd hands over. */
int store_open(Manager *m);
/* Forgets what nobody has claimed, in the store too. */
void store_drop_unclaimed(Manager *m);
void store_close(Manager *m);

/* Makes `table` (n items, fds of which are taken) what is held for a sandbox, and the store follow. -EMFILE when the owner
 * has more than a user may: then nothing is held. */
int held_set(Sandbox *s, HeldFd *table, size_t n);
/* Takes what the store has for the sandbox. */
int held_claim(Sandbox *s);
/* The descriptor of this number, or of this role. NULL. */
HeldFd *held_find_number(const Sandbox *s, uint32_t number);
HeldFd *held_find_role(const Sandbox *s, uint32_t role);
/* Closes all. forget: takes them out of the store, too. */
void held_clear(Sandbox *s, bool forget);
