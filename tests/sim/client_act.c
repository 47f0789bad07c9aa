/* SPDX-License-Identifier: MIT */
/*
 * What a client does when nobody tells it to: chance, within the protocol.
 */
#include "client.h"
#include "sim.h"

#define SUBSCRIPTIONS_MAX 5u

/* --- publishing ------------------------------------------------------------------------------- */

static uint32_t choose_topic(struct client *c)
{
    struct rng *r = &c->world->rng;
    uint32_t kind = rng_below(r, 10);
    if (c->index < RETAINED_PUBLISHERS && kind < 4)
        return TOPIC_RETAINED + c->index * RETAINED_PER_PUBLISHER +
               rng_below(r, RETAINED_PER_PUBLISHER);
    if (kind < 6)
        return TOPIC_GROUP + rng_below(r, GROUPS);
    return TOPIC_PLAIN + rng_below(r, PLAIN_TOPICS);
}

static void act_publish(struct client *c)
{
    struct rng *r = &c->world->rng;
    uint32_t topic = choose_topic(c);
    struct message m = {.topic = topic,
                        .qos = (uint8_t)rng_below(r, 3),
                        .expiry_s = NO_EXPIRY,
                        .size = traffic_random_size(r, !topic_is_group(topic))};
    if (topic_is_retained(topic)) {
        m.qos = fixed_qos(topic);
        m.retain = true;
        m.is_empty = rng_percent(r, 10);
        m.size = m.is_empty ? 0 : m.size;
    }
    if (c->version == MQTT_V5 && rng_percent(r, 8))
        m.expiry_s = rng_between(r, 1, 8);
    client_publish(c, &m);
}

/* --- subscribing ------------------------------------------------------------------------------ */

static uint32_t choose_sub(struct client *c)
{
    struct rng *r = &c->world->rng;
    return rng_percent(r, 75) ? rng_below(r, FILTERS) : FILTERS + rng_below(r, GROUPS);
}

/* Identifiers name the subscription, so that a delivery tells whose it is. */
static void choose_options(struct client *c, uint32_t sub, struct sub_options *o)
{
    struct rng *r = &c->world->rng;
    *o = (struct sub_options){.qos = (uint8_t)rng_below(r, 3)};
    if (sub_is_group(sub))
        o->qos = fixed_qos(sub - FILTERS);
    if (c->version != MQTT_V5)
        return;
    if (!sub_is_group(sub)) {
        o->no_local = rng_percent(r, 20);
        o->retain_handling = (uint8_t)(rng_percent(r, 60) ? 0 : rng_below(r, 3));
    }
    o->retain_as_published = rng_percent(r, 30);
    if (c->uses_identifiers)
        o->identifier = sub + 1;
}

/* The same filter is not asked for twice at once: which answer belongs to which could not be told
 * apart. */
static bool is_free(const struct client *c, uint32_t sub, const uint32_t *others, uint32_t count)
{
    if (c->view.subs[sub].state == SUB_ASKED || c->view.subs[sub].state == SUB_LEAVING)
        return false;
    for (uint32_t i = 0; i < count; i++)
        if (others[i] == sub)
            return false;
    return true;
}

static void act_unsubscribe(struct client *c)
{
    uint32_t sub = choose_sub(c);
    bool is_anchors = c->is_anchor && sub == FILTERS + c->index;
    if (!is_anchors && is_free(c, sub, NULL, 0))
        client_unsubscribe(c, &sub, 1);
}

static uint32_t subscriptions(const struct client *c)
{
    uint32_t n = 0;
    for (uint32_t i = 0; i < SUBS; i++)
        n += c->view.subs[i].state != SUB_NONE;
    return n;
}

static void act_subscribe(struct client *c)
{
    struct rng *r = &c->world->rng;
    if (subscriptions(c) >= SUBSCRIPTIONS_MAX) {
        act_unsubscribe(c);
        return;
    }
    uint32_t subs[OPERATION_SUBS];
    struct sub_options options[OPERATION_SUBS];
    /* An identifier is the packet's: with them, one filter a packet. */
    uint32_t most = c->uses_identifiers ? 1 : rng_between(r, 1, OPERATION_SUBS);
    uint32_t count = 0;
    for (uint32_t i = 0; i < most; i++) {
        uint32_t sub = choose_sub(c);
        if (c->is_anchor && i == 0 && c->view.subs[FILTERS + c->index].state != SUB_ACTIVE)
            sub = FILTERS + c->index;
        if (!is_free(c, sub, subs, count))
            continue;
        const struct sub *now = &c->view.subs[sub];
        choose_options(c, sub, &options[count]);
        if (now->state == SUB_ACTIVE && rng_percent(r, 70)) {
            uint8_t handling = options[count].retain_handling;
            options[count] = now->options; /* only once more, for its retained values */
            options[count].retain_handling = handling;
        }
        subs[count++] = sub;
    }
    if (count > 0)
        client_subscribe(c, subs, options, count);
}

void client_act_at_once(struct client *c)
{
    struct rng *r = &c->world->rng;
    if (rng_percent(r, 70))
        act_subscribe(c);
    for (uint32_t i = rng_below(r, 3); i > 0; i--)
        act_publish(c);
}

/* --- the connection --------------------------------------------------------------------------- */

static void act_connect(struct client *c)
{
    struct rng *r = &c->world->rng;
    if (c->connect_at_ms > c->world->now_ms && !c->sim->is_calm)
        return;
    if (!client_may_connect(c) || (c->sim->is_calm && c->class == CLASS_CLEAN))
        return;
    bool is_clean = c->must_be_clean || (c->class == CLASS_CLEAN && rng_percent(r, 80)) ||
                    (!c->is_anchor && !c->sim->is_calm && rng_percent(r, 8));
    client_connect(c, is_clean);
}

static void act_leave(struct client *c)
{
    struct rng *r = &c->world->rng;
    uint32_t kind = rng_below(r, 10);
    bool is_v5 = c->version == MQTT_V5;
    if (kind < 4)
        client_cut(c);
    else if (kind < 5)
        client_silence(c);
    else if (kind < 7)
        client_connect(c, !c->is_anchor && rng_percent(r, 15)); /* takes its own id over */
    else if (client_is_open(c) && !c->end->has_sent_disconnect)
        client_disconnect(c, is_v5 && rng_percent(r, 30),
                          is_v5 && !c->is_anchor && c->expiry_s > 0 && rng_percent(r, 15));
}

static void act_open(struct client *c)
{
    struct rng *r = &c->world->rng;
    uint32_t kind = rng_below(r, 1000);
    if (kind < 250)
        act_publish(c);
    else if (kind < 320)
        act_subscribe(c);
    else if (kind < 340)
        act_unsubscribe(c);
    else if (kind < 360)
        c->end->stalled_until_ms = c->world->now_ms + rng_below(r, 3000);
    else if (kind < 385)
        act_leave(c);
    else if (kind < 600 && c->end->held_count > 0) /* out of order, now and then */
        client_flush_ack(c->end, rng_percent(r, 90) ? 0 : rng_below(r, c->end->held_count));
}

static void keep_alive(struct client *c)
{
    const struct client_end *e = c->end;
    if (client_is_open(c) && e->keep_alive_s > 0 && !e->has_sent_disconnect &&
        c->world->now_ms - e->last_sent_ms > e->keep_alive_s * 500ull)
        client_ping(c);
}

static void read_some(struct client *c)
{
    struct client_end *e = c->end;
    if (e->stalled_until_ms > c->world->now_ms && !c->sim->is_calm)
        return;
    client_end_read(e);
    if (c->end == e && (e->state == END_OVER || sim_link_is_over(e->link)))
        client_end_over(c, true);
}

static void come_to_rest(struct client *c)
{
    if (!client_is_open(c) || c->end->has_sent_disconnect)
        return;
    while (client_flush_ack(c->end, 0))
        ;
    if (c->must_be_clean)
        client_connect(c, true);
}

void client_act(struct client *c)
{
    struct rng *r = &c->world->rng;
    if (!c->end) {
        act_connect(c);
        return;
    }
    if (c->sim->is_calm || rng_percent(r, 70))
        read_some(c);
    if (!c->end)
        return;
    keep_alive(c);
    if (c->sim->is_calm)
        come_to_rest(c);
    else if (client_is_open(c) && !c->end->has_sent_disconnect)
        act_open(c);
    else if (rng_one_in(r, 400))
        act_leave(c); /* while connecting, or waiting for the broker to close */
}
