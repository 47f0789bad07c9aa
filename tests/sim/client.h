/* SPDX-License-Identifier: MIT */
/*
 * A simulated client: a client id with its session state, and the connections it makes one after
 * the other. Keeps to the protocol (a client that does not is another suite's), checks that the
 * broker does, and tells the oracle everything.
 */
#ifndef TEST_SIM_CLIENT_H
#define TEST_SIM_CLIENT_H

#include <stdbool.h>
#include <stdint.h>

#include "mqtt/packet.h"
#include "oracle.h"
#include "sim_link.h"

#define OUTS_MAX 24u
#define OPERATIONS_MAX 4u
#define OPERATION_SUBS 4u
#define HELD_MAX 64u
#define ALIASES_MAX 16u
#define STALE_MAX 4u

struct client;
struct sim;

/* How long its session lives. */
enum client_class {
    CLASS_CLEAN,   /* as long as the connection */
    CLASS_DURABLE, /* for ever */
    CLASS_SHORT,   /* a few seconds (5.0) */
};

enum out_state { OUT_FREE, OUT_PUBLISHED, OUT_RELEASED };

/* A publish under way, at QoS 1 or 2. */
struct out {
    uint8_t state;
    uint16_t packet_id;
    uint32_t message;
    uint64_t order;
};

/* A SUBSCRIBE or UNSUBSCRIBE under way. */
struct operation {
    uint8_t type; /* 0: none */
    uint16_t packet_id;
    uint32_t count;
    uint32_t subs[OPERATION_SUBS];
};

/* An acknowledgement the client owes. */
struct held_ack {
    uint8_t type;
    uint8_t reason;
    uint16_t packet_id;
    uint32_t message; /* 0: none of a group */
};

enum end_state { END_CONNECTING, END_OPEN, END_OVER };

/* The client's end of a connection. */
struct client_end {
    struct client *client;
    struct sim_link *link;
    uint8_t state;
    bool is_zombie; /* another has taken over; nothing it gets counts */
    bool is_clean_start;
    bool is_transient;     /* the session ends with this connection */
    bool was_disconnected; /* by a DISCONNECT of the broker */
    bool has_sent_disconnect;
    bool saw_fresh; /* a PUBLISH at QoS > 0 without DUP came: none with DUP may follow */
    bool is_resumed;
    bool may_end;   /* the broker may end it by itself, and nobody notices yet */
    bool has_stale; /* an older CONNECT may come through late and take it over */
    uint8_t *rx;
    size_t rx_len, rx_cap;
    uint64_t opened_step, stalled_until_ms, last_sent_ms;
    uint32_t keep_alive_s;
    uint32_t max_packet; /* what this client allows */
    uint16_t receive_maximum, alias_max;
    uint16_t broker_receive_maximum, broker_alias_max;
    uint32_t open_count; /* received at QoS > 0 and not done with */
    uint8_t open_ids[8192];
    uint32_t aliases_in[ALIASES_MAX + 1]; /* topic + 1 by alias; what the broker sets */
    uint32_t aliases_out[ALIASES_MAX + 1];
    struct held_ack held[HELD_MAX];
    uint32_t held_count;
    uint32_t quota_used; /* publishes of ours under way on this connection */
};

struct client {
    struct sim *sim;
    struct world *world;
    struct oracle *oracle;
    struct traffic *traffic;
    uint32_t index;
    char id[16];
    uint8_t version;
    uint8_t class;
    bool uses_identifiers;
    bool is_anchor; /* stays in its group and keeps its session */
    uint32_t expiry_s;
    /* the session, as the client has it */
    bool has_session;      /* a CONNACK has come, and nothing has ended it for certain */
    bool may_have_session; /* a CONNECT that keeps one was sent */
    bool must_be_clean;    /* a clean start or an end was under way when the connection was cut */
    uint64_t parted_ms;    /* when the last connection surely had not ended yet */
    struct view view;
    struct out outs[OUTS_MAX];
    uint64_t out_order;
    uint16_t next_packet_id;
    uint8_t stored[8192]; /* packet identifiers of QoS 2 messages received and not released */
    struct operation operations[OPERATIONS_MAX];
    struct client_end *end;
    uint64_t connect_at_ms;
    struct sim_link *last_link;        /* of the last connection that was open */
    struct sim_link *stale[STALE_MAX]; /* given up before CONNACK, and not closed yet */
    bool waits_for_stale;              /* one of these would end the session: wait for its end */
    uint32_t min_max_packet;           /* the smallest it ever allowed in this session */
    uint32_t sessions_lost;            /* how many of its sessions ended */
    uint64_t session_lost_step;
    struct will_watch will;
};

void client_init(struct client *c, struct sim *s, uint32_t index);
void client_fini(struct client *c);
void client_choose(struct client *c);

/* --- connections (client.c) --- */
void client_connect(struct client *c, bool is_clean_start);
void client_disconnect(struct client *c, bool with_will, bool ends_session);
void client_cut(struct client *c);
void client_silence(struct client *c);
/* The connection is over, by whoever: the client starts waiting for the next. */
void client_end_over(struct client *c, bool by_server);
void client_end_free(struct client_end *e);
bool client_is_open(const struct client *c);
bool client_may_connect(struct client *c);
bool client_is_settled(const struct client *c); /* nothing of it is under way */

/* --- what comes (client_read.c) --- */
bool client_end_read(struct client_end *e); /* false: nothing was there */
void client_on_connack(struct client_end *e, const struct connack *ack);

/* --- what goes (client_write.c) --- */
void client_send_writer(struct client_end *e, const struct writer *w);
void client_send_ack(struct client_end *e, uint8_t type, uint16_t packet_id, uint8_t reason);
bool client_publish(struct client *c, const struct message *m);
void client_resend(struct client *c); /* after a session was resumed */
void client_forget_outs(struct client *c);
bool client_subscribe(struct client *c, const uint32_t *subs, const struct sub_options *options,
                      uint32_t count);
bool client_unsubscribe(struct client *c, const uint32_t *subs, uint32_t count);
void client_ping(struct client *c);
void client_hold_ack(struct client_end *e, const struct held_ack *a);
bool client_flush_ack(struct client_end *e, uint32_t which);
uint32_t client_outs(const struct client *c);

/* --- what it does by itself (client_act.c) --- */
void client_act(struct client *c);
void client_act_at_once(struct client *c); /* behind CONNECT, without waiting for CONNACK */

#define BIT_SET(bits, i) ((bits)[(i) / 8] |= (uint8_t)(1u << ((i) % 8)))
#define BIT_CLEAR(bits, i) ((bits)[(i) / 8] &= (uint8_t) ~(1u << ((i) % 8)))
#define BIT_HAS(bits, i) (((bits)[(i) / 8] >> ((i) % 8)) & 1u)

#endif
