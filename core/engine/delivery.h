/* SPDX-License-Identifier: MIT */
/*
 * From a publication to its receivers: routing between workers, matching, windows and queues, and
 * the PUBLISH packets that go out.
 */
#ifndef MQBX_ENGINE_DELIVERY_H
#define MQBX_ENGINE_DELIVERY_H

#include "engine/conn.h"
#include "engine/session.h"
#include "engine/subscription.h"

/* --- routing (route.c) ---------------------------------------------------------------------- */

enum route_status {
    ROUTED,
    ROUTED_NOBODY /* no subscriber here, and no other worker may have one */,
    ROUTE_NO_MEMORY
};

/* A publication of this worker's: retained first, then the others' interest, then local delivery.
 * On ROUTE_NO_MEMORY nothing has happened. */
enum route_status mqbx_route(struct engine *e, struct publication *p);
/* A message another worker posted here. */
void mqbx_route_posted(struct engine *e, struct msg *m);
/* A counted message for a publication, made at most once; NULL: out of memory. Borrowed: p->msg has
 * the reference if it had to be made
 * (*made), to be given back by the caller of the outermost function. */
struct msg *mqbx_route_keep(struct engine *e, struct publication *p);
/* This worker's share of it, made at most once; NULL: out of memory. Given back by release, by
 * whoever began to deliver p here. */
struct local_msg *mqbx_route_local(struct engine *e, struct publication *p);
void mqbx_route_release(struct engine *e, struct publication *p);
/* The end of a turn: no session and no output refers to a host's buffer any more. */
void mqbx_route_end_foreign(struct engine *e);

/* --- one receiver (deliver.c) --------------------------------------------------------------- */

/* What one session is to get of a publication. */
struct delivery {
    uint8_t qos; /* granted; the packet's is the lesser of this and the publication's */
    bool retain;
    uint32_t id_count;
    const uint32_t *ids;
    const struct group_origin *group; /* out of a group: ids are not looked at; NULL otherwise */
};

/* BUSY and UNFIT (larger than the receiver's Maximum Packet Size) only with group. */
enum deliver_status { DELIVERED, DELIVER_QUEUED, DELIVER_DROPPED, DELIVER_BUSY, DELIVER_UNFIT };

enum deliver_status mqbx_deliver(struct engine *e, struct session *s, struct publication *p,
                                 const struct delivery *d);
/* Whether a QoS 1 or 2 message could go out now: connected, window open, output below its mark. */
bool mqbx_deliver_has_room(const struct engine *e, const struct session *s);
uint32_t mqbx_deliver_room(const struct engine *e, const struct session *s); /* how many */
/* Sends what has waited: the queue, then replays, then group credits. */
void mqbx_session_pump(struct engine *e, struct session *s);
/* Resumed: everything in the window again, in order. [MQTT-4.4.0-1], [MQTT-4.6.0-1] */
void mqbx_window_resend(struct engine *e, struct session *s);
/* PUBACK, PUBREC, PUBCOMP of a receiver. */
void mqbx_window_puback(struct engine *e, struct conn *c, uint16_t packet_id, uint8_t reason);
void mqbx_window_pubrec(struct engine *e, struct conn *c, uint16_t packet_id, uint8_t reason);
void mqbx_window_pubcomp(struct engine *e, struct conn *c, uint16_t packet_id);
/* Gives back to their groups the QoS 1 entries that were under way. */
void mqbx_window_return_group(struct engine *e, struct session *s);
void mqbx_entry_fini(struct engine *e, struct entry *n);
/* A queued entry for a publication; false: out of memory. */
bool mqbx_entry_init(struct engine *e, struct entry *n, struct publication *p,
                     const struct delivery *d, uint8_t qos);

/* --- packets (send.c) ----------------------------------------------------------------------- */

struct send_options {
    uint8_t qos;
    bool dup, retain;
    uint16_t packet_id;
    uint32_t id_count;
    const uint32_t *ids;
    struct local_msg *local; /* for large tails; NULL: made on demand */
};

enum send_status { SENT, SEND_TOO_LARGE, SEND_EXPIRED, SEND_NO_MEMORY };

enum send_status mqbx_send_publish(struct engine *e, struct conn *c, struct publication *p,
                                   const struct send_options *o);
void mqbx_send_ack(struct engine *e, struct conn *c, uint8_t type, uint16_t packet_id,
                   uint8_t reason);
void mqbx_send_suback(struct engine *e, struct conn *c, uint16_t packet_id, struct bytes codes,
                      bool is_unsuback);
void mqbx_send_pingresp(struct engine *e, struct conn *c);
void mqbx_send_disconnect(struct engine *e, struct conn *c, uint8_t reason, const char *text);
/* False: larger than the client takes, nothing is sent. */
bool mqbx_send_connack(struct engine *e, struct conn *c, const struct connack *p);

/* --- aliases (alias.c) ---------------------------------------------------------------------- */

/* What the peer's alias stands for; ptr NULL: nothing. Set: false: out of memory. */
struct bytes mqbx_alias_in_get(const struct conn *c, uint16_t alias);
bool mqbx_alias_in_set(struct engine *e, struct conn *c, uint16_t alias, struct bytes topic);
/* The alias to use for a topic sent to c, 0: none. *is_known: the peer has it already, the topic
 * may be left out. A new one becomes known by mqbx_alias_out_commit, once its packet is appended.
 */
uint16_t mqbx_alias_out_find(struct engine *e, struct conn *c, struct bytes topic, bool *is_known);
void mqbx_alias_out_commit(struct engine *e, struct conn *c, uint16_t alias, struct bytes topic);
void mqbx_alias_fini(struct engine *e, struct conn *c);

#endif
