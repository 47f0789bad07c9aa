/* SPDX-License-Identifier: MIT */
/*
 * Packets to a client. A PUBLISH is head and tail: the head (fixed header, topic or alias, packet
 * identifier, expiry, subscription identifiers) is built for each receiver, the tail (other
 * properties, payload) is the message's own bytes, copied when small and referred to when large.
 * Sizes are known before a byte is appended, so what is too large for the receiver is never begun.
 * [MQTT-3.1.2-24]
 */
#include <string.h>

#include "engine/delivery.h"

#define HEAD_ROOM_BYTES                                                                            \
    64u /* fixed header, lengths, packet identifier, expiry, alias, one identifier */

struct head {
    struct bytes topic; /* empty when the alias is known */
    uint32_t expiry_left_s;
    uint32_t props_len; /* 5.0: what stands behind the property length */
    uint32_t remaining;
    uint16_t alias;
    bool has_expiry;
    bool is_alias_new;
};

static uint32_t ids_len(const struct send_options *o)
{
    uint32_t len = 0;
    for (uint32_t i = 0; i < o->id_count; i++)
        len += 1 + mqbx_varint_len(o->ids[i]);
    return len;
}

static void measure_v5(struct engine *e, struct conn *c, const struct publication *p,
                       const struct send_options *o, struct head *h)
{
    bool is_known = false;
    struct bytes topic = h->topic;
    h->alias = mqbx_alias_out_find(e, c, topic, &is_known);
    h->is_alias_new = h->alias != 0 && !is_known;
    if (is_known)
        h->topic.len = 0;
    h->props_len = p->props.len + ids_len(o);
    if (h->has_expiry)
        h->props_len += 5;
    if (h->alias != 0)
        h->props_len += 3;
    h->remaining += mqbx_varint_len(h->props_len) + h->props_len;
}

/* False: expired. [MQTT-3.3.2-5], but never once it was sent [MQTT-4.3.3-7] */
static bool measure(struct engine *e, struct conn *c, const struct publication *p,
                    const struct send_options *o, struct head *h)
{
    if (p->expiry_s != MSG_NEVER_EXPIRES) {
        bool is_live =
            mqbx_msg_left(p->received_ms, p->expiry_s, e->now.mono_ms, &h->expiry_left_s);
        if (!is_live && !o->dup)
            return false;
        if (!is_live)
            h->expiry_left_s = 0;
        h->has_expiry = true;
    }
    h->topic = mqbx_bytes(p->topic.ptr + c->mountpoint_len, p->topic.len - c->mountpoint_len);
    h->remaining = p->payload.len + (o->qos > 0 ? 2 : 0);
    if (c->version == MQTT_V5)
        measure_v5(e, c, p, o, h);
    h->remaining += 2 + h->topic.len;
    return true;
}

static uint8_t *put_u16(uint8_t *at, uint16_t x)
{
    at[0] = (uint8_t)(x >> 8);
    at[1] = (uint8_t)x;
    return at + 2;
}

static uint8_t *put_u32(uint8_t *at, uint32_t x)
{
    return put_u16(put_u16(at, (uint16_t)(x >> 16)), (uint16_t)x);
}

static uint8_t *put_front(uint8_t *at, const struct send_options *o, const struct head *h)
{
    *at++ = (uint8_t)(PKT_PUBLISH << 4 | (o->dup ? 8 : 0) | o->qos << 1 | (o->retain ? 1 : 0));
    at = mqbx_put_varint(at, h->remaining);
    return put_u16(at, (uint16_t)h->topic.len);
}

/* Behind the topic: packet identifier and the properties of the head. */
static uint8_t *put_rear(uint8_t *at, uint8_t version, const struct send_options *o,
                         const struct head *h)
{
    if (o->qos > 0)
        at = put_u16(at, o->packet_id);
    if (version != MQTT_V5)
        return at;
    at = mqbx_put_varint(at, h->props_len);
    if (h->has_expiry) { /* [MQTT-3.3.2-6] */
        *at++ = 0x02;
        at = put_u32(at, h->expiry_left_s);
    }
    if (h->alias != 0) {
        *at++ = 0x23;
        at = put_u16(at, h->alias);
    }
    for (uint32_t i = 0; i < o->id_count; i++) { /* [MQTT-3.3.4-3] */
        *at++ = 0x0b;
        at = mqbx_put_varint(at, o->ids[i]);
    }
    return at;
}

/* Everything in one run: by far the most common case. */
static enum send_status append_small(struct engine *e, struct conn *c, const struct publication *p,
                                     const struct send_options *o, const struct head *h)
{
    uint32_t total = 1 + mqbx_varint_len(h->remaining) + h->remaining;
    uint8_t *at = mqbx_output_room(e, c, total);
    if (!at)
        return SEND_NO_MEMORY;
    at = put_front(at, o, h);
    memcpy(at, h->topic.ptr, h->topic.len);
    at = put_rear(at + h->topic.len, c->version, o, h);
    if (c->version == MQTT_V5 && p->props.len > 0) {
        memcpy(at, p->props.ptr, p->props.len);
        at += p->props.len;
    }
    if (p->payload.len > 0)
        memcpy(at, p->payload.ptr, p->payload.len);
    return SENT;
}

/* A local reference to the message for as long as the output needs its bytes. */
static struct local_msg *keep_local(struct engine *e, struct publication *p,
                                    const struct send_options *o)
{
    struct local_msg *l = o->local ? o->local : mqbx_route_local(e, p);
    if (l)
        l->refs++;
    return l;
}

#define TAIL_REFS 2u

/* After a reserve of TAIL_REFS it cannot fail. */
static void append_tail(struct engine *e, struct conn *c, struct local_msg *l)
{
    if (c->version == MQTT_V5 && l->msg->props_len > 0)
        mqbx_output_refer(e, c, l, false);
    if (l->msg->payload_len > 0)
        mqbx_output_refer(e, c, l, true);
}

/* Memory first: a packet once begun is completed, for half of one would be read with what follows.
 */
static enum send_status append_large(struct engine *e, struct conn *c, struct publication *p,
                                     const struct send_options *o, const struct head *h)
{
    struct local_msg *l = keep_local(e, p, o);
    uint32_t rear = HEAD_ROOM_BYTES + ids_len(o);
    if (!l)
        return SEND_NO_MEMORY;
    uint8_t *rear_bytes = mqbx_alloc(&e->alloc, rear);
    bool ok = rear_bytes && mqbx_output_reserve(e, c, HEAD_ROOM_BYTES + h->topic.len + rear) &&
              mqbx_output_reserve_refs(e, TAIL_REFS);
    if (ok) {
        uint8_t front[HEAD_ROOM_BYTES];
        uint8_t *front_end = put_front(front, o, h);
        uint8_t *rear_end = put_rear(rear_bytes, c->version, o, h);
        mqbx_output_copy(e, c, front, (uint32_t)(front_end - front));
        mqbx_output_copy(e, c, h->topic.ptr, h->topic.len);
        mqbx_output_copy(e, c, rear_bytes, (uint32_t)(rear_end - rear_bytes));
        append_tail(e, c, l);
    }
    mqbx_free(&e->alloc, rear_bytes, rear);
    mqbx_local_msg_unref(&e->local_msg_slab, l);
    return ok ? SENT : SEND_NO_MEMORY;
}

static void count_sent(struct engine *e, struct conn *c, uint8_t qos)
{
    struct engine_metrics *m = &e->metrics;
    mqbx_counter_add(&m->packets_sent, 1);
    mqbx_counter_add(&m->messages_sent, 1);
    mqbx_counter_add(qos == 0   ? &m->messages_qos0_sent
                     : qos == 1 ? &m->messages_qos1_sent
                                : &m->messages_qos2_sent,
                     1);
    c->msgs_out++;
}

enum send_status mqbx_send_publish(struct engine *e, struct conn *c, struct publication *p,
                                   const struct send_options *o)
{
    struct head h = {.alias = 0};
    if (!measure(e, c, p, o, &h))
        return SEND_EXPIRED;
    uint32_t total = 1 + mqbx_varint_len(h.remaining) + h.remaining;
    if (total > c->max_packet_bytes || h.remaining > MQTT_MAX_PACKET)
        return SEND_TOO_LARGE;
    enum send_status status =
        total <= OUTPUT_REF_BYTES ? append_small(e, c, p, o, &h) : append_large(e, c, p, o, &h);
    if (status != SENT)
        return status;
    if (h.is_alias_new)
        mqbx_alias_out_commit(e, c, h.alias, h.topic);
    count_sent(e, c, o->qos);
    return SENT;
}

/* --- the small ones ------------------------------------------------------------------------- */

#define SMALL_PACKET_BYTES 1024u

/* Appends a packet that was built, or ends the connection: an answer that cannot be given breaks
 * the protocol. */
static void send_built(struct engine *e, struct conn *c, const struct writer *w)
{
    if (c->state == CONN_DOOMED)
        return;
    if (w->overflow || !mqbx_output_copy(e, c, w->ptr, (uint32_t)w->len)) {
        mqbx_conn_end_later(e, c, RC_SERVER_BUSY);
        return;
    }
    mqbx_counter_add(&e->metrics.packets_sent, 1);
}

void mqbx_send_ack(struct engine *e, struct conn *c, uint8_t type, uint16_t packet_id,
                   uint8_t reason)
{
    uint8_t buf[16];
    struct writer w = mqbx_writer(buf, sizeof(buf));
    struct ack a = {.packet_id = packet_id, .reason = reason};
    mqbx_write_ack(&w, c->version, type, &a);
    send_built(e, c, &w);
}

void mqbx_send_suback(struct engine *e, struct conn *c, uint16_t packet_id, struct bytes codes,
                      bool is_unsuback)
{
    struct writer w = mqbx_writer(e->scratch, SCRATCH_BYTES);
    struct suback s = {.packet_id = packet_id, .codes = codes};
    if (is_unsuback)
        mqbx_write_unsuback(&w, c->version, &s);
    else
        mqbx_write_suback(&w, c->version, &s);
    send_built(e, c, &w);
}

void mqbx_send_pingresp(struct engine *e, struct conn *c)
{
    uint8_t buf[2];
    struct writer w = mqbx_writer(buf, sizeof(buf));
    mqbx_write_ping(&w, PKT_PINGRESP);
    send_built(e, c, &w);
}

void mqbx_send_disconnect(struct engine *e, struct conn *c, uint8_t reason, const char *text)
{
    uint8_t buf[SMALL_PACKET_BYTES];
    struct disconnect d = {.reason = reason};
    if (text) {
        d.props.has = HAS_REASON_STRING;
        d.props.reason_string = mqbx_bytes_of(text);
    }
    struct writer w = mqbx_writer(buf, sizeof(buf));
    mqbx_write_disconnect(&w, c->version, &d);
    if (text && (w.overflow || w.len > c->max_packet_bytes)) /* [MQTT-3.14.2-3] */
        mqbx_send_disconnect(e, c, reason, NULL);
    else
        send_built(e, c, &w);
}

bool mqbx_send_connack(struct engine *e, struct conn *c, const struct connack *p)
{
    struct writer w = mqbx_writer(e->scratch, SCRATCH_BYTES);
    mqbx_write_connack(&w, c->version, p);
    if (w.len <= c->max_packet_bytes) {
        send_built(e, c, &w);
        return true;
    }
    if (!(p->props.has & HAS_REASON_STRING)) /* [MQTT-3.1.2-24] */
        return false;
    struct connack shorter = *p; /* [MQTT-3.2.2-19] */
    shorter.props.has &= ~(uint32_t)HAS_REASON_STRING;
    return mqbx_send_connack(e, c, &shorter);
}
