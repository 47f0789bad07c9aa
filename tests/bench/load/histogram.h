/* SPDX-License-Identifier: MIT */
/*
 * Times in ns, in buckets no wider than 1.6 % of what they hold.
 */
#ifndef BENCH_LOAD_HISTOGRAM_H
#define BENCH_LOAD_HISTOGRAM_H

#include <stdint.h>

#define HISTOGRAM_BUCKETS (64u * 56u)

struct histogram {
    uint64_t count;
    uint64_t max;
    uint64_t buckets[HISTOGRAM_BUCKETS];
};

void histogram_clear(struct histogram *h);
void histogram_add(struct histogram *h, uint64_t value);
/* The value that this part (0..1) of all does not exceed; 0 when empty. */
uint64_t histogram_quantile(const struct histogram *h, double part);

#endif
