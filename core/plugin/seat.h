/* SPDX-License-Identifier: MIT */
/*
 * A worker's place among the plugins: what it has asked and not heard yet, answers it may use
 * again, its counters. The worker's, but for what is under `lock`, through which other threads hand
 * in answers.
 */
#ifndef MQBX_PLUGIN_SEAT_H
#define MQBX_PLUGIN_SEAT_H

#include "base/counter.h"
#include "base/list.h"
#include "base/lock.h"
#include "base/table.h"
#include "engine/engine.h"
#include "plugin/cache.h"
#include "plugin/job.h"
#include "plugin/set.h"

enum { SEAT_FORGETS = 16 };

struct hook_counters {
    struct counter figures[PLUGIN_FIGURES];
};

struct seat {
    /* constant */
    struct plugins *set;
    const struct alloc *alloc;
    uint32_t worker;
    void (*wake)(void *ctx); /* any thread; the worker then calls turn */
    void *wake_ctx;

    /* the worker's */
    struct engine *engine;
    struct table jobs; /* open ones, by the question's number */
    struct list open;  /* the same, by deadline */
    struct cache cache;
    struct outcome last; /* what the last answer given at once refers to */
    uint64_t forget_stamp;
    struct hook_counters counters[PLUGINS_MAX][PLUGIN_HOOKS];

    /* any thread */
    struct atomic_u32 has_news; /* answers or forgets to be taken */
    struct atomic_u64 generation;
    struct lock lock;
    bool is_open;
    struct job *answered_first, *answered_last;
    uint64_t forgets[SEAT_FORGETS];
    uint32_t forget_count; /* over SEAT_FORGETS: all */
    uint64_t forget_generation;
};

/* [the thread that opens the worker] NULL: out of memory. */
struct seat *mqbx_seat_open(struct plugins *set, uint32_t worker, void (*wake)(void *ctx),
                            void *wake_ctx);
/* After the engine is gone, before its loop is. NULL is fine. */
void mqbx_seat_close(struct seat *s);
/* When no job refers to it any more. NULL is fine. */
void mqbx_seat_free(struct seat *s);

/* --- the worker --- */

/* The two of the seams. */
enum verdict mqbx_seat_ask(struct seat *s, const struct question *q, struct answer *a);
void mqbx_seat_unask(struct seat *s, uint64_t number);
/* In a turn of the engine: takes answers, ends what is over its time. */
void mqbx_seat_turn(struct seat *s);
uint64_t mqbx_seat_next_ms(const struct seat *s); /* monotonic; UINT64_MAX: nothing */
static inline bool mqbx_seat_has_news(const struct seat *s)
{
    return mqbx_atomic_load32(&s->has_news) != 0;
}

/* --- any thread --- */

/* One answer per step: false, too late; *o is taken over in any case. */
bool mqbx_seat_answer(struct seat *s, struct job *j, uint32_t step, struct outcome *o);
void mqbx_seat_forget(struct seat *s, uint64_t client, uint64_t generation);

/* --- for the call (call.c) --- */

/* Opens a copy of the question, so that its answer may come later. NULL: out of memory. */
struct job *mqbx_seat_open_job(struct seat *s, const struct question *q);
uint32_t mqbx_seat_begin_step(struct seat *s, struct job *j, uint32_t at);
/* The answer to this step comes by a ticket. 0: out of memory, or it is answered already. */
uint64_t mqbx_seat_give_ticket(struct seat *s, struct job *j, uint32_t step);

/* --- for the walk (walk.c) --- */

void mqbx_seat_end_step(struct seat *s, struct job *j); /* no answer is wanted any more */
void mqbx_seat_close_job(struct seat *s, struct job *j);

uint64_t mqbx_plugin_clock_ns(void);

#endif
