/* SPDX-License-Identifier: MIT */
/*
 * The inbox under every interleaving of producers and its consumer: no chunk is lost or doubled,
 * each producer's order holds, bytes never go below zero, and the consumer never sleeps on a full
 * inbox. A sleep without the second look is shown to fail, so that the explorer is known to find
 * it.
 */
#include <stdio.h>
#include <stdlib.h>

#include "base/inbox.h"
#include "explorer.h"

#define MAX_PRODUCERS 3
#define CHUNK_BYTES 10u

struct numbered {
    struct inbox_chunk chunk;
    unsigned producer;
    unsigned number;
};

static struct {
    struct inbox inbox;
    struct numbered chunks[MAX_PRODUCERS][4];
    unsigned per_producer;
    unsigned producers;
    unsigned next[MAX_PRODUCERS]; /* what the consumer expects of each */
    unsigned received;
    bool sleeps_carelessly;
} world;

static void setup(void)
{
    mqbx_inbox_init(&world.inbox);
    world.received = 0;
    for (unsigned p = 0; p < world.producers; p++) {
        world.next[p] = 0;
        for (unsigned i = 0; i < world.per_producer; i++)
            world.chunks[p][i] =
                (struct numbered){.chunk.bytes = CHUNK_BYTES, .producer = p, .number = i};
    }
}

static uint64_t chunk_id(const struct inbox_chunk *c)
{
    const struct numbered *n = (const struct numbered *)(const void *)c;
    return n->producer * 16 + n->number + 1;
}

/* Read without the layer: no step. The inbox's byte count is only ever added to, so it decides
 * nothing. */
static uint64_t shared_state(void)
{
    uint64_t hash = atomic_load(&world.inbox.asleep.v);
    const struct inbox_chunk *c = atomic_load(&world.inbox.head.v);
    for (; c; c = c->next)
        hash = explorer_mix(hash, chunk_id(c));
    return hash;
}

static uint64_t observe(const void *where)
{
    if (where == &world.inbox.head)
        return (uintptr_t)atomic_load(&world.inbox.head.v);
    return where == &world.inbox.asleep ? atomic_load(&world.inbox.asleep.v) : 0;
}

/* Producers are the bodies 1.., the consumer is body 0. */
static void produce(unsigned producer)
{
    for (unsigned i = 0; i < world.per_producer; i++) {
        explorer_at(i);
        if (mqbx_inbox_push(&world.inbox, &world.chunks[producer][i].chunk))
            explorer_wake(0);
    }
}

static void produce_0(void)
{
    produce(0);
}

static void produce_1(void)
{
    produce(1);
}

static void produce_2(void)
{
    produce(2);
}

static void receive(struct inbox_chunk *c)
{
    while (c) {
        struct numbered *n = (struct numbered *)(void *)c;
        c = c->next;
        if (n->number != world.next[n->producer])
            explorer_fail("a chunk is lost, doubled or out of order");
        world.next[n->producer] = n->number + 1;
        world.received++;
        if (atomic_load(&world.inbox.bytes.v) < CHUNK_BYTES)
            explorer_fail("bytes would go below zero");
        mqbx_inbox_done(&world.inbox, CHUNK_BYTES);
    }
}

/* All that the consumer remembers at the top of its loop. */
static uint64_t progress(void)
{
    uint64_t state = 0;
    for (unsigned p = 0; p < world.producers; p++)
        state = state * 16 + world.next[p];
    return state;
}

static bool careless_sleep(void)
{
    bool was_empty = mqbx_inbox_is_empty(&world.inbox);
    if (was_empty)
        mqbx_atomic_store32(&world.inbox.asleep, 1);
    return was_empty;
}

static void consume(void)
{
    while (world.received < world.producers * world.per_producer) {
        explorer_at(progress());
        receive(mqbx_inbox_take(&world.inbox));
        if (world.received == world.producers * world.per_producer)
            break;
        bool may_sleep =
            world.sleeps_carelessly ? careless_sleep() : mqbx_inbox_sleep(&world.inbox);
        if (may_sleep) {
            explorer_block();
            mqbx_inbox_awake(&world.inbox);
        }
    }
}

static bool check(void)
{
    return mqbx_inbox_is_empty(&world.inbox) && mqbx_inbox_bytes(&world.inbox) == 0;
}

static bool explore(unsigned producers, unsigned per_producer, bool carelessly)
{
    const struct scenario s = {
        .name = carelessly ? "inbox without the second look" : "inbox",
        .bodies = producers + 1,
        .setup = setup,
        .body = {consume, produce_0, produce_1, produce_2},
        .observe = observe,
        .shared_state = shared_state,
        .check = check,
    };
    world.producers = producers;
    world.per_producer = per_producer;
    world.sleeps_carelessly = carelessly;
    struct explored e = explorer_run(&s);
    printf("%s: %u producers, %u chunks each: %llu runs, %llu states: %s\n", s.name, producers,
           per_producer, (unsigned long long)e.runs, (unsigned long long)e.states,
           e.failure ? e.failure : "right");
    return (e.failure != NULL) == carelessly && e.states > 10;
}

int main(void)
{
    bool ok = explore(1, 1, true);
    ok = explore(1, 1, false) && ok;
    ok = explore(1, 3, false) && ok;
    ok = explore(2, 1, false) && ok;
    ok = explore(2, 2, false) && ok;
    ok = explore(3, 1, false) && ok;
    return ok ? EXIT_SUCCESS : EXIT_FAILURE;
}
