/* SPDX-License-Identifier: MIT */
/*
 * The subscribers of one filter: one in place, more in an array. The array is appended to, leaves
 * holes, and is put in order when somebody matches it; a large one finds an owner through a map. So
 * adding and removing cost the same with two subscribers and with 100,000. One owner thread.
 */
#ifndef MQBX_ENGINE_INDEX_SUBSCRIBERS_H
#define MQBX_ENGINE_INDEX_SUBSCRIBERS_H

#include <stdbool.h>
#include <stdint.h>

#include "engine/index.h"
#include "engine/index_memory.h"

struct subscriber_list;

struct subscribers { /* all zero: none */
    uint32_t count;
    union {
        struct subscriber one;        /* count == 1 */
        struct subscriber_list *list; /* count > 1 */
    } u;
};

void mqbx_subscribers_fini(struct subscribers *set, struct index_memory *mem);
/* False: out of memory, nothing changed. */
bool mqbx_subscribers_add(struct subscribers *set, struct index_memory *mem,
                          const struct subscriber *s);
/* NULL when the owner has none here. Good until the next change. */
struct subscriber *mqbx_subscribers_find(struct subscribers *set, const void *owner);
bool mqbx_subscribers_remove(struct subscribers *set, struct index_memory *mem, const void *owner);
/* All of them in order, good until the next change; NULL: out of memory. count > 0. */
struct subscriber *mqbx_subscribers_sorted(struct subscribers *set, struct index_memory *mem);

/* Sorts by (is_group, order), stable, quick when it is made of few sorted runs. False: out of
 * memory. */
bool mqbx_subscribers_sort(struct subscriber *items, uint32_t count, struct index_memory *mem);

#endif
