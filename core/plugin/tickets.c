/* SPDX-License-Identifier: MIT */
/*
 * See tickets.h. A ticket is generation << 32 | index + 1.
 */
#include "plugin/tickets.h"

#include <assert.h>

#include "plugin/job.h"

void mqbx_tickets_init(struct tickets *t, const struct alloc *a)
{
    *t = (struct tickets){.alloc = a};
    mqbx_lock_init(&t->lock);
}

void mqbx_tickets_fini(struct tickets *t)
{
    for (uint32_t i = 0; i < t->count; i++)
        assert(!t->slots[i].job);
    mqbx_free(t->alloc, t->slots, t->count * sizeof(*t->slots));
    mqbx_lock_fini(&t->lock);
}

static bool grow(struct tickets *t)
{
    uint32_t count = t->count == 0 ? 64 : t->count * 2;
    struct ticket_slot *slots =
        mqbx_realloc(t->alloc, t->slots, t->count * sizeof(*slots), count * sizeof(*slots));
    if (!slots)
        return false;
    for (uint32_t i = t->count; i < count; i++)
        slots[i] = (struct ticket_slot){.generation = 1, .next_free = i + 1 < count ? i + 2 : 0};
    t->slots = slots;
    t->first_free = t->count + 1;
    t->count = count;
    return true;
}

uint64_t mqbx_ticket_new(struct tickets *t, struct job *j, uint32_t step)
{
    uint64_t ticket = 0;
    mqbx_lock_take(&t->lock);
    if (t->first_free != 0 || grow(t)) {
        uint32_t index = t->first_free - 1;
        struct ticket_slot *slot = &t->slots[index];
        t->first_free = slot->next_free;
        slot->job = mqbx_job_ref(j);
        slot->step = step;
        ticket = (uint64_t)slot->generation << 32 | (index + 1);
    }
    mqbx_lock_give(&t->lock);
    return ticket;
}

static struct ticket_slot *find(struct tickets *t, uint64_t ticket)
{
    uint32_t index = (uint32_t)ticket - 1;
    if ((uint32_t)ticket == 0 || index >= t->count)
        return NULL;
    struct ticket_slot *slot = &t->slots[index];
    return slot->job && slot->generation == ticket >> 32 ? slot : NULL;
}

struct job *mqbx_ticket_use(struct tickets *t, uint64_t ticket, uint32_t *step)
{
    struct job *job = NULL;
    mqbx_lock_take(&t->lock);
    struct ticket_slot *slot = find(t, ticket);
    if (slot) {
        job = slot->job;
        *step = slot->step;
        slot->job = NULL;
        slot->generation++;
        slot->next_free = t->first_free;
        t->first_free = (uint32_t)ticket;
    }
    mqbx_lock_give(&t->lock);
    return job;
}
