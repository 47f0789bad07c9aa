/* SPDX-License-Identifier: MIT */
/*
 * A double-ended queue of small fixed-size elements, index 0 in front: one circular array that
 * doubles while it is small, then grows by half, and shrinks as it empties, so memory follows the
 * length. An empty one owns nothing. One owner thread.
 */
#ifndef MQBX_BASE_RING_H
#define MQBX_BASE_RING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/alloc.h"

struct ring {
    void *data;
    uint32_t head; /* slot of index 0 */
    uint32_t count;
    uint32_t cap; /* slots */
    uint32_t item_size;
};

void mqbx_ring_init(struct ring *r, size_t item_size);
void mqbx_ring_fini(struct ring *r, const struct alloc *a); /* and empty again */

/* Pointers stay valid until the next push, reserve, remove or pop. False: out of memory, nothing
 * changed. */
bool mqbx_ring_push_back(struct ring *r, const struct alloc *a, const void *item);
bool mqbx_ring_push_front(struct ring *r, const struct alloc *a, const void *item);
/* Makes sure that the next `more` pushes cannot fail, unless a pop or remove comes between. */
bool mqbx_ring_reserve(struct ring *r, const struct alloc *a, uint32_t more);
void *mqbx_ring_at(const struct ring *r, uint32_t index); /* index < count */
/* Frees the memory when nothing is left, halves it when three quarters are empty (failing to is no
 * error). */
void mqbx_ring_pop_front(struct ring *r, const struct alloc *a);
/* Takes one out of the middle, moving the shorter side; order is kept. Gives memory back likewise.
 */
void mqbx_ring_remove(struct ring *r, const struct alloc *a, uint32_t index);

#endif
