/* SPDX-License-Identifier: MIT */
/*
 * The growable run of bytes. One owner thread.
 */
#include "base/buffer.h"

#include <assert.h>
#include <string.h>

void mqbx_buffer_fini(struct buffer *b, const struct alloc *a)
{
    mqbx_free(a, b->ptr, b->cap);
    *b = (struct buffer){0};
}

bool mqbx_buffer_reserve(struct buffer *b, const struct alloc *a, size_t more)
{
    if (more <= b->cap - b->len)
        return true;
    if (more > UINT32_MAX - b->len)
        return false;
    uint32_t cap = b->len + (uint32_t)more;
    uint32_t doubled = b->cap <= UINT32_MAX / 2 ? b->cap * 2 : UINT32_MAX;
    if (b->len > 0 && cap < doubled)
        cap = doubled;
    uint8_t *ptr = mqbx_realloc(a, b->ptr, b->cap, cap);
    if (!ptr)
        return false;
    b->ptr = ptr;
    b->cap = cap;
    return true;
}

bool mqbx_buffer_append(struct buffer *b, const struct alloc *a, const void *ptr, size_t len)
{
    if (len == 0)
        return true;
    if (!mqbx_buffer_reserve(b, a, len))
        return false;
    memcpy(b->ptr + b->len, ptr, len);
    b->len += (uint32_t)len;
    return true;
}

void mqbx_buffer_consume(struct buffer *b, const struct alloc *a, size_t n)
{
    assert(n <= b->len);
    if (n == b->len) {
        mqbx_buffer_fini(b, a);
        return;
    }
    b->len -= (uint32_t)n;
    memmove(b->ptr, b->ptr + n, b->len);
}
