/* SPDX-License-Identifier: MIT */
/*
 * An allocator for tests: counts what is live, checks that every block comes back with its size,
 * poisons what it frees, and can make the n-th allocation fail. Any thread.
 *
 *     struct test_alloc ta;
 *     test_alloc_init(&ta);
 *     ... give &ta.alloc to the code under test ...
 *     test_alloc_fail_after(&ta, n);   n allocations succeed, every later one fails
 *     assert(test_alloc_live_blocks(&ta) == 0);
 */
#ifndef TEST_SHIM_TEST_ALLOC_H
#define TEST_SHIM_TEST_ALLOC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
#include "shim/base.hpp"
extern "C" {
#else
#include "base/alloc.h"
#endif

#define TEST_ALLOC_NEVER UINT64_MAX

struct test_alloc_state;

struct test_alloc {
    struct alloc alloc;
    struct test_alloc_state *state;
};

void test_alloc_init(struct test_alloc *t);
void test_alloc_fini(struct test_alloc *t);
void test_alloc_fail_after(struct test_alloc *t, uint64_t n); /* TEST_ALLOC_NEVER: none */
uint64_t test_alloc_failures(const struct test_alloc *t);     /* how many were refused so far */
uint64_t test_alloc_calls(const struct test_alloc *t);        /* allocations asked for so far */
size_t test_alloc_live_bytes(const struct test_alloc *t);
size_t test_alloc_live_blocks(const struct test_alloc *t);
bool test_alloc_is_sane(const struct test_alloc *t); /* every size on the way back was right */

#ifdef __cplusplus
}
#endif

#endif
