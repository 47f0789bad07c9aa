/* SPDX-License-Identifier: MIT */
/*
 * Buckets: one a value up to 64, then 64 for each power of two.
 */
#include "histogram.h"

#include <string.h>

void histogram_clear(struct histogram *h)
{
    memset(h, 0, sizeof(*h));
}

static uint32_t bucket_of(uint64_t value)
{
    if (value < 64)
        return (uint32_t)value;
    uint32_t power = 63u - (uint32_t)__builtin_clzll(value);
    uint32_t bucket = (power - 5) * 64 + (uint32_t)(value >> (power - 6) & 63);
    return bucket < HISTOGRAM_BUCKETS ? bucket : HISTOGRAM_BUCKETS - 1;
}

/* The middle of a bucket. */
static uint64_t value_of(uint32_t bucket)
{
    if (bucket < 64)
        return bucket;
    uint32_t power = bucket / 64 + 5;
    uint64_t width = (uint64_t)1 << (power - 6);
    return ((uint64_t)1 << power) + (bucket % 64) * width + width / 2;
}

void histogram_add(struct histogram *h, uint64_t value)
{
    h->buckets[bucket_of(value)]++;
    h->count++;
    if (value > h->max)
        h->max = value;
}

uint64_t histogram_quantile(const struct histogram *h, double part)
{
    uint64_t wanted = (uint64_t)(part * (double)h->count + 0.999999);
    uint64_t passed = 0;
    if (wanted == 0)
        wanted = 1;
    for (uint32_t i = 0; i < HISTOGRAM_BUCKETS; i++) {
        passed += h->buckets[i];
        if (passed >= wanted)
            return value_of(i) < h->max ? value_of(i) : h->max;
    }
    return 0;
}
