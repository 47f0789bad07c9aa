/* SPDX-License-Identifier: MIT */
/*
 * Test counts from the environment.
 */
#include "shim/scale.h"

#include <stdlib.h>
#include <string.h>

static uint64_t number_from(const char *name, uint64_t otherwise)
{
    const char *text = getenv(name);
    char *end = NULL;
    uint64_t n = text ? strtoull(text, &end, 0) : 0;
    return text && end != text && *end == '\0' ? n : otherwise;
}

bool test_is_long(void)
{
    return number_from("MQB_TEST_LONG", 0) != 0;
}

uint64_t test_scaled(uint64_t count)
{
    uint64_t scaled = count * number_from("MQB_TEST_SCALE", 100) / 100;
    return scaled > 0 ? scaled : 1;
}

uint64_t test_count(uint64_t count, uint64_t full_count)
{
    return test_scaled(test_is_long() ? full_count : count);
}

uint64_t test_seed(uint64_t seed)
{
    return number_from("MQB_TEST_SEED", seed);
}
