/* SPDX-License-Identifier: MIT */
/*
 * How much of a test to run: the counts in the tests are those of a plain `scripts/test`;
 * MQB_TEST_SCALE is a percentage of them (set under sanitizers), MQB_TEST_LONG=1 asks for the full
 * counts.
 */
#ifndef TEST_SHIM_SCALE_H
#define TEST_SHIM_SCALE_H

#include <stdbool.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

bool test_is_long(void);
uint64_t test_scaled(uint64_t count);                     /* count, by MQB_TEST_SCALE; at least 1 */
uint64_t test_count(uint64_t count, uint64_t full_count); /* full_count under MQB_TEST_LONG */
/* MQB_TEST_SEED when set, else the given one. */
uint64_t test_seed(uint64_t seed);

#ifdef __cplusplus
}
#endif

#endif
