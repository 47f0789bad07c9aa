/* SPDX-License-Identifier: MIT */
/*
 * A run: chaos, rest and judgement in turns, then the end, which comes in several ways.
 */
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#include "sim.h"

#define PHASES 3u
#define REST_STEPS_MAX 3000000u
#define SETTLE_MS 12000u /* longer than any delay, expiry or grace of the scenario */

/* --- set up ----------------------------------------------------------------------------------- */

static void vary_settings(struct sim *s)
{
    struct rng *r = &s->world.rng;
    struct settings *set = &s->world.settings;
    static const uint16_t inflight[] = {1, 3, 20, 100};
    static const uint64_t inbox_marks[] = {1u << 20, 3000, 500};
    static const uint64_t output_marks[] = {65536, 2000, 300};
    set->max_inflight = inflight[rng_below(r, 4)];
    set->receive_maximum = rng_percent(r, 50) ? 20 : 3;
    set->inbox_mark_bytes = inbox_marks[rng_below(r, 3)];
    set->output_mark_bytes = output_marks[rng_below(r, 3)];
    set->topic_alias_max_in = (uint16_t)rng_below(r, 5);
    if (!rng_percent(r, 20))
        return;
    s->oracle.has_tight_queues = true;
    set->queue_max_messages = rng_between(r, 0, 20);
    set->queue_policy = (enum queue_policy)rng_below(r, 3);
}

void sim_open(struct sim *s, const struct sim_options *o)
{
    *s = (struct sim){.client_count = o->clients};
    world_init(&s->world, &o->world);
    traffic_init(&s->traffic);
    s->oracle.world = &s->world;
    s->oracle.traffic = &s->traffic;
    s->oracle.is_relaxed = o->world.fails_allocations;
    vary_settings(s);
    s->clients = calloc(o->clients, sizeof(*s->clients));
    if (!s->clients)
        abort();
    for (uint32_t i = 0; i < o->clients; i++)
        client_init(&s->clients[i], s, i);
}

void sim_close(struct sim *s)
{
    for (uint32_t i = 0; i < s->zombie_count; i++)
        client_end_free(s->zombies[i]);
    for (uint32_t i = 0; i < s->client_count; i++)
        client_fini(&s->clients[i]);
    world_fini(&s->world);
    traffic_fini(&s->traffic);
    free(s->zombies);
    free(s->clients);
}

/* --- connections that were taken over --------------------------------------------------------- */

void sim_add_zombie(struct sim *s, struct client_end *e)
{
    if (s->zombie_count == s->zombie_cap) {
        s->zombie_cap = s->zombie_cap * 2 + 16;
        s->zombies = realloc(s->zombies, s->zombie_cap * sizeof(struct client_end *));
        if (!s->zombies)
            abort();
    }
    s->zombies[s->zombie_count++] = e;
}

static void step_zombie(struct sim *s)
{
    if (s->zombie_count == 0)
        return;
    uint32_t i = rng_below(&s->world.rng, s->zombie_count);
    struct client_end *e = s->zombies[i];
    client_end_read(e);
    if (rng_one_in(&s->world.rng, s->is_calm ? 4 : 200))
        sim_link_finish(e->link);
    if (!sim_link_is_over(e->link))
        return;
    s->zombies[i] = s->zombies[--s->zombie_count];
    client_end_free(e);
}

/* --- chaos ------------------------------------------------------------------------------------ */

static void pass_time(struct sim *s)
{
    struct rng *r = &s->world.rng;
    if (rng_percent(r, 25))
        world_pass(&s->world,
                   !s->is_calm && rng_one_in(r, 500) ? rng_below(r, 2000) : rng_below(r, 3));
}

static void spoil_memory(struct sim *s)
{
    struct world *w = &s->world;
    if (!w->options.fails_allocations)
        return;
    if (w->memory_back_at <= w->step && test_alloc_failures(&w->memory) > 0)
        test_alloc_fail_after(&w->memory, TEST_ALLOC_NEVER);
    if (w->memory_back_at <= w->step && rng_one_in(&w->rng, 300)) {
        test_alloc_fail_after(&w->memory, rng_below(&w->rng, 40));
        w->memory_back_at = w->step + rng_below(&w->rng, 100);
    }
}

static bool has_something(const struct client *c)
{
    const struct client_end *e = c->end;
    if (!e)
        return c->class != CLASS_CLEAN && !c->waits_for_stale;
    return e->link->out.visible > 0 || e->held_count > 0 || sim_link_is_over(e->link);
}

/* Anyone; to come to rest sooner, one with something to do. */
static struct client *choose_client(struct sim *s)
{
    uint32_t start = rng_below(&s->world.rng, s->client_count);
    for (uint32_t i = 0; s->is_calm && i < s->client_count; i++) {
        struct client *c = &s->clients[(start + i) % s->client_count];
        if (has_something(c))
            return c;
    }
    return &s->clients[start];
}

static void one_step(struct sim *s)
{
    struct rng *r = &s->world.rng;
    pass_time(s);
    uint32_t kind = rng_below(r, 10);
    if (kind < 4)
        client_act(choose_client(s));
    else if (kind < 5)
        step_zombie(s);
    world_step_any(&s->world);
}

void sim_chaos(struct sim *s, uint64_t steps)
{
    for (uint64_t i = 0; i < steps; i++) {
        spoil_memory(s);
        one_step(s);
    }
    s->world.memory_back_at = 0;
    test_alloc_fail_after(&s->world.memory, TEST_ALLOC_NEVER);
}

/* --- rest ------------------------------------------------------------------------------------- */

/* Peers that fell silent or left without a word are declared dead, and the others get room. */
static void end_silence(struct sim *s)
{
    for (uint32_t i = 0; i < s->world.link_count; i++) {
        struct sim_link *l = s->world.links[i];
        if (l->is_silent || l->is_left)
            sim_link_break(l);
        l->out_cap = 65536;
        sim_link_touch(l);
    }
}

static bool is_settled(const struct sim *s)
{
    if (s->zombie_count > 0 || !world_is_idle(&s->world))
        return false;
    for (uint32_t i = 0; i < s->client_count; i++)
        if (!client_is_settled(&s->clients[i]))
            return false;
    return true;
}

static void tell_unrest(const struct sim *s)
{
    const struct world *w = &s->world;
    for (uint32_t i = 0; i < s->client_count; i++) {
        const struct client *c = &s->clients[i];
        if (client_is_settled(c))
            continue;
        fprintf(stderr, "%s: class %u, %s, %u publishes, %u acknowledgements, link %llu\n", c->id,
                c->class,
                client_is_open(c) ? "open"
                : c->end          ? "connecting"
                                  : "away",
                client_outs(c), c->end ? c->end->held_count : 0,
                c->end ? (unsigned long long)c->end->link->number : 0);
    }
    for (uint32_t i = 0; i < w->link_count; i++) {
        const struct sim_link *l = w->links[i];
        if (!l->is_closed && (l->in.len > 0 || l->out.len > 0 || l->is_left))
            fprintf(stderr, "link %llu: engine %u wants %u, in %zu/%zu, out %zu/%zu%s%s\n",
                    (unsigned long long)l->number, l->owner, l->wants, l->in.visible, l->in.len,
                    l->out.visible, l->out.len, l->is_left ? ", left" : "",
                    l->is_fin_sent ? ", fin" : "");
    }
    fprintf(stderr, "%u zombies, %llu items\n", s->zombie_count, (unsigned long long)w->items);
}

void sim_rest(struct sim *s)
{
    s->is_calm = s->world.is_calm = true;
    end_silence(s);
    for (uint64_t i = 0; !is_settled(s); i++) {
        for (uint32_t j = 0; j < 64; j++)
            one_step(s);
        if (i * 64 > REST_STEPS_MAX) {
            tell_unrest(s);
            world_fail(&s->world, "it does not come to rest");
        }
    }
}

/* Timers run out: wills, expired sessions, closing connections. */
static void settle_time(struct sim *s)
{
    uint64_t until = s->world.now_ms + SETTLE_MS;
    while (s->world.now_ms < until) {
        world_pass(&s->world, 10);
        one_step(s);
    }
    sim_rest(s);
}

static void settle_wills(struct sim *s)
{
    for (uint32_t i = 0; i < s->client_count; i++) {
        struct client *c = &s->clients[i];
        if (c->will.message != 0 && (!c->end || c->end->link != c->will.link))
            will_settle(&s->oracle, &c->will, false, false, s->world.now_ms);
    }
}

/* Whatever session was lost is lost by now. */
static void settle_sessions(struct sim *s)
{
    for (uint32_t i = 0; i < s->client_count; i++)
        if (s->clients[i].session_lost_step == UINT64_MAX)
            s->clients[i].session_lost_step = s->world.step;
}

static void must_be(const struct sim *s, uint64_t is, uint64_t should, const char *what)
{
    if (is != should && !s->oracle.is_relaxed)
        world_fail(&s->world, "%s: %llu, should be %llu", what, (unsigned long long)is,
                   (unsigned long long)should);
}

static void check_gauges(struct sim *s)
{
    const struct world *w = &s->world;
    uint64_t open = 0;
    for (uint32_t i = 0; i < s->client_count; i++)
        open += s->clients[i].end != NULL;
    must_be(s, WORLD_METRIC(w, connections), open, "connections");
    must_be(s, WORLD_METRIC(w, messages_inflight), 0, "messages_inflight");
    must_be(s, WORLD_METRIC(w, messages_queued), 0, "messages_queued");
    must_be(s, WORLD_METRIC(w, messages_queued_bytes), 0, "messages_queued_bytes");
    if (!s->oracle.has_tight_queues)
        must_be(s, WORLD_METRIC(w, messages_dropped_queue_full), 0, "messages_dropped_queue_full");
    must_be(s, WORLD_METRIC(w, messages_dropped_no_memory), 0, "messages_dropped_no_memory");
    must_be(s, WORLD_METRIC(w, connections_malformed), 0, "connections_malformed");
}

static void judge(struct sim *s)
{
    sim_rest(s);
    settle_time(s);
    settle_wills(s);
    oracle_check_rest(&s->oracle, s->clients, s->client_count);
    oracle_check_groups(&s->oracle, s->clients, s->client_count);
    check_gauges(s);
    settle_sessions(s);
    s->is_calm = s->world.is_calm = false;
}

/* --- the end ---------------------------------------------------------------------------------- */

static void stop_engines(struct sim *s)
{
    struct world *w = &s->world;
    s->is_calm = w->is_calm = true;
    end_silence(s);
    for (uint32_t i = 0; i < w->options.engines; i++)
        mqbx_engine_stop_reading(w->engines[i].engine);
    for (uint32_t i = 0; i < w->options.engines; i++) {
        w->running = i;
        mqbx_engine_begin(w->engines[i].engine,
                          (struct engine_time){.mono_ms = w->now_ms, .wall_ms = w->now_ms});
        mqbx_engine_disconnect_all(w->engines[i].engine);
        w->engines[i].wants_turn = mqbx_engine_end(w->engines[i].engine);
        w->running = WORLD_NOBODY;
    }
    for (uint32_t i = 0; WORLD_METRIC(w, connections) > 0; i++) {
        if (i > REST_STEPS_MAX)
            world_fail(w, "the engines do not drain");
        world_pass(w, 1);
        world_step_any(w);
    }
}

static void end_sessions(struct sim *s)
{
    const struct world *w = &s->world;
    sim_rest(s);
    s->is_ending = true;
    for (uint32_t i = 0; i < s->client_count; i++)
        s->clients[i].must_be_clean = true;
    sim_rest(s);
    for (uint32_t i = 0; i < s->client_count; i++)
        if (client_is_open(&s->clients[i]))
            client_disconnect(&s->clients[i], false, s->clients[i].expiry_s > 0);
    for (uint32_t i = 0; i < s->client_count; i++)
        s->clients[i].class = CLASS_CLEAN; /* does not come back */
    sim_rest(s);
    settle_time(s);
    must_be(s, WORLD_METRIC(w, connections), 0, "connections at the end");
    must_be(s, WORLD_METRIC(w, sessions), 0, "sessions at the end");
    must_be(s, WORLD_METRIC(w, subscriptions), 0, "subscriptions at the end");
    must_be(s, WORLD_METRIC(w, subscriptions_shared), 0, "shared subscriptions at the end");
    must_be(s, WORLD_METRIC(w, groups), 0, "groups at the end");
}

/* How much there was to judge, to see that it is not nothing. */
static void tell_counts(const struct sim *s)
{
    const struct oracle *o = &s->oracle;
    if (s->world.options.is_quiet)
        return;
    printf(
        "seed %llu: %llu steps, %llu s, %u messages, %llu deliveries, %llu exactly known; at rest "
        "%llu due, %llu values, %llu for groups; %llu allocations failed; digest %016llx\n",
        (unsigned long long)s->world.options.seed, (unsigned long long)s->world.step,
        (unsigned long long)s->world.now_ms / 1000, s->traffic.count - 1,
        (unsigned long long)o->delivered, (unsigned long long)o->exact,
        (unsigned long long)o->due_checked, (unsigned long long)o->values_checked,
        (unsigned long long)o->groups_checked,
        (unsigned long long)test_alloc_failures(&s->world.memory),
        (unsigned long long)s->world.digest);
}

uint64_t sim_run(const struct sim_options *o)
{
    struct sim *s = malloc(sizeof(*s));
    if (!s)
        abort();
    sim_open(s, o);
    if (world_start(&s->world)) {
        for (uint32_t i = 0; i < PHASES; i++) {
            sim_chaos(s, o->steps / PHASES);
            if (!o->world.fails_allocations || rng_percent(&s->world.rng, 50))
                judge(s);
        }
        uint32_t end = rng_below(&s->world.rng, 3);
        if (end == 0)
            end_sessions(s);
        else if (end == 1)
            stop_engines(s);
        /* else: everything is freed as it is */
    }
    tell_counts(s);
    uint64_t digest = s->world.digest;
    sim_close(s);
    free(s);
    return digest;
}
