/* SPDX-License-Identifier: MIT */
/*
 * Shared subscriptions. A group (tenant, name, filter) has a home worker and one queue there; its
 * members, wherever they live, pull: a member's worker grants credits for the free places in its
 * window, and the home sends at most that many. Nothing unsent ever sits with a member, so a dead
 * or full one has nothing to give back but what is under way: a QoS 1 message returns to the head
 * of the queue when its member's connection ends; a QoS 2 message is its member's for good once
 * sent. [MQTT-4.8.2-4], [MQTT-4.8.2-5]
 *
 * Credits are soft: a member's own messages may have taken the place by the time one arrives; then
 * it goes back.
 */
#ifndef MQBX_ENGINE_GROUP_H
#define MQBX_ENGINE_GROUP_H

#include "engine/session.h"
#include "engine/state.h"
#include "engine/subscription.h"

/* From a member's worker to the group's home and back. */
struct group_join {
    size_t size;
    uint64_t member; /* the session's id */
    uint64_t group;  /* the answer: the group's id; 0: out of memory there */
    uint32_t tenant;
    uint16_t worker;
    uint16_t name_len;
    uint16_t filter_at; /* "$share/NAME/" ends there */
    uint16_t text_len;
    char text[]; /* the whole subscription */
};

/* At the member's worker: one session's place in a group. */
struct membership {
    struct list node; /* session.memberships */
    struct subscription *sub;
    uint64_t group; /* 0: the home has not answered yet */
    uint32_t home;
    uint32_t granted;      /* credits out and not used */
    uint64_t waiting_conn; /* number of the connection whose SUBSCRIBE waits for this */
};

/* --- at the member's worker ----------------------------------------------------------------- */

enum subscribe_status mqbx_group_join(struct engine *e, struct subscription *sub,
                                      struct bytes name);
/* The same subscription again: SUBSCRIBED, or SUBSCRIBE_WAITS while the first has no answer. */
enum subscribe_status mqbx_group_rejoin(struct engine *e, struct subscription *sub);
void mqbx_group_leave(struct engine *e, struct subscription *sub);
void mqbx_group_forget(struct engine *e, struct subscription *sub); /* without telling the home */
void mqbx_group_grant_all(struct engine *e, struct session *s);
void mqbx_group_pause_all(struct engine *e, struct session *s);
/* Takes over the reference to m. */
void mqbx_group_return(struct engine *e, struct session *s, const struct group_origin *from,
                       struct msg *m, enum group_return why);
void mqbx_group_joined(struct engine *e, struct group_join *j);
void mqbx_group_deliver(struct engine *e, const struct item *it);

/* --- at the group's home -------------------------------------------------------------------- */

struct group;

void mqbx_group_item(struct engine *e,
                     const struct item *it); /* JOIN, LEAVE, CREDIT, PAUSE, RETURN */
void mqbx_group_publish(struct engine *e, struct group *g, struct publication *p);
void mqbx_group_free(struct engine *e, struct group *g); /* the end of the engine */

#endif
