/* SPDX-License-Identifier: MIT */
/*
 * What a connection has yet to send: blocks lent by the engine's pool, and references to large
 * tails. An idle connection holds none. Connections written to are flushed once, at the end of the
 * turn.
 */
#ifndef MQBX_ENGINE_OUTPUT_H
#define MQBX_ENGINE_OUTPUT_H

#include <stdbool.h>
#include <stdint.h>

#include "base/bytes.h"
#include "engine/msg.h"

struct conn;
struct engine;
struct out_block;

struct output {
    struct out_block *head, *tail;
    uint64_t bytes;
};

/* Tails of at least this many bytes are referenced, smaller ones copied. */
#define OUTPUT_REF_BYTES 1024u

/* Makes sure that `len` bytes can be appended without failing. */
bool mqbx_output_reserve(struct engine *e, struct conn *c, uint32_t len);
/* Appends a run of at most 2 KiB as one piece to be filled by the caller; NULL: out of memory. */
uint8_t *mqbx_output_room(struct engine *e, struct conn *c, uint32_t len);
/* Appends a copy, in as many blocks as it takes. After a reserve of as much it cannot fail. */
bool mqbx_output_copy(struct engine *e, struct conn *c, const void *ptr, uint32_t len);
/* Appends a reference to the payload or the properties of m, taking one local reference. False: out
 * of memory. */
bool mqbx_output_refer(struct engine *e, struct conn *c, struct local_msg *m, bool is_payload);
/* Keeps blocks at hand, so that as many references can be appended without failing. */
bool mqbx_output_reserve_refs(struct engine *e, uint32_t count);
/* Sends what the link takes. False: the link is broken. */
bool mqbx_output_flush(struct engine *e, struct conn *c);
void mqbx_output_drop(struct engine *e, struct conn *c);
void mqbx_output_pool_fini(struct engine *e);

#endif
