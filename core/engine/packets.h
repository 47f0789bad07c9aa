/* SPDX-License-Identifier: MIT */
/*
 * What each packet of a client does. CONNECT and the hand-off to the session's home: connect.c,
 * handoff.c. SUBSCRIBE: subscribe.c. PUBLISH: inbound.c. The rest: packets.c.
 */
#ifndef MQBX_ENGINE_PACKETS_H
#define MQBX_ENGINE_PACKETS_H

#include "engine/asking.h"
#include "engine/conn.h"
#include "engine/identity.h"

/* False: the packet waits for an answer and is to be looked at again. */
bool mqbx_packet(struct engine *e, struct conn *c, const struct frame *f, struct bytes body);

void mqbx_packet_connect(struct engine *e, struct conn *c, struct bytes body, uint8_t flags);
bool mqbx_packet_publish(struct engine *e, struct conn *c, struct bytes body, uint8_t flags);
void mqbx_packet_pubrel(struct engine *e, struct conn *c, const struct ack *a);
bool mqbx_packet_subscribe(struct engine *e, struct conn *c, struct bytes body, uint8_t flags);
void mqbx_packet_unsubscribe(struct engine *e, struct conn *c, struct bytes body, uint8_t flags);

/* --- from CONNECT to the session (connect.c, handoff.c) ------------------------------------- */

/* Everything that goes with a connection to its home. */
struct arrival {
    struct link *link;
    struct buffer in; /* read behind CONNECT */
    uint64_t bytes_in;
    uint64_t connected_wall_ms;
    uint32_t tenant;
    uint32_t expiry_s; /* as granted */
    uint32_t will_delay_s;
    uint32_t max_packet_bytes;
    uint32_t keep_alive_s;
    struct identity *who;
    struct msg *will; /* its topic is still without the mountpoint */
    uint16_t receive_maximum;
    uint16_t alias_max_out;
    uint8_t version;
    uint8_t verdict; /* enum verdict; PENDING until it is known */
    uint8_t reason;  /* of a denial */
    bool clean_start;
    bool is_id_assigned;
    bool wants_problem_info, wants_response_info;
    /* CONNACK carries the session expiry interval: it is not the one asked for */
    bool tells_expiry;
    bool tells_keep_alive;
};

struct bytes mqbx_arrival_client_id(const struct arrival *a);
void mqbx_arrival_free(struct engine *e, struct arrival *a); /* NULL is fine; not its link */
/* The answer to CONNECT, AUTH or WILL. */
void mqbx_connect_answered(struct engine *e, struct conn *c, enum question_kind kind,
                           const struct answer *a);
/* After parsing: when the verdict is there, takes the connection to its home or refuses it. */
void mqbx_connect_settle(struct engine *e, struct conn *c);
/* At the home, for links from here and from elsewhere. Takes over a. */
void mqbx_arrive(struct engine *e, struct arrival *a);

/* --- SUBSCRIBE that waits for group homes --------------------------------------------------- */

void mqbx_subscribe_op_free(struct engine *e, struct conn *c);
/* One filter's group has answered. */
void mqbx_subscribe_op_joined(struct engine *e, struct conn *c, struct bytes text, uint8_t code);

/* --- shared by PUBLISH, wills and in-process publishes -------------------------------------- */

/* Checks that need settings: levels, length, QoS, RETAIN, payload format; RC_SUCCESS or the reason.
 * `topic` without mountpoint. */
uint8_t mqbx_check_publish(const struct engine *e, struct bytes topic, uint8_t qos, bool retain,
                           const struct props *props, struct bytes payload);
/* topic with the mountpoint in front, in e->scratch when there is one; empty: too long. */
struct bytes mqbx_mounted(struct engine *e, const struct identity *who, struct bytes topic);

#endif
