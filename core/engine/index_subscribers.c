/* SPDX-License-Identifier: MIT */
/*
 * Sets of subscribers, and the sort a match needs. One owner thread.
 */
#include "engine/index_subscribers.h"

#include <assert.h>
#include <stddef.h>
#include <string.h>

#include "base/hash.h"
#include "engine/index_map.h"

#define SCANNED 32u /* up to so many places an owner is looked for by walking */

struct subscriber_list {
    uint32_t used; /* places taken, holes (owner NULL) included */
    uint32_t cap;
    uint32_t sorted;      /* so many from the front are in order */
    struct id_map places; /* of owners: place + 1; only beyond SCANNED */
    struct subscriber items[];
};

/* --- sorting --------------------------------------------------------------------------------- */

static uint32_t key_of(const struct subscriber *s)
{
    return (uint32_t)s->is_group << 31 | s->order;
}

static uint32_t run_end(const struct subscriber *items, uint32_t from, uint32_t count)
{
    uint32_t i = from + 1;
    while (i < count && key_of(&items[i - 1]) <= key_of(&items[i]))
        i++;
    return i;
}

static void merge(const struct subscriber *a, const struct subscriber *a_end,
                  const struct subscriber *b, const struct subscriber *b_end,
                  struct subscriber *out)
{
    while (a < a_end && b < b_end)
        *out++ = key_of(b) < key_of(a) ? *b++ : *a++;
    size_t left = (size_t)(a_end - a);
    memcpy(out, a, left * sizeof(*out));
    memcpy(out + left, b, (size_t)(b_end - b) * sizeof(*out));
}

/* One pass: joins neighbouring runs in pairs; answers how many runs are left. */
static uint32_t merge_pairs(const struct subscriber *from, uint32_t count, struct subscriber *to)
{
    uint32_t runs = 0;
    for (uint32_t i = 0; i < count; runs++) {
        uint32_t middle = run_end(from, i, count);
        uint32_t end = middle < count ? run_end(from, middle, count) : count;
        merge(from + i, from + middle, from + middle, from + end, to + i);
        i = end;
    }
    return runs;
}

static void merge_runs(struct subscriber *items, uint32_t count, struct subscriber *spare)
{
    struct subscriber *from = items;
    struct subscriber *to = spare;
    uint32_t runs;
    do {
        runs = merge_pairs(from, count, to);
        struct subscriber *swap = from;
        from = to;
        to = swap;
    } while (runs > 1);
    if (from != items)
        memcpy(items, from, count * sizeof(*items));
}

bool mqbx_subscribers_sort(struct subscriber *items, uint32_t count, struct index_memory *mem)
{
    struct subscriber on_stack[32];
    if (count == 0 || run_end(items, 0, count) == count)
        return true;
    if (count <= sizeof(on_stack) / sizeof(on_stack[0])) {
        merge_runs(items, count, on_stack);
        return true;
    }
    size_t size = count * sizeof(*items);
    struct subscriber *spare = mqbx_index_alloc(mem, size);
    if (!spare)
        return false;
    merge_runs(items, count, spare);
    mqbx_index_release(mem, spare, size);
    return true;
}

/* --- the list -------------------------------------------------------------------------------- */

static size_t list_size(uint32_t cap)
{
    return sizeof(struct subscriber_list) + cap * sizeof(struct subscriber);
}

static void list_free(struct subscriber_list *l, struct index_memory *mem)
{
    mqbx_id_map_fini(&l->places, mem);
    mqbx_index_release(mem, l, list_size(l->cap));
}

/* The address decides where in the map a place stands, never an order. */
static uint32_t owner_hash(const void *owner)
{
    return (uint32_t)mqbx_hash_mix((uint64_t)(uintptr_t)owner);
}

static bool is_mapped(const struct subscriber_list *l)
{
    return l->cap > SCANNED;
}

static bool map_places(struct subscriber_list *l, struct index_memory *mem)
{
    if (!is_mapped(l))
        return true;
    if (!mqbx_id_map_reserve(&l->places, mem, l->cap))
        return false;
    mqbx_id_map_clear(&l->places);
    for (uint32_t i = 0; i < l->used; i++)
        mqbx_id_map_insert(&l->places, mem, owner_hash(l->items[i].owner), i + 1);
    return true;
}

static uint32_t copy_live(struct subscriber *to, const struct subscriber *from, uint32_t count)
{
    uint32_t n = 0;
    for (uint32_t i = 0; i < count; i++) {
        if (from[i].owner)
            to[n++] = from[i];
    }
    return n;
}

static void append(struct subscriber_list *l, const struct subscriber *s)
{
    bool in_order = l->used == 0 || key_of(&l->items[l->used - 1]) <= key_of(s);
    if (l->sorted == l->used && in_order)
        l->sorted++;
    l->items[l->used++] = *s;
}

/* A list of these items (holes left out), or NULL: out of memory. */
static struct subscriber_list *list_new(struct index_memory *mem, uint32_t cap,
                                        const struct subscriber *items, uint32_t count)
{
    struct subscriber_list *l = mqbx_index_alloc(mem, list_size(cap));
    if (!l)
        return NULL;
    *l = (struct subscriber_list){.cap = cap};
    for (uint32_t i = 0; i < count; i++) {
        if (items[i].owner)
            append(l, &items[i]);
    }
    if (map_places(l, mem))
        return l;
    list_free(l, mem);
    return NULL;
}

static bool resize(struct subscribers *set, struct index_memory *mem, uint32_t cap)
{
    struct subscriber_list *old = set->u.list;
    struct subscriber_list *fresh = list_new(mem, cap, old->items, old->used);
    if (!fresh)
        return false;
    list_free(old, mem);
    set->u.list = fresh;
    return true;
}

static struct subscriber *find_in_list(struct subscriber_list *l, const void *owner)
{
    if (!is_mapped(l)) {
        for (uint32_t i = 0; i < l->used; i++) {
            if (l->items[i].owner == owner)
                return &l->items[i];
        }
        return NULL;
    }
    uint32_t hash = owner_hash(owner);
    uint32_t probe = hash;
    for (uint32_t id; (id = mqbx_id_map_next(&l->places, hash, &probe)) != 0;) {
        if (l->items[id - 1].owner == owner)
            return &l->items[id - 1];
    }
    return NULL;
}

static bool add_to_list(struct subscribers *set, struct index_memory *mem,
                        const struct subscriber *s)
{
    struct subscriber_list *l = set->u.list;
    if (l->used == l->cap) {
        /* With many holes the same size will do. */
        uint32_t cap = set->count < l->cap - l->cap / 4 ? l->cap : l->cap + l->cap / 2 + 1;
        if (!resize(set, mem, cap))
            return false;
        l = set->u.list;
    }
    /* The map has room for cap. */
    if (is_mapped(l) && !mqbx_id_map_insert(&l->places, mem, owner_hash(s->owner), l->used + 1))
        return false;
    append(l, s);
    return true;
}

static void become_one(struct subscribers *set, struct index_memory *mem)
{
    struct subscriber_list *l = set->u.list;
    struct subscriber one;
    uint32_t left = copy_live(&one, l->items, l->used);
    assert(left == 1);
    (void)left;
    list_free(l, mem);
    set->u.one = one;
}

static bool remove_from_list(struct subscribers *set, struct index_memory *mem, const void *owner)
{
    struct subscriber_list *l = set->u.list;
    struct subscriber *s = find_in_list(l, owner);
    if (!s)
        return false;
    uint32_t place = (uint32_t)(s - l->items);
    if (is_mapped(l))
        mqbx_id_map_remove(&l->places, owner_hash(owner), place + 1);
    s->owner = NULL; /* its order stays, so the rest is as sorted as before */
    s->sub = NULL;
    while (l->used > 0 && !l->items[l->used - 1].owner)
        l->used--;
    if (l->sorted > l->used)
        l->sorted = l->used;
    set->count--;
    if (set->count == 1)
        become_one(set, mem);
    else if (set->count < l->cap / 4)
        resize(set, mem, l->cap / 2); /* when there is no memory it stays as it is */
    return true;
}

/* --- the set --------------------------------------------------------------------------------- */

void mqbx_subscribers_fini(struct subscribers *set, struct index_memory *mem)
{
    if (set->count > 1)
        list_free(set->u.list, mem);
    *set = (struct subscribers){0};
}

bool mqbx_subscribers_add(struct subscribers *set, struct index_memory *mem,
                          const struct subscriber *s)
{
    assert(s->owner);
    if (set->count == 0) {
        set->u.one = *s;
    } else if (set->count == 1) {
        struct subscriber both[2] = {set->u.one, *s};
        struct subscriber_list *l = list_new(mem, 2, both, 2);
        if (!l)
            return false;
        set->u.list = l;
    } else if (!add_to_list(set, mem, s)) {
        return false;
    }
    set->count++;
    return true;
}

struct subscriber *mqbx_subscribers_find(struct subscribers *set, const void *owner)
{
    if (set->count > 1)
        return find_in_list(set->u.list, owner);
    return set->count == 1 && set->u.one.owner == owner ? &set->u.one : NULL;
}

bool mqbx_subscribers_remove(struct subscribers *set, struct index_memory *mem, const void *owner)
{
    if (set->count > 1)
        return remove_from_list(set, mem, owner);
    if (set->count == 0 || set->u.one.owner != owner)
        return false;
    *set = (struct subscribers){0};
    return true;
}

struct subscriber *mqbx_subscribers_sorted(struct subscribers *set, struct index_memory *mem)
{
    if (set->count == 1)
        return &set->u.one;
    struct subscriber_list *l = set->u.list;
    if (l->used == set->count && l->sorted == l->used)
        return l->items;
    if (!mqbx_subscribers_sort(l->items, l->used, mem))
        return NULL;
    l->used = copy_live(l->items, l->items, l->used);
    l->sorted = l->used;
    map_places(l, mem); /* it has room already */
    return l->items;
}
