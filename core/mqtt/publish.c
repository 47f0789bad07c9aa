/* SPDX-License-Identifier: MIT */
/*
 * PUBLISH, both ways. Parsing serves both directions: a subscription identifier is legal from a
 * server only, so the broker refuses a client's PUBLISH with HAS_SUBSCRIPTION_ID itself
 * [MQTT-3.3.4-6]. Pure, any thread.
 */
#include "mqtt/parse.h"
#include "mqtt/topic.h"
#include "mqtt/write.h"

enum { FLAG_RETAIN = 0x01, FLAG_DUP = 0x08, QOS_SHIFT = 1 };

static uint8_t check_topic(const struct publish *p, uint8_t version)
{
    if (p->topic.len == 0) { /* [MQTT-4.7.3-1]; 3.3.2.1 for an alias in its place */
        if (version != MQTT_V5)
            return RC_MALFORMED_PACKET;
        return (p->props.has & HAS_TOPIC_ALIAS) ? RC_SUCCESS : RC_PROTOCOL_ERROR;
    }
    /* [MQTT-3.3.2-2], [MQTT-4.7.0-1], 3.1.1 [MQTT-4.7.1-1] */
    return mqbx_topic_name_valid(p->topic) ? RC_SUCCESS : RC_TOPIC_NAME_INVALID;
}

uint8_t mqbx_parse_publish(struct bytes body, uint8_t flags, uint8_t version, struct publish *out)
{
    mqbx_clear(out, sizeof(*out));
    out->dup = (flags & FLAG_DUP) != 0;
    out->retain = (flags & FLAG_RETAIN) != 0;
    out->qos = flags >> QOS_SHIFT & 3;
    if (out->qos == 3) /* [MQTT-3.3.1-4] */
        return RC_MALFORMED_PACKET;
    if (out->dup && out->qos == 0) /* [MQTT-3.3.1-2] */
        return RC_MALFORMED_PACKET;
    struct reader r = mqbx_reader(body);
    out->topic = mqbx_read_string(&r); /* [MQTT-3.3.2-1] */
    if (out->qos > 0)                  /* [MQTT-2.2.1-2] */
        out->packet_id = mqbx_read_packet_id(&r);
    if (version == MQTT_V5)
        mqbx_read_props(&r, PKT_PUBLISH, &out->props);
    if (r.fault)
        return r.fault;
    out->payload = (struct bytes){.ptr = r.ptr, .len = r.left};
    return check_topic(out, version);
}

void mqbx_write_publish(struct writer *w, uint8_t version, const struct publish *p)
{
    uint64_t body = mqbx_string_len(p->topic) + (p->qos > 0 ? 2 : 0) + p->payload.len;
    if (version == MQTT_V5)
        body += mqbx_props_len(&p->props, p->props.raw);
    uint8_t flags =
        (uint8_t)((p->dup ? FLAG_DUP : 0) | p->qos << QOS_SHIFT | (p->retain ? FLAG_RETAIN : 0));
    mqbx_write_header(w, PKT_PUBLISH, flags, body);
    mqbx_write_string(w, p->topic);
    if (p->qos > 0)
        mqbx_write_u16(w, p->packet_id);
    if (version == MQTT_V5)
        mqbx_write_props(w, &p->props, p->props.raw);
    mqbx_write_raw(w, p->payload.ptr, p->payload.len);
}
