/* SPDX-License-Identifier: MIT */
/*
 * The rules of ledger.h:
 *   QoS 0: numbers rise. QoS 2: the next number and no other ([MQTT-4.3.3-*]).
 *   QoS 1: never past the next new number (that would be a loss or a wrong order, [MQTT-4.6.0-6]);
 *   within one connection never more than one ahead of the message before. A repeat bears DUP, or
 *   its publisher sent it again, which makes it a new message to the broker.
 */
#include "ledger.h"

#include <stdlib.h>
#include <string.h>

enum { NONE = -1, HEAD_BYTES = 8 };

/* What one subscriber has of one publisher. */
struct received {
    uint32_t next[LEDGER_QOS]; /* the lowest number not seen */
    int64_t before;            /* QoS 1: the last one on this connection, NONE: none */
    uint8_t *copies;           /* QoS 1: how often without DUP, by number */
};

struct ledger {
    unsigned publishers;
    unsigned subscribers;
    uint32_t messages_each;
    uint32_t (*published)[LEDGER_GROUPS][LEDGER_QOS]; /* by publisher: how many */
    uint8_t *resent;                                  /* QoS 1: how often sent again */
    struct received *received;                        /* by subscriber, publisher */
    uint8_t *copies;
};

static void *take(size_t count, size_t bytes)
{
    void *block = calloc(count, bytes);
    if (!block) {
        abort();
    }
    return block;
}

struct ledger *ledger_new(unsigned publishers, unsigned subscribers, uint32_t messages_each)
{
    struct ledger *l = take(1, sizeof *l);
    size_t streams = (size_t)publishers * subscribers;
    *l = (struct ledger){
        .publishers = publishers,
        .subscribers = subscribers,
        .messages_each = messages_each,
        .published = take(publishers, sizeof *l->published),
        .resent = take((size_t)publishers * LEDGER_GROUPS, messages_each),
        .received = take(streams, sizeof *l->received),
        .copies = take(streams, messages_each),
    };
    for (size_t i = 0; i < streams; i++) {
        l->received[i].before = NONE;
        l->received[i].copies = l->copies + i * messages_each;
    }
    return l;
}

void ledger_free(struct ledger *ledger)
{
    free(ledger->published);
    free(ledger->resent);
    free(ledger->received);
    free(ledger->copies);
    free(ledger);
}

static uint8_t *resent_of(struct ledger *l, struct message_id id)
{
    size_t stream = (size_t)id.publisher * LEDGER_GROUPS + id.group;
    return &l->resent[stream * l->messages_each + id.number];
}

struct message_id ledger_publish(struct ledger *ledger, unsigned publisher, uint8_t group,
                                 uint8_t qos)
{
    return (struct message_id){.publisher = (uint16_t)publisher,
                               .group = group,
                               .qos = qos,
                               .number = ledger->published[publisher][group][qos]++};
}

void ledger_resent(struct ledger *ledger, struct message_id id)
{
    if (id.qos == 1 && *resent_of(ledger, id) < UINT8_MAX) {
        ++*resent_of(ledger, id);
    }
}

static const char *receive_qos1(struct ledger *l, struct received *r, struct message_id id,
                                bool dup)
{
    if (id.number > r->next[1]) {
        return "QoS 1: one before it is missing";
    }
    if (r->before != NONE && id.number > r->before + 1) {
        return "QoS 1: out of order within a connection";
    }
    r->before = id.number;
    if (id.number == r->next[1]) {
        r->next[1]++;
    }
    if (!dup && r->copies[id.number]++ > *resent_of(l, id)) {
        return "QoS 1: a repeat without DUP that nobody sent";
    }
    return NULL;
}

const char *ledger_receive(struct ledger *ledger, unsigned subscriber, struct message_id id,
                           bool dup)
{
    if (id.publisher >= ledger->publishers || id.group >= LEDGER_GROUPS || id.qos >= LEDGER_QOS ||
        id.number >= ledger->published[id.publisher][id.group][id.qos]) {
        return "never published";
    }
    struct received *r = &ledger->received[subscriber * ledger->publishers + id.publisher];
    if (id.qos == 1) {
        return receive_qos1(ledger, r, id, dup);
    }
    uint32_t next = r->next[id.qos];
    r->next[id.qos] = id.number + 1;
    if (id.number < next) {
        return id.qos == 0 ? "QoS 0: doubled or out of order" : "QoS 2: doubled or out of order";
    }
    if (id.qos == 2 && id.number > next) {
        return "QoS 2: one before it is missing";
    }
    return NULL;
}

void ledger_reconnected(struct ledger *ledger, unsigned subscriber)
{
    for (unsigned p = 0; p < ledger->publishers; p++) {
        ledger->received[subscriber * ledger->publishers + p].before = NONE;
    }
}

uint64_t ledger_missing(const struct ledger *ledger, unsigned subscriber, uint8_t group,
                        struct message_id *first)
{
    uint64_t missing = 0;
    for (unsigned p = 0; p < ledger->publishers; p++) {
        const struct received *r = &ledger->received[subscriber * ledger->publishers + p];
        for (uint8_t qos = 1; qos < LEDGER_QOS; qos++) {
            uint32_t owed = ledger->published[p][group][qos];
            if (missing == 0 && r->next[qos] < owed) {
                *first = (struct message_id){(uint16_t)p, group, qos, r->next[qos]};
            }
            missing += owed - (r->next[qos] < owed ? r->next[qos] : owed);
        }
    }
    return missing;
}

static uint8_t filler(struct message_id id, size_t at)
{
    return (uint8_t)(id.publisher * 31u + id.number * 7u + at);
}

size_t ledger_payload(struct message_id id, uint8_t out[LEDGER_PAYLOAD_BYTES])
{
    size_t bytes = HEAD_BYTES + (id.publisher * 131u + id.number * 53u + id.qos) %
                                    (LEDGER_PAYLOAD_BYTES - HEAD_BYTES);
    memcpy(out, &id, HEAD_BYTES);
    for (size_t i = HEAD_BYTES; i < bytes; i++) {
        out[i] = filler(id, i);
    }
    return bytes;
}

bool ledger_read(const uint8_t *payload, size_t bytes, struct message_id *id)
{
    uint8_t wanted[LEDGER_PAYLOAD_BYTES];
    if (bytes < HEAD_BYTES) {
        return false;
    }
    memcpy(id, payload, HEAD_BYTES);
    return ledger_payload(*id, wanted) == bytes && memcmp(wanted, payload, bytes) == 0;
}
