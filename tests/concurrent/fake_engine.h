/* SPDX-License-Identifier: MIT */
/*
 * An engine that is only its interface, for tests of the workers: its links echo what they read, a
 * link that reads 'M' followed by a digit moves to that worker, and items hop from worker to
 * worker. One per process: what it is told and what it counted is here.
 */
#ifndef TESTS_CONCURRENT_FAKE_ENGINE_H
#define TESTS_CONCURRENT_FAKE_ENGINE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "engine/engine.h"

enum { FAKE_WORKERS = 64 };

struct fake {
    /* told */
    atomic_int fail_new_at;       /* mqbx_engine_new of this worker fails; -1: none */
    atomic_bool ignores_goodbye;  /* its links stay through disconnect_all */
    atomic_bool posts_when_freed; /* to every worker */
    atomic_uint timer_ms;         /* wants to be called again so often; 0: never */
    /* counted */
    atomic_uint links[FAKE_WORKERS]; /* open at a worker */
    atomic_uint total_links[FAKE_WORKERS];
    atomic_uint turns[FAKE_WORKERS];
    atomic_uint timer_turns;
    atomic_uint hops;
    atomic_uint disposed;
    atomic_uint engines;
    atomic_uint shareds;
    atomic_bool out_of_order;
    atomic_bool wrong_thread;
    bool (*on_thread)(void); /* NULL, or asked in every turn */
};

extern struct fake fake;
void fake_reset(void);

/* A hop: ITEM_BARRIER with number = sequence of its sender, token = hops left. Every hop goes to
 * the next worker; the last is counted. */

#endif
