/* SPDX-License-Identifier: MIT */
/*
 * A session: what the broker knows of a client id between connections and while one is open. Lives
 * on one worker for life.
 *
 * Outgoing QoS 1 and 2 messages stand in `queue` until the window opens and in `window` until they
 * are acknowledged; both are in order of their sequence. The packet identifier is 1 + (sequence mod
 * 65535), and the window never spans 65535 sequences, so an identifier is never given out while it
 * is in use. [MQTT-2.2.1-4]
 */
#ifndef MQBX_ENGINE_SESSION_H
#define MQBX_ENGINE_SESSION_H

#include "base/ring.h"
#include "engine/identity.h"
#include "engine/state.h"

struct conn;
struct local;
struct membership;
struct subscription;

enum entry_state { ENTRY_QUEUED, ENTRY_SENT, ENTRY_RELEASED };
enum entry_ids { IDS_NONE, IDS_ONE, IDS_LIST, IDS_GROUP };

/* Identifiers of several overlapping subscriptions, on the heap. */
struct id_list {
    uint32_t count;
    uint32_t ids[];
};

/* A QoS 1 message that still belongs to a shared subscription's group. */
struct group_origin {
    uint64_t group; /* its id; the home worker is in it */
    uint64_t seq;   /* its number there */
    uint32_t identifier;
};

/* One outgoing QoS 1 or 2 message. */
struct entry {
    struct local_msg *msg; /* NULL once released (QoS 2) */
    union {
        uint32_t identifier;
        struct id_list *list;
        struct group_origin *group;
    } ids;
    uint32_t seq; /* the low half of the sequence: differences only */
    uint16_t packet_id;
    uint8_t qos : 2;
    uint8_t retain : 1;
    uint8_t state : 2;    /* enum entry_state */
    uint8_t ids_kind : 3; /* enum entry_ids */
};

/* Packet identifiers of QoS 2 publishes received and not yet released, sorted. */
struct inbound {
    uint16_t *ids;
    uint32_t count, cap;
};

struct will {
    struct msg *msg; /* carries topic, QoS, retain, properties */
    uint32_t delay_s;
};

struct session {
    uint64_t hash; /* of (tenant, client id): the table, no-local, the home */
    uint64_t id;   /* mqb_client */
    uint32_t order;
    uint32_t tenant;
    struct conn *conn;   /* NULL: not connected */
    struct local *local; /* an in-process handle's */
    struct ring window;
    struct ring queue;
    uint64_t queue_bytes;
    uint64_t next_seq;
    struct list subscriptions;
    struct list replays;
    struct list memberships;
    struct inbound inbound;
    struct will will;
    struct timer timer;     /* not connected: will delay and expiry, whichever comes first */
    uint64_t will_due_ms;   /* UINT64_MAX: none */
    uint64_t expiry_due_ms; /* UINT64_MAX: never, or connected */
    struct list pump_node;  /* engine.pumping */
    uint32_t unsent;        /* at the end of the window: not yet sent again on this connection */
    struct ring
        *acks; /* those that wait for their message to be kept; NULL: none ever did (hold.h) */
    struct identity *who;
    uint32_t expiry_s;
    uint32_t subscription_count;
    uint32_t dropped;
    uint16_t inflight_max; /* of the open connection */
    uint8_t protocol;
    bool is_local : 1; /* an in-process handle's, open or not */
};

struct bytes mqbx_session_client_id(const struct session *s);
struct bytes mqbx_session_user_name(const struct session *s);

struct session *mqbx_session_find(struct engine *e, uint32_t tenant, struct bytes client_id);
struct session *mqbx_session_by_id(struct engine *e, uint64_t id);
/* Takes over who; NULL: out of memory, who stays the caller's. */
struct session *mqbx_session_new(struct engine *e, uint32_t tenant, struct identity *who);
/* The same client id, as the newest connection has it; takes over who. */
void mqbx_session_set_identity(struct session *s, struct identity *who);
/* Ends it: subscriptions, queue and window go; a will that is still due goes out now. */
void mqbx_session_end(struct engine *e, struct session *s);
/* Without a will and without telling other workers: the end of the engine. */
void mqbx_session_free(struct engine *e, struct session *s);

/* The connection is gone. `discard_will`: DISCONNECT 0x00. [MQTT-3.14.4-3] */
void mqbx_session_part(struct engine *e, struct session *s, bool discard_will);
/* A connection has come: cancels expiry and a delayed will. */
void mqbx_session_join(struct engine *e, struct session *s, struct conn *c);
void mqbx_session_timer(struct engine *e, struct session *s);
void mqbx_session_drop_will(struct session *s);

/* Asks for mqbx_session_pump at the end of the turn. */
void mqbx_session_want_pump(struct engine *e, struct session *s);

/* inbound.c: true when it was (not) there. Add: false when memory is out. */
bool mqbx_inbound_has(const struct inbound *in, uint16_t id);
bool mqbx_inbound_add(struct engine *e, struct inbound *in, uint16_t id);
bool mqbx_inbound_remove(struct engine *e, struct inbound *in, uint16_t id);
void mqbx_inbound_fini(struct engine *e, struct inbound *in);

#endif
