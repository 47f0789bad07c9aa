/* SPDX-License-Identifier: MIT */
/*
 * Which mask a filter raises and which masks a topic reads. A key is a chain over the keyed hashes
 * of the levels, so one pass over a topic gives the keys of all its prefixes. Any thread reads;
 * each worker raises and lowers for itself. What is atomic stands in interest_masks.c.
 *
 * Behind the table's masks stand a few more: by_position[0] for filters without any literal level,
 * by_position[p] for those that begin with a wildcard and have their first literal at level p: only
 * while that one says yes is the table asked for (p, literal).
 */
#include "engine/interest.h"

#include <assert.h>

#include "engine/interest_masks.h"
#include "mqtt/topic.h"

#define POSITIONS 64u /* a literal that comes later counts as none */

/* A slot as handed out: the mask's number, and the position in the top bits. */
#define POSITION_SHIFT 26
#define NUMBER_MASK ((1u << POSITION_SHIFT) - 1)

enum kind { KIND_EXACT = 1, KIND_PREFIX = 2, KIND_WILD_FIRST = 3 /* and the position added */ };

struct interest {
    const struct alloc *alloc;
    struct hash_key key;
    uint32_t slots;
    struct masks *masks; /* of the table, then by_position */
};

struct interest_counts {
    const struct alloc *alloc;
    const struct interest *shared;
    struct mask_counts *counts;
};

struct interest *mqbx_interest_new(const struct alloc *a, struct hash_key key, uint32_t slots)
{
    assert(slots > 0 && (slots & (slots - 1)) == 0 && slots <= NUMBER_MASK / 2);
    struct interest *t = mqbx_zalloc(a, sizeof(*t));
    if (!t)
        return NULL;
    *t = (struct interest){.alloc = a, .key = key, .slots = slots};
    t->masks = mqbx_masks_new(a, slots + POSITIONS);
    if (t->masks)
        return t;
    mqbx_free(a, t, sizeof(*t));
    return NULL;
}

void mqbx_interest_free(struct interest *t)
{
    if (!t)
        return;
    mqbx_masks_free(t->masks);
    mqbx_free(t->alloc, t, sizeof(*t));
}

/* The number of by_position[p]. */
static uint32_t by_position(const struct interest *t, uint32_t position)
{
    return t->slots + position;
}

static bool reserve_by_position(const struct interest_counts *c)
{
    return mqbx_mask_reserve(c->counts, by_position(c->shared, 0)) &&
           mqbx_mask_reserve(c->counts, by_position(c->shared, POSITIONS - 1));
}

struct interest_counts *mqbx_interest_counts_new(const struct alloc *a, struct interest *t,
                                                 uint32_t worker)
{
    struct interest_counts *c = mqbx_zalloc(a, sizeof(*c));
    if (!c)
        return NULL;
    *c = (struct interest_counts){.alloc = a, .shared = t};
    c->counts = mqbx_mask_counts_new(a, t->masks, worker);
    if (c->counts && reserve_by_position(c))
        return c;
    mqbx_interest_counts_free(c);
    return NULL;
}

void mqbx_interest_counts_free(struct interest_counts *c)
{
    if (!c)
        return;
    mqbx_mask_counts_free(c->counts);
    mqbx_free(c->alloc, c, sizeof(*c));
}

static uint64_t chain_start(uint32_t tenant)
{
    return mqbx_hash_mix((uint64_t)tenant + 1);
}

static uint64_t chain_next(uint64_t chain, uint64_t level_hash)
{
    return mqbx_hash_mix(chain ^ level_hash);
}

static uint64_t hash_level(const struct interest *t, struct bytes level)
{
    return mqbx_hash(t->key, 0, level.ptr, level.len);
}

static uint32_t number_of(const struct interest *t, uint64_t chain, uint64_t kind)
{
    return (uint32_t)mqbx_hash_mix(chain + kind) & (t->slots - 1);
}

static bool is_wildcard(struct bytes level)
{
    return level.len == 1 && (level.ptr[0] == '+' || level.ptr[0] == '#');
}

static uint32_t wild_first_slot(const struct interest *t, uint32_t tenant, struct bytes filter)
{
    struct bytes level;
    uint32_t position = 0;
    for (uint32_t pos = 0; mqbx_topic_level(filter, &pos, &level); position++) {
        if (is_wildcard(level))
            continue;
        if (position >= POSITIONS)
            break;
        uint64_t chain = chain_next(chain_start(tenant), hash_level(t, level));
        return number_of(t, chain, KIND_WILD_FIRST + position) | position << POSITION_SHIFT;
    }
    return by_position(t, 0);
}

static uint32_t slot_of(const struct interest *t, uint32_t tenant, struct bytes filter)
{
    uint64_t chain = chain_start(tenant);
    struct bytes level;
    for (uint32_t pos = 0, depth = 0; mqbx_topic_level(filter, &pos, &level); depth++) {
        if (is_wildcard(level))
            return depth > 0 ? number_of(t, chain, KIND_PREFIX)
                             : wild_first_slot(t, tenant, filter);
        chain = chain_next(chain, hash_level(t, level));
    }
    return number_of(t, chain, KIND_EXACT);
}

uint32_t mqbx_interest_raise(struct interest_counts *c, uint32_t tenant, struct bytes filter)
{
    uint32_t slot = slot_of(c->shared, tenant, filter);
    /* Without memory for the mask: interested in everything, which says yes in vain only. */
    if (!mqbx_mask_reserve(c->counts, slot & NUMBER_MASK))
        slot = by_position(c->shared, 0);
    mqbx_mask_raise(c->counts, slot & NUMBER_MASK);
    if (slot >> POSITION_SHIFT)
        mqbx_mask_raise(c->counts, by_position(c->shared, slot >> POSITION_SHIFT));
    return slot;
}

void mqbx_interest_lower(struct interest_counts *c, uint32_t slot)
{
    mqbx_mask_lower(c->counts, slot & NUMBER_MASK);
    if (slot >> POSITION_SHIFT)
        mqbx_mask_lower(c->counts, by_position(c->shared, slot >> POSITION_SHIFT));
}

uint64_t mqbx_interest_mask(const struct interest *t, uint32_t tenant, struct bytes topic)
{
    bool is_dollar = topic.len > 0 && topic.ptr[0] == '$'; /* [MQTT-4.7.2-1] */
    uint64_t mask = is_dollar ? 0 : mqbx_mask_read(t->masks, by_position(t, 0));
    uint64_t start = chain_start(tenant);
    uint64_t chain = start;
    struct bytes level;
    for (uint32_t pos = 0, depth = 0; mqbx_topic_level(topic, &pos, &level); depth++) {
        uint64_t hash = hash_level(t, level);
        chain = chain_next(chain, hash);
        mask |= mqbx_mask_read(t->masks, number_of(t, chain, KIND_PREFIX));
        if (is_dollar || depth == 0 || depth >= POSITIONS)
            continue;
        uint64_t wild = mqbx_mask_read(t->masks, by_position(t, depth));
        uint64_t literal = chain_next(start, hash);
        if (wild)
            mask |= wild & mqbx_mask_read(t->masks, number_of(t, literal, KIND_WILD_FIRST + depth));
    }
    return mask | mqbx_mask_read(t->masks, number_of(t, chain, KIND_EXACT));
}
