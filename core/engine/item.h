/* SPDX-License-Identifier: MIT */
/*
 * What travels between workers, and from the host's threads into a worker: small records, copied
 * into the inbox. A pointer in an item moves: after the post it is the receiver's.
 */
#ifndef MQBX_ENGINE_ITEM_H
#define MQBX_ENGINE_ITEM_H

#include <stdbool.h>
#include <stdint.h>

#include "base/bytes.h"
#include "engine/local.h"
#include "engine/msg.h"

struct alloc;
struct arrival;
struct client_query;
struct group_join;
struct link;
struct settings;

enum item_type {
    ITEM_ARRIVE,  /* hand-off: a connection that was let in, to its home */
    ITEM_LINK,    /* a link accepted by another worker's listener */
    ITEM_PUBLISH, /* a message for this worker's subscribers */
    ITEM_PRESSED, /* your inbox is over its mark: answer GO_ON when you have come this far */
    ITEM_GO_ON,
    ITEM_KEPT,    /* the last hold on a publication of yours is given back */
    ITEM_BARRIER, /* answer BARRIER_DONE: all you had posted to me by now has then arrived */
    ITEM_BARRIER_DONE,

    /* shared subscriptions: member's worker -> group's home */
    ITEM_GROUP_JOIN,
    ITEM_GROUP_LEAVE,  /* the membership ends */
    ITEM_GROUP_CREDIT, /* so many more may be sent to this member */
    ITEM_GROUP_PAUSE,  /* the member's connection ended: its credits are void */
    ITEM_GROUP_RETURN, /* a message not delivered or not acknowledged: back to the head */
    /* group's home -> member's worker */
    ITEM_GROUP_JOINED,
    ITEM_GROUP_DELIVER,

    /* in-process handles, from any thread of the host */
    ITEM_LOCAL_OPEN,
    ITEM_LOCAL_CLOSE,
    ITEM_LOCAL_PUBLISH,
    ITEM_LOCAL_SUBSCRIBE,
    ITEM_LOCAL_UNSUBSCRIBE,
    ITEM_LOCAL_DONE,

    ITEM_CLIENT_FIND,
    ITEM_CLIENT_EACH,
    ITEM_CLIENT_KICK,
    ITEM_SETTINGS,
};

#define ITEM_FROM_HOST UINT16_MAX

/* Why a group's message comes back. */
enum group_return { GROUP_RETURN_BUSY, GROUP_RETURN_GONE, GROUP_RETURN_UNFIT };

struct item {
    uint16_t type;
    uint16_t from; /* sending worker, or ITEM_FROM_HOST */
    uint32_t number;
    union {
        struct arrival *arrival;
        struct link *link;
        struct msg *msg; /* one reference */
        uint64_t token;
        struct {
            uint64_t session, token;
        } kept;
        struct settings *settings; /* one reference */
        struct group_join *join;
        struct {
            uint64_t group;  /* id at its home */
            uint64_t member; /* client id number of the member's session */
            struct msg *msg; /* DELIVER and RETURN: one reference */
            uint64_t seq;    /* the group's own number of the entry; CREDIT: the member's Maximum
                                Packet Size */
        } group;
        struct local *local;
        struct {
            struct local *local;
            struct local_publish *publish;
        } local_publish;
        struct {
            struct local *local;
            struct local_subscription *subscription;
        } local_subscribe;
        struct {
            uint64_t sub;
            struct msg *msg; /* LOCAL_DONE: one reference */
        } local_sub;
        struct client_query *query;
        struct {
            uint64_t client;
            uint64_t connection; /* connection number, 0: whichever is open */
        } kick;                  /* number: reason in the low byte, KICK_DROP_SESSION */
    } u;
};

#define KICK_DROP_SESSION 0x100u

/* Throws away an item that no engine will see, with all it owns; links are closed. */
void mqbx_item_dispose(const struct alloc *a, struct item *it);

/* --- find and each -------------------------------------------------------------------------- */

/* A client as the host sees it; strings live during the call. */
struct client_view {
    uint64_t client;     /* number of the session, broker-wide unique, never reused */
    uint64_t connection; /* number of its connection, 0: none is open */
    uint32_t tenant;
    uint8_t protocol; /* of the last connection; 0: an in-process handle */
    bool is_connected;
    struct bytes client_id, user_name;
    const char *address; /* "" when not connected */
    const char *listener;
    uint64_t connected_wall_ms;
    uint64_t msgs_in, msgs_out, bytes_in, bytes_out;
    uint64_t queued, queued_bytes, inflight, subscriptions, dropped;
};

/* Heap, from the broker's allocator; ends with one call with view == NULL, after which the engine
 * frees nothing of it: `fn` does. `fn` runs on a worker's thread; false ends an EACH early (the
 * closing call still comes). FIND: at most one view. EACH goes from worker to worker. */
struct client_query {
    bool (*fn)(struct client_query *q, const struct client_view *view);
    uint32_t tenant;
    bool all_tenants;
    bool is_over;           /* fn said stop */
    struct bytes client_id; /* FIND */
};

#endif
