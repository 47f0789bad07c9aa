/* SPDX-License-Identifier: MIT */
/*
 * Open-addressing hash table of pointers (linear probing, back-shift deletion, no tombstones). The
 * caller hashes (the low bits must be good: mqbx_hash or mqbx_hash_mix) and compares; the table
 * keeps the hash beside the pointer. Grows at 3/4 and gives memory back when it has become sparse.
 * One owner thread. Iteration is in slot order, hence the same under the same seed; pointers never
 * decide an order.
 */
#ifndef MQBX_BASE_TABLE_H
#define MQBX_BASE_TABLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/alloc.h"

struct table_slot {
    uint64_t hash;
    void *value; /* NULL: free */
};

struct table {
    const struct alloc *alloc;
    struct table_slot *slots; /* NULL until the first insert */
    size_t mask;              /* capacity - 1, capacity a power of two */
    size_t count;
    size_t gap; /* a slot that is free: walks begin behind it, so no run of slots is cut in two */
};

typedef bool (*table_equal_fn)(const void *value, const void *key);

void mqbx_table_init(struct table *t, const struct alloc *a);
void mqbx_table_fini(struct table *t); /* frees the slots, not the values */

void *mqbx_table_find(const struct table *t, uint64_t hash, table_equal_fn equal, const void *key);
/* Adds without looking for an equal one. False: out of memory, nothing changed. */
bool mqbx_table_insert(struct table *t, uint64_t hash, void *value);
/* Removes exactly this pointer; false when it is not there. */
bool mqbx_table_remove(struct table *t, uint64_t hash, const void *value);
/* Walks: start with *pos = 0; NULL at the end. Between two steps nothing may be inserted, and only
 * the value just returned may be removed, by mqbx_table_remove_at(t, &pos); then the walk goes on,
 * each value once. */
void *mqbx_table_next(const struct table *t, size_t *pos);
void mqbx_table_remove_at(struct table *t, size_t *pos);

#endif
