/* SPDX-License-Identifier: MIT */
/*
 * A map from numbers (not 0) to numbers, for what the oracle remembers.
 */
#ifndef TEST_SIM_NUMBER_MAP_H
#define TEST_SIM_NUMBER_MAP_H

#include <stdint.h>

struct number_map {
    uint64_t *keys;
    uint32_t *values;
    uint32_t count, cap;
};

/* The place of the key's value, made with 0 when it is not there; good until the next call. */
uint32_t *number_map_at(struct number_map *m, uint64_t key);
void number_map_fini(struct number_map *m);

#endif
