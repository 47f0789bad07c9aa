/* SPDX-License-Identifier: MIT */
/*
 * The window of a session. An entry stays until PUBACK (QoS 1) or PUBCOMP (QoS 2); from PUBREC on
 * only its packet identifier counts. Nothing is sent again while the connection lasts; all of it is
 * when the session is resumed. [MQTT-4.4.0-1]
 */
#include "engine/window.h"

#include "engine/group.h"

static enum send_status send_entry(struct engine *e, struct conn *c, const struct entry *n,
                                   bool dup)
{
    struct publication p;
    mqbx_msg_view(n->msg->msg, &p);
    struct send_options o = {
        .qos = n->qos, .dup = dup, .retain = n->retain, .packet_id = n->packet_id, .local = n->msg};
    if (n->ids_kind == IDS_ONE) {
        o.ids = &n->ids.identifier;
        o.id_count = 1;
    } else if (n->ids_kind == IDS_LIST) {
        o.ids = n->ids.list->ids;
        o.id_count = n->ids.list->count;
    } else if (n->ids_kind == IDS_GROUP && n->ids.group->identifier != 0) {
        o.ids = &n->ids.group->identifier;
        o.id_count = 1;
    }
    return mqbx_send_publish(e, c, &p, &o);
}

enum send_status mqbx_window_send(struct engine *e, struct session *s, struct entry *n)
{
    if (!mqbx_ring_reserve(&s->window, &e->alloc, 1))
        return SEND_NO_MEMORY;
    enum send_status status = send_entry(e, s->conn, n, false);
    if (status != SENT)
        return status;
    n->state = ENTRY_SENT;
    mqbx_ring_push_back(&s->window, &e->alloc, n);
    mqbx_counter_add(&e->metrics.messages_inflight, 1);
    return SENT;
}

/* Entries are sorted by sequence, and the identifier tells the sequence: a binary search. */
static struct entry *find(const struct session *s, uint16_t packet_id, uint32_t *index)
{
    if (s->window.count == 0 || packet_id == 0)
        return NULL;
    const struct entry *first = mqbx_ring_at(&s->window, 0);
    uint32_t ahead = (uint32_t)(packet_id + 65535u - first->packet_id) % 65535u;
    uint32_t low = 0, high = s->window.count;
    while (low < high) {
        uint32_t mid = (low + high) / 2;
        const struct entry *n = mqbx_ring_at(&s->window, mid);
        if (n->seq - first->seq < ahead)
            low = mid + 1;
        else
            high = mid;
    }
    if (low == s->window.count)
        return NULL;
    struct entry *n = mqbx_ring_at(&s->window, low);
    *index = low;
    return n->packet_id == packet_id ? n : NULL;
}

/* Done with: acknowledged, refused, or given back. */
static void remove_at(struct engine *e, struct session *s, uint32_t index)
{
    if (index >= s->window.count - s->unsent)
        s->unsent--;
    mqbx_entry_fini(e, mqbx_ring_at(&s->window, index));
    mqbx_ring_remove(&s->window, &e->alloc, index);
    mqbx_counter_sub(&e->metrics.messages_inflight, 1);
}

static void complete(struct engine *e, struct session *s, uint32_t index, uint8_t reason)
{
    if (reason >= 0x80) /* [MQTT-4.4.0-2], [MQTT-4.8.2-6] refused is done with */
        mqbx_counter_add(&e->metrics.messages_refused, 1);
    else
        mqbx_counter_add(&e->metrics.messages_acked, 1);
    remove_at(e, s, index);
    mqbx_session_want_pump(e, s);
}

void mqbx_window_puback(struct engine *e, struct conn *c, uint16_t packet_id, uint8_t reason)
{
    uint32_t index;
    const struct entry *n = find(c->session, packet_id, &index);
    if (n && n->qos == 1)
        complete(e, c->session, index, reason);
}

void mqbx_window_pubrec(struct engine *e, struct conn *c, uint16_t packet_id, uint8_t reason)
{
    uint32_t index;
    struct entry *n = find(c->session, packet_id, &index);
    if (!n || n->qos != 2) {
        if (reason < 0x80)
            mqbx_send_ack(e, c, PKT_PUBREL, packet_id, RC_PACKET_ID_NOT_FOUND);
        return;
    }
    if (reason >= 0x80) {
        complete(e, c->session, index, reason);
        return;
    }
    if (n->state == ENTRY_SENT) { /* [MQTT-4.3.3-6] the message is not needed again */
        mqbx_entry_fini(e, n);
        n->state = ENTRY_RELEASED;
    }
    mqbx_send_ack(e, c, PKT_PUBREL, packet_id, RC_SUCCESS); /* [MQTT-4.3.3-4] */
}

void mqbx_window_pubcomp(struct engine *e, struct conn *c, uint16_t packet_id)
{
    uint32_t index;
    const struct entry *n = find(c->session, packet_id, &index);
    if (n && n->qos == 2 && n->state == ENTRY_RELEASED)
        complete(e, c->session, index, RC_SUCCESS);
}

/* False: out of memory, the connection ends. */
static bool resend_one(struct engine *e, struct session *s)
{
    uint32_t index = s->window.count - s->unsent--;
    const struct entry *n = mqbx_ring_at(&s->window, index);
    if (n->state == ENTRY_RELEASED) {
        mqbx_send_ack(e, s->conn, PKT_PUBREL, n->packet_id, RC_SUCCESS);
        return true;
    }
    enum send_status status = send_entry(e, s->conn, n, true); /* [MQTT-3.3.1-1] */
    if (status == SENT)
        return true;
    if (status == SEND_NO_MEMORY) {
        mqbx_conn_end_later(e, s->conn, RC_SERVER_BUSY);
        return false;
    }
    mqbx_counter_add(&e->metrics.messages_dropped_too_large, 1);
    remove_at(e, s, index);
    return true;
}

/* In order [MQTT-4.6.0-1], and no more at once than the client takes on this connection
 * [MQTT-3.3.4-9]. */
void mqbx_window_resend_more(struct engine *e, struct session *s)
{
    const struct conn *c = s->conn;
    while (c && c->state == CONN_OPEN && c->end_reason == 0 && s->unsent > 0 &&
           s->window.count - s->unsent < s->inflight_max && resend_one(e, s))
        ;
}

void mqbx_window_resend(struct engine *e, struct session *s)
{
    s->unsent = s->window.count;
    mqbx_window_resend_more(e, s);
}

void mqbx_window_return_group(struct engine *e, struct session *s)
{
    for (uint32_t i = s->window.count; i-- > 0;) {
        struct entry *n = mqbx_ring_at(&s->window, i);
        if (n->ids_kind != IDS_GROUP)
            continue;
        mqbx_group_return(e, s, n->ids.group, mqbx_msg_ref(n->msg->msg), GROUP_RETURN_GONE);
        remove_at(e, s, i);
    }
}
