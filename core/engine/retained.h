/* SPDX-License-Identifier: MIT */
/*
 * Retained messages: the second thing workers share. 64 shards by hash(tenant, first two levels),
 * each with its lock and an array of messages ordered by (tenant, topic level by level), in blocks;
 * a filter walks only matching branches by seeking. No callback ever runs under a lock.
 *
 * Stamps. put takes the next broker-wide retain stamp under the shard's lock, and its caller reads
 * the interest masks afterwards; a subscriber raises its mask and reads the stamp counter as S
 * afterwards. All four accesses are seq_cst, so either the publisher sees the mask or the
 * subscriber's S covers the put: a new subscription takes stamps <= S from here and stamps > S from
 * the live flow, each value exactly once.
 */
#ifndef MQBX_ENGINE_RETAINED_H
#define MQBX_ENGINE_RETAINED_H

#include <stdbool.h>
#include <stdint.h>

#include "base/alloc.h"
#include "base/bytes.h"
#include "base/hash.h"
#include "engine/msg.h"

struct retained;

struct retained_limits {
    uint64_t max_count; /* 0: none */
    uint64_t max_bytes; /* 0: none */
};

enum retained_status {
    RETAINED_STORED,  /* *stamp is set */
    RETAINED_CLEARED, /* empty payload: whatever was there is gone; *stamp is set */
    RETAINED_FULL, /* a limit: nothing stored, an older value of the topic is removed (it would be
                      stale); *stamp is set */
    RETAINED_NO_MEMORY,
};

struct retained *mqbx_retained_new(const struct alloc *a, struct hash_key key,
                                   struct retained_limits limits);
void mqbx_retained_free(struct retained *r);
void mqbx_retained_set_limits(struct retained *r, struct retained_limits limits); /* [any thread] */

/* [any thread] Replaces or clears the value of p->topic. A stored one becomes (or shares) a msg
 * with p's retain flag set; *stamp is the publication's place in the order and goes into p->stamp
 * by the caller. The stored msg carries its stamp. If p->msg is not NULL and may not be shared (its
 * stamp differs), a copy is made. [MQTT-3.3.1-5], [MQTT-3.3.1-6], [MQTT-3.3.1-7] */
enum retained_status mqbx_retained_put(struct retained *r, const struct publication *p,
                                       uint64_t *stamp);

/* [any thread] The newest stamp given out, seq_cst. */
uint64_t mqbx_retained_stamp(const struct retained *r);
/* Stamps go on above this one (after a start from a store). */
void mqbx_retained_set_stamp(struct retained *r, uint64_t stamp);

/* A pull cursor: text, never a pointer into the store. All zero at first. */
struct retained_cursor {
    uint32_t shard; /* next shard to look at */
    bool is_done;
    struct bytes last; /* the topic behind which the walk goes on (in the caller's storage, see
                          below), empty: from the beginning of the shard */
    struct msg *held;  /* take's own: keeps `last` alive when it is no answer's topic */
};

/* [any thread] Takes up to `max` values (<= 256 are looked at per call, fewer may be answered) that
 * `filter` selects, with stamp <= newest, not expired at now_ms, in order behind the cursor. out[]
 * receives references. Moves the cursor. Its text `last` is then the topic of the last answer, or
 * of a message the cursor holds: copy it before dropping the answers. Answers the number; 0 with
 * !is_done means call again. A value that stays put from the first call to the last is answered
 * exactly once, whatever comes and goes beside it. [MQTT-3.3.1-9] */
uint32_t mqbx_retained_take(struct retained *r, uint32_t tenant, struct bytes filter,
                            uint64_t newest, uint64_t now_ms, struct retained_cursor *c,
                            struct msg **out, uint32_t max);
/* Needed when a cursor is given up before it is done; harmless otherwise. */
void mqbx_retained_cursor_fini(struct retained_cursor *c);

/* [any thread] Removes expired values, looking at up to `max` entries; goes on next time where it
 * stopped. Answers how many it removed. */
uint32_t mqbx_retained_sweep(struct retained *r, uint64_t now_ms, uint32_t max);

/* [any thread] A value is counted before its stamp can be read: who reads a stamp first and then 0
 * here has missed nothing. */
uint64_t mqbx_retained_count(const struct retained *r);
uint64_t mqbx_retained_bytes(const struct retained *r); /* [any thread] messages and places */

#endif
