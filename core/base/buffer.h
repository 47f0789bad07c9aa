/* SPDX-License-Identifier: MIT */
/*
 * A growable run of bytes with one owner, for what cannot be parsed in place. Owns nothing while
 * empty.
 */
#ifndef MQBX_BASE_BUFFER_H
#define MQBX_BASE_BUFFER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/alloc.h"

struct buffer {
    uint8_t *ptr;
    uint32_t len;
    uint32_t cap;
};

void mqbx_buffer_fini(struct buffer *b, const struct alloc *a); /* and empty again */
/* Room for `more` bytes behind len; false: out of memory or beyond 4 GiB, nothing changed. Grows to
 * exactly what is asked for when b is empty, else by doubling. */
bool mqbx_buffer_reserve(struct buffer *b, const struct alloc *a, size_t more);
bool mqbx_buffer_append(struct buffer *b, const struct alloc *a, const void *ptr, size_t len);
/* Drops the first n bytes, moving the rest down; frees the memory when nothing is left. */
void mqbx_buffer_consume(struct buffer *b, const struct alloc *a, size_t n);

#endif
