/* SPDX-License-Identifier: MIT */
/*
 * In-process handles: each call of the host is an item, and takes effect in the order it came.
 * Callbacks run here, on the home's thread, and may only post.
 */
#include "engine/local_session.h"

#include <mqttbroker.h>

#include "engine/asking.h"
#include "engine/delivery.h"
#include "engine/group.h"
#include "engine/hold.h"
#include "engine/packets.h"
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
static void drop_callback(struct engine *e, struct subscription *sub)
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
    drop_callback(e, sub);
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
static bool item_subscribe(struct engine *e, const struct item *it)
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

static void item_unsubscribe(struct engine *e, const struct item *it)
{
    struct subscription *sub = by_number(e, it->u.local_sub.sub);
    if (sub)
        mqbx_unsubscribe(e, sub);
    else
        cancel_parked(e, it->u.local_sub.sub);
}

static void item_done(struct engine *e, const struct item *it)
{
    struct subscription *sub = by_number(e, it->u.local_sub.sub);
    mqbx_msg_unref(it->u.local_sub.msg);
    if (!sub || sub->local->later == 0)
        return;
    sub->local->later--;
    mqbx_counter_add(&e->metrics.messages_acked, 1);
    pump(e, sub);
}

/* --- the handle ----------------------------------------------------------------------------- */

static struct session *session_new(struct engine *e, const struct local *l)
{
    struct bytes none = mqbx_bytes("", 0);
    struct identity *who = mqbx_identity_new(e->seams.alloc, l->name, false, none, none);
    struct session *s = who ? mqbx_session_new(e, l->tenant, who) : NULL;
    if (!s)
        mqbx_identity_free(who);
    return s;
}

static int32_t open_handle(struct engine *e, struct local *l)
{
    struct session *s = mqbx_session_find(e, l->tenant, l->name);
    if (s && (s->local || !s->is_local))
        return MQB_EEXIST;
    if (s && (l->clean_start || !l->is_durable)) {
        mqbx_session_end(e, s);
        s = NULL;
    }
    if (!s)
        s = session_new(e, l);
    if (!s)
        return MQB_ENOMEM;
    s->is_local = true;
    s->local = l;
    mqbx_ring_init(&l->parked, sizeof(struct item));
    mqbx_list_init(&l->node);
    mqbx_list_push_back(&e->locals, &l->node);
    s->expiry_s = l->is_durable ? l->session_expiry_s : 0;
    s->expiry_due_ms = UINT64_MAX;
    mqbx_wheel_cancel(&e->wheel, &s->timer);
    l->session = s;
    return MQB_OK;
}

static void close_handle(struct engine *e, struct local *l)
{
    struct session *s = l->session;
    if (s) {
        for (struct list *n = s->subscriptions.next; n != &s->subscriptions; n = n->next)
            drop_callback(e, mqbx_container(n, struct subscription, node));
        mqbx_list_remove(&l->node);
        s->local = NULL;
        l->session = NULL;
        mqbx_session_part(e, s, true);
    }
    local_done_fn closed = l->closed;
    void *arg = l->closed_arg;
    if (l->owns_memory)
        mqbx_free(e->seams.alloc, l, l->size);
    if (closed)
        closed(arg, MQB_OK);
}

static int32_t publish(struct engine *e, struct local *l, struct msg *m, uint64_t *token)
{
    struct publication p;
    if (!l->session)
        return MQB_ESTATE;
    mqbx_msg_view(m, &p);
    if (mqbx_check_publish(e, p.topic, p.qos, p.retain, NULL, p.payload) != RC_SUCCESS)
        return MQB_EINVAL;
    mqbx_counter_add(&e->metrics.messages_received, 1);
    mqbx_counter_add(p.qos == 0   ? &e->metrics.messages_qos0_received
                     : p.qos == 1 ? &e->metrics.messages_qos1_received
                                  : &e->metrics.messages_qos2_received,
                     1);
    bool no_memory = false;
    p.hold = p.qos > 0 ? mqbx_hold_new(e, l->session, &no_memory) : NULL;
    if (no_memory)
        return MQB_ENOMEM;
    uint64_t held = p.hold ? p.hold->token : 0;
    enum route_status status = mqbx_route(e, &p);
    *token = mqbx_hold_settle(e, &p) ? held : 0;
    return status == ROUTE_NO_MEMORY ? MQB_ENOMEM : MQB_OK;
}

static enum verdict ask_publish(struct engine *e, struct local *l, const struct local_publish *lp)
{
    const struct msg *m = lp->msg;
    struct question q = {.kind = ASK_PUBLISH,
                         .topic = mqbx_msg_topic(m),
                         .payload = mqbx_msg_payload(m),
                         .qos = m->qos,
                         .retain = m->retain};
    struct answer a;
    if (!l->session || (lp->flags & LOCAL_PUBLISH_NO_ACL))
        return VERDICT_ALLOW;
    return mqbx_ask_local(e, l, &q, &a);
}

/* False: waits for an answer. */
static bool item_publish(struct engine *e, const struct item *it)
{
    struct local_publish *lp = it->u.local_publish.publish;
    struct local *l = it->u.local_publish.local;
    enum verdict v = ask_publish(e, l, lp);
    if (v == VERDICT_PENDING)
        return false;
    lp->msg->publisher = mqbx_shared_publisher(e->shared, lp->msg->tenant, l->name);
    lp->msg->received_ms = e->now.mono_ms;
    uint64_t token = 0;
    int32_t err = v == VERDICT_ALLOW ? publish(e, l, lp->msg, &token) : MQB_EDENIED;
    mqbx_msg_unref(lp->msg);
    lp->msg = NULL;
    if (err == MQB_OK) {
        mqbx_ack_local(e, l->session, lp, token);
        return true;
    }
    if (lp->done)
        lp->done(lp->arg, err);
    mqbx_free(e->seams.alloc, lp, sizeof(*lp));
    return true;
}

static void item_open(struct engine *e, struct local *l)
{
    local_done_fn opened = l->opened;
    int32_t err = open_handle(e, l);
    if (opened)
        opened(l->opened_arg, err);
}

/* --- the input of a handle ------------------------------------------------------------------ */

/* False: waits for an answer. */
static bool run(struct engine *e, const struct item *it)
{
    switch (it->type) {
    case ITEM_LOCAL_PUBLISH:
        return item_publish(e, it);
    case ITEM_LOCAL_SUBSCRIBE:
        return item_subscribe(e, it);
    default:
        close_handle(e, it->u.local);
        return true;
    }
}

static struct local *handle_of(const struct item *it)
{
    if (it->type == ITEM_LOCAL_PUBLISH)
        return it->u.local_publish.local;
    return it->type == ITEM_LOCAL_SUBSCRIBE ? it->u.local_subscribe.local : it->u.local;
}

static void park(struct engine *e, struct local *l, const struct item *it)
{
    struct item copy = *it;
    if (!mqbx_ring_push_back(&l->parked, &e->alloc, it))
        mqbx_item_dispose(e->seams.alloc, &copy);
}

/* Calls of one handle take effect in the order they were made, answered or not. */
static void input(struct engine *e, const struct item *it)
{
    struct local *l = handle_of(it);
    if (l->session && l->parked.count > 0)
        park(e, l, it);
    else if (!run(e, it))
        park(e, l, it);
}

void mqbx_local_answered(struct engine *e, struct local *l)
{
    while (l->parked.count > 0) {
        struct item it = *(struct item *)mqbx_ring_at(&l->parked, 0);
        bool is_close = it.type == ITEM_LOCAL_CLOSE;
        if (is_close)
            mqbx_local_free_parked(e, l);
        if (!run(e, &it) || is_close)
            return;
        mqbx_ring_pop_front(&l->parked, &e->alloc);
    }
}

void mqbx_local_free_parked(struct engine *e, struct local *l)
{
    mqbx_ask_forget(e, &l->asked);
    while (l->parked.count > 0) {
        struct item it = *(struct item *)mqbx_ring_at(&l->parked, 0);
        mqbx_ring_pop_front(&l->parked, &e->alloc);
        if (it.type != ITEM_LOCAL_CLOSE)
            mqbx_item_dispose(e->seams.alloc, &it);
    }
}

void mqbx_local_item(struct engine *e, const struct item *it)
{
    switch (it->type) {
    case ITEM_LOCAL_OPEN:
        item_open(e, it->u.local);
        break;
    case ITEM_LOCAL_UNSUBSCRIBE:
        item_unsubscribe(e, it);
        break;
    case ITEM_LOCAL_DONE:
        item_done(e, it);
        break;
    default:
        input(e, it);
    }
}
