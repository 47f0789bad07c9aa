/* SPDX-License-Identifier: MIT */
/*
 * The retained store: shards, stamps, limits. Any thread, at any time; a shard's entries belong to
 * whoever holds its lock, and messages are dropped only outside it, because that may run a host's
 * free function.
 *
 * count is raised before the stamp of a new value is drawn: who has read a stamp finds its value
 * counted.
 */
#include "engine/retained.h"

#include <assert.h>

#include "base/atomic.h"
#include "base/lock.h"
#include "engine/retained_blocks.h"
#include "engine/retained_walk.h"
#include "mqtt/topic.h"

#define SHARDS 64u
#define LOOKS_PER_HOLD 256u
#define DEAD_PER_HOLD 32u

struct shard {
    struct lock lock;
    struct blocks blocks;
    struct place swept; /* where the sweep goes on; a hint, entries move */
};

struct retained {
    const struct alloc *alloc;
    struct hash_key key;
    struct atomic_u64 stamp; /* the newest given out */
    struct atomic_u64 count, bytes;
    struct atomic_u64 max_count, max_bytes;
    struct atomic_u32 sweeping; /* shard, modulo SHARDS */
    struct shard shards[SHARDS];
};

struct retained *mqbx_retained_new(const struct alloc *a, struct hash_key key,
                                   struct retained_limits limits)
{
    struct retained *r = mqbx_zalloc(a, sizeof(*r));
    if (!r)
        return NULL;
    r->alloc = a;
    r->key = key;
    mqbx_retained_set_limits(r, limits);
    for (uint32_t i = 0; i < SHARDS; i++) {
        mqbx_lock_init(&r->shards[i].lock);
        mqbx_blocks_init(&r->shards[i].blocks, a);
    }
    return r;
}

void mqbx_retained_free(struct retained *r)
{
    if (!r)
        return;
    for (uint32_t i = 0; i < SHARDS; i++) {
        mqbx_blocks_fini(&r->shards[i].blocks);
        mqbx_lock_fini(&r->shards[i].lock);
    }
    mqbx_free(r->alloc, r, sizeof(*r));
}

void mqbx_retained_set_limits(struct retained *r, struct retained_limits limits)
{
    mqbx_atomic_store64(&r->max_count, limits.max_count);
    mqbx_atomic_store64(&r->max_bytes, limits.max_bytes);
}

uint64_t mqbx_retained_stamp(const struct retained *r)
{
    return mqbx_atomic_load64(&r->stamp);
}

void mqbx_retained_set_stamp(struct retained *r, uint64_t stamp)
{
    mqbx_atomic_store64(&r->stamp, stamp);
}

uint64_t mqbx_retained_count(const struct retained *r)
{
    return mqbx_atomic_load64(&r->count);
}

uint64_t mqbx_retained_bytes(const struct retained *r)
{
    return mqbx_atomic_load64(&r->bytes);
}

/* --- shards ---------------------------------------------------------------------------------- */

static bool is_wildcard(struct bytes level)
{
    return level.len == 1 && (level.ptr[0] == '+' || level.ptr[0] == '#');
}

/* The shard of what begins with the first two levels of `text`; SHARDS: they have a wildcard, so
 * it may be any. `a/#` counts: it selects `a`, which is not where `a/b` is. */
static uint32_t shard_of(const struct retained *r, uint32_t tenant, struct bytes text)
{
    struct bytes level;
    uint32_t pos = 0;
    uint32_t end = 0;
    for (int i = 0; i < 2 && mqbx_topic_level(text, &pos, &level); i++) {
        if (is_wildcard(level))
            return SHARDS;
        end = pos - 1;
    }
    return (uint32_t)(mqbx_hash(r->key, tenant, text.ptr, end) % SHARDS);
}

static uint64_t entry_bytes(const struct msg *m)
{
    return m ? mqbx_msg_size(m) + sizeof(struct msg *) : 0;
}

/* Out of the shard; the reference is the caller's. */
static struct msg *remove_entry(struct retained *r, struct shard *s, struct place *p)
{
    struct msg *m = mqbx_blocks_remove(&s->blocks, p);
    mqbx_atomic_add64(&r->bytes, 0 - entry_bytes(m));
    mqbx_atomic_add64(&r->count, UINT64_MAX);
    return m;
}

static bool is_expired(const struct msg *m, uint64_t now_ms)
{
    uint32_t left;
    return !mqbx_msg_left(m->received_ms, m->expiry_s, now_ms, &left);
}

/* Messages to be dropped when the lock is given back. */
struct dead {
    struct msg *list[DEAD_PER_HOLD];
    uint32_t count;
};

static void bury(struct dead *d)
{
    while (d->count > 0)
        mqbx_msg_unref(d->list[--d->count]);
}

/* --- put ------------------------------------------------------------------------------------- */

/* A message nobody else refers to can become the value as it is. The host's buffer cannot: it is
 * lent for the turn only. */
static bool may_share(const struct publication *p)
{
    const struct msg *m = p->msg;
    return m && mqbx_atomic_load32(&m->refs) == 1 && !m->is_foreign && m->retain &&
           m->qos == p->qos && m->tenant == p->tenant && m->expiry_s == p->expiry_s &&
           m->received_ms == p->received_ms && m->publisher == p->publisher &&
           m->data == p->topic.ptr && m->topic_len == p->topic.len &&
           mqbx_bytes_equal(mqbx_msg_props(m), p->props) &&
           mqbx_msg_payload(m).ptr == p->payload.ptr && m->payload_len == p->payload.len;
}

static struct msg *value_of(const struct retained *r, const struct publication *p)
{
    if (may_share(p))
        return mqbx_msg_ref(p->msg);
    struct publication value = *p;
    value.retain = true;
    return mqbx_msg_new(r->alloc, &value);
}

/* Counts a value in, in place of `old`. False: that is over a limit, nothing is counted. */
static bool count_in(struct retained *r, const struct msg *m, const struct msg *old)
{
    uint64_t max_count = mqbx_atomic_load64(&r->max_count);
    uint64_t max_bytes = mqbx_atomic_load64(&r->max_bytes);
    uint64_t more = old ? 0 : 1;
    uint64_t more_bytes = entry_bytes(m) - entry_bytes(old);
    uint64_t count = mqbx_atomic_add64(&r->count, more) + more;
    uint64_t bytes = mqbx_atomic_add64(&r->bytes, more_bytes) + more_bytes;
    if ((old || max_count == 0 || count <= max_count) && (max_bytes == 0 || bytes <= max_bytes))
        return true;
    mqbx_atomic_add64(&r->bytes, 0 - more_bytes);
    mqbx_atomic_add64(&r->count, 0 - more);
    return false;
}

static void count_out(struct retained *r, const struct msg *m)
{
    mqbx_atomic_add64(&r->bytes, 0 - entry_bytes(m));
    mqbx_atomic_add64(&r->count, UINT64_MAX);
}

/* Under the lock. m: the new value, NULL to clear. *old: what was there and is no longer, for the
 * caller to drop; m stays the caller's unless it is stored. */
static enum retained_status change(struct retained *r, struct shard *s, const struct publication *p,
                                   struct msg *m, struct msg **old)
{
    const struct seek to = {.mode = SEEK_FROM, .tenant = p->tenant, .head = p->topic};
    struct place at = mqbx_blocks_seek(&s->blocks, &to);
    struct msg *there = mqbx_blocks_at(&s->blocks, at);
    if (there && (there->tenant != p->tenant || !mqbx_bytes_equal(mqbx_msg_topic(there), p->topic)))
        there = NULL;
    *old = there;
    if (!m || !count_in(r, m, there)) {
        if (there)
            remove_entry(r, s, &at);
        return m ? RETAINED_FULL : RETAINED_CLEARED;
    }
    if (there) {
        mqbx_blocks_replace(&s->blocks, at, m);
        return RETAINED_STORED;
    }
    if (mqbx_blocks_insert(&s->blocks, at, m))
        return RETAINED_STORED;
    count_out(r, m);
    return RETAINED_NO_MEMORY;
}

enum retained_status mqbx_retained_put(struct retained *r, const struct publication *p,
                                       uint64_t *stamp)
{
    struct msg *m = NULL;
    if (p->payload.len > 0 && !(m = value_of(r, p))) /* [MQTT-3.3.1-6], [MQTT-3.3.1-7] */
        return RETAINED_NO_MEMORY;
    struct shard *s = &r->shards[shard_of(r, p->tenant, p->topic)];
    struct msg *old;
    mqbx_lock_take(&s->lock);
    enum retained_status status = change(r, s, p, m, &old);
    if (status != RETAINED_NO_MEMORY)
        *stamp = mqbx_atomic_add64(&r->stamp, 1) + 1;
    if (status == RETAINED_STORED)
        m->stamp = *stamp; /* nobody else has it before the lock is given back */
    mqbx_lock_give(&s->lock);
    mqbx_msg_unref(old);
    if (status != RETAINED_STORED)
        mqbx_msg_unref(m);
    return status;
}

/* --- take ------------------------------------------------------------------------------------ */

struct walk {
    struct retained *r;
    uint32_t tenant;
    struct bytes filter;
    uint64_t newest, now_ms;
    struct retained_cursor *cursor;
    struct msg **out;
    uint32_t max, count;
    uint32_t looked;
};

static struct place first_place(const struct walk *w, const struct shard *s)
{
    struct seek to = {.mode = SEEK_AFTER, .tenant = w->tenant, .head = w->cursor->last};
    if (w->cursor->last.len == 0)
        mqbx_walk_start(w->tenant, w->filter, &to);
    return mqbx_blocks_seek(&s->blocks, &to);
}

/* The entry was selected: answers it, or buries it. */
static struct place take_entry(struct walk *w, struct shard *s, struct place at, struct dead *dead)
{
    struct msg *m = mqbx_blocks_at(&s->blocks, at);
    if (is_expired(m, w->now_ms)) { /* [MQTT-3.3.2-5] */
        dead->list[dead->count++] = remove_entry(w->r, s, &at);
        return at;
    }
    if (m->stamp <= w->newest)
        w->out[w->count++] = mqbx_msg_ref(m);
    return mqbx_blocks_next(&s->blocks, at);
}

/* The walk is cut short behind `last`. Its text stays alive in the answer, else by the cursor. */
static void keep_place(struct walk *w, struct msg *last)
{
    w->cursor->last = mqbx_msg_topic(last);
    if (w->count == 0 || w->out[w->count - 1] != last)
        w->cursor->held = mqbx_msg_ref(last);
}

static bool is_cut(const struct walk *w, const struct dead *dead)
{
    return w->count == w->max || w->looked == LOOKS_PER_HOLD || dead->count == DEAD_PER_HOLD;
}

/* Under the lock. True: nothing more of this shard is selected. */
static bool walk_shard(struct walk *w, struct shard *s, struct dead *dead)
{
    const struct blocks *b = &s->blocks;
    struct place at = first_place(w, s);
    struct msg *last = NULL;
    for (struct msg *m; (m = mqbx_blocks_at(b, at)) && m->tenant == w->tenant; last = m) {
        if (is_cut(w, dead)) {
            keep_place(w, last);
            return false;
        }
        w->looked++;
        struct seek next;
        enum walk_step step = mqbx_walk_judge(w->tenant, w->filter, mqbx_msg_topic(m), &next);
        if (step == WALK_OVER)
            return true;
        if (step == WALK_SELECTED)
            at = take_entry(w, s, at, dead);
        else if (step == WALK_SEEK)
            at = mqbx_blocks_seek_on(b, at, &next);
        else
            at = mqbx_blocks_next(b, at);
    }
    return true;
}

static bool walk_next_shard(struct walk *w)
{
    struct shard *s = &w->r->shards[w->cursor->shard];
    struct dead dead = {.count = 0};
    mqbx_lock_take(&s->lock);
    bool is_over = walk_shard(w, s, &dead);
    mqbx_lock_give(&s->lock);
    bury(&dead);
    return is_over;
}

uint32_t mqbx_retained_take(struct retained *r, uint32_t tenant, struct bytes filter,
                            uint64_t newest, uint64_t now_ms, struct retained_cursor *c,
                            struct msg **out, uint32_t max)
{
    struct walk w = {.r = r,
                     .tenant = tenant,
                     .filter = filter,
                     .newest = newest,
                     .now_ms = now_ms,
                     .cursor = c,
                     .out = out,
                     .max = max};
    struct msg *held =
        c->held; /* may be what c->last refers to, as long as the walk begins there */
    c->held = NULL;
    uint32_t only = shard_of(r, tenant, filter);
    uint32_t end = only < SHARDS ? only + 1 : SHARDS;
    if (only < SHARDS && c->shard < only)
        c->shard = only;
    while (!c->is_done && w.count < max && w.looked < LOOKS_PER_HOLD && walk_next_shard(&w)) {
        c->last = (struct bytes){0};
        c->is_done = ++c->shard == end;
    }
    mqbx_msg_unref(held);
    return w.count;
}

void mqbx_retained_cursor_fini(struct retained_cursor *c)
{
    mqbx_msg_unref(c->held);
    c->held = NULL;
}

/* --- sweep ----------------------------------------------------------------------------------- */

/* Under the lock. True: came to the shard's end. */
static bool sweep_shard(struct retained *r, struct shard *s, uint64_t now_ms, uint32_t max,
                        uint32_t *looked, struct dead *dead)
{
    struct place at = mqbx_blocks_clamp(&s->blocks, s->swept);
    const struct msg *m;
    while ((m = mqbx_blocks_at(&s->blocks, at)) && *looked < max && dead->count < DEAD_PER_HOLD) {
        if (is_expired(m, now_ms))
            dead->list[dead->count++] = remove_entry(r, s, &at);
        else
            at = mqbx_blocks_next(&s->blocks, at);
        ++*looked;
    }
    s->swept = m ? at : (struct place){0};
    return !m;
}

uint32_t mqbx_retained_sweep(struct retained *r, uint64_t now_ms, uint32_t max)
{
    uint32_t removed = 0;
    uint32_t looked = 0;
    for (uint32_t ended = 0; looked < max && ended <= SHARDS;) {
        struct shard *s = &r->shards[mqbx_atomic_load32(&r->sweeping) % SHARDS];
        uint32_t until = max - looked < LOOKS_PER_HOLD ? max : looked + LOOKS_PER_HOLD;
        struct dead dead = {.count = 0};
        mqbx_lock_take(&s->lock);
        bool is_end = sweep_shard(r, s, now_ms, until, &looked, &dead);
        mqbx_lock_give(&s->lock);
        removed += dead.count;
        bury(&dead);
        if (is_end) {
            mqbx_atomic_add32(&r->sweeping, 1);
            ended++;
        }
    }
    return removed;
}
