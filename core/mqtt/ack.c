/* SPDX-License-Identifier: MIT */
/*
 * The small packets: PUBACK, PUBREC, PUBREL, PUBCOMP, PINGREQ, PINGRESP, DISCONNECT and AUTH, both
 * ways. In 5.0 they end in a reason code and properties, of which what says nothing may be left
 * out. Pure, any thread.
 */
#include "mqtt/parse.h"
#include "mqtt/write.h"

/* 3.4.2.1, 3.14.2.1: no code means success, no length means no properties */
static void read_tail(struct reader *r, unsigned where, unsigned props_where, uint8_t *reason,
                      struct props *props)
{
    if (r->left > 0)
        *reason = mqbx_read_reason(r, where);
    if (r->left > 0)
        mqbx_read_props(r, props_where, props);
}

uint8_t mqbx_parse_ack(struct bytes body, uint8_t flags, uint8_t version, uint8_t type,
                       struct ack *out)
{
    mqbx_clear(out, sizeof(*out));
    if (!mqbx_flags_valid(type, flags, version))
        return RC_MALFORMED_PACKET;
    struct reader r = mqbx_reader(body);
    out->packet_id = mqbx_read_packet_id(&r);
    if (version == MQTT_V5)
        read_tail(&r, type, type, &out->reason, &out->props);
    return mqbx_reader_end(&r);
}

uint8_t mqbx_parse_empty(struct bytes body, uint8_t flags)
{
    return flags == 0 && body.len == 0 ? RC_SUCCESS : RC_MALFORMED_PACKET;
}

uint8_t mqbx_parse_disconnect(struct bytes body, uint8_t flags, uint8_t version, bool from_server,
                              struct disconnect *out)
{
    mqbx_clear(out, sizeof(*out));
    if (!mqbx_flags_valid(PKT_DISCONNECT, flags, version))
        return RC_MALFORMED_PACKET;
    if (from_server && version != MQTT_V5) /* only 5.0 lets a server send it */
        return RC_PROTOCOL_ERROR;
    struct reader r = mqbx_reader(body);
    if (version == MQTT_V5)
        read_tail(&r, from_server ? WHERE_DISCONNECT_FROM_SERVER : PKT_DISCONNECT, PKT_DISCONNECT,
                  &out->reason, &out->props);
    if (from_server && (out->props.has & HAS_SESSION_EXPIRY)) /* [MQTT-3.14.2-2] */
        mqbx_reader_fault(&r, RC_PROTOCOL_ERROR);
    return mqbx_reader_end(&r);
}

/* An empty body is success without properties (3.15.2.1). Else there is a property length, and an
 * authentication method among the properties [MQTT-4.12.0-5]. */
uint8_t mqbx_parse_auth(struct bytes body, uint8_t flags, struct auth *out)
{
    mqbx_clear(out, sizeof(*out));
    if (!mqbx_flags_valid(PKT_AUTH, flags, MQTT_V5))
        return RC_MALFORMED_PACKET;
    if (body.len == 0)
        return RC_SUCCESS;
    struct reader r = mqbx_reader(body);
    out->reason = mqbx_read_reason(&r, PKT_AUTH);
    mqbx_read_props(&r, PKT_AUTH, &out->props);
    if (!(out->props.has & HAS_AUTH_METHOD)) /* 3.15.2.2.2 */
        mqbx_reader_fault(&r, RC_PROTOCOL_ERROR);
    return mqbx_reader_end(&r);
}

/* --- building --------------------------------------------------------------------------------- */

/* The bytes of reason code and properties, in the shortest form that `needs_length` leaves. */
static uint64_t tail_len(uint8_t reason, const struct props *props, bool needs_length)
{
    uint32_t props_len = mqbx_props_len(props, props->raw);
    if (props_len > 1 || (needs_length && reason != RC_SUCCESS))
        return 1 + (uint64_t)props_len;
    return reason != RC_SUCCESS ? 1 : 0;
}

static void write_tail(struct writer *w, uint64_t len, uint8_t reason, const struct props *props)
{
    if (len > 0)
        mqbx_write_u8(w, reason);
    if (len > 1)
        mqbx_write_props(w, props, props->raw);
}

void mqbx_write_ack(struct writer *w, uint8_t version, uint8_t type, const struct ack *p)
{
    uint64_t tail = version == MQTT_V5 ? tail_len(p->reason, &p->props, false) : 0;
    mqbx_write_header(w, type, type == PKT_PUBREL ? 0x02 : 0, 2 + tail);
    mqbx_write_u16(w, p->packet_id);
    write_tail(w, tail, p->reason, &p->props);
}

void mqbx_write_ping(struct writer *w, uint8_t type)
{
    mqbx_write_header(w, type, 0, 0);
}

void mqbx_write_disconnect(struct writer *w, uint8_t version, const struct disconnect *p)
{
    uint64_t tail = version == MQTT_V5 ? tail_len(p->reason, &p->props, false) : 0;
    mqbx_write_header(w, PKT_DISCONNECT, 0, tail);
    write_tail(w, tail, p->reason, &p->props);
}

void mqbx_write_auth(struct writer *w, const struct auth *p)
{
    uint64_t tail = tail_len(p->reason, &p->props, true);
    mqbx_write_header(w, PKT_AUTH, 0, tail);
    write_tail(w, tail, p->reason, &p->props);
}
