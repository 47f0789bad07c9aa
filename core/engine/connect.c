/* SPDX-License-Identifier: MIT */
/*
 * CONNECT, on the worker that accepted the link: checked, granted its limits, and asked about.
 * Nothing of a session is touched before the newcomer is let in; what happens then is handoff.c's.
 */
#include <stdio.h>

#include "engine/delivery.h"
#include "engine/packets.h"
#include "engine/permissions.h"
#include "mqtt/topic.h"
#include "mqtt/utf8.h"

#define ASSIGNED_ID_BYTES 26u /* "auto-" and 21 characters of 62: 125 bits */

void mqbx_conn_refuse(struct engine *e, struct conn *c, uint8_t reason, const char *text)
{
    if (c->state >= CONN_CLOSING)
        return;
    mqbx_counter_add(&e->metrics.connections_refused, 1);
    mqbx_conn_log(e, c, LOG_WARN, "connection refused", reason, text);
    struct connack ack = {.reason = reason};
    if (c->version == MQTT_V5 && text) {
        ack.props.has = HAS_REASON_STRING;
        ack.props.reason_string = mqbx_bytes_of(text);
    }
    /* A malformed 3.x CONNECT is closed without a word: no return code says so. [MQTT-3.1.4-1] */
    if (c->version == MQTT_V5 ||
        (c->version != 0 && reason != RC_MALFORMED_PACKET && reason != RC_PROTOCOL_ERROR)) {
        if (c->version != MQTT_V5)
            ack.reason = mqbx_reason_to_v3_connack(reason);
        (void)mqbx_send_connack(e, c, &ack);
    }
    mqbx_conn_close(e, c);
}

/* --- checks ---------------------------------------------------------------------------------- */

static uint8_t check_client_id(const struct engine *e, const struct connect *p)
{
    if (p->client_id.len > e->settings->max_client_id_bytes)
        return RC_CLIENT_ID_NOT_VALID;
    if (mqbx_bytes_equal(p->client_id, mqbx_bytes_of("$host"))) /* the host's own handle */
        return RC_CLIENT_ID_NOT_VALID;
    if (p->client_id.len > 0)
        return RC_SUCCESS;
    if (p->version == MQTT_V31 || !e->settings->allow_empty_client_id)
        return RC_CLIENT_ID_NOT_VALID;
    if (p->version == MQTT_V311 && !p->clean_start)
        return RC_CLIENT_ID_NOT_VALID; /* [MQTT-3.1.3-8] of 3.1.1 */
    return RC_SUCCESS;
}

uint8_t mqbx_check_publish(const struct engine *e, struct bytes topic, uint8_t qos, bool retain,
                           const struct props *props, struct bytes payload)
{
    const struct settings *set = e->settings;
    if (qos > set->max_qos)
        return RC_QOS_NOT_SUPPORTED; /* [MQTT-3.2.2-12] for wills */
    if (retain && !set->retain_available)
        return RC_RETAIN_NOT_SUPPORTED; /* [MQTT-3.2.2-13] for wills */
    if (topic.len > set->max_topic_bytes || mqbx_topic_levels(topic) > set->max_topic_levels)
        return RC_TOPIC_NAME_INVALID;
    if (set->check_payload_format && props && props->payload_format == 1 &&
        !mqbx_utf8_payload_valid(payload))
        return RC_PAYLOAD_FORMAT_INVALID;
    return RC_SUCCESS;
}

static uint8_t check_will(const struct engine *e, const struct will_fields *w)
{
    if (!w->present)
        return RC_SUCCESS;
    return mqbx_check_publish(e, w->topic, w->qos, w->retain, &w->props, w->payload);
}

static bool is_over_limits(const struct engine *e)
{
    uint32_t max = e->settings->max_connections;
    if (max > 0 && mqbx_atomic_load64(&e->shared->connections) > max) /* itself among them */
        return true;
    return mqbx_engine_is_over_memory(e);
}

struct connect_check {
    uint8_t reason;
    const char *text;
};

static struct connect_check check(const struct engine *e, const struct connect *p)
{
    uint8_t reason = check_client_id(e, p);
    if (reason != RC_SUCCESS)
        return (struct connect_check){reason, "client identifier"};
    if (p->props.has & HAS_AUTH_METHOD) /* [MQTT-4.12.0-1] */
        return (struct connect_check){RC_BAD_AUTHENTICATION_METHOD,
                                      "no plugin offers this authentication method"};
    reason = check_will(e, &p->will);
    if (reason != RC_SUCCESS)
        return (struct connect_check){reason, "will message"};
    if (e->settings->server_reference_reason != 0)
        return (struct connect_check){e->settings->server_reference_reason, NULL};
    if (is_over_limits(e))
        return (struct connect_check){RC_QUOTA_EXCEEDED, "connection or memory limit reached"};
    return (struct connect_check){RC_SUCCESS, NULL};
}

static void send_elsewhere(struct engine *e, struct conn *c)
{
    struct connack ack = {.reason = e->settings->server_reference_reason};
    if (e->settings->server_reference.len > 0) {
        ack.props.has = HAS_SERVER_REFERENCE;
        ack.props.server_reference = e->settings->server_reference;
    }
    if (c->version != MQTT_V5)
        ack.reason = mqbx_reason_to_v3_connack(RC_SERVER_UNAVAILABLE);
    mqbx_counter_add(&e->metrics.connections_refused, 1);
    (void)mqbx_send_connack(e, c, &ack);
    mqbx_conn_close(e, c);
}

/* --- what is granted ------------------------------------------------------------------------ */

/* A client id of the server's, drawn until its home is this worker: no hand-off for those who do
 * not care. [MQTT-3.1.3-6] */
static struct bytes assign_id(struct engine *e, uint32_t tenant, char out[ASSIGNED_ID_BYTES])
{
    static const char alphabet[] = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
    struct bytes id = mqbx_bytes(out, ASSIGNED_ID_BYTES);
    do {
        uint8_t draw[ASSIGNED_ID_BYTES];
        e->seams.random(e->seams.ctx, draw, sizeof(draw));
        memcpy(out, "auto-", 5);
        for (uint32_t i = 5; i < ASSIGNED_ID_BYTES; i++)
            out[i] = alphabet[draw[i] % 62u];
    } while (mqbx_shared_home(e->shared, tenant, id) != e->worker ||
             mqbx_session_find(e, tenant, id));
    return id;
}

static void grant_expiry(const struct engine *e, const struct connect *p, struct arrival *a)
{
    if (p->version != MQTT_V5) {
        a->expiry_s = p->clean_start ? 0 : e->settings->session_expiry_v3_s;
        return;
    }
    a->expiry_s = p->props.session_expiry_s;
    if (a->expiry_s > e->settings->session_expiry_max_s) {
        a->expiry_s = e->settings->session_expiry_max_s;
        a->tells_expiry = true;
    }
}

static void grant_keep_alive(const struct engine *e, const struct connect *p, struct arrival *a)
{
    const struct settings *set = e->settings;
    uint32_t wanted = p->keep_alive_s;
    a->keep_alive_s = wanted;
    if (set->server_keep_alive_s > 0)
        a->keep_alive_s = set->server_keep_alive_s;
    else if (set->max_keep_alive_s > 0 && (wanted == 0 || wanted > set->max_keep_alive_s))
        a->keep_alive_s = set->max_keep_alive_s;
    /* 3.x cannot be told: its own value stands. */
    if (p->version != MQTT_V5)
        a->keep_alive_s = wanted;
    a->tells_keep_alive = a->keep_alive_s != wanted;
}

static void grant(const struct engine *e, const struct connect *p, struct arrival *a)
{
    grant_expiry(e, p, a);
    grant_keep_alive(e, p, a);
    a->version = p->version;
    a->clean_start = p->clean_start;
    a->receive_maximum = UINT16_MAX;
    a->max_packet_bytes = MQTT_MAX_PACKET + 5;
    a->wants_problem_info = true;
    if (p->version != MQTT_V5)
        return;
    a->receive_maximum = p->props.receive_maximum;
    if (p->props.has & HAS_MAXIMUM_PACKET_SIZE)
        a->max_packet_bytes = p->props.maximum_packet_size;
    a->alias_max_out = p->props.topic_alias_maximum < e->settings->topic_alias_max_out
                           ? p->props.topic_alias_maximum
                           : e->settings->topic_alias_max_out;
    a->wants_problem_info = p->props.request_problem_info != 0;
    a->wants_response_info = p->props.request_response_info == 1;
}

/* [MQTT-3.1.2-7] The will as the message it will be; its topic is mounted at home, when the answer
 * is in. */
static bool grant_will(struct engine *e, const struct connect *p, struct arrival *a)
{
    const struct will_fields *w = &p->will;
    if (!w->present)
        return true;
    uint32_t kept = mqbx_props_kept_len(&w->props);
    uint8_t *props = mqbx_alloc(&e->alloc, kept + 1u);
    if (!props)
        return false;
    mqbx_props_copy_kept(&w->props, props);
    struct publication pub = {
        .tenant = a->tenant,
        .expiry_s = w->props.has & HAS_MESSAGE_EXPIRY ? w->props.message_expiry_s
                                                      : e->settings->message_expiry_s,
        .qos = w->qos,
        .retain = w->retain,
        .topic = w->topic,
        .props = mqbx_bytes(props, kept),
        .payload = w->payload,
    };
    a->will = mqbx_msg_new(e->seams.alloc, &pub);
    a->will_delay_s = w->props.will_delay_s;
    mqbx_free(&e->alloc, props, kept + 1u);
    return a->will != NULL;
}

static struct arrival *arrival_new(struct engine *e, const struct connect *p,
                                   struct bytes client_id, const struct listener_settings *listener)
{
    struct arrival *a = mqbx_zalloc(e->seams.alloc, sizeof(*a));
    if (!a)
        return NULL;
    a->who = mqbx_identity_new(e->seams.alloc, client_id, p->has_user_name, p->user_name,
                               mqbx_bytes_of(listener->mountpoint));
    if (!a->who) {
        mqbx_free(e->seams.alloc, a, sizeof(*a));
        return NULL;
    }
    a->tenant = listener->tenant;
    a->connected_wall_ms = e->now.wall_ms;
    a->is_id_assigned = p->client_id.len == 0;
    grant(e, p, a);
    return a;
}

struct bytes mqbx_arrival_client_id(const struct arrival *a)
{
    return mqbx_identity_client_id(a->who);
}

void mqbx_arrival_free(struct engine *e, struct arrival *a)
{
    if (!a)
        return;
    mqbx_identity_free(a->who);
    mqbx_msg_unref(a->will);
    mqbx_buffer_fini(&a->in, e->seams.alloc);
    mqbx_free(e->seams.alloc, a, sizeof(*a));
}

/* --- the question --------------------------------------------------------------------------- */

/* Without an authenticating plugin the listener's policy is all there is. */
static void decide_alone(const struct link_facts *facts, struct answer *a)
{
    enum anonymous_policy policy = facts->listener->anonymous;
    bool is_allowed =
        policy == ANONYMOUS_ALWAYS || (policy == ANONYMOUS_LOOPBACK && facts->is_loopback);
    *a = (struct answer){.verdict = is_allowed ? VERDICT_ALLOW : VERDICT_DENY};
}

static void ask_connect(struct engine *e, struct conn *c, const struct connect *p,
                        const struct link_facts *facts)
{
    struct question q = {
        .kind = ASK_CONNECT, .password = p->password, .has_password = p->has_password};
    struct answer a;
    if (!mqbx_asks(e, ASK_CONNECT))
        decide_alone(facts, &a);
    else if (mqbx_ask_conn(e, c, &q, &a) == VERDICT_PENDING)
        return;
    mqbx_connect_answered(e, c, ASK_CONNECT, &a);
}

static void ask_will(struct engine *e, struct conn *c)
{
    struct msg *will = c->arrival->will;
    struct question q = {.kind = ASK_WILL,
                         .topic = mqbx_msg_topic(will),
                         .payload = mqbx_msg_payload(will),
                         .qos = will->qos,
                         .retain = will->retain};
    struct answer a;
    if (mqbx_ask_conn(e, c, &q, &a) != VERDICT_PENDING)
        mqbx_connect_answered(e, c, ASK_WILL, &a);
}

/* What the answer says of who this is, and of how long and how much. */
static bool take_identity(struct engine *e, struct arrival *a, const struct answer *answer)
{
    struct identity *who = mqbx_identity_answered(a->who, answer);
    if (!who)
        return false;
    mqbx_identity_free(a->who);
    a->who = who;
    if (answer->has_tenant)
        a->tenant = answer->tenant;
    if (answer->has_session_expiry_max && a->expiry_s > answer->session_expiry_max_s) {
        a->expiry_s = answer->session_expiry_max_s;
        a->tells_expiry = true;
    }
    uint64_t expires = answer->expires_wall_ms;
    return expires == 0 || expires > e->now.wall_ms;
}

void mqbx_connect_answered(struct engine *e, struct conn *c, enum question_kind kind,
                           const struct answer *answer)
{
    struct arrival *a = c->arrival;
    a->verdict = answer->verdict == VERDICT_ALLOW ? VERDICT_ALLOW : VERDICT_DENY;
    a->reason = answer->reason >= 0x80 ? answer->reason : RC_NOT_AUTHORIZED;
    if (kind == ASK_WILL || a->verdict == VERDICT_DENY) {
        mqbx_permissions_unref(answer->permissions);
        return;
    }
    if (!take_identity(e, a, answer)) {
        a->verdict = VERDICT_DENY;
        return;
    }
    if (a->will) {
        a->verdict = VERDICT_PENDING;
        ask_will(e, c);
    }
}

static void prepare(struct engine *e, struct conn *c, const struct connect *p)
{
    struct link_facts facts;
    char assigned[ASSIGNED_ID_BYTES];
    c->link->ops->facts(c->link, &facts);
    struct bytes id = p->client_id;
    if (id.len == 0)
        id = assign_id(e, facts.listener->tenant, assigned);
    c->arrival = arrival_new(e, p, id, facts.listener);
    if (!c->arrival || !grant_will(e, p, c->arrival)) {
        mqbx_conn_refuse(e, c, RC_SERVER_BUSY, "out of memory");
        return;
    }
    c->state = CONN_ASKING;
    mqbx_list_remove(&c->node);
    mqbx_list_push_back(&e->asking, &c->node);
    c->is_parked = true; /* nothing behind CONNECT is looked at before the answer */
    c->arrival->verdict = VERDICT_PENDING;
    ask_connect(e, c, p, &facts);
}

void mqbx_packet_connect(struct engine *e, struct conn *c, struct bytes body, uint8_t flags)
{
    struct connect p = {.version = 0};
    uint8_t reason = mqbx_parse_connect(body, flags, &p);
    if (reason == RC_UNSUPPORTED_VERSION) { /* [MQTT-3.1.2-1], [MQTT-3.1.2-2] */
        c->version = p.version < MQTT_V5 ? MQTT_V311 : MQTT_V5;
        mqbx_conn_refuse(e, c, reason, "protocol version not supported");
        return;
    }
    c->version = p.version >= MQTT_V31 && p.version <= MQTT_V5 ? p.version : 0;
    if (reason != RC_SUCCESS) {
        mqbx_conn_refuse(e, c, reason, "malformed CONNECT");
        return;
    }
    c->wants_problem_info = p.version != MQTT_V5 || p.props.request_problem_info != 0;
    if (p.version == MQTT_V5 && (p.props.has & HAS_MAXIMUM_PACKET_SIZE))
        c->max_packet_bytes = p.props.maximum_packet_size;
    struct connect_check result = check(e, &p);
    if (result.reason == RC_USE_ANOTHER_SERVER || result.reason == RC_SERVER_MOVED)
        send_elsewhere(e, c);
    else if (result.reason != RC_SUCCESS)
        mqbx_conn_refuse(e, c, result.reason, result.text);
    else
        prepare(e, c, &p);
}
