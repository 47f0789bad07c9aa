/* SPDX-License-Identifier: MIT */
/*
 * Subscriptions as their clients know them, and the judgement of each delivery as it comes.
 */
#include "oracle.h"

#include <stdlib.h>
#include <string.h>

#include "client.h"
#include "world.h"

/* --- sessions and subscriptions --------------------------------------------------------------- */

void oracle_view_fini(struct view *v)
{
    free(v->seen);
    number_map_fini(&v->order);
    number_map_fini(&v->by_sub);
    *v = (struct view){.seen = NULL};
}

void oracle_session_new(struct oracle *o, struct client *c)
{
    oracle_view_fini(&c->view);
    c->view.began_step = c->view.changed = o->world->step;
}

static bool options_equal(const struct sub_options *a, const struct sub_options *b)
{
    return a->qos == b->qos && a->no_local == b->no_local &&
           a->retain_as_published == b->retain_as_published && a->identifier == b->identifier;
}

void oracle_subscribe_sent(struct oracle *o, struct client *c, uint32_t number,
                           const struct sub_options *options)
{
    struct sub *s = &c->view.subs[number];
    c->view.changed = o->world->step;
    if (s->asked > 0 && s->options.qos != options->qos)
        s->has_changed_qos = true;
    if (s->asked == 0)
        memcpy(s->floor, o->traffic->last_acked, sizeof(s->floor));
    /* What retained values come is certain only when it is certain whether there was one. */
    s->is_replay_sure =
        options->retain_handling == 0 || (options->retain_handling == 1 && s->state == SUB_NONE);
    if (s->state != SUB_ACTIVE || !options_equal(&s->options, options))
        s->since = UINT64_MAX;
    s->state = SUB_ASKED;
    s->options = *options;
    s->asked++;
}

void oracle_subscribed(struct oracle *o, struct client *c, uint32_t number, uint8_t code)
{
    struct sub *s = &c->view.subs[number];
    c->view.changed = o->world->step;
    if (code >= 0x80) {
        if (!o->is_relaxed)
            world_fail(o->world, "%s: SUBACK 0x%02x for %s", c->id, code, traffic_sub_text(number));
        s->state = SUB_UNKNOWN; /* one it had may have stayed */
        return;
    }
    if (code != s->options.qos)
        world_fail(o->world, "%s: QoS %u granted for %u", c->id, code, s->options.qos);
    s->state = SUB_ACTIVE;
    s->qos = code;
    if (s->since == UINT64_MAX)
        s->since = o->world->step;
}

void oracle_unsubscribe_sent(struct oracle *o, struct client *c, uint32_t number)
{
    struct sub *s = &c->view.subs[number];
    c->view.changed = o->world->step;
    s->since = UINT64_MAX;
    s->left_state = s->state;
    s->state = SUB_LEAVING;
}

void oracle_unsubscribed(struct oracle *o, struct client *c, uint32_t number, bool has_code,
                         uint8_t code)
{
    struct sub *s = &c->view.subs[number];
    c->view.changed = o->world->step;
    bool was_there = s->left_state == SUB_ACTIVE;
    bool was_sure = was_there || s->left_state == SUB_NONE;
    if (has_code && was_sure && !o->is_relaxed && (code == 0) != was_there)
        world_fail(o->world, "%s: UNSUBACK 0x%02x for %s", c->id, code, traffic_sub_text(number));
    s->state = SUB_NONE;
}

void oracle_answer_lost(struct oracle *o, struct client *c, uint32_t number)
{
    struct sub *s = &c->view.subs[number];
    c->view.changed = o->world->step;
    s->since = UINT64_MAX;
    s->state = SUB_UNKNOWN;
}

/* --- one delivery ----------------------------------------------------------------------------- */

static struct seen *seen_of(struct view *v, const struct message *m)
{
    if (m->id >= v->seen_cap) {
        uint32_t cap = m->id * 2 + 64;
        v->seen = realloc(v->seen, cap * sizeof(*v->seen));
        if (!v->seen)
            abort();
        memset(v->seen + v->seen_cap, 0, (cap - v->seen_cap) * sizeof(*v->seen));
        v->seen_cap = cap;
    }
    return &v->seen[m->id];
}

static void fail_delivery(struct oracle *o, const struct client *c, const struct message *m,
                          const struct delivered *d, const char *what)
{
    world_fail(o->world,
               "%s: %s: message %u of c%u on %s at QoS %u%s, delivered at QoS %u%s%s, sent %u "
               "times since step %llu",
               c->id, what, m->id, m->publisher, o->traffic->topics[m->topic], m->qos,
               m->retain ? " retained" : "", d->qos, d->dup ? " DUP" : "",
               d->retain ? " retain" : "", m->sends, (unsigned long long)m->sent_step);
}

/* Is any subscription that the topic matches in doubt? Else: those in force. */
static bool is_stable(const struct oracle *o, const struct client *c, const struct message *m,
                      uint32_t *subs, uint32_t *count)
{
    const struct view *v = &c->view;
    *count = 0;
    for (uint32_t i = 0; i < SUBS; i++) {
        const struct sub *s = &v->subs[i];
        if (s->asked == 0 || !traffic_sub_matches(o->traffic, i, m->topic))
            continue;
        if (s->state == SUB_NONE && v->changed < m->sent_step)
            continue;
        if (s->state != SUB_ACTIVE || v->changed >= m->sent_step)
            return false;
        if (!(s->options.no_local && m->publisher == c->index))
            subs[(*count)++] = i;
    }
    return true;
}

static void check_identifiers(struct oracle *o, const struct client *c, const struct message *m,
                              const struct delivered *d, const uint32_t *subs, uint32_t count)
{
    uint32_t wanted = 0, found = 0;
    for (uint32_t i = 0; i < count; i++) {
        uint32_t id = c->view.subs[subs[i]].options.identifier;
        wanted += id != 0;
        for (uint32_t j = 0; id != 0 && j < d->id_count; j++)
            found += d->ids[j] == id;
    }
    if (wanted != d->id_count || found != wanted)
        fail_delivery(o, c, m, d, "not the identifiers of the matching subscriptions");
}

/* Nothing about the matching subscriptions is in doubt: the packet is exactly known. */
static void check_exact(struct oracle *o, const struct client *c, const struct message *m,
                        const struct delivered *d)
{
    uint32_t subs[SUBS], count;
    if (m->is_will || o->is_relaxed || !is_stable(o, c, m, subs, &count))
        return;
    if (count == 0)
        fail_delivery(o, c, m, d, "no subscription matches");
    uint8_t qos = 0;
    bool retain = false;
    for (uint32_t i = 0; i < count; i++) {
        const struct sub *s = &c->view.subs[subs[i]];
        qos = s->qos > qos ? s->qos : qos;
        retain |= s->options.retain_as_published && m->retain;
    }
    qos = qos < m->qos ? qos : m->qos;
    if (d->qos != qos || d->retain != retain)
        fail_delivery(o, c, m, d, "not the QoS or the RETAIN flag that was granted");
    if (c->version == MQTT_V5)
        check_identifiers(o, c, m, d, subs, count);
    o->exact++;
}

/* How many deliveries may there be at most? */
static uint32_t most(const struct oracle *o, const struct client *c, const struct message *m)
{
    uint32_t times = m->qos == 1 ? m->sends : 1;
    if (!m->retain)
        return times;
    for (uint32_t i = 0; i < SUBS; i++)
        if (traffic_sub_matches(o->traffic, i, m->topic))
            times += c->view.subs[i].asked;
    return times;
}

static void check_count(struct oracle *o, struct client *c, const struct message *m,
                        const struct delivered *d)
{
    struct seen *seen = seen_of(&c->view, m);
    seen->has_come = true;
    /* What a member did not acknowledge is its group's again, and may come to it anew. */
    if (d->qos == 1 && (d->dup || topic_is_group(m->topic)))
        return;
    if (seen->fresh < UINT8_MAX)
        seen->fresh++;
    if (seen->fresh > most(o, c, m))
        fail_delivery(o, c, m, d, "doubled");
}

uint8_t oracle_certain_qos(const struct oracle *o, const struct client *c, const struct message *m)
{
    uint8_t qos = 0;
    for (uint32_t i = 0; i < FILTERS; i++) {
        const struct sub *s = &c->view.subs[i];
        if (s->state == SUB_ACTIVE && s->since < m->sent_step && s->qos > qos &&
            !(s->options.no_local && m->publisher == c->index) &&
            traffic_sub_matches(o->traffic, i, m->topic))
            qos = s->qos;
    }
    return qos;
}

bool oracle_is_too_large(const struct client *c, const struct message *m)
{
    return m->size >= LARGE_BYTES && c->min_max_packet != UINT32_MAX;
}

/* First deliveries of one publisher, topic and QoS are in the order of publication. Retained ones
 * may come out of a replay: check_value judges those. */
static void check_order(struct oracle *o, struct client *c, const struct message *m,
                        const struct delivered *d, bool is_first)
{
    if (d->retain || !is_first || m->is_will || topic_is_group(m->topic))
        return;
    /* What was published again may have been missed the first time. */
    bool is_sure = oracle_certain_qos(o, c, m) > 0 && m->expiry_s == NO_EXPIRY &&
                   !oracle_is_too_large(c, m) && !o->has_tight_queues && !o->is_relaxed;
    if (m->sends > 1 && !is_sure)
        return;
    uint64_t key = ((uint64_t)m->publisher << 32 | m->topic << 8 | (uint64_t)m->qos << 4 | d->qos) +
                   ((uint64_t)1 << 48);
    uint32_t *last = number_map_at(&c->view.order, key);
    if (m->id < *last)
        fail_delivery(o, c, m, d, "out of order");
    *last = m->id;
}

static void check_expiry(struct oracle *o, const struct client *c, const struct message *m,
                         const struct delivered *d)
{
    if (c->version != MQTT_V5 || m->is_will)
        return;
    if (d->has_expiry != (m->expiry_s != NO_EXPIRY))
        fail_delivery(o, c, m, d, "an expiry interval lost or found");
    if (!d->has_expiry)
        return;
    /* It has waited between its last sending and now. [MQTT-3.3.2-6] */
    uint64_t waited_s = (o->world->now_ms - m->sent_ms) / 1000 + 1;
    if (d->expiry_left_s > m->expiry_s || d->expiry_left_s + waited_s < m->expiry_s)
        fail_delivery(o, c, m, d, "an expiry interval that does not count down");
}

/* --- retained values -------------------------------------------------------------------------- */

/* The one subscription this came for; SUBS: cannot be told. */
static uint32_t attribute(const struct oracle *o, const struct client *c, uint32_t topic,
                          const struct delivered *d)
{
    if (c->version == MQTT_V5 && d->id_count == 1)
        return d->ids[0] - 1 < SUBS ? d->ids[0] - 1 : SUBS;
    uint32_t found = SUBS;
    for (uint32_t i = 0; i < FILTERS; i++) {
        if (c->view.subs[i].asked == 0 || !traffic_sub_matches(o->traffic, i, topic))
            continue;
        if (found != SUBS)
            return SUBS;
        found = i;
    }
    return found;
}

static void check_value(struct oracle *o, struct client *c, uint32_t number,
                        const struct message *m, const struct delivered *d)
{
    struct sub *s = &c->view.subs[number];
    uint32_t topic = m->topic - TOPIC_RETAINED;
    bool is_fresh = !d->dup && m->sends == 1;
    if (is_fresh && m->id < s->newest[topic] && s->newest_qos[topic] == d->qos &&
        !s->has_changed_qos && !o->is_relaxed)
        fail_delivery(o, c, m, d, "an older value after a newer one");
    if (is_fresh && m->id < s->floor[topic] && !o->is_relaxed)
        fail_delivery(o, c, m, d, "a value that was replaced before the subscription");
    if (m->id > s->newest[topic]) {
        s->newest[topic] = m->id;
        s->newest_qos[topic] = d->qos;
    }
    if (d->dup && d->qos == 1)
        return;
    uint32_t *times = number_map_at(&c->view.by_sub, (uint64_t)number << 32 | m->id);
    if (++*times > (m->qos == 1 ? m->sends : 1) + s->asked - 1)
        fail_delivery(o, c, m, d, "a value doubled for one subscription");
}

static void note_values(struct oracle *o, struct client *c, const struct message *m,
                        const struct delivered *d)
{
    if (!topic_is_retained(m->topic))
        return;
    uint32_t number = attribute(o, c, m->topic, d);
    if (number < FILTERS) {
        check_value(o, c, number, m, d);
        return;
    }
    /* Several at once: each has had it. */
    for (uint32_t j = 0; j < d->id_count; j++) {
        uint32_t i = d->ids[j] - 1;
        if (i < FILTERS && c->view.subs[i].newest[m->topic - TOPIC_RETAINED] < m->id) {
            c->view.subs[i].newest[m->topic - TOPIC_RETAINED] = m->id;
            c->view.subs[i].newest_qos[m->topic - TOPIC_RETAINED] = d->qos;
        }
    }
}

/* --- shared subscriptions --------------------------------------------------------------------- */

static void check_group(struct oracle *o, const struct client *c, struct message *m,
                        const struct delivered *d, bool is_first)
{
    if (c->view.subs[FILTERS + m->topic - TOPIC_GROUP].asked == 0)
        fail_delivery(o, c, m, d, "not a member of the group");
    if (is_first)
        m->group_receivers++;
    /* [MQTT-4.8.2-4] and QoS 0: never two of them */
    if (d->qos != 1 && m->group_receivers > (m->qos == 1 ? m->sends : 1))
        fail_delivery(o, c, m, d, "two members got it");
}

struct message *oracle_delivered(struct oracle *o, struct client *c, const struct delivered *d)
{
    o->delivered++;
    if (d->payload.len == 0) {
        uint32_t topic = traffic_find_topic(o->traffic, d->topic);
        if (topic == TOPICS || !topic_is_retained(topic))
            world_fail(o->world, "%s: a message without payload", c->id);
        return NULL; /* a value cleared: which one cannot be told */
    }
    struct message *m = traffic_identify(o->traffic, d->payload);
    if (!m)
        world_fail(o->world, "%s: a payload nobody sent, %u bytes", c->id, d->payload.len);
    if (!mqbx_bytes_equal(d->topic, mqbx_bytes_of(o->traffic->topics[m->topic])))
        fail_delivery(o, c, m, d, "on another topic");
    if (m->fate == FATE_CANCELLED || m->fate == FATE_REFUSED)
        fail_delivery(o, c, m, d, "a message that must not be");
    m->has_come = true;
    if (d->is_repeat)
        return m;
    bool is_first = !seen_of(&c->view, m)->has_come;
    check_count(o, c, m, d);
    check_order(o, c, m, d, is_first);
    check_exact(o, c, m, d);
    check_expiry(o, c, m, d);
    note_values(o, c, m, d);
    if (topic_is_group(m->topic))
        check_group(o, c, m, d, is_first);
    return m;
}
