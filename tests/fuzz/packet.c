/* SPDX-License-Identifier: MIT */
/*
 * Fuzzes framing and every parse function. The first byte chooses version and direction, what
 * follows is a stream of packets. Of what is accepted, everything is walked and measured.
 */
#include <string.h>

#include "fuzz.h"
#include "mqtt/packet.h"
#include "mqtt/utf8.h"

/* Keeps the compiler from dropping reads. */
static volatile uint32_t sink;

static void touch(struct bytes b)
{
    for (uint32_t i = 0; i < b.len; i++)
        sink += b.ptr[i];
}

static void walk_props(const struct props *p)
{
    struct prop prop;
    uint32_t pos = 0;
    uint32_t total = 0;
    while (mqbx_prop_next(p->raw, &pos, &prop)) {
        touch(prop.name);
        touch(prop.value);
        total += prop.whole.len;
    }
    CHECK(pos == p->raw.len && total == p->raw.len);
    uint32_t kept = mqbx_props_kept_len(p);
    CHECK(kept <= p->raw.len);
    uint8_t *copy = malloc(kept + 1u);
    CHECK(copy);
    mqbx_props_copy_kept(p, copy);
    free(copy);
}

/* What comes out of the writer is read back. */
static void publish_again(const struct publish *p, uint8_t version)
{
    struct publish again = *p;
    again.props.raw.len = 0;
    again.props.has &= ~(uint32_t)HAS_USER_PROPERTY;
    size_t cap = p->topic.len + p->payload.len + p->props.raw.len + 64u;
    uint8_t *room = malloc(cap);
    CHECK(room);
    struct writer w = mqbx_writer(room, cap);
    mqbx_write_publish(&w, version, &again);
    struct frame frame;
    uint8_t reason;
    CHECK(!w.overflow && mqbx_frame(w.ptr, w.len, &frame, &reason) == FRAME_OK);
    struct bytes body = mqbx_bytes(w.ptr + frame.header_len, frame.body_len);
    struct publish back;
    CHECK(mqbx_parse_publish(body, frame.flags, version, &back) == RC_SUCCESS);
    CHECK(mqbx_bytes_equal(back.topic, p->topic) && mqbx_bytes_equal(back.payload, p->payload));
    CHECK(back.props.has == again.props.has);
    free(room);
}

static uint8_t connect(struct bytes body, uint8_t flags)
{
    struct connect c;
    uint8_t rc = mqbx_parse_connect(body, flags, &c);
    if (rc == RC_SUCCESS) {
        CHECK(mqbx_utf8_valid(c.client_id) && mqbx_utf8_valid(c.user_name));
        touch(c.password);
        touch(c.will.payload);
        walk_props(&c.props);
        walk_props(&c.will.props);
    }
    return rc;
}

static uint8_t publish(struct bytes body, uint8_t flags, uint8_t version)
{
    struct publish p;
    uint8_t rc = mqbx_parse_publish(body, flags, version, &p);
    if (rc == RC_SUCCESS) {
        CHECK(mqbx_utf8_valid(p.topic) && (p.qos == 0) == (p.packet_id == 0));
        touch(p.payload);
        walk_props(&p.props);
        publish_again(&p, version);
    }
    return rc;
}

static uint8_t subscribe(struct bytes body, uint8_t flags, uint8_t version)
{
    struct subscribe s;
    uint8_t rc = mqbx_parse_subscribe(body, flags, version, &s);
    struct subscribe_filter f;
    uint32_t n = 0;
    for (uint32_t pos = 0; rc == RC_SUCCESS && mqbx_subscribe_next(&s, version, &pos, &f); n++)
        CHECK(mqbx_utf8_valid(f.filter) && f.qos < 3 && f.retain_handling < 3);
    CHECK(rc != RC_SUCCESS || (n == s.count && n > 0));
    if (rc == RC_SUCCESS)
        walk_props(&s.props);
    return rc;
}

static uint8_t unsubscribe(struct bytes body, uint8_t flags, uint8_t version)
{
    struct unsubscribe u;
    uint8_t rc = mqbx_parse_unsubscribe(body, flags, version, &u);
    struct bytes filter;
    uint32_t n = 0;
    for (uint32_t pos = 0; rc == RC_SUCCESS && mqbx_unsubscribe_next(&u, &pos, &filter); n++)
        CHECK(mqbx_utf8_valid(filter));
    CHECK(rc != RC_SUCCESS || (n == u.count && n > 0));
    if (rc == RC_SUCCESS)
        walk_props(&u.props);
    return rc;
}

static uint8_t acknowledgement(const struct frame *f, struct bytes body, uint8_t version)
{
    struct ack a;
    uint8_t rc = mqbx_parse_ack(body, f->flags, version, f->type, &a);
    if (rc == RC_SUCCESS) {
        CHECK(a.packet_id != 0);
        walk_props(&a.props);
    }
    return rc;
}

static uint8_t answer(const struct frame *f, struct bytes body, uint8_t version)
{
    struct connack c;
    struct suback s;
    if (f->type == PKT_CONNACK)
        return mqbx_parse_connack(body, f->flags, version, &c);
    uint8_t rc = f->type == PKT_SUBACK ? mqbx_parse_suback(body, f->flags, version, &s)
                                       : mqbx_parse_unsuback(body, f->flags, version, &s);
    if (rc == RC_SUCCESS)
        touch(s.codes);
    return rc;
}

static uint8_t parse(const struct frame *f, struct bytes body, uint8_t version, bool from_server)
{
    struct disconnect d;
    struct auth a;
    switch (f->type) {
    case PKT_CONNECT:
        return connect(body, f->flags);
    case PKT_PUBLISH:
        return publish(body, f->flags, version);
    case PKT_SUBSCRIBE:
        return subscribe(body, f->flags, version);
    case PKT_UNSUBSCRIBE:
        return unsubscribe(body, f->flags, version);
    case PKT_CONNACK:
    case PKT_SUBACK:
    case PKT_UNSUBACK:
        return answer(f, body, version);
    case PKT_DISCONNECT:
        return mqbx_parse_disconnect(body, f->flags, version, from_server, &d);
    case PKT_AUTH:
        return mqbx_parse_auth(body, f->flags, &a);
    case PKT_PINGREQ:
    case PKT_PINGRESP:
        return mqbx_parse_empty(body, f->flags);
    default:
        return acknowledgement(f, body, version);
    }
}

static bool is_a_fault(uint8_t rc)
{
    return rc == RC_MALFORMED_PACKET || rc == RC_PROTOCOL_ERROR || rc == RC_UNSUPPORTED_VERSION ||
           rc == RC_TOPIC_NAME_INVALID || rc == RC_TOPIC_ALIAS_INVALID;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0)
        return 0;
    uint8_t version = (uint8_t)(MQTT_V31 + (data[0] & 3) % 3);
    bool from_server = (data[0] & 4) != 0;
    size_t at = 1;
    struct frame f;
    uint8_t reason = 0;
    while (mqbx_frame(data + at, size - at, &f, &reason) == FRAME_OK) {
        if (f.body_len > size - at - f.header_len)
            break;
        uint8_t rc =
            parse(&f, mqbx_bytes(data + at + f.header_len, f.body_len), version, from_server);
        CHECK(rc == RC_SUCCESS || is_a_fault(rc));
        at += f.header_len + (size_t)f.body_len;
    }
    return 0;
}
