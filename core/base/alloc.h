/* SPDX-License-Identifier: MIT */
/*
 * The allocator every part of the library goes through: one realloc-style function, with sizes on
 * the way back, so that a host can bring its own and a test can make the n-th allocation fail. An
 * allocator is used from every thread of its broker at once.
 */
#ifndef MQBX_BASE_ALLOC_H
#define MQBX_BASE_ALLOC_H

#include <stddef.h>

struct alloc {
    void *(*fn)(void *arg, void *ptr, size_t old_size, size_t new_size);
    void *arg;
};

/* malloc, realloc and free of the C library; lives as long as the process. */
extern const struct alloc mqbx_alloc_libc;

/* All answer NULL when memory is out; a size of 0 is never asked for. */
void *mqbx_alloc(const struct alloc *a, size_t size);
void *mqbx_zalloc(const struct alloc *a, size_t size);
void *mqbx_realloc(const struct alloc *a, void *ptr, size_t old_size, size_t new_size);
void mqbx_free(const struct alloc *a, void *ptr, size_t size);           /* NULL is fine */
char *mqbx_strndup(const struct alloc *a, const char *text, size_t len); /* size is len + 1 */

#endif
