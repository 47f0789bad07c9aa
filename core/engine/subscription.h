/* SPDX-License-Identifier: MIT */
/*
 * Subscriptions of sessions at home here: creating, changing, ending them, keeping index and
 * interest in step, and replaying retained messages.
 */
#ifndef MQBX_ENGINE_SUBSCRIPTION_H
#define MQBX_ENGINE_SUBSCRIPTION_H

#include "base/buffer.h"
#include "base/ring.h"
#include "engine/session.h"
#include "engine/state.h"

struct local_subscription;
struct membership;

/* One subscription. Owned by its session. */
struct subscription {
    struct list node; /* session.subscriptions */
    struct session *session;
    uint64_t hash;   /* of (session id, text) */
    uint64_t newest; /* S: live retained publishes up to this stamp come by the replay instead; 0:
                        none */
    struct membership *membership; /* shared: its place in the group */
    /* an in-process one's callback; NULL when its durable handle is closed */
    struct local_subscription *local;
    struct ring local_queue; /* QoS 1 and 2 an in-process one has not taken yet (local_session.c) */
    uint64_t local_queue_bytes;
    uint32_t interest_slot;
    uint32_t identifier;
    uint16_t text_len;
    uint16_t filter_at; /* where the filter begins in text: behind $share/name/, else 0 */
    uint32_t order;     /* an in-process one stands for itself in the index */
    uint8_t qos;
    bool no_local : 1;
    bool retain_as_published : 1;
    char text[]; /* as subscribed, with the mountpoint in it */
};

struct bytes mqbx_subscription_filter(const struct subscription *sub); /* without $share/name/ */
struct bytes mqbx_subscription_text(const struct subscription *sub);

/* What a SUBSCRIBE asks for one filter; `text` has the mountpoint in it already. */
struct subscribe_request {
    struct bytes text;
    struct bytes share_name; /* empty: not shared */
    struct bytes filter;     /* a part of text */
    uint32_t identifier;
    uint8_t qos;
    bool no_local, retain_as_published;
    uint8_t retain_handling;
    struct local_subscription *local;
};

enum subscribe_status {
    SUBSCRIBED,
    SUBSCRIBE_WAITS /* for the group's home */,
    SUBSCRIBE_NO_MEMORY,
    SUBSCRIBE_QUOTA,
    SUBSCRIBE_EXISTS /* in-process, shared, twice */
};

/* Makes or replaces a subscription [MQTT-3.8.4-3] and starts the replay that Retain Handling asks
 * for. */
enum subscribe_status mqbx_subscribe(struct engine *e, struct session *s,
                                     const struct subscribe_request *r);
struct subscription *mqbx_subscription_find(struct engine *e, const struct session *s,
                                            struct bytes text);
/* Ends one: nothing new matches it any more. */
void mqbx_unsubscribe(struct engine *e, struct subscription *sub);
/* As above, at the end of the engine: other workers are not told. */
void mqbx_subscription_free(struct engine *e, struct subscription *sub);

/* --- replay of retained messages (replay.c) ------------------------------------------------- */

/* A pull cursor of one subscription. */
struct replay {
    struct list node;         /* session.replays */
    struct list barrier_node; /* engine.barriers while it waits */
    struct subscription *sub;
    uint64_t newest;          /* S */
    uint64_t barrier;         /* waits for this token; 0: runs */
    uint32_t barrier_missing; /* workers that have not answered */
    struct retained_cursor cursor;
    struct buffer last; /* the text cursor.last refers to */
};

/* A new subscription's: takes stamps <= newest. */
bool mqbx_replay_start(struct engine *e, struct subscription *sub, uint64_t newest);
/* A repeated one's: begins when everything posted to this worker up to now has arrived. */
bool mqbx_replay_restart(struct engine *e, struct subscription *sub);
void mqbx_replay_cancel(struct engine *e, struct subscription *sub);
void mqbx_replay_barrier_done(struct engine *e, uint64_t token);
/* Sends what the window and the output have room for. */
void mqbx_replay_pump(struct engine *e, struct session *s);

#endif
