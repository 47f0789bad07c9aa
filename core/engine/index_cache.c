/* SPDX-License-Identifier: MIT */
/*
 * The cache's four-way sets and its bound. One owner thread.
 */
#include "engine/index_cache.h"

#include <assert.h>
#include <string.h>

#define WAYS 4u
#define BASE_LIST_BYTES (8u << 20) /* so that a few lists of a hundred thousand fit */
#define SLOT_LIST_BYTES 256u

bool mqbx_match_cache_init(struct match_cache *c, struct index_memory *mem, uint32_t slots)
{
    *c = (struct match_cache){.mem = mem};
    if (slots == 0)
        return true;
    assert((slots & (slots - 1)) == 0);
    c->slots = slots < WAYS ? WAYS : slots;
    c->max_list_bytes = BASE_LIST_BYTES + (uint64_t)c->slots * SLOT_LIST_BYTES;
    size_t size = c->slots * sizeof(*c->entries);
    c->entries = mqbx_index_alloc(mem, size);
    if (c->entries)
        memset(c->entries, 0, size);
    return c->entries != NULL;
}

static uint64_t list_bytes(const struct cache_entry *e)
{
    return e->is_owned ? e->count * sizeof(*e->list) : 0;
}

static void forget(struct match_cache *c, struct cache_entry *e)
{
    c->list_bytes -= list_bytes(e);
    if (e->is_owned)
        mqbx_index_release(c->mem, e->list, list_bytes(e));
    *e = (struct cache_entry){0};
}

void mqbx_match_cache_fini(struct match_cache *c)
{
    for (uint32_t i = 0; c->entries && i < c->slots; i++)
        forget(c, &c->entries[i]);
    mqbx_index_release(c->mem, c->entries, c->slots * sizeof(*c->entries));
    *c = (struct match_cache){.mem = c->mem};
}

static struct cache_entry *set_of(const struct match_cache *c, uint64_t hash)
{
    return &c->entries[hash & (c->slots - 1) & ~(uint64_t)(WAYS - 1)];
}

static bool is_good(const struct cache_entry *e, const struct index_generations *g)
{
    return e->generation == mqbx_generation(g, e->first_level);
}

const struct cache_entry *mqbx_match_cache_get(struct match_cache *c,
                                               const struct index_generations *g, uint64_t hash)
{
    if (!c->entries)
        return NULL;
    struct cache_entry *set = set_of(c, hash);
    for (uint32_t i = 0; i < WAYS; i++) {
        struct cache_entry *e = &set[i];
        if (e->hash != hash)
            continue;
        if (!is_good(e, g))
            return NULL;
        if (!e->was_hit)
            e->was_hit = true;
        return e;
    }
    return NULL;
}

/* The same topic's, a free or outdated one, else one that was not hit lately. */
static struct cache_entry *victim(const struct match_cache *c, const struct index_generations *g,
                                  uint64_t hash)
{
    struct cache_entry *set = set_of(c, hash);
    for (uint32_t i = 0; i < WAYS; i++) {
        if (set[i].hash == hash)
            return &set[i];
    }
    for (uint32_t i = 0; i < WAYS; i++) {
        if (set[i].hash == 0 || !is_good(&set[i], g))
            return &set[i];
    }
    uint32_t first = (uint32_t)(hash >> 62); /* spreads the evictions over the set */
    for (uint32_t i = 0; i < WAYS; i++) {
        struct cache_entry *e = &set[(first + i) % WAYS];
        if (!e->was_hit)
            return e;
        e->was_hit = false;
    }
    return &set[first];
}

/* Gives up lists, round the cache, until so many bytes are free. */
static void make_room(struct match_cache *c, uint64_t bytes)
{
    while (c->list_bytes + bytes > c->max_list_bytes) {
        struct cache_entry *e = &c->entries[c->hand++ & (c->slots - 1)];
        if (e->is_owned)
            forget(c, e);
    }
}

bool mqbx_match_cache_put(struct match_cache *c, const struct index_generations *g,
                          const struct cache_entry *e)
{
    if (!c->entries || list_bytes(e) > c->max_list_bytes / 2)
        return false;
    struct cache_entry *v = victim(c, g, e->hash);
    forget(c, v);
    make_room(c, list_bytes(e));
    *v = *e;
    c->list_bytes += list_bytes(e);
    return true;
}
