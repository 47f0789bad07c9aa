/* SPDX-License-Identifier: MIT */
/*
 * The blocked sorted array. Used under its shard's lock.
 */
#include "engine/retained_blocks.h"

#include <assert.h>
#include <string.h>

#include "mqtt/topic.h"

#define BLOCK_MAX 128u
#define FETCH_AHEAD 6u
#define BLOCK_FEW 32u /* so few look for a neighbour to join */

struct block {
    struct msg **items;
    uint16_t count, cap;
};

void mqbx_blocks_init(struct blocks *b, const struct alloc *a)
{
    *b = (struct blocks){.alloc = a};
}

static size_t items_size(uint32_t cap)
{
    return cap * sizeof(struct msg *);
}

void mqbx_blocks_fini(struct blocks *b)
{
    for (uint32_t i = 0; i < b->count; i++) {
        struct block *k = &b->list[i];
        for (uint32_t j = 0; j < k->count; j++)
            mqbx_msg_unref(k->items[j]);
        mqbx_free(b->alloc, k->items, items_size(k->cap));
    }
    mqbx_free(b->alloc, b->list, b->cap * sizeof(*b->list));
    mqbx_blocks_init(b, b->alloc);
}

/* --- order ----------------------------------------------------------------------------------- */

static struct bytes from_offset(struct bytes b, uint32_t offset)
{
    return mqbx_bytes(b.ptr + offset, b.len - offset);
}

/* How the topic stands to head '/' tail. '/' is below every other byte. */
static int compare_with_tail(struct bytes topic, const struct seek *s)
{
    uint32_t head_len = s->head.len;
    if (topic.len <= head_len)
        return mqbx_topic_compare(topic, s->head) > 0 ? 1 : -1;
    int order = mqbx_topic_compare(mqbx_bytes(topic.ptr, head_len), s->head);
    if (order != 0)
        return order;
    if (topic.ptr[head_len] != '/')
        return 1;
    return mqbx_topic_compare(from_offset(topic, head_len + 1), s->tail);
}

static bool is_in_branch(struct bytes topic, struct bytes branch)
{
    return topic.len >= branch.len && memcmp(topic.ptr, branch.ptr, branch.len) == 0 &&
           (topic.len == branch.len || topic.ptr[branch.len] == '/');
}

/* Whether the entry stands before the place sought. */
static bool is_before(const struct msg *m, const struct seek *s)
{
    if (m->tenant != s->tenant)
        return m->tenant < s->tenant;
    struct bytes topic = mqbx_msg_topic(m);
    if (s->has_tail)
        return compare_with_tail(topic, s) < 0;
    if (s->mode == SEEK_PAST_BRANCH && is_in_branch(topic, s->head))
        return true;
    int order = mqbx_topic_compare(topic, s->head);
    return order < 0 || (order == 0 && s->mode == SEEK_AFTER);
}

/* The last block that begins before the place, or the first. */
static uint32_t seek_block(const struct blocks *b, const struct seek *s)
{
    uint32_t low = 0;
    uint32_t high = b->count;
    while (high - low > 1) {
        uint32_t middle = low + (high - low) / 2;
        if (is_before(b->list[middle].items[0], s))
            low = middle;
        else
            high = middle;
    }
    return low;
}

static uint32_t seek_in(const struct block *k, uint32_t from, const struct seek *s)
{
    uint32_t low = from;
    uint32_t high = k->count;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (is_before(k->items[middle], s))
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

/* A place behind a block's last entry is the first of the next block. */
static struct place normal(const struct blocks *b, struct place p)
{
    if (p.block < b->count && p.index == b->list[p.block].count)
        return (struct place){.block = p.block + 1};
    return p;
}

struct place mqbx_blocks_seek(const struct blocks *b, const struct seek *s)
{
    struct place p = {0};
    if (b->count == 0)
        return p;
    p.block = seek_block(b, s);
    p.index = seek_in(&b->list[p.block], 0, s);
    return normal(b, p);
}

struct place mqbx_blocks_seek_on(const struct blocks *b, struct place from, const struct seek *s)
{
    struct place p = mqbx_blocks_next(b, from);
    const struct msg *m = mqbx_blocks_at(b, p);
    if (!m || !is_before(m, s))
        return p;
    return mqbx_blocks_seek(b, s);
}

struct msg *mqbx_blocks_at(const struct blocks *b, struct place p)
{
    return p.block < b->count ? b->list[p.block].items[p.index] : NULL;
}

struct place mqbx_blocks_next(const struct blocks *b, struct place p)
{
    const struct block *k = &b->list[p.block];
    p.index++;
    if (p.index + FETCH_AHEAD < k->count) {
        const char *m = (const char *)k->items[p.index + FETCH_AHEAD];
        __builtin_prefetch(m, 1); /* a reference will be counted there */
        __builtin_prefetch(m + 64);
    }
    return normal(b, p);
}

struct place mqbx_blocks_clamp(const struct blocks *b, struct place p)
{
    if (p.block < b->count && p.index > b->list[p.block].count)
        p.index = b->list[p.block].count;
    return normal(b, p);
}

/* --- changes --------------------------------------------------------------------------------- */

static bool block_resize(const struct blocks *b, struct block *k, uint32_t cap)
{
    struct msg **items =
        mqbx_realloc(b->alloc, k->items, k->items ? items_size(k->cap) : 0, items_size(cap));
    if (!items)
        return false;
    k->items = items;
    k->cap = (uint16_t)cap;
    return true;
}

static bool block_grow(const struct blocks *b, struct block *k, uint32_t count)
{
    if (count <= k->cap)
        return true;
    uint32_t cap = k->cap + k->cap / 2u;
    cap = cap < 8 ? 8 : cap;
    cap = cap < count ? count : cap;
    return block_resize(b, k, cap < BLOCK_MAX ? cap : BLOCK_MAX);
}

/* A new empty block at `at`; it must be filled at once. */
static bool block_new(struct blocks *b, uint32_t at, uint32_t cap)
{
    if (b->count == b->cap) {
        uint32_t more = b->cap ? b->cap * 2 : 4;
        struct block *list =
            mqbx_realloc(b->alloc, b->list, b->cap * sizeof(*list), more * sizeof(*list));
        if (!list)
            return false;
        b->list = list;
        b->cap = more;
    }
    struct block fresh = {0};
    if (!block_resize(b, &fresh, cap))
        return false;
    memmove(&b->list[at + 1], &b->list[at], (b->count - at) * sizeof(*b->list));
    b->list[at] = fresh;
    b->count++;
    return true;
}

static void block_free(struct blocks *b, uint32_t at)
{
    mqbx_free(b->alloc, b->list[at].items, items_size(b->list[at].cap));
    b->count--;
    memmove(&b->list[at], &b->list[at + 1], (b->count - at) * sizeof(*b->list));
    if (b->count == 0) {
        mqbx_free(b->alloc, b->list, b->cap * sizeof(*b->list));
        mqbx_blocks_init(b, b->alloc);
    }
}

/* Moves the entries from `from` on to a block of their own behind this one. */
static bool split(struct blocks *b, uint32_t at, uint32_t from)
{
    uint32_t moved = b->list[at].count - from;
    if (!block_new(b, at + 1, moved + 8))
        return false;
    struct block *left = &b->list[at];
    struct block *right = &b->list[at + 1];
    memcpy(right->items, left->items + from, items_size(moved));
    right->count = (uint16_t)moved;
    left->count = (uint16_t)from;
    if (from > 0)
        block_resize(b, left, from + 8); /* when there is no memory it stays as it is */
    return true;
}

/* Room in a block for the entry at *p, which may move to another block. */
static bool make_room(struct blocks *b, struct place *p)
{
    if (p->block == b->count && b->count > 0) { /* behind the last entry */
        p->block--;
        p->index = b->list[p->block].count;
    }
    if (b->count == 0)
        return block_new(b, 0, 8);
    uint32_t count = b->list[p->block].count;
    if (count < BLOCK_MAX)
        return block_grow(b, &b->list[p->block], count + 1);
    if (p->index == count) { /* entries that come in order leave full blocks behind */
        *p = (struct place){.block = p->block + 1};
        return block_new(b, p->block, 8);
    }
    if (!split(b, p->block, count / 2))
        return false;
    if (p->index > count / 2) {
        p->block++;
        p->index -= count / 2;
    }
    return block_grow(b, &b->list[p->block], b->list[p->block].count + 1u);
}

bool mqbx_blocks_insert(struct blocks *b, struct place p, struct msg *m)
{
    if (!make_room(b, &p))
        return false;
    struct block *k = &b->list[p.block];
    memmove(&k->items[p.index + 1], &k->items[p.index], items_size(k->count - p.index));
    k->items[p.index] = m;
    k->count++;
    return true;
}

struct msg *mqbx_blocks_replace(struct blocks *b, struct place p, struct msg *m)
{
    struct msg *old = b->list[p.block].items[p.index];
    b->list[p.block].items[p.index] = m;
    return old;
}

/* Appends block `at` to the one before it, when together they leave room. *p follows its entry. */
static void join(struct blocks *b, uint32_t at, struct place *p)
{
    if (at == 0 || at >= b->count)
        return;
    struct block *left = &b->list[at - 1];
    const struct block *right = &b->list[at];
    uint32_t count = (uint32_t)left->count + right->count;
    if (count > BLOCK_MAX - BLOCK_FEW || !block_grow(b, left, count))
        return;
    memcpy(left->items + left->count, right->items, items_size(right->count));
    if (p->block == at)
        p->index += left->count;
    if (p->block >= at)
        p->block--;
    left->count = (uint16_t)count;
    block_free(b, at);
}

struct msg *mqbx_blocks_remove(struct blocks *b, struct place *p)
{
    struct block *k = &b->list[p->block];
    assert(p->index < k->count);
    struct msg *m = k->items[p->index];
    k->count--;
    memmove(&k->items[p->index], &k->items[p->index + 1], items_size(k->count - p->index));
    if (k->count == 0) {
        block_free(b, p->block);
        return m;
    }
    if (k->count < k->cap / 4)
        block_resize(b, k, k->cap / 2u);
    if (k->count < BLOCK_FEW) {
        uint32_t at = p->block;
        join(b, at + 1, p);
        join(b, at, p);
    }
    *p = normal(b, *p);
    return m;
}
