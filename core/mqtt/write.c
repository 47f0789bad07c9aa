/* SPDX-License-Identifier: MIT */
/*
 * The writer: appends integers, strings and the fixed header to a buffer of fixed size. Pure; a
 * writer belongs to whoever made it.
 */
#include "mqtt/write.h"

#include <assert.h>

/* Room for n bytes, counted as written; NULL and `overflow` if there is not that much. */
static uint8_t *grow(struct writer *w, size_t n)
{
    if (w->overflow || n > w->cap - w->len) {
        w->overflow = true;
        return NULL;
    }
    uint8_t *at = w->ptr + w->len;
    w->len += n;
    return at;
}

void mqbx_write_u8(struct writer *w, uint8_t x)
{
    uint8_t *at = grow(w, 1);
    if (at)
        *at = x;
}

void mqbx_write_u16(struct writer *w, uint16_t x)
{
    uint8_t *at = grow(w, 2);
    if (!at)
        return;
    at[0] = (uint8_t)(x >> 8);
    at[1] = (uint8_t)x;
}

void mqbx_write_u32(struct writer *w, uint32_t x)
{
    uint8_t *at = grow(w, 4);
    if (!at)
        return;
    at[0] = (uint8_t)(x >> 24);
    at[1] = (uint8_t)(x >> 16);
    at[2] = (uint8_t)(x >> 8);
    at[3] = (uint8_t)x;
}

/* [MQTT-1.5.5-1] the shortest form */
uint32_t mqbx_varint_len(uint32_t x)
{
    return x < 0x80 ? 1 : x < 0x4000 ? 2 : x < 0x200000 ? 3 : 4;
}

uint8_t *mqbx_put_varint(uint8_t *out, uint32_t x)
{
    assert(x <= MQTT_MAX_PACKET);
    for (; x >= 0x80; x >>= 7)
        *out++ = (uint8_t)(x | 0x80);
    *out++ = (uint8_t)x;
    return out;
}

void mqbx_write_varint(struct writer *w, uint32_t x)
{
    if (x > MQTT_MAX_PACKET) {
        w->overflow = true;
        return;
    }
    uint8_t *at = grow(w, mqbx_varint_len(x));
    if (at)
        mqbx_put_varint(at, x);
}

void mqbx_write_raw(struct writer *w, const void *ptr, size_t len)
{
    if (len == 0)
        return;
    uint8_t *at = grow(w, len);
    if (at)
        memcpy(at, ptr, len);
}

void mqbx_write_string(struct writer *w, struct bytes s)
{
    if (s.len > UINT16_MAX) {
        w->overflow = true;
        return;
    }
    mqbx_write_u16(w, (uint16_t)s.len);
    mqbx_write_raw(w, s.ptr, s.len);
}

void mqbx_write_header(struct writer *w, uint8_t type, uint8_t flags, uint64_t body_len)
{
    mqbx_write_u8(w, (uint8_t)(type << 4 | flags));
    mqbx_write_varint(w, body_len > MQTT_MAX_PACKET ? UINT32_MAX : (uint32_t)body_len);
}
