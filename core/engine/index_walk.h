/* SPDX-License-Identifier: MIT */
/*
 * One topic through the tree: level by level, all branches abreast. What a branch needs next is
 * fetched one level ahead, while the others are looked at: with 100,000 filters nearly every node
 * is a cache miss. One owner thread.
 */
#ifndef MQBX_ENGINE_INDEX_WALK_H
#define MQBX_ENGINE_INDEX_WALK_H

#include <stdbool.h>
#include <stdint.h>

#include "base/bytes.h"
#include "base/hash.h"
#include "engine/index_memory.h"
#include "engine/index_tree.h"

struct branch;

struct branches {
    struct branch *ptr;
    uint32_t count, cap;
};

/* Scratch memory, kept from walk to walk; all zero at first. */
struct index_walk {
    struct branches now, next;
    uint32_t *matched; /* nodes whose subscribers get the topic */
    uint32_t matched_count, matched_cap;
    uint64_t first_level; /* the hash of the topic's */
};

void mqbx_index_walk_fini(struct index_walk *w, struct index_memory *mem);

/* Fills w->matched and w->first_level. False: out of memory. `root` is the tenant's, 0: none. */
bool mqbx_index_walk(struct index_walk *w, struct index_memory *mem, const struct tree *t,
                     uint32_t root, struct hash_key key, struct bytes topic);

/* The hash by which the tree knows a level. */
static inline uint64_t mqbx_level_hash(struct hash_key key, struct bytes level)
{
    return mqbx_hash(key, (uint64_t)1 << 32, level.ptr, level.len); /* no tenant's seed */
}

#endif
