/* SPDX-License-Identifier: MIT */
/*
 * What brokers send. Acknowledgements of one read go out in one write.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "load.h"
#include "wire.h"

/* A packet: its first byte, what follows the length, and when it was read. */
struct packet {
    uint8_t first;
    const uint8_t *at, *end;
    uint64_t now_ns;
};

static void flush_acks(struct load *l, struct client *c)
{
    if (l->acks_bytes > 0)
        client_write(l, c, l->acks, l->acks_bytes);
    l->acks_bytes = 0;
}

static void acknowledge(struct load *l, struct client *c, uint8_t first, uint32_t id)
{
    if (l->acks_bytes + 4 > sizeof(l->acks))
        flush_acks(l, c);
    uint8_t *at = l->acks + l->acks_bytes;
    at[0] = first;
    at[1] = 2;
    put_u16(at + 2, id);
    l->acks_bytes += 4;
}

/* --- messages -------------------------------------------------------------------------------- */

static void check_order(struct load *l, struct client *c, uint32_t publisher, uint64_t sequence)
{
    uint32_t which = l->o->scenario == P2P || l->o->scenario == LATENCY ? 0 : publisher;
    switch (order_arrived(&c->orders[which], sequence)) {
    case ARRIVED_IN_ORDER:
        break;
    case ARRIVED_OUT_OF_ORDER:
        l->counts.out_of_order++;
        break;
    case ARRIVED_TWICE:
        l->counts.twice += l->o->scenario != SHARED; /* else counted by what was seen */
        break;
    case ARRIVED_LATE:
        l->counts.late++;
        break;
    }
}

/* Whether a message of this publisher is for this subscriber; filters of one client never meet the
 * messages of another pair. */
static bool is_for(const struct load *l, const struct client *c, uint32_t publisher)
{
    if (c->is_publisher || publisher >= l->publisher_count)
        return false;
    return (l->o->scenario != P2P && l->o->scenario != LATENCY) || publisher == c->number;
}

static void message_arrived(struct load *l, struct client *c, const struct packet *p)
{
    uint32_t magic, publisher;
    uint64_t sequence, sent_ns;
    size_t length = (size_t)(p->end - p->at);
    if (length < MESSAGE_HEADER) {
        l->counts.foreign++;
        return;
    }
    memcpy(&magic, p->at, 4);
    memcpy(&publisher, p->at + 4, 4);
    memcpy(&sequence, p->at + 8, 8);
    memcpy(&sent_ns, p->at + 16, 8);
    if (magic != l->magic || length != l->o->payload_bytes || !is_for(l, c, publisher) ||
        sequence >= l->clients[publisher].publisher->next_sequence) {
        l->counts.foreign++;
        return;
    }
    l->counts.received++;
    if (l->seen &&
        seen_insert(&l->seen[l->o->scenario == RETAIN ? c->number : publisher], sequence))
        l->counts.twice++;
    if (l->o->scenario != RETAIN) /* retained messages have no order */
        check_order(l, c, publisher, sequence);
    if (l->is_measuring)
        histogram_add(&l->latency, p->now_ns > sent_ns ? p->now_ns - sent_ns : 0);
}

static bool on_publish(struct load *l, struct client *c, struct packet *p)
{
    unsigned qos = p->first >> 1 & 3;
    uint32_t properties;
    size_t length = (size_t)(p->end - p->at);
    if (length < 2 || length < 2 + get_u16(p->at) + (qos ? 2u : 0))
        return false;
    p->at += 2 + get_u16(p->at);
    if (qos) {
        acknowledge(l, c, qos == 1 ? PUBACK << 4 : PUBREC << 4, get_u16(p->at));
        p->at += 2;
    }
    if (l->o->version == 5) {
        p->at = get_varint(p->at, p->end, &properties);
        if (!p->at || properties > (size_t)(p->end - p->at))
            return false;
        p->at += properties;
    }
    message_arrived(l, c, p);
    return true;
}

/* --- acknowledgements ------------------------------------------------------------------------ */

static void publish_done(struct load *l, struct client *c, uint32_t id, uint64_t now_ns)
{
    struct publisher *own = c->publisher;
    own->id_state[id] = ID_FREE;
    own->in_flight--;
    if (l->is_measuring)
        histogram_add(&l->acknowledged, now_ns - own->id_sent_ns[id]);
    publisher_queue(l, c);
}

/* PUBACK, PUBREC, PUBCOMP of a publisher. */
static bool on_publish_ack(struct load *l, struct client *c, const struct packet *p)
{
    unsigned type = p->first >> 4;
    uint32_t id = p->end - p->at >= 2 ? get_u16(p->at) : 0;
    bool is_refused = p->end - p->at > 2 && p->at[2] >= 0x80;
    struct publisher *own = c->publisher;
    if (!own || id == 0 || id > own->id_max)
        return false;
    if (own->id_state[id] != (type == PUBCOMP ? ID_RELEASED : ID_SENT))
        return false;
    l->counts.refused += is_refused;
    if (type == PUBREC && !is_refused) {
        own->id_state[id] = ID_RELEASED;
        acknowledge(l, c, PUBREL << 4 | 2, id);
        return true;
    }
    publish_done(l, c, id, p->now_ns);
    return true;
}

static bool on_pubrel(struct load *l, struct client *c, const struct packet *p)
{
    if (p->end - p->at < 2)
        return false;
    acknowledge(l, c, PUBCOMP << 4, get_u16(p->at));
    return true;
}

static bool on_connack(struct load *l, struct client *c, const struct packet *p)
{
    uint32_t bytes, receive_maximum = 65535;
    if (c->stage != CONNECTING || p->end - p->at < 2 || p->at[1] != 0)
        return false;
    c->is_present = p->at[0] & 1;
    if (l->o->version == 5) {
        const uint8_t *properties = get_varint(p->at + 2, p->end, &bytes);
        if (!properties)
            return false;
        receive_maximum = get_receive_maximum(properties, p->end);
    }
    if (c->is_publisher)
        publisher_connected(l, c, receive_maximum);
    if (c->is_publisher || c->is_present || c->filters_wanted == 0) {
        client_ready(l, c);
        return true;
    }
    c->stage = SUBSCRIBING;
    client_subscribe(l, c);
    client_subscribe(l, c); /* two packets at once, until all are answered */
    return true;
}

static bool on_suback(struct load *l, struct client *c, const struct packet *p)
{
    const uint8_t *at = p->at + 2;
    uint32_t bytes;
    if (c->stage != SUBSCRIBING || p->end - p->at < 3)
        return false;
    if (l->o->version == 5) {
        at = get_varint(at, p->end, &bytes);
        if (!at || bytes > (size_t)(p->end - at))
            return false;
        at += bytes;
    }
    for (; at < p->end; at++) {
        l->counts.refused += *at >= 0x80;
        l->counts.granted += *at < 0x80;
        c->filters_granted++;
    }
    if (c->filters_granted >= c->filters_wanted)
        client_ready(l, c);
    else
        client_subscribe(l, c);
    return true;
}

static bool on_packet(struct load *l, struct client *c, struct packet *p)
{
    switch (p->first >> 4) {
    case CONNACK:
        return on_connack(l, c, p);
    case PUBLISH:
        return on_publish(l, c, p);
    case PUBACK:
    case PUBREC:
    case PUBCOMP:
        return on_publish_ack(l, c, p);
    case PUBREL:
        return on_pubrel(l, c, p);
    case SUBACK:
        return on_suback(l, c, p);
    case PINGRESP:
        c->is_answered = true;
        return true;
    default:
        return false;
    }
}

/* --- bytes ----------------------------------------------------------------------------------- */

/* The next whole packet of [at, end): where it ends; NULL without one, or in a broken stream. */
static const uint8_t *next_packet(const uint8_t *at, const uint8_t *end, struct packet *p,
                                  bool *is_broken)
{
    uint32_t length;
    if (end - at < 2)
        return NULL;
    p->first = *at;
    p->at = get_varint(at + 1, end, &length);
    *is_broken = (!p->at && end - at > 4) || (p->at && length > BUFFER_BYTES - 8);
    if (!p->at || length > (size_t)(end - p->at))
        return NULL;
    p->end = p->at + length;
    return p->end;
}

static void keep_partial(struct client *c, const uint8_t *at, size_t length)
{
    if (length > c->partial_capacity) {
        c->partial_capacity = length * 2;
        c->partial = load_need(realloc(c->partial, c->partial_capacity));
    }
    if (length > 0)
        memcpy(c->partial, at, length);
    c->partial_bytes = length;
}

static void take_packets(struct load *l, struct client *c, size_t length)
{
    struct packet p = {.now_ns = machine_now_ns()};
    const uint8_t *at = l->input;
    const uint8_t *end = l->input + length;
    bool is_broken = false;
    const uint8_t *next;
    while ((next = next_packet(at, end, &p, &is_broken)) != NULL && c->fd >= 0) {
        if (!on_packet(l, c, &p)) {
            is_broken = true;
            break;
        }
        at = next;
    }
    if (is_broken) {
        fprintf(stderr, "load: an unexpected packet, first byte %02x\n", *at);
        l->counts.protocol_errors++;
        l->acks_bytes = 0;
        client_lost(l, c);
        return;
    }
    keep_partial(c, at, (size_t)(end - at));
    flush_acks(l, c);
}

void client_read(struct load *l, struct client *c)
{
    size_t kept = c->partial_bytes;
    if (kept > 0)
        memcpy(l->input, c->partial, kept);
    ssize_t got = recv(c->fd, l->input + kept, BUFFER_BYTES - kept, MSG_DONTWAIT);
    if (got > 0)
        take_packets(l, c, kept + (size_t)got);
    else if (got == 0 || (errno != EAGAIN && errno != EINTR))
        client_lost(l, c);
}
