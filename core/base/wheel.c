/* SPDX-License-Identifier: MIT */
/*
 * The timer wheel. One owner thread; knows nothing of what a timer is for.
 */
#include "base/wheel.h"

#include <assert.h>
#include <stddef.h>

#define DIGIT_BITS 6u
#define SPAN_BITS (DIGIT_BITS * WHEEL_LEVELS)
#define TOP (WHEEL_LEVELS - 1)

_Static_assert(WHEEL_SLOTS == 1u << DIGIT_BITS, "a slot for every value of a digit");

void mqbx_timer_init(struct timer *t, uint32_t kind)
{
    *t = (struct timer){.kind = kind};
    mqbx_list_init(&t->node);
}

bool mqbx_timer_is_set(const struct timer *t)
{
    return !mqbx_list_empty(&t->node);
}

static uint64_t now_tick(uint64_t now_ms)
{
    return now_ms / WHEEL_TICK_MS;
}

static uint64_t due_tick(uint64_t due_ms)
{
    return due_ms / WHEEL_TICK_MS + (due_ms % WHEEL_TICK_MS != 0);
}

static unsigned digit(uint64_t tick, unsigned level)
{
    return (unsigned)(tick >> (DIGIT_BITS * level)) % WHEEL_SLOTS;
}

void mqbx_wheel_init(struct wheel *w, uint64_t now_ms)
{
    *w = (struct wheel){.tick = now_tick(now_ms), .now_ms = now_ms};
    for (unsigned level = 0; level < WHEEL_LEVELS; level++) {
        for (unsigned slot = 0; slot < WHEEL_SLOTS; slot++)
            mqbx_list_init(&w->slots[level][slot]);
    }
}

static void place(struct wheel *w, struct timer *t, unsigned level, unsigned slot)
{
    mqbx_list_push_back(&w->slots[level][slot], &t->node);
    w->occupied[level] |= (uint64_t)1 << slot;
}

static void insert(struct wheel *w, struct timer *t)
{
    uint64_t due = due_tick(t->due_ms);
    if (due <= w->tick || t->due_ms <= w->now_ms) {
        place(w, t, 0, digit(w->tick, 0));
        return;
    }
    uint64_t differs = due ^ w->tick;
    if (differs >> SPAN_BITS != 0) {
        place(w, t, TOP, 0);
        return;
    }
    unsigned level = (63u - (unsigned)__builtin_clzll(differs)) / DIGIT_BITS;
    place(w, t, level, digit(due, level));
}

/* Takes the node out; its slot's bit goes when it was the last one there. A timer that advance has
 * collected is not in a slot but in a list of advance's own. */
static void take_out(struct wheel *w, struct timer *t)
{
    const struct list *head = t->node.next == t->node.prev ? t->node.next : NULL;
    uintptr_t offset = (uintptr_t)head - (uintptr_t)w->slots;
    mqbx_list_remove(&t->node);
    w->count--;
    if (head && offset < sizeof(w->slots)) {
        size_t slot = offset / sizeof(struct list);
        w->occupied[slot / WHEEL_SLOTS] &= ~((uint64_t)1 << slot % WHEEL_SLOTS);
    }
}

void mqbx_wheel_set(struct wheel *w, struct timer *t, uint64_t due_ms)
{
    mqbx_wheel_cancel(w, t);
    t->due_ms = due_ms;
    insert(w, t);
    w->count++;
}

void mqbx_wheel_cancel(struct wheel *w, struct timer *t)
{
    if (mqbx_timer_is_set(t))
        take_out(w, t);
}

/* The tick at which the first slot in use is due to be emptied, and which slot that is. Whatever is
 * on a lower level comes before anything on a higher one. */
static uint64_t next_event(const struct wheel *w, unsigned *level, unsigned *slot)
{
    for (*level = 0; *level < WHEEL_LEVELS; ++*level) {
        if (w->occupied[*level] == 0)
            continue;
        bool beyond_span = *level == TOP && w->occupied[TOP] == 1;
        uint64_t bits = w->occupied[*level];
        if (*level == TOP && !beyond_span)
            bits &= ~(uint64_t)1;
        *slot = (unsigned)__builtin_ctzll(bits);
        unsigned shift = DIGIT_BITS * (*level + 1);
        uint64_t turn = (w->tick >> shift) + (beyond_span ? 1 : 0);
        return (turn << shift) + ((uint64_t)*slot << (shift - DIGIT_BITS));
    }
    return UINT64_MAX;
}

static void empty_slot(struct wheel *w, unsigned level, unsigned slot, struct list *to)
{
    mqbx_list_splice(to, &w->slots[level][slot]);
    w->occupied[level] &= ~((uint64_t)1 << slot);
}

/* Moves a slot's timers to where they belong now that w->tick has come to it. */
static void cascade(struct wheel *w, unsigned level, unsigned slot, struct list *due)
{
    struct list again;
    mqbx_list_init(&again);
    empty_slot(w, level, slot, &again);
    for (struct list *node; (node = mqbx_list_pop(&again)) != NULL;) {
        struct timer *t = mqbx_container(node, struct timer, node);
        if (due_tick(t->due_ms) <= w->tick)
            mqbx_list_push_back(due, node);
        else
            insert(w, t);
    }
}

static void collect(struct wheel *w, uint64_t until_tick, struct list *due)
{
    empty_slot(w, 0, digit(w->tick, 0), due);
    for (;;) {
        unsigned level = 0, slot = 0;
        uint64_t at = next_event(w, &level, &slot);
        if (at > until_tick)
            break;
        w->tick = at;
        if (level == 0)
            empty_slot(w, level, slot, due);
        else
            cascade(w, level, slot, due);
    }
    if (until_tick > w->tick)
        w->tick = until_tick;
}

/* Collects first and fires then: what `fire` sets is placed as of now and cannot fire in this call.
 */
void mqbx_wheel_advance(struct wheel *w, uint64_t now_ms, void (*fire)(void *ctx, struct timer *t),
                        void *ctx)
{
    struct list due;
    mqbx_list_init(&due);
    collect(w, now_tick(now_ms), &due);
    if (now_ms > w->now_ms)
        w->now_ms = now_ms;
    while (!mqbx_list_empty(&due)) {
        struct timer *t = mqbx_container(due.next, struct timer, node);
        take_out(w, t);
        fire(ctx, t);
    }
}

uint64_t mqbx_wheel_next_ms(const struct wheel *w)
{
    unsigned level = 0, slot = 0;
    if (w->count == 0)
        return UINT64_MAX;
    if (w->occupied[0] & (uint64_t)1 << digit(w->tick, 0))
        return w->now_ms;
    uint64_t at = next_event(w, &level, &slot);
    if (at == UINT64_MAX)
        return w->now_ms; /* all that is set is being fired just now */
    return at > UINT64_MAX / WHEEL_TICK_MS ? UINT64_MAX : at * WHEEL_TICK_MS;
}
