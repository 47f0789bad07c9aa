/* SPDX-License-Identifier: MIT */
/*
 * The only atomics of the lock-free code (inbox, interest masks, stamps and counts): sequentially
 * consistent, no fences, so that plain interleavings are exact on every processor and TSan models
 * all of it. A test build (MQBX_ATOMIC_STEP) calls a hook before each operation and so enumerates
 * the interleavings.
 */
#ifndef MQBX_BASE_ATOMIC_H
#define MQBX_BASE_ATOMIC_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#ifdef MQBX_ATOMIC_STEP
void mqbx_atomic_step(const void *where);
#else
static inline void mqbx_atomic_step(const void *where)
{
    (void)where;
}
#endif

struct atomic_u64 {
    _Atomic(uint64_t) v;
};
struct atomic_u32 {
    _Atomic(uint32_t) v;
};
struct atomic_ptr {
    _Atomic(void *) v;
};

static inline uint64_t mqbx_atomic_load64(const struct atomic_u64 *a)
{
    mqbx_atomic_step(a);
    return atomic_load(&((struct atomic_u64 *)(uintptr_t)a)->v);
}

static inline void mqbx_atomic_store64(struct atomic_u64 *a, uint64_t x)
{
    mqbx_atomic_step(a);
    atomic_store(&a->v, x);
}

/* The three answer the value before. */
static inline uint64_t mqbx_atomic_add64(struct atomic_u64 *a, uint64_t x)
{
    mqbx_atomic_step(a);
    return atomic_fetch_add(&a->v, x);
}

static inline uint64_t mqbx_atomic_or64(struct atomic_u64 *a, uint64_t x)
{
    mqbx_atomic_step(a);
    return atomic_fetch_or(&a->v, x);
}

static inline uint64_t mqbx_atomic_and64(struct atomic_u64 *a, uint64_t x)
{
    mqbx_atomic_step(a);
    return atomic_fetch_and(&a->v, x);
}

static inline uint32_t mqbx_atomic_load32(const struct atomic_u32 *a)
{
    mqbx_atomic_step(a);
    return atomic_load(&((struct atomic_u32 *)(uintptr_t)a)->v);
}

static inline void mqbx_atomic_store32(struct atomic_u32 *a, uint32_t x)
{
    mqbx_atomic_step(a);
    atomic_store(&a->v, x);
}

static inline uint32_t mqbx_atomic_add32(struct atomic_u32 *a, uint32_t x)
{
    mqbx_atomic_step(a);
    return atomic_fetch_add(&a->v, x);
}

static inline uint32_t mqbx_atomic_swap32(struct atomic_u32 *a, uint32_t x)
{
    mqbx_atomic_step(a);
    return atomic_exchange(&a->v, x);
}

static inline void *mqbx_atomic_load_ptr(const struct atomic_ptr *a)
{
    mqbx_atomic_step(a);
    return atomic_load(&((struct atomic_ptr *)(uintptr_t)a)->v);
}

static inline void *mqbx_atomic_swap_ptr(struct atomic_ptr *a, void *p)
{
    mqbx_atomic_step(a);
    return atomic_exchange(&a->v, p);
}

static inline bool mqbx_atomic_cas_ptr(struct atomic_ptr *a, void **expected, void *p)
{
    mqbx_atomic_step(a);
    return atomic_compare_exchange_strong(&a->v, expected, p);
}

#endif
