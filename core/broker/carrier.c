/* SPDX-License-Identifier: MIT */
/*
 * See carrier.h.
 */
#include "broker/carrier.h"

#include <assert.h>
#include <string.h>

enum { FREE_MAX = 32 };

static size_t size_of(uint32_t cap)
{
    return sizeof(struct chunk) + cap * sizeof(struct item);
}

struct chunk *mqbx_chunk_new(const struct alloc *a, uint32_t cap)
{
    struct chunk *ch = mqbx_alloc(a, size_of(cap));
    if (ch)
        *ch = (struct chunk){.cap = cap};
    return ch;
}

void mqbx_chunk_free(const struct alloc *a, struct chunk *ch)
{
    if (ch)
        mqbx_free(a, ch, size_of(ch->cap));
}

void mqbx_carrier_init(struct carrier *c, const struct alloc *a)
{
    memset(c, 0, sizeof(*c));
    c->alloc = a;
}

void mqbx_carrier_fini(struct carrier *c)
{
    assert(c->used == 0);
    while (c->free) {
        struct chunk *next = mqbx_chunk_next(c->free);
        mqbx_chunk_free(c->alloc, c->free);
        c->free = next;
    }
    c->free_count = 0;
}

void mqbx_carrier_recycle(struct carrier *c, struct chunk *ch)
{
    if (ch->cap != CHUNK_ITEMS || c->free_count >= FREE_MAX) {
        mqbx_chunk_free(c->alloc, ch);
        return;
    }
    *ch = (struct chunk){.cap = CHUNK_ITEMS, .head.next = (struct inbox_chunk *)(void *)c->free};
    c->free = ch;
    c->free_count++;
}

static struct chunk *get_chunk(struct carrier *c)
{
    struct chunk *ch = c->free;
    if (!ch)
        return mqbx_chunk_new(c->alloc, CHUNK_ITEMS);
    c->free = mqbx_chunk_next(ch);
    c->free_count--;
    ch->head.next = NULL;
    return ch;
}

static bool make_room(struct carrier *c, uint32_t target, uint32_t needed)
{
    struct outbox *o = &c->out[target];
    while (o->room < needed) {
        struct chunk *ch = get_chunk(c);
        if (!ch)
            return false;
        if (o->last)
            o->last->head.next = &ch->head;
        else
            o->first = ch;
        o->last = ch;
        if (!o->fill)
            o->fill = ch;
        o->room += CHUNK_ITEMS;
        c->used |= (uint64_t)1 << target;
    }
    return true;
}

bool mqbx_carrier_reserve(struct carrier *c, uint32_t target, uint32_t count)
{
    struct outbox *o = &c->out[target];
    if (!make_room(c, target, o->promised + count))
        return false;
    o->promised += count;
    return true;
}

bool mqbx_carrier_post(struct carrier *c, uint32_t target, const struct item *it, uint32_t bytes)
{
    struct outbox *o = &c->out[target];
    if (o->promised > 0)
        o->promised--;
    else if (!make_room(c, target, 1))
        return false;
    struct chunk *ch = o->fill;
    ch->items[ch->count++] = *it;
    ch->head.bytes += bytes;
    o->bytes += bytes;
    o->room--;
    if (ch->count == ch->cap)
        o->fill = mqbx_chunk_next(ch);
    return true;
}

/* What was reserved and not used is behind the last chunk with items. */
struct chunk *mqbx_carrier_take(struct carrier *c, uint32_t target)
{
    struct outbox *o = &c->out[target];
    struct chunk *first = o->first;
    struct chunk *last = NULL;
    struct chunk *ch = first;
    while (ch && ch->count > 0) {
        last = ch;
        ch = mqbx_chunk_next(ch);
    }
    if (last)
        last->head.next = NULL;
    while (ch) {
        struct chunk *next = mqbx_chunk_next(ch);
        mqbx_carrier_recycle(c, ch);
        ch = next;
    }
    *o = (struct outbox){0};
    c->used &= ~((uint64_t)1 << target);
    return last ? first : NULL;
}
