/* SPDX-License-Identifier: MIT */
/*
 * A worker's turn, and when it sleeps. Everything here runs on the worker's own thread (or the
 * host's, when that drives).
 *
 * A round: wait, give out what came (which opens a turn), close the turn. A turn of the engine is
 * repeated while it asks for that or has posted to itself, a bounded number of times, so that
 * sockets are not starved.
 */
#include <time.h>

#include "broker/worker.h"
#include "broker/workers_set.h"

enum { ROUNDS_MAX = 16, ROUND_ITEMS = 1024, STEP_EXTRA_ROUNDS = 8 };

static struct engine_time now(const struct worker *w)
{
    struct timespec wall;
    clock_gettime(CLOCK_REALTIME, &wall);
    return (struct engine_time){
        .mono_ms = uv_now(&w->loop.uv),
        .wall_ms = (uint64_t)wall.tv_sec * 1000 + (uint64_t)wall.tv_nsec / 1000000,
    };
}

void mqbx_worker_open_turn(struct worker *w)
{
    if (w->is_in_turn || !w->engine)
        return;
    w->is_in_turn = true;
    mqbx_engine_begin(w->engine, now(w));
}

/* --- what comes in -------------------------------------------------------------------------- */

static void append(struct incoming *in, struct chunk *first, bool is_counted)
{
    if (!first)
        return;
    if (in->last)
        in->last->head.next = &first->head;
    else
        in->first = first;
    for (struct chunk *ch = first; ch; ch = mqbx_chunk_next(ch)) {
        ch->is_counted = is_counted;
        in->last = ch;
    }
}

static void collect(struct worker *w)
{
    if (!mqbx_inbox_is_empty(&w->inbox))
        append(&w->incoming, (struct chunk *)(void *)mqbx_inbox_take(&w->inbox), true);
    if (w->carrier.used & ((uint64_t)1 << w->index))
        append(&w->incoming, mqbx_carrier_take(&w->carrier, w->index), false);
}

static void drop_first(struct worker *w)
{
    struct incoming *in = &w->incoming;
    struct chunk *ch = in->first;
    in->first = mqbx_chunk_next(ch);
    in->at = 0;
    if (!in->first)
        in->last = NULL;
    if (ch->is_counted)
        mqbx_inbox_done(&w->inbox, ch->head.bytes);
    mqbx_carrier_recycle(&w->carrier, ch);
}

/* The next item, copied, because handling it may post and so append chunks. */
static bool next_item(struct worker *w, struct item *out)
{
    struct incoming *in = &w->incoming;
    while (in->first && in->at == in->first->count)
        drop_first(w);
    if (!in->first)
        return false;
    *out = in->first->items[in->at++];
    return true;
}

void mqbx_worker_take_link(struct worker *w, struct link *l)
{
    if (w->is_stopping || !w->engine || !l->ops->attach(l, &w->loop)) {
        l->ops->close(l);
        return;
    }
    mqbx_worker_open_turn(w);
    if (!mqbx_engine_link_new(w->engine, l))
        l->ops->close(l);
}

static void take_item(struct worker *w, const struct item *it)
{
    if (it->type == ITEM_LINK)
        mqbx_worker_take_link(w, it->u.link);
    else
        mqbx_engine_item(w->engine, it);
}

/* At most so many items in one turn of the engine: it writes to its sockets at the end of each. */
static void feed(struct worker *w)
{
    struct item it;
    collect(w);
    for (uint32_t i = 0; i < ROUND_ITEMS && next_item(w, &it); i++)
        take_item(w, &it);
    while (w->incoming.first && w->incoming.at == w->incoming.first->count)
        drop_first(w);
}

void mqbx_worker_empty_inbox(struct worker *w)
{
    do
        feed(w);
    while (w->incoming.first);
}

void mqbx_worker_dispose(struct worker *w)
{
    struct item it;
    collect(w);
    while (next_item(w, &it))
        mqbx_item_dispose(w->carrier.alloc, &it);
}

/* --- what goes out -------------------------------------------------------------------------- */

/* Connections are dealt to the workers in turn, before TLS. */
void mqbx_worker_deal_link(void *worker, struct link *l)
{
    struct worker *w = worker;
    uint32_t target = w->next_deal++ % mqbx_workers_count(w->set);
    struct item it = {.type = ITEM_LINK, .from = (uint16_t)w->index, .u.link = l};
    mqbx_worker_open_turn(w);
    if (target == w->index)
        mqbx_worker_take_link(w, l);
    else if (!mqbx_carrier_post(&w->carrier, target, &it, 0))
        l->ops->close(l);
}

/* One push per chunk and one wake-up per target. */
static void hand_over(struct worker *w)
{
    uint64_t own = (uint64_t)1 << w->index;
    for (uint64_t left = w->carrier.used & ~own; left; left &= left - 1) {
        uint32_t target = (uint32_t)__builtin_ctzll(left);
        struct chunk *ch = mqbx_carrier_take(&w->carrier, target);
        while (ch) {
            struct chunk *next = mqbx_chunk_next(ch);
            mqbx_worker_push(mqbx_workers_at(w->set, target), ch);
            ch = next;
        }
    }
}

/* --- the turn ------------------------------------------------------------------------------- */

/* True: another round. */
static bool run_round(struct worker *w)
{
    if (!w->engine)
        return false;
    mqbx_worker_open_turn(w);
    if (w->seat)
        mqbx_seat_turn(w->seat);
    feed(w);
    w->is_in_turn = false;
    bool wants_more = mqbx_engine_end(w->engine);
    return wants_more || w->incoming.first || (w->carrier.used & ((uint64_t)1 << w->index));
}

static void end_calls(struct worker *w)
{
    if (!w->ran)
        return;
    pthread_mutex_lock(&w->calls_lock);
    for (struct call *c = w->ran; c; c = c->next)
        c->is_done = true;
    w->ran = NULL;
    pthread_cond_broadcast(&w->calls_done);
    pthread_mutex_unlock(&w->calls_lock);
}

static void note_drained(struct worker *w)
{
    if (!w->is_stopping || w->is_drained || !w->engine || !mqbx_engine_is_drained(w->engine))
        return;
    w->is_drained = true;
    mqbx_workers_note_drained(w->set);
}

void mqbx_worker_turn(struct worker *w)
{
    bool has_more = true;
    for (uint32_t i = 0; i < ROUNDS_MAX && has_more; i++)
        has_more = run_round(w);
    w->is_restless = has_more;
    hand_over(w);
    note_drained(w);
    end_calls(w);
}

/* --- rounds --------------------------------------------------------------------------------- */

static uint64_t next_ms(const struct worker *w)
{
    uint64_t next = w->engine ? mqbx_engine_next_ms(w->engine) : UINT64_MAX;
    uint64_t asked = w->seat ? mqbx_seat_next_ms(w->seat) : UINT64_MAX;
    if (asked < next)
        next = asked;
    return next < w->tick_due_ms ? next : w->tick_due_ms;
}

void mqbx_worker_arm_tick(struct worker *w)
{
    const struct workers_options *o = &w->set->options;
    bool ticks = w->index == 0 && o->tick && o->tick_ms > 0;
    w->tick_due_ms = ticks ? uv_now(&w->loop.uv) + o->tick_ms : UINT64_MAX;
}

/* What it posts is in the inbox when the turn begins. */
static void tick(struct worker *w)
{
    if (w->tick_due_ms > uv_now(&w->loop.uv))
        return;
    mqbx_worker_arm_tick(w);
    w->set->options.tick(w->set->options.tick_ctx);
}

/* How long there is nothing to do, -1: until something comes. */
static int64_t rest_ms(const struct worker *w)
{
    uint64_t next = next_ms(w);
    uint64_t now = uv_now(&w->loop.uv);
    if (w->is_restless || w->is_in_turn || next <= now)
        return 0;
    return next - now > INT64_MAX ? -1 : (int64_t)(next - now);
}

static bool has_work(const struct worker *w)
{
    return w->is_in_turn || w->is_restless || w->ran || w->carrier.used ||
           next_ms(w) <= uv_now(&w->loop.uv) || !mqbx_inbox_is_empty(&w->inbox) ||
           (w->seat && mqbx_seat_has_news(w->seat));
}

static void go_round(struct worker *w, int64_t wait_ms)
{
    int64_t rest = rest_ms(w);
    if (rest >= 0 && (wait_ms < 0 || rest < wait_ms))
        wait_ms = rest;
    if (wait_ms != 0 && !mqbx_inbox_sleep(&w->inbox))
        wait_ms = 0;
    mqbx_loop_round(&w->loop, wait_ms);
    mqbx_inbox_awake(&w->inbox);
    tick(w);
    if (has_work(w))
        mqbx_worker_turn(w);
}

void mqbx_worker_run(struct worker *w)
{
    while (!w->is_leaving)
        go_round(w, -1);
}

/* --- calls ---------------------------------------------------------------------------------- */

static struct call *take_calls(struct worker *w)
{
    struct call *oldest_first = NULL;
    pthread_mutex_lock(&w->calls_lock);
    while (w->calls) {
        struct call *c = w->calls;
        w->calls = c->next;
        c->next = oldest_first;
        oldest_first = c;
    }
    pthread_mutex_unlock(&w->calls_lock);
    return oldest_first;
}

/* The inbox is looked into after every round, whatever ended it. */
static void on_woken(void *ctx)
{
    struct worker *w = ctx;
    struct call *c = take_calls(w);
    while (c) {
        struct call *next = c->next;
        c->fn(w, c->arg);
        c->next = w->ran;
        w->ran = c;
        c = next;
    }
}

static void on_ready(void *ctx, struct link *l, uint32_t events)
{
    struct worker *w = ctx;
    mqbx_worker_open_turn(w);
    mqbx_engine_link_ready(w->engine, l, events);
}

int mqbx_worker_open_loop(struct worker *w)
{
    w->loop.ready = on_ready;
    w->loop.woken = on_woken;
    w->loop.ctx = w;
    return mqbx_loop_init(&w->loop, w->set->options.alloc);
}

/* --- driven by the host --------------------------------------------------------------------- */

/* True: the host may wait, and other threads will wake it. */
static bool can_rest(struct worker *w)
{
    return rest_ms(w) != 0 && !w->loop.has_fresh_polls && mqbx_inbox_sleep(&w->inbox);
}

void mqbx_worker_step(struct worker *w, int64_t wait_ms)
{
    mqbx_worker_enter(w);
    uv_update_time(&w->loop.uv); /* the host may have been away for long */
    go_round(w, wait_ms);
    for (uint32_t i = 0; i < STEP_EXTRA_ROUNDS && !can_rest(w); i++)
        go_round(w, 0);
    mqbx_worker_leave(w);
}

int64_t mqbx_worker_timeout_ms(struct worker *w)
{
    int64_t loop_ms = mqbx_loop_timeout_ms(&w->loop);
    int64_t rest = can_rest(w) ? rest_ms(w) : 0;
    return rest < 0 || (loop_ms >= 0 && loop_ms < rest) ? loop_ms : rest;
}
