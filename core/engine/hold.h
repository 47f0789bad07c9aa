/* SPDX-License-Identifier: MIT */
/*
 * Acknowledged means kept. Where a store is (shared.keeps), a QoS 1 or 2 publication carries a
 * hold, counted atomically: one for its origin, one per inbox it is posted to, taken before the
 * post. A worker gives its hold back when every record it emitted for the message is kept, at once
 * if it emitted none. Whoever gives back the last one tells the origin, which answers its clients
 * in the order their publishes came. [MQTT-4.6.0-2], [MQTT-4.6.0-3] Without a store there are no
 * holds, at the price of one branch.
 */
#ifndef MQBX_ENGINE_HOLD_H
#define MQBX_ENGINE_HOLD_H

#include "base/atomic.h"
#include "base/ring.h"
#include "engine/state.h"

struct conn;
struct local_publish;
struct publication;
struct session;

struct hold {
    struct atomic_u32 count;
    uint32_t origin;  /* worker */
    uint64_t session; /* the publisher's */
    uint64_t token;   /* of the acknowledgement that waits */
    const struct alloc *alloc;
};

/* With one count, the origin's. NULL: no store, or out of memory (*no_memory). */
struct hold *mqbx_hold_new(struct engine *e, const struct session *s, bool *no_memory);
void mqbx_hold_take(struct hold *h); /* before a post; NULL is fine */
/* This worker has done with the publication: its hold goes with the records that p->is_recorded
 * speaks of, or back at once. True: somebody still holds it, and the origin will be told. */
bool mqbx_hold_settle(struct engine *e, struct publication *p);
/* A post that never arrives. [any thread] */
void mqbx_hold_abandon(struct hold *h);

/* The records of a turn are kept together: the seam is told once a turn, and answers by
 * mqbx_engine_kept. */
void mqbx_hold_end_turn(struct engine *e);
void mqbx_hold_fini(struct engine *e);

/* --- acknowledgements that wait (acks.c) ---------------------------------------------------- */

struct pending_ack {
    uint64_t token;                /* of its hold */
    uint64_t conn;                 /* number of the connection it goes to */
    struct local_publish *publish; /* an in-process one instead */
    uint16_t packet_id;
    uint8_t type, reason;
    bool is_done;
};

/* Answers now when nothing is to be waited for, else in its turn. token: of the hold if it still is
 * held once settled, else 0. */
void mqbx_ack_conn(struct engine *e, struct conn *c, uint8_t type, uint16_t packet_id,
                   uint8_t reason, uint64_t token);
void mqbx_ack_local(struct engine *e, struct session *s, struct local_publish *lp, uint64_t token);
/* A PUBLISH of a packet identifier whose PUBREC still waits: it will go to this connection. False:
 * none waits. */
bool mqbx_ack_redirect(struct engine *e, struct session *s, const struct conn *c,
                       uint16_t packet_id);
/* How many acknowledgements of this session wait. */
uint32_t mqbx_ack_waiting(const struct session *s);
void mqbx_ack_kept(struct engine *e, uint64_t session, uint64_t token);
void mqbx_ack_fini(struct engine *e, struct session *s);

#endif
