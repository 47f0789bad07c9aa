/* SPDX-License-Identifier: MIT */
/*
 * A subscriber racing retained publishes, under every interleaving of the real interest masks and
 * the real retained store: the publisher puts and then reads the mask, the subscriber raises the
 * mask and then reads the stamp. Each value arrives exactly once, by replay or live, and the newest
 * last. A subscriber that reads the stamp first is shown to miss one.
 *
 * All memory comes from one arena, so the shared state is the arena's bytes. The lock is the
 * explorer's.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/lock.h"
#include "engine/interest.h"
#include "engine/retained.h"
#include "explorer.h"

#define PUBLISHERS 2
#define ARENA_BYTES ((size_t)256 << 10)

static struct {
    _Alignas(64) unsigned char bytes[ARENA_BYTES];
    size_t used;
} arena;

static void *arena_fn(void *arg, void *ptr, size_t old_size, size_t new_size)
{
    (void)arg;
    if (new_size == 0)
        return NULL;
    void *fresh = arena.bytes + arena.used;
    arena.used += (new_size + 15) & ~(size_t)15;
    if (arena.used > ARENA_BYTES)
        abort();
    if (ptr)
        memcpy(fresh, ptr, old_size);
    return fresh;
}

static const struct alloc from_arena = {.fn = arena_fn};

/* What a publisher found: its stamp, and whether the live flow carried its value. */
struct published {
    uint64_t stamp;
    bool is_live;
};

static struct {
    struct interest *interest;
    struct interest_counts *counts;
    struct retained *retained;
    unsigned publishers;
    bool has_old;        /* a value is there before anyone starts */
    bool reads_too_soon; /* the mistake */
    struct published published[PUBLISHERS];
    uint64_t newest;   /* the subscriber's S */
    uint64_t replayed; /* stamp, 0: nothing */
} world;

/* --- the lock -------------------------------------------------------------------------------- */

void mqbx_lock_init(struct lock *l)
{
    memset(l, 0, sizeof(*l));
}

void mqbx_lock_fini(struct lock *l)
{
    (void)l;
}

void mqbx_lock_take(struct lock *l)
{
    while (l->storage[0])
        explorer_block();
    l->storage[0] = 1;
}

void mqbx_lock_give(struct lock *l)
{
    l->storage[0] = 0;
    for (unsigned i = 0; i < EXPLORER_BODIES; i++)
        explorer_wake(i);
}

/* --- the scenario ---------------------------------------------------------------------------- */

static uint64_t put(const char *payload)
{
    struct publication p = {.expiry_s = MSG_NEVER_EXPIRES,
                            .retain = true,
                            .topic = mqbx_bytes_of("t"),
                            .payload = mqbx_bytes_of(payload)};
    uint64_t stamp = 0;
    if (mqbx_retained_put(world.retained, &p, &stamp) != RETAINED_STORED)
        abort();
    return stamp;
}

static void setup(void)
{
    const struct hash_key key = {1, 2};
    const struct retained_limits none = {0, 0};
    memset(arena.bytes, 0, arena.used);
    arena.used = 0;
    world.interest = mqbx_interest_new(&from_arena, key, 16);
    world.counts = mqbx_interest_counts_new(&from_arena, world.interest, 0);
    world.retained = mqbx_retained_new(&from_arena, key, none);
    memset(world.published, 0, sizeof(world.published));
    world.newest = 0;
    world.replayed = 0;
    if (world.has_old)
        put("old");
}

static uint64_t observe(const void *where)
{
    uint64_t value;
    memcpy(&value, where, sizeof(value));
    return value;
}

static uint64_t shared_state(void)
{
    uint64_t hash = 0;
    for (size_t i = 0; i < arena.used; i += sizeof(uint64_t)) {
        uint64_t word;
        memcpy(&word, arena.bytes + i, sizeof(word));
        if (word)
            hash = explorer_mix(hash, word + i);
    }
    return hash;
}

static void publish(unsigned n)
{
    struct published *p = &world.published[n];
    p->stamp = put(n ? "b" : "a");
    p->is_live = mqbx_interest_mask(world.interest, 0, mqbx_bytes_of("t")) != 0;
}

static void publish_a(void)
{
    publish(0);
}

static void publish_b(void)
{
    publish(1);
}

static void subscribe(void)
{
    if (world.reads_too_soon)
        world.newest = mqbx_retained_stamp(world.retained);
    mqbx_interest_raise(world.counts, 0, mqbx_bytes_of("t"));
    if (!world.reads_too_soon)
        world.newest = mqbx_retained_stamp(world.retained);
    if (world.newest == 0 || mqbx_retained_count(world.retained) == 0)
        return;
    struct retained_cursor c = {0};
    struct msg *m = NULL;
    if (mqbx_retained_take(world.retained, 0, mqbx_bytes_of("t"), world.newest, 0, &c, &m, 1) == 1)
        world.replayed = m->stamp;
}

/* Live are those above S; every one of them must have seen the mask. Of those up to S the newest is
 * replayed, or a live one has replaced it before. */
static bool check(void)
{
    uint64_t newest_up_to_s = world.has_old ? 1 : 0;
    bool has_live = false;
    for (unsigned i = 0; i < world.publishers; i++) {
        const struct published *p = &world.published[i];
        if (p->stamp > world.newest && !p->is_live)
            return false;
        has_live = has_live || p->stamp > world.newest;
        if (p->stamp <= world.newest && p->stamp > newest_up_to_s)
            newest_up_to_s = p->stamp;
    }
    return world.replayed == newest_up_to_s || (world.replayed == 0 && has_live);
}

static bool explore(unsigned publishers, bool has_old, bool too_soon)
{
    struct scenario s = {
        .name = too_soon ? "stamp read before the mask is raised" : "mask raised, then stamp read",
        .bodies = publishers + 1,
        .setup = setup,
        .body = {publish_a, publishers > 1 ? publish_b : subscribe, subscribe},
        .observe = observe,
        .shared_state = shared_state,
        .check = check,
    };
    world.publishers = publishers;
    world.has_old = has_old;
    world.reads_too_soon = too_soon;
    struct explored e = explorer_run(&s);
    printf("%s: %u publishers%s: %llu runs, %llu states: %s\n", s.name, publishers,
           has_old ? ", an older value" : "", (unsigned long long)e.runs,
           (unsigned long long)e.states, e.failure ? e.failure : "right");
    return (e.failure != NULL) == too_soon && e.states > 10;
}

int main(void)
{
    bool ok = explore(1, false, true);
    ok = explore(1, true, true) && ok;
    ok = explore(1, false, false) && ok;
    ok = explore(1, true, false) && ok;
    ok = explore(2, false, false) && ok;
    ok = explore(2, true, false) && ok;
    return ok ? EXIT_SUCCESS : EXIT_FAILURE;
}
