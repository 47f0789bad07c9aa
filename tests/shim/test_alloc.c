/* SPDX-License-Identifier: MIT */
/*
 * The counting and failing allocator of the tests. A block carries its size in front of it.
 */
#include "shim/test_alloc.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#define HEADER 16u

struct test_alloc_state {
    atomic_uint_fast64_t left; /* allocations that still succeed */
    atomic_uint_fast64_t failures;
    atomic_uint_fast64_t calls;
    atomic_size_t bytes;
    atomic_size_t blocks;
    atomic_bool insane;
};

static size_t *header_of(void *ptr)
{
    return (size_t *)(void *)((char *)ptr - HEADER);
}

static bool may_allocate(struct test_alloc_state *s)
{
    atomic_fetch_add(&s->calls, 1);
    uint_fast64_t left = atomic_load(&s->left);
    while (left != TEST_ALLOC_NEVER) {
        if (left == 0) {
            atomic_fetch_add(&s->failures, 1);
            return false;
        }
        if (atomic_compare_exchange_weak(&s->left, &left, left - 1))
            return true;
    }
    return true;
}

static void give_back(struct test_alloc_state *s, void *ptr, size_t size)
{
    if (!ptr)
        return;
    if (*header_of(ptr) != size)
        atomic_store(&s->insane, true);
    atomic_fetch_sub(&s->bytes, *header_of(ptr));
    atomic_fetch_sub(&s->blocks, 1);
    memset(ptr, 0xdb, *header_of(ptr));
    free(header_of(ptr));
}

/* Always moves, so that a stale pointer after a realloc is found. */
static void *test_fn(void *arg, void *ptr, size_t old_size, size_t new_size)
{
    struct test_alloc_state *s = arg;
    if (new_size == 0) {
        give_back(s, ptr, old_size);
        return NULL;
    }
    char *block = may_allocate(s) ? malloc(HEADER + new_size) : NULL;
    if (!block)
        return NULL;
    void *fresh = block + HEADER;
    *header_of(fresh) = new_size;
    memset(fresh, 0xca, new_size);
    if (ptr)
        memcpy(fresh, ptr, old_size < new_size ? old_size : new_size);
    atomic_fetch_add(&s->bytes, new_size);
    atomic_fetch_add(&s->blocks, 1);
    give_back(s, ptr, old_size);
    return fresh;
}

void test_alloc_init(struct test_alloc *t)
{
    t->state = calloc(1, sizeof(*t->state));
    if (!t->state)
        abort();
    atomic_store(&t->state->left, TEST_ALLOC_NEVER);
    t->alloc = (struct alloc){.fn = test_fn, .arg = t->state};
}

void test_alloc_fini(struct test_alloc *t)
{
    free(t->state);
    t->state = NULL;
}

void test_alloc_fail_after(struct test_alloc *t, uint64_t n)
{
    atomic_store(&t->state->left, n);
}

uint64_t test_alloc_failures(const struct test_alloc *t)
{
    return atomic_load(&t->state->failures);
}

uint64_t test_alloc_calls(const struct test_alloc *t)
{
    return atomic_load(&t->state->calls);
}

size_t test_alloc_live_bytes(const struct test_alloc *t)
{
    return atomic_load(&t->state->bytes);
}

size_t test_alloc_live_blocks(const struct test_alloc *t)
{
    return atomic_load(&t->state->blocks);
}

bool test_alloc_is_sane(const struct test_alloc *t)
{
    return !atomic_load(&t->state->insane);
}
