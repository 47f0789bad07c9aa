/* SPDX-License-Identifier: MIT */
/*
 * In-process subscriptions: each has its callback, window and queue. Callbacks run here, on the
 * home's thread, and may only post.
 */
#include <mqttbroker.h>

#include "engine/asking.h"
#include "engine/delivery.h"
#include "engine/local_session.h"
#include "mqtt/topic.h"

#define WINDOW_DEFAULT 32u

/* --- deliveries ------------------------------------------------------------------------------ */

static uint32_t window_of(const struct local_subscription *ls)
{
    return ls->window > 0 ? ls->window : WINDOW_DEFAULT;
}

uint32_t mqbx_local_room(const struct subscription *sub)
{
    const struct local_subscription *ls = sub->local;
    if (!ls || sub->local_queue.count > 0 || ls->later >= window_of(ls))
        return 0;
    return window_of(ls) - ls->later;
}

static void count_sent(struct engine *e, uint8_t qos)
{
    struct engine_metrics *m = &e->metrics;
    mqbx_counter_add(&m->messages_sent, 1);
    mqbx_counter_add(qos == 0   ? &m->messages_qos0_sent
                     : qos == 1 ? &m->messages_qos1_sent
                                : &m->messages_qos2_sent,
                     1);
}

static void call(struct engine *e, struct subscription *sub, struct msg *m, uint8_t qos,
                 bool retain)
{
    struct local_subscription *ls = sub->local;
    struct local_delivery d = {.sub = ls->number,
                               .qos = qos,
                               .retain = retain,
                               .identifiers = &ls->identifier,
                               .identifier_count = ls->identifier != 0 ? 1 : 0};
    if (!mqbx_msg_left(m->received_ms, m->expiry_s, e->now.mono_ms, &d.expiry_left_s)) {
        mqbx_counter_add(&e->metrics.messages_dropped_expired, 1);
        return;
    }
    mqbx_msg_ref(m); /* the host's, if it answers LATER, until it says done */
    count_sent(e, qos);
    if (ls->fn(ls->arg, m, &d) == LOCAL_LATER)
        ls->later++;
    else
        mqbx_msg_unref(m);
}

/* What an in-process subscription has not taken yet. */
struct waiting {
    struct local_msg *msg;
    uint8_t qos;
    bool retain;
};

static bool make_room(struct engine *e, struct subscription *sub, uint64_t size)
{
    const struct settings *set = e->settings;
    while (sub->local_queue.count >= set->queue_max_messages ||
           sub->local_queue_bytes + size > set->queue_max_bytes || mqbx_engine_is_over_memory(e)) {
        mqbx_counter_add(&e->metrics.messages_dropped_queue_full, 1);
        if (set->queue_policy != QUEUE_DROP_OLDEST || sub->local_queue.count == 0)
            return false;
        struct waiting *w = mqbx_ring_at(&sub->local_queue, 0);
        sub->local_queue_bytes -= mqbx_msg_size(w->msg->msg);
        mqbx_local_msg_unref(&e->local_msg_slab, w->msg);
        mqbx_ring_pop_front(&sub->local_queue, &e->alloc);
        mqbx_counter_sub(&e->metrics.messages_queued, 1);
    }
    return true;
}

static void enqueue(struct engine *e, struct subscription *sub, struct publication *p, uint8_t qos,
                    bool retain)
{
    struct local_msg *l = mqbx_route_local(e, p);
    uint64_t size = l ? mqbx_msg_size(l->msg) : 0;
    if (l && !make_room(e, sub, size))
        return;
    struct waiting w = {.msg = l, .qos = qos, .retain = retain};
    if (!l || !mqbx_ring_push_back(&sub->local_queue, &e->alloc, &w)) {
        mqbx_counter_add(&e->metrics.messages_dropped_no_memory, 1);
        return;
    }
    l->refs++;
    p->is_recorded = true;
    sub->local_queue_bytes += size;
    mqbx_counter_add(&e->metrics.messages_queued, 1);
}

void mqbx_local_deliver(struct engine *e, struct subscription *sub, struct publication *p,
                        bool retain)
{
    uint8_t qos = p->qos < sub->qos ? p->qos : sub->qos;
    if (mqbx_local_room(sub) == 0) {
        if (qos > 0)
            enqueue(e, sub, p, qos, retain);
        else
            mqbx_counter_add(&e->metrics.messages_dropped_qos0_output, 1);
        return;
    }
    struct msg *m = mqbx_route_keep(e, p);
    if (!m) {
        mqbx_counter_add(&e->metrics.messages_dropped_no_memory, 1);
        return;
    }
    call(e, sub, m, qos, retain);
}

static void pump(struct engine *e, struct subscription *sub)
{
    struct local_subscription *ls = sub->local;
    while (ls && sub->local_queue.count > 0 && ls->later < window_of(ls)) {
        struct waiting w = *(struct waiting *)mqbx_ring_at(&sub->local_queue, 0);
        mqbx_ring_pop_front(&sub->local_queue, &e->alloc);
        sub->local_queue_bytes -= mqbx_msg_size(w.msg->msg);
        mqbx_counter_sub(&e->metrics.messages_queued, 1);
        call(e, sub, w.msg->msg, w.qos, w.retain);
        mqbx_local_msg_unref(&e->local_msg_slab, w.msg);
    }
    mqbx_session_want_pump(e, sub->session); /* replays and credits */
}

/* --- subscriptions --------------------------------------------------------------------------- */

static bool has_number(const void *value, const void *key)
{
    const struct subscription *sub = value;
    return sub->local && sub->local->number == *(const uint64_t *)key;
}

static struct subscription *by_number(struct engine *e, uint64_t number)
{
    return mqbx_table_find(&e->local_subs, mqbx_hash_mix(number), has_number, &number);
}

bool mqbx_local_attach(struct engine *e, struct subscription *sub, struct local_subscription *ls)
{
    sub->local_queue.item_size = sizeof(struct waiting);
    if (!mqbx_table_insert(&e->local_subs, mqbx_hash_mix(ls->number), sub))
        return false;
    sub->local = ls;
    return true;
}

void mqbx_local_unattach(struct engine *e, struct subscription *sub)
{
    if (!sub->local)
        return;
    mqbx_table_remove(&e->local_subs, mqbx_hash_mix(sub->local->number), sub);
    sub->local = NULL;
}

static void free_callback(struct engine *e, struct local_subscription *ls)
{
    if (ls->arg_free)
        ls->arg_free(ls->arg);
    mqbx_free(e->seams.alloc, ls, ls->size);
}

/* The callback ends; the subscription may go on without. */
void mqbx_local_drop_callback(struct engine *e, struct subscription *sub)
{
    struct local_subscription *ls = sub->local;
    if (!ls)
        return;
    mqbx_local_unattach(e, sub);
    free_callback(e, ls);
}

void mqbx_local_detach(struct engine *e, struct subscription *sub)
{
    mqbx_counter_sub(&e->metrics.messages_queued, sub->local_queue.count);
    while (sub->local_queue.count > 0) {
        struct waiting *w = mqbx_ring_at(&sub->local_queue, 0);
        mqbx_local_msg_unref(&e->local_msg_slab, w->msg);
        mqbx_ring_pop_front(&sub->local_queue, &e->alloc);
    }
    mqbx_local_drop_callback(e, sub);
}

static void answer(struct local_subscription *ls, int32_t err)
{
    local_done_fn done = ls->done;
    ls->done = NULL;
    if (done)
        done(ls->done_arg, err);
}

void mqbx_local_subscribed(struct engine *e, struct subscription *sub, bool ok)
{
    answer(sub->local, ok ? MQB_OK : MQB_ENOMEM);
    if (!ok)
        mqbx_unsubscribe(e, sub);
}

static int32_t request_of(const struct engine *e, struct local_subscription *ls,
                          struct subscribe_request *r)
{
    *r = (struct subscribe_request){.text = ls->filter,
                                    .filter = ls->filter,
                                    .identifier = ls->identifier,
                                    .qos = ls->qos,
                                    .no_local = ls->no_local,
                                    .retain_as_published = ls->retain_as_published,
                                    .retain_handling = ls->retain_handling,
                                    .local = ls};
    enum share_status share = mqbx_topic_share(ls->filter, &r->share_name, &r->filter);
    if (share == SHARE_NONE)
        r->filter = ls->filter;
    if (share == SHARE_BAD || !mqbx_topic_filter_valid(r->filter) ||
        mqbx_topic_levels(r->filter) > e->settings->max_topic_levels)
        return MQB_EINVAL;
    return share == SHARE_OK && ls->no_local ? MQB_EINVAL : MQB_OK;
}

static int32_t subscribe(struct engine *e, struct local *l, const struct subscribe_request *r)
{
    switch (mqbx_subscribe(e, l->session, r)) {
    case SUBSCRIBED:
        answer(r->local, MQB_OK);
        return MQB_OK;
    case SUBSCRIBE_WAITS:
        return MQB_OK;
    case SUBSCRIBE_QUOTA:
        return MQB_EQUOTA;
    case SUBSCRIBE_EXISTS:
        return MQB_EEXIST;
    default:
        return MQB_ENOMEM;
    }
}

static enum verdict ask_subscribe(struct engine *e, struct local *l,
                                  const struct subscribe_request *r)
{
    struct question q = {
        .kind = ASK_SUBSCRIBE, .topic = r->filter, .share_name = r->share_name, .qos = r->qos};
    struct answer a;
    if (r->local->flags & LOCAL_PUBLISH_NO_ACL)
        return VERDICT_ALLOW;
    return mqbx_ask_local(e, l, &q, &a);
}

static void fail_subscribe(struct engine *e, struct local_subscription *ls, int32_t err)
{
    answer(ls, err);
    free_callback(e, ls);
}

/* False: waits for an answer. */
bool mqbx_local_item_subscribe(struct engine *e, const struct item *it)
{
    struct local *l = it->u.local_subscribe.local;
    struct local_subscription *ls = it->u.local_subscribe.subscription;
    struct subscribe_request r;
    uint64_t number = ls->number;
    int32_t err = ls->is_over ? MQB_ECANCELED : request_of(e, ls, &r);
    if (err == MQB_OK && !l->session)
        err = MQB_ESTATE;
    if (err == MQB_OK) {
        enum verdict v = ask_subscribe(e, l, &r);
        if (v == VERDICT_PENDING)
            return false;
        err = v == VERDICT_ALLOW ? subscribe(e, l, &r) : MQB_EDENIED;
    }
    if (err != MQB_OK) {
        fail_subscribe(e, ls, err);
        return true;
    }
    struct subscription *sub = by_number(e, number);
    if (sub)
        pump(e, sub); /* a durable one's queue */
    return true;
}

/* One that still waits to be asked about ends before it begins. */
static void cancel_parked(struct engine *e, uint64_t number)
{
    for (struct list *n = e->locals.next; n != &e->locals; n = n->next) {
        const struct local *l = mqbx_container(n, struct local, node);
        for (uint32_t i = 0; i < l->parked.count; i++) {
            const struct item *it = mqbx_ring_at(&l->parked, i);
            if (it->type == ITEM_LOCAL_SUBSCRIBE &&
                it->u.local_subscribe.subscription->number == number)
                it->u.local_subscribe.subscription->is_over = true;
        }
    }
}

void mqbx_local_item_unsubscribe(struct engine *e, const struct item *it)
{
    struct subscription *sub = by_number(e, it->u.local_sub.sub);
    if (sub)
        mqbx_unsubscribe(e, sub);
    else
        cancel_parked(e, it->u.local_sub.sub);
}

void mqbx_local_item_done(struct engine *e, const struct item *it)
{
    struct subscription *sub = by_number(e, it->u.local_sub.sub);
    mqbx_msg_unref(it->u.local_sub.msg);
    if (!sub || sub->local->later == 0)
        return;
    sub->local->later--;
    mqbx_counter_add(&e->metrics.messages_acked, 1);
    pump(e, sub);
}
