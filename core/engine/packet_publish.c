/* SPDX-License-Identifier: MIT */
/*
 * PUBLISH from a client, and PUBREL: the receiving half of QoS 0, 1 and 2.
 */
#include "engine/delivery.h"
#include "engine/hold.h"
#include "engine/packets.h"

struct bytes mqbx_mounted(struct engine *e, const struct identity *who, struct bytes topic)
{
    struct bytes front = mqbx_identity_mountpoint(who);
    if (front.len == 0)
        return topic;
    if (front.len + topic.len > UINT16_MAX)
        return mqbx_bytes(NULL, 0);
    memcpy(e->scratch, front.ptr, front.len);
    memcpy(e->scratch + front.len, topic.ptr, topic.len);
    return mqbx_bytes(e->scratch, (size_t)front.len + topic.len);
}

/* Puts the topic an alias stands for in its place, or remembers a new one. RC_SUCCESS or the fault.
 */
static uint8_t resolve_alias(struct engine *e, struct conn *c, struct publish *p)
{
    if (!(p->props.has & HAS_TOPIC_ALIAS))
        return RC_SUCCESS;
    uint16_t alias = p->props.topic_alias;
    if (alias > e->settings->topic_alias_max_in) /* [MQTT-3.3.2-9] */
        return RC_TOPIC_ALIAS_INVALID;
    if (p->topic.len > 0) /* [MQTT-3.3.2-12] */
        return mqbx_alias_in_set(e, c, alias, p->topic) ? RC_SUCCESS : RC_SERVER_BUSY;
    p->topic = mqbx_alias_in_get(c, alias);
    return p->topic.ptr ? RC_SUCCESS : RC_PROTOCOL_ERROR;
}

/* What ends the connection, before anything has happened. */
static uint8_t check_fatal(struct engine *e, struct conn *c, struct publish *p)
{
    if (p->props.has & HAS_SUBSCRIPTION_ID) /* [MQTT-3.3.4-6] */
        return RC_PROTOCOL_ERROR;
    uint8_t reason = resolve_alias(e, c, p);
    if (reason != RC_SUCCESS)
        return reason;
    if (p->qos == 2 && c->version == MQTT_V5 && /* [MQTT-3.3.4-7] */
        c->session->inbound.count >= e->settings->receive_maximum &&
        !mqbx_inbound_has(&c->session->inbound, p->packet_id))
        return RC_RECEIVE_MAXIMUM_EXCEEDED;
    reason = mqbx_check_publish(e, p->topic, p->qos, p->retain, &p->props, p->payload);
    /* Only QoS 1 and 2 have an acknowledgement that can say these two. */
    if (p->qos > 0 && (reason == RC_PAYLOAD_FORMAT_INVALID || reason == RC_TOPIC_NAME_INVALID))
        return RC_SUCCESS;
    return reason;
}

static uint8_t check_refused(const struct engine *e, const struct publish *p)
{
    return mqbx_check_publish(e, p->topic, p->qos, p->retain, &p->props, p->payload);
}

/* The properties that are passed on: the block itself where nothing has to be left out, else a copy
 * in out. */
static bool kept_props(struct engine *e, const struct props *props, struct bytes *out,
                       uint8_t **copy)
{
    uint32_t len = mqbx_props_kept_len(props);
    *copy = NULL;
    *out = props->raw;
    if (len == props->raw.len)
        return true;
    *out = mqbx_bytes(NULL, 0);
    if (len == 0)
        return true;
    *copy = mqbx_alloc(&e->alloc, len);
    if (!*copy)
        return false;
    mqbx_props_copy_kept(props, *copy);
    *out = mqbx_bytes(*copy, len);
    return true;
}

/* RC_SUCCESS, RC_NO_MATCHING_SUBSCRIBERS, or the refusal; *token: the acknowledgement waits for it
 * (hold.h), 0: it does not wait. */
static uint8_t route_held(struct engine *e, struct conn *c, struct publication *pub,
                          uint64_t *token)
{
    bool no_memory = false;
    pub->hold = pub->qos > 0 ? mqbx_hold_new(e, c->session, &no_memory) : NULL;
    if (no_memory)
        return RC_QUOTA_EXCEEDED;
    uint64_t held = pub->hold ? pub->hold->token : 0;
    pub->is_recorded = pub->qos == 2 && c->session->expiry_s > 0; /* its packet identifier */
    enum route_status status = mqbx_route(e, pub);
    *token = mqbx_hold_settle(e, pub) ? held : 0;
    if (status == ROUTE_NO_MEMORY)
        return RC_QUOTA_EXCEEDED;
    return status == ROUTED ? RC_SUCCESS : RC_NO_MATCHING_SUBSCRIBERS;
}

static uint8_t route(struct engine *e, struct conn *c, const struct publish *p, uint64_t *token)
{
    struct publication pub = {
        .tenant = c->session->tenant,
        .expiry_s = p->props.has & HAS_MESSAGE_EXPIRY ? p->props.message_expiry_s
                                                      : e->settings->message_expiry_s,
        .received_ms = e->now.mono_ms,
        .publisher = c->session->hash,
        .qos = p->qos,
        .retain = p->retain,
        .topic = mqbx_mounted(e, c->session->who, p->topic),
        .payload = p->payload,
    };
    uint8_t *copy;
    *token = 0;
    if (!kept_props(e, &p->props, &pub.props, &copy))
        return RC_QUOTA_EXCEEDED;
    uint8_t reason = RC_TOPIC_NAME_INVALID;
    if (pub.topic.len > 0)
        reason = route_held(e, c, &pub, token);
    if (copy)
        mqbx_free(&e->alloc, copy, pub.props.len);
    if (reason == RC_QUOTA_EXCEEDED)
        mqbx_counter_add(&e->metrics.messages_dropped_no_memory, 1);
    return reason;
}

static void count_received(struct engine *e, struct conn *c, uint8_t qos)
{
    struct engine_metrics *m = &e->metrics;
    mqbx_counter_add(&m->messages_received, 1);
    mqbx_counter_add(qos == 0   ? &m->messages_qos0_received
                     : qos == 1 ? &m->messages_qos1_received
                                : &m->messages_qos2_received,
                     1);
    c->msgs_in++;
    c->is_publisher = true;
}

/* DENY is answered here; PENDING: to be looked at again. */
static enum verdict ask(struct engine *e, struct conn *c, const struct publish *p, uint8_t *reason)
{
    if (!c->session->who->permissions && !mqbx_asks(e, ASK_PUBLISH))
        return VERDICT_ALLOW;
    struct question q = {.kind = ASK_PUBLISH,
                         .topic = p->topic,
                         .payload = p->payload,
                         .qos = p->qos,
                         .retain = p->retain};
    struct answer a;
    enum verdict v = mqbx_ask_conn(e, c, &q, &a);
    if (v == VERDICT_ALLOW || v == VERDICT_PENDING)
        return v;
    *reason = a.reason >= 0x80 ? a.reason : RC_NOT_AUTHORIZED;
    mqbx_counter_add(&e->metrics.messages_denied, 1);
    if (a.ends_connection)
        mqbx_conn_fail(e, c, *reason, "publish denied");
    return VERDICT_DENY;
}

/* 3.x has no way to say no: the acknowledgement is the same. A message that could not be routed for
 * want of memory is not acknowledged. */
static void acknowledge(struct engine *e, struct conn *c, uint8_t type, uint16_t packet_id,
                        uint8_t reason, uint64_t token)
{
    if (c->version != MQTT_V5 && reason == RC_QUOTA_EXCEEDED) {
        mqbx_conn_fail(e, c, RC_SERVER_BUSY, "out of memory for a message");
        return;
    }
    if (c->version != MQTT_V5)
        reason = RC_SUCCESS;
    mqbx_ack_conn(e, c, type, packet_id, reason, token);
}

static void publish_qos1(struct engine *e, struct conn *c, const struct publish *p, uint8_t reason)
{
    uint64_t token = 0;
    if (reason == RC_SUCCESS)
        reason = route(e, c, p, &token);
    acknowledge(e, c, PKT_PUBACK, p->packet_id, reason, token); /* [MQTT-4.3.2-4] */
}

static void publish_qos2(struct engine *e, struct conn *c, const struct publish *p, uint8_t reason)
{
    struct inbound *in = &c->session->inbound;
    uint64_t token = 0;
    if (reason == RC_SUCCESS && !mqbx_inbound_add(e, in, p->packet_id))
        reason = RC_QUOTA_EXCEEDED;
    else if (reason == RC_SUCCESS)
        reason = route(e, c, p, &token);
    if (reason >= 0x80) /* [MQTT-4.3.3-9] */
        mqbx_inbound_remove(e, in, p->packet_id);
    acknowledge(e, c, PKT_PUBREC, p->packet_id, reason, token); /* [MQTT-4.3.3-8] */
}

/* [MQTT-4.3.3-10] Routed before: only the answer is repeated. */
static bool is_repeated(struct engine *e, struct conn *c, const struct publish *p)
{
    if (p->qos != 2 || !mqbx_inbound_has(&c->session->inbound, p->packet_id))
        return false;
    if (!mqbx_ack_redirect(e, c->session, c, p->packet_id))
        mqbx_ack_conn(e, c, PKT_PUBREC, p->packet_id, RC_SUCCESS, 0);
    return true;
}

static void accept(struct engine *e, struct conn *c, const struct publish *p, uint8_t reason)
{
    uint64_t token;
    count_received(e, c, p->qos);
    if (reason == RC_SUCCESS)
        reason = check_refused(e, p);
    if (p->qos == 1)
        publish_qos1(e, c, p, reason);
    else if (p->qos == 2)
        publish_qos2(e, c, p, reason);
    else if (reason == RC_SUCCESS)
        route(e, c, p, &token);
}

bool mqbx_packet_publish(struct engine *e, struct conn *c, struct bytes body, uint8_t flags)
{
    struct publish p;
    uint8_t reason = mqbx_parse_publish(body, flags, c->version, &p);
    if (reason == RC_SUCCESS)
        reason = check_fatal(e, c, &p);
    if (reason != RC_SUCCESS) {
        mqbx_conn_fail(e, c, reason, "PUBLISH not acceptable");
        return true;
    }
    if (is_repeated(e, c, &p))
        return true;
    enum verdict v = ask(e, c, &p, &reason);
    if (v == VERDICT_PENDING)
        return false;
    if (c->state == CONN_OPEN)
        accept(e, c, &p, reason);
    return true;
}

void mqbx_packet_pubrel(struct engine *e, struct conn *c, const struct ack *a)
{
    bool was_there = mqbx_inbound_remove(e, &c->session->inbound, a->packet_id);
    uint8_t reason = was_there || c->version != MQTT_V5 ? RC_SUCCESS : RC_PACKET_ID_NOT_FOUND;
    mqbx_send_ack(e, c, PKT_PUBCOMP, a->packet_id, reason); /* [MQTT-4.3.3-11] */
}
