/* SPDX-License-Identifier: MIT */
/*
 * Holds: taken with each post, given back with each commit.
 */
#include "engine/hold.h"

#include "engine/msg.h"
#include "engine/session.h"

struct hold *mqbx_hold_new(struct engine *e, const struct session *s, bool *no_memory)
{
    *no_memory = false;
    if (!e->shared->keeps)
        return NULL;
    struct hold *h = mqbx_alloc(e->seams.alloc, sizeof(*h));
    if (!h) {
        *no_memory = true;
        return NULL;
    }
    mqbx_atomic_store32(&h->count, 1);
    h->origin = e->worker;
    h->session = s->id;
    h->token = mqbx_engine_next_id(e);
    h->alloc = e->seams.alloc;
    return h;
}

void mqbx_hold_take(struct hold *h)
{
    if (h)
        mqbx_atomic_add32(&h->count, 1);
}

/* True: it was the last. */
static bool give(struct engine *e, struct hold *h)
{
    if (mqbx_atomic_add32(&h->count, UINT32_MAX) != 1)
        return false;
    struct item it = {.type = ITEM_KEPT, .u.kept = {.session = h->session, .token = h->token}};
    if (h->origin == e->worker)
        mqbx_ack_kept(e, h->session, h->token);
    else
        mqbx_engine_post(e, h->origin, &it, 0);
    mqbx_free(h->alloc, h, sizeof(*h));
    return true;
}

/* The acknowledgement is lost with the workers that are going away. */
void mqbx_hold_abandon(struct hold *h)
{
    if (h && mqbx_atomic_add32(&h->count, UINT32_MAX) == 1)
        mqbx_free(h->alloc, h, sizeof(*h));
}

bool mqbx_hold_settle(struct engine *e, struct publication *p)
{
    struct hold *h = p->hold;
    p->hold = NULL;
    if (!h)
        return false;
    if (p->is_recorded && mqbx_ring_push_back(&e->collecting, &e->alloc, &h))
        return true;
    return !give(e, h);
}

void mqbx_hold_end_turn(struct engine *e)
{
    if (e->collecting.count == 0 || e->committing.count > 0)
        return;
    struct ring collected = e->collecting;
    e->collecting = e->committing;
    e->committing = collected;
    e->seams.keep(e->seams.ctx, ++e->batch);
}

void mqbx_engine_kept(struct engine *e, uint64_t batch)
{
    if (batch != e->batch)
        return;
    while (e->committing.count > 0) {
        struct hold *h = *(struct hold **)mqbx_ring_at(&e->committing, 0);
        mqbx_ring_pop_front(&e->committing, &e->alloc);
        give(e, h);
    }
}

void mqbx_hold_fini(struct engine *e)
{
    struct ring *rings[] = {&e->collecting, &e->committing};
    for (size_t i = 0; i < 2; i++)
        while (rings[i]->count > 0) {
            mqbx_hold_abandon(*(struct hold **)mqbx_ring_at(rings[i], 0));
            mqbx_ring_pop_front(rings[i], &e->alloc);
        }
}
