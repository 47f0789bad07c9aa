/* SPDX-License-Identifier: MIT */
/*
 * Runs a few pretended threads under every order of their atomic operations.
 *
 * A scenario is a setup and some bodies. Each body is a context of its own in this one thread;
 * before every atomic operation (mqbx_atomic_step) it stops, and the explorer chooses who goes on.
 * It repeats the scenario from the start, depth first over all choices, and leaves out what goes on
 * from a state it has been in. The state is the shared memory (the scenario gives a hash of it) and
 * what each body knows: the history of what it found at its steps, since it last said explorer_at.
 *
 * Operations are sequentially consistent, so interleavings are all there is; see
 * core/base/atomic.h.
 */
#ifndef TEST_INTERLEAVE_EXPLORER_H
#define TEST_INTERLEAVE_EXPLORER_H

#include <stdbool.h>
#include <stdint.h>

#define EXPLORER_BODIES 4

struct scenario {
    const char *name;
    unsigned bodies;
    void (*setup)(void);
    void (*body[EXPLORER_BODIES])(void);
    /* The value there; 0 where the code ignores it. */
    uint64_t (*observe)(const void *where);
    /* A hash of everything the bodies share, sums that decide nothing excepted. */
    uint64_t (*shared_state)(void);
    bool (*check)(void); /* after all bodies have returned */
};

/* Inside a body: what it does from here on depends on `state` alone (and on what it will find). */
void explorer_at(uint64_t state);
/* Inside a body: stops it until another one says explorer_wake(body). A wake that comes first is
 * kept, once. */
void explorer_block(void);
void explorer_wake(unsigned body);
/* Inside a body: the scenario is wrong as of now. */
void explorer_fail(const char *why);

struct explored {
    uint64_t runs;
    uint64_t states;
    const char *failure; /* NULL: every order is right */
};

/* Stops at the first wrong order. A body that stays blocked when no other can go on is one. */
struct explored explorer_run(const struct scenario *s);

uint64_t explorer_mix(uint64_t hash, uint64_t more);

#endif
