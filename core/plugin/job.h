/* SPDX-License-Identifier: MIT */
/*
 * A question that outlives the call that asked it: a copy, counted, with the step of the chain it
 * is at. Holders: the seat while it is open, a runner's queue, a ticket, the seat's list of
 * answered jobs. Exactly one answer is taken for each step: whoever comes second is told so.
 */
#ifndef MQBX_PLUGIN_JOB_H
#define MQBX_PLUGIN_JOB_H

#include "base/alloc.h"
#include "base/atomic.h"
#include "base/list.h"
#include "engine/ask.h"
#include "engine/seams.h"
#include "plugin/outcome.h"

struct seat;

struct job {
    /* constant */
    const struct alloc *alloc;
    size_t size;
    struct seat *seat;
    struct question question; /* its texts lie behind the struct */
    struct link_facts facts;
    struct listener_settings listener;

    struct atomic_u32 refs;
    struct atomic_u32 is_closed; /* nobody waits any more: a runner leaves it out */

    /* the worker's */
    struct list node; /* the seat's open jobs, by deadline */
    uint64_t deadline_ms;
    uint64_t step_began_ns;
    uint64_t forget_stamp; /* an answer is kept only if nothing was forgotten since */

    /* under the seat's lock */
    uint32_t at;   /* place in the chain; the worker alone writes it */
    uint32_t step; /* counts the calls; an answer names the one it is for */
    bool is_waiting;
    bool is_listed; /* among the seat's answered jobs */
    uint64_t ticket;
    uint32_t answered_step;
    struct outcome outcome; /* of answered_step */
    struct job *next_answered;

    struct job *next_queued; /* under the runner's lock */
};

/* A copy with one reference. NULL: out of memory. */
struct job *mqbx_job_new(const struct alloc *a, struct seat *seat, const struct question *q);
struct job *mqbx_job_ref(struct job *j);
void mqbx_job_unref(struct job *j);

/* The principal of a question, referring to it. */
void mqbx_question_principal(const struct question *q, mqb_principal *out);

#endif
