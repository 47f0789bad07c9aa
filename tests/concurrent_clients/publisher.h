/* SPDX-License-Identifier: MIT */
/*
 * A publisher of order_exactly_once: a fixed number of messages at QoS 0, 1 and 2 in random groups,
 * with the state of a sender that survives its connections. One thread.
 */
#ifndef CONCURRENT_CLIENTS_PUBLISHER_H
#define CONCURRENT_CLIENTS_PUBLISHER_H

#include "crowd.h"

enum { PUBLISHER_WINDOW = 16 };

struct flight {
    struct message_id message;
    uint16_t packet_id;
    bool is_released; /* QoS 2: PUBREC is in, PUBREL is out */
    bool is_again;    /* sent on an earlier connection too */
};

struct publisher {
    struct actor actor; /* first */
    unsigned number;
    uint32_t left;   /* messages yet to be made */
    uint16_t window; /* the broker's Receive Maximum, or ours if that is less */
    uint16_t last_packet_id;
    unsigned flight_count;
    struct flight flights[PUBLISHER_WINDOW]; /* in the order they were first sent */
};

void publisher_init(struct publisher *publisher, struct crowd *crowd, unsigned number,
                    uint32_t messages);
bool publisher_is_done(const struct publisher *publisher);

#endif
