/* SPDX-License-Identifier: MIT */
/*
 * What was published and what arrived where, and the rules between the two: the judge of
 * order_exactly_once. A stream is (publisher, group, QoS); every publisher numbers each of its
 * streams from 0. A subscriber belongs to one group and is owed every QoS 1 and 2 message of it.
 * One thread; knows nothing of connections but that one began anew.
 */
#ifndef CONCURRENT_CLIENTS_LEDGER_H
#define CONCURRENT_CLIENTS_LEDGER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { LEDGER_GROUPS = 10, LEDGER_QOS = 3, LEDGER_PAYLOAD_BYTES = 400 };

struct message_id {
    uint16_t publisher;
    uint8_t group;
    uint8_t qos;
    uint32_t number;
};

struct ledger;

struct ledger *ledger_new(unsigned publishers, unsigned subscribers, uint32_t messages_each);
void ledger_free(struct ledger *ledger);

/* A new message of a stream, and that a QoS 1 one was sent again. */
struct message_id ledger_publish(struct ledger *ledger, unsigned publisher, uint8_t group,
                                 uint8_t qos);
void ledger_resent(struct ledger *ledger, struct message_id id);

/* One that a subscriber takes as new (QoS 0 and 1: each that arrives); NULL or what is wrong. */
const char *ledger_receive(struct ledger *ledger, unsigned subscriber, struct message_id id,
                           bool dup);

/* The subscriber has a new connection: what was not acknowledged comes once more. */
void ledger_reconnected(struct ledger *ledger, unsigned subscriber);

/* How many QoS 1 and 2 messages of its group the subscriber has not got yet; the first of them. */
uint64_t ledger_missing(const struct ledger *ledger, unsigned subscriber, uint8_t group,
                        struct message_id *first);

/* A payload of its own size for each message, and back; false when a byte of it is wrong. */
size_t ledger_payload(struct message_id id, uint8_t out[LEDGER_PAYLOAD_BYTES]);
bool ledger_read(const uint8_t *payload, size_t bytes, struct message_id *id);

#endif
