/* SPDX-License-Identifier: MIT */
#include "wire.h"

#include <string.h>

uint8_t *put_u16(uint8_t *at, uint32_t value)
{
    at[0] = (uint8_t)(value >> 8);
    at[1] = (uint8_t)value;
    return at + 2;
}

uint8_t *put_u32(uint8_t *at, uint32_t value)
{
    return put_u16(put_u16(at, value >> 16), value & 0xffff);
}

uint8_t *put_varint(uint8_t *at, uint32_t value)
{
    for (; value > 127; value >>= 7)
        *at++ = (uint8_t)(value | 128);
    *at++ = (uint8_t)value;
    return at;
}

uint8_t *put_text(uint8_t *at, const char *text)
{
    size_t length = strlen(text);
    at = put_u16(at, (uint32_t)length);
    memcpy(at, text, length);
    return at + length;
}

void put_digits(uint8_t *end, unsigned digits, uint64_t value)
{
    while (digits-- > 0) {
        *--end = (uint8_t)('0' + value % 10);
        value /= 10;
    }
}

uint32_t get_u16(const uint8_t *at)
{
    return (uint32_t)at[0] << 8 | at[1];
}

const uint8_t *get_varint(const uint8_t *at, const uint8_t *end, uint32_t *value)
{
    *value = 0;
    for (unsigned shift = 0; shift < 28 && at < end; shift += 7) {
        *value |= (uint32_t)(*at & 127) << shift;
        if (!(*at++ & 128))
            return at;
    }
    return NULL;
}

/* Bytes of a property's value, 0 when it is none of a CONNACK. */
static size_t property_bytes(uint8_t id, const uint8_t *at, size_t left)
{
    switch (id) {
    case 0x24: /* Maximum QoS, Retain, Wildcard, Subscription Identifier, Shared available */
    case 0x25:
    case 0x28:
    case 0x29:
    case 0x2a:
        return 1;
    case 0x13: /* Server Keep Alive, Receive Maximum, Topic Alias Maximum */
    case 0x21:
    case 0x22:
        return 2;
    case 0x11: /* Session Expiry Interval, Maximum Packet Size */
    case 0x27:
        return 4;
    case 0x12: /* Assigned Client Identifier, Response Information, ... */
    case 0x15:
    case 0x16:
    case 0x1a:
    case 0x1c:
    case 0x1f:
        return left < 2 ? 0 : 2 + get_u16(at);
    default:
        return 0;
    }
}

uint32_t get_receive_maximum(const uint8_t *at, const uint8_t *end)
{
    while (at < end) {
        uint8_t id = *at++;
        size_t bytes = property_bytes(id, at, (size_t)(end - at));
        if (bytes == 0 || bytes > (size_t)(end - at))
            break;
        if (id == 0x21)
            return get_u16(at);
        at += bytes;
    }
    return 65535;
}
