/* SPDX-License-Identifier: MIT */
/*
 * Open-addressing map from a 32-bit hash to ids (linear probing, back-shift deletion): eight bytes
 * a slot, where base/table.h needs sixteen. The caller compares what the ids stand for. Slots are
 * filled by the low bits of the hash, so a map twice as big is filled in two ascending streams. One
 * owner thread.
 */
#ifndef MQBX_ENGINE_INDEX_MAP_H
#define MQBX_ENGINE_INDEX_MAP_H

#include <stdbool.h>
#include <stdint.h>

#include "engine/index_memory.h"

struct id_slot {
    uint32_t hash;
    uint32_t id; /* 0: free */
};

struct id_map { /* all zero: empty, without memory */
    struct id_slot *slots;
    uint32_t mask;
    uint32_t count;
};

void mqbx_id_map_fini(struct id_map *m, struct index_memory *mem); /* and empty again */
void mqbx_id_map_clear(struct id_map *m);                          /* keeps its memory */
/* So many ids fit without memory. False: out of memory, nothing changed. */
bool mqbx_id_map_reserve(struct id_map *m, struct index_memory *mem, uint32_t count);
bool mqbx_id_map_insert(struct id_map *m, struct index_memory *mem, uint32_t hash, uint32_t id);
void mqbx_id_map_remove(struct id_map *m, uint32_t hash, uint32_t id); /* a pair that is there */
/* Gives memory back when it is sparse, if it can. */
void mqbx_id_map_trim(struct id_map *m, struct index_memory *mem);

/* Walks the ids with this hash: start with *probe = hash; 0 at the end. */
static inline uint32_t mqbx_id_map_next(const struct id_map *m, uint32_t hash, uint32_t *probe)
{
    if (!m->slots)
        return 0;
    for (;;) {
        struct id_slot slot = m->slots[(*probe)++ & m->mask];
        if (slot.id == 0 || slot.hash == hash)
            return slot.id;
    }
}

static inline void mqbx_id_map_prefetch(const struct id_map *m, uint32_t hash)
{
    if (m->slots)
        __builtin_prefetch(&m->slots[hash & m->mask]);
}

#endif
