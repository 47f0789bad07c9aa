/* SPDX-License-Identifier: MIT */
#include "check.h"

#include <stdlib.h>
#include <string.h>

#include "load.h"

enum arrival order_arrived(struct order *order, uint64_t sequence)
{
    if (sequence >= order->next) {
        uint64_t step = sequence - order->next + 1;
        order->recent = step < 64 ? order->recent << step | 1 : 1;
        order->next = sequence + 1;
        return ARRIVED_IN_ORDER;
    }
    uint64_t behind = order->next - 1 - sequence;
    if (behind >= 64)
        return ARRIVED_LATE;
    if (order->recent >> behind & 1)
        return ARRIVED_TWICE;
    order->recent |= (uint64_t)1 << behind;
    return ARRIVED_OUT_OF_ORDER;
}

bool seen_insert(struct seen *seen, uint64_t sequence)
{
    size_t word = (size_t)(sequence / 64);
    uint64_t bit = (uint64_t)1 << (sequence % 64);
    if (word >= seen->count) {
        size_t count = word * 2 + 64;
        seen->words = load_need(realloc(seen->words, count * sizeof(*seen->words)));
        memset(seen->words + seen->count, 0, (count - seen->count) * sizeof(*seen->words));
        seen->count = count;
    }
    bool was_there = seen->words[word] & bit;
    seen->words[word] |= bit;
    return was_there;
}

void seen_fini(struct seen *seen)
{
    free(seen->words);
}
