/* SPDX-License-Identifier: MIT */
/*
 * The outgoing side of one worker: what it posts during a turn, collected in chunks per target and
 * handed over at the end of the turn. Used by that worker alone. A chunk belongs to whoever holds
 * it: the sender takes it from its own free list, the receiver puts it onto its own, so nothing is
 * ever given back across threads.
 */
#ifndef MQBX_BROKER_CARRIER_H
#define MQBX_BROKER_CARRIER_H

#include <stdbool.h>
#include <stdint.h>

#include "base/alloc.h"
#include "base/inbox.h"
#include "engine/item.h"

enum { CARRIER_TARGETS = 64, CHUNK_ITEMS = 24 };

struct chunk {
    struct inbox_chunk head; /* must be first */
    uint32_t count;
    uint32_t cap;
    bool is_counted; /* its bytes are in an inbox's sum */
    struct item items[];
};

struct outbox {
    struct chunk *first;
    struct chunk *fill; /* the one posts go to: those behind it are empty */
    struct chunk *last;
    uint32_t room;     /* free places from fill on */
    uint32_t promised; /* of these reserved */
    uint64_t bytes;
};

struct carrier {
    const struct alloc *alloc;
    struct chunk *free; /* linked by head.next */
    uint32_t free_count;
    uint64_t used; /* one bit per target with chunks */
    struct outbox out[CARRIER_TARGETS];
};

void mqbx_carrier_init(struct carrier *c, const struct alloc *a);
void mqbx_carrier_fini(struct carrier *c); /* every outbox was taken */

/* The two of the seams. */
bool mqbx_carrier_reserve(struct carrier *c, uint32_t target, uint32_t count);
bool mqbx_carrier_post(struct carrier *c, uint32_t target, const struct item *it, uint32_t bytes);

/* Posted and not yet taken. */
static inline uint64_t mqbx_carrier_bytes(const struct carrier *c, uint32_t target)
{
    return c->out[target].bytes;
}

/* The filled chunks for a target, oldest first, linked by head.next; NULL: none. Reservations end.
 */
struct chunk *mqbx_carrier_take(struct carrier *c, uint32_t target);
void mqbx_carrier_recycle(struct carrier *c, struct chunk *ch);

static inline struct chunk *mqbx_chunk_next(const struct chunk *ch)
{
    return (struct chunk *)(void *)ch->head.next;
}

/* For posts from outside any turn. NULL: out of memory. */
struct chunk *mqbx_chunk_new(const struct alloc *a, uint32_t cap);
void mqbx_chunk_free(const struct alloc *a, struct chunk *ch);

#endif
