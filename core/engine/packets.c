/* SPDX-License-Identifier: MIT */
/*
 * What a client's packets do, but for CONNECT (connect.c), PUBLISH (packet_publish.c) and SUBSCRIBE
 * (packet_subscribe.c).
 */
#include "engine/packets.h"

#include "engine/delivery.h"

static void on_ack(struct engine *e, struct conn *c, uint8_t type, struct bytes body, uint8_t flags)
{
    struct ack a;
    uint8_t reason = mqbx_parse_ack(body, flags, c->version, type, &a);
    if (reason != RC_SUCCESS) {
        mqbx_conn_fail(e, c, reason, "malformed acknowledgement");
        return;
    }
    c->has_acked = true;
    mqbx_conn_mark_dirty(e, c);
    switch (type) {
    case PKT_PUBACK:
        mqbx_window_puback(e, c, a.packet_id, a.reason);
        break;
    case PKT_PUBREC:
        mqbx_window_pubrec(e, c, a.packet_id, a.reason);
        break;
    case PKT_PUBREL:
        mqbx_packet_pubrel(e, c, &a);
        break;
    default:
        mqbx_window_pubcomp(e, c, a.packet_id);
    }
}

static void on_pingreq(struct engine *e, struct conn *c, struct bytes body, uint8_t flags)
{
    uint8_t reason = mqbx_parse_empty(body, flags);
    if (reason != RC_SUCCESS)
        mqbx_conn_fail(e, c, reason, "malformed PINGREQ");
    else
        mqbx_send_pingresp(e, c); /* [MQTT-3.12.4-1] */
}

/* The expiry may be changed, but not brought to life. False: protocol error. */
static bool change_expiry(const struct engine *e, struct session *s, const struct disconnect *d)
{
    if (!(d->props.has & HAS_SESSION_EXPIRY))
        return true;
    uint32_t wanted = d->props.session_expiry_s;
    if (s->expiry_s == 0 && wanted != 0)
        return false;
    s->expiry_s =
        wanted < e->settings->session_expiry_max_s ? wanted : e->settings->session_expiry_max_s;
    return true;
}

static void on_disconnect(struct engine *e, struct conn *c, struct bytes body, uint8_t flags)
{
    struct disconnect d;
    uint8_t reason = mqbx_parse_disconnect(body, flags, c->version, false, &d);
    if (reason != RC_SUCCESS) { /* [MQTT-3.14.1-1] */
        mqbx_conn_fail(e, c, reason, "malformed DISCONNECT");
        return;
    }
    if (!change_expiry(e, c->session, &d)) {
        mqbx_conn_fail(e, c, RC_PROTOCOL_ERROR, "session expiry changed from 0 in DISCONNECT");
        return;
    }
    mqbx_conn_log(e, c, LOG_INFO, "client disconnected", d.reason, NULL);
    struct session *s = c->session;
    c->session = NULL;
    mqbx_session_part(e, s, d.reason == RC_SUCCESS); /* [MQTT-3.14.4-3] */
    mqbx_conn_close(e, c);
}

/* No exchange is open and none can begin: CONNECT with a method was refused. [MQTT-4.12.0-7] */
static void on_auth(struct engine *e, struct conn *c, struct bytes body, uint8_t flags)
{
    struct auth a;
    uint8_t reason = c->version == MQTT_V5 ? mqbx_parse_auth(body, flags, &a) : RC_MALFORMED_PACKET;
    mqbx_conn_fail(e, c, reason != RC_SUCCESS ? reason : RC_PROTOCOL_ERROR,
                   "AUTH without an authentication method in CONNECT");
}

static bool open_packet(struct engine *e, struct conn *c, const struct frame *f, struct bytes body)
{
    switch (f->type) {
    case PKT_PUBLISH:
        return mqbx_packet_publish(e, c, body, f->flags);
    case PKT_PUBACK:
    case PKT_PUBREC:
    case PKT_PUBREL:
    case PKT_PUBCOMP:
        on_ack(e, c, f->type, body, f->flags);
        break;
    case PKT_SUBSCRIBE:
        return mqbx_packet_subscribe(e, c, body, f->flags);
    case PKT_UNSUBSCRIBE:
        mqbx_packet_unsubscribe(e, c, body, f->flags);
        break;
    case PKT_PINGREQ:
        on_pingreq(e, c, body, f->flags);
        break;
    case PKT_DISCONNECT:
        on_disconnect(e, c, body, f->flags);
        break;
    case PKT_AUTH:
        on_auth(e, c, body, f->flags);
        break;
    default: /* a second CONNECT [MQTT-3.1.0-2], or a packet only servers send */
        mqbx_conn_fail(e, c, RC_PROTOCOL_ERROR, "packet not allowed here");
    }
    return true;
}

bool mqbx_packet(struct engine *e, struct conn *c, const struct frame *f, struct bytes body)
{
    if (c->state == CONN_OPEN)
        return open_packet(e, c, f, body);
    mqbx_packet_connect(e, c, body, f->flags);
    return true;
}
