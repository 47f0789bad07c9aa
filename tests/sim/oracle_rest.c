/* SPDX-License-Identifier: MIT */
/*
 * At rest: every durable client is connected, has read and acknowledged all, and nothing is under
 * way. What has not come by now never will.
 */
#include <stddef.h>

#include "client.h"
#include "oracle.h"
#include "world.h"

/* --- messages --------------------------------------------------------------------------------- */

static bool has_come(const struct client *c, const struct message *m)
{
    return m->id < c->view.seen_cap && c->view.seen[m->id].has_come;
}

/* True: a limit explains it, which a metric has counted. Which of several cannot be told. */
static bool is_explained(struct oracle *o, const struct client *c, const struct message *m)
{
    bool is_large = oracle_is_too_large(c, m);
    bool is_old =
        m->expiry_s != NO_EXPIRY && o->world->now_ms - m->sent_ms >= m->expiry_s * UINT64_C(1000);
    if (!is_large && !is_old && !o->has_tight_queues)
        return false;
    o->lost_by_limits++;
    world_trace(o->world, "%s never got message %u: a limit", c->id, m->id);
    return true;
}

static void check_message(struct oracle *o, const struct client *c, const struct message *m)
{
    uint8_t granted = oracle_certain_qos(o, c, m);
    if (granted == 0 || m->qos == 0 || m->is_empty)
        return;
    o->due_checked++;
    if (has_come(c, m) || is_explained(o, c, m))
        return;
    world_fail(o->world, "%s: message %u of c%u on %s at QoS %u%s, sent at step %llu, never came%s",
               c->id, m->id, m->publisher, o->traffic->topics[m->topic], m->qos,
               m->retain ? " retained" : "", (unsigned long long)m->sent_step,
               m->is_will ? " (a will)" : "");
}

static void check_messages(struct oracle *o, const struct client *c)
{
    for (uint32_t id = 1; id < o->traffic->count; id++) {
        const struct message *m = &o->traffic->messages[id];
        if (m->fate == FATE_ACKED && m->sent_step > c->view.began_step && !topic_is_group(m->topic))
            check_message(o, c, m);
    }
}

/* --- retained values -------------------------------------------------------------------------- */

static bool may_miss(const struct oracle *o, const struct client *c, const struct sub *s,
                     const struct message *m)
{
    bool by_size = oracle_is_too_large(c, m);
    bool by_qos0 = (s->qos == 0 || m->qos == 0) && !(c->end && s->since > c->end->opened_step);
    bool by_handling = !s->is_replay_sure && m->sent_step < s->since;
    bool by_local = s->options.no_local && m->publisher == c->index;
    return by_size || by_qos0 || by_handling || by_local || m->expiry_s != NO_EXPIRY ||
           m->fate != FATE_ACKED || m->is_empty || o->has_tight_queues;
}

/* A subscription has the value that stands, by its replay or live. */
static void check_values(struct oracle *o, const struct client *c, uint32_t number)
{
    const struct sub *s = &c->view.subs[number];
    for (uint32_t t = 0; t < RETAINED_TOPICS; t++) {
        const struct message *m = traffic_message(o->traffic, o->traffic->last_sent[t]);
        if (!m || !traffic_sub_matches(o->traffic, number, TOPIC_RETAINED + t) ||
            may_miss(o, c, s, m) || (s->qos > 0 && m->qos > 0 && !c->has_session))
            continue;
        o->values_checked++;
        /* Merged with others its identifier tells; without one any of them may have brought it. */
        bool has_it = s->options.identifier != 0 && c->version == MQTT_V5 ? s->newest[t] == m->id
                                                                          : has_come(c, m);
        if (!has_it)
            world_fail(o->world, "%s: %s has not got the value %u of %s", c->id,
                       traffic_sub_text(number), m->id, o->traffic->topics[m->topic]);
    }
}

/* --- all of it -------------------------------------------------------------------------------- */

void oracle_check_rest(struct oracle *o, struct client *clients, uint32_t count)
{
    o->lost_by_limits = 0;
    for (uint32_t i = 0; i < count && !o->is_relaxed; i++) {
        struct client *c = &clients[i];
        if (!client_is_open(c))
            continue;
        check_messages(o, c);
        for (uint32_t f = 0; f < FILTERS; f++)
            if (c->view.subs[f].state == SUB_ACTIVE)
                check_values(o, c, f);
    }
    const struct world *w = o->world;
    uint64_t counted = WORLD_METRIC(w, messages_dropped_too_large) +
                       WORLD_METRIC(w, messages_dropped_expired) +
                       WORLD_METRIC(w, messages_dropped_queue_full);
    if (o->lost_by_limits > counted)
        world_fail(w, "%llu messages lost by limits, %llu counted",
                   (unsigned long long)o->lost_by_limits, (unsigned long long)counted);
}

/* --- shared subscriptions --------------------------------------------------------------------- */

/* The group has existed since before the message: its anchor is a member. */
static const struct client *anchor_of(const struct client *clients, uint32_t count, uint32_t group,
                                      const struct message *m)
{
    for (uint32_t i = 0; i < count; i++) {
        const struct sub *s = &clients[i].view.subs[FILTERS + group];
        if (clients[i].is_anchor && s->state == SUB_ACTIVE && s->since < m->sent_step)
            return &clients[i];
    }
    return NULL;
}

/* A QoS 2 message ends with the session it was sent to. [MQTT-4.8.2-5] */
static bool went_with_a_session(const struct client *clients, uint32_t count, uint32_t group,
                                const struct message *m)
{
    for (uint32_t i = 0; i < count; i++)
        if (clients[i].sessions_lost > 0 && clients[i].session_lost_step >= m->sent_step)
            return true;
    (void)group;
    return false;
}

void oracle_check_groups(struct oracle *o, const struct client *clients, uint32_t count)
{
    for (uint32_t id = 1; id < o->traffic->count && !o->is_relaxed; id++) {
        const struct message *m = &o->traffic->messages[id];
        uint32_t group = m->topic - TOPIC_GROUP;
        if (!topic_is_group(m->topic) || m->fate != FATE_ACKED || m->qos == 0 ||
            fixed_qos(group) == 0 || !anchor_of(clients, count, group, m))
            continue;
        o->groups_checked++;
        uint8_t qos = m->qos < fixed_qos(group) ? m->qos : fixed_qos(group);
        bool is_done = qos == 1 ? m->group_acks + m->group_refusals > 0 : m->group_receivers > 0;
        if (is_done || m->expiry_s != NO_EXPIRY || o->has_tight_queues ||
            (qos == 2 && went_with_a_session(clients, count, group, m)))
            continue;
        world_fail(o->world,
                   "message %u of c%u for group %u at QoS %u never came to a member: %u "
                   "receivers, %u acknowledgements, %u refusals",
                   m->id, m->publisher, group, m->qos, m->group_receivers, m->group_acks,
                   m->group_refusals);
    }
}
