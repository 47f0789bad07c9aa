/* SPDX-License-Identifier: MIT */
/*
 * The allocator's few wrappers and the C library behind them. Any thread; holds no state.
 */
#include "base/alloc.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

static void *libc_fn(void *arg, void *ptr, size_t old_size, size_t new_size)
{
    (void)arg;
    (void)old_size;
    if (new_size == 0) {
        free(ptr);
        return NULL;
    }
    return realloc(ptr, new_size);
}

const struct alloc mqbx_alloc_libc = {.fn = libc_fn, .arg = NULL};

void *mqbx_alloc(const struct alloc *a, size_t size)
{
    assert(size > 0);
    return a->fn(a->arg, NULL, 0, size);
}

void *mqbx_zalloc(const struct alloc *a, size_t size)
{
    void *ptr = mqbx_alloc(a, size);
    if (ptr)
        memset(ptr, 0, size);
    return ptr;
}

void *mqbx_realloc(const struct alloc *a, void *ptr, size_t old_size, size_t new_size)
{
    assert(new_size > 0 && (ptr || old_size == 0));
    return a->fn(a->arg, ptr, old_size, new_size);
}

void mqbx_free(const struct alloc *a, void *ptr, size_t size)
{
    if (ptr)
        a->fn(a->arg, ptr, size, 0);
}

char *mqbx_strndup(const struct alloc *a, const char *text, size_t len)
{
    char *copy = mqbx_alloc(a, len + 1);
    if (!copy)
        return NULL;
    if (len > 0)
        memcpy(copy, text, len);
    copy[len] = '\0';
    return copy;
}
