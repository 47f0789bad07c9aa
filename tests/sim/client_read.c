/* SPDX-License-Identifier: MIT */
/*
 * What comes from the broker, packet by packet, and whether it may.
 */
#include <stdlib.h>
#include <string.h>

#include "client.h"
#include "sim.h"

static void must(const struct client_end *e, bool ok, const char *what)
{
    if (!ok)
        world_fail(e->client->world, "%s on link %llu: %s", e->client->id,
                   (unsigned long long)e->link->number, what);
}

static void must_parse(const struct client_end *e, uint8_t reason, uint8_t type)
{
    if (reason != RC_SUCCESS)
        world_fail(e->client->world, "%s: the broker's %s does not parse: 0x%02x", e->client->id,
                   mqbx_packet_name(type), reason);
}

/* --- CONNACK, DISCONNECT ---------------------------------------------------------------------- */

static void on_connack(struct client_end *e, struct bytes body, uint8_t flags)
{
    struct client *c = e->client;
    struct connack ack;
    must_parse(e, mqbx_parse_connack(body, flags, c->version, &ack), PKT_CONNACK);
    must(e, e->state == END_CONNECTING, "a second CONNACK");
    if (ack.reason != RC_SUCCESS) {
        must(e, !ack.session_present, "refused with a session"); /* [MQTT-3.2.2-6] */
        must(e, c->world->options.ask != ASK_NOT || c->oracle->is_relaxed, "CONNECT refused");
        e->state = END_OVER;
        return;
    }
    if (ack.props.has & HAS_RECEIVE_MAXIMUM)
        e->broker_receive_maximum = ack.props.receive_maximum;
    if (ack.props.has & HAS_TOPIC_ALIAS_MAXIMUM)
        e->broker_alias_max = ack.props.topic_alias_maximum;
    if (e->broker_alias_max > ALIASES_MAX)
        e->broker_alias_max = ALIASES_MAX;
    if (e->is_zombie)
        e->state = END_OPEN;
    else
        client_on_connack(e, &ack);
}

static void on_disconnect(struct client_end *e, struct bytes body, uint8_t flags)
{
    struct disconnect d;
    must(e, e->client->version == MQTT_V5, "DISCONNECT to a 3.x client");
    must_parse(e, mqbx_parse_disconnect(body, flags, MQTT_V5, true, &d), PKT_DISCONNECT);
    world_trace(e->client->world, "%s gets DISCONNECT 0x%02x", e->client->id, d.reason);
    bool is_known = d.reason == RC_SESSION_TAKEN_OVER || d.reason == RC_KEEP_ALIVE_TIMEOUT ||
                    d.reason == RC_SERVER_SHUTTING_DOWN || d.reason == RC_QUOTA_EXCEEDED ||
                    (e->client->oracle->is_relaxed && d.reason == RC_SERVER_BUSY);
    if (!is_known)
        world_fail(e->client->world, "%s: DISCONNECT 0x%02x", e->client->id, d.reason);
    if (d.reason == RC_SESSION_TAKEN_OVER)
        must(e, e->is_zombie || e->has_stale, "taken over by nobody");
    e->was_disconnected = true;
}

/* --- PUBLISH ---------------------------------------------------------------------------------- */

/* [MQTT-3.3.2-8] to -12, from the receiver's side */
static void resolve_alias(struct client_end *e, struct publish *p)
{
    if (!(p->props.has & HAS_TOPIC_ALIAS))
        return;
    struct client *c = e->client;
    uint16_t alias = p->props.topic_alias;
    must(e, alias <= e->alias_max, "an alias over the maximum");
    if (p->topic.len > 0) {
        e->aliases_in[alias] = traffic_find_topic(c->traffic, p->topic) + 1;
        return;
    }
    must(e, e->aliases_in[alias] != 0, "an alias that was never set");
    uint32_t topic = e->aliases_in[alias] - 1;
    must(e, topic < TOPICS, "an alias of an unknown topic");
    p->topic = mqbx_bytes_of(c->traffic->topics[topic]);
}

static void fill(const struct publish *p, struct delivered *d)
{
    *d = (struct delivered){.topic = p->topic,
                            .payload = p->payload,
                            .qos = p->qos,
                            .retain = p->retain,
                            .dup = p->dup,
                            .has_expiry = (p->props.has & HAS_MESSAGE_EXPIRY) != 0,
                            .expiry_left_s = p->props.message_expiry_s};
    struct prop prop;
    for (uint32_t pos = 0; mqbx_prop_next(p->props.raw, &pos, &prop);)
        if (prop.id == 0x0b && d->id_count < SUBS)
            d->ids[d->id_count++] = prop.number;
}

/* Packet identifiers, DUP and the window, at QoS 1 and 2. */
static void check_window(struct client_end *e, const struct publish *p)
{
    bool is_open = BIT_HAS(e->open_ids, p->packet_id);
    must(e, !is_open, "a packet identifier that is in use"); /* [MQTT-2.2.1-4] */
    if (p->dup) {
        must(e, e->is_resumed, "DUP without a session resumed");
        must(e, !e->saw_fresh, "DUP behind a first transmission");
    } else {
        e->saw_fresh = true;
        must(e, p->qos == 1 || !BIT_HAS(e->client->stored, p->packet_id),
             "a first transmission with the identifier of a stored QoS 2 message");
    }
    BIT_SET(e->open_ids, p->packet_id);
    e->open_count++;
    if (e->open_count > e->receive_maximum) /* [MQTT-3.3.4-9] */
        world_fail(e->client->world, "%s: %u publishes under way, Receive Maximum is %u",
                   e->client->id, e->open_count, e->receive_maximum);
}

/* Now and then a message is refused. A refusal at QoS 2 may be lost, and then the message comes
 * anew; where values are counted that is not done. */
static uint8_t choose_reason(struct client *c, const struct publish *p, const struct message *m,
                             bool is_repeat)
{
    bool may = c->version == MQTT_V5 && !c->world->is_calm && m && !topic_is_retained(m->topic) &&
               !is_repeat && rng_percent(&c->world->rng, 2);
    if (!may)
        return RC_SUCCESS;
    if (p->qos == 2 && c->view.seen[m->id].fresh > 0)
        c->view.seen[m->id].fresh--;
    return RC_IMPLEMENTATION_SPECIFIC;
}

static void on_publish(struct client_end *e, struct bytes body, uint8_t flags)
{
    struct client *c = e->client;
    struct publish p;
    must_parse(e, mqbx_parse_publish(body, flags, c->version, &p), PKT_PUBLISH);
    must(e, e->state == END_OPEN, "PUBLISH before CONNACK");
    resolve_alias(e, &p);
    if (e->is_zombie)
        return;
    if (p.qos > 0)
        check_window(e, &p);
    struct delivered d;
    fill(&p, &d);
    d.is_repeat = p.qos == 2 && BIT_HAS(c->stored, p.packet_id);
    struct message *m = oracle_delivered(c->oracle, c, &d);
    world_trace(c->world, "%s gets message %u at QoS %u%s", c->id, m ? m->id : 0, p.qos,
                p.dup ? " DUP" : "");
    if (m && m->is_will)
        will_delivered(c->oracle, &c->sim->clients[m->publisher], m);
    if (p.qos == 0)
        return;
    struct held_ack ack = {.type = p.qos == 1 ? PKT_PUBACK : PKT_PUBREC,
                           .packet_id = p.packet_id,
                           .reason = choose_reason(c, &p, m, d.is_repeat),
                           .message = m && topic_is_group(m->topic) ? m->id : 0};
    if (p.qos == 2 && ack.reason == RC_SUCCESS)
        BIT_SET(c->stored, p.packet_id);
    client_hold_ack(e, &ack);
}

/* --- acknowledgements of ours ----------------------------------------------------------------- */

static struct out *find_out(struct client *c, uint16_t packet_id)
{
    for (uint32_t i = 0; i < OUTS_MAX; i++)
        if (c->outs[i].state != OUT_FREE && c->outs[i].packet_id == packet_id)
            return &c->outs[i];
    return NULL;
}

/* Acknowledgements come in the order of the publishes. [MQTT-4.6.0-2], [MQTT-4.6.0-3] */
static bool is_oldest(const struct client *c, const struct out *out)
{
    uint8_t qos = traffic_message(c->traffic, out->message)->qos;
    for (uint32_t i = 0; i < OUTS_MAX; i++) {
        const struct out *o = &c->outs[i];
        if (o->state == OUT_PUBLISHED && o->order < out->order &&
            traffic_message(c->traffic, o->message)->qos == qos)
            return false;
    }
    return true;
}

static void finish_out(struct client_end *e, struct out *out)
{
    out->state = OUT_FREE;
    must(e, e->quota_used > 0, "an acknowledgement too many");
    e->quota_used--;
}

static void settle_message(struct client *c, const struct out *out, uint8_t reason)
{
    struct message *m = traffic_message(c->traffic, out->message);
    if (reason < 0x80) {
        traffic_acked(c->traffic, m, c->world->step);
        return;
    }
    if (!c->oracle->is_relaxed)
        world_fail(c->world, "%s: message %u refused with 0x%02x", c->id, m->id, reason);
    m->fate = FATE_UNKNOWN;
}

static void on_puback(struct client_end *e, const struct ack *a)
{
    struct out *out = find_out(e->client, a->packet_id);
    must(e, out && traffic_message(e->client->traffic, out->message)->qos == 1,
         "PUBACK of nothing");
    must(e, is_oldest(e->client, out), "PUBACK out of order");
    settle_message(e->client, out, a->reason);
    finish_out(e, out);
}

static void on_pubrec(struct client_end *e, const struct ack *a)
{
    struct out *out = find_out(e->client, a->packet_id);
    must(e,
         out && out->state == OUT_PUBLISHED &&
             traffic_message(e->client->traffic, out->message)->qos == 2,
         "PUBREC of nothing");
    must(e, is_oldest(e->client, out), "PUBREC out of order");
    settle_message(e->client, out, a->reason);
    if (a->reason >= 0x80) {
        finish_out(e, out);
        return;
    }
    out->state = OUT_RELEASED;
    client_send_ack(e, PKT_PUBREL, a->packet_id, RC_SUCCESS);
}

static void on_pubcomp(struct client_end *e, const struct ack *a)
{
    struct out *out = find_out(e->client, a->packet_id);
    must(e, out && out->state == OUT_RELEASED, "PUBCOMP of nothing");
    finish_out(e, out);
}

static void on_pubrel(struct client_end *e, const struct ack *a)
{
    must(e, a->reason == RC_SUCCESS, "PUBREL with an error");
    /* Released before and not heard of: it counts as under way again. */
    if (!BIT_HAS(e->open_ids, a->packet_id)) {
        must(e, e->is_resumed, "PUBREL of nothing");
        BIT_SET(e->open_ids, a->packet_id);
        e->open_count++;
    }
    BIT_CLEAR(e->client->stored, a->packet_id);
    struct held_ack ack = {.type = PKT_PUBCOMP, .packet_id = a->packet_id};
    client_hold_ack(e, &ack);
}

static void on_ack(struct client_end *e, uint8_t type, struct bytes body, uint8_t flags)
{
    struct ack a;
    must_parse(e, mqbx_parse_ack(body, flags, e->client->version, type, &a), type);
    must(e, e->state == END_OPEN, "an acknowledgement before CONNACK");
    if (e->is_zombie)
        return;
    if (type == PKT_PUBACK)
        on_puback(e, &a);
    else if (type == PKT_PUBREC)
        on_pubrec(e, &a);
    else if (type == PKT_PUBREL)
        on_pubrel(e, &a);
    else
        on_pubcomp(e, &a);
}

/* --- SUBACK, UNSUBACK ------------------------------------------------------------------------- */

static struct operation *find_operation(struct client *c, uint8_t type, uint16_t packet_id)
{
    for (uint32_t i = 0; i < OPERATIONS_MAX; i++)
        if (c->operations[i].type == type && c->operations[i].packet_id == packet_id)
            return &c->operations[i];
    return NULL;
}

static void on_suback(struct client_end *e, struct bytes body, uint8_t flags)
{
    struct client *c = e->client;
    struct suback s;
    must_parse(e, mqbx_parse_suback(body, flags, c->version, &s), PKT_SUBACK);
    if (e->is_zombie)
        return;
    struct operation *op = find_operation(c, PKT_SUBSCRIBE, s.packet_id);
    must(e, op && s.codes.len == op->count, "SUBACK of nothing");
    for (uint32_t i = 0; i < op->count; i++)
        oracle_subscribed(c->oracle, c, op->subs[i], s.codes.ptr[i]);
    op->type = 0;
}

static void on_unsuback(struct client_end *e, struct bytes body, uint8_t flags)
{
    struct client *c = e->client;
    struct suback s;
    must_parse(e, mqbx_parse_unsuback(body, flags, c->version, &s), PKT_UNSUBACK);
    if (e->is_zombie)
        return;
    struct operation *op = find_operation(c, PKT_UNSUBSCRIBE, s.packet_id);
    bool has_codes = c->version == MQTT_V5;
    must(e, op && (!has_codes || s.codes.len == op->count), "UNSUBACK of nothing");
    for (uint32_t i = 0; i < op->count; i++)
        oracle_unsubscribed(c->oracle, c, op->subs[i], has_codes, has_codes ? s.codes.ptr[i] : 0);
    op->type = 0;
}

/* --- packets ---------------------------------------------------------------------------------- */

static void on_packet(struct client_end *e, const struct frame *f, struct bytes body)
{
    must(e, !e->was_disconnected, "a packet behind DISCONNECT");
    must(e, e->state != END_OVER, "a packet behind a refusal");
    if (f->header_len + f->body_len > e->max_packet) /* [MQTT-3.1.2-24] */
        world_fail(e->client->world, "%s: %s of %u bytes, the maximum is %u", e->client->id,
                   mqbx_packet_name(f->type), f->header_len + f->body_len, e->max_packet);
    switch (f->type) {
    case PKT_CONNACK:
        on_connack(e, body, f->flags);
        break;
    case PKT_PUBLISH:
        on_publish(e, body, f->flags);
        break;
    case PKT_PUBACK:
    case PKT_PUBREC:
    case PKT_PUBREL:
    case PKT_PUBCOMP:
        on_ack(e, f->type, body, f->flags);
        break;
    case PKT_SUBACK:
        on_suback(e, body, f->flags);
        break;
    case PKT_UNSUBACK:
        on_unsuback(e, body, f->flags);
        break;
    case PKT_PINGRESP:
        must_parse(e, mqbx_parse_empty(body, f->flags), PKT_PINGRESP);
        break;
    case PKT_DISCONNECT:
        on_disconnect(e, body, f->flags);
        break;
    default:
        must(e, false, "a packet brokers do not send");
    }
}

static bool take_packet(struct client_end *e, size_t *at)
{
    struct frame f;
    uint8_t reason = 0;
    enum frame_status status = mqbx_frame(e->rx + *at, e->rx_len - *at, &f, &reason);
    must(e, status != FRAME_BAD, "a malformed fixed header");
    if (status != FRAME_OK || e->rx_len - *at < f.header_len + (size_t)f.body_len)
        return false;
    const uint8_t *body = e->rx + *at + f.header_len;
    *at += f.header_len + (size_t)f.body_len;
    on_packet(e, &f, mqbx_bytes(body, f.body_len));
    return true;
}

static size_t pull(struct client_end *e)
{
    size_t most = rng_percent(&e->client->world->rng, 70) ? 65536 : 64;
    if (e->rx_len + most > e->rx_cap) {
        e->rx_cap = (e->rx_len + most) * 2;
        e->rx = realloc(e->rx, e->rx_cap);
        if (!e->rx)
            abort();
    }
    size_t n = sim_link_receive(e->link, e->rx + e->rx_len, most);
    e->rx_len += n;
    return n;
}

bool client_end_read(struct client_end *e)
{
    if (pull(e) == 0)
        return false;
    size_t at = 0;
    while (take_packet(e, &at))
        ;
    memmove(e->rx, e->rx + at, e->rx_len - at);
    e->rx_len -= at;
    return true;
}
