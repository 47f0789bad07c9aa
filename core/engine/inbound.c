/* SPDX-License-Identifier: MIT */
/*
 * The set of packet identifiers of QoS 2 publishes that were received and not yet released: a
 * sorted array, empty for nearly every session at nearly every moment.
 */
#include <string.h>

#include "engine/session.h"

/* The place of id, or where it would stand. */
static uint32_t place(const struct inbound *in, uint16_t id)
{
    uint32_t low = 0, high = in->count;
    while (low < high) {
        uint32_t mid = (low + high) / 2;
        if (in->ids[mid] < id)
            low = mid + 1;
        else
            high = mid;
    }
    return low;
}

bool mqbx_inbound_has(const struct inbound *in, uint16_t id)
{
    uint32_t at = place(in, id);
    return at < in->count && in->ids[at] == id;
}

static bool grow(struct engine *e, struct inbound *in)
{
    uint32_t cap = in->cap == 0 ? 4 : in->cap * 2;
    uint16_t *ids = mqbx_realloc(&e->alloc, in->ids, in->cap * sizeof(*ids), cap * sizeof(*ids));
    if (!ids)
        return false;
    in->ids = ids;
    in->cap = cap;
    return true;
}

bool mqbx_inbound_add(struct engine *e, struct inbound *in, uint16_t id)
{
    if (in->count == in->cap && !grow(e, in))
        return false;
    uint32_t at = place(in, id);
    memmove(in->ids + at + 1, in->ids + at, (in->count - at) * sizeof(*in->ids));
    in->ids[at] = id;
    in->count++;
    return true;
}

bool mqbx_inbound_remove(struct engine *e, struct inbound *in, uint16_t id)
{
    uint32_t at = place(in, id);
    if (at >= in->count || in->ids[at] != id)
        return false;
    in->count--;
    memmove(in->ids + at, in->ids + at + 1, (in->count - at) * sizeof(*in->ids));
    if (in->count == 0)
        mqbx_inbound_fini(e, in);
    return true;
}

void mqbx_inbound_fini(struct engine *e, struct inbound *in)
{
    mqbx_free(&e->alloc, in->ids, in->cap * sizeof(*in->ids));
    *in = (struct inbound){.ids = NULL};
}
