/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* A map from numbers (process, group, session ids) to the objects that hold an IdNode. Objects are the owner's; the
 * map only finds them. It grows with what is in it. */

#include <stdint.h>

typedef struct IdNode {
        uint32_t id;         /* immutable while in a map */
        struct IdNode *next; /* owned by the map */
} IdNode;

typedef struct IdMap {
        IdNode **buckets;   /* owned; NULL while empty */
        uint32_t n_buckets; /* a power of two */
        uint32_t n;
} IdMap;

/* Forgets all nodes. The objects they are in are left alone. */
void idmap_done(IdMap *map);
/* Adds a node under an id that must not be there. 0 or -ENOMEM. */
int idmap_add(IdMap *map, IdNode *node, uint32_t id);
/* Removes a node, which must be there. */
void idmap_remove(IdMap *map, IdNode *node);
/* NULL when there is none. */
IdNode *idmap_find(const IdMap *map, uint32_t id);
