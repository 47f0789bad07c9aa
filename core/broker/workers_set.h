/* SPDX-License-Identifier: MIT */
/*
 * What the workers of a broker have in common. Internal to the files workers*.c and worker*.c.
 */
#ifndef MQBX_BROKER_WORKERS_SET_H
#define MQBX_BROKER_WORKERS_SET_H

#include <pthread.h>

#include "base/list.h"
#include "broker/worker.h"
#include "broker/workers.h"

enum workers_state { WORKERS_STOPPED, WORKERS_RUNNING, WORKERS_STOPPING };

struct workers {
    struct workers_options options;
    struct worker **worker;
    struct shared *shared; /* NULL unless started */

    /* Serialises start, stop and what concerns listeners; held while a worker is called, so never
     * taken on a worker's thread. */
    pthread_mutex_t api_lock;
    enum workers_state state;  /* under api_lock */
    struct settings *settings; /* under api_lock; one reference */
    uint64_t next_listener;    /* under api_lock */

    /* Open while items may be posted from outside. Posters hold it shared. */
    pthread_rwlock_t gate;
    bool is_gate_open;
    struct atomic_u64 inbox_mark_bytes;
    struct atomic_u32 next_adopted;

    pthread_mutex_t drained_lock;
    pthread_cond_t drained_changed; /* on the monotonic clock */
    uint32_t drained;

    /* Listeners change under both locks, so either is enough to read. */
    pthread_mutex_t listeners_lock;
    struct list listeners;
};

static inline struct worker *mqbx_workers_at(const struct workers *w, uint32_t index)
{
    return w->worker[index];
}

void mqbx_workers_note_drained(struct workers *w); /* [worker's thread] once per worker and stop */
void mqbx_workers_close_listeners(struct workers *w); /* under api_lock */
/* Takes api_lock if the workers run and the caller is none of them; else the error. */
mqb_err mqbx_workers_enter(struct workers *w);
void mqbx_workers_leave(struct workers *w);

#endif
