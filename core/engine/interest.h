/* SPDX-License-Identifier: MIT */
/*
 * Which workers may have a subscriber for a topic: one broker-wide table of 64-bit worker masks,
 * read without locks. Each worker counts privately what it raised; only 0->1 and 1->0 touch the
 * shared mask. It may say yes in vain (a collision), never no in vain. Raise before SUBACK is
 * queued; lower after the index entry is gone. All accesses to the masks are seq_cst: retained.h
 * says why.
 */
#ifndef MQBX_ENGINE_INTEREST_H
#define MQBX_ENGINE_INTEREST_H

#include <stdbool.h>
#include <stdint.h>

#include "base/alloc.h"
#include "base/bytes.h"
#include "base/hash.h"

struct interest;        /* the table, shared by all workers of a broker */
struct interest_counts; /* one worker's private counters */

/* slots: a power of two. NULL: out of memory. */
struct interest *mqbx_interest_new(const struct alloc *a, struct hash_key key, uint32_t slots);
void mqbx_interest_free(struct interest *t);
struct interest_counts *mqbx_interest_counts_new(const struct alloc *a, struct interest *t,
                                                 uint32_t worker);
void mqbx_interest_counts_free(
    struct interest_counts *c); /* lowers nothing: for the end of the broker */

/* The worker's own thread. `filter` is valid, without $share. Raise returns the slot, which goes
 * back to lower. */
uint32_t mqbx_interest_raise(struct interest_counts *c, uint32_t tenant, struct bytes filter);
void mqbx_interest_lower(struct interest_counts *c, uint32_t slot);

/* [any thread] Bit w set: worker w may have a subscriber for this topic name. */
uint64_t mqbx_interest_mask(const struct interest *t, uint32_t tenant, struct bytes topic);

#endif
