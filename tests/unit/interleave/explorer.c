/* SPDX-License-Identifier: MIT */
/*
 * The explorer: one thread, depth first with replay. A body starts on a stack of its own by
 * ucontext; after that _setjmp and _longjmp switch, which need no system call.
 */
#include "explorer.h"

#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <ucontext.h>

#include "base/atomic.h"

#define STACK_BYTES 65536u
#define MAX_STEPS 400u
#define SEEN_SLOTS ((size_t)1 << 23)

enum body_state { BODY_READY, BODY_BLOCKED, BODY_DONE };

struct body {
    ucontext_t start;
    jmp_buf paused;
    bool is_started;
    char *stack;
    enum body_state state;
    bool woken;
    uint64_t history;
};

struct explorer {
    const struct scenario *scenario;
    jmp_buf scheduler;
    struct body bodies[EXPLORER_BODIES];
    unsigned running;
    bool in_body; /* else setup or check use atomics: those are no steps */
    const char *failure;
    unsigned char choice[MAX_STEPS]; /* the run being replayed, then extended */
    unsigned char ready[MAX_STEPS];  /* who could have been chosen at each step */
    unsigned depth;                  /* choices that are given */
    uint64_t *seen;                  /* hashes of states, open addressing, 0 is free */
    uint64_t states;
};

static struct explorer ex;

uint64_t explorer_mix(uint64_t hash, uint64_t more)
{
    hash = ((hash + 0x632be59bd9b4e019u) ^ more) * 0x9e3779b97f4a7c15u;
    return hash ^ hash >> 29;
}

__attribute__((noinline)) static void pause_body(void)
{
    struct body *me = &ex.bodies[ex.running];
    if (_setjmp(me->paused) == 0)
        _longjmp(ex.scheduler, 1);
}

void mqbx_atomic_step(const void *where)
{
    if (!ex.in_body)
        return;
    pause_body();
    struct body *me = &ex.bodies[ex.running];
    me->history = explorer_mix(me->history, ex.scenario->observe(where));
}

void explorer_at(uint64_t state)
{
    ex.bodies[ex.running].history = explorer_mix(0, state);
}

void explorer_block(void)
{
    struct body *me = &ex.bodies[ex.running];
    if (!me->woken) {
        me->state = BODY_BLOCKED;
        pause_body();
    }
    me->woken = false;
    me->history = explorer_mix(me->history, 1);
}

void explorer_wake(unsigned body)
{
    struct body *b = &ex.bodies[body];
    b->woken = true;
    if (b->state == BODY_BLOCKED)
        b->state = BODY_READY;
}

void explorer_fail(const char *why)
{
    ex.failure = why;
}

static void body_main(void)
{
    ex.scenario->body[ex.running]();
    ex.bodies[ex.running].state = BODY_DONE;
    pause_body();
}

/* Not inlined, as nothing else that saves a context: the compiler then need not ask what it
 * clobbers. */
__attribute__((noinline)) static void make_stack(struct body *b)
{
    b->stack = malloc(STACK_BYTES);
    if (!b->stack || getcontext(&b->start) != 0)
        abort();
    b->start.uc_stack.ss_sp = b->stack;
    b->start.uc_stack.ss_size = STACK_BYTES;
    makecontext(&b->start, body_main, 0);
}

static void start_bodies(void)
{
    for (unsigned i = 0; i < ex.scenario->bodies; i++) {
        struct body *b = &ex.bodies[i];
        if (!b->stack)
            make_stack(b);
        b->state = BODY_READY;
        b->is_started = b->woken = false;
        b->history = 0;
    }
}

static uint64_t state_hash(void)
{
    uint64_t hash = ex.scenario->shared_state();
    for (unsigned i = 0; i < ex.scenario->bodies; i++) {
        const struct body *b = &ex.bodies[i];
        hash = explorer_mix(hash, b->history);
        hash = explorer_mix(hash, (uint64_t)b->state * 2 + b->woken);
    }
    return explorer_mix(hash, 0);
}

static bool seen_before(uint64_t hash)
{
    size_t i = hash % SEEN_SLOTS;
    hash |= 1;
    while (ex.seen[i] && ex.seen[i] != hash)
        i = (i + 1) % SEEN_SLOTS;
    if (ex.seen[i])
        return true;
    ex.seen[i] = hash;
    if (++ex.states > SEEN_SLOTS / 4 * 3)
        ex.failure = "too many states for the explorer";
    return false;
}

static unsigned ready_bodies(void)
{
    unsigned mask = 0;
    for (unsigned i = 0; i < ex.scenario->bodies; i++)
        mask |= (ex.bodies[i].state == BODY_READY ? 1u : 0u) << i;
    return mask;
}

static bool all_done(void)
{
    for (unsigned i = 0; i < ex.scenario->bodies; i++) {
        if (ex.bodies[i].state != BODY_DONE)
            return false;
    }
    return true;
}

static void resume_body(struct body *b)
{
    if (b->is_started)
        _longjmp(b->paused, 1);
    b->is_started = true;
    setcontext(&b->start);
}

__attribute__((noinline)) static void run_one(unsigned body)
{
    ex.running = body;
    ex.in_body = true;
    if (_setjmp(ex.scheduler) == 0)
        resume_body(&ex.bodies[body]);
    ex.in_body = false;
}

/* One run: the given choices, then always the first body that is ready. Answers the steps taken. */
static unsigned replay_and_extend(void)
{
    unsigned step = 0;
    ex.scenario->setup();
    start_bodies();
    for (unsigned i = 0; i < ex.scenario->bodies; i++)
        run_one(i); /* up to its first step: touches nothing shared */
    while (!ex.failure && step < MAX_STEPS) {
        if (step >= ex.depth && seen_before(state_hash()))
            return step;
        unsigned ready = ready_bodies();
        if (ready == 0)
            break;
        ex.ready[step] = (unsigned char)ready;
        unsigned body = step < ex.depth ? ex.choice[step] : (unsigned)__builtin_ctz(ready);
        ex.choice[step++] = (unsigned char)body;
        run_one(body);
    }
    if (!ex.failure && step >= MAX_STEPS)
        ex.failure = "does not end";
    if (!ex.failure && !all_done())
        ex.failure = "a body sleeps for ever";
    if (!ex.failure && !ex.scenario->check())
        ex.failure = "the end is wrong";
    return step;
}

/* The next run in order: the deepest step at which a later body could have been chosen. */
static bool next_choice(unsigned steps)
{
    while (steps-- > 0) {
        for (unsigned body = ex.choice[steps] + 1u; body < ex.scenario->bodies; body++) {
            if (ex.ready[steps] & 1u << body) {
                ex.choice[steps] = (unsigned char)body;
                ex.depth = steps + 1;
                return true;
            }
        }
    }
    return false;
}

static void print_order(unsigned steps)
{
    printf("%s: %s; order:", ex.scenario->name, ex.failure);
    for (unsigned i = 0; i < steps; i++)
        printf(" %u", ex.choice[i]);
    printf("\n");
}

struct explored explorer_run(const struct scenario *s)
{
    struct explored result = {0};
    ex = (struct explorer){.scenario = s, .seen = calloc(SEEN_SLOTS, sizeof(uint64_t))};
    if (!ex.seen)
        abort();
    for (;;) {
        unsigned steps = replay_and_extend();
        result.runs++;
        if (ex.failure) {
            print_order(steps);
            break;
        }
        if (!next_choice(steps))
            break;
    }
    result.states = ex.states;
    result.failure = ex.failure;
    for (unsigned i = 0; i < EXPLORER_BODIES; i++)
        free(ex.bodies[i].stack);
    free(ex.seen);
    return result;
}
