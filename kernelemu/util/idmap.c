/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <errno.h>
#include <stdlib.h>

#include "idmap.h"

#define BUCKETS_MIN 64U
#define LOAD_MAX 2U /* nodes a bucket */

/* Ids come in runs: their low bits spread well. */
static IdNode **bucket_of(IdNode **buckets, uint32_t n_buckets, uint32_t id) {
        return &buckets[id & (n_buckets - 1)];
}

void idmap_done(IdMap *map) {
        free(map->buckets);
        *map = (IdMap) {};
}

static int grow(IdMap *map) {
        uint32_t want = map->n_buckets == 0 ? BUCKETS_MIN : map->n_buckets * 2;
        IdNode **buckets = calloc(want, sizeof(IdNode *));

        if (!buckets)
                return map->n_buckets == 0 ? -ENOMEM : 0; /* a full map is slower, but a map */

        for (uint32_t i = 0; i < map->n_buckets; i++)
                for (IdNode *node = map->buckets[i], *next; node; node = next) {
                        IdNode **bucket = bucket_of(buckets, want, node->id);

                        next = node->next;
                        node->next = *bucket;
                        *bucket = node;
                }
        free(map->buckets);
        map->buckets = buckets;
        map->n_buckets = want;
        return 0;
}

int idmap_add(IdMap *map, IdNode *node, uint32_t id) {
        IdNode **bucket;
        int r;

        if (map->n >= map->n_buckets * LOAD_MAX) {
                r = grow(map);
                if (r < 0)
                        return r;
        }
        bucket = bucket_of(map->buckets, map->n_buckets, id);
        *node = (IdNode) { .id = id, .next = *bucket };
        *bucket = node;
        map->n++;
        return 0;
}

void idmap_remove(IdMap *map, IdNode *node) {
        for (IdNode **p = bucket_of(map->buckets, map->n_buckets, node->id); *p; p = &(*p)->next)
                if (*p == node) {
                        *p = node->next;
                        node->next = NULL;
                        map->n--;
                        return;
                }
}

IdNode *idmap_find(const IdMap *map, uint32_t id) {
        if (map->n == 0)
                return NULL;
        for (IdNode *node = *bucket_of(map->buckets, map->n_buckets, id); node; node = node->next)
                if (node->id == id)
                        return node;
        return NULL;
}
