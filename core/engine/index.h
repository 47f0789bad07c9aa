/* SPDX-License-Identifier: MIT */
/*
 * Topic filters to subscribers, for one worker. A tree of levels in one open-addressing table keyed
 * (parent, level), with slots for `+` and `#` in the node; before it a cache from topic to the
 * finished list, checked by generations: one per first literal level (hashed into a fixed number of
 * counters) and one for filters that begin with a wildcard. Tenants have roots of their own: no
 * wildcard crosses.
 *
 * Owned and used by one worker. Knows nothing of sessions: `owner` and `sub` are carried, not
 * looked into.
 */
#ifndef MQBX_ENGINE_INDEX_H
#define MQBX_ENGINE_INDEX_H

#include <stdbool.h>
#include <stdint.h>

#include "base/alloc.h"
#include "base/bytes.h"
#include "base/hash.h"

/* What a match yields for one subscription; everything delivery needs at once. */
struct subscriber {
    void *owner; /* struct session; when is_group: struct group (sub is NULL) or an in-process
                    subscription itself */
    void *sub;   /* struct subscription, or NULL */
    uint32_t identifier : 28; /* Subscription Identifier, 0: none */
    uint32_t qos : 2;
    uint32_t no_local : 1;
    uint32_t retain_as_published : 1;
    uint32_t order : 31; /* the owner's serial number: a match is sorted by it, so that one owner's
                            stand together */
    uint32_t is_group : 1;
};

struct match {
    const struct subscriber *subscribers; /* sorted by (is_group, order) */
    uint32_t count;
};

struct index;

/* cache_slots: topics the cache holds (a power of two; 0: no cache). NULL: out of memory. */
struct index *mqbx_index_new(const struct alloc *a, struct hash_key key, uint32_t cache_slots);
void mqbx_index_free(struct index *ix);

/* `filter` is valid (mqtt/topic.h). Adds one subscriber; the caller sees to it that (filter, owner)
 * is there once. False: out of memory, nothing changed. */
bool mqbx_index_insert(struct index *ix, uint32_t tenant, struct bytes filter,
                       const struct subscriber *s);
/* Replaces identifier, qos and flags of the subscriber with this owner; false when there is none.
 */
bool mqbx_index_update(struct index *ix, uint32_t tenant, struct bytes filter,
                       const struct subscriber *s);
/* False when there is none. Empty branches are pruned. */
bool mqbx_index_remove(struct index *ix, uint32_t tenant, struct bytes filter, const void *owner);

/* All subscribers whose filter selects `topic` (valid name). The list is the index's own, good
 * until the next call that changes the index or matches. Out of memory while the list is built:
 * false. [MQTT-4.7.2-1] */
bool mqbx_index_match(struct index *ix, uint32_t tenant, struct bytes topic, struct match *out);

uint64_t mqbx_index_filters(const struct index *ix); /* subscribers in it */
uint64_t mqbx_index_bytes(const struct index *ix);   /* memory it occupies, cache included */

#endif
