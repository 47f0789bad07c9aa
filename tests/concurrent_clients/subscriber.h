/* SPDX-License-Identifier: MIT */
/*
 * A subscriber of order_exactly_once: takes one group at QoS 2, acknowledges in order and sometimes
 * late, with the state of a receiver that survives its connections. One thread.
 */
#ifndef CONCURRENT_CLIENTS_SUBSCRIBER_H
#define CONCURRENT_CLIENTS_SUBSCRIBER_H

#include "crowd.h"

enum { SUBSCRIBER_IDS = 65536 };

struct answer {
    enum mini_type type;
    uint16_t packet_id;
};

struct subscriber {
    struct actor actor; /* first */
    unsigned number;
    uint8_t group;
    bool is_subscribed;
    bool is_slow;
    bool has_seen_new; /* on this connection: nothing is delivered again after that */
    bool wants_pong;
    bool has_pinged; /* on this connection */
    bool has_pong;
    unsigned open_ids;       /* given out on this connection and not finished by us */
    unsigned answer_count;   /* not sent yet */
    bool *is_open;           /* by packet id */
    struct message_id *kept; /* QoS 2 received, PUBREL not: by packet id */
    bool *is_kept;
    struct answer *answers;
};

void subscriber_init(struct subscriber *subscriber, struct crowd *crowd, unsigned number);
void subscriber_fini(struct subscriber *subscriber);

#endif
