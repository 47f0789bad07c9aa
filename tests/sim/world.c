/* SPDX-License-Identifier: MIT */
/*
 * The world: turns, queues, clock, and the steps of which everything consists.
 */
#include "world.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sim_link.h"

/* --- telling ---------------------------------------------------------------------------------- */

void world_fail(const struct world *w, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    fflush(stdout);
    fprintf(stderr, "\nFAILED at step %llu, %llu ms: ", (unsigned long long)w->step,
            (unsigned long long)w->now_ms);
    vfprintf(stderr, format, args);
    fprintf(stderr, "\nagain with: %s\n", w->options.replay);
    va_end(args);
    exit(1);
}

void world_trace(struct world *w, const char *format, ...)
{
    if (!w->options.traces)
        return;
    va_list args;
    va_start(args, format);
    printf("%7llu %6llu  ", (unsigned long long)w->step, (unsigned long long)w->now_ms);
    vprintf(format, args);
    putchar('\n');
    va_end(args);
}

void world_note(struct world *w, uint64_t what)
{
    struct rng mix = {.state = w->digest ^ what};
    w->digest = rng_next(&mix);
}

/* --- the seams -------------------------------------------------------------------------------- */

static void seam_random(void *ctx, void *out, size_t len)
{
    struct sim_engine *e = ctx;
    uint8_t *at = out;
    for (size_t i = 0; i < len; i++)
        at[i] = (uint8_t)rng_next(&e->world->rng);
}

static void push(struct item_queue *q, const struct queued_item *it)
{
    if (q->head + q->count == q->cap) {
        if (q->head > 0)
            memmove(q->items, q->items + q->head, q->count * sizeof(*q->items));
        q->head = 0;
        if (q->count == q->cap) {
            q->cap = q->cap * 2 + 16;
            q->items = realloc(q->items, q->cap * sizeof(*q->items));
            if (!q->items)
                abort();
        }
    }
    q->items[q->head + q->count++] = *it;
}

static bool may_refuse(const struct sim_engine *e)
{
    struct world *w = e->world;
    return w->memory_back_at > w->step && rng_percent(&w->rng, 20);
}

static bool seam_reserve(void *ctx, uint32_t target, uint32_t count)
{
    struct sim_engine *e = ctx;
    if (target >= e->world->options.engines)
        world_fail(e->world, "reserve for engine %u", target);
    if (may_refuse(e))
        return false;
    e->reserved[target] += count;
    return true;
}

static bool seam_post(void *ctx, uint32_t target, const struct item *it, uint32_t bytes)
{
    struct sim_engine *e = ctx;
    struct world *w = e->world;
    if (target >= w->options.engines || it->from != e->index || w->running != e->index)
        world_fail(w, "engine %u posts item %u to %u, from %u", e->index, it->type, target,
                   it->from);
    if (e->reserved[target] > 0)
        e->reserved[target]--;
    else if (may_refuse(e))
        return false;
    world_trace(w, "post %u->%u item %u", e->index, target, it->type);
    push(&w->queues[e->index][target], &(struct queued_item){*it, bytes});
    w->items++;
    w->engines[target].inbox_bytes += bytes;
    return true;
}

static uint64_t seam_pressure(void *ctx, uint32_t target)
{
    const struct sim_engine *e = ctx;
    return e->world->engines[target].inbox_bytes;
}

static void add_question(struct world *w, const struct pending_question *q)
{
    if (w->question_count == w->question_cap) {
        w->question_cap = w->question_cap * 2 + 16;
        w->questions = realloc(w->questions, w->question_cap * sizeof(*w->questions));
        if (!w->questions)
            abort();
    }
    w->questions[w->question_count++] = *q;
}

/* The store: every batch is kept at last. */
static void seam_keep(void *ctx, uint64_t batch)
{
    struct sim_engine *e = ctx;
    struct world *w = e->world;
    struct pending_question later = {.engine = e->index, .conn_id = batch, .is_batch = true};
    later.due_ms = w->now_ms + rng_below(&w->rng, 300);
    add_question(w, &later);
}

static enum verdict seam_ask(void *ctx, const struct question *q, struct answer *a)
{
    struct sim_engine *e = ctx;
    struct world *w = e->world;
    (void)a;
    if (w->options.ask != ASK_LATER || q->kind != ASK_CONNECT || rng_percent(&w->rng, 30))
        return VERDICT_ALLOW;
    if (!w->is_calm && rng_percent(&w->rng, 4))
        return VERDICT_DENY;
    struct pending_question later = {.engine = e->index, .conn_id = q->number};
    later.due_ms = w->now_ms + rng_below(&w->rng, 200);
    if (!w->is_calm && rng_percent(&w->rng, 4))
        later.due_ms = UINT64_MAX;
    add_question(w, &later);
    return VERDICT_PENDING;
}

static const char *text_or(const char *text, const char *otherwise)
{
    return text ? text : otherwise;
}

static void seam_log(void *ctx, const struct log_event *ev)
{
    struct sim_engine *e = ctx;
    world_trace(e->world, "engine %u: %s %.*s %s (%d %s)", e->index, ev->event, (int)ev->client.len,
                ev->client.len ? (const char *)ev->client.ptr : "", text_or(ev->address, "-"),
                ev->reason, text_or(ev->detail, "-"));
}

/* --- made and freed --------------------------------------------------------------------------- */

static void default_settings(struct settings *s)
{
    *s = (struct settings){
        .refs = {1},
        .max_packet_bytes = 1u << 20,
        .max_topic_levels = 16,
        .max_topic_bytes = 1024,
        .max_client_id_bytes = 64,
        .topic_alias_max_in = 4,
        .topic_alias_max_out = 8,
        .max_qos = 2,
        .retain_available = true,
        .wildcard_available = true,
        .subscription_id_available = true,
        .shared_available = true,
        .receive_maximum = 20,
        .max_inflight = 20,
        .queue_max_messages = 1000000,
        .queue_max_bytes = 1u << 30,
        .output_max_bytes = 1u << 24,
        .output_mark_bytes = 16384,
        .inbox_mark_bytes = 1u << 20,
        .session_expiry_v3_s = UINT32_MAX,
        .session_expiry_max_s = UINT32_MAX,
        .allow_takeover_by_other_user = true,
        .allow_empty_client_id = true,
        .connect_timeout_ms = 10000,
        .keep_alive_percent = 150,
        .message_expiry_s = UINT32_MAX,
        .max_retained_payload_bytes = 1u << 20,
    };
}

void world_init(struct world *w, const struct world_options *o)
{
    *w = (struct world){.options = *o};
    w->rng.state = o->seed * UINT64_C(0x2545f4914f6cdd1d) + 1;
    w->now_ms = 1000 + rng_below(&w->rng, 100000);
    w->running = WORLD_NOBODY;
    test_alloc_init(&w->memory);
    default_settings(&w->settings);
    if (w->options.ask == ASK_LATER)
        w->settings.asks = ASKS(ASK_CONNECT);
    w->listener =
        (struct listener_settings){.name = "sim", .mountpoint = "", .anonymous = ANONYMOUS_ALWAYS};
}

static struct engine_time time_of(const struct world *w)
{
    return (struct engine_time){.mono_ms = w->now_ms, .wall_ms = w->now_ms + 1700000000000};
}

static bool start_engine(struct world *w, uint32_t i)
{
    struct sim_engine *e = &w->engines[i];
    *e = (struct sim_engine){.world = w, .index = i};
    struct seams seams = {
        .ctx = e,
        .alloc = &w->memory.alloc,
        .loop = e,
        .random = seam_random,
        .reserve = seam_reserve,
        .post = seam_post,
        .pressure = seam_pressure,
        .ask = seam_ask,
        .keep = seam_keep,
        .log = seam_log,
    };
    e->engine = mqbx_engine_new(w->shared, i, mqbx_settings_ref(&w->settings), &seams, time_of(w));
    if (!e->engine)
        mqbx_settings_unref(&w->settings);
    return e->engine != NULL;
}

bool world_start(struct world *w)
{
    struct sim_engine *first = &w->engines[0];
    first->world = w;
    struct shared_options o = {.workers = w->options.engines,
                               .interest_slots = 256, /* few: collisions happen */
                               .keeps = w->options.keeps,
                               .alloc = &w->memory.alloc,
                               .random = seam_random,
                               .random_ctx = first};
    w->shared = mqbx_shared_new(&o);
    if (!w->shared)
        return false;
    for (uint32_t i = 0; i < w->options.engines; i++)
        if (!start_engine(w, i))
            return false;
    return true;
}

static void dispose_queues(struct world *w)
{
    for (uint32_t from = 0; from <= WORLD_HOST; from++)
        for (uint32_t to = 0; to < WORLD_ENGINES_MAX; to++) {
            struct item_queue *q = &w->queues[from][to];
            for (uint32_t i = 0; i < q->count; i++)
                mqbx_item_dispose(&w->memory.alloc, &q->items[q->head + i].it);
            free(q->items);
            *q = (struct item_queue){.items = NULL};
        }
}

void world_fini(struct world *w)
{
    for (uint32_t i = 0; i < w->options.engines; i++) {
        w->running = i;
        mqbx_engine_free(w->engines[i].engine);
    }
    w->running = WORLD_NOBODY;
    dispose_queues(w);
    mqbx_shared_free(w->shared);
    for (uint32_t i = 0; i < w->link_count; i++)
        if (!w->links[i]->is_closed)
            world_fail(w, "link %llu was never closed", (unsigned long long)w->links[i]->number);
    while (w->link_count > 0)
        sim_link_free(w->links[0]);
    free(w->links);
    for (uint32_t i = 0; i < LINK_SETS; i++)
        free(w->sets[i].items);
    free(w->questions);
    if (test_alloc_live_blocks(&w->memory) != 0)
        world_fail(w, "%zu blocks, %zu bytes are left", test_alloc_live_blocks(&w->memory),
                   test_alloc_live_bytes(&w->memory));
    if (!test_alloc_is_sane(&w->memory))
        world_fail(w, "a block came back with another size");
    if (mqbx_atomic_load32(&w->settings.refs) != 1)
        world_fail(w, "settings are still referred to");
    test_alloc_fini(&w->memory);
}

/* --- turns ------------------------------------------------------------------------------------ */

static void open_turn(struct world *w, uint32_t engine)
{
    w->running = engine;
    w->engines[engine].wants_turn = false;
    mqbx_engine_begin(w->engines[engine].engine, time_of(w));
}

static void deliver(struct world *w, uint32_t from, uint32_t to)
{
    struct item_queue *q = &w->queues[from][to];
    struct queued_item it = q->items[q->head++];
    w->items--;
    if (--q->count == 0)
        q->head = 0;
    world_note(w, (uint64_t)it.it.type << 32 | from << 8 | to);
    world_trace(w, "item %u->%u type %u", from, to, it.it.type);
    w->engines[to].inbox_bytes -= it.bytes;
    mqbx_engine_item(w->engines[to].engine, &it.it);
}

/* A pair with something under way; `to` WORLD_NOBODY: to anybody. False: none. */
static bool find_item(struct world *w, uint32_t only_to, uint32_t *from, uint32_t *to)
{
    uint32_t engines = w->options.engines;
    uint32_t pairs = (engines + 1) * engines;
    if (w->items == 0)
        return false;
    uint32_t start = rng_below(&w->rng, pairs);
    for (uint32_t i = 0; i < pairs; i++) {
        uint32_t pair = start + i < pairs ? start + i : start + i - pairs;
        *from = pair / engines == engines ? WORLD_HOST : pair / engines;
        *to = pair % engines;
        if (w->queues[*from][*to].count > 0 && (only_to == WORLD_NOBODY || *to == only_to))
            return true;
    }
    return false;
}

static struct sim_link *find_ready(struct world *w, uint32_t only)
{
    struct link_set *set = &w->sets[SET_READY];
    uint32_t at = rng_below(&w->rng, set->count);
    for (uint32_t left = set->count; left > 0; left--) {
        at = at < set->count ? at : 0;
        struct sim_link *l = set->items[at];
        if (sim_link_events(l) == 0)
            sim_link_untouch(l, SET_READY); /* another is at its place now */
        else if (only == WORLD_NOBODY || l->owner == only)
            return l;
        else
            at++;
    }
    return NULL;
}

static void report(struct world *w, struct sim_link *l)
{
    uint32_t events = sim_link_events(l);
    world_note(w, (uint64_t)1 << 48 | l->number << 2 | events);
    world_trace(w, "link %llu ready %u", (unsigned long long)l->number, events);
    mqbx_engine_link_ready(w->engines[l->owner].engine, &l->base, events);
}

/* Now and then a turn has more than one thing in it. */
static void more_events(struct world *w, uint32_t engine)
{
    while (rng_percent(&w->rng, 30)) {
        uint32_t from, to;
        if (rng_percent(&w->rng, 50) && find_item(w, engine, &from, &to)) {
            deliver(w, from, to);
            continue;
        }
        struct sim_link *l = find_ready(w, engine);
        if (!l)
            return;
        report(w, l);
    }
}

static void close_turn(struct world *w)
{
    struct sim_engine *e = &w->engines[w->running];
    more_events(w, w->running);
    e->wants_turn = mqbx_engine_end(e->engine);
    memset(e->reserved, 0, sizeof(e->reserved));
    w->running = WORLD_NOBODY;
}

/* --- steps ------------------------------------------------------------------------------------ */

void world_post_host(struct world *w, uint32_t target, const struct item *it, uint32_t bytes)
{
    struct queued_item q = {*it, bytes};
    q.it.from = ITEM_FROM_HOST;
    push(&w->queues[WORLD_HOST][target], &q);
    w->items++;
    w->engines[target].inbox_bytes += bytes;
}

void world_accept(struct world *w, struct sim_link *l)
{
    uint32_t target = rng_below(&w->rng, w->options.engines);
    if (rng_percent(&w->rng, 50)) {
        struct item it = {.type = ITEM_LINK, .u.link = &l->base};
        world_post_host(w, target, &it, 0);
        return;
    }
    open_turn(w, target);
    l->owner = target;
    if (!mqbx_engine_link_new(w->engines[target].engine, &l->base))
        l->is_closed = true;
    close_turn(w);
}

bool world_step_item(struct world *w)
{
    uint32_t from, to;
    if (!find_item(w, WORLD_NOBODY, &from, &to))
        return false;
    open_turn(w, to);
    deliver(w, from, to);
    close_turn(w);
    return true;
}

bool world_step_link(struct world *w)
{
    struct sim_link *l = find_ready(w, WORLD_NOBODY);
    if (!l)
        return false;
    open_turn(w, l->owner);
    if (sim_link_events(l) != 0) /* a timer may have closed it */
        report(w, l);
    close_turn(w);
    return true;
}

bool world_step_network(struct world *w)
{
    struct link_set *set = &w->sets[SET_NETWORK];
    uint32_t at = rng_below(&w->rng, set->count);
    for (uint32_t left = set->count; left > 0; left--) {
        at = at < set->count ? at : 0;
        struct sim_link *l = set->items[at];
        if (sim_link_carry(l))
            return true;
        sim_link_untouch(l, SET_NETWORK);
    }
    return false;
}

bool world_step_timer(struct world *w)
{
    uint32_t start = rng_below(&w->rng, w->options.engines);
    for (uint32_t i = 0; i < w->options.engines; i++) {
        struct sim_engine *e = &w->engines[(start + i) % w->options.engines];
        if (mqbx_engine_next_ms(e->engine) > w->now_ms)
            continue;
        open_turn(w, e->index);
        close_turn(w);
        return true;
    }
    return false;
}

bool world_step_again(struct world *w)
{
    uint32_t start = rng_below(&w->rng, w->options.engines);
    for (uint32_t i = 0; i < w->options.engines; i++) {
        struct sim_engine *e = &w->engines[(start + i) % w->options.engines];
        if (!e->wants_turn)
            continue;
        open_turn(w, e->index);
        close_turn(w);
        return true;
    }
    return false;
}

static void answer(struct world *w, const struct pending_question *q)
{
    struct answer a = {.verdict = VERDICT_ALLOW};
    if (q->is_batch) {
        open_turn(w, q->engine);
        mqbx_engine_kept(w->engines[q->engine].engine, q->conn_id);
        close_turn(w);
        return;
    }
    if (!w->is_calm && rng_percent(&w->rng, 4))
        a.verdict = VERDICT_DENY;
    world_note(w, (uint64_t)2 << 48 | q->conn_id);
    open_turn(w, q->engine);
    mqbx_engine_answer(w->engines[q->engine].engine, q->conn_id, &a);
    if (!w->is_calm && rng_percent(&w->rng, 10)) /* twice: the second is stale */
        mqbx_engine_answer(w->engines[q->engine].engine, q->conn_id, &a);
    close_turn(w);
}

bool world_step_answer(struct world *w)
{
    for (uint32_t i = 0; i < w->question_count; i++) {
        struct pending_question q = w->questions[i];
        if (q.due_ms > w->now_ms)
            continue;
        w->questions[i] = w->questions[--w->question_count];
        answer(w, &q);
        return true;
    }
    return false;
}

static void bury_links(struct world *w)
{
    for (uint32_t i = w->link_count; i-- > 0;)
        if (w->links[i]->is_closed && w->links[i]->holders == 0)
            sim_link_free(w->links[i]);
    w->has_dead_links = false;
}

void world_step_any(struct world *w)
{
    static bool (*const kinds[])(struct world *) = {
        world_step_item,    world_step_item,    world_step_link,  world_step_link,
        world_step_network, world_step_network, world_step_timer, world_step_again,
        world_step_again,   world_step_answer,
    };
    uint32_t count = sizeof(kinds) / sizeof(kinds[0]);
    uint32_t start = rng_below(&w->rng, count);
    w->step++;
    if (w->has_dead_links)
        bury_links(w);
    for (uint32_t i = 0; i < count; i++)
        if (kinds[(start + i) % count](w))
            return;
}

void world_pass(struct world *w, uint64_t ms)
{
    w->now_ms += ms;
}

/* --- at rest ---------------------------------------------------------------------------------- */

static bool link_is_idle(const struct sim_link *l)
{
    if (sim_link_events(l) != 0)
        return false;
    if (l->is_silent || l->is_broken)
        return true;
    bool is_in_empty = l->is_closed || l->in.len == l->in.visible;
    return is_in_empty && (l->is_left || l->out.len == 0);
}

bool world_is_idle(const struct world *w)
{
    if (w->items > 0)
        return false;
    for (uint32_t i = 0; i < w->options.engines; i++)
        if (w->engines[i].wants_turn)
            return false;
    for (uint32_t i = 0; i < w->question_count; i++)
        if (w->questions[i].due_ms != UINT64_MAX)
            return false;
    for (uint32_t i = 0; i < w->link_count; i++)
        if (!link_is_idle(w->links[i]))
            return false;
    return true;
}

uint64_t world_sum(const struct world *w, size_t offset)
{
    uint64_t sum = 0;
    for (uint32_t i = 0; i < w->options.engines; i++) {
        const char *metrics = (const char *)mqbx_engine_metrics(w->engines[i].engine);
        sum += mqbx_counter_get((const struct counter *)(const void *)(metrics + offset));
    }
    return sum;
}
