/* SPDX-License-Identifier: MIT */
/*
 * Tickets: numbers that name a job and a step of it. A number is used once; its place in the table
 * is used again under another generation. Any thread, one lock.
 */
#ifndef MQBX_PLUGIN_TICKETS_H
#define MQBX_PLUGIN_TICKETS_H

#include <stdint.h>

#include "base/alloc.h"
#include "base/lock.h"

struct job;

struct ticket_slot {
    struct job *job; /* one reference; NULL: free */
    uint32_t step;
    uint32_t generation;
    uint32_t next_free; /* index + 1, 0: none */
    uint32_t reserved;
};

struct tickets {
    const struct alloc *alloc;
    struct lock lock;
    struct ticket_slot *slots;
    uint32_t count;
    uint32_t first_free; /* index + 1 */
};

void mqbx_tickets_init(struct tickets *t, const struct alloc *a);
void mqbx_tickets_fini(struct tickets *t); /* all were taken back */

/* Counts the job up. 0: out of memory. */
uint64_t mqbx_ticket_new(struct tickets *t, struct job *j, uint32_t step);
/* The job with the reference, and the step; NULL: no such ticket any more. */
struct job *mqbx_ticket_use(struct tickets *t, uint64_t ticket, uint32_t *step);

#endif
