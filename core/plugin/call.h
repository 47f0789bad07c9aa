/* SPDX-License-Identifier: MIT */
/*
 * One call of one plugin about one question: what the plugin is given, and what it does inside the
 * question (scratch, ticket). On the thread of the call.
 */
#ifndef MQBX_PLUGIN_CALL_H
#define MQBX_PLUGIN_CALL_H

#include "plugin/job.h"
#include "plugin/seat.h"
#include "plugin/set.h"

struct scratch;

struct call_frame {
    mqb_answer answer; /* first: the plugin is given this, and gives it back to services */
    struct plugin *plugin;
    struct seat *seat;
    const struct question *question;
    struct job *job; /* NULL: inline, and nobody has taken a ticket */
    uint32_t step;   /* of the job; 0: none begun */
    uint32_t at;     /* place in the chain */
    bool has_ticket;
    struct scratch *scratch;
};

/* Calls; answers the verdict, MQB_PENDING only with a ticket. The frame's answer refers to the
 * plugin's memory and to the scratch, which the caller ends. */
uint32_t mqbx_call(struct call_frame *f, const struct chain_link *link);
/* Checks and copies the answer, and ends the scratch. */
void mqbx_call_outcome(struct call_frame *f, uint32_t verdict, struct outcome *out);
/* [inside the call] NULL: out of memory. */
void *mqbx_scratch(struct call_frame *f, size_t size);
void mqbx_scratch_free(struct call_frame *f);

/* A runner's function. */
void mqbx_call_job(struct job *j);

#endif
