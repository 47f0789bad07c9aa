/* SPDX-License-Identifier: MIT */
/*
 * The fixed header: where a packet ends, of which type it is, which flags its type demands. Pure,
 * any thread. Knows nothing of what is inside.
 */
#include "mqtt/packet.h"
#include "mqtt/parse.h"

const char *mqbx_packet_name(uint8_t type)
{
    static const char *const names[16] = {
        "RESERVED", "CONNECT",  "CONNACK",    "PUBLISH", "PUBACK",      "PUBREC",
        "PUBREL",   "PUBCOMP",  "SUBSCRIBE",  "SUBACK",  "UNSUBSCRIBE", "UNSUBACK",
        "PINGREQ",  "PINGRESP", "DISCONNECT", "AUTH",
    };
    return names[type & 15];
}

static enum frame_status bad(uint8_t *reason)
{
    *reason = RC_MALFORMED_PACKET;
    return FRAME_BAD;
}

enum frame_status mqbx_frame(const uint8_t *in, size_t len, struct frame *out, uint8_t *reason)
{
    if (len == 0)
        return FRAME_MORE;
    if (in[0] >> 4 == 0)
        return bad(reason);
    uint32_t body_len = 0;
    for (uint8_t i = 0; i < 4; i++) {
        if (i + 1u >= len)
            return FRAME_MORE;
        uint8_t byte = in[i + 1];
        body_len |= (uint32_t)(byte & 0x7F) << 7 * i;
        if (byte & 0x80)
            continue;
        if (byte == 0 && i > 0) /* [MQTT-1.5.5-1] */
            return bad(reason);
        *out = (struct frame){.type = (uint8_t)(in[0] >> 4),
                              .flags = in[0] & 0x0F,
                              .header_len = (uint8_t)(i + 2),
                              .body_len = body_len};
        return FRAME_OK;
    }
    return bad(reason);
}

void mqbx_clear(void *packet, size_t size)
{
    memset(packet, 0, size);
}

uint32_t mqbx_read_varint(struct reader *r)
{
    uint32_t value = 0;
    for (uint32_t shift = 0; shift < 28; shift += 7) {
        uint8_t byte = mqbx_read_u8(r);
        value |= (uint32_t)(byte & 0x7F) << shift;
        if (byte & 0x80)
            continue;
        if (byte == 0 && shift > 0) /* [MQTT-1.5.5-1] */
            mqbx_reader_fault(r, RC_MALFORMED_PACKET);
        return value;
    }
    mqbx_reader_fault(r, RC_MALFORMED_PACKET);
    return 0;
}

/* [MQTT-2.1.3-1], [MQTT-3.6.1-1], [MQTT-3.8.1-1], [MQTT-3.10.1-1], [MQTT-3.14.1-1],
 * [MQTT-3.15.1-1]; 3.1.1 [MQTT-2.2.2-1]. In 3.1 the packets with flags 0010 have QoS 1 and so may
 * carry DUP. */
bool mqbx_flags_valid(uint8_t type, uint8_t flags, uint8_t version)
{
    if (type != PKT_PUBREL && type != PKT_SUBSCRIBE && type != PKT_UNSUBSCRIBE)
        return flags == 0;
    if (version == MQTT_V31)
        flags &= 0x07;
    return flags == 0x02;
}
