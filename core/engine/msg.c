/* SPDX-License-Identifier: MIT */
/*
 * Messages: the block, its parts, its counts. A msg is immutable once a second reference exists, so
 * any thread reads it; a local_msg belongs to one worker. Knows nothing of queues, packets or
 * stores.
 */
#include "engine/msg.h"

#include <assert.h>
#include <stddef.h>
#include <string.h>

/* The size of the block `p` needs; the foreign part stands behind topic and properties, aligned. */
static size_t foreign_offset(uint32_t topic_len, uint32_t props_len)
{
    size_t end = offsetof(struct msg, data) + topic_len + props_len;
    size_t align = _Alignof(struct msg_foreign);
    return (end + align - 1) / align * align;
}

static size_t foreign_size(uint32_t topic_len, uint32_t props_len)
{
    return foreign_offset(topic_len, props_len) + sizeof(struct msg_foreign);
}

static size_t copied_size(uint32_t topic_len, uint32_t props_len, uint32_t payload_len)
{
    size_t size = offsetof(struct msg, data) + topic_len + props_len + payload_len;
    return size < sizeof(struct msg) ? sizeof(struct msg) : size;
}

static size_t own_size(const struct msg *m)
{
    return m->is_foreign ? foreign_size(m->topic_len, m->props_len)
                         : copied_size(m->topic_len, m->props_len, m->payload_len);
}

static struct msg_foreign *foreign_of(const struct msg *m)
{
    assert(m->is_foreign);
    return (struct msg_foreign *)((uintptr_t)m + foreign_offset(m->topic_len, m->props_len));
}

static uint8_t *append(uint8_t *out, struct bytes b)
{
    if (b.len > 0)
        memcpy(out, b.ptr, b.len);
    return out + b.len;
}

/* All but the payload; answers where that goes. */
static uint8_t *fill(struct msg *m, const struct alloc *a, const struct publication *p)
{
    assert(p->topic.len <= UINT16_MAX);
    mqbx_atomic_store32(&m->refs, 1);
    m->alloc = a;
    m->hold = NULL;
    m->tenant = p->tenant;
    m->received_ms = p->received_ms;
    m->publisher = p->publisher;
    m->stamp = p->stamp;
    m->expiry_s = p->expiry_s;
    m->payload_len = p->payload.len;
    m->props_len = p->props.len;
    m->topic_len = (uint16_t)p->topic.len;
    m->qos = p->qos & 3u;
    m->retain = p->retain;
    m->is_foreign = false;
    return append(append(m->data, p->topic), p->props);
}

struct msg *mqbx_msg_new(const struct alloc *a, const struct publication *p)
{
    struct msg *m = mqbx_alloc(a, copied_size(p->topic.len, p->props.len, p->payload.len));
    if (m)
        append(fill(m, a, p), p->payload);
    return m;
}

struct msg *mqbx_msg_new_foreign(const struct alloc *a, const struct publication *p,
                                 msg_free_fn free_fn, void *arg)
{
    struct msg *m = mqbx_alloc(a, foreign_size(p->topic.len, p->props.len));
    if (!m)
        return NULL;
    fill(m, a, p);
    m->is_foreign = true;
    *foreign_of(m) =
        (struct msg_foreign){.payload = p->payload.ptr, .free_fn = free_fn, .arg = arg};
    return m;
}

void mqbx_msg_disarm(struct msg *m)
{
    if (m->is_foreign)
        foreign_of(m)->free_fn = NULL;
}

struct msg *mqbx_msg_ref(struct msg *m)
{
    mqbx_atomic_add32(&m->refs, 1);
    return m;
}

void mqbx_msg_unref(struct msg *m)
{
    if (!m || mqbx_atomic_add32(&m->refs, UINT32_MAX) != 1)
        return;
    if (m->is_foreign) {
        const struct msg_foreign *f = foreign_of(m);
        if (f->free_fn)
            f->free_fn(f->arg, f->payload, m->payload_len);
    }
    mqbx_free(m->alloc, m, own_size(m));
}

struct bytes mqbx_msg_topic(const struct msg *m)
{
    return mqbx_bytes(m->data, m->topic_len);
}

struct bytes mqbx_msg_props(const struct msg *m)
{
    return mqbx_bytes(m->data + m->topic_len, m->props_len);
}

struct bytes mqbx_msg_payload(const struct msg *m)
{
    if (m->is_foreign)
        return mqbx_bytes(foreign_of(m)->payload, m->payload_len);
    return mqbx_bytes(m->data + m->topic_len + m->props_len, m->payload_len);
}

size_t mqbx_msg_size(const struct msg *m)
{
    return own_size(m) + (m->is_foreign ? m->payload_len : 0);
}

void mqbx_msg_view(struct msg *m, struct publication *out)
{
    *out = (struct publication){
        .tenant = m->tenant,
        .expiry_s = m->expiry_s,
        .received_ms = m->received_ms,
        .publisher = m->publisher,
        .stamp = m->stamp,
        .qos = m->qos,
        .retain = m->retain,
        .topic = mqbx_msg_topic(m),
        .props = mqbx_msg_props(m),
        .payload = mqbx_msg_payload(m),
        .msg = m,
    };
}

/* An interval of 0 still reaches who is there in the same instant. */
bool mqbx_msg_left(uint64_t received_ms, uint32_t expiry_s, uint64_t now_ms, uint32_t *left)
{
    *left = expiry_s;
    if (expiry_s == MSG_NEVER_EXPIRES || now_ms <= received_ms)
        return true;
    uint64_t waited_ms = now_ms - received_ms;
    if (waited_ms >= (uint64_t)expiry_s * 1000) /* [MQTT-3.3.2-5] */
        return false;
    *left = expiry_s - (uint32_t)(waited_ms / 1000); /* [MQTT-3.3.2-6] */
    return true;
}

struct local_msg *mqbx_local_msg_new(struct slab *s, struct msg *m)
{
    struct local_msg *l = mqbx_slab_get(s);
    if (l)
        *l = (struct local_msg){.msg = m, .refs = 1};
    return l;
}

void mqbx_local_msg_unref(struct slab *s, struct local_msg *l)
{
    assert(l->refs > 0);
    if (--l->refs > 0)
        return;
    mqbx_msg_unref(l->msg);
    mqbx_slab_put(s, l);
}
