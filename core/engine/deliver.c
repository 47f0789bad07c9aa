/* SPDX-License-Identifier: MIT */
/*
 * One receiver: a publication goes out at once, waits in the session's queue, or is dropped by a
 * limit, and every drop is counted. QoS 1 and 2 pass through the window (window.c); order is that
 * of arrival.
 */
#include <assert.h>

#include "engine/asking.h"
#include "engine/delivery.h"
#include "engine/group.h"
#include "engine/window.h"

#define WINDOW_SPAN 65534u /* sequences: so that no packet identifier stands for two entries */

/* --- entries --------------------------------------------------------------------------------- */

static bool init_ids(struct engine *e, struct entry *n, const struct delivery *d)
{
    n->ids_kind = IDS_NONE;
    if (d->group && n->qos == 1) {
        n->ids.group = mqbx_alloc(&e->alloc, sizeof(*n->ids.group));
        if (!n->ids.group)
            return false;
        *n->ids.group = *d->group;
        n->ids_kind = IDS_GROUP;
    } else if (d->group) { /* [MQTT-4.8.2-4] a QoS 2 message is this member's from now on */
        n->ids.identifier = d->group->identifier;
        n->ids_kind = d->group->identifier != 0 ? IDS_ONE : IDS_NONE;
    } else if (d->id_count == 1) {
        n->ids.identifier = d->ids[0];
        n->ids_kind = IDS_ONE;
    } else if (d->id_count > 1) {
        size_t size = d->id_count * sizeof(uint32_t);
        n->ids.list = mqbx_alloc(&e->alloc, sizeof(*n->ids.list) + size);
        if (!n->ids.list)
            return false;
        n->ids.list->count = d->id_count;
        memcpy(n->ids.list->ids, d->ids, size);
        n->ids_kind = IDS_LIST;
    }
    return true;
}

bool mqbx_entry_init(struct engine *e, struct entry *n, struct publication *p,
                     const struct delivery *d, uint8_t qos)
{
    *n = (struct entry){.qos = qos & 3u, .retain = d->retain, .state = ENTRY_QUEUED};
    struct local_msg *l = mqbx_route_local(e, p);
    if (!l || !init_ids(e, n, d))
        return false;
    l->refs++;
    n->msg = l;
    return true;
}

void mqbx_entry_fini(struct engine *e, struct entry *n)
{
    if (n->ids_kind == IDS_LIST)
        mqbx_free(&e->alloc, n->ids.list,
                  sizeof(*n->ids.list) + n->ids.list->count * sizeof(uint32_t));
    else if (n->ids_kind == IDS_GROUP)
        mqbx_free(&e->alloc, n->ids.group, sizeof(*n->ids.group));
    n->ids_kind = IDS_NONE;
    if (n->msg)
        mqbx_local_msg_unref(&e->local_msg_slab, n->msg);
    n->msg = NULL;
}

/* --- room ----------------------------------------------------------------------------------- */

static uint32_t next_to_send(const struct session *s)
{
    if (s->queue.count == 0)
        return (uint32_t)s->next_seq;
    return ((const struct entry *)mqbx_ring_at(&s->queue, 0))->seq;
}

uint32_t mqbx_deliver_room(const struct engine *e, const struct session *s)
{
    const struct conn *c = s->conn;
    if (!c || c->state != CONN_OPEN || c->end_reason != 0 ||
        c->out.bytes >= e->settings->output_mark_bytes || s->window.count >= s->inflight_max ||
        s->unsent > 0)
        return 0;
    if (s->window.count > 0) {
        const struct entry *first = mqbx_ring_at(&s->window, 0);
        if (next_to_send(s) - first->seq >= WINDOW_SPAN)
            return 0;
    }
    return s->inflight_max - s->window.count; /* [MQTT-3.3.4-9] */
}

bool mqbx_deliver_has_room(const struct engine *e, const struct session *s)
{
    return mqbx_deliver_room(e, s) > 0;
}

/* --- the queue ------------------------------------------------------------------------------ */

static void count_queued(struct engine *e, struct session *s, const struct entry *n, bool is_added)
{
    uint64_t size = mqbx_msg_size(n->msg->msg);
    if (is_added) {
        s->queue_bytes += size;
        mqbx_counter_add(&e->metrics.messages_queued, 1);
        mqbx_counter_add(&e->metrics.messages_queued_bytes, size);
    } else {
        s->queue_bytes -= size;
        mqbx_counter_sub(&e->metrics.messages_queued, 1);
        mqbx_counter_sub(&e->metrics.messages_queued_bytes, size);
    }
}

/* Takes the first entry out; it is the caller's to finish. */
static struct entry pop_queue(struct engine *e, struct session *s)
{
    struct entry n = *(struct entry *)mqbx_ring_at(&s->queue, 0);
    count_queued(e, s, &n, false);
    mqbx_ring_pop_front(&s->queue, &e->alloc);
    return n;
}

static void drop_oldest(struct engine *e, struct session *s)
{
    struct entry n = pop_queue(e, s);
    mqbx_entry_fini(e, &n);
}

static void log_full(struct engine *e, const struct session *s)
{
    struct log_event ev = {.level = LOG_WARN,
                           .module = "session",
                           .event = "queue full",
                           .client = mqbx_session_client_id(s),
                           .reason = -1,
                           .detail =
                               "messages are dropped: see the limits of queues and of memory"};
    mqbx_engine_log(e, &ev);
}

/* Room for one more of `size` bytes, by the policy; false: the new one is dropped. */
static bool make_room(struct engine *e, struct session *s, uint64_t size)
{
    const struct settings *set = e->settings;
    const struct client_limits *own = s->who->limits;
    uint32_t count =
        own && own->queue_max_messages > 0 ? own->queue_max_messages : set->queue_max_messages;
    uint64_t bytes = own && own->queue_max_bytes > 0 ? own->queue_max_bytes : set->queue_max_bytes;
    while (s->queue.count >= count || s->queue_bytes + size > bytes ||
           mqbx_engine_is_over_memory(e)) {
        bool is_first = s->dropped++ == 0; /* since the queue was last empty */
        if (is_first)
            log_full(e, s);
        mqbx_counter_add(&e->metrics.messages_dropped_queue_full, 1);
        /* Once: else one that comes back to drain a full queue is sent away again before it can. */
        if (set->queue_policy == QUEUE_DISCONNECT && s->conn && is_first)
            mqbx_conn_end_later(e, s->conn, RC_QUOTA_EXCEEDED);
        if (set->queue_policy != QUEUE_DROP_OLDEST || s->queue.count == 0)
            return false;
        drop_oldest(e, s);
    }
    return true;
}

static uint64_t publication_size(const struct publication *p)
{
    return sizeof(struct msg) + p->topic.len + p->props.len + p->payload.len;
}

static enum deliver_status enqueue(struct engine *e, struct session *s, struct publication *p,
                                   const struct delivery *d, uint8_t qos)
{
    struct entry n;
    if (!make_room(e, s, publication_size(p)))
        return DELIVER_DROPPED;
    if (!mqbx_entry_init(e, &n, p, d, qos))
        goto no_memory;
    n.seq = (uint32_t)s->next_seq;
    n.packet_id = (uint16_t)(1 + s->next_seq % 65535);
    if (!mqbx_ring_push_back(&s->queue, &e->alloc, &n)) {
        mqbx_entry_fini(e, &n);
        goto no_memory;
    }
    s->next_seq++;
    count_queued(e, s, &n, true);
    return DELIVER_QUEUED;
no_memory:
    mqbx_counter_add(&e->metrics.messages_dropped_no_memory, 1);
    return DELIVER_DROPPED;
}

/* --- going out ------------------------------------------------------------------------------ */

static void count_dropped(struct engine *e, enum send_status status)
{
    if (status == SEND_TOO_LARGE) /* [MQTT-3.1.2-25] */
        mqbx_counter_add(&e->metrics.messages_dropped_too_large, 1);
    else if (status == SEND_EXPIRED)
        mqbx_counter_add(&e->metrics.messages_dropped_expired, 1);
    else if (status == SEND_NO_MEMORY)
        mqbx_counter_add(&e->metrics.messages_dropped_no_memory, 1);
}

static enum deliver_status outcome(struct engine *e, enum send_status status,
                                   const struct delivery *d)
{
    if (status == SENT)
        return DELIVERED;
    if (status == SEND_TOO_LARGE && d->group)
        return DELIVER_UNFIT;
    count_dropped(e, status);
    return DELIVER_DROPPED;
}

static enum deliver_status send_qos0(struct engine *e, struct session *s, struct publication *p,
                                     const struct delivery *d)
{
    struct conn *c = s->conn;
    if (!c || c->state != CONN_OPEN)
        return DELIVER_DROPPED; /* QoS 0 is for those who are there */
    if (c->out.bytes > e->settings->output_max_bytes) {
        mqbx_counter_add(&e->metrics.messages_dropped_qos0_output, 1);
        return DELIVER_DROPPED;
    }
    struct send_options o = {.retain = d->retain, .id_count = d->id_count, .ids = d->ids};
    uint32_t identifier;
    if (d->group && d->group->identifier != 0) {
        identifier = d->group->identifier;
        o.ids = &identifier;
        o.id_count = 1;
    }
    return outcome(e, mqbx_send_publish(e, c, p, &o), d);
}

/* Into the window and out. */
static enum deliver_status send_now(struct engine *e, struct session *s, struct publication *p,
                                    const struct delivery *d, uint8_t qos)
{
    struct entry n;
    if (!mqbx_entry_init(e, &n, p, d, qos))
        goto no_memory;
    n.seq = (uint32_t)s->next_seq;
    n.packet_id = (uint16_t)(1 + s->next_seq % 65535);
    enum send_status status = mqbx_window_send(e, s, &n);
    if (status == SENT) {
        s->next_seq++;
        return DELIVERED;
    }
    mqbx_entry_fini(e, &n);
    return outcome(e, status, d);
no_memory:
    mqbx_counter_add(&e->metrics.messages_dropped_no_memory, 1);
    return DELIVER_DROPPED;
}

static bool may_receive(struct engine *e, const struct session *s, const struct publication *p,
                        uint8_t qos, const struct delivery *d)
{
    uint16_t prefix = s->who->mountpoint_len;
    struct bytes topic = mqbx_bytes(p->topic.ptr + prefix, p->topic.len - prefix);
    if (mqbx_ask_receive(e, s, topic, qos, d->retain))
        return true;
    mqbx_counter_add(&e->metrics.messages_dropped_denied, 1);
    return false;
}

enum deliver_status mqbx_deliver(struct engine *e, struct session *s, struct publication *p,
                                 const struct delivery *d)
{
    uint8_t qos = p->qos < d->qos ? p->qos : d->qos; /* [MQTT-3.8.4-8] */
    if ((s->who->permissions || mqbx_asks(e, ASK_RECEIVE)) && !may_receive(e, s, p, qos, d))
        return d->group ? DELIVER_UNFIT : DELIVER_DROPPED;
    if (qos == 0)
        return send_qos0(e, s, p, d);
    if (s->expiry_s > 0)
        p->is_recorded = true;
    if (s->queue.count == 0 && mqbx_deliver_has_room(e, s))
        return send_now(e, s, p, d, qos);
    if (d->group)
        return DELIVER_BUSY; /* nothing unsent of a group ever sits with a member */
    return enqueue(e, s, p, d, qos);
}

/* --- what has waited ------------------------------------------------------------------------ */

static void pump_queue(struct engine *e, struct session *s)
{
    while (s->queue.count > 0 && mqbx_deliver_has_room(e, s)) {
        struct entry n = pop_queue(e, s);
        enum send_status status = mqbx_window_send(e, s, &n);
        if (status == SENT)
            continue;
        count_dropped(e, status);
        mqbx_entry_fini(e, &n);
    }
    if (s->queue.count == 0)
        s->dropped = 0;
}

void mqbx_session_pump(struct engine *e, struct session *s)
{
    mqbx_window_resend_more(e, s);
    pump_queue(e, s);
    if (s->queue.count > 0)
        return;
    mqbx_replay_pump(e, s);
    mqbx_group_grant_all(e, s);
}
