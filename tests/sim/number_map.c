/* SPDX-License-Identifier: MIT */
/*
 * Open addressing, never removed from.
 */
#include "number_map.h"

#include <stdlib.h>

static uint32_t place(const struct number_map *m, uint64_t key)
{
    uint64_t hash = key * UINT64_C(0x9e3779b97f4a7c15);
    uint32_t i = (uint32_t)(hash >> 32) & (m->cap - 1);
    while (m->keys[i] != 0 && m->keys[i] != key)
        i = (i + 1) & (m->cap - 1);
    return i;
}

static void grow(struct number_map *m)
{
    struct number_map old = *m;
    m->cap = old.cap == 0 ? 64 : old.cap * 2;
    m->keys = calloc(m->cap, sizeof(*m->keys));
    m->values = calloc(m->cap, sizeof(*m->values));
    if (!m->keys || !m->values)
        abort();
    for (uint32_t i = 0; i < old.cap; i++) {
        if (old.keys[i] == 0)
            continue;
        uint32_t at = place(m, old.keys[i]);
        m->keys[at] = old.keys[i];
        m->values[at] = old.values[i];
    }
    free(old.keys);
    free(old.values);
}

uint32_t *number_map_at(struct number_map *m, uint64_t key)
{
    if ((m->count + 1) * 2 > m->cap)
        grow(m);
    uint32_t at = place(m, key);
    if (m->keys[at] == 0) {
        m->keys[at] = key;
        m->count++;
    }
    return &m->values[at];
}

void number_map_fini(struct number_map *m)
{
    free(m->keys);
    free(m->values);
    *m = (struct number_map){.keys = NULL};
}
