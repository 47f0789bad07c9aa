/* SPDX-License-Identifier: MIT */
/*
 * A number that one thread changes and any thread may read: plain machine adds, without a lock
 * prefix.
 */
#ifndef MQBX_BASE_COUNTER_H
#define MQBX_BASE_COUNTER_H

#include <stdatomic.h>
#include <stdint.h>

struct counter {
    _Atomic(uint64_t) v;
};

static inline void mqbx_counter_add(struct counter *c, uint64_t n) /* owner thread only */
{
    atomic_store_explicit(&c->v, atomic_load_explicit(&c->v, memory_order_relaxed) + n,
                          memory_order_relaxed);
}

static inline void mqbx_counter_sub(struct counter *c, uint64_t n) /* owner thread only */
{
    mqbx_counter_add(c, (uint64_t)0 - n);
}

static inline uint64_t mqbx_counter_get(const struct counter *c)
{
    return atomic_load_explicit(&((struct counter *)(uintptr_t)c)->v, memory_order_relaxed);
}

#endif
