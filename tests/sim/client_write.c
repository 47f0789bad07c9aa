/* SPDX-License-Identifier: MIT */
/*
 * What a client sends: publishes, acknowledgements, subscriptions.
 */
#include <string.h>

#include "client.h"
#include "sim.h"

void client_send_writer(struct client_end *e, const struct writer *w)
{
    if (w->overflow)
        world_fail(e->client->world, "a packet over the scratch buffer");
    sim_link_send(e->link, w->ptr, w->len);
    e->last_sent_ms = e->client->world->now_ms;
}

static struct writer begin(const struct client *c)
{
    return mqbx_writer(c->sim->scratch, SCRATCH);
}

/* --- acknowledgements ------------------------------------------------------------------------- */

void client_send_ack(struct client_end *e, uint8_t type, uint16_t packet_id, uint8_t reason)
{
    struct ack a = {.packet_id = packet_id, .reason = reason};
    struct writer w = begin(e->client);
    mqbx_write_ack(&w, e->client->version, type, &a);
    client_send_writer(e, &w);
}

static bool is_done(const struct held_ack *a)
{
    return a->type == PKT_PUBACK || a->type == PKT_PUBCOMP || a->reason >= 0x80;
}

bool client_flush_ack(struct client_end *e, uint32_t which)
{
    if (which >= e->held_count)
        return false;
    struct held_ack a = e->held[which];
    memmove(e->held + which, e->held + which + 1, (e->held_count - which - 1) * sizeof(a));
    e->held_count--;
    struct message *m = traffic_message(e->client->traffic, a.message);
    if (m && a.reason >= 0x80)
        m->group_refusals++;
    else if (m)
        m->group_acks++;
    if (is_done(&a)) {
        BIT_CLEAR(e->open_ids, a.packet_id);
        e->open_count--;
    }
    client_send_ack(e, a.type, a.packet_id, a.reason);
    return true;
}

void client_hold_ack(struct client_end *e, const struct held_ack *a)
{
    if (e->held_count == HELD_MAX)
        client_flush_ack(e, 0);
    e->held[e->held_count++] = *a;
    if (e->client->world->is_calm || rng_percent(&e->client->world->rng, 60))
        while (client_flush_ack(e, 0))
            ;
}

/* --- publishing ------------------------------------------------------------------------------- */

uint32_t client_outs(const struct client *c)
{
    uint32_t n = 0;
    for (uint32_t i = 0; i < OUTS_MAX; i++)
        n += c->outs[i].state != OUT_FREE;
    return n;
}

static bool is_id_used(const struct client *c, uint16_t id)
{
    for (uint32_t i = 0; i < OUTS_MAX; i++)
        if (c->outs[i].state != OUT_FREE && c->outs[i].packet_id == id)
            return true;
    for (uint32_t i = 0; i < OPERATIONS_MAX; i++)
        if (c->operations[i].type != 0 && c->operations[i].packet_id == id)
            return true;
    return false;
}

static uint16_t next_id(struct client *c)
{
    do {
        c->next_packet_id = (uint16_t)(c->next_packet_id % 65535 + 1);
    } while (is_id_used(c, c->next_packet_id));
    return c->next_packet_id;
}

static void use_alias(struct client_end *e, const struct message *m, struct publish *p)
{
    struct rng *r = &e->client->world->rng;
    if (e->broker_alias_max == 0 || rng_percent(r, 50))
        return;
    uint16_t alias = (uint16_t)rng_between(r, 1, e->broker_alias_max);
    p->props.has |= HAS_TOPIC_ALIAS;
    p->props.topic_alias = alias;
    if (e->aliases_out[alias] == m->topic + 1)
        p->topic.len = 0;
    e->aliases_out[alias] = m->topic + 1;
}

static void write_publish(struct client_end *e, struct message *m, uint16_t packet_id, bool dup)
{
    struct client *c = e->client;
    static const uint8_t nothing[1];
    uint8_t payload[32768];
    if (m->size > 0)
        traffic_payload(m, payload);
    struct publish p = {.dup = dup,
                        .retain = m->retain,
                        .qos = m->qos,
                        .packet_id = packet_id,
                        .topic = mqbx_bytes_of(c->traffic->topics[m->topic]),
                        .payload = mqbx_bytes(m->size > 0 ? payload : nothing, m->size)};
    if (c->version == MQTT_V5) {
        if (m->expiry_s != NO_EXPIRY) {
            p.props.has |= HAS_MESSAGE_EXPIRY;
            p.props.message_expiry_s = m->expiry_s;
        }
        use_alias(e, m, &p);
    }
    struct writer w = begin(c);
    mqbx_write_publish(&w, c->version, &p);
    m->sends++;
    client_send_writer(e, &w);
}

static struct out *free_out(struct client *c)
{
    for (uint32_t i = 0; i < OUTS_MAX; i++)
        if (c->outs[i].state == OUT_FREE)
            return &c->outs[i];
    return NULL;
}

bool client_publish(struct client *c, const struct message *fields)
{
    struct client_end *e = c->end;
    struct out *out = free_out(c);
    if (fields->qos > 0 && (!out || e->quota_used >= e->broker_receive_maximum))
        return false;
    struct message *m = traffic_new(c->traffic, fields);
    m->publisher = c->index;
    m->sent_step = c->world->step;
    m->sent_ms = c->world->now_ms;
    m->fate = m->qos == 0 ? FATE_UNKNOWN : FATE_OPEN;
    if (topic_is_retained(m->topic))
        c->traffic->last_sent[m->topic - TOPIC_RETAINED] = m->id;
    uint16_t id = 0;
    if (m->qos > 0) {
        id = next_id(c);
        *out = (struct out){
            .state = OUT_PUBLISHED, .packet_id = id, .message = m->id, .order = ++c->out_order};
        e->quota_used++;
    }
    world_trace(c->world, "%s publishes message %u on %s at QoS %u%s%s", c->id, m->id,
                c->traffic->topics[m->topic], m->qos, m->retain ? " retained" : "",
                m->is_empty ? " empty" : "");
    write_publish(e, m, id, false);
    return true;
}

/* [MQTT-4.4.0-1] in the order they were sent [MQTT-4.6.0-1] */
void client_resend(struct client *c)
{
    struct client_end *e = c->end;
    uint64_t after = 0;
    for (;;) {
        struct out *next = NULL;
        for (uint32_t i = 0; i < OUTS_MAX; i++) {
            struct out *out = &c->outs[i];
            if (out->state != OUT_FREE && out->order > after && (!next || out->order < next->order))
                next = out;
        }
        if (!next)
            return;
        after = next->order;
        e->quota_used++;
        if (next->state == OUT_RELEASED)
            client_send_ack(e, PKT_PUBREL, next->packet_id, RC_SUCCESS);
        else
            write_publish(e, traffic_message(c->traffic, next->message), next->packet_id, true);
    }
}

void client_forget_outs(struct client *c)
{
    for (uint32_t i = 0; i < OUTS_MAX; i++) {
        struct message *m = traffic_message(c->traffic, c->outs[i].message);
        if (c->outs[i].state == OUT_PUBLISHED && m->fate == FATE_OPEN)
            m->fate = FATE_UNKNOWN;
        c->outs[i].state = OUT_FREE;
    }
}

void client_ping(struct client *c)
{
    struct writer w = begin(c);
    mqbx_write_ping(&w, PKT_PINGREQ);
    client_send_writer(c->end, &w);
}

/* --- subscribing ------------------------------------------------------------------------------ */

static struct operation *new_operation(struct client *c, uint8_t type, const uint32_t *subs,
                                       uint32_t count)
{
    for (uint32_t i = 0; i < OPERATIONS_MAX; i++) {
        struct operation *op = &c->operations[i];
        if (op->type != 0)
            continue;
        *op = (struct operation){.packet_id = next_id(c), .count = count};
        op->type = type;
        memcpy(op->subs, subs, count * sizeof(*subs));
        return op;
    }
    return NULL;
}

bool client_subscribe(struct client *c, const uint32_t *subs, const struct sub_options *options,
                      uint32_t count)
{
    struct operation *op = new_operation(c, PKT_SUBSCRIBE, subs, count);
    if (!op)
        return false;
    struct subscribe_filter filters[OPERATION_SUBS];
    struct props props = {.has = 0};
    for (uint32_t i = 0; i < count; i++) {
        const struct sub_options *o = &options[i];
        filters[i] = (struct subscribe_filter){.filter = mqbx_bytes_of(traffic_sub_text(subs[i])),
                                               .qos = o->qos,
                                               .no_local = o->no_local,
                                               .retain_as_published = o->retain_as_published,
                                               .retain_handling = o->retain_handling};
        oracle_subscribe_sent(c->oracle, c, subs[i], o);
        world_trace(c->world, "%s subscribes to %s at QoS %u", c->id, traffic_sub_text(subs[i]),
                    o->qos);
    }
    if (options[0].identifier != 0) {
        props.has = HAS_SUBSCRIPTION_ID;
        props.subscription_id = options[0].identifier;
    }
    struct writer w = begin(c);
    mqbx_write_subscribe(&w, c->version, op->packet_id, &props, filters, count);
    client_send_writer(c->end, &w);
    return true;
}

bool client_unsubscribe(struct client *c, const uint32_t *subs, uint32_t count)
{
    struct operation *op = new_operation(c, PKT_UNSUBSCRIBE, subs, count);
    if (!op)
        return false;
    struct bytes filters[OPERATION_SUBS];
    struct props props = {.has = 0};
    for (uint32_t i = 0; i < count; i++) {
        filters[i] = mqbx_bytes_of(traffic_sub_text(subs[i]));
        oracle_unsubscribe_sent(c->oracle, c, subs[i]);
        world_trace(c->world, "%s unsubscribes from %s", c->id, traffic_sub_text(subs[i]));
    }
    struct writer w = begin(c);
    mqbx_write_unsubscribe(&w, c->version, op->packet_id, &props, filters, count);
    client_send_writer(c->end, &w);
    return true;
}
