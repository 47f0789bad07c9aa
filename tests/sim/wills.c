/* SPDX-License-Identifier: MIT */
/*
 * When a will is due, when it must not be, and when nobody can tell. [MQTT-3.1.2-8], -10,
 * [MQTT-3.1.3-9]
 */
#include "client.h"
#include "oracle.h"
#include "sim_link.h"
#include "world.h"

/* A timer fires within a tick of its time, and the world's clock moves in small leaps. */
#define TOLERANCE_MS 100u

void will_ended(struct oracle *o, struct will_watch *w, bool is_vague)
{
    struct message *m = traffic_message(o->traffic, w->message);
    if (!m || w->has_ended)
        return;
    w->has_ended = true;
    w->is_vague = is_vague || w->may_end;
    m->sent_step = w->is_vague ? w->connect_step : o->world->step;
    m->sent_ms = o->world->now_ms;
}

enum due { DUE_YES, DUE_NO, DUE_MAYBE };

static enum due judge_farewell(const struct will_watch *w)
{
    /* Read to its end before it was closed: DISCONNECT was among it. */
    bool was_read = w->is_sure && w->link->is_closed && sim_link_is_read(w->link) &&
                    !w->link->is_broken && !w->link->is_silent;
    return was_read ? DUE_NO : DUE_MAYBE;
}

static enum due judge_end(const struct will_watch *w, bool has_connected, bool is_resumed,
                          uint64_t arrived_ms)
{
    if (w->delay_s == 0 || w->is_sessionless)
        return DUE_YES;
    if (w->connects > 1) /* one of them may have come through and cancelled it */
        return DUE_MAYBE;
    if (!has_connected || !is_resumed)
        return DUE_YES;
    uint64_t parted_ms = w->link->is_closed ? w->link->closed_ms : arrived_ms;
    uint64_t due_ms = (parted_ms < arrived_ms ? parted_ms : arrived_ms) + w->delay_s * 1000ull;
    if (arrived_ms + TOLERANCE_MS < due_ms && !w->is_vague)
        return DUE_NO;
    return arrived_ms > due_ms + TOLERANCE_MS ? DUE_YES : DUE_MAYBE;
}

void will_settle(struct oracle *o, struct will_watch *w, bool has_connected, bool is_resumed,
                 uint64_t arrived_ms)
{
    struct message *m = traffic_message(o->traffic, w->message);
    if (!m)
        return;
    enum due due = DUE_MAYBE;
    if (w->is_armed && w->is_farewell)
        due = judge_farewell(w);
    else if (w->is_armed && w->has_ended)
        due = judge_end(w, has_connected, is_resumed, arrived_ms);
    if (due == DUE_NO && m->has_come)
        world_fail(o->world, "the will %u of c%u came and must not", m->id, m->publisher);
    m->fate = due == DUE_YES ? FATE_ACKED : due == DUE_NO ? FATE_CANCELLED : FATE_UNKNOWN;
    world_trace(o->world, "will %u of c%u is settled: %s", m->id, m->publisher,
                due == DUE_YES  ? "due"
                : due == DUE_NO ? "cancelled"
                                : "not certain");
    sim_link_let_go(w->link);
    *w = (struct will_watch){.message = 0};
}

/* Somebody has got it while it is not yet settled. */
void will_delivered(struct oracle *o, const struct client *owner, const struct message *m)
{
    const struct will_watch *w = &owner->will;
    if (m->id != w->message)
        return;
    const struct sim_link *l = w->link;
    bool can_have_ended = w->may_end || l->is_closed || l->is_broken || l->is_silent ||
                          l->is_fin_sent || w->has_ended || w->is_farewell || w->connects > 0;
    if (!can_have_ended)
        world_fail(o->world, "the will %u of c%u came while its connection is open", m->id,
                   m->publisher);
    bool is_plain_loss = w->has_ended && !w->is_vague && !w->is_farewell && w->connects == 0 &&
                         l->is_closed && !w->is_sessionless;
    uint32_t wait_s = w->delay_s < owner->expiry_s ? w->delay_s : owner->expiry_s;
    if (is_plain_loss && o->world->now_ms < l->closed_ms + wait_s * 1000ull)
        world_fail(o->world, "the will %u of c%u came before its delay was over", m->id,
                   m->publisher);
}
