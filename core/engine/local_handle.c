/* SPDX-License-Identifier: MIT */
/*
 * In-process handles: opened, closed, and their input. Each call of the host is an item, and takes
 * effect in the order it came, also when one of them waits for an answer.
 */
#include <mqttbroker.h>

#include "engine/asking.h"
#include "engine/delivery.h"
#include "engine/hold.h"
#include "engine/local_session.h"
#include "engine/packets.h"

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
            mqbx_local_drop_callback(e, mqbx_container(n, struct subscription, node));
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
        return mqbx_local_item_subscribe(e, it);
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
        mqbx_local_item_unsubscribe(e, it);
        break;
    case ITEM_LOCAL_DONE:
        mqbx_local_item_done(e, it);
        break;
    default:
        input(e, it);
    }
}
