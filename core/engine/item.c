/* SPDX-License-Identifier: MIT */
/*
 * Items arriving: what each does, or how it is undone when nobody is left to do it.
 */
#include "engine/item.h"

#include <mqttbroker.h>

#include "engine/conn.h"
#include "engine/delivery.h"
#include "engine/group.h"
#include "engine/hold.h"
#include "engine/local_session.h"
#include "engine/packets.h"
#include "engine/query.h"

static void on_go_on(struct engine *e, const struct item *it)
{
    e->pressed &= ~(UINT64_C(1) << it->from);
    if (e->pressed != 0)
        return;
    struct list *n;
    while ((n = mqbx_list_pop(&e->paused))) {
        struct conn *c = mqbx_container(n, struct conn, run_node);
        c->is_paused = false;
        c->last_read_ms = e->now.mono_ms; /* time in which we do not read never counts */
        mqbx_conn_ready(e, c);
        mqbx_conn_update_wants(e, c);
    }
}

static void answer(struct engine *e, const struct item *it, enum item_type type)
{
    struct item back = {.type = (uint16_t)type, .u.token = it->u.token};
    mqbx_engine_post(e, it->from, &back, 0);
}

static void on_link(struct engine *e, struct link *l)
{
    if (!l->ops->attach(l, e->seams.loop) || !mqbx_engine_link_new(e, l))
        l->ops->close(l);
}

static void on_settings(struct engine *e, struct settings *s)
{
    mqbx_settings_unref(e->settings);
    e->settings = s;
}

static void between_workers(struct engine *e, const struct item *it)
{
    switch (it->type) {
    case ITEM_ARRIVE:
        mqbx_arrive(e, it->u.arrival);
        break;
    case ITEM_LINK:
        on_link(e, it->u.link);
        break;
    case ITEM_PUBLISH:
        mqbx_route_posted(e, it->u.msg);
        break;
    case ITEM_PRESSED:
        answer(e, it, ITEM_GO_ON);
        break;
    case ITEM_GO_ON:
        on_go_on(e, it);
        break;
    case ITEM_KEPT:
        mqbx_ack_kept(e, it->u.kept.session, it->u.kept.token);
        break;
    case ITEM_BARRIER:
        answer(e, it, ITEM_BARRIER_DONE);
        break;
    case ITEM_BARRIER_DONE:
        mqbx_replay_barrier_done(e, it->u.token);
        break;
    case ITEM_GROUP_JOINED:
        mqbx_group_joined(e, it->u.join);
        break;
    case ITEM_GROUP_DELIVER:
        mqbx_group_deliver(e, it);
        break;
    default:
        mqbx_group_item(e, it);
    }
}

void mqbx_engine_item(struct engine *e, const struct item *it)
{
    switch (it->type) {
    case ITEM_LOCAL_OPEN:
    case ITEM_LOCAL_CLOSE:
    case ITEM_LOCAL_PUBLISH:
    case ITEM_LOCAL_SUBSCRIBE:
    case ITEM_LOCAL_UNSUBSCRIBE:
    case ITEM_LOCAL_DONE:
        mqbx_local_item(e, it);
        break;
    case ITEM_CLIENT_FIND:
    case ITEM_CLIENT_EACH:
    case ITEM_CLIENT_KICK:
        mqbx_query_item(e, it);
        break;
    case ITEM_SETTINGS:
        on_settings(e, it->u.settings);
        break;
    default:
        between_workers(e, it);
    }
}

/* --- undone ---------------------------------------------------------------------------------- */

static void dispose_arrival(const struct alloc *a, struct arrival *arrival)
{
    if (arrival->link)
        arrival->link->ops->close(arrival->link);
    mqbx_identity_free(arrival->who);
    mqbx_msg_unref(arrival->will);
    mqbx_buffer_fini(&arrival->in, a);
    mqbx_free(a, arrival, sizeof(*arrival));
}

static void dispose_subscription(const struct alloc *a, struct local_subscription *ls)
{
    if (ls->done)
        ls->done(ls->done_arg, MQB_ECANCELED);
    if (ls->arg_free)
        ls->arg_free(ls->arg);
    mqbx_free(a, ls, ls->size);
}

static void dispose_publish(const struct alloc *a, struct local_publish *lp)
{
    mqbx_msg_unref(lp->msg);
    if (lp->done)
        lp->done(lp->arg, MQB_ECANCELED);
    mqbx_free(a, lp, sizeof(*lp));
}

static void dispose_close(const struct alloc *a, struct local *l)
{
    local_done_fn closed = l->closed;
    void *arg = l->closed_arg;
    if (l->owns_memory)
        mqbx_free(a, l, l->size);
    if (closed)
        closed(arg, MQB_OK);
}

void mqbx_item_dispose(const struct alloc *a, struct item *it)
{
    switch (it->type) {
    case ITEM_ARRIVE:
        dispose_arrival(a, it->u.arrival);
        break;
    case ITEM_LINK:
        it->u.link->ops->close(it->u.link);
        break;
    case ITEM_PUBLISH:
        mqbx_hold_abandon(it->u.msg->hold);
        mqbx_msg_unref(it->u.msg);
        break;
    case ITEM_GROUP_JOIN:
    case ITEM_GROUP_JOINED:
        mqbx_free(a, it->u.join, it->u.join->size);
        break;
    case ITEM_GROUP_DELIVER:
    case ITEM_GROUP_RETURN:
        mqbx_msg_unref(it->u.group.msg);
        break;
    case ITEM_LOCAL_OPEN:
        if (it->u.local->opened)
            it->u.local->opened(it->u.local->opened_arg, MQB_ECANCELED);
        break;
    case ITEM_LOCAL_CLOSE:
        dispose_close(a, it->u.local);
        break;
    case ITEM_LOCAL_PUBLISH:
        dispose_publish(a, it->u.local_publish.publish);
        break;
    case ITEM_LOCAL_SUBSCRIBE:
        dispose_subscription(a, it->u.local_subscribe.subscription);
        break;
    case ITEM_LOCAL_DONE:
        mqbx_msg_unref(it->u.local_sub.msg);
        break;
    case ITEM_CLIENT_FIND:
    case ITEM_CLIENT_EACH:
        it->u.query->fn(it->u.query, NULL);
        break;
    case ITEM_SETTINGS:
        mqbx_settings_unref(it->u.settings);
        break;
    default:
        break; /* carries nothing */
    }
}
