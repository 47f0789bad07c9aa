/* SPDX-License-Identifier: MIT */
/*
 * Shared subscriptions, the member's side: joining and leaving, credits, taking deliveries and
 * giving them back.
 */
#include "engine/delivery.h"
#include "engine/group.h"
#include "engine/local_session.h"
#include "engine/packets.h"

#define CREDITS_QOS0 64u

static uint32_t home_of(const struct engine *e, uint32_t tenant, struct bytes text)
{
    uint64_t hash = mqbx_hash(e->shared->client_key, tenant, text.ptr, text.len);
    return (uint32_t)(mqbx_hash_mix(hash) % e->shared->workers);
}

static struct group_join *join_new(struct engine *e, const struct subscription *sub,
                                   struct bytes name)
{
    size_t size = sizeof(struct group_join) + sub->text_len;
    struct group_join *j = mqbx_zalloc(e->seams.alloc, size);
    if (!j)
        return NULL;
    j->size = size;
    j->member = sub->session->id;
    j->tenant = sub->session->tenant;
    j->worker = (uint16_t)e->worker;
    j->name_len = (uint16_t)name.len;
    j->filter_at = sub->filter_at;
    j->text_len = sub->text_len;
    memcpy(j->text, sub->text, sub->text_len);
    return j;
}

enum subscribe_status mqbx_group_join(struct engine *e, struct subscription *sub, struct bytes name)
{
    struct session *s = sub->session;
    uint32_t home = home_of(e, s->tenant, mqbx_subscription_text(sub));
    struct group_join *j = join_new(e, sub, name);
    struct membership *m = mqbx_zalloc(&e->alloc, sizeof(*m));
    if (!j || !m || !e->seams.reserve(e->seams.ctx, home, 1)) {
        if (j)
            mqbx_free(e->seams.alloc, j, j->size);
        mqbx_free(&e->alloc, m, sizeof(*m));
        return SUBSCRIBE_NO_MEMORY;
    }
    m->sub = sub;
    m->home = home;
    m->waiting_conn = s->conn ? s->conn->number : 0;
    sub->membership = m;
    mqbx_list_push_back(&s->memberships, &m->node);
    mqbx_counter_add(&e->metrics.subscriptions_shared, 1);
    struct item it = {.type = ITEM_GROUP_JOIN, .u.join = j};
    mqbx_engine_post(e, home, &it, (uint32_t)j->size);
    return SUBSCRIBE_WAITS;
}

enum subscribe_status mqbx_group_rejoin(struct engine *e, struct subscription *sub)
{
    struct membership *m = sub->membership;
    mqbx_session_want_pump(e, sub->session);
    if (m->group != 0)
        return SUBSCRIBED;
    m->waiting_conn = sub->session->conn ? sub->session->conn->number : 0;
    return SUBSCRIBE_WAITS;
}

static void post_member(struct engine *e, uint32_t home, enum item_type type, uint64_t group,
                        uint64_t member, uint32_t number)
{
    struct item it = {
        .type = (uint16_t)type, .number = number, .u.group = {.group = group, .member = member}};
    mqbx_engine_post(e, home, &it, 0);
}

void mqbx_group_forget(struct engine *e, struct subscription *sub)
{
    struct membership *m = sub->membership;
    if (!m)
        return;
    sub->membership = NULL;
    mqbx_list_remove(&m->node);
    mqbx_counter_sub(&e->metrics.subscriptions_shared, 1);
    mqbx_free(&e->alloc, m, sizeof(*m));
}

/* Not yet answered: the answer will find nobody, and leaves then. */
void mqbx_group_leave(struct engine *e, struct subscription *sub)
{
    const struct membership *m = sub->membership;
    if (m->group != 0)
        post_member(e, m->home, ITEM_GROUP_LEAVE, m->group, sub->session->id, 0);
    mqbx_group_forget(e, sub);
}

void mqbx_group_joined(struct engine *e, struct group_join *j)
{
    struct session *s = mqbx_session_by_id(e, j->member);
    struct subscription *sub =
        s ? mqbx_subscription_find(e, s, mqbx_bytes(j->text, j->text_len)) : NULL;
    struct membership *m = sub ? sub->membership : NULL;
    if (!m || m->group != 0) {
        if (j->group != 0 && (!m || m->group != j->group))
            post_member(e, mqbx_id_worker(j->group), ITEM_GROUP_LEAVE, j->group, j->member, 0);
    } else {
        uint64_t waiting = m->waiting_conn;
        uint8_t qos = sub->qos;
        m->group = j->group;
        m->waiting_conn = 0;
        if (sub->local)
            mqbx_local_subscribed(e, sub, j->group != 0);
        else if (j->group == 0)
            mqbx_unsubscribe(e, sub);
        if (waiting != 0 && s->conn && s->conn->number == waiting)
            mqbx_subscribe_op_joined(e, s->conn, mqbx_bytes(j->text, j->text_len),
                                     j->group != 0 ? qos : RC_QUOTA_EXCEEDED);
        mqbx_session_want_pump(e, s);
    }
    mqbx_free(e->seams.alloc, j, j->size);
}

/* --- credits -------------------------------------------------------------------------------- */

static uint32_t room(const struct engine *e, const struct membership *m)
{
    const struct session *s = m->sub->session;
    if (s->is_local)
        return mqbx_local_room(m->sub);
    if (m->sub->qos > 0)
        return mqbx_deliver_room(e, s);
    const struct conn *c = s->conn;
    bool is_open = c && c->state == CONN_OPEN && c->out.bytes < e->settings->output_mark_bytes;
    return is_open ? CREDITS_QOS0 : 0;
}

static bool post_credit(struct engine *e, const struct membership *m, uint32_t number)
{
    const struct session *s = m->sub->session;
    struct item it = {.type = ITEM_GROUP_CREDIT,
                      .number = number,
                      .u.group = {.group = m->group,
                                  .member = s->id,
                                  .seq = s->conn ? s->conn->max_packet_bytes : UINT32_MAX}};
    return mqbx_engine_post(e, m->home, &it, 0);
}

/* In batches: at least half of the room, so that credits do not cost an item a message. */
void mqbx_group_grant_all(struct engine *e, struct session *s)
{
    for (struct list *n = s->memberships.next; n != &s->memberships; n = n->next) {
        struct membership *m = mqbx_container(n, struct membership, node);
        uint32_t places = m->group != 0 ? room(e, m) : 0;
        if (places <= m->granted || places - m->granted < (places + 1) / 2)
            continue;
        if (post_credit(e, m, places - m->granted))
            m->granted = places;
    }
}

void mqbx_group_pause_all(struct engine *e, struct session *s)
{
    for (struct list *n = s->memberships.next; n != &s->memberships; n = n->next) {
        struct membership *m = mqbx_container(n, struct membership, node);
        m->granted = 0;
        if (m->group != 0)
            post_member(e, m->home, ITEM_GROUP_PAUSE, m->group, s->id, 0);
    }
}

/* --- deliveries ----------------------------------------------------------------------------- */

static void give_back(struct engine *e, uint64_t group, uint64_t member, uint64_t seq,
                      struct msg *m, enum group_return why)
{
    struct item it = {.type = ITEM_GROUP_RETURN,
                      .number = (uint32_t)why,
                      .u.group = {.group = group, .member = member, .msg = m, .seq = seq}};
    if (mqbx_engine_post(e, mqbx_id_worker(group), &it, (uint32_t)mqbx_msg_size(m)))
        return;
    mqbx_msg_unref(m);
    mqbx_counter_add(&e->metrics.messages_dropped_no_memory, 1);
}

void mqbx_group_return(struct engine *e, struct session *s, const struct group_origin *from,
                       struct msg *m, enum group_return why)
{
    give_back(e, from->group, s->id, from->seq, m, why);
}

static struct membership *find_membership(const struct session *s, uint64_t group)
{
    for (struct list *n = s->memberships.next; n != &s->memberships; n = n->next) {
        struct membership *m = mqbx_container(n, struct membership, node);
        if (m->group == group)
            return m;
    }
    return NULL;
}

static enum deliver_status deliver(struct engine *e, const struct membership *m,
                                   struct publication *p, const struct group_origin *from)
{
    struct subscription *sub = m->sub;
    struct delivery d = {
        .qos = sub->qos, .retain = p->retain && sub->retain_as_published, .group = from};
    if (!sub->session->is_local)
        return mqbx_deliver(e, sub->session, p, &d);
    if (mqbx_local_room(sub) == 0)
        return DELIVER_BUSY;
    mqbx_local_deliver(e, sub, p, d.retain);
    return DELIVERED;
}

static enum group_return why_not(enum deliver_status status)
{
    return status == DELIVER_UNFIT ? GROUP_RETURN_UNFIT : GROUP_RETURN_BUSY;
}

void mqbx_group_deliver(struct engine *e, const struct item *it)
{
    uint64_t group = it->u.group.group, member = it->u.group.member, seq = it->u.group.seq;
    struct msg *msg = it->u.group.msg;
    struct session *s = mqbx_session_by_id(e, member);
    struct membership *m = s ? find_membership(s, group) : NULL;
    if (!m || (!s->conn && !s->local)) {
        give_back(e, group, member, seq, msg, GROUP_RETURN_GONE);
        return;
    }
    if (m->granted > 0)
        m->granted--;
    struct publication p;
    mqbx_msg_view(msg, &p);
    struct group_origin from = {.group = group, .seq = seq, .identifier = m->sub->identifier};
    enum deliver_status status = deliver(e, m, &p, &from);
    mqbx_route_release(e, &p);
    mqbx_session_want_pump(e, s);
    if (status == DELIVER_BUSY)
        m->granted = 0; /* so does the home, when the message is back */
    if (status == DELIVER_BUSY || status == DELIVER_UNFIT)
        give_back(e, group, member, seq, msg, why_not(status));
    else
        mqbx_msg_unref(msg);
}
