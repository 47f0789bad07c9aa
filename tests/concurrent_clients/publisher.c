/* SPDX-License-Identifier: MIT */
/*
 * See publisher.h. Acknowledgements must come in the order of what they acknowledge ([MQTT-4.6.0-2]
 * and after): each is checked against the oldest flight that waits for one of its kind.
 */
#include "publisher.h"

#include <stdio.h>
#include <string.h>

enum { MESSAGES_A_TURN = 6, PACKET_ID_NOT_FOUND = 0x92 };

static struct publisher *publisher_of(struct actor *a)
{
    return (struct publisher *)a;
}

static void send_message(struct publisher *p, struct message_id id, uint16_t packet_id, bool dup)
{
    char topic[64];
    uint8_t payload[LEDGER_PAYLOAD_BYTES];
    snprintf(topic, sizeof topic, "order%u/%u/%u", p->actor.crowd->run, id.publisher, id.group);
    size_t bytes = ledger_payload(id, payload);
    mini_send_publish(&p->actor.link, &(struct mini_publish){.topic = topic,
                                                             .payload = payload,
                                                             .payload_bytes = bytes,
                                                             .packet_id = packet_id,
                                                             .qos = id.qos,
                                                             .dup = dup});
}

static uint16_t draw_packet_id(struct publisher *p)
{
    do {
        p->last_packet_id = (uint16_t)(p->last_packet_id % 65535 + 1);
        for (unsigned i = 0; i < p->flight_count; i++) {
            if (p->flights[i].packet_id == p->last_packet_id) {
                p->last_packet_id++;
                break;
            }
        }
    } while (p->last_packet_id == 0);
    return p->last_packet_id;
}

static void make_message(struct publisher *p)
{
    struct crowd *c = p->actor.crowd;
    uint8_t group = (uint8_t)crowd_draw(c, LEDGER_GROUPS);
    uint8_t qos = (uint8_t)crowd_draw(c, LEDGER_QOS);
    struct message_id id = ledger_publish(c->ledger, p->number, group, qos);
    uint16_t packet_id = 0;
    if (qos > 0) {
        packet_id = draw_packet_id(p);
        p->flights[p->flight_count++] = (struct flight){.message = id, .packet_id = packet_id};
    }
    p->left--;
    send_message(p, id, packet_id, false);
}

static void speak(struct publisher *p)
{
    for (unsigned i = 0; i < MESSAGES_A_TURN && p->left > 0; i++) {
        if (p->flight_count >= p->window || p->actor.phase == ACTOR_AWAY) {
            return;
        }
        make_message(p);
        actor_count(&p->actor);
    }
}

/* [MQTT-4.4.0-1]: what was not acknowledged, in its old order. */
static void resume(struct publisher *p)
{
    for (unsigned i = 0; i < p->flight_count; i++) {
        struct flight *f = &p->flights[i];
        f->is_again = true;
        if (f->is_released) {
            mini_send_ack(&p->actor.link, MINI_PUBREL, f->packet_id);
        } else {
            ledger_resent(p->actor.crowd->ledger, f->message);
            send_message(p, f->message, f->packet_id, true);
        }
    }
}

static void on_greeting(struct actor *a, bool eager)
{
    if (eager) {
        resume(publisher_of(a));
        speak(publisher_of(a));
    }
}

static void on_greeted(struct actor *a, const struct mini_packet *connack)
{
    struct publisher *p = publisher_of(a);
    uint16_t theirs = connack->receive_maximum;
    p->window = theirs < PUBLISHER_WINDOW ? theirs : PUBLISHER_WINDOW;
    if (!a->is_eager) {
        resume(p);
    }
}

/* The oldest flight that waits for such a packet; NULL if there is none. */
static struct flight *oldest(struct publisher *p, enum mini_type type)
{
    for (unsigned i = 0; i < p->flight_count; i++) {
        struct flight *f = &p->flights[i];
        if ((type == MINI_PUBACK && f->message.qos == 1) ||
            (type == MINI_PUBREC && f->message.qos == 2 && !f->is_released) ||
            (type == MINI_PUBCOMP && f->is_released)) {
            return f;
        }
    }
    return NULL;
}

static void land(struct publisher *p, struct flight *f)
{
    size_t after = (size_t)(p->flights + p->flight_count - f) - 1;
    memmove(f, f + 1, after * sizeof *f);
    p->flight_count--;
}

static void on_packet(struct actor *a, const struct mini_packet *packet)
{
    struct publisher *p = publisher_of(a);
    struct flight *f = oldest(p, packet->type);
    if (!f || f->packet_id != packet->packet_id) {
        crowd_fault(a->crowd, a, "packet of type %d for id %u, %u wanted", (int)packet->type,
                    packet->packet_id, f ? f->packet_id : 0u);
        return;
    }
    bool is_known_gone =
        packet->type == MINI_PUBCOMP && f->is_again && packet->reason == PACKET_ID_NOT_FOUND;
    if (packet->reason != 0 && !is_known_gone) {
        crowd_fault(a->crowd, a, "packet of type %d with reason %u", (int)packet->type,
                    packet->reason);
    }
    if (packet->type == MINI_PUBREC) {
        f->is_released = true;
        mini_send_ack(&a->link, MINI_PUBREL, f->packet_id);
    } else {
        land(p, f);
    }
}

static void on_turn(struct actor *a)
{
    speak(publisher_of(a));
}

static const struct actor_class publisher_class = {
    .greeting = on_greeting,
    .greeted = on_greeted,
    .packet = on_packet,
    .turn = on_turn,
};

void publisher_init(struct publisher *publisher, struct crowd *crowd, unsigned number,
                    uint32_t messages)
{
    *publisher = (struct publisher){.number = number, .left = messages};
    actor_init(&publisher->actor, &publisher_class, crowd, "publisher", number);
}

bool publisher_is_done(const struct publisher *publisher)
{
    return publisher->left == 0 && publisher->flight_count == 0;
}
