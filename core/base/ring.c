/* SPDX-License-Identifier: MIT */
/*
 * The double-ended queue: one circular array, reallocated as the length asks for it. One owner
 * thread.
 */
#include "base/ring.h"

#include <assert.h>
#include <string.h>

#define RING_FIRST 4u    /* slots of the first array */
#define RING_DOUBLES 64u /* up to here it doubles, beyond it grows by half */

static inline uint32_t slot_of(const struct ring *r, uint32_t index)
{
    /* in 64 bits: head + index may exceed 32 */
    uint64_t slot = (uint64_t)r->head + index;
    return (uint32_t)(slot >= r->cap ? slot - r->cap : slot);
}

static inline void *item_at_slot(const struct ring *r, uint32_t slot)
{
    return (char *)r->data + (size_t)slot * r->item_size;
}

void mqbx_ring_init(struct ring *r, size_t item_size)
{
    assert(item_size > 0 && item_size <= UINT32_MAX);
    *r = (struct ring){.item_size = (uint32_t)item_size};
}

void mqbx_ring_fini(struct ring *r, const struct alloc *a)
{
    mqbx_free(a, r->data, (size_t)r->cap * r->item_size);
    mqbx_ring_init(r, r->item_size);
}

/* Moves everything into an array of `cap` slots, index 0 first. */
static bool resize(struct ring *r, const struct alloc *a, uint32_t cap)
{
    assert(cap >= r->count);
    char *data = mqbx_alloc(a, (size_t)cap * r->item_size);
    if (!data)
        return false;
    uint32_t first = r->cap - r->head; /* up to the end of the old array */
    if (first > r->count)
        first = r->count;
    if (r->count > 0) {
        memcpy(data, item_at_slot(r, r->head), (size_t)first * r->item_size);
        memcpy(data + (size_t)first * r->item_size, r->data,
               (size_t)(r->count - first) * r->item_size);
    }
    mqbx_free(a, r->data, (size_t)r->cap * r->item_size);
    r->data = data;
    r->head = 0;
    r->cap = cap;
    return true;
}

bool mqbx_ring_reserve(struct ring *r, const struct alloc *a, uint32_t more)
{
    if (more <= r->cap - r->count)
        return true;
    if (more > UINT32_MAX - r->count)
        return false;
    uint32_t needed = r->count + more;
    uint32_t step = r->cap < RING_DOUBLES ? r->cap : r->cap / 2;
    uint32_t cap = step > UINT32_MAX - r->cap ? UINT32_MAX : r->cap + step;
    if (cap < RING_FIRST)
        cap = RING_FIRST;
    return resize(r, a, cap < needed ? needed : cap);
}

bool mqbx_ring_push_back(struct ring *r, const struct alloc *a, const void *item)
{
    if (r->count == r->cap && !mqbx_ring_reserve(r, a, 1))
        return false;
    memcpy(item_at_slot(r, slot_of(r, r->count)), item, r->item_size);
    r->count++;
    return true;
}

bool mqbx_ring_push_front(struct ring *r, const struct alloc *a, const void *item)
{
    if (r->count == r->cap && !mqbx_ring_reserve(r, a, 1))
        return false;
    r->head = (r->head == 0 ? r->cap : r->head) - 1;
    memcpy(item_at_slot(r, r->head), item, r->item_size);
    r->count++;
    return true;
}

void *mqbx_ring_at(const struct ring *r, uint32_t index)
{
    assert(index < r->count);
    return item_at_slot(r, slot_of(r, index));
}

static void give_memory_back(struct ring *r, const struct alloc *a)
{
    if (r->count == 0)
        mqbx_ring_fini(r, a);
    else if (r->cap > RING_FIRST && r->count <= r->cap / 4)
        (void)resize(r, a, r->cap / 2 < RING_FIRST ? RING_FIRST : r->cap / 2);
}

void mqbx_ring_pop_front(struct ring *r, const struct alloc *a)
{
    assert(r->count > 0);
    r->head = slot_of(r, 1);
    r->count--;
    give_memory_back(r, a);
}

static void copy_item(struct ring *r, uint32_t to, uint32_t from)
{
    memcpy(mqbx_ring_at(r, to), mqbx_ring_at(r, from), r->item_size);
}

void mqbx_ring_remove(struct ring *r, const struct alloc *a, uint32_t index)
{
    assert(index < r->count);
    if (index < r->count / 2) {
        for (uint32_t i = index; i > 0; i--)
            copy_item(r, i, i - 1);
        mqbx_ring_pop_front(r, a);
        return;
    }
    for (uint32_t i = index; i + 1 < r->count; i++)
        copy_item(r, i, i + 1);
    r->count--;
    give_memory_back(r, a);
}
