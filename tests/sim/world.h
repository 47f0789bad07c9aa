/* SPDX-License-Identifier: MIT */
/*
 * A whole broker in one thread: engines that share one `struct shared`, the queues between them, a
 * clock turned by hand, links, pending questions. Everything an engine sees of the world comes from
 * here, and every choice is drawn from the seed.
 *
 * A step is one single thing that happens: one item delivered, one link reported ready, some bytes
 * carried by the network, a timer, an answer.
 */
#ifndef TEST_SIM_WORLD_H
#define TEST_SIM_WORLD_H

#include <stdbool.h>
#include <stdint.h>

#include "engine/engine.h"
#include "rng.h"
#include "shim/test_alloc.h"

#define WORLD_ENGINES_MAX 8u
#define WORLD_NOBODY UINT32_MAX
#define WORLD_HOST WORLD_ENGINES_MAX /* the queue of what comes from outside the engines */

struct sim_link;
struct world;

struct queued_item {
    struct item it;
    uint32_t bytes;
};

struct item_queue {
    struct queued_item *items;
    uint32_t head, count, cap;
};

struct sim_engine {
    struct world *world;
    struct engine *engine;
    uint32_t index;
    uint32_t reserved[WORLD_ENGINES_MAX]; /* promised in the turn under way */
    uint64_t inbox_bytes;
    bool wants_turn;
};

struct pending_question {
    uint32_t engine;
    uint64_t conn_id;
    uint64_t due_ms; /* UINT64_MAX: never answered */
    bool is_batch;   /* not a question: records that are being kept, conn_id is the batch */
};

enum ask_mode { ASK_NOT, ASK_LATER };

struct world_options {
    uint64_t seed;
    uint32_t engines;
    enum ask_mode ask;
    bool fails_allocations;
    bool traces, is_quiet;
    const char *replay; /* the command that runs this again */
    bool keeps;         /* there is a store, which takes its time: acknowledgements wait for it */
};

/* Links for which there may be something to do: all that have are in it, and some that have not. */
struct link_set {
    struct sim_link **items;
    uint32_t count, cap;
};

enum { SET_READY, SET_NETWORK, LINK_SETS };

struct world {
    struct world_options options;
    struct rng rng;
    uint64_t step;
    uint64_t now_ms;
    uint64_t digest; /* of everything that happened: two runs of a seed have the same */
    struct test_alloc memory;
    struct settings settings;
    struct listener_settings listener;
    struct shared *shared;
    struct sim_engine engines[WORLD_ENGINES_MAX];
    struct item_queue queues[WORLD_ENGINES_MAX + 1][WORLD_ENGINES_MAX]; /* from, to */
    uint64_t items;                                                     /* in all of them */
    uint32_t running;                                                   /* whose turn it is */
    struct sim_link **links;
    uint32_t link_count, link_cap;
    uint64_t links_made;
    struct link_set sets[LINK_SETS];
    bool has_dead_links; /* closed and held by nobody: freed at the end of the step */
    struct pending_question *questions;
    uint32_t question_count, question_cap;
    uint64_t memory_back_at; /* step at which failing allocations succeed again */
    bool is_calm;            /* nothing is cut, slow or refused: everything comes to rest */
};

/* Fills options into a world whose settings the caller may change before world_start. */
void world_init(struct world *w, const struct world_options *o);
bool world_start(struct world *w); /* false: out of memory (only when allocations fail) */
/* Frees engines, items under way, links; fails when anything is left of their memory. */
void world_fini(struct world *w);

/* Ends the process with what is wrong and the command that shows it again. */
_Noreturn void world_fail(const struct world *w, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
void world_trace(struct world *w, const char *format, ...) __attribute__((format(printf, 2, 3)));
void world_note(struct world *w, uint64_t what); /* into the digest */

/* A new connection for an engine, by itself or through the inbox as another worker's listener does
 * it. */
void world_accept(struct world *w, struct sim_link *l);
void world_post_host(struct world *w, uint32_t target, const struct item *it, uint32_t bytes);

/* One step each; false: there was nothing of the kind. */
bool world_step_item(struct world *w);
bool world_step_link(struct world *w);
bool world_step_network(struct world *w);
bool world_step_timer(struct world *w);
bool world_step_again(struct world *w);
bool world_step_answer(struct world *w);
void world_step_any(struct world *w); /* one of these, drawn */
void world_pass(struct world *w, uint64_t ms);

bool world_is_idle(const struct world *w); /* no items, no bytes under way, nobody wants a turn */

/* A metric summed over the engines. */
uint64_t world_sum(const struct world *w, size_t offset);
#define WORLD_METRIC(w, name) world_sum((w), offsetof(struct engine_metrics, name))

#endif
