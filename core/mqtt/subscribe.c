/* SPDX-License-Identifier: MIT */
/*
 * SUBSCRIBE, UNSUBSCRIBE and their answers, both ways. Pure, any thread. Does not judge filters:
 * that is answered filter by filter (mqtt/topic.h).
 */
#include "mqtt/parse.h"
#include "mqtt/topic.h"
#include "mqtt/write.h"

enum option {
    OPTION_QOS = 0x03,
    OPTION_NO_LOCAL = 0x04,
    OPTION_RETAIN_AS_PUBLISHED = 0x08,
    OPTION_RESERVED = 0xC0,
};

enum { RETAIN_HANDLING_SHIFT = 4, FLAGS_QOS1 = 0x02, V3_FAILURE = 0x80 };

static void unpack_options(uint8_t bits, struct subscribe_filter *out)
{
    out->qos = bits & OPTION_QOS;
    out->no_local = (bits & OPTION_NO_LOCAL) != 0;
    out->retain_as_published = (bits & OPTION_RETAIN_AS_PUBLISHED) != 0;
    out->retain_handling = bits >> RETAIN_HANDLING_SHIFT & 3;
}

static uint8_t pack_options(const struct subscribe_filter *f, uint8_t version)
{
    if (version != MQTT_V5)
        return f->qos;
    return (uint8_t)(f->qos | (f->no_local ? OPTION_NO_LOCAL : 0) |
                     (f->retain_as_published ? OPTION_RETAIN_AS_PUBLISHED : 0) |
                     f->retain_handling << RETAIN_HANDLING_SHIFT);
}

static bool is_shared(struct bytes filter)
{
    struct bytes name;
    struct bytes rest;
    return mqbx_topic_share(filter, &name, &rest) != SHARE_NONE;
}

static uint8_t check_options(struct bytes filter, uint8_t bits, uint8_t version)
{
    if (version != MQTT_V5) /* 3.8.3 of 3.1.1: the upper six bits are reserved, 3 is no QoS */
        return bits <= 2 ? RC_SUCCESS : RC_MALFORMED_PACKET;
    if (bits & OPTION_RESERVED) /* [MQTT-3.8.3-5] */
        return RC_MALFORMED_PACKET;
    struct subscribe_filter f;
    unpack_options(bits, &f);
    if (f.qos == 3 || f.retain_handling == 3) /* 3.8.3.1 */
        return RC_PROTOCOL_ERROR;
    if (f.no_local && is_shared(filter)) /* [MQTT-3.8.3-4] */
        return RC_PROTOCOL_ERROR;
    return RC_SUCCESS;
}

uint8_t mqbx_parse_subscribe(struct bytes body, uint8_t flags, uint8_t version,
                             struct subscribe *out)
{
    mqbx_clear(out, sizeof(*out));
    if (!mqbx_flags_valid(PKT_SUBSCRIBE, flags, version))
        return RC_MALFORMED_PACKET;
    struct reader r = mqbx_reader(body);
    out->packet_id = mqbx_read_packet_id(&r);
    if (version == MQTT_V5)
        mqbx_read_props(&r, PKT_SUBSCRIBE, &out->props);
    out->filters = (struct bytes){.ptr = r.ptr, .len = r.left};
    for (; r.left > 0; out->count++) {
        struct bytes filter = mqbx_read_string(&r); /* [MQTT-3.8.3-1] */
        uint8_t bits = mqbx_read_u8(&r);
        uint8_t fault = r.fault ? r.fault : check_options(filter, bits, version);
        if (fault)
            mqbx_reader_fault(&r, fault);
    }
    if (out->count == 0) /* [MQTT-3.8.3-2], 3.1.1 [MQTT-3.8.3-3] */
        mqbx_reader_fault(&r, RC_PROTOCOL_ERROR);
    return r.fault;
}

uint8_t mqbx_parse_unsubscribe(struct bytes body, uint8_t flags, uint8_t version,
                               struct unsubscribe *out)
{
    mqbx_clear(out, sizeof(*out));
    if (!mqbx_flags_valid(PKT_UNSUBSCRIBE, flags, version))
        return RC_MALFORMED_PACKET;
    struct reader r = mqbx_reader(body);
    out->packet_id = mqbx_read_packet_id(&r);
    if (version == MQTT_V5)
        mqbx_read_props(&r, PKT_UNSUBSCRIBE, &out->props);
    out->filters = (struct bytes){.ptr = r.ptr, .len = r.left};
    for (; r.left > 0; out->count++)
        mqbx_read_string(&r); /* [MQTT-3.10.3-1] */
    if (out->count == 0)      /* [MQTT-3.10.3-2] */
        mqbx_reader_fault(&r, RC_PROTOCOL_ERROR);
    return r.fault;
}

/* The next string of an accepted payload, which needs no second check. */
static bool next_string(struct reader *r, struct bytes payload, uint32_t pos, struct bytes *out)
{
    if (pos >= payload.len)
        return false;
    *r = mqbx_reader((struct bytes){.ptr = payload.ptr + pos, .len = payload.len - pos});
    *out = mqbx_read_binary(r);
    return r->fault == RC_SUCCESS;
}

bool mqbx_subscribe_next(const struct subscribe *s, uint8_t version, uint32_t *pos,
                         struct subscribe_filter *out)
{
    struct reader r;
    *out = (struct subscribe_filter){0};
    if (!next_string(&r, s->filters, *pos, &out->filter))
        return false;
    uint8_t bits = mqbx_read_u8(&r);
    unpack_options(version == MQTT_V5 ? bits : bits & OPTION_QOS, out);
    *pos = s->filters.len - r.left;
    return r.fault == RC_SUCCESS;
}

bool mqbx_unsubscribe_next(const struct unsubscribe *u, uint32_t *pos, struct bytes *filter)
{
    struct reader r;
    if (!next_string(&r, u->filters, *pos, filter))
        return false;
    *pos = u->filters.len - r.left;
    return true;
}

static bool suback_code_valid(uint8_t code, uint8_t version)
{
    if (version == MQTT_V5) /* [MQTT-3.9.3-2] */
        return mqbx_reason_allowed(code, PKT_SUBACK);
    return code <= RC_GRANTED_QOS2 || code == V3_FAILURE; /* 3.1.1 [MQTT-3.9.3-2] */
}

uint8_t mqbx_parse_suback(struct bytes body, uint8_t flags, uint8_t version, struct suback *out)
{
    mqbx_clear(out, sizeof(*out));
    if (!mqbx_flags_valid(PKT_SUBACK, flags, version))
        return RC_MALFORMED_PACKET;
    struct reader r = mqbx_reader(body);
    out->packet_id = mqbx_read_packet_id(&r);
    if (version == MQTT_V5)
        mqbx_read_props(&r, PKT_SUBACK, &out->props);
    out->codes = (struct bytes){.ptr = r.ptr, .len = r.left};
    while (r.left > 0) {
        if (!suback_code_valid(mqbx_read_u8(&r), version))
            mqbx_reader_fault(&r, RC_PROTOCOL_ERROR);
    }
    if (out->codes.len == 0) /* [MQTT-3.8.4-6]: one for each filter, and there is one at least */
        mqbx_reader_fault(&r, RC_PROTOCOL_ERROR);
    return r.fault;
}

uint8_t mqbx_parse_unsuback(struct bytes body, uint8_t flags, uint8_t version, struct suback *out)
{
    mqbx_clear(out, sizeof(*out));
    if (!mqbx_flags_valid(PKT_UNSUBACK, flags, version))
        return RC_MALFORMED_PACKET;
    struct reader r = mqbx_reader(body);
    out->packet_id = mqbx_read_packet_id(&r);
    if (version != MQTT_V5)
        return mqbx_reader_end(&r);
    mqbx_read_props(&r, PKT_UNSUBACK, &out->props);
    out->codes = (struct bytes){.ptr = r.ptr, .len = r.left};
    while (r.left > 0)
        mqbx_read_reason(&r, PKT_UNSUBACK); /* [MQTT-3.11.3-2] */
    if (out->codes.len == 0)
        mqbx_reader_fault(&r, RC_PROTOCOL_ERROR);
    return r.fault;
}

/* --- building --------------------------------------------------------------------------------- */

static void write_id_and_props(struct writer *w, uint8_t version, uint16_t packet_id,
                               const struct props *props)
{
    mqbx_write_u16(w, packet_id);
    if (version == MQTT_V5)
        mqbx_write_props(w, props, props->raw);
}

static uint64_t id_and_props_len(uint8_t version, const struct props *props)
{
    return 2 + (version == MQTT_V5 ? (uint64_t)mqbx_props_len(props, props->raw) : 0);
}

void mqbx_write_subscribe(struct writer *w, uint8_t version, uint16_t packet_id,
                          const struct props *props, const struct subscribe_filter *filters,
                          size_t count)
{
    uint64_t body = id_and_props_len(version, props);
    for (size_t i = 0; i < count; i++)
        body += mqbx_string_len(filters[i].filter) + 1;
    mqbx_write_header(w, PKT_SUBSCRIBE, FLAGS_QOS1, body);
    write_id_and_props(w, version, packet_id, props);
    for (size_t i = 0; i < count; i++) {
        mqbx_write_string(w, filters[i].filter);
        mqbx_write_u8(w, pack_options(&filters[i], version));
    }
}

void mqbx_write_unsubscribe(struct writer *w, uint8_t version, uint16_t packet_id,
                            const struct props *props, const struct bytes *filters, size_t count)
{
    uint64_t body = id_and_props_len(version, props);
    for (size_t i = 0; i < count; i++)
        body += mqbx_string_len(filters[i]);
    mqbx_write_header(w, PKT_UNSUBSCRIBE, FLAGS_QOS1, body);
    write_id_and_props(w, version, packet_id, props);
    for (size_t i = 0; i < count; i++)
        mqbx_write_string(w, filters[i]);
}

void mqbx_write_suback(struct writer *w, uint8_t version, const struct suback *p)
{
    mqbx_write_header(w, PKT_SUBACK, 0, id_and_props_len(version, &p->props) + p->codes.len);
    write_id_and_props(w, version, p->packet_id, &p->props);
    if (version == MQTT_V5) {
        mqbx_write_raw(w, p->codes.ptr, p->codes.len);
        return;
    }
    for (uint32_t i = 0; i < p->codes.len; i++) /* 3.1.1 [MQTT-3.9.3-2]: one failure for all */
        mqbx_write_u8(w, p->codes.ptr[i] >= V3_FAILURE ? V3_FAILURE : p->codes.ptr[i]);
}

void mqbx_write_unsuback(struct writer *w, uint8_t version, const struct suback *p)
{
    uint32_t n_codes = version == MQTT_V5 ? p->codes.len : 0;
    mqbx_write_header(w, PKT_UNSUBACK, 0, id_and_props_len(version, &p->props) + n_codes);
    write_id_and_props(w, version, p->packet_id, &p->props);
    mqbx_write_raw(w, p->codes.ptr, n_codes);
}
