/* SPDX-License-Identifier: MIT */
/*
 * CONNECT and CONNACK, both ways. Pure, any thread. Does not know which client ids a broker takes.
 */
#include "mqtt/parse.h"
#include "mqtt/topic.h"
#include "mqtt/write.h"

enum connect_flag {
    FLAG_RESERVED = 0x01,
    FLAG_CLEAN_START = 0x02,
    FLAG_WILL = 0x04,
    FLAG_WILL_RETAIN = 0x20,
    FLAG_PASSWORD = 0x40,
    FLAG_USER_NAME = 0x80,
};

enum { WILL_QOS_SHIFT = 3, SESSION_PRESENT = 0x01, V3_LAST_RETURN_CODE = 5 };

static uint8_t will_qos_of(uint8_t bits)
{
    return bits >> WILL_QOS_SHIFT & 3;
}

static const char *protocol_name(uint8_t version)
{
    return version == MQTT_V31 ? "MQIsdp" : "MQTT";
}

/* [MQTT-3.1.2-1], [MQTT-3.1.2-2]; MQIsdp is known at level 3, MQTT at 4 and 5 */
static void read_protocol(struct reader *r, struct connect *out)
{
    struct bytes name = mqbx_read_string(r);
    out->version = mqbx_read_u8(r);
    bool is_known = out->version >= MQTT_V31 && out->version <= MQTT_V5;
    if (!is_known || !mqbx_bytes_equal(name, mqbx_bytes_of(protocol_name(out->version))))
        mqbx_reader_fault(r, RC_UNSUPPORTED_VERSION);
}

/* Flags that contradict each other describe no packet. 3.1 ignores the reserved bit, and will QoS
 * and will retain without a will. */
static bool connect_flags_valid(uint8_t bits, uint8_t version)
{
    if ((bits & FLAG_RESERVED) && version != MQTT_V31) /* [MQTT-3.1.2-3] */
        return false;
    if (bits & FLAG_WILL) {
        if (will_qos_of(bits) == 3) /* [MQTT-3.1.2-12], 3.1.1 [MQTT-3.1.2-14] */
            return false;
    } else if (version != MQTT_V31) {
        /* [MQTT-3.1.2-11], [MQTT-3.1.2-13], 3.1.1 [MQTT-3.1.2-13], [MQTT-3.1.2-15] */
        if (will_qos_of(bits) != 0 || (bits & FLAG_WILL_RETAIN))
            return false;
    }
    /* 3.1.1 [MQTT-3.1.2-22]; 5.0 allows a password alone */
    return (bits & (FLAG_USER_NAME | FLAG_PASSWORD)) != FLAG_PASSWORD || version == MQTT_V5;
}

/* [MQTT-3.1.2-9]: properties, topic and payload are all there */
static void read_will(struct reader *r, uint8_t bits, struct connect *out)
{
    struct will_fields *will = &out->will;
    will->present = true;
    will->retain = (bits & FLAG_WILL_RETAIN) != 0;
    will->qos = will_qos_of(bits);
    if (out->version == MQTT_V5)
        mqbx_read_props(r, WHERE_WILL, &will->props);
    will->topic = mqbx_read_string(r); /* [MQTT-3.1.3-11] */
    if (!r->fault && !mqbx_topic_name_valid(will->topic))
        mqbx_reader_fault(r, RC_TOPIC_NAME_INVALID);
    will->payload = mqbx_read_binary(r);
}

/* [MQTT-3.1.2-16] to -19. In 3.1 the flag may be set and the packet end before the field. */
static bool has_field(const struct reader *r, uint8_t bits, uint8_t flag, uint8_t version)
{
    return (bits & flag) && (version != MQTT_V31 || r->left > 0);
}

/* [MQTT-3.1.3-1]: in this order */
static void read_payload(struct reader *r, uint8_t bits, struct connect *out)
{
    out->client_id = mqbx_read_string(r); /* [MQTT-3.1.3-3], [MQTT-3.1.3-4] */
    if (bits & FLAG_WILL)
        read_will(r, bits, out);
    out->has_user_name = has_field(r, bits, FLAG_USER_NAME, out->version);
    if (out->has_user_name)
        out->user_name = mqbx_read_string(r); /* [MQTT-3.1.3-12] */
    out->has_password = has_field(r, bits, FLAG_PASSWORD, out->version);
    if (out->has_password)
        out->password = mqbx_read_binary(r);
}

static void fill_defaults(struct props *p)
{
    if (!(p->has & HAS_RECEIVE_MAXIMUM))
        p->receive_maximum = UINT16_MAX;
    if (!(p->has & HAS_REQUEST_PROBLEM_INFO))
        p->request_problem_info = 1;
}

/* [MQTT-3.1.4-1] */
uint8_t mqbx_parse_connect(struct bytes body, uint8_t flags, struct connect *out)
{
    mqbx_clear(out, sizeof(*out));
    if (!mqbx_flags_valid(PKT_CONNECT, flags, MQTT_V5))
        return RC_MALFORMED_PACKET;
    struct reader r = mqbx_reader(body);
    read_protocol(&r, out);
    uint8_t bits = mqbx_read_u8(&r);
    if (!connect_flags_valid(bits, out->version))
        mqbx_reader_fault(&r, RC_MALFORMED_PACKET);
    out->clean_start = (bits & FLAG_CLEAN_START) != 0;
    out->keep_alive_s = mqbx_read_u16(&r);
    if (out->version == MQTT_V5)
        mqbx_read_props(&r, PKT_CONNECT, &out->props);
    fill_defaults(&out->props);
    read_payload(&r, bits, out);
    return mqbx_reader_end(&r);
}

uint8_t mqbx_parse_connack(struct bytes body, uint8_t flags, uint8_t version, struct connack *out)
{
    mqbx_clear(out, sizeof(*out));
    if (!mqbx_flags_valid(PKT_CONNACK, flags, version))
        return RC_MALFORMED_PACKET;
    struct reader r = mqbx_reader(body);
    uint8_t bits = mqbx_read_u8(&r);
    if (bits > (version == MQTT_V31 ? 0 : SESSION_PRESENT)) /* [MQTT-3.2.2-1] */
        mqbx_reader_fault(&r, RC_MALFORMED_PACKET);
    out->session_present = bits != 0;
    out->reason = version == MQTT_V5 ? mqbx_read_reason(&r, PKT_CONNACK) : mqbx_read_u8(&r);
    if (version != MQTT_V5 && out->reason > V3_LAST_RETURN_CODE)
        mqbx_reader_fault(&r, RC_PROTOCOL_ERROR);
    if (out->session_present && out->reason != 0) /* [MQTT-3.2.2-6], 3.1.1 [MQTT-3.2.2-4] */
        mqbx_reader_fault(&r, RC_PROTOCOL_ERROR);
    if (version == MQTT_V5)
        mqbx_read_props(&r, PKT_CONNACK, &out->props);
    return mqbx_reader_end(&r);
}

/* --- building --------------------------------------------------------------------------------- */

static uint8_t flags_of(const struct connect *p)
{
    uint32_t bits = p->clean_start ? FLAG_CLEAN_START : 0;
    if (p->will.present) {
        bits |= FLAG_WILL | (uint32_t)p->will.qos << WILL_QOS_SHIFT;
        bits |= p->will.retain ? FLAG_WILL_RETAIN : 0;
    }
    bits |= p->has_password ? FLAG_PASSWORD : 0;
    bits |= p->has_user_name ? FLAG_USER_NAME : 0;
    return (uint8_t)bits;
}

static uint64_t connect_len(const struct connect *p, struct bytes name)
{
    uint64_t len = mqbx_string_len(name) + 4 + mqbx_string_len(p->client_id);
    if (p->version == MQTT_V5)
        len += mqbx_props_len(&p->props, p->props.raw);
    if (p->will.present) {
        len += mqbx_string_len(p->will.topic) + mqbx_string_len(p->will.payload);
        if (p->version == MQTT_V5)
            len += mqbx_props_len(&p->will.props, p->will.props.raw);
    }
    len += p->has_user_name ? mqbx_string_len(p->user_name) : 0;
    len += p->has_password ? mqbx_string_len(p->password) : 0;
    return len;
}

static void write_will(struct writer *w, const struct connect *p)
{
    if (p->version == MQTT_V5)
        mqbx_write_props(w, &p->will.props, p->will.props.raw);
    mqbx_write_string(w, p->will.topic);
    mqbx_write_string(w, p->will.payload);
}

void mqbx_write_connect(struct writer *w, const struct connect *p)
{
    struct bytes name = mqbx_bytes_of(protocol_name(p->version));
    mqbx_write_header(w, PKT_CONNECT, 0, connect_len(p, name));
    mqbx_write_string(w, name);
    mqbx_write_u8(w, p->version);
    mqbx_write_u8(w, flags_of(p));
    mqbx_write_u16(w, p->keep_alive_s);
    if (p->version == MQTT_V5)
        mqbx_write_props(w, &p->props, p->props.raw);
    mqbx_write_string(w, p->client_id);
    if (p->will.present)
        write_will(w, p);
    if (p->has_user_name)
        mqbx_write_string(w, p->user_name);
    if (p->has_password)
        mqbx_write_string(w, p->password);
}

void mqbx_write_connack(struct writer *w, uint8_t version, const struct connack *p)
{
    uint64_t body = 2;
    if (version == MQTT_V5)
        body += mqbx_props_len(&p->props, p->props.raw);
    mqbx_write_header(w, PKT_CONNACK, 0, body);
    mqbx_write_u8(w, p->session_present && version != MQTT_V31 ? SESSION_PRESENT : 0);
    mqbx_write_u8(w, p->reason);
    if (version == MQTT_V5)
        mqbx_write_props(w, &p->props, p->props.raw);
}
