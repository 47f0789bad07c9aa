/* SPDX-License-Identifier: MIT */
/*
 * What must be true, seen from outside. The oracle knows every subscription as its client knows it
 * and every message as its publisher knows it, judges each delivery when it comes, and at rest
 * looks for what has not come.
 *
 * It judges only what is certain: a client that was cut between SUBSCRIBE and SUBACK does not know
 * what it has, and nothing is expected of that subscription until it is asked for again.
 */
#ifndef TEST_SIM_ORACLE_H
#define TEST_SIM_ORACLE_H

#include <stdbool.h>
#include <stdint.h>

#include "number_map.h"
#include "traffic.h"

struct client;
struct world;

enum sub_state {
    SUB_NONE,
    SUB_ASKED,   /* SUBSCRIBE is under way */
    SUB_ACTIVE,  /* SUBACK has come, and nothing since */
    SUB_LEAVING, /* UNSUBSCRIBE is under way */
    SUB_UNKNOWN, /* the connection ended before the answer */
};

struct sub_options {
    uint8_t qos;
    bool no_local, retain_as_published;
    uint8_t retain_handling;
    uint32_t identifier; /* 0: none */
};

/* One subscription of one session. */
struct sub {
    uint8_t state;
    uint8_t left_state;         /* LEAVING: what it was */
    struct sub_options options; /* as last asked for */
    uint8_t qos;                /* granted */
    uint64_t since;             /* active with these options since this step */
    uint32_t asked;             /* SUBSCRIBEs for it in this session */
    bool has_changed_qos;
    bool is_replay_sure;              /* the last SUBSCRIBE brings every retained value */
    uint32_t floor[RETAINED_TOPICS];  /* the newest value acknowledged when first asked for */
    uint32_t newest[RETAINED_TOPICS]; /* the newest value this subscription has had */
    uint8_t newest_qos[RETAINED_TOPICS];
};

/* How often a message came: the low bits count first transmissions. */
struct seen {
    uint8_t fresh; /* without DUP, or new at QoS 2 */
    bool has_come; /* in any way */
};

/* A session, as seen from outside. */
struct view {
    uint64_t began_step;
    uint64_t changed; /* step of the last change of any subscription, begun or ended */
    struct sub subs[SUBS];
    struct seen *seen; /* by message */
    uint32_t seen_cap;
    struct number_map order;  /* stream to the last first delivery in it */
    struct number_map by_sub; /* (subscription, message) to how often */
};

/* A PUBLISH as a client got it. */
struct delivered {
    struct bytes topic, payload;
    uint8_t qos;
    bool retain, dup;
    bool is_repeat; /* QoS 2, the packet identifier is known: not a delivery */
    bool has_expiry;
    uint32_t expiry_left_s;
    uint32_t ids[SUBS];
    uint32_t id_count;
};

struct oracle {
    struct world *world;
    struct traffic *traffic;
    bool is_relaxed; /* allocations fail: a message may be lost, nothing else */
    bool has_tight_queues;
    uint64_t delivered; /* how much there was to judge */
    uint64_t exact, due_checked, values_checked, groups_checked;
    uint64_t lost_by_limits;
};

void oracle_session_new(struct oracle *o, struct client *c);
void oracle_view_fini(struct view *v);

void oracle_subscribe_sent(struct oracle *o, struct client *c, uint32_t sub,
                           const struct sub_options *options);
void oracle_subscribed(struct oracle *o, struct client *c, uint32_t sub, uint8_t code);
void oracle_unsubscribe_sent(struct oracle *o, struct client *c, uint32_t sub);
void oracle_unsubscribed(struct oracle *o, struct client *c, uint32_t sub, bool has_code,
                         uint8_t code);
void oracle_answer_lost(struct oracle *o, struct client *c, uint32_t sub);

/* The highest QoS of the subscriptions that matched from before the message was sent until now; 0
 * also when none did. */
uint8_t oracle_certain_qos(const struct oracle *o, const struct client *c, const struct message *m);
/* Larger than the client allowed at some time in its session. */
bool oracle_is_too_large(const struct client *c, const struct message *m);
/* Answers the message; NULL: one without payload. */
struct message *oracle_delivered(struct oracle *o, struct client *c, const struct delivered *d);

/* Everything has come to rest with every durable client connected. */
void oracle_check_rest(struct oracle *o, struct client *clients, uint32_t count);
void oracle_check_groups(struct oracle *o, const struct client *clients, uint32_t count);

/* Wills (wills.c). */
struct will_watch {
    uint32_t message; /* 0: none */
    uint64_t connect_step;
    uint32_t delay_s;
    bool is_armed;       /* CONNACK has come */
    bool may_end;        /* the broker may end the connection by itself, and nobody notices yet */
    bool is_farewell;    /* DISCONNECT 0x00 was sent */
    bool is_sure;        /* farewell: nothing could keep the broker from reading it */
    bool has_ended;      /* the connection, as the client sees it */
    bool is_vague;       /* and the broker may have noticed some time before it closed the link */
    bool is_sessionless; /* the session ends with the connection, and so does the delay */
    uint32_t connects;   /* tried since */
    struct sim_link *link;
};

/* is_vague: the broker may have known before it closed the link, or before the client knew. */
void will_ended(struct oracle *o, struct will_watch *w, bool is_vague);
/* The client's next connection arrived at its session at `arrived_ms`, or (never true) nothing came
 * for longer than any delay. */
void will_settle(struct oracle *o, struct will_watch *w, bool has_connected, bool is_resumed,
                 uint64_t arrived_ms);
void will_delivered(struct oracle *o, const struct client *owner, const struct message *m);

#endif
