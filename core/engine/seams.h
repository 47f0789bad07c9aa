/* SPDX-License-Identifier: MIT */
/*
 * All that an engine sees of the world. The workers give it libuv, OpenSSL and threads through
 * these; the simulator gives it links that are slow, cut and late, inboxes in any legal order, and
 * a clock it turns by hand.
 */
#ifndef MQBX_ENGINE_SEAMS_H
#define MQBX_ENGINE_SEAMS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/alloc.h"
#include "base/bytes.h"
#include "engine/ask.h"
#include "engine/settings.h"

struct engine;
struct item;

/* Timers use mono, records use wall. */
struct engine_time {
    uint64_t mono_ms;
    uint64_t wall_ms;
};

/* --- link: one transport connection ---------------------------------------------------------- */

enum { LINK_READ = 1u << 0, LINK_WRITE = 1u << 1 };

enum link_result {
    LINK_AGAIN = -1, /* nothing now; readiness will be reported */
    LINK_EOF = -2,   /* read only: the peer has closed its side */
    LINK_ERROR = -3, /* broken; link_facts.error_text says how */
};

/* What is known of the peer. Strings live as long as the link. Anything may be empty. */
struct link_facts {
    const char *address; /* "127.0.0.1:53122", "[::1]:53122", "unix:/path" */
    bool is_loopback;
    bool is_tls;
    struct bytes cert_common_name; /* of a verified client certificate */
    struct bytes cert_subject;
    struct bytes sni;
    const struct listener_settings *listener; /* never NULL */
    const char *error_text;                   /* after LINK_ERROR */
};

struct link;

/* Called on the thread of the worker that has the link. None calls back into the engine. */
struct link_ops {
    /* Bytes read (> 0) or a link_result. May have more at once without ever reporting readiness for
     * it (TLS): the engine reads until LINK_AGAIN or calls again on its own. */
    int64_t (*read)(struct link *l, uint8_t *out, size_t cap);
    /* Bytes taken (>= 0, fewer than offered when the socket is full; then LINK_WRITE readiness
     * follows if wanted) or LINK_ERROR. A write that was cut short is repeated later with the same
     * bytes in front. */
    int64_t (*write)(struct link *l, const struct bytes *parts, uint32_t count);
    /* Which readiness to report through mqbx_engine_link_ready; level-triggered. */
    void (*want)(struct link *l, uint32_t events);
    /* Closes and frees, politely: what was written may still be on its way. Never touched again by
     * the engine. */
    void (*close)(struct link *l);
    /* Leaves this worker: no readiness is reported any more, nothing of the link refers to this
     * worker's loop. Only at a quiet point (nothing unsent). */
    void (*detach)(struct link *l);
    /* Arrives at the worker `loop` belongs to. False: could not be registered there; the engine
     * closes it. */
    bool (*attach)(struct link *l, void *loop);
    void (*facts)(const struct link *l, struct link_facts *out);
    /* What was read is acknowledged by the transport without waiting for something to send. Called
     * when a turn had an MQTT acknowledgement from the peer and nothing to say: a peer with Nagle's
     * algorithm on would wait for that with its next packet, 40 ms on Linux. NULL: the transport
     * has no such thing. */
    void (*hurry)(struct link *l);
};

struct link {
    const struct link_ops *ops;
    /* the engine's connection, NULL before mqbx_engine_link_new and during a hand-off */
    void *conn;
    /* Set by read with a result > 0: true when it need not be called again before readiness is
     * reported (it saw the end of what was there and nothing is buffered). False is always right,
     * at the price of one more read. */
    bool is_drained;
};

/* --- logging -------------------------------------------------------------------------------- */

enum log_level { LOG_ERROR = 1, LOG_WARN = 2, LOG_INFO = 3, LOG_DEBUG = 4 };

struct log_event {
    enum log_level level;
    const char *module;  /* "session", "tls", ... */
    const char *event;   /* one fixed text per place in the code: what limits repetition is keyed by
                            it: "client refused" */
    struct bytes client; /* empty: none */
    const char *address; /* NULL: none */
    int reason;          /* a reason code, -1: none */
    const char *detail;  /* NULL: none; free text */
};

/* --- the seams ------------------------------------------------------------------------------ */

struct seams {
    void *ctx;
    const struct alloc *alloc; /* lives as long as any message (mqbx_alloc_libc does) */
    void *loop;                /* given to link attach */
    void (*random)(void *ctx, void *out, size_t len);
    /* Room for `count` more items to `target` in this turn, so that as many posts cannot fail.
     * False: out of memory. */
    bool (*reserve)(void *ctx, uint32_t target, uint32_t count);
    /* Carries an item (copied) to an engine of the broker, itself included, FIFO per pair; arrives
     * in a later turn. `bytes` is what it stands for. Without a reserve before it a post may be
     * refused: false, nothing happened. */
    bool (*post)(void *ctx, uint32_t target, const struct item *it, uint32_t bytes);
    /* Bytes waiting in the target's inbox. */
    uint64_t (*pressure)(void *ctx, uint32_t target);
    /* Asked only for kinds in settings.asks (ask.h). VERDICT_PENDING: the answer comes by
     * mqbx_engine_answer, from this thread, in a turn. */
    enum verdict (*ask)(void *ctx, const struct question *q, struct answer *a);
    /* Nobody waits for this question's answer any more. NULL: it does not matter. */
    void (*unask)(void *ctx, uint64_t number);
    /* Only where shared keeps: the records of this engine up to now are to be kept, as batch number
     * `batch`; the answer comes later by mqbx_engine_kept. One batch at a time. */
    void (*keep)(void *ctx, uint64_t batch);
    void (*log)(void *ctx, const struct log_event *ev);
};

#endif
