/* SPDX-License-Identifier: MIT */
/*
 * The one way into a worker from other threads: many producers, one consumer, lock-free. A producer
 * pushes whole chunks (a chunk is the items one sender has for one target in one turn); the
 * consumer takes everything by one exchange and reads it in the order each producer pushed. `bytes`
 * is what the items waiting here stand for.
 *
 * Sleeping: the consumer says inbox_sleep, which announces it and looks once more; a producer whose
 * push finds the announcement clears it and wakes the consumer, once. Both sides are seq_cst, so
 * one of them sees the other.
 */
#ifndef MQBX_BASE_INBOX_H
#define MQBX_BASE_INBOX_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/atomic.h"

struct inbox_chunk {
    struct inbox_chunk *next; /* owned by the inbox while it is in there */
    uint64_t bytes;           /* what it adds to inbox.bytes; the pusher sets it */
};

struct inbox {
    struct atomic_ptr head; /* newest first */
    struct atomic_u32 asleep;
    struct atomic_u64 bytes;
};

void mqbx_inbox_init(struct inbox *in);
/* [any thread] Answers true when the consumer was asleep: the caller must wake it. */
bool mqbx_inbox_push(struct inbox *in, struct inbox_chunk *chunk);
/* [consumer] All that is in there, oldest first, linked by next; NULL when empty. The bytes stay
 * counted until mqbx_inbox_done. */
struct inbox_chunk *mqbx_inbox_take(struct inbox *in);
void mqbx_inbox_done(struct inbox *in, uint64_t bytes); /* [consumer] processed */
/* [consumer] True: nothing is there and the next push will wake. False: look again. */
bool mqbx_inbox_sleep(struct inbox *in);
void mqbx_inbox_awake(struct inbox *in);           /* [consumer] running again */
bool mqbx_inbox_is_empty(const struct inbox *in);  /* [any thread] */
uint64_t mqbx_inbox_bytes(const struct inbox *in); /* [any thread] */

#endif
