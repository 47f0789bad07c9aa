/* SPDX-License-Identifier: MIT */
/*
 * What is talked about: the topics, the filters, and every message that was ever published, with
 * what is known of its fate. A payload begins with its message's number, so whoever receives it
 * knows all about it.
 *
 * Topics come in classes, each with the rules that let its deliveries be judged:
 *     n/i/j   plain messages, by anybody, at any QoS
 *     r/p/k   retained values; only client p publishes there, at one QoS: values have an order
 *     $g/k/x  the topic of shared subscription k
 *     w/i     the wills of client i
 */
#ifndef TEST_SIM_TRAFFIC_H
#define TEST_SIM_TRAFFIC_H

#include <stdbool.h>
#include <stdint.h>

#include "base/bytes.h"
#include "rng.h"

#define CLIENTS_MAX 128u
#define PLAIN_TOPICS 16u
#define RETAINED_PUBLISHERS 8u
#define RETAINED_PER_PUBLISHER 3u
#define RETAINED_TOPICS (RETAINED_PUBLISHERS * RETAINED_PER_PUBLISHER)
#define GROUPS 6u

#define TOPIC_PLAIN 0u
#define TOPIC_RETAINED (TOPIC_PLAIN + PLAIN_TOPICS)
#define TOPIC_GROUP (TOPIC_RETAINED + RETAINED_TOPICS)
#define TOPIC_WILL (TOPIC_GROUP + GROUPS)
#define TOPICS (TOPIC_WILL + CLIENTS_MAX)
#define TOPIC_WORDS ((TOPICS + 63u) / 64u)

#define FILTERS 26u
#define SUBS (FILTERS + GROUPS) /* every filter, then every group */

#define NO_EXPIRY UINT32_MAX
#define SMALL_BYTES 200u /* a small message's payload is at most this */
#define LARGE_BYTES 500u /* a large one's at least this */

enum fate {
    FATE_OPEN,      /* nobody has said */
    FATE_ACKED,     /* the broker has taken it on */
    FATE_REFUSED,   /* it said no */
    FATE_UNKNOWN,   /* its publisher will never know */
    FATE_CANCELLED, /* a will that must not be */
};

struct message {
    uint32_t id;
    uint32_t publisher;
    uint32_t topic;
    uint32_t size; /* of the payload */
    uint32_t expiry_s;
    uint32_t sends; /* how often it was written */
    uint64_t sent_step, sent_ms;
    uint64_t acked_step; /* 0: not */
    uint8_t qos;
    uint8_t fate;
    bool retain, is_will, is_empty;
    bool has_come;                                        /* to anybody */
    uint16_t group_receivers, group_acks, group_refusals; /* of its shared subscription */
};

struct traffic {
    char topics[TOPICS][16];
    uint64_t matches[FILTERS][TOPIC_WORDS]; /* which topics a filter selects */
    struct message *messages;               /* by id; 0 is nobody's */
    uint32_t count, cap;
    uint32_t last_acked[RETAINED_TOPICS]; /* the newest value whose publisher knows */
    uint32_t last_sent[RETAINED_TOPICS];  /* the newest value written */
};

void traffic_init(struct traffic *t);
void traffic_fini(struct traffic *t);

/* The text of a subscription: a filter, or a group's "$share/...". */
const char *traffic_sub_text(uint32_t sub);
bool traffic_sub_matches(const struct traffic *t, uint32_t sub, uint32_t topic);
/* TOPICS: none of ours. */
uint32_t traffic_find_topic(const struct traffic *t, struct bytes topic);
static inline bool topic_is_retained(uint32_t topic)
{
    return topic >= TOPIC_RETAINED && topic < TOPIC_GROUP;
}
static inline bool topic_is_group(uint32_t topic)
{
    return topic >= TOPIC_GROUP && topic < TOPIC_WILL;
}
static inline bool sub_is_group(uint32_t sub)
{
    return sub >= FILTERS;
}
/* The one QoS of a retained topic, of a group. */
static inline uint8_t fixed_qos(uint32_t number)
{
    return (uint8_t)(number % 3);
}

/* A new message; pointers to others may move. */
struct message *traffic_new(struct traffic *t, const struct message *m);
struct message *traffic_message(const struct traffic *t, uint32_t id);
uint32_t traffic_random_size(struct rng *r, bool may_be_large);
void traffic_payload(const struct message *m, uint8_t *out);
/* The message a payload is of; NULL: it is none, or not intact. */
struct message *traffic_identify(const struct traffic *t, struct bytes payload);
void traffic_acked(struct traffic *t, struct message *m, uint64_t step);

#endif
