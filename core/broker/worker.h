/* SPDX-License-Identifier: MIT */
/*
 * One worker: a loop, an engine, an inbox and, unless the host drives, a thread. Its turn: what the
 * sockets, the timer and the inbox brought is given to the engine, the engine's turn is ended, and
 * what it posted is handed over; then it sleeps. Internal to the files workers*.c and worker*.c.
 */
#ifndef MQBX_BROKER_WORKER_H
#define MQBX_BROKER_WORKER_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/inbox.h"
#include "broker/carrier.h"
#include "engine/engine.h"
#include "io/acceptor.h"
#include "io/error.h"
#include "io/loop.h"
#include "plugin/seat.h"

struct worker;
struct workers;

/* Something to be done on a worker's thread; lives on the stack of whoever waits for it. */
struct call {
    struct call *next;
    void (*fn)(struct worker *w, void *arg);
    void *arg;
    bool is_done;
};

/* Items that have arrived and wait for the engine; own posts among them. */
struct incoming {
    struct chunk *first, *last;
    uint32_t at; /* next item of first */
};

struct worker {
    /* set before the thread runs, constant then */
    struct workers *set;
    uint32_t index;
    bool is_open; /* loop, handles and engine exist */
    bool has_thread;
    pthread_t thread;

    /* the worker's own */
    struct io_loop loop;
    struct engine *engine; /* NULL at the very end of a stop */
    struct seat *seat;     /* among the plugins; NULL: there are none */
    struct carrier carrier;
    struct incoming incoming;
    uint32_t next_deal; /* counts the connections dealt to the workers in turn */
    bool is_in_turn;
    bool is_restless;     /* has more to do, must not sleep */
    bool is_stopping;     /* clients were told to go */
    bool is_drained;      /* and all are gone */
    uint64_t tick_due_ms; /* UINT64_MAX: never */
    bool is_leaving;      /* its thread ends after this round */
    struct call *ran;     /* done at the end of this turn */

    /* from any thread */
    char padding[64]; /* what others write does not share a line with the above */
    struct inbox inbox;
    struct atomic_u64 runner; /* the thread that is running it, 0: none */
    pthread_mutex_t calls_lock;
    pthread_cond_t calls_done;
    struct call *calls; /* under calls_lock, newest first */
};

/* --- worker_life.c: [owner] --- */

void mqbx_worker_init(struct worker *w, struct workers *set, uint32_t index);
void mqbx_worker_fini(struct worker *w);
/* Loop, handles and engine; nothing runs yet. Nothing is left behind on failure. */
mqb_err mqbx_worker_open(struct worker *w, struct io_error *e);
mqb_err mqbx_worker_spawn(struct worker *w, struct io_error *e);
/* After the engine is gone: ends the thread if there is one, closes the loop. */
void mqbx_worker_close(struct worker *w);
/* Its engine is gone. */
void mqbx_worker_close_seat(struct worker *w);

/* --- worker_life.c: [any other thread] --- */

/* Runs fn on the worker's thread (here and now when it has none) and returns when the turn that fn
 * was part of is over and its posts are handed over. */
void mqbx_worker_call(struct worker *w, void (*fn)(struct worker *w, void *arg), void *arg);
void mqbx_worker_push(struct worker *w, struct chunk *ch); /* into its inbox; wakes it */

/* Says that this thread runs the worker, until leave. */
void mqbx_worker_enter(struct worker *w);
void mqbx_worker_leave(struct worker *w);
/* Is this thread running it? */
bool mqbx_worker_is_here(const struct worker *w);

/* --- worker.c: [its thread] --- */

int mqbx_worker_open_loop(struct worker *w); /* 0 or a negative errno */
void mqbx_worker_run(struct worker *w);      /* until it is leaving */
void mqbx_worker_open_turn(struct worker *w);
void mqbx_worker_turn(struct worker *w);
void mqbx_worker_arm_tick(struct worker *w); /* the loop exists */
void mqbx_worker_take_link(struct worker *w, struct link *l);
void mqbx_worker_deal_link(void *worker, struct link *l); /* an acceptor_fn */
void mqbx_worker_empty_inbox(struct worker *w);           /* gives all items to the engine */
void mqbx_worker_dispose(struct worker *w); /* throws away what the engine will not see */

/* Without a thread: one step of at most wait_ms, -1 without limit. Leaves everything so that the
 * host can wait for it. */
void mqbx_worker_step(struct worker *w, int64_t wait_ms);
int64_t mqbx_worker_timeout_ms(struct worker *w);

#endif
