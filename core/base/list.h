/* SPDX-License-Identifier: MIT */
/*
 * Intrusive doubly linked ring. A node not in a list points to itself (after mqbx_list_init) and
 * may be removed again without harm. One owner thread.
 */
#ifndef MQBX_BASE_LIST_H
#define MQBX_BASE_LIST_H

#include <stdbool.h>
#include <stddef.h>

struct list {
    struct list *next, *prev;
};

#define mqbx_container(ptr, type, member) ((type *)((char *)(ptr)-offsetof(type, member)))

static inline void mqbx_list_init(struct list *l)
{
    l->next = l->prev = l;
}

static inline bool mqbx_list_empty(const struct list *l)
{
    return l->next == l;
}

static inline void mqbx_list_push_back(struct list *l, struct list *node)
{
    node->prev = l->prev;
    node->next = l;
    l->prev->next = node;
    l->prev = node;
}

static inline void mqbx_list_push_front(struct list *l, struct list *node)
{
    mqbx_list_push_back(l->next, node);
}

static inline void mqbx_list_remove(struct list *node)
{
    node->prev->next = node->next;
    node->next->prev = node->prev;
    mqbx_list_init(node);
}

/* Takes the first node out, NULL when empty. */
static inline struct list *mqbx_list_pop(struct list *l)
{
    struct list *node = l->next;
    if (node == l)
        return NULL;
    mqbx_list_remove(node);
    return node;
}

/* Moves all nodes of `from` to the end of `to`; `from` is empty afterwards. */
static inline void mqbx_list_splice(struct list *to, struct list *from)
{
    if (mqbx_list_empty(from))
        return;
    from->next->prev = to->prev;
    to->prev->next = from->next;
    from->prev->next = to;
    to->prev = from->prev;
    mqbx_list_init(from);
}

#endif
