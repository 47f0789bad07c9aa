/* SPDX-License-Identifier: MIT */
/*
 * What the parse functions share, and nobody else uses: a reader that remembers its first fault,
 * and the checks that several packets have in common. Pure, any thread.
 *
 * Which code answers a fault: the one that the standard names for it. Where it names none, what
 * cannot be read as a packet at all (lengths, UTF-8, reserved or contradicting flags) is
 * RC_MALFORMED_PACKET, and a value that can be read but is not allowed is RC_PROTOCOL_ERROR, as
 * section 1.2 defines the two.
 */
#ifndef MQBX_MQTT_PARSE_H
#define MQBX_MQTT_PARSE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"
#include "mqtt/packet.h"
#include "mqtt/reason.h"
#include "mqtt/utf8.h"

/* Reads from the front. After a fault nothing is left, every read answers zero or empty, and the
 * first fault stays; so a parse function reads straight through and looks at the end. */
struct reader {
    const uint8_t *ptr;
    uint32_t left;
    uint8_t fault; /* RC_SUCCESS or the first fault */
};

static inline struct reader mqbx_reader(struct bytes b)
{
    static const uint8_t nothing = 0;
    return (struct reader){.ptr = b.len ? b.ptr : &nothing, .left = b.len};
}

static inline void mqbx_reader_fault(struct reader *r, uint8_t reason)
{
    if (!r->fault)
        r->fault = reason;
    r->left = 0;
}

/* Zeroes a packet. Out of line, where the size is not known: GCC would clear these 200 to 600 bytes
 * with `rep stos`, and that took a third of parsing a small PUBLISH. */
void mqbx_clear(void *packet, size_t size);

/* The verdict at the end of a packet: bytes behind its last field make it malformed. */
static inline uint8_t mqbx_reader_end(struct reader *r)
{
    if (r->left > 0)
        mqbx_reader_fault(r, RC_MALFORMED_PACKET);
    return r->fault;
}

static inline struct bytes mqbx_read_bytes(struct reader *r, uint32_t len)
{
    if (len > r->left) {
        mqbx_reader_fault(r, RC_MALFORMED_PACKET);
        return (struct bytes){.ptr = r->ptr};
    }
    struct bytes b = {.ptr = r->ptr, .len = len};
    r->ptr += len;
    r->left -= len;
    return b;
}

static inline uint8_t mqbx_read_u8(struct reader *r)
{
    struct bytes b = mqbx_read_bytes(r, 1);
    return b.len ? b.ptr[0] : 0;
}

static inline uint16_t mqbx_read_u16(struct reader *r)
{
    struct bytes b = mqbx_read_bytes(r, 2);
    if (b.len == 0)
        return 0;
    return (uint16_t)(b.ptr[0] << 8 | b.ptr[1]);
}

static inline uint32_t mqbx_read_u32(struct reader *r)
{
    uint32_t high = mqbx_read_u16(r);
    return high << 16 | mqbx_read_u16(r);
}

static inline struct bytes mqbx_read_binary(struct reader *r)
{
    uint16_t len = mqbx_read_u16(r);
    return mqbx_read_bytes(r, len);
}

static inline struct bytes mqbx_read_string(struct reader *r)
{
    struct bytes s = mqbx_read_binary(r);
    if (!mqbx_utf8_valid(s))
        mqbx_reader_fault(r, RC_MALFORMED_PACKET);
    return s;
}

/* [MQTT-2.2.1-3], [MQTT-2.2.1-4], 3.1.1 [MQTT-2.3.1-1]: a packet identifier is not 0 */
static inline uint16_t mqbx_read_packet_id(struct reader *r)
{
    uint16_t id = mqbx_read_u16(r);
    if (id == 0)
        mqbx_reader_fault(r, RC_PROTOCOL_ERROR);
    return id;
}

uint32_t mqbx_read_varint(struct reader *r);

/* [MQTT-2.1.3-1] for every packet but PUBLISH */
bool mqbx_flags_valid(uint8_t type, uint8_t flags, uint8_t version);

/* `where` is a packet type, or one of these two. */
enum { WHERE_WILL = 0, WHERE_DISCONNECT_FROM_SERVER = 16 };

/* The property block with its length. `where`: a packet type or WHERE_WILL. */
void mqbx_read_props(struct reader *r, unsigned where, struct props *out);

/* Whether the packet's table has the code. `where`: a packet type (PKT_DISCONNECT: sent by a
 * client) or WHERE_DISCONNECT_FROM_SERVER. */
bool mqbx_reason_allowed(uint8_t reason, unsigned where);

/* One reason code that must be in the packet's table. */
uint8_t mqbx_read_reason(struct reader *r, unsigned where);

#endif
