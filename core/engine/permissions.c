/* SPDX-License-Identifier: MIT */
/*
 * Permissions: one block, the rules and behind them their texts.
 */
#include "engine/permissions.h"

#include "base/atomic.h"
#include "mqtt/topic.h"

struct permissions {
    struct atomic_u32 refs;
    enum permission otherwise;
    const struct alloc *alloc;
    size_t size;
    size_t count;
    struct permission_rule rules[];
};

struct permissions *mqbx_permissions_new(const struct alloc *a, const struct permission_rule *rules,
                                         size_t count, enum permission otherwise)
{
    size_t texts = 0;
    for (size_t i = 0; i < count; i++)
        texts += rules[i].topic.len;
    size_t size = sizeof(struct permissions) + count * sizeof(*rules) + texts;
    struct permissions *p = mqbx_zalloc(a, size);
    if (!p)
        return NULL;
    mqbx_atomic_store32(&p->refs, 1);
    p->otherwise = otherwise;
    p->alloc = a;
    p->size = size;
    p->count = count;
    uint8_t *text = (uint8_t *)(p->rules + count);
    for (size_t i = 0; i < count; i++) {
        p->rules[i] = rules[i];
        p->rules[i].topic.ptr = text;
        if (rules[i].topic.len > 0)
            memcpy(text, rules[i].topic.ptr, rules[i].topic.len);
        text += rules[i].topic.len;
    }
    return p;
}

struct permissions *mqbx_permissions_ref(struct permissions *p)
{
    mqbx_atomic_add32(&p->refs, 1);
    return p;
}

void mqbx_permissions_unref(struct permissions *p)
{
    if (p && mqbx_atomic_add32(&p->refs, UINT32_MAX) == 1)
        mqbx_free(p->alloc, p, p->size);
}

static bool selects(const struct permission_rule *r, const struct question *q)
{
    if (r->is_exact)
        return mqbx_bytes_equal(r->topic, q->topic);
    if (q->kind == ASK_SUBSCRIBE)
        return mqbx_topic_filter_covers(r->topic, q->topic);
    return mqbx_topic_matches(r->topic, q->topic);
}

static bool speaks_of(const struct permission_rule *r, const struct question *q)
{
    if (r->kinds != 0 && !(r->kinds & ASKS(q->kind)))
        return false;
    if (r->qos_mask != 0 && !(r->qos_mask & 1u << q->qos))
        return false;
    if (r->retain_mask != 0 && !(r->retain_mask & 1u << (q->retain ? 1 : 0)))
        return false;
    return selects(r, q);
}

enum permission mqbx_permissions_check(const struct permissions *p, const struct question *q)
{
    for (size_t i = 0; i < p->count; i++)
        if (speaks_of(&p->rules[i], q))
            return p->rules[i].is_allowed ? PERMISSION_ALLOW : PERMISSION_DENY;
    return p->otherwise;
}
