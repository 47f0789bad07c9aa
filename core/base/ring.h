/* SPDX-License-Identifier: MIT */
/*
 * A double-ended queue of small fixed-size elements in blocks: memory follows the length, nothing
 * is moved when it grows, an empty one owns nothing. Index 0 is the front. One owner thread.
 */
#ifndef MQBX_BASE_RING_H
#define MQBX_BASE_RING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/alloc.h"

struct ring {
    void *data;    /* implementation's own: one contiguous power-of-two ring while small */
    uint32_t head; /* slot of index 0 */
    uint32_t count;
    uint32_t cap; /* slots, a power of two or 0 */
    uint32_t item_size;
};

void mqbx_ring_init(struct ring *r, size_t item_size);
void mqbx_ring_fini(struct ring *r, const struct alloc *a);

/* Pointers stay valid until the next push, remove or pop. False or NULL: out of memory, nothing
 * changed. */
bool mqbx_ring_push_back(struct ring *r, const struct alloc *a, const void *item);
bool mqbx_ring_push_front(struct ring *r, const struct alloc *a, const void *item);
/* Makes sure that `more` further pushes cannot fail. */
bool mqbx_ring_reserve(struct ring *r, const struct alloc *a, uint32_t more);
void *mqbx_ring_at(const struct ring *r, uint32_t index); /* index < count */
/* Frees its memory when it becomes empty, halves it when it is three quarters empty (a failing
 * shrink is no error). */
void mqbx_ring_pop_front(struct ring *r, const struct alloc *a);
/* Takes one out of the middle, moving the shorter side; order is kept. */
void mqbx_ring_remove(struct ring *r, const struct alloc *a, uint32_t index);

#endif
