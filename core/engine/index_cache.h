/* SPDX-License-Identifier: MIT */
/*
 * From topic to its finished list. Sets of four entries; an entry is the keyed hash of (tenant,
 * topic), whose text is not kept (index_tree.h says why that is enough), and is good as long as the
 * sum of the two generations it depends on stands still: both only grow, so no other change can
 * hide in the sum.
 *
 * An entry owns a list made for it, or points into the one node that matched: that array stays
 * where it is until its filter's generation moves. Lists together take a bounded number of bytes,
 * whatever is published. One owner thread.
 */
#ifndef MQBX_ENGINE_INDEX_CACHE_H
#define MQBX_ENGINE_INDEX_CACHE_H

#include <stdbool.h>
#include <stdint.h>

#include "engine/index.h"
#include "engine/index_memory.h"

#define INDEX_GENERATIONS 1024u

/* A change to a filter moves the counter of its first level. */
struct index_generations {
    uint64_t wild_first;
    uint64_t by_first_level[INDEX_GENERATIONS];
};

struct cache_entry {
    uint64_t hash; /* of (tenant, topic); 0: free */
    uint64_t generation;
    struct subscriber *list;
    uint32_t count;
    uint16_t first_level; /* which counter */
    bool is_owned;        /* the list is the entry's */
    bool was_hit;         /* since it was last considered for eviction */
};

struct match_cache {
    struct index_memory *mem;
    struct cache_entry *entries; /* NULL: no cache */
    uint32_t slots;
    uint32_t hand; /* where the search for bytes goes on */
    uint64_t list_bytes, max_list_bytes;
};

bool mqbx_match_cache_init(struct match_cache *c, struct index_memory *mem, uint32_t slots);
void mqbx_match_cache_fini(struct match_cache *c);

/* NULL: not there, or no longer true. */
const struct cache_entry *mqbx_match_cache_get(struct match_cache *c,
                                               const struct index_generations *g, uint64_t hash);
/* Keeps a result. An owned list becomes the cache's; false: it stays the caller's, nothing is kept.
 */
bool mqbx_match_cache_put(struct match_cache *c, const struct index_generations *g,
                          const struct cache_entry *e);

static inline uint64_t mqbx_generation(const struct index_generations *g, uint16_t first_level)
{
    return g->wild_first + g->by_first_level[first_level];
}

#endif
