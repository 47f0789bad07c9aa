/* SPDX-License-Identifier: MIT */
/*
 * See subscriber.h. What it demands of the broker beside the ledger's rules: Receive Maximum kept,
 * no packet id twice at once, nothing sent again while connected ([MQTT-4.4.0-1]), DUP on what is
 * sent again and on nothing after it, the same message under the same id.
 */
#include "subscriber.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SUBSCRIBE_ID = 1, UNLIMITED = 65535 };

static struct subscriber *subscriber_of(struct actor *a)
{
    return (struct subscriber *)a;
}

static void on_greeting(struct actor *a, bool eager)
{
    struct subscriber *s = subscriber_of(a);
    (void)eager;
    s->has_seen_new = false;
    s->has_pinged = false;
    s->open_ids = 0;
    s->answer_count = 0;
    memset(s->is_open, 0, SUBSCRIBER_IDS * sizeof *s->is_open);
    ledger_reconnected(a->crowd->ledger, s->number);
}

static void on_greeted(struct actor *a, const struct mini_packet *connack)
{
    struct subscriber *s = subscriber_of(a);
    char filter[64];
    (void)connack;
    if (!s->is_subscribed) {
        snprintf(filter, sizeof filter, s->number % 2 ? "order%u/+/%u" : "order%u/+/%u/#",
                 a->crowd->run, s->group);
        mini_send_subscribe(&a->link, SUBSCRIBE_ID, filter, 2);
    }
}

/* The topic must be that of the message. */
static bool has_its_topic(const struct subscriber *s, const struct mini_packet *p,
                          struct message_id id)
{
    char topic[64];
    int bytes =
        snprintf(topic, sizeof topic, "order%u/%u/%u", s->actor.crowd->run, id.publisher, id.group);
    return id.group == s->group && p->topic_bytes == (size_t)bytes &&
           memcmp(topic, p->topic, p->topic_bytes) == 0;
}

static void enter(struct subscriber *s, struct message_id id, bool dup)
{
    struct crowd *c = s->actor.crowd;
    const char *wrong = ledger_receive(c->ledger, s->number, id, dup);
    if (wrong) {
        crowd_fault(c, &s->actor, "%s: publisher %u, group %u, number %u, DUP %d", wrong,
                    id.publisher, id.group, id.number, dup);
    }
}

static void answer(struct subscriber *s, enum mini_type type, uint16_t packet_id)
{
    s->answers[s->answer_count++] = (struct answer){type, packet_id};
}

static void open_id(struct subscriber *s, uint16_t packet_id, bool dup)
{
    struct actor *a = &s->actor;
    if (s->is_open[packet_id]) {
        crowd_fault(a->crowd, a, "packet id %u is given out twice at once", packet_id);
        return;
    }
    s->is_open[packet_id] = true;
    if (++s->open_ids > a->receive_maximum) {
        crowd_fault(a->crowd, a, "%u under way, Receive Maximum is %u", s->open_ids,
                    a->receive_maximum);
    }
    if (dup && (a->connections == 1 || s->has_seen_new)) {
        crowd_fault(a->crowd, a, "id %u: DUP on what was never sent before", packet_id);
    }
    s->has_seen_new = s->has_seen_new || !dup;
}

static void close_id(struct subscriber *s, uint16_t packet_id)
{
    if (s->is_open[packet_id]) {
        s->is_open[packet_id] = false;
        s->open_ids--;
    }
}

static bool is_same(struct message_id a, struct message_id b)
{
    return a.publisher == b.publisher && a.group == b.group && a.qos == b.qos &&
           a.number == b.number;
}

static void take_qos2(struct subscriber *s, struct message_id id, uint16_t packet_id, bool dup)
{
    if (!s->is_kept[packet_id]) {
        s->is_kept[packet_id] = true;
        s->kept[packet_id] = id;
        enter(s, id, dup);
    } else if (!dup || !is_same(s->kept[packet_id], id)) {
        crowd_fault(s->actor.crowd, &s->actor, "id %u again with %s", packet_id,
                    dup ? "another message" : "no DUP");
    }
    answer(s, MINI_PUBREC, packet_id);
}

static void take_publish(struct subscriber *s, const struct mini_packet *p)
{
    struct crowd *c = s->actor.crowd;
    bool dup = (p->flags & 8) != 0;
    unsigned qos = p->flags >> 1 & 3;
    struct message_id id;
    if (!ledger_read(p->payload, p->payload_bytes, &id) || !has_its_topic(s, p, id) ||
        id.qos != qos || (p->flags & 1)) {
        crowd_fault(c, &s->actor, "a PUBLISH that nobody sent so, QoS %u", qos);
        return;
    }
    c->redelivered += dup;
    if (qos == 0) {
        enter(s, id, dup);
        return;
    }
    open_id(s, p->packet_id, dup);
    if (qos == 1) {
        enter(s, id, dup);
        answer(s, MINI_PUBACK, p->packet_id);
    } else {
        take_qos2(s, id, p->packet_id, dup);
    }
}

static void take_pubrel(struct subscriber *s, uint16_t packet_id)
{
    if (!s->is_kept[packet_id] && s->actor.connections == 1) {
        crowd_fault(s->actor.crowd, &s->actor, "PUBREL for id %u, which has no message", packet_id);
    }
    s->is_kept[packet_id] = false;
    answer(s, MINI_PUBCOMP, packet_id);
}

static void on_packet(struct actor *a, const struct mini_packet *packet)
{
    struct subscriber *s = subscriber_of(a);
    switch (packet->type) {
    case MINI_PUBLISH:
        take_publish(s, packet);
        break;
    case MINI_PUBREL:
        take_pubrel(s, packet->packet_id);
        break;
    case MINI_SUBACK:
        s->is_subscribed = true;
        if (packet->packet_id != SUBSCRIBE_ID || packet->reason != 2) {
            crowd_fault(a->crowd, a, "SUBACK with code %u", packet->reason);
        }
        break;
    case MINI_PINGRESP:
        s->has_pong = true;
        break;
    default:
        crowd_fault(a->crowd, a, "a packet of type %d", (int)packet->type);
        break;
    }
}

static void on_turn(struct actor *a)
{
    struct subscriber *s = subscriber_of(a);
    unsigned n = s->is_slow ? crowd_draw(a->crowd, 6) : s->answer_count;
    n = n < s->answer_count ? n : s->answer_count;
    for (unsigned i = 0; i < n; i++) {
        struct answer w = s->answers[i];
        mini_send_ack(&a->link, w.type, w.packet_id);
        if (w.type != MINI_PUBREC) {
            close_id(s, w.packet_id);
        }
    }
    s->answer_count -= n;
    memmove(s->answers, s->answers + n, s->answer_count * sizeof *s->answers);
    if (s->wants_pong && !s->has_pinged && s->answer_count == 0) {
        s->has_pinged = true;
        mini_send_bare(&a->link, MINI_PINGREQ);
    }
}

static const struct actor_class subscriber_class = {
    .greeting = on_greeting,
    .greeted = on_greeted,
    .packet = on_packet,
    .turn = on_turn,
};

void subscriber_init(struct subscriber *subscriber, struct crowd *crowd, unsigned number)
{
    *subscriber = (struct subscriber){
        .number = number,
        .group = (uint8_t)(number % LEDGER_GROUPS),
        .is_slow = number % 4 == 3,
        .is_open = calloc(SUBSCRIBER_IDS, sizeof *subscriber->is_open),
        .kept = calloc(SUBSCRIBER_IDS, sizeof *subscriber->kept),
        .is_kept = calloc(SUBSCRIBER_IDS, sizeof *subscriber->is_kept),
        .answers = calloc((size_t)SUBSCRIBER_IDS * 2, sizeof *subscriber->answers),
    };
    if (!subscriber->is_open || !subscriber->kept || !subscriber->is_kept || !subscriber->answers) {
        abort();
    }
    actor_init(&subscriber->actor, &subscriber_class, crowd, "subscriber", number);
    unsigned drawn = 1 + crowd_draw(crowd, 40);
    bool is_limited =
        subscriber->actor.version == MINI_V5 && !getenv("MQB_TEST_NO_RECEIVE_MAXIMUM");
    subscriber->actor.receive_maximum = is_limited ? (uint16_t)drawn : UNLIMITED;
}

void subscriber_fini(struct subscriber *subscriber)
{
    actor_fini(&subscriber->actor);
    free(subscriber->is_open);
    free(subscriber->kept);
    free(subscriber->is_kept);
    free(subscriber->answers);
}
