/* SPDX-License-Identifier: MIT */
/*
 * Output blocks. A block either carries bytes of its own or refers to bytes of a message.
 */
#include "engine/output.h"

#include <assert.h>
#include <string.h>

#include "engine/conn.h"

#define BLOCK_BYTES 4064u
#define POOL_BLOCKS 256u /* kept for the next turn; more go back to the allocator */
#define FLUSH_PARTS 64u

struct out_block {
    struct out_block *next;
    struct local_msg *ref; /* NULL: bytes of its own */
    bool is_payload;       /* of ref; else its properties */
    uint32_t start, end;   /* unsent bytes: [start, end) of its own, or of that part of ref */
};

static uint8_t *block_data(struct out_block *b)
{
    return (uint8_t *)(b + 1);
}

static struct out_block *block_get(struct engine *e)
{
    struct out_block *b = e->free_blocks;
    if (b) {
        e->free_blocks = b->next;
        e->free_block_count--;
    } else {
        b = mqbx_alloc(&e->alloc, sizeof(*b) + BLOCK_BYTES);
        if (!b)
            return NULL;
    }
    *b = (struct out_block){.next = NULL};
    return b;
}

static void block_put(struct engine *e, struct out_block *b)
{
    if (b->ref)
        mqbx_local_msg_unref(&e->local_msg_slab, b->ref);
    if (e->free_block_count >= POOL_BLOCKS) {
        mqbx_free(&e->alloc, b, sizeof(*b) + BLOCK_BYTES);
        return;
    }
    b->next = e->free_blocks;
    e->free_blocks = b;
    e->free_block_count++;
}

static void append_block(struct output *o, struct out_block *b)
{
    if (o->tail)
        o->tail->next = b;
    else
        o->head = b;
    o->tail = b;
}

static uint32_t tail_room(const struct output *o)
{
    return o->tail && !o->tail->ref ? BLOCK_BYTES - o->tail->end : 0;
}

/* Empty blocks wait behind the tail: a later copy steps into them. */
bool mqbx_output_reserve(struct engine *e, struct conn *c, uint32_t len)
{
    struct output *o = &c->out;
    uint64_t room = tail_room(o);
    struct out_block *last = o->tail;
    for (struct out_block *b = last ? last->next : NULL; b; b = b->next) {
        room += BLOCK_BYTES;
        last = b;
    }
    for (; room < len; room += BLOCK_BYTES) {
        struct out_block *b = block_get(e);
        if (!b)
            return false;
        if (last)
            last->next = b;
        else
            o->head = o->tail = b;
        last = b;
    }
    return true;
}

/* The next block with room, taken from the reserve behind the tail or from the pool. */
static bool step(struct engine *e, struct output *o)
{
    if (o->tail && o->tail->next) {
        o->tail = o->tail->next;
        return true;
    }
    struct out_block *b = block_get(e);
    if (!b)
        return false;
    append_block(o, b);
    return true;
}

uint8_t *mqbx_output_room(struct engine *e, struct conn *c, uint32_t len)
{
    struct output *o = &c->out;
    assert(len <= 2048);
    if (tail_room(o) < len && !step(e, o))
        return NULL;
    struct out_block *b = o->tail;
    uint8_t *at = block_data(b) + b->end;
    b->end += len;
    o->bytes += len;
    mqbx_conn_mark_dirty(e, c);
    return at;
}

bool mqbx_output_copy(struct engine *e, struct conn *c, const void *ptr, uint32_t len)
{
    struct output *o = &c->out;
    const uint8_t *from = ptr;
    if (len > tail_room(o) && !mqbx_output_reserve(e, c, len))
        return false;
    while (len > 0) {
        if (tail_room(o) == 0 && !step(e, o))
            return false;
        struct out_block *b = o->tail;
        uint32_t n = BLOCK_BYTES - b->end < len ? BLOCK_BYTES - b->end : len;
        memcpy(block_data(b) + b->end, from, n);
        b->end += n;
        o->bytes += n;
        from += n;
        len -= n;
    }
    mqbx_conn_mark_dirty(e, c);
    return true;
}

bool mqbx_output_reserve_refs(struct engine *e, uint32_t count)
{
    while (e->free_block_count < count) {
        struct out_block *b = mqbx_alloc(&e->alloc, sizeof(*b) + BLOCK_BYTES);
        if (!b)
            return false;
        *b = (struct out_block){.next = e->free_blocks};
        e->free_blocks = b;
        e->free_block_count++;
    }
    return true;
}

bool mqbx_output_refer(struct engine *e, struct conn *c, struct local_msg *m, bool is_payload)
{
    struct output *o = &c->out;
    struct out_block *b = block_get(e);
    if (!b)
        return false;
    b->ref = m;
    m->refs++;
    b->is_payload = is_payload;
    b->end = is_payload ? m->msg->payload_len : m->msg->props_len;
    b->next = o->tail ? o->tail->next : NULL; /* in front of a reserve */
    if (o->tail)
        o->tail->next = b;
    else
        o->head = b;
    o->tail = b;
    o->bytes += b->end;
    mqbx_conn_mark_dirty(e, c);
    return true;
}

/* Looked up when sending: a message may have moved out of the host's buffer meanwhile (route.c). */
static const uint8_t *block_bytes(struct out_block *b)
{
    if (!b->ref)
        return block_data(b);
    return b->is_payload ? mqbx_msg_payload(b->ref->msg).ptr : mqbx_msg_props(b->ref->msg).ptr;
}

static uint32_t gather(struct output *o, struct bytes *parts)
{
    uint32_t n = 0;
    for (struct out_block *b = o->head; b && n < FLUSH_PARTS; b = b->next) {
        if (b->end == b->start)
            continue;
        const uint8_t *base = block_bytes(b);
        parts[n++] = mqbx_bytes(base + b->start, b->end - b->start);
    }
    return n;
}

static void consume(struct engine *e, struct output *o, uint64_t len)
{
    o->bytes -= len;
    while (o->head) {
        struct out_block *b = o->head;
        uint32_t n = b->end - b->start;
        if (len < n) {
            b->start += (uint32_t)len;
            return;
        }
        len -= n;
        o->head = b->next;
        if (!o->head)
            o->tail = NULL;
        block_put(e, b);
    }
}

bool mqbx_output_flush(struct engine *e, struct conn *c)
{
    struct output *o = &c->out;
    while (o->bytes > 0) {
        struct bytes parts[FLUSH_PARTS];
        uint32_t count = gather(o, parts);
        uint64_t offered = 0;
        for (uint32_t i = 0; i < count; i++)
            offered += parts[i].len;
        int64_t sent = c->link->ops->write(c->link, parts, count);
        if (sent < 0)
            return false;
        mqbx_counter_add(&e->metrics.bytes_sent, (uint64_t)sent);
        c->bytes_out += (uint64_t)sent;
        consume(e, o, (uint64_t)sent);
        if ((uint64_t)sent < offered)
            return true;
    }
    mqbx_output_drop(e, c); /* blocks reserved and not used */
    return true;
}

void mqbx_output_drop(struct engine *e, struct conn *c)
{
    struct output *o = &c->out;
    while (o->head) {
        struct out_block *b = o->head;
        o->head = b->next;
        block_put(e, b);
    }
    o->tail = NULL;
    o->bytes = 0;
}

void mqbx_output_pool_fini(struct engine *e)
{
    while (e->free_blocks) {
        struct out_block *b = e->free_blocks;
        e->free_blocks = b->next;
        mqbx_free(&e->alloc, b, sizeof(*b) + BLOCK_BYTES);
    }
    e->free_block_count = 0;
}
