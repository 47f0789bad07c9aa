/* SPDX-License-Identifier: MIT */
/*
 * The index's allocator and how much it has taken; one for all parts of an index, one owner thread.
 */
#ifndef MQBX_ENGINE_INDEX_MEMORY_H
#define MQBX_ENGINE_INDEX_MEMORY_H

#include <stddef.h>
#include <stdint.h>

#include "base/alloc.h"

struct index_memory {
    const struct alloc *alloc;
    uint64_t bytes;
};

static inline void *mqbx_index_alloc(struct index_memory *mem, size_t size)
{
    void *ptr = mqbx_alloc(mem->alloc, size);
    if (ptr)
        mem->bytes += size;
    return ptr;
}

static inline void mqbx_index_release(struct index_memory *mem, void *ptr, size_t size)
{
    if (!ptr)
        return;
    mem->bytes -= size;
    mqbx_free(mem->alloc, ptr, size);
}

static inline void *mqbx_index_realloc(struct index_memory *mem, void *ptr, size_t old_size,
                                       size_t new_size)
{
    void *fresh = mqbx_realloc(mem->alloc, ptr, old_size, new_size);
    if (fresh)
        mem->bytes += new_size - old_size;
    return fresh;
}

#endif
