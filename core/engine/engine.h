/* SPDX-License-Identifier: MIT */
/*
 * One worker's broker: connections, sessions, routing, and the protocol between workers. Pure: no
 * sockets, no threads, no clock. Its owner (a worker thread, the simulator) calls it from one
 * thread, in turns:
 *
 *     mqbx_engine_begin(e, now);
 *     mqbx_engine_link_new / _link_ready / _item / _answer ...   any number, any order
 *     while (mqbx_engine_end(e)) ...                              true: it wants another turn at
 * once sleep until mqbx_engine_next_ms(e) or something comes
 */
#ifndef MQBX_ENGINE_ENGINE_H
#define MQBX_ENGINE_ENGINE_H

#include <stdbool.h>
#include <stdint.h>

#include "engine/item.h"
#include "engine/metrics.h"
#include "engine/seams.h"
#include "engine/settings.h"

struct shared; /* what the workers of one broker have in common */

struct shared_options {
    uint32_t workers; /* 1..64 */
    uint32_t interest_slots;
    bool keeps; /* records are kept: seams.keep is there, and acknowledgements wait for it */
    uint64_t max_retained_count, max_retained_bytes;
    const struct alloc *alloc;
    void (*random)(void *ctx, void *out, size_t len); /* draws every hash key and seed */
    void *random_ctx;
};

/* NULL: out of memory. Freed after all its engines. */
struct shared *mqbx_shared_new(const struct shared_options *o);
void mqbx_shared_free(struct shared *s);
void mqbx_shared_set_retained_limits(struct shared *s, uint64_t max_count, uint64_t max_bytes);
/* [any thread] The worker on which a session of this tenant and client id lives. */
uint32_t mqbx_shared_home(const struct shared *s, uint32_t tenant, struct bytes client_id);
/* [any thread] What stands in publication.publisher for messages of this client. */
uint64_t mqbx_shared_publisher(const struct shared *s, uint32_t tenant, struct bytes client_id);
uint64_t mqbx_shared_retained_count(const struct shared *s);
uint64_t mqbx_shared_retained_bytes(const struct shared *s);
uint64_t mqbx_shared_connections(const struct shared *s); /* [any thread] open connections */

/* Takes over one reference to settings. NULL: out of memory. */
struct engine *mqbx_engine_new(struct shared *shared, uint32_t worker, struct settings *settings,
                               const struct seams *seams, struct engine_time now);
/* Closes every link without a word and drops everything. */
void mqbx_engine_free(struct engine *e);

void mqbx_engine_begin(struct engine *e, struct engine_time now);
/* A link accepted here. Owned by the engine from now on; false: refused, the caller closes it. */
bool mqbx_engine_link_new(struct engine *e, struct link *l);
void mqbx_engine_link_ready(struct engine *e, struct link *l, uint32_t events);
void mqbx_engine_item(struct engine *e, const struct item *it);
/* [any thread] An item that will not be delivered: frees what it carries and tells the host's
 * callbacks MQB_ECANCELED. `a` as in the seams. */
void mqbx_item_dispose(const struct alloc *a, struct item *it);
/* The answer to a question that was pending; a stale number is ignored. Takes over a->permissions.
 */
void mqbx_engine_answer(struct engine *e, uint64_t number, const struct answer *a);
/* The records of a batch are kept (seams.keep). */
void mqbx_engine_kept(struct engine *e, uint64_t batch);
bool mqbx_engine_end(struct engine *e);
/* UINT64_MAX: nothing to wait for. Monotonic. */
uint64_t mqbx_engine_next_ms(const struct engine *e);

/* Stopping, step by step; each engine for itself. reading: no socket is read any more, parked input
 * is dropped. */
void mqbx_engine_stop_reading(struct engine *e);
/* DISCONNECT 0x8B to every client and a close once that is flushed; wills of those clients go out
 * as the standard says. */
void mqbx_engine_disconnect_all(struct engine *e);
bool mqbx_engine_is_drained(const struct engine *e); /* no connection is left */

const struct engine_metrics *mqbx_engine_metrics(const struct engine *e); /* [any thread] */

#endif
