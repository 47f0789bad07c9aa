/* SPDX-License-Identifier: MIT */
/*
 * UTF-8 checking: eight ASCII bytes at a step, the others one character at a time by the table of
 * well-formed sequences (Unicode, table 3-7). Pure, any thread.
 */
#include "mqtt/utf8.h"

#define ONES 0x0101010101010101u
#define HIGHS 0x8080808080808080u

static bool continues(const uint8_t *p, uint32_t n)
{
    for (uint32_t i = 0; i < n; i++) {
        if ((p[i] & 0xC0) != 0x80)
            return false;
    }
    return true;
}

/* The length of the character whose lead byte is p[0] >= 0x80, or 0 if it is ill-formed. The second
 * byte's narrower range keeps out over-long forms, surrogates and what lies above U+10FFFF. */
static uint32_t multibyte(const uint8_t *p, uint32_t left)
{
    uint8_t lead = p[0];
    uint32_t len = lead < 0xE0 ? 2 : lead < 0xF0 ? 3 : 4;
    if (lead < 0xC2 || lead > 0xF4 || left < len)
        return 0;
    uint8_t low = lead == 0xE0 ? 0xA0 : lead == 0xF0 ? 0x90 : 0x80;
    uint8_t high = lead == 0xED ? 0x9F : lead == 0xF4 ? 0x8F : 0xBF; /* [MQTT-1.5.4-1] */
    if (p[1] < low || p[1] > high || !continues(p + 2, len - 2))
        return 0;
    return len;
}

/* How many bytes of plain ASCII (and no NUL, where `no_nul`) come in whole steps of eight. For
 * bytes below 0x80, subtracting one from each sets a high bit exactly if one of them is 0. */
static uint32_t ascii_run(const uint8_t *p, uint32_t left, bool no_nul)
{
    uint32_t n = 0;
    while (left - n >= 8) {
        uint64_t word;
        memcpy(&word, p + n, 8);
        if (((word | (no_nul ? word - ONES : 0)) & HIGHS) != 0)
            break;
        n += 8;
    }
    return n;
}

static bool valid(struct bytes s, bool no_nul)
{
    uint32_t i = 0;
    while (i < s.len) {
        i += ascii_run(s.ptr + i, s.len - i, no_nul);
        for (uint32_t stop = s.len - i < 8 ? s.len : i + 8; i < stop;) {
            uint8_t byte = s.ptr[i];
            if (byte == 0 && no_nul) /* [MQTT-1.5.4-2], [MQTT-4.7.3-2] */
                return false;
            uint32_t len = byte < 0x80 ? 1 : multibyte(s.ptr + i, s.len - i);
            if (len == 0)
                return false;
            i += len;
        }
    }
    return true;
}

bool mqbx_utf8_valid(struct bytes s)
{
    return valid(s, true);
}

bool mqbx_utf8_payload_valid(struct bytes s)
{
    return valid(s, false);
}
