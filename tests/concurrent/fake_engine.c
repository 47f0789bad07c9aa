/* SPDX-License-Identifier: MIT */
#include "fake_engine.h"

#include <string.h>

#include "base/list.h"
#include "check.h"

struct fake fake;

void fake_reset(void)
{
    memset(&fake, 0, sizeof(fake));
    atomic_store(&fake.fail_new_at, -1);
}

struct shared {
    struct shared_options o;
};

struct arrival {
    struct list node;
    struct link *link;
    struct engine *engine; /* NULL while it travels */
    uint8_t out[8192];     /* read and not yet echoed */
    size_t out_len;
    int move_to; /* -1: nowhere */
    bool saw_m;
};

struct engine {
    struct shared *shared;
    uint32_t worker;
    struct seams seams;
    struct settings *settings;
    struct engine_time now;
    struct list conns;
    bool is_in_turn, is_reading_stopped, wants_more;
    uint64_t timer_ms;
    uint32_t posted[FAKE_WORKERS], seen[FAKE_WORKERS];
    struct engine_metrics metrics;
};

struct shared *mqbx_shared_new(const struct shared_options *o)
{
    struct shared *s = mqbx_alloc(o->alloc, sizeof(*s));
    if (!s)
        return NULL;
    s->o = *o;
    atomic_fetch_add(&fake.shareds, 1);
    return s;
}

void mqbx_shared_free(struct shared *s)
{
    if (!s)
        return;
    atomic_fetch_sub(&fake.shareds, 1);
    mqbx_free(s->o.alloc, s, sizeof(*s));
}

struct engine *mqbx_engine_new(struct shared *shared, uint32_t worker, struct settings *settings,
                               const struct seams *seams, struct engine_time now)
{
    struct engine *e = NULL;
    uint8_t random[8] = {0};
    if ((int)worker != atomic_load(&fake.fail_new_at))
        e = mqbx_zalloc(seams->alloc, sizeof(*e));
    if (!e)
        return NULL;
    seams->random(seams->ctx, random, sizeof(random));
    e->shared = shared;
    e->worker = worker;
    e->settings = settings;
    e->seams = *seams;
    e->now = now;
    e->timer_ms = UINT64_MAX;
    mqbx_list_init(&e->conns);
    atomic_fetch_add(&fake.engines, 1);
    return e;
}

/* --- links ---------------------------------------------------------------------------------- */

static void drop_conn(struct arrival *c, bool is_close)
{
    struct engine *e = c->engine;
    mqbx_list_remove(&c->node);
    atomic_fetch_sub(&fake.links[e->worker], 1);
    if (is_close)
        c->link->ops->close(c->link);
    mqbx_free(e->seams.alloc, c, sizeof(*c));
}

static void adopt_conn(struct engine *e, struct arrival *c)
{
    c->engine = e;
    c->link->conn = c;
    mqbx_list_push_back(&e->conns, &c->node);
    atomic_fetch_add(&fake.links[e->worker], 1);
    atomic_fetch_add(&fake.total_links[e->worker], 1);
}

static void want(struct arrival *c)
{
    uint32_t events = c->out_len > 0 ? LINK_WRITE : 0;
    if (c->out_len < sizeof(c->out) && !c->engine->is_reading_stopped)
        events |= LINK_READ;
    c->link->ops->want(c->link, events);
}

/* False: the link is gone. */
static bool flush(struct arrival *c)
{
    struct bytes parts[2] = {mqbx_bytes(c->out, c->out_len / 2),
                             mqbx_bytes(c->out + c->out_len / 2, c->out_len - c->out_len / 2)};
    if (c->out_len == 0)
        return true;
    int64_t n = c->link->ops->write(c->link, parts, 2);
    if (n < 0) {
        drop_conn(c, true);
        return false;
    }
    c->out_len -= (size_t)n;
    memmove(c->out, c->out + n, c->out_len);
    return true;
}

/* "M3" stays in the echo, and moves the link when all of it has been written. */
static void look(struct arrival *c, const uint8_t *ptr, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        if (c->saw_m && ptr[i] >= '0' && ptr[i] <= '9')
            c->move_to = ptr[i] - '0';
        c->saw_m = ptr[i] == 'M';
    }
}

static void move(struct arrival *c)
{
    struct engine *e = c->engine;
    uint32_t target = (uint32_t)c->move_to % e->shared->o.workers;
    struct item it = {.type = ITEM_ARRIVE, .from = (uint16_t)e->worker, .u.arrival = c};
    if (!e->seams.reserve(e->seams.ctx, target, 1))
        return;
    c->link->ops->detach(c->link);
    c->link->conn = NULL;
    mqbx_list_remove(&c->node);
    atomic_fetch_sub(&fake.links[e->worker], 1);
    c->engine = NULL;
    c->move_to = -1;
    CHECK(e->seams.post(e->seams.ctx, target, &it, 100));
}

static void serve(struct arrival *c)
{
    while (c->out_len < sizeof(c->out) && c->move_to < 0) {
        /* one byte at a time after an M, so that nothing is read past a move */
        size_t room = sizeof(c->out) - c->out_len;
        int64_t n = c->link->ops->read(c->link, c->out + c->out_len, room < 7 ? room : 7);
        if (n == LINK_AGAIN)
            break;
        if (n < 0) {
            drop_conn(c, true);
            return;
        }
        look(c, c->out + c->out_len, (size_t)n);
        c->out_len += (size_t)n;
    }
    if (!flush(c))
        return;
    if (c->move_to >= 0 && c->out_len == 0)
        move(c);
    else
        want(c);
}

bool mqbx_engine_link_new(struct engine *e, struct link *l)
{
    CHECK(e->is_in_turn);
    struct arrival *c = mqbx_zalloc(e->seams.alloc, sizeof(*c));
    if (!c)
        return false;
    c->link = l;
    c->move_to = -1;
    adopt_conn(e, c);
    serve(c);
    return true;
}

void mqbx_engine_link_ready(struct engine *e, struct link *l, uint32_t events)
{
    struct arrival *c = l->conn;
    CHECK(e->is_in_turn && c && c->engine == e && events != 0);
    serve(c);
}

/* --- items ---------------------------------------------------------------------------------- */

static void arrive(struct engine *e, struct arrival *c)
{
    if (!c->link->ops->attach(c->link, e->seams.loop)) {
        c->link->ops->close(c->link);
        mqbx_free(e->seams.alloc, c, sizeof(*c));
        return;
    }
    adopt_conn(e, c);
    serve(c);
}

/* FIFO per pair: what a worker posts to another arrives in the order of its numbers. */
static void hop(struct engine *e, const struct item *it)
{
    if (it->from != ITEM_FROM_HOST && it->number != ++e->seen[it->from])
        atomic_store(&fake.out_of_order, true);
    if (it->u.token == 0) {
        atomic_fetch_add(&fake.hops, 1);
        return;
    }
    uint32_t target = (uint32_t)(e->worker + it->u.token) % e->shared->o.workers;
    struct item next = {.type = ITEM_BARRIER, .from = (uint16_t)e->worker};
    next.number = ++e->posted[target];
    next.u.token = it->u.token - 1;
    if (it->u.token % 2 == 0)
        CHECK(e->seams.reserve(e->seams.ctx, target, 1));
    CHECK(e->seams.post(e->seams.ctx, target, &next, 10));
    CHECK(e->seams.pressure(e->seams.ctx, target) >= 10);
}

void mqbx_engine_item(struct engine *e, const struct item *it)
{
    CHECK(e->is_in_turn);
    if (it->type == ITEM_ARRIVE) {
        arrive(e, it->u.arrival);
    } else if (it->type == ITEM_BARRIER) {
        hop(e, it);
    } else if (it->type == ITEM_SETTINGS) {
        mqbx_settings_unref(e->settings);
        e->settings = it->u.settings;
    } else {
        CHECK(!"an item the fake knows");
    }
}

void mqbx_item_dispose(const struct alloc *a, struct item *it)
{
    atomic_fetch_add(&fake.disposed, 1);
    if (it->type == ITEM_LINK) {
        it->u.link->ops->close(it->u.link);
    } else if (it->type == ITEM_ARRIVE) {
        it->u.arrival->link->ops->close(it->u.arrival->link);
        mqbx_free(a, it->u.arrival, sizeof(*it->u.arrival));
    } else if (it->type == ITEM_SETTINGS) {
        mqbx_settings_unref(it->u.settings);
    }
}

/* --- turns ---------------------------------------------------------------------------------- */

void mqbx_engine_begin(struct engine *e, struct engine_time now)
{
    CHECK(!e->is_in_turn && now.mono_ms >= e->now.mono_ms);
    if (fake.on_thread && !fake.on_thread())
        atomic_store(&fake.wrong_thread, true);
    e->is_in_turn = true;
    e->now = now;
    e->wants_more = false;
    atomic_fetch_add(&fake.turns[e->worker], 1);
    if (e->timer_ms <= now.mono_ms) {
        e->timer_ms = UINT64_MAX;
        atomic_fetch_add(&fake.timer_turns, 1);
        e->wants_more = true; /* once, to see that it is asked again */
    }
    if (atomic_load(&fake.timer_ms) > 0 && e->timer_ms == UINT64_MAX)
        e->timer_ms = now.mono_ms + atomic_load(&fake.timer_ms);
}

bool mqbx_engine_end(struct engine *e)
{
    CHECK(e->is_in_turn);
    e->is_in_turn = false;
    return e->wants_more;
}

uint64_t mqbx_engine_next_ms(const struct engine *e)
{
    return e->timer_ms;
}

/* Nobody asks here and nothing is kept. */
void mqbx_engine_answer(struct engine *e, uint64_t number, const struct answer *a)
{
    CHECK(e && number && !a);
}

void mqbx_engine_kept(struct engine *e, uint64_t batch)
{
    CHECK(e && !batch);
}

/* --- stopping ------------------------------------------------------------------------------- */

void mqbx_engine_stop_reading(struct engine *e)
{
    CHECK(e->is_in_turn);
    e->is_reading_stopped = true;
    for (struct list *n = e->conns.next; n != &e->conns; n = n->next)
        want(mqbx_container(n, struct arrival, node));
}

static void drop_all(struct engine *e)
{
    while (!mqbx_list_empty(&e->conns))
        drop_conn(mqbx_container(e->conns.next, struct arrival, node), true);
}

void mqbx_engine_disconnect_all(struct engine *e)
{
    CHECK(e->is_in_turn && e->is_reading_stopped);
    if (!atomic_load(&fake.ignores_goodbye))
        drop_all(e);
}

bool mqbx_engine_is_drained(const struct engine *e)
{
    return mqbx_list_empty(&e->conns);
}

void mqbx_engine_free(struct engine *e)
{
    if (!e)
        return;
    for (uint32_t i = 0; atomic_load(&fake.posts_when_freed) && i < e->shared->o.workers; i++) {
        struct item it = {.type = ITEM_BARRIER, .from = (uint16_t)e->worker};
        it.number = ++e->posted[i];
        e->seams.post(e->seams.ctx, i, &it, 1);
    }
    drop_all(e);
    mqbx_settings_unref(e->settings);
    atomic_fetch_sub(&fake.engines, 1);
    mqbx_free(e->seams.alloc, e, sizeof(*e));
}

const struct engine_metrics *mqbx_engine_metrics(const struct engine *e)
{
    return &e->metrics;
}
