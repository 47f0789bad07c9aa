/* SPDX-License-Identifier: MIT */
/*
 * Topics, filters and messages.
 */
#include "traffic.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "mqtt/topic.h"

static const char *const filters[FILTERS] = {
    "n/0/0", "n/1/2", "n/3/3", "n/+/1", "n/2/+", "n/2/#", "n/#",     "n/1/+", "n/+/#",
    "+/1/2", "+/+/3", "+/2/+", "+/0/#", "#",     "+/+/+", "r/0/0",   "r/1/1", "r/2/2",
    "r/+/0", "r/+/1", "r/+/+", "r/3/#", "r/4/#", "r/#",   "r/5/+/#", "w/#",
};

static const char *const groups[GROUPS] = {
    "$share/a/$g/0/x", "$share/b/$g/1/x", "$share/c/$g/2/#",
    "$share/d/$g/3/+", "$share/a/$g/4/#", "$share/f/$g/5/x",
};

static void name_topics(struct traffic *t)
{
    for (uint32_t i = 0; i < PLAIN_TOPICS; i++)
        snprintf(t->topics[TOPIC_PLAIN + i], sizeof(t->topics[0]), "n/%u/%u", i / 4, i % 4);
    for (uint32_t i = 0; i < RETAINED_TOPICS; i++)
        snprintf(t->topics[TOPIC_RETAINED + i], sizeof(t->topics[0]), "r/%u/%u",
                 i / RETAINED_PER_PUBLISHER, i % RETAINED_PER_PUBLISHER);
    for (uint32_t i = 0; i < GROUPS; i++)
        snprintf(t->topics[TOPIC_GROUP + i], sizeof(t->topics[0]), "$g/%u/x", i);
    for (uint32_t i = 0; i < CLIENTS_MAX; i++)
        snprintf(t->topics[TOPIC_WILL + i], sizeof(t->topics[0]), "w/%u", i);
}

void traffic_init(struct traffic *t)
{
    *t = (struct traffic){.count = 1};
    name_topics(t);
    for (uint32_t f = 0; f < FILTERS; f++)
        for (uint32_t i = 0; i < TOPICS; i++)
            if (mqbx_topic_matches(mqbx_bytes_of(filters[f]), mqbx_bytes_of(t->topics[i])))
                t->matches[f][i / 64] |= UINT64_C(1) << (i % 64);
}

void traffic_fini(struct traffic *t)
{
    free(t->messages);
}

const char *traffic_sub_text(uint32_t sub)
{
    return sub_is_group(sub) ? groups[sub - FILTERS] : filters[sub];
}

bool traffic_sub_matches(const struct traffic *t, uint32_t sub, uint32_t topic)
{
    if (sub_is_group(sub))
        return topic == TOPIC_GROUP + (sub - FILTERS);
    return (t->matches[sub][topic / 64] >> (topic % 64)) & 1;
}

uint32_t traffic_find_topic(const struct traffic *t, struct bytes topic)
{
    uint32_t i = 0;
    while (i < TOPICS && !mqbx_bytes_equal(mqbx_bytes_of(t->topics[i]), topic))
        i++;
    return i;
}

struct message *traffic_new(struct traffic *t, const struct message *m)
{
    if (t->count >= t->cap) {
        t->cap = t->cap * 2 + 256;
        t->messages = realloc(t->messages, t->cap * sizeof(*t->messages));
        if (!t->messages)
            abort();
    }
    struct message *fresh = &t->messages[t->count];
    *fresh = *m;
    fresh->id = t->count++;
    return fresh;
}

struct message *traffic_message(const struct traffic *t, uint32_t id)
{
    return id > 0 && id < t->count ? &t->messages[id] : NULL;
}

/* --- payloads --------------------------------------------------------------------------------- */

#define HEAD_BYTES 8u

uint32_t traffic_random_size(struct rng *r, bool may_be_large)
{
    if (!may_be_large || rng_percent(r, 85))
        return rng_between(r, HEAD_BYTES, SMALL_BYTES);
    if (rng_percent(r, 90))
        return rng_between(r, LARGE_BYTES, 3000);
    return rng_between(r, 3000, 30000);
}

static uint8_t filler(uint32_t id, uint32_t at)
{
    return (uint8_t)(id * 31u + at * 7u);
}

void traffic_payload(const struct message *m, uint8_t *out)
{
    uint32_t head[2] = {m->id, m->size};
    memcpy(out, head, HEAD_BYTES);
    for (uint32_t i = HEAD_BYTES; i < m->size; i++)
        out[i] = filler(m->id, i);
}

struct message *traffic_identify(const struct traffic *t, struct bytes payload)
{
    uint32_t head[2];
    if (payload.len < HEAD_BYTES)
        return NULL;
    memcpy(head, payload.ptr, HEAD_BYTES);
    struct message *m = traffic_message(t, head[0]);
    if (!m || m->size != payload.len || head[1] != m->size)
        return NULL;
    for (uint32_t i = HEAD_BYTES; i < m->size; i++)
        if (payload.ptr[i] != filler(m->id, i))
            return NULL;
    return m;
}

void traffic_acked(struct traffic *t, struct message *m, uint64_t step)
{
    if (m->fate != FATE_OPEN)
        return;
    m->fate = FATE_ACKED;
    m->acked_step = step;
    if (topic_is_retained(m->topic) && t->last_acked[m->topic - TOPIC_RETAINED] < m->id)
        t->last_acked[m->topic - TOPIC_RETAINED] = m->id;
}
