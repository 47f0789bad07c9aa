/* SPDX-License-Identifier: MIT */
/*
 * Threads that plugins may block, with a bounded queue before them: one thread for a SERIAL plugin,
 * a few for all POOL plugins. Jobs are put in by workers; what is done with one is the owner's
 * function.
 */
#ifndef MQBX_PLUGIN_RUNNER_H
#define MQBX_PLUGIN_RUNNER_H

#include <stdbool.h>
#include <stdint.h>

#include "base/alloc.h"
#include "plugin/job.h"

struct runner;

struct runner_options {
    const struct alloc *alloc;
    uint32_t threads;
    uint32_t queue_max;
    void (*run)(struct job *j); /* on one of the threads; keeps no reference */
};

/* NULL: out of memory, or the system gives no thread. */
struct runner *mqbx_runner_new(const struct runner_options *o);
/* What is queued is left out; returns when what is running has returned. NULL is fine. */
void mqbx_runner_free(struct runner *r);
/* Counts the job up. False: the queue is full. */
bool mqbx_runner_put(struct runner *r, struct job *j);

#endif
