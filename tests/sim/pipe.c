/* SPDX-License-Identifier: MIT */
/*
 * Byte queues of the simulated network.
 */
#include "pipe.h"

#include <stdlib.h>
#include <string.h>

void pipe_fini(struct pipe *p)
{
    free(p->ptr);
    *p = (struct pipe){.ptr = NULL};
}

static void make_room(struct pipe *p, size_t len)
{
    if (p->start > 0 && p->len > 0)
        memmove(p->ptr, p->ptr + p->start, p->len);
    p->start = 0;
    if (p->len + len <= p->cap)
        return;
    p->cap = (p->len + len) * 2;
    p->ptr = realloc(p->ptr, p->cap);
    if (!p->ptr)
        abort();
}

void pipe_write(struct pipe *p, const void *bytes, size_t len)
{
    if (p->start + p->len + len > p->cap)
        make_room(p, len);
    if (len > 0)
        memcpy(p->ptr + p->start + p->len, bytes, len);
    p->len += len;
}

size_t pipe_read(struct pipe *p, void *out, size_t len)
{
    size_t n = len < p->visible ? len : p->visible;
    if (out && n > 0)
        memcpy(out, p->ptr + p->start, n);
    p->start += n;
    p->len -= n;
    p->visible -= n;
    if (p->len == 0)
        p->start = 0;
    return n;
}

void pipe_carry(struct pipe *p, size_t len)
{
    size_t hidden = p->len - p->visible;
    p->visible += len < hidden ? len : hidden;
}

void pipe_truncate(struct pipe *p, size_t len)
{
    if (len < p->len)
        p->len = len;
    if (p->visible > p->len)
        p->visible = p->len;
}
