/* SPDX-License-Identifier: MIT */
/*
 * Messages ordered by (tenant, topic level by level), as pointers in blocks of up to 128: found by
 * two binary searches, changed by moving at most a block. Whoever has the shard's lock uses it.
 * Holds the references it is given; knows nothing of stamps, limits or expiry.
 */
#ifndef MQBX_ENGINE_RETAINED_BLOCKS_H
#define MQBX_ENGINE_RETAINED_BLOCKS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/alloc.h"
#include "base/bytes.h"
#include "engine/msg.h"

struct block;

struct blocks {
    const struct alloc *alloc;
    struct block *list; /* in order, none empty */
    uint32_t count, cap;
};

/* Where an entry stands, or would; good until the next change. Behind the last: block == count. */
struct place {
    uint32_t block, index;
};

/* What one looks for, without building its text: `head`, or `head` '/' `tail`. */
enum seek_mode {
    SEEK_FROM,        /* the first entry not below it */
    SEEK_AFTER,       /* the first entry above it */
    SEEK_PAST_BRANCH, /* the first entry above it and all that begin with it and a '/' */
};
struct seek {
    enum seek_mode mode;
    uint32_t tenant;
    bool has_tail;
    struct bytes head, tail; /* no tail but with SEEK_FROM */
};

void mqbx_blocks_init(struct blocks *b, const struct alloc *a);
void mqbx_blocks_fini(struct blocks *b); /* drops all messages */

struct place mqbx_blocks_seek(const struct blocks *b, const struct seek *s);
/* The same, known to lie behind `from`: looks at the next entry first. */
struct place mqbx_blocks_seek_on(const struct blocks *b, struct place from, const struct seek *s);
struct msg *mqbx_blocks_at(const struct blocks *b, struct place p); /* NULL: behind the last */
/* For a walk: also has the memory of the entries a little further on fetched. */
struct place mqbx_blocks_next(const struct blocks *b, struct place p);
/* An old place, after any changes: one near it. */
struct place mqbx_blocks_clamp(const struct blocks *b, struct place p);

/* Takes over the reference. False: out of memory, nothing changed. */
bool mqbx_blocks_insert(struct blocks *b, struct place p, struct msg *m);
/* These two hand the old message's reference to the caller. */
struct msg *mqbx_blocks_replace(struct blocks *b, struct place p, struct msg *m);
struct msg *mqbx_blocks_remove(struct blocks *b, struct place *p); /* *p is then the next entry's */

#endif
