/* SPDX-License-Identifier: MIT */
/*
 * The index: filters into the tree, topics through the cache or the tree. One owner thread.
 */
#include "engine/index.h"

#include <string.h>

#include "engine/index_cache.h"
#include "engine/index_memory.h"
#include "engine/index_subscribers.h"
#include "engine/index_tree.h"
#include "engine/index_walk.h"
#include "mqtt/topic.h"

struct index {
    struct index_memory mem; /* everything but this struct */
    struct hash_key key;
    uint64_t filters;
    struct tree tree;
    struct match_cache cache;
    struct index_generations generations;
    struct index_walk walk;
    struct subscriber *loose; /* the last list, when the cache did not take it */
    uint32_t loose_count;
};

static void drop_loose(struct index *ix)
{
    mqbx_index_release(&ix->mem, ix->loose, ix->loose_count * sizeof(*ix->loose));
    ix->loose = NULL;
    ix->loose_count = 0;
}

struct index *mqbx_index_new(const struct alloc *a, struct hash_key key, uint32_t cache_slots)
{
    struct index *ix = mqbx_zalloc(a, sizeof(*ix));
    if (!ix)
        return NULL;
    ix->mem.alloc = a;
    ix->key = key;
    mqbx_tree_init(&ix->tree, &ix->mem);
    if (mqbx_match_cache_init(&ix->cache, &ix->mem, cache_slots))
        return ix;
    mqbx_free(a, ix, sizeof(*ix));
    return NULL;
}

void mqbx_index_free(struct index *ix)
{
    if (!ix)
        return;
    mqbx_match_cache_fini(&ix->cache);
    mqbx_tree_fini(&ix->tree);
    mqbx_index_walk_fini(&ix->walk, &ix->mem);
    drop_loose(ix);
    mqbx_free(ix->mem.alloc, ix, sizeof(*ix));
}

/* --- changes --------------------------------------------------------------------------------- */

static bool is_wildcard(struct bytes level, char c)
{
    return level.len == 1 && level.ptr[0] == (uint8_t)c;
}

static uint64_t hash_level(const struct index *ix, struct bytes level)
{
    return mqbx_level_hash(ix->key, level);
}

static uint16_t first_level_of(uint64_t level_hash, uint32_t tenant)
{
    return (uint16_t)((level_hash + tenant) % INDEX_GENERATIONS);
}

/* Lists made from filters that begin as this one does are no longer true. */
static void outdate(struct index *ix, uint32_t tenant, struct bytes filter)
{
    struct bytes level;
    uint32_t pos = 0;
    mqbx_topic_level(filter, &pos, &level);
    if (is_wildcard(level, '+') || is_wildcard(level, '#'))
        ix->generations.wild_first++;
    else
        ix->generations.by_first_level[first_level_of(hash_level(ix, level), tenant)]++;
}

static uint32_t root_of(const struct index *ix, uint32_t tenant)
{
    return mqbx_tree_literal(&ix->tree, 0, tenant);
}

static uint32_t find_filter(const struct index *ix, uint32_t tenant, struct bytes filter)
{
    uint32_t id = root_of(ix, tenant);
    struct bytes level;
    for (uint32_t pos = 0; id && mqbx_topic_level(filter, &pos, &level);) {
        if (is_wildcard(level, '+'))
            id = mqbx_tree_node(&ix->tree, id)->plus;
        else if (is_wildcard(level, '#'))
            id = mqbx_tree_node(&ix->tree, id)->hash;
        else
            id = mqbx_tree_literal(&ix->tree, id, hash_level(ix, level));
    }
    return id;
}

static uint32_t add_level(struct index *ix, uint32_t parent, struct bytes level)
{
    if (is_wildcard(level, '+'))
        return mqbx_tree_add_plus(&ix->tree, parent);
    if (is_wildcard(level, '#'))
        return mqbx_tree_add_hash(&ix->tree, parent);
    return mqbx_tree_add_literal(&ix->tree, parent, hash_level(ix, level));
}

/* 0: out of memory, nothing changed. */
static uint32_t add_filter(struct index *ix, uint32_t tenant, struct bytes filter)
{
    uint32_t id = mqbx_tree_add_literal(&ix->tree, 0, tenant);
    struct bytes level;
    for (uint32_t pos = 0; id && mqbx_topic_level(filter, &pos, &level);) {
        uint32_t child = add_level(ix, id, level);
        if (!child)
            mqbx_tree_prune(&ix->tree, id);
        id = child;
    }
    return id;
}

bool mqbx_index_insert(struct index *ix, uint32_t tenant, struct bytes filter,
                       const struct subscriber *s)
{
    uint32_t id = add_filter(ix, tenant, filter);
    if (!id)
        return false;
    if (!mqbx_subscribers_add(&mqbx_tree_node(&ix->tree, id)->subscribers, &ix->mem, s)) {
        mqbx_tree_prune(&ix->tree, id);
        return false;
    }
    outdate(ix, tenant, filter);
    ix->filters++;
    return true;
}

bool mqbx_index_update(struct index *ix, uint32_t tenant, struct bytes filter,
                       const struct subscriber *s)
{
    uint32_t id = find_filter(ix, tenant, filter);
    if (!id)
        return false;
    struct subscriber *there =
        mqbx_subscribers_find(&mqbx_tree_node(&ix->tree, id)->subscribers, s->owner);
    if (!there)
        return false;
    there->identifier = s->identifier;
    there->qos = s->qos;
    there->no_local = s->no_local;
    there->retain_as_published = s->retain_as_published;
    outdate(ix, tenant, filter);
    return true;
}

bool mqbx_index_remove(struct index *ix, uint32_t tenant, struct bytes filter, const void *owner)
{
    uint32_t id = find_filter(ix, tenant, filter);
    if (!id ||
        !mqbx_subscribers_remove(&mqbx_tree_node(&ix->tree, id)->subscribers, &ix->mem, owner))
        return false;
    mqbx_tree_prune(&ix->tree, id);
    outdate(ix, tenant, filter);
    ix->filters--;
    return true;
}

/* --- matching -------------------------------------------------------------------------------- */

static struct subscribers *matched_set(const struct index *ix, uint32_t i)
{
    return &mqbx_tree_node(&ix->tree, ix->walk.matched[i])->subscribers;
}

/* One list from several nodes; it is the caller's. */
static bool join(struct index *ix, struct cache_entry *e)
{
    uint64_t count = 0;
    for (uint32_t i = 0; i < ix->walk.matched_count; i++)
        count += matched_set(ix, i)->count;
    if (count > UINT32_MAX)
        return false;
    size_t size = (size_t)count * sizeof(*e->list);
    struct subscriber *list = mqbx_index_alloc(&ix->mem, size);
    if (!list)
        return false;
    uint32_t n = 0;
    for (uint32_t i = 0; i < ix->walk.matched_count; i++) {
        struct subscribers *set = matched_set(ix, i);
        const struct subscriber *items = mqbx_subscribers_sorted(set, &ix->mem);
        if (!items)
            goto fail;
        memcpy(list + n, items, set->count * sizeof(*list));
        n += set->count;
    }
    if (!mqbx_subscribers_sort(list, n, &ix->mem))
        goto fail;
    e->list = list;
    e->count = n;
    e->is_owned = true;
    return true;
fail:
    mqbx_index_release(&ix->mem, list, size);
    return false;
}

static bool collect(struct index *ix, struct cache_entry *e)
{
    if (ix->walk.matched_count == 0)
        return true;
    if (ix->walk.matched_count > 1)
        return join(ix, e);
    struct subscribers *set = matched_set(ix, 0);
    e->list = mqbx_subscribers_sorted(set, &ix->mem);
    e->count = set->count;
    return e->list != NULL;
}

static void answer(const struct cache_entry *e, struct match *out)
{
    *out = (struct match){.subscribers = e->list, .count = e->count};
}

bool mqbx_index_match(struct index *ix, uint32_t tenant, struct bytes topic, struct match *out)
{
    uint64_t hash = mqbx_hash(ix->key, tenant, topic.ptr, topic.len);
    hash += hash == 0; /* 0 marks a free entry */
    const struct cache_entry *known = mqbx_match_cache_get(&ix->cache, &ix->generations, hash);
    if (known) {
        answer(known, out);
        return true;
    }
    uint32_t root = root_of(ix, tenant);
    if (!mqbx_index_walk(&ix->walk, &ix->mem, &ix->tree, root, ix->key, topic))
        return false;
    struct cache_entry e = {.hash = hash};
    if (!collect(ix, &e))
        return false;
    e.first_level = first_level_of(ix->walk.first_level, tenant);
    e.generation = mqbx_generation(&ix->generations, e.first_level);
    drop_loose(ix);
    if (!mqbx_match_cache_put(&ix->cache, &ix->generations, &e) && e.is_owned) {
        ix->loose = e.list;
        ix->loose_count = e.count;
    }
    answer(&e, out);
    return true;
}

uint64_t mqbx_index_filters(const struct index *ix)
{
    return ix->filters;
}

uint64_t mqbx_index_bytes(const struct index *ix)
{
    return sizeof(*ix) + ix->mem.bytes;
}
