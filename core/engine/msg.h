/* SPDX-License-Identifier: MIT */
/*
 * Messages. A `publication` is a view: a PUBLISH on its way through one worker, its bytes still in
 * the read buffer or in a message. Only what must be kept (queued, retained, sent to another
 * worker, referenced by an output) becomes a `msg`: one immutable, atomically counted block that
 * any worker may hold. Within a worker, queues and outputs hold a `local_msg`, whose count is
 * plain.
 *
 * A msg may outlive its broker: it carries its allocator. Whoever drops the last reference frees
 * it, on any thread.
 */
#ifndef MQBX_ENGINE_MSG_H
#define MQBX_ENGINE_MSG_H

#include <stdbool.h>
#include <stdint.h>

#include "base/alloc.h"
#include "base/atomic.h"
#include "base/bytes.h"
#include "base/slab.h"

#define MSG_NEVER_EXPIRES UINT32_MAX

struct hold;
struct local_msg;
struct msg;

struct publication {
    uint32_t tenant;
    /* Message Expiry Interval as received, MSG_NEVER_EXPIRES when there is none */
    uint32_t expiry_s;
    uint64_t received_ms; /* monotonic; the expiry counts from here */
    uint64_t publisher;   /* hash of the publishing session (tenant, client id); 0: nobody's */
    uint64_t stamp;       /* retain stamp, 0 unless published with RETAIN */
    uint8_t qos;
    bool retain; /* as received */
    struct bytes topic;
    /* those passed on unchanged, encoded, in order (mqtt/packet.h, props kept) */
    struct bytes props;
    struct bytes payload;
    struct msg *msg;   /* NULL until somebody has to keep it; borrowed */
    struct hold *hold; /* with a store, QoS 1 and 2: this worker's hold (hold.h) */
    bool is_recorded;  /* this worker has records of it to keep */
    /* this worker's share of msg, once something here keeps it (route.c) */
    struct local_msg *local;
};

typedef void (*msg_free_fn)(void *arg, const void *payload, size_t len);

struct msg {
    struct atomic_u32 refs;
    uint32_t tenant;
    const struct alloc *alloc;
    struct hold *hold; /* only good for a worker it is posted to, while that delivers it */
    uint64_t received_ms;
    uint64_t publisher;
    uint64_t stamp;
    uint32_t expiry_s;
    uint32_t payload_len;
    uint32_t props_len;
    uint16_t topic_len;
    uint8_t qos : 2;
    uint8_t retain : 1;
    uint8_t is_foreign : 1; /* the payload is the host's: a struct msg_foreign stands behind the
                               properties, aligned */
    uint8_t data[]; /* topic, properties, payload: properties and payload are contiguous unless
                       foreign */
};

/* A host's buffer, used until the last reference is gone (zero copy). */
struct msg_foreign {
    const uint8_t *payload;
    msg_free_fn free_fn;
    void *arg;
};

/* Copies topic, properties and payload. One reference. NULL: out of memory. */
struct msg *mqbx_msg_new(const struct alloc *a, const struct publication *p);
/* Refers to the payload; free_fn (may be NULL) runs once, with the last reference, on whichever
 * thread drops it, under no lock. On NULL (out of memory) it has not run. */
struct msg *mqbx_msg_new_foreign(const struct alloc *a, const struct publication *p,
                                 msg_free_fn free_fn, void *arg);
/* The sole reference is still the maker's, who gives up: free_fn will not run, the payload stays
 * the host's. */
void mqbx_msg_disarm(struct msg *m);
struct msg *mqbx_msg_ref(struct msg *m);
void mqbx_msg_unref(struct msg *m); /* NULL is fine */
struct bytes mqbx_msg_topic(const struct msg *m);
struct bytes mqbx_msg_props(const struct msg *m);
struct bytes mqbx_msg_payload(const struct msg *m);
size_t mqbx_msg_size(const struct msg *m); /* what it occupies, for limits */
/* A view of it; publication.msg borrows m. */
void mqbx_msg_view(struct msg *m, struct publication *out);
/* Seconds left at now_ms; false: expired. *left is MSG_NEVER_EXPIRES when it has no expiry.
 * [MQTT-3.3.2-5], [MQTT-3.3.2-6] */
bool mqbx_msg_left(uint64_t received_ms, uint32_t expiry_s, uint64_t now_ms, uint32_t *left);

/* One worker's share of a msg. */
struct local_msg {
    struct msg *msg; /* holds one reference */
    uint32_t refs;
};

/* Takes over one reference to m; on NULL (out of memory) the reference stays the caller's. One
 * local reference. */
struct local_msg *mqbx_local_msg_new(struct slab *s, struct msg *m);
void mqbx_local_msg_unref(struct slab *s, struct local_msg *l);

#endif
