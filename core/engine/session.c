/* SPDX-License-Identifier: MIT */
/*
 * The life of a session: made, joined by a connection, parted from it, kept until its expiry,
 * ended; and its will.
 */
#include "engine/session.h"

#include "engine/delivery.h"
#include "engine/group.h"
#include "engine/hold.h"

struct session_key {
    uint32_t tenant;
    struct bytes client_id;
};

struct bytes mqbx_session_client_id(const struct session *s)
{
    return mqbx_identity_client_id(s->who);
}

struct bytes mqbx_session_user_name(const struct session *s)
{
    return mqbx_identity_user_name(s->who);
}

static bool has_key(const void *value, const void *key)
{
    const struct session *s = value;
    const struct session_key *k = key;
    return s->tenant == k->tenant && mqbx_bytes_equal(mqbx_session_client_id(s), k->client_id);
}

static bool has_id(const void *value, const void *key)
{
    return ((const struct session *)value)->id == *(const uint64_t *)key;
}

struct session *mqbx_session_find(struct engine *e, uint32_t tenant, struct bytes client_id)
{
    struct session_key key = {.tenant = tenant, .client_id = client_id};
    uint64_t hash = mqbx_shared_publisher(e->shared, tenant, client_id);
    return mqbx_table_find(&e->sessions, hash, has_key, &key);
}

struct session *mqbx_session_by_id(struct engine *e, uint64_t id)
{
    return mqbx_table_find(&e->sessions_by_id, mqbx_hash_mix(id), has_id, &id);
}

/* --- made ------------------------------------------------------------------------------------ */

static void init(struct engine *e, struct session *s, uint32_t tenant)
{
    s->tenant = tenant;
    s->id = mqbx_engine_next_id(e);
    s->order = ++e->next_order & 0x7fffffffu;
    s->will_due_ms = s->expiry_due_ms = UINT64_MAX;
    mqbx_ring_init(&s->window, sizeof(struct entry));
    mqbx_ring_init(&s->queue, sizeof(struct entry));
    mqbx_list_init(&s->subscriptions);
    mqbx_list_init(&s->replays);
    mqbx_list_init(&s->memberships);
    mqbx_list_init(&s->pump_node);
    mqbx_timer_init(&s->timer, TIMER_SESSION);
}

struct session *mqbx_session_new(struct engine *e, uint32_t tenant, struct identity *who)
{
    struct session *s = mqbx_slab_get(&e->session_slab);
    if (!s)
        return NULL;
    init(e, s, tenant);
    s->hash = mqbx_shared_publisher(e->shared, tenant, mqbx_identity_client_id(who));
    s->who = who;
    if (!mqbx_table_insert(&e->sessions, s->hash, s))
        goto no_place;
    if (!mqbx_table_insert(&e->sessions_by_id, mqbx_hash_mix(s->id), s))
        goto no_id;
    mqbx_atomic_add64(&e->shared->sessions, 1);
    mqbx_counter_add(&e->metrics.sessions, 1);
    mqbx_counter_add(&e->metrics.sessions_created, 1);
    return s;
no_id:
    mqbx_table_remove(&e->sessions, s->hash, s);
no_place:
    mqbx_slab_put(&e->session_slab, s);
    return NULL;
}

void mqbx_session_set_identity(struct session *s, struct identity *who)
{
    mqbx_identity_free(s->who);
    s->who = who;
}

/* --- ended ----------------------------------------------------------------------------------- */

static void drop_entries(struct engine *e, struct session *s)
{
    mqbx_counter_add(&e->metrics.messages_dropped_session_end, s->queue.count);
    mqbx_counter_sub(&e->metrics.messages_queued, s->queue.count);
    mqbx_counter_sub(&e->metrics.messages_queued_bytes, s->queue_bytes);
    mqbx_counter_sub(&e->metrics.messages_inflight, s->window.count);
    for (uint32_t i = 0; i < s->queue.count; i++)
        mqbx_entry_fini(e, mqbx_ring_at(&s->queue, i));
    for (uint32_t i = 0; i < s->window.count; i++)
        mqbx_entry_fini(e, mqbx_ring_at(&s->window, i));
    mqbx_ring_fini(&s->queue, &e->alloc);
    mqbx_ring_fini(&s->window, &e->alloc);
}

void mqbx_session_drop_will(struct session *s)
{
    mqbx_msg_unref(s->will.msg);
    s->will = (struct will){.msg = NULL};
    s->will_due_ms = UINT64_MAX;
}

static void release(struct engine *e, struct session *s)
{
    drop_entries(e, s);
    mqbx_session_drop_will(s);
    mqbx_ack_fini(e, s);
    mqbx_inbound_fini(e, &s->inbound);
    mqbx_wheel_cancel(&e->wheel, &s->timer);
    mqbx_list_remove(&s->pump_node);
    mqbx_table_remove(&e->sessions, s->hash, s);
    mqbx_table_remove(&e->sessions_by_id, mqbx_hash_mix(s->id), s);
    mqbx_identity_free(s->who);
    mqbx_counter_sub(&e->metrics.sessions, 1);
    mqbx_atomic_add64(&e->shared->sessions, UINT64_MAX);
    mqbx_slab_put(&e->session_slab, s);
}

void mqbx_session_free(struct engine *e, struct session *s)
{
    while (!mqbx_list_empty(&s->subscriptions))
        mqbx_subscription_free(e, mqbx_container(s->subscriptions.next, struct subscription, node));
    release(e, s);
}

/* [MQTT-3.1.2-8], [MQTT-3.1.2-10] Once, and it is gone. */
static void publish_will(struct engine *e, struct session *s)
{
    struct msg *m = s->will.msg;
    if (!m)
        return;
    s->will = (struct will){.msg = NULL};
    s->will_due_ms = UINT64_MAX;
    m->received_ms = e->now.mono_ms;
    struct publication p;
    mqbx_msg_view(m, &p);
    mqbx_counter_add(&e->metrics.wills_published, 1);
    mqbx_counter_add(&e->metrics.messages_received, 1);
    if (mqbx_route(e, &p) == ROUTE_NO_MEMORY)
        mqbx_counter_add(&e->metrics.messages_dropped_no_memory, 1);
    mqbx_msg_unref(m);
}

void mqbx_session_end(struct engine *e, struct session *s)
{
    mqbx_window_return_group(e, s);
    while (!mqbx_list_empty(&s->subscriptions))
        mqbx_unsubscribe(e, mqbx_container(s->subscriptions.next, struct subscription, node));
    publish_will(e, s);
    release(e, s);
}

/* --- joined and parted ---------------------------------------------------------------------- */

static void arm(struct engine *e, struct session *s)
{
    uint64_t due = s->will_due_ms < s->expiry_due_ms ? s->will_due_ms : s->expiry_due_ms;
    if (due == UINT64_MAX)
        mqbx_wheel_cancel(&e->wheel, &s->timer);
    else
        mqbx_wheel_set(&e->wheel, &s->timer, due);
}

void mqbx_session_join(struct engine *e, struct session *s, struct conn *c)
{
    s->conn = c;
    s->will_due_ms = s->expiry_due_ms = UINT64_MAX; /* [MQTT-3.1.3-9] */
    mqbx_wheel_cancel(&e->wheel, &s->timer);
}

void mqbx_session_part(struct engine *e, struct session *s, bool discard_will)
{
    s->conn = NULL;
    mqbx_list_remove(&s->pump_node);
    mqbx_window_return_group(e, s);
    mqbx_group_pause_all(e, s);
    if (discard_will)
        mqbx_session_drop_will(s);
    if (s->expiry_s == 0) {
        mqbx_session_end(e, s);
        return;
    }
    if (s->expiry_s != UINT32_MAX)
        s->expiry_due_ms = e->now.mono_ms + (uint64_t)s->expiry_s * 1000;
    if (s->will.msg && s->will.delay_s > 0)
        s->will_due_ms = e->now.mono_ms + (uint64_t)s->will.delay_s * 1000;
    arm(e, s);
    if (s->will.msg && s->will.delay_s == 0)
        publish_will(e, s);
}

void mqbx_session_timer(struct engine *e, struct session *s)
{
    if (s->conn)
        return;
    if (s->expiry_due_ms <= e->now.mono_ms) { /* [MQTT-4.1.0-2] */
        mqbx_counter_add(&e->metrics.sessions_expired, 1);
        mqbx_session_end(e, s);
        return;
    }
    bool is_will_due = s->will_due_ms <= e->now.mono_ms;
    if (is_will_due)
        s->will_due_ms = UINT64_MAX;
    arm(e, s);
    if (is_will_due)
        publish_will(e, s);
}

static bool has_waiting(const struct session *s)
{
    return s->unsent > 0 || s->queue.count > 0 || !mqbx_list_empty(&s->replays) ||
           !mqbx_list_empty(&s->memberships);
}

void mqbx_session_want_pump(struct engine *e, struct session *s)
{
    if (!has_waiting(s) || !mqbx_list_empty(&s->pump_node))
        return;
    mqbx_list_push_back(&e->pumping, &s->pump_node);
}
