/* SPDX-License-Identifier: MIT */
/*
 * Answers to access questions that may be used again (cache_ms): a few per client, and of a bounded
 * number of clients, those that asked last. The worker's.
 */
#ifndef MQBX_PLUGIN_CACHE_H
#define MQBX_PLUGIN_CACHE_H

#include "base/alloc.h"
#include "base/list.h"
#include "base/table.h"
#include "engine/ask.h"

enum { CACHE_ANSWERS = 32, CACHE_CLIENTS = 4096, CACHE_TOPIC_BYTES = 256 };

struct cache {
    const struct alloc *alloc;
    struct table clients; /* struct cache_client by session number */
    struct list recent;   /* the one that asked last in front */
};

void mqbx_cache_init(struct cache *c, const struct alloc *a);
void mqbx_cache_fini(struct cache *c);

/* False: not known, or over. */
bool mqbx_cache_find(struct cache *c, const struct question *q, uint64_t now_ms,
                     struct answer *out);
/* Does nothing when memory is out. */
void mqbx_cache_keep(struct cache *c, const struct question *q, const struct answer *a,
                     uint64_t until_ms);
void mqbx_cache_forget(struct cache *c, uint64_t client); /* 0: everyone's */

#endif
