/* SPDX-License-Identifier: MIT */
/*
 * What the workers of a broker have in common: hash keys drawn at start, the interest table, the
 * retained messages, and a few counts.
 */
#include <assert.h>

#include "engine/state.h"

static struct hash_key draw_key(const struct shared_options *o)
{
    struct hash_key key;
    o->random(o->random_ctx, &key, sizeof(key));
    return key;
}

struct shared *mqbx_shared_new(const struct shared_options *o)
{
    assert(o->workers >= 1 && o->workers <= 64);
    struct shared *s = mqbx_zalloc(o->alloc, sizeof(*s));
    if (!s)
        return NULL;
    s->alloc = o->alloc;
    s->workers = o->workers;
    s->keeps = o->keeps;
    s->client_key = draw_key(o);
    s->index_key = draw_key(o);
    struct hash_key interest_key = draw_key(o);
    struct retained_limits limits = {.max_count = o->max_retained_count,
                                     .max_bytes = o->max_retained_bytes};
    s->retained = mqbx_retained_new(o->alloc, draw_key(o), limits);
    if (!s->retained)
        goto fail;
    if (o->workers > 1) {
        s->interest = mqbx_interest_new(o->alloc, interest_key, o->interest_slots);
        if (!s->interest)
            goto fail;
    }
    return s;
fail:
    mqbx_shared_free(s);
    return NULL;
}

void mqbx_shared_free(struct shared *s)
{
    if (!s)
        return;
    if (s->retained)
        mqbx_retained_free(s->retained);
    if (s->interest)
        mqbx_interest_free(s->interest);
    mqbx_free(s->alloc, s, sizeof(*s));
}

void mqbx_shared_set_retained_limits(struct shared *s, uint64_t max_count, uint64_t max_bytes)
{
    mqbx_retained_set_limits(
        s->retained, (struct retained_limits){.max_count = max_count, .max_bytes = max_bytes});
}

uint64_t mqbx_shared_publisher(const struct shared *s, uint32_t tenant, struct bytes client_id)
{
    uint64_t hash = mqbx_hash(s->client_key, tenant, client_id.ptr, client_id.len);
    return hash == 0 ? 1 : hash; /* 0 means nobody's */
}

uint32_t mqbx_shared_home(const struct shared *s, uint32_t tenant, struct bytes client_id)
{
    return (uint32_t)(mqbx_hash_mix(mqbx_shared_publisher(s, tenant, client_id)) % s->workers);
}

uint64_t mqbx_shared_retained_count(const struct shared *s)
{
    return mqbx_retained_count(s->retained);
}

uint64_t mqbx_shared_retained_bytes(const struct shared *s)
{
    return mqbx_retained_bytes(s->retained);
}

uint64_t mqbx_shared_connections(const struct shared *s)
{
    return mqbx_atomic_load64(&s->connections);
}
