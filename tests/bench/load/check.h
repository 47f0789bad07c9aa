/* SPDX-License-Identifier: MIT */
/*
 * What arrives: in order, out of order, twice. One order per publisher and subscriber; where the
 * copies of a message may come to different subscribers, or in any order, a set of those seen.
 */
#ifndef BENCH_LOAD_CHECK_H
#define BENCH_LOAD_CHECK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum arrival {
    ARRIVED_IN_ORDER, /* gaps allowed: what is lost is known in the end, by number */
    ARRIVED_OUT_OF_ORDER,
    ARRIVED_TWICE,
    ARRIVED_LATE, /* more than 64 behind: out of order, or twice */
};

struct order {
    uint64_t next;
    uint64_t recent; /* bit n: next - 1 - n has arrived */
};

enum arrival order_arrived(struct order *order, uint64_t sequence);

/* All zero: empty. */
struct seen {
    uint64_t *words;
    size_t count;
};

/* Answers whether it was there already. */
bool seen_insert(struct seen *seen, uint64_t sequence);
void seen_fini(struct seen *seen);

#endif
