/* SPDX-License-Identifier: MIT */
/*
 * Routing. A publication is retained first, which gives it its stamp; then the interest masks are
 * read (in this order, both seq_cst: retained.h); then it is delivered here, and posted once to
 * every other worker that may have a subscriber.
 */
#include "engine/delivery.h"
#include "engine/group.h"
#include "engine/hold.h"
#include "engine/local_session.h"

struct msg *mqbx_route_keep(struct engine *e, struct publication *p)
{
    if (!p->msg)
        p->msg = mqbx_msg_new(e->seams.alloc, p);
    return p->msg;
}

/* The host's buffer is used in this turn only: what still refers to it at the end is moved to a
 * copy. */
static bool watch_foreign(struct engine *e, struct local_msg *l)
{
    if (!l->msg->is_foreign)
        return true;
    if (!mqbx_ring_push_back(&e->foreign, &e->alloc, &l))
        return false;
    l->refs++;
    return true;
}

struct local_msg *mqbx_route_local(struct engine *e, struct publication *p)
{
    if (p->local)
        return p->local;
    struct msg *m = mqbx_route_keep(e, p);
    struct local_msg *l = m ? mqbx_local_msg_new(&e->local_msg_slab, mqbx_msg_ref(m)) : NULL;
    if (!l) {
        mqbx_msg_unref(m);
        return NULL;
    }
    if (!watch_foreign(e, l)) {
        mqbx_local_msg_unref(&e->local_msg_slab, l);
        return NULL;
    }
    p->local = l;
    return l;
}

static void move_home(struct engine *e, struct local_msg *l)
{
    struct publication p;
    mqbx_msg_view(l->msg, &p);
    struct msg *copy = mqbx_msg_new(e->seams.alloc, &p);
    if (!copy)
        return; /* the host's buffer serves on */
    mqbx_msg_unref(l->msg);
    l->msg = copy;
}

void mqbx_route_end_foreign(struct engine *e)
{
    while (e->foreign.count > 0) {
        struct local_msg *l = *(struct local_msg **)mqbx_ring_at(&e->foreign, 0);
        mqbx_ring_pop_front(&e->foreign, &e->alloc);
        if (l->refs > 1)
            move_home(e, l);
        mqbx_local_msg_unref(&e->local_msg_slab, l);
    }
}

void mqbx_route_release(struct engine *e, struct publication *p)
{
    if (p->local)
        mqbx_local_msg_unref(&e->local_msg_slab, p->local);
    p->local = NULL;
}

/* --- retaining ------------------------------------------------------------------------------ */

static void retain(struct engine *e, struct publication *p)
{
    struct publication value = *p;
    struct bytes nothing = {.ptr = p->payload.ptr};
    value.msg = NULL;
    p->is_recorded = true;
    if (p->payload.len > e->settings->max_retained_payload_bytes ||
        (p->payload.len > 0 && mqbx_engine_is_over_memory(e))) {
        value.payload = nothing; /* an older value must not outlive the newer one */
        mqbx_counter_add(&e->metrics.retained_dropped, 1);
    }
    enum retained_status status = mqbx_retained_put(e->shared->retained, &value, &p->stamp);
    if (status == RETAINED_FULL || status == RETAINED_NO_MEMORY)
        mqbx_counter_add(&e->metrics.retained_dropped, 1);
    if (status == RETAINED_STORED && p->expiry_s != MSG_NEVER_EXPIRES &&
        !mqbx_timer_is_set(&e->sweep))
        mqbx_wheel_set(&e->wheel, &e->sweep, e->now.mono_ms + SWEEP_INTERVAL_MS);
}

/* --- local delivery ------------------------------------------------------------------------- */

#define IDS_PER_DELIVERY                                                                           \
    32u /* overlapping subscriptions with identifiers beyond this are not listed */

struct merge {
    struct delivery d;
    uint32_t ids[IDS_PER_DELIVERY];
    bool is_wanted;
};

static bool wants(const struct publication *p, const struct session *s, const struct subscriber *r)
{
    if (r->no_local && p->publisher == s->hash) /* [MQTT-3.8.3-3] */
        return false;
    /* Before its S a subscription gets retained values from its replay. */
    if (p->stamp != 0 && p->stamp <= ((const struct subscription *)r->sub)->newest)
        return false;
    return true;
}

static void merge_one(const struct publication *p, const struct session *s,
                      const struct subscriber *r, struct merge *m)
{
    if (!wants(p, s, r))
        return;
    m->is_wanted = true;
    if (r->qos > m->d.qos) /* [MQTT-3.3.4-2] */
        m->d.qos = r->qos;
    if (r->retain_as_published && p->retain) /* [MQTT-3.3.1-12], [MQTT-3.3.1-13] */
        m->d.retain = true;
    if (r->identifier != 0 && m->d.id_count < IDS_PER_DELIVERY) /* [MQTT-3.3.4-4] */
        m->ids[m->d.id_count++] = r->identifier;
}

static void deliver_to_session(struct engine *e, struct publication *p, const struct subscriber *r,
                               uint32_t count)
{
    struct session *s = r->owner;
    struct merge m;
    m.d = (struct delivery){.ids = m.ids};
    m.is_wanted = false;
    for (uint32_t i = 0; i < count; i++)
        merge_one(p, s, &r[i], &m);
    if (m.is_wanted)
        mqbx_deliver(e, s, p, &m.d);
}

static void deliver_to_local(struct engine *e, struct publication *p, const struct subscriber *r)
{
    struct subscription *sub = r->sub;
    if (wants(p, sub->session, r))
        mqbx_local_deliver(e, sub, p, sub->retain_as_published && p->retain);
}

/* Walks the match run by run: one owner's subscribers stand together. Answers how many receivers
 * there were. */
static uint32_t deliver_all(struct engine *e, struct publication *p, const struct match *match)
{
    uint32_t receivers = 0;
    for (uint32_t i = 0, run; i < match->count; i += run) {
        const struct subscriber *r = &match->subscribers[i];
        for (run = 1; i + run < match->count && r[run].owner == r->owner; run++)
            ;
        if (i + run < match->count)
            __builtin_prefetch(r[run].owner);
        if (r->is_group && r->sub)
            deliver_to_local(e, p, r);
        else if (r->is_group)
            mqbx_group_publish(e, r->owner, p);
        else
            deliver_to_session(e, p, r, run);
        receivers++;
    }
    return receivers;
}

static uint32_t deliver_here(struct engine *e, struct publication *p)
{
    struct match match;
    if (!mqbx_index_match(e->index, p->tenant, p->topic, &match)) {
        mqbx_counter_add(&e->metrics.messages_dropped_no_memory, 1);
        return 1;
    }
    uint32_t receivers = deliver_all(e, p, &match);
    mqbx_route_release(e, p);
    return receivers;
}

/* --- between workers ------------------------------------------------------------------------ */

static uint64_t others_interested(const struct engine *e, const struct publication *p)
{
    if (!e->shared->interest)
        return 0;
    uint64_t mask = mqbx_interest_mask(e->shared->interest, p->tenant, p->topic);
    return mask & ~(UINT64_C(1) << e->worker);
}

static bool reserve_posts(struct engine *e)
{
    for (uint32_t w = 0; w < e->shared->workers; w++)
        if (w != e->worker && !e->seams.reserve(e->seams.ctx, w, 1))
            return false;
    return true;
}

static void post_to(struct engine *e, struct publication *p, uint64_t mask)
{
    p->msg->hold = p->hold;
    for (uint32_t w = 0; mask != 0; w++, mask >>= 1) {
        if (!(mask & 1))
            continue;
        mqbx_hold_take(p->hold); /* before the post */
        struct item it = {.type = ITEM_PUBLISH, .u.msg = mqbx_msg_ref(p->msg)};
        mqbx_engine_post(e, w, &it, (uint32_t)mqbx_msg_size(p->msg));
    }
}

/* Room for the posts is made before the retained store changes: from there on nothing fails. */
static bool prepare(struct engine *e, struct publication *p)
{
    if (!e->shared->interest)
        return true;
    uint64_t mask = others_interested(e, p);
    if (mask != 0 && !mqbx_route_keep(e, p))
        return false;
    if (p->retain)
        return reserve_posts(e); /* the mask is read again behind the put */
    for (uint32_t w = 0; mask != 0; w++, mask >>= 1)
        if ((mask & 1) && !e->seams.reserve(e->seams.ctx, w, 1))
            return false;
    return true;
}

static void drop_own(struct publication *p, const struct msg *borrowed)
{
    if (borrowed || !p->msg)
        return;
    mqbx_msg_unref(p->msg);
    p->msg = NULL;
}

enum route_status mqbx_route(struct engine *e, struct publication *p)
{
    struct msg *borrowed = p->msg;
    if (!prepare(e, p)) {
        drop_own(p, borrowed);
        return ROUTE_NO_MEMORY;
    }
    if (p->retain)
        retain(e, p);
    if (p->msg)
        p->msg->stamp = p->stamp; /* not yet seen by anyone else */
    uint64_t mask = others_interested(e, p);
    if (mask != 0 && mqbx_route_keep(e, p))
        post_to(e, p, mask);
    else if (mask != 0)
        mqbx_counter_add(&e->metrics.messages_dropped_no_memory, 1);
    uint32_t receivers = deliver_here(e, p);
    drop_own(p, borrowed);
    if (receivers > 0 || mask != 0)
        return ROUTED;
    mqbx_counter_add(&e->metrics.messages_dropped_no_subscribers, 1);
    return ROUTED_NOBODY;
}

void mqbx_route_posted(struct engine *e, struct msg *m)
{
    struct publication p;
    mqbx_msg_view(m, &p);
    p.hold = m->hold;
    if (deliver_here(e, &p) == 0)
        mqbx_counter_add(&e->metrics.interest_in_vain, 1);
    mqbx_hold_settle(e, &p);
    mqbx_msg_unref(m);
}
