/* SPDX-License-Identifier: MIT */
/*
 * In-process handles: the host's own publishers and subscribers. A handle has a session and a home
 * like any client; every call is an item to that home, so calls take effect in the order they were
 * made. The objects here are made by the caller (broker/) and are the home engine's from the post
 * on.
 */
#ifndef MQBX_ENGINE_LOCAL_H
#define MQBX_ENGINE_LOCAL_H

#include <stdbool.h>
#include <stdint.h>

#include "base/bytes.h"
#include "base/list.h"
#include "base/ring.h"
#include "engine/msg.h"

struct asked;
struct session;

/* Callbacks run on the home worker's thread, inside a turn; they may post items, nothing else. err:
 * 0 or a negative mqb_err. */
typedef void (*local_done_fn)(void *arg, int32_t err);
typedef void (*local_free_fn)(void *arg);

/* What a delivery is, beside its message. */
struct local_delivery {
    uint64_t sub; /* the subscription's number */
    uint8_t qos;
    bool retain;
    const uint32_t *identifiers; /* subscription identifiers that matched */
    uint32_t identifier_count;
    uint32_t expiry_left_s; /* MSG_NEVER_EXPIRES: none */
};
enum { LOCAL_DELIVERED = 0, LOCAL_LATER = 1 };
typedef int (*local_message_fn)(void *arg, struct msg *m, const struct local_delivery *d);

struct local {
    struct bytes name; /* the client id; points behind the struct */
    uint32_t tenant;
    bool is_durable; /* its session outlives the handle by session_expiry_s */
    bool clean_start;
    uint32_t session_expiry_s;
    local_done_fn opened; /* may be NULL; called once */
    void *opened_arg;
    local_done_fn closed; /* may be NULL; the last call; the local is freed by whoever made it, here
                             or when it is NULL by the engine's free */
    void *closed_arg;
    size_t size; /* of the allocation, for the engine to free it after `closed` when owns_memory */
    bool owns_memory;
    /* the engine's */
    struct session *session;
    struct list node;    /* engine.locals */
    struct asked *asked; /* a question about its input */
    struct ring parked;  /* struct item: what waits behind that, the item asked about first */
    struct list subscriptions;
};

enum {
    LOCAL_PUBLISH_NO_ACL = 1u << 0,
    LOCAL_PUBLISH_NO_HOOKS = 1u << 1,
};

/* Freed by the engine after done. `done` (may be NULL) is called once, when a PUBACK would have
 * been sent, with 0 or the error. */
struct local_publish {
    struct msg *msg; /* one reference; carries topic, tenant, QoS, retain, expiry, properties.
                        publisher and received_ms are set by the caller (mqbx_shared_publisher) */
    uint32_t flags;
    local_done_fn done;
    void *arg;
};

/* Freed by the engine, after arg_free, when the subscription has ended. */
struct local_subscription {
    /* drawn by the caller: unique in the broker; names it in UNSUBSCRIBE and DONE */
    uint64_t number;
    uint8_t qos;
    bool no_local, retain_as_published;
    uint8_t retain_handling;
    uint32_t identifier; /* 0: none */
    uint32_t window;     /* deliveries that may be LATER at once; 0: the default */
    uint32_t flags;      /* LOCAL_PUBLISH_NO_ACL */
    local_message_fn fn;
    void *arg;
    local_free_fn arg_free; /* may be NULL; exactly once, after the last callback */
    local_done_fn done; /* may be NULL; once: 0 when it is in force (a SUBACK would have been sent),
                           or the error: then the subscription is over */
    void *done_arg;
    size_t size; /* of the allocation */
    /* the engine's */
    struct list node;
    struct local *local;
    uint32_t later; /* deliveries not yet done */
    bool is_over;
    struct bytes filter; /* "$share/..." as well; points behind the struct */
};

#endif
