/* SPDX-License-Identifier: MIT */
/*
 * Retained messages for a subscription: pulled from the store as the send window opens, behind the
 * queue, by a cursor that is only text. A new subscription takes stamps up to S. A repeated one
 * keeps its live flow, so its replay waits until all that was posted to this worker before has
 * arrived (a barrier through every other worker): an older value never follows a newer one.
 */
#include "engine/delivery.h"
#include "engine/local_session.h"
#include "engine/subscription.h"

#define TAKE_MAX 64u

static struct replay *replay_new(struct engine *e, struct subscription *sub, uint64_t newest)
{
    struct replay *r = mqbx_zalloc(&e->alloc, sizeof(*r));
    if (!r)
        return NULL;
    r->sub = sub;
    r->newest = newest;
    mqbx_list_init(&r->barrier_node);
    mqbx_list_push_back(&sub->session->replays, &r->node);
    return r;
}

static void replay_free(struct engine *e, struct replay *r)
{
    mqbx_list_remove(&r->node);
    mqbx_list_remove(&r->barrier_node);
    mqbx_retained_cursor_fini(&r->cursor);
    mqbx_buffer_fini(&r->last, &e->alloc);
    mqbx_free(&e->alloc, r, sizeof(*r));
}

void mqbx_replay_cancel(struct engine *e, struct subscription *sub)
{
    struct list *all = &sub->session->replays;
    for (struct list *n = all->next, *next; n != all; n = next) {
        struct replay *r = mqbx_container(n, struct replay, node);
        next = n->next;
        if (r->sub == sub)
            replay_free(e, r);
    }
}

bool mqbx_replay_start(struct engine *e, struct subscription *sub, uint64_t newest)
{
    if (newest == 0)
        return true; /* nothing was ever retained; that the store is empty would not say so: a put
                        takes its stamp first */
    if (!replay_new(e, sub, newest))
        return false;
    mqbx_session_want_pump(e, sub->session);
    return true;
}

bool mqbx_replay_restart(struct engine *e, struct subscription *sub)
{
    uint64_t newest = mqbx_retained_stamp(e->shared->retained);
    mqbx_replay_cancel(e, sub);
    if (e->shared->workers == 1)
        return mqbx_replay_start(e, sub, newest);
    for (uint32_t w = 0; w < e->shared->workers; w++)
        if (!e->seams.reserve(e->seams.ctx, w, 1))
            return false;
    struct replay *r = replay_new(e, sub, newest);
    if (!r)
        return false;
    r->barrier = mqbx_engine_next_id(e);
    r->barrier_missing = e->shared->workers - 1;
    mqbx_list_push_back(&e->barriers, &r->barrier_node);
    struct item it = {.type = ITEM_BARRIER, .u.token = r->barrier};
    for (uint32_t w = 0; w < e->shared->workers; w++)
        if (w != e->worker)
            mqbx_engine_post(e, w, &it, 0);
    return true;
}

void mqbx_replay_barrier_done(struct engine *e, uint64_t token)
{
    for (struct list *n = e->barriers.next; n != &e->barriers; n = n->next) {
        struct replay *r = mqbx_container(n, struct replay, barrier_node);
        if (r->barrier != token)
            continue;
        if (--r->barrier_missing == 0) {
            r->barrier = 0;
            mqbx_list_remove(&r->barrier_node);
            mqbx_session_want_pump(e, r->sub->session);
        }
        return;
    }
}

/* --- pulling -------------------------------------------------------------------------------- */

static uint32_t room(const struct engine *e, const struct replay *r)
{
    const struct session *s = r->sub->session;
    if (s->local)
        return mqbx_local_room(r->sub);
    if (r->sub->qos > 0) {
        uint32_t n = mqbx_deliver_room(e, s);
        return n < TAKE_MAX ? n : TAKE_MAX;
    }
    const struct conn *c = s->conn;
    bool is_open = c && c->state == CONN_OPEN && c->out.bytes < e->settings->output_mark_bytes;
    return is_open ? TAKE_MAX : 0;
}

static void deliver_one(struct engine *e, struct replay *r, struct msg *m)
{
    struct publication p;
    mqbx_msg_view(m, &p);
    uint32_t identifier = r->sub->identifier;
    struct delivery d = {.qos = r->sub->qos,
                         .retain = true,
                         .ids = &identifier,
                         .id_count = identifier != 0 ? 1 : 0};
    if (r->sub->session->local)
        mqbx_local_deliver(e, r->sub, &p, true);
    else
        mqbx_deliver(e, r->sub->session, &p, &d);
    mqbx_route_release(e, &p);
}

/* The cursor's text is copied before the message it stands in is dropped. */
static bool keep_place(struct engine *e, struct replay *r)
{
    struct bytes last = r->cursor.last;
    if (last.ptr == r->last.ptr)
        return true;
    r->last.len = 0;
    if (!mqbx_buffer_append(&r->last, &e->alloc, last.ptr, last.len))
        return false;
    r->cursor.last = mqbx_bytes(r->last.ptr, r->last.len);
    return true;
}

/* False: no room, or done (then it is freed). */
static bool pull(struct engine *e, struct replay *r)
{
    struct msg *taken[TAKE_MAX];
    uint32_t max = room(e, r);
    if (max == 0)
        return false;
    uint32_t n = mqbx_retained_take(e->shared->retained, r->sub->session->tenant,
                                    mqbx_subscription_filter(r->sub), r->newest, e->now.mono_ms,
                                    &r->cursor, taken, max);
    bool has_place = keep_place(e, r);
    for (uint32_t i = 0; i < n; i++) {
        deliver_one(e, r, taken[i]);
        mqbx_msg_unref(taken[i]);
    }
    if (!has_place)
        mqbx_counter_add(&e->metrics.messages_dropped_no_memory, 1);
    if (!r->cursor.is_done && has_place)
        return true;
    replay_free(e, r);
    return false;
}

#define PULLS_PER_TURN 16u

void mqbx_replay_pump(struct engine *e, struct session *s)
{
    uint32_t pulls = 0;
    for (struct list *n = s->replays.next, *next; n != &s->replays; n = next) {
        struct replay *r = mqbx_container(n, struct replay, node);
        next = n->next;
        if (r->barrier != 0)
            continue;
        while (pulls++ < PULLS_PER_TURN && pull(e, r))
            ;
        if (pulls >= PULLS_PER_TURN) {
            mqbx_session_want_pump(e, s); /* others have their turn first */
            return;
        }
    }
}
