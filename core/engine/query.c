/* SPDX-License-Identifier: MIT */
/*
 * Find, each and kick. EACH goes from worker to worker as one item, so the host sees each client
 * once and no worker waits for another.
 */
#include "engine/query.h"

#include "engine/conn.h"
#include "engine/session.h"
#include "engine/subscription.h"

static void view_conn(const struct conn *c, struct client_view *v, struct link_facts *facts)
{
    c->link->ops->facts(c->link, facts);
    v->connection = c->number;
    v->is_connected = true;
    v->address = facts->address ? facts->address : "";
    v->listener = facts->listener->name;
    v->connected_wall_ms = c->connected_wall_ms;
    v->msgs_in = c->msgs_in;
    v->msgs_out = c->msgs_out;
    v->bytes_in = c->bytes_in;
    v->bytes_out = c->bytes_out;
}

static bool tell(struct client_query *q, const struct session *s)
{
    struct link_facts facts;
    struct client_view v = {
        .client = s->id,
        .tenant = s->tenant,
        .protocol = s->protocol,
        .is_connected = s->local != NULL,
        .client_id = mqbx_session_client_id(s),
        .user_name = mqbx_session_user_name(s),
        .address = "",
        .listener = "",
        .queued = s->queue.count,
        .queued_bytes = s->queue_bytes,
        .inflight = s->window.count,
        .subscriptions = s->subscription_count,
        .dropped = s->dropped,
    };
    if (s->conn)
        view_conn(s->conn, &v, &facts);
    return q->fn(q, &v);
}

static void find(struct engine *e, struct client_query *q)
{
    const struct session *s = mqbx_session_find(e, q->tenant, q->client_id);
    if (s)
        tell(q, s);
    q->fn(q, NULL);
}

static void each(struct engine *e, struct client_query *q)
{
    size_t pos = 0;
    const struct session *s;
    while (!q->is_over && (s = mqbx_table_next(&e->sessions, &pos)))
        if ((q->all_tenants || s->tenant == q->tenant) && !tell(q, s))
            q->is_over = true;
    struct item it = {.type = ITEM_CLIENT_EACH, .u.query = q};
    bool is_last = q->is_over || e->worker + 1 == e->shared->workers;
    if (is_last || !mqbx_engine_post(e, e->worker + 1, &it, 0))
        q->fn(q, NULL);
}

static void kick(struct engine *e, const struct item *it)
{
    struct session *s = mqbx_session_by_id(e, it->u.kick.client);
    if (!s || s->is_local)
        return;
    bool is_it =
        it->u.kick.connection == 0 || (s->conn && s->conn->number == it->u.kick.connection);
    if (!is_it)
        return;
    if (it->number & KICK_DROP_SESSION)
        s->expiry_s = 0;
    if (s->conn)
        mqbx_conn_send_away(e, s->conn, (uint8_t)it->number, "kicked");
    else if (it->number & KICK_DROP_SESSION)
        mqbx_session_end(e, s);
}

void mqbx_query_item(struct engine *e, const struct item *it)
{
    if (it->type == ITEM_CLIENT_FIND)
        find(e, it->u.query);
    else if (it->type == ITEM_CLIENT_EACH)
        each(e, it->u.query);
    else
        kick(e, it);
}
