/* SPDX-License-Identifier: MIT */
/*
 * The walk. One owner thread.
 */
#include "engine/index_walk.h"

#include "mqtt/topic.h"

/* A node that may stand on the topic's path. A literal one was found by 32 bits of its key; whether
 * it is the right one is looked at when the walk gets there and its memory has arrived. */
struct branch {
    uint32_t id;
    uint32_t parent; /* 0: no doubt about it */
    uint32_t tag;    /* of its literal child on the next level */
};

/* The levels of the topic, hashed one ahead. */
struct levels {
    struct hash_key key;
    struct bytes topic;
    uint32_t pos;
    bool has_next;
    uint64_t before, now, next;
};

static void advance(struct levels *l)
{
    struct bytes level;
    l->before = l->now;
    l->now = l->next;
    l->has_next = mqbx_topic_level(l->topic, &l->pos, &level);
    l->next = l->has_next ? mqbx_level_hash(l->key, level) : 0;
}

void mqbx_index_walk_fini(struct index_walk *w, struct index_memory *mem)
{
    mqbx_index_release(mem, w->now.ptr, w->now.cap * sizeof(*w->now.ptr));
    mqbx_index_release(mem, w->next.ptr, w->next.cap * sizeof(*w->next.ptr));
    mqbx_index_release(mem, w->matched, w->matched_cap * sizeof(*w->matched));
    *w = (struct index_walk){0};
}

static bool reserve_branches(struct branches *b, struct index_memory *mem, uint32_t count)
{
    if (count <= b->cap)
        return true;
    size_t size = sizeof(*b->ptr);
    struct branch *ptr = mqbx_index_realloc(mem, b->ptr, b->cap * size, 2 * count * size);
    if (!ptr)
        return false;
    b->ptr = ptr;
    b->cap = 2 * count;
    return true;
}

static bool reserve_matched(struct index_walk *w, struct index_memory *mem, uint32_t more)
{
    uint32_t count = w->matched_count + more;
    if (count <= w->matched_cap)
        return true;
    size_t size = sizeof(*w->matched);
    uint32_t *ptr = mqbx_index_realloc(mem, w->matched, w->matched_cap * size, 2 * count * size);
    if (!ptr)
        return false;
    w->matched = ptr;
    w->matched_cap = 2 * count;
    return true;
}

static void push(struct index_walk *w, const struct tree *t, const struct levels *l, uint32_t id,
                 uint32_t parent)
{
    struct branch *b = &w->next.ptr[w->next.count++];
    *b = (struct branch){.id = id, .parent = parent};
    __builtin_prefetch(mqbx_tree_node(t, id));
    if (!l->has_next)
        return;
    b->tag = mqbx_tree_tag(id, l->next);
    mqbx_id_map_prefetch(&t->literals, b->tag);
}

/* The node of a branch, now for sure; 0: the topic does not get here. */
static uint32_t confirm(const struct tree *t, const struct levels *l, struct branch *b)
{
    const struct tree_node *n = mqbx_tree_node(t, b->id);
    if (b->parent == 0 || (n->parent == b->parent && n->level_hash == l->before))
        return b->id;
    b->id = mqbx_tree_literal(t, b->parent, l->before);
    b->tag = mqbx_tree_tag(b->id, l->now);
    return b->id;
}

/* From one node by the present level. The `#` slot takes it and all that follow. */
static void step_from(struct index_walk *w, const struct tree *t, const struct levels *l,
                      struct branch b, bool no_wildcards)
{
    if (!confirm(t, l, &b))
        return;
    const struct tree_node *n = mqbx_tree_node(t, b.id);
    if (n->hash && !no_wildcards)
        w->matched[w->matched_count++] = n->hash;
    if (n->plus && !no_wildcards)
        push(w, t, l, n->plus, 0);
    if (!n->literals)
        return;
    uint32_t probe = b.tag;
    uint32_t literal = mqbx_id_map_next(&t->literals, b.tag, &probe);
    if (literal)
        push(w, t, l, literal, b.id);
}

static bool step(struct index_walk *w, struct index_memory *mem, const struct tree *t,
                 const struct levels *l, bool no_wildcards)
{
    w->next.count = 0;
    if (!reserve_branches(&w->next, mem, 2 * w->now.count) ||
        !reserve_matched(w, mem, w->now.count))
        return false;
    for (uint32_t i = 0; i < w->now.count; i++)
        step_from(w, t, l, w->now.ptr[i], no_wildcards);
    struct branches swap = w->now;
    w->now = w->next;
    w->next = swap;
    return true;
}

/* The topic ends here: `a/#` takes `a` as well. */
static bool finish(struct index_walk *w, struct index_memory *mem, const struct tree *t,
                   const struct levels *l)
{
    if (!reserve_matched(w, mem, 2 * w->now.count))
        return false;
    for (uint32_t i = 0; i < w->now.count; i++) {
        uint32_t id = confirm(t, l, &w->now.ptr[i]);
        if (!id)
            continue;
        const struct tree_node *n = mqbx_tree_node(t, id);
        if (n->hash)
            w->matched[w->matched_count++] = n->hash;
        if (n->subscribers.count)
            w->matched[w->matched_count++] = id;
    }
    return true;
}

bool mqbx_index_walk(struct index_walk *w, struct index_memory *mem, const struct tree *t,
                     uint32_t root, struct hash_key key, struct bytes topic)
{
    w->matched_count = 0;
    w->now.count = 0;
    struct levels l = {.key = key, .topic = topic};
    advance(&l);
    w->first_level = l.next;
    if (!root)
        return true;
    advance(&l);
    if (!reserve_branches(&w->now, mem, 1))
        return false;
    w->now.ptr[w->now.count++] = (struct branch){.id = root, .tag = mqbx_tree_tag(root, l.now)};
    bool is_dollar = topic.len > 0 && topic.ptr[0] == '$';
    if (!step(w, mem, t, &l, is_dollar)) /* [MQTT-4.7.2-1] */
        return false;
    while (l.has_next && w->now.count > 0) {
        advance(&l);
        if (!step(w, mem, t, &l, false))
            return false;
    }
    advance(&l);
    return finish(w, mem, t, &l);
}
