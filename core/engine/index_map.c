/* SPDX-License-Identifier: MIT */
/*
 * The map's changes; index_map.h has its reading. One owner thread.
 */
#include "engine/index_map.h"

#include <assert.h>
#include <string.h>

#define FIRST_SLOTS 16u

static size_t slots_size(uint64_t slots)
{
    return (size_t)slots * sizeof(struct id_slot);
}

void mqbx_id_map_fini(struct id_map *m, struct index_memory *mem)
{
    mqbx_index_release(mem, m->slots, slots_size((uint64_t)m->mask + 1));
    *m = (struct id_map){0};
}

void mqbx_id_map_clear(struct id_map *m)
{
    if (m->slots)
        memset(m->slots, 0, slots_size((uint64_t)m->mask + 1));
    m->count = 0;
}

/* Into the first free slot behind its place. */
static void place(struct id_map *m, struct id_slot slot)
{
    uint32_t i = slot.hash & m->mask;
    while (m->slots[i].id != 0)
        i = (i + 1) & m->mask;
    m->slots[i] = slot;
}

static bool resize(struct id_map *m, struct index_memory *mem, uint32_t slots)
{
    struct id_map fresh = {.mask = slots - 1, .count = m->count};
    fresh.slots = mqbx_index_alloc(mem, slots_size(slots));
    if (!fresh.slots)
        return false;
    memset(fresh.slots, 0, slots_size(slots));
    for (uint64_t i = 0; m->slots && i <= m->mask; i++) {
        if (m->slots[i].id != 0)
            place(&fresh, m->slots[i]);
    }
    mqbx_id_map_fini(m, mem);
    *m = fresh;
    return true;
}

/* Three quarters full is full. */
static bool fits(uint32_t slots, uint32_t count)
{
    return count <= slots - slots / 4;
}

bool mqbx_id_map_reserve(struct id_map *m, struct index_memory *mem, uint32_t count)
{
    uint32_t slots = m->slots ? m->mask + 1 : 0;
    if (slots && fits(slots, count))
        return true;
    for (slots = slots ? slots : FIRST_SLOTS; !fits(slots, count); slots *= 2) {
        if (slots > UINT32_MAX / 4)
            return false;
    }
    return resize(m, mem, slots);
}

bool mqbx_id_map_insert(struct id_map *m, struct index_memory *mem, uint32_t hash, uint32_t id)
{
    assert(id != 0);
    if (!mqbx_id_map_reserve(m, mem, m->count + 1))
        return false;
    place(m, (struct id_slot){.hash = hash, .id = id});
    m->count++;
    return true;
}

/* Closes the gap at i: moves up what would no longer be reached across it. */
static void close_gap(struct id_map *m, uint32_t gap)
{
    for (uint32_t i = (gap + 1) & m->mask; m->slots[i].id != 0; i = (i + 1) & m->mask) {
        uint32_t away = (i - m->slots[i].hash) & m->mask; /* from its own place */
        if (away < ((i - gap) & m->mask))
            continue;
        m->slots[gap] = m->slots[i];
        gap = i;
    }
    m->slots[gap].id = 0;
}

void mqbx_id_map_remove(struct id_map *m, uint32_t hash, uint32_t id)
{
    uint32_t i = hash & m->mask;
    while (m->slots[i].id != id) {
        assert(m->slots[i].id != 0);
        i = (i + 1) & m->mask;
    }
    close_gap(m, i);
    m->count--;
}

void mqbx_id_map_trim(struct id_map *m, struct index_memory *mem)
{
    if (m->count == 0)
        mqbx_id_map_fini(m, mem);
    else if (m->mask >= FIRST_SLOTS && m->count < m->mask / 8)
        resize(m, mem, (m->mask + 1) / 4);
}
