/* SPDX-License-Identifier: MIT */
/*
 * Hierarchical timer wheel: set, move and cancel are O(1). A timer fires at or after its due time,
 * within one tick of it (WHEEL_TICK_MS), never before; timers due in the same tick fire in the
 * order they were set. A due time beyond the wheel's span (99 days) waits in one slot and is sorted
 * in when the wheel has turned. One owner thread; time comes in.
 *
 * A timer stands on the level of the highest six-bit digit in which its due tick differs from the
 * current tick, in the slot of its own digit there. So on level 0 the slot of the current tick is
 * free for what is already due, and on the top level slot 0 for what is beyond the span.
 */
#ifndef MQBX_BASE_WHEEL_H
#define MQBX_BASE_WHEEL_H

#include <stdbool.h>
#include <stdint.h>

#include "base/list.h"

#define WHEEL_TICK_MS 8u
#define WHEEL_LEVELS 5u
#define WHEEL_SLOTS 64u

struct timer {
    struct list node; /* initialise with mqbx_timer_init */
    uint64_t due_ms;
    uint32_t kind; /* the owner's: which member of which object this is */
};

struct wheel {
    uint64_t tick;                   /* ticks already fired */
    uint64_t now_ms;                 /* of the latest advance */
    uint64_t occupied[WHEEL_LEVELS]; /* a bit a slot that holds timers */
    struct list slots[WHEEL_LEVELS][WHEEL_SLOTS];
    uint64_t count;
};

void mqbx_timer_init(struct timer *t, uint32_t kind);
bool mqbx_timer_is_set(const struct timer *t);

void mqbx_wheel_init(struct wheel *w, uint64_t now_ms);
/* Sets or moves; a due time in the past fires at the next advance. */
void mqbx_wheel_set(struct wheel *w, struct timer *t, uint64_t due_ms);
void mqbx_wheel_cancel(struct wheel *w, struct timer *t); /* not set is fine */
/* Fires all that are due, taking each off the wheel first; `fire` may set and cancel any timer (one
 * set with a past due time fires at the next call). */
void mqbx_wheel_advance(struct wheel *w, uint64_t now_ms, void (*fire)(void *ctx, struct timer *t),
                        void *ctx);
/* The time at which advance should next be called; UINT64_MAX when nothing is set. May be early (a
 * cascade), never late by more than a tick. Costs a few bit scans, no walk. */
uint64_t mqbx_wheel_next_ms(const struct wheel *w);

#endif
