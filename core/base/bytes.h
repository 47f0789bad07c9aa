/* SPDX-License-Identifier: MIT */
/*
 * A borrowed run of bytes, and the few things one does with it. Owns nothing.
 */
#ifndef MQBX_BASE_BYTES_H
#define MQBX_BASE_BYTES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct bytes {
    const uint8_t *ptr;
    uint32_t len;
};

static inline struct bytes mqbx_bytes(const void *ptr, size_t len)
{
    struct bytes b = {(const uint8_t *)ptr, (uint32_t)len};
    return b;
}

static inline struct bytes mqbx_bytes_of(const char *text)
{
    return mqbx_bytes(text, strlen(text));
}

static inline bool mqbx_bytes_equal(struct bytes a, struct bytes b)
{
    return a.len == b.len && (a.len == 0 || memcmp(a.ptr, b.ptr, a.len) == 0);
}

#endif
