/* SPDX-License-Identifier: MIT */
/*
 * In-process handles in the engine: their sessions, publishes and subscriptions. Every in-process
 * subscription has its own callback, window and queue; a durable handle's subscriptions go on
 * collecting while it is closed and wait for a callback.
 */
#ifndef MQBX_ENGINE_LOCAL_SESSION_H
#define MQBX_ENGINE_LOCAL_SESSION_H

#include "engine/session.h"
#include "engine/subscription.h"

void mqbx_local_item(struct engine *e, const struct item *it);

/* The question about its input has its answer: what is parked goes on. */
void mqbx_local_answered(struct engine *e, struct local *l);
/* The end of the engine. */
void mqbx_local_free_parked(struct engine *e, struct local *l);

/* Connects a subscription with its callback; false: out of memory. Unattach: it was never in force,
 * the callback stays the caller's. */
bool mqbx_local_attach(struct engine *e, struct subscription *sub, struct local_subscription *ls);
void mqbx_local_unattach(struct engine *e, struct subscription *sub);
/* The last of it: queue dropped, arg_free called, the callback freed. No callback: no effect but
 * the queue. */
void mqbx_local_detach(struct engine *e, struct subscription *sub);
/* A shared one's group has answered. */
void mqbx_local_subscribed(struct engine *e, struct subscription *sub, bool ok);

/* Calls back, queues (QoS 1 and 2) or drops (QoS 0). */
void mqbx_local_deliver(struct engine *e, struct subscription *sub, struct publication *p,
                        bool retain);
uint32_t mqbx_local_room(const struct subscription *sub); /* deliveries it would take now */

/* --- between the two files ------------------------------------------------------------------ */

/* The callback ends; the subscription may go on without. */
void mqbx_local_drop_callback(struct engine *e, struct subscription *sub);
bool mqbx_local_item_subscribe(struct engine *e, const struct item *it); /* false: it waits */
void mqbx_local_item_unsubscribe(struct engine *e, const struct item *it);
void mqbx_local_item_done(struct engine *e, const struct item *it);

#endif
