/* SPDX-License-Identifier: MIT */
/*
 * The hash table. One owner thread.
 */
#include "base/table.h"

#include <assert.h>

#define TABLE_FIRST 8u /* slots */

void mqbx_table_init(struct table *t, const struct alloc *a)
{
    *t = (struct table){.alloc = a};
}

static size_t capacity(const struct table *t)
{
    return t->slots ? t->mask + 1 : 0;
}

void mqbx_table_fini(struct table *t)
{
    mqbx_free(t->alloc, t->slots, capacity(t) * sizeof(struct table_slot));
    mqbx_table_init(t, t->alloc);
}

static size_t free_slot(const struct table *t, size_t from)
{
    size_t i = from & t->mask;
    while (t->slots[i].value)
        i = (i + 1) & t->mask;
    return i;
}

static bool resize(struct table *t, size_t cap)
{
    if (cap > SIZE_MAX / sizeof(struct table_slot))
        return false;
    struct table_slot *slots = mqbx_zalloc(t->alloc, cap * sizeof(*slots));
    if (!slots)
        return false;
    struct table fresh = {.alloc = t->alloc, .slots = slots, .mask = cap - 1, .count = t->count};
    for (size_t i = 0; i < capacity(t); i++) {
        if (t->slots[i].value)
            slots[free_slot(&fresh, (size_t)t->slots[i].hash)] = t->slots[i];
    }
    fresh.gap = free_slot(&fresh, 0);
    mqbx_free(t->alloc, t->slots, capacity(t) * sizeof(*slots));
    *t = fresh;
    return true;
}

/* When less than an eighth is used: to about the half of what remains. */
static void shrink_if_sparse(struct table *t)
{
    size_t cap = capacity(t);
    if (cap <= TABLE_FIRST || t->count >= cap / 8)
        return;
    while (cap > TABLE_FIRST && t->count < cap / 4)
        cap /= 2;
    (void)resize(t, cap); /* if there is no memory for it, it stays large */
}

void *mqbx_table_find(const struct table *t, uint64_t hash, table_equal_fn equal, const void *key)
{
    if (t->count == 0)
        return NULL;
    for (size_t i = (size_t)hash & t->mask; t->slots[i].value; i = (i + 1) & t->mask) {
        if (t->slots[i].hash == hash && equal(t->slots[i].value, key))
            return t->slots[i].value;
    }
    return NULL;
}

bool mqbx_table_insert(struct table *t, uint64_t hash, void *value)
{
    assert(value);
    size_t cap = capacity(t);
    if (t->count + 1 > cap - cap / 4 && !resize(t, cap > 0 ? cap * 2 : TABLE_FIRST))
        return false;
    size_t i = free_slot(t, (size_t)hash);
    t->slots[i] = (struct table_slot){.hash = hash, .value = value};
    t->count++;
    if (i == t->gap)
        t->gap = free_slot(t, i);
    return true;
}

/* Frees slot `hole` and moves back what follows, as far as each entry's own place allows, so that
 * every run of entries stays without holes from its first entry's place on. */
static void remove_slot(struct table *t, size_t hole)
{
    for (size_t i = (hole + 1) & t->mask; t->slots[i].value; i = (i + 1) & t->mask) {
        size_t distance = (i - (size_t)t->slots[i].hash) & t->mask;
        if (distance >= ((i - hole) & t->mask)) {
            t->slots[hole] = t->slots[i];
            hole = i;
        }
    }
    t->slots[hole] = (struct table_slot){0};
    t->count--;
}

bool mqbx_table_remove(struct table *t, uint64_t hash, const void *value)
{
    if (t->count == 0)
        return false;
    size_t i = (size_t)hash & t->mask;
    while (t->slots[i].value && t->slots[i].value != value)
        i = (i + 1) & t->mask;
    if (!t->slots[i].value)
        return false;
    remove_slot(t, i);
    shrink_if_sparse(t);
    return true;
}

/* *pos is the distance from the gap of the slot last returned. */
void *mqbx_table_next(const struct table *t, size_t *pos)
{
    if (t->count == 0)
        return NULL;
    for (size_t k = *pos + 1; k <= t->mask; k++) {
        void *value = t->slots[(t->gap + k) & t->mask].value;
        if (value) {
            *pos = k;
            return value;
        }
    }
    *pos = t->mask;
    return NULL;
}

/* Entries move back only towards the gap and not past it: what moves into this slot was not
 * visited. */
void mqbx_table_remove_at(struct table *t, size_t *pos)
{
    size_t i = (t->gap + *pos) & t->mask;
    assert(*pos > 0 && t->slots[i].value);
    remove_slot(t, i);
    --*pos;
    if (t->count == 0)
        mqbx_table_fini(t);
}
