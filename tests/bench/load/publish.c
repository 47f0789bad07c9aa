/* SPDX-License-Identifier: MIT */
/*
 * When a message goes out: a publisher that can send is in a queue, the window and the rate say how
 * many messages may go, and each publisher in its turn sends a burst of them in one write.
 */
#include <stdlib.h>
#include <string.h>

#include "load.h"
#include "topics.h"
#include "wire.h"

#define TURN_MESSAGES 1024u /* at most between two looks at what has arrived */

void publisher_init(struct load *l, struct client *c)
{
    char topic[TOPIC_BYTES];
    struct publisher *own = load_need(calloc(1, sizeof(*own)));
    topic_write(l, c->number, topic);
    size_t payload = (size_t)l->o->payload_bytes;
    size_t body = 2 + strlen(topic) + (l->o->publish_qos ? 2 : 0) + (l->o->version == 5) + payload;
    own->packet = load_need(calloc(1, body + 8));
    uint8_t *at = own->packet;
    *at++ = (uint8_t)(PUBLISH << 4 | l->o->publish_qos << 1 | (l->o->scenario == RETAIN));
    at = put_varint(at, (uint32_t)body);
    at = put_text(at, topic);
    own->topic_end = own->id_at = (size_t)(at - own->packet);
    at += l->o->publish_qos ? 2 : 0;
    at += l->o->version == 5; /* no properties */
    own->payload_at = (size_t)(at - own->packet);
    own->packet_bytes = own->payload_at + payload;
    for (size_t i = MESSAGE_HEADER; i < payload; i++)
        at[i] = (uint8_t)('a' + i % 26);
    memcpy(at, &l->magic, 4);
    memcpy(at + 4, &c->number, 4);
    c->publisher = own;
}

void publisher_connected(struct load *l, struct client *c, uint32_t receive_maximum)
{
    struct publisher *own = c->publisher;
    uint32_t window = (uint32_t)l->o->window;
    own->in_flight = 0;
    own->in_flight_max = UINT32_MAX;
    if (l->o->publish_qos == 0)
        return;
    own->in_flight_max = window < receive_maximum ? window : receive_maximum;
    own->id_max = own->in_flight_max * 2 < 65535 ? own->in_flight_max * 2 : 65535;
    own->id_state = load_need(realloc(own->id_state, own->id_max + 1));
    own->id_sent_ns =
        load_need(realloc(own->id_sent_ns, (own->id_max + 1) * sizeof(*own->id_sent_ns)));
    memset(own->id_state, ID_FREE, own->id_max + 1);
}

static bool can_send(const struct client *c)
{
    return c->stage == READY && !c->is_blocked &&
           c->publisher->in_flight < c->publisher->in_flight_max;
}

void publisher_queue(struct load *l, struct client *c)
{
    if (!c->is_publisher || c->is_queued || !can_send(c))
        return;
    c->is_queued = true;
    c->next_queued = NULL;
    *l->queue_tail = c;
    l->queue_tail = &c->next_queued;
}

static struct client *dequeue(struct load *l)
{
    struct client *c = l->queue_head;
    l->queue_head = c->next_queued;
    if (!l->queue_head)
        l->queue_tail = &l->queue_head;
    c->is_queued = false;
    return c;
}

static void take_packet_id(struct publisher *own, uint8_t *at, uint64_t now_ns)
{
    do {
        own->last_id = own->last_id < own->id_max ? own->last_id + 1 : 1;
    } while (own->id_state[own->last_id] != ID_FREE);
    own->id_state[own->last_id] = ID_SENT;
    own->id_sent_ns[own->last_id] = now_ns;
    own->in_flight++;
    put_u16(at, own->last_id);
}

static void send_burst(struct load *l, struct client *c, uint64_t messages)
{
    struct publisher *own = c->publisher;
    uint64_t now_ns = machine_now_ns();
    uint8_t *at = l->output;
    for (uint64_t i = 0; i < messages; i++, at += own->packet_bytes) {
        uint64_t sequence = own->next_sequence++;
        memcpy(at, own->packet, own->packet_bytes);
        topic_vary(l, at + own->topic_end, sequence);
        if (l->o->publish_qos)
            take_packet_id(own, at + own->id_at, now_ns);
        memcpy(at + own->payload_at + 8, &sequence, 8);
        memcpy(at + own->payload_at + 16, &now_ns, 8);
    }
    l->counts.published += messages;
    if (l->counts_expected)
        l->counts.expected += messages * l->fan;
    client_write(l, c, l->output, (size_t)(at - l->output));
}

/* --- how many -------------------------------------------------------------------------------- */

static uint64_t window_left(const struct load *l)
{
    const struct counts *n = &l->counts;
    if (!l->counts_expected || l->fan == 0)
        return UINT64_MAX;
    uint64_t arrived = n->received + n->forgiven;
    uint64_t outstanding = n->expected > arrived ? n->expected - arrived : 0;
    return outstanding < l->outstanding_max ? (l->outstanding_max - outstanding) / l->fan : 0;
}

static uint64_t least(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

static double interval_ns(const struct load *l)
{
    return 1e9 / l->o->rate;
}

/* When the next message is due by the rate. */
static uint64_t next_due_ns(const struct load *l)
{
    return l->rate_began_ns + (uint64_t)((double)(l->rate_sent + 1) * interval_ns(l));
}

/* Messages due by the rate and not sent. */
static uint64_t due_by_rate(struct load *l)
{
    if (l->o->rate <= 0)
        return UINT64_MAX;
    uint64_t now_ns = machine_now_ns();
    uint64_t due = (uint64_t)((double)(now_ns - l->rate_began_ns) / interval_ns(l));
    if (due <= l->rate_sent)
        return 0;
    uint64_t next_ns = next_due_ns(l);
    uint64_t lag_ns = now_ns > next_ns ? now_ns - next_ns : 0;
    if (l->is_measuring && lag_ns > l->rate_lag_ns)
        l->rate_lag_ns = lag_ns;
    return due - l->rate_sent;
}

static uint64_t until_due(const struct load *l, uint64_t wait_ns)
{
    if (l->o->rate <= 0)
        return 0;
    uint64_t now_ns = machine_now_ns();
    uint64_t next_ns = next_due_ns(l);
    return next_ns > now_ns ? least(next_ns - now_ns, wait_ns) : 0;
}

static uint64_t burst_of(const struct load *l, const struct client *c, uint64_t allowed)
{
    const struct publisher *own = c->publisher;
    uint64_t burst = l->o->rate > 0 ? 1 : l->o->burst;
    burst = least(burst, BUFFER_BYTES / own->packet_bytes);
    return least(least(burst, allowed), own->in_flight_max - own->in_flight);
}

/* What is left of the messages when no publisher can send any more. */
static uint64_t send_messages(struct load *l, uint64_t messages)
{
    while (messages > 0 && l->queue_head) {
        struct client *c = dequeue(l);
        if (!can_send(c))
            continue;
        uint64_t burst = burst_of(l, c, messages);
        send_burst(l, c, burst);
        messages -= burst;
        l->rate_sent += burst;
        publisher_queue(l, c);
    }
    return messages;
}

uint64_t publish_turn(struct load *l, uint64_t wait_ns)
{
    uint64_t allowed = least(window_left(l), l->publish_end - l->counts.published);
    uint64_t now = least(least(allowed, TURN_MESSAGES), due_by_rate(l));
    uint64_t unsent = send_messages(l, now);
    /* An arrival, an acknowledgement or a socket that takes more wakes the loop. */
    if (unsent > 0 || allowed == now)
        return wait_ns;
    return until_due(l, wait_ns);
}
