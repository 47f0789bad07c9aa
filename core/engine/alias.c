/* SPDX-License-Identifier: MIT */
/*
 * Topic aliases of one connection, both ways; they end with it. [MQTT-3.3.2-7]
 * Inbound: what the client said an alias stands for. Outbound: the topics used last; the one unused
 * for longest makes way.
 */
#include <string.h>

#include "engine/delivery.h"

struct topic_text {
    char *ptr;
    uint32_t len;
    uint32_t used; /* outbound: when, in sends of this connection */
};

struct alias_in {
    uint16_t cap;
    struct topic_text topics[]; /* by alias - 1 */
};

struct alias_out {
    uint16_t count;
    uint32_t clock;
    struct topic_text topics[];
};

static void text_free(struct engine *e, struct topic_text *t)
{
    mqbx_free(&e->alloc, t->ptr, t->len + 1u);
    t->ptr = NULL;
}

static bool text_set(struct engine *e, struct topic_text *t, struct bytes topic)
{
    char *copy = mqbx_strndup(&e->alloc, (const char *)topic.ptr, topic.len);
    if (!copy)
        return false;
    text_free(e, t);
    t->ptr = copy;
    t->len = topic.len;
    return true;
}

struct bytes mqbx_alias_in_get(const struct conn *c, uint16_t alias)
{
    if (!c->alias_in || alias > c->alias_in->cap || !c->alias_in->topics[alias - 1].ptr)
        return (struct bytes){.ptr = NULL};
    const struct topic_text *t = &c->alias_in->topics[alias - 1];
    return mqbx_bytes(t->ptr, t->len);
}

bool mqbx_alias_in_set(struct engine *e, struct conn *c, uint16_t alias, struct bytes topic)
{
    if (!c->alias_in) {
        uint16_t cap = e->settings->topic_alias_max_in;
        size_t size = sizeof(*c->alias_in) + cap * sizeof(struct topic_text);
        c->alias_in = mqbx_zalloc(&e->alloc, size);
        if (!c->alias_in)
            return false;
        c->alias_in->cap = cap;
    }
    return alias <= c->alias_in->cap && text_set(e, &c->alias_in->topics[alias - 1], topic);
}

static struct alias_out *out_open(struct engine *e, struct conn *c)
{
    if (!c->alias_out)
        c->alias_out = mqbx_zalloc(&e->alloc, sizeof(*c->alias_out) +
                                                  c->alias_max_out * sizeof(struct topic_text));
    return c->alias_out;
}

uint16_t mqbx_alias_out_find(struct engine *e, struct conn *c, struct bytes topic, bool *is_known)
{
    *is_known = false;
    if (c->alias_max_out == 0)
        return 0;
    struct alias_out *out = out_open(e, c);
    if (!out)
        return 0;
    uint16_t oldest = 0;
    for (uint16_t i = 0; i < out->count; i++) {
        struct topic_text *t = &out->topics[i];
        if (t->len == topic.len && memcmp(t->ptr, topic.ptr, topic.len) == 0) {
            t->used = ++out->clock;
            *is_known = true;
            return (uint16_t)(i + 1);
        }
        if (t->used < out->topics[oldest].used)
            oldest = i;
    }
    return (uint16_t)((out->count < c->alias_max_out ? out->count : oldest) + 1);
}

/* Out of memory here only means that the receiver learned an alias we shall not use before setting
 * it again. */
void mqbx_alias_out_commit(struct engine *e, struct conn *c, uint16_t alias, struct bytes topic)
{
    struct alias_out *out = c->alias_out;
    struct topic_text *t = &out->topics[alias - 1];
    if (!text_set(e, t, topic)) {
        text_free(e, t);
        t->len = 0; /* matches no topic */
        return;
    }
    t->used = ++out->clock;
    if (alias > out->count)
        out->count = alias;
}

static void texts_fini(struct engine *e, struct topic_text *t, uint16_t count)
{
    for (uint16_t i = 0; i < count; i++)
        if (t[i].ptr)
            text_free(e, &t[i]);
}

void mqbx_alias_fini(struct engine *e, struct conn *c)
{
    if (c->alias_in) {
        uint16_t cap = c->alias_in->cap;
        texts_fini(e, c->alias_in->topics, cap);
        mqbx_free(&e->alloc, c->alias_in, sizeof(*c->alias_in) + cap * sizeof(struct topic_text));
    }
    if (c->alias_out) {
        texts_fini(e, c->alias_out->topics, c->alias_out->count);
        mqbx_free(&e->alloc, c->alias_out,
                  sizeof(*c->alias_out) + c->alias_max_out * sizeof(struct topic_text));
    }
    c->alias_in = NULL;
    c->alias_out = NULL;
}
