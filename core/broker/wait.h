/* SPDX-License-Identifier: MIT */
/*
 * One outcome that a thread waits for and a callback brings. Counted by two: it may come after the
 * wait was given up.
 */
#ifndef MQBX_BROKER_WAIT_H
#define MQBX_BROKER_WAIT_H

#include <mqttbroker.h>

#include "base/alloc.h"

struct wait;

struct wait *mqbx_wait_new(
    const struct alloc *a); /* two references: waiter's and bringer's. NULL: out of memory */
void mqbx_wait_bring(struct wait *w, mqb_err err); /* gives one reference back */
/* Gives one reference back. -1: without limit. MQB_ETIMEDOUT, or what was brought. */
mqb_err mqbx_wait_for(struct wait *w, int64_t timeout_ms);
void mqbx_wait_drop(struct wait *w); /* both references: nobody will bring anything */

#endif
