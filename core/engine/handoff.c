/* SPDX-License-Identifier: MIT */
/*
 * From the verdict to the session: a connection that was let in goes to its home, once, and arrives
 * there; takeover, session, CONNACK are the home's. A connection whose home is the worker that
 * accepted it takes the same way without the item.
 */
#include <assert.h>

#include "engine/delivery.h"
#include "engine/packets.h"

/* --- leaving --------------------------------------------------------------------------------- */

/* The link and what was read go into the arrival; the connection here has served its purpose. */
static void strip(struct engine *e, struct conn *c, struct arrival *a)
{
    a->link = c->link;
    a->in = c->in;
    a->bytes_in = c->bytes_in;
    c->link->conn = NULL;
    c->link = NULL;
    c->in = (struct buffer){.ptr = NULL};
    c->arrival = NULL;
    mqbx_conn_doom(e, c);
}

/* The buffer's memory is counted by the engine that holds it. */
static bool pack_leftover(struct engine *e, struct conn *c)
{
    struct buffer moved = {.ptr = NULL};
    if (c->in.len == 0)
        return true;
    if (!mqbx_buffer_append(&moved, e->seams.alloc, c->in.ptr, c->in.len))
        return false;
    mqbx_buffer_fini(&c->in, &e->alloc);
    c->in = moved;
    return true;
}

static void leave(struct engine *e, struct conn *c, uint32_t home)
{
    struct arrival *a = c->arrival;
    if (!e->seams.reserve(e->seams.ctx, home, 1) || !pack_leftover(e, c)) {
        mqbx_conn_refuse(e, c, RC_SERVER_BUSY, "out of memory");
        return;
    }
    if (c->wants != 0)
        c->link->ops->want(c->link, 0);
    strip(e, c, a);
    if (home == e->worker) {
        mqbx_arrive(e, a);
        return;
    }
    a->link->ops->detach(a->link);
    struct item it = {.type = ITEM_ARRIVE, .u.arrival = a};
    mqbx_engine_post(e, home, &it, (uint32_t)(sizeof(*a) + a->who->size) + a->in.len);
    mqbx_counter_add(&e->metrics.handed_off, 1);
}

void mqbx_connect_settle(struct engine *e, struct conn *c)
{
    struct arrival *a = c->arrival;
    if (c->state != CONN_ASKING || !a || a->verdict == VERDICT_PENDING)
        return;
    if (a->verdict != VERDICT_ALLOW) {
        mqbx_conn_refuse(e, c, a->reason, "not authorized");
        return;
    }
    leave(e, c, mqbx_shared_home(e->shared, a->tenant, mqbx_arrival_client_id(a)));
}

/* --- arriving ------------------------------------------------------------------------------- */

static struct conn *conn_arrive(struct engine *e, struct arrival *a)
{
    struct conn *c = mqbx_conn_new(e, a->link);
    if (!c)
        return NULL;
    a->link = NULL;
    c->version = a->version;
    c->keep_alive_ms = (uint32_t)((uint64_t)a->keep_alive_s * 10 * e->settings->keep_alive_percent);
    c->max_packet_bytes = a->max_packet_bytes;
    c->receive_maximum = a->receive_maximum;
    c->alias_max_out = a->alias_max_out;
    c->wants_problem_info = a->wants_problem_info;
    c->mountpoint_len = a->who->mountpoint_len;
    c->connected_wall_ms = a->connected_wall_ms;
    c->bytes_in = a->bytes_in;
    c->is_parked = true;
    return c;
}

static bool is_same_user(const struct session *s, const struct arrival *a)
{
    return s->who->has_user_name == a->who->has_user_name &&
           mqbx_bytes_equal(mqbx_identity_user_name(s->who), mqbx_identity_user_name(a->who));
}

/* Behind another mountpoint the same topics are others: what is queued and subscribed means nothing
 * there. */
static bool is_same_place(const struct session *s, const struct arrival *a)
{
    return mqbx_bytes_equal(mqbx_identity_mountpoint(s->who), mqbx_identity_mountpoint(a->who));
}

/* [MQTT-3.1.4-3] The older connection goes first. */
static void take_over(struct engine *e, struct session *s)
{
    if (!s->conn)
        return;
    mqbx_counter_add(&e->metrics.sessions_taken_over, 1);
    mqbx_conn_send_away(e, s->conn, RC_SESSION_TAKEN_OVER, "the client id connected again");
}

/* The session this connection gets; *present: it had state. NULL: refused, with the reason. */
static struct session *open_session(struct engine *e, struct arrival *a, bool *present,
                                    uint8_t *reason)
{
    struct bytes id = mqbx_arrival_client_id(a);
    struct session *s = mqbx_session_find(e, a->tenant, id);
    *present = false;
    if (s && (s->is_local || (!is_same_user(s, a) && !e->settings->allow_takeover_by_other_user))) {
        *reason = RC_NOT_AUTHORIZED;
        return NULL;
    }
    if (s)
        take_over(e, s); /* may end it */
    s = mqbx_session_find(e, a->tenant, id);
    if (s && (a->clean_start || !is_same_place(s, a))) { /* [MQTT-3.1.2-4] */
        mqbx_session_end(e, s);
        s = NULL;
    }
    if (s) { /* [MQTT-3.1.2-5] */
        *present = true;
        mqbx_session_set_identity(s, a->who);
        a->who = NULL;
        mqbx_counter_add(&e->metrics.sessions_resumed, 1);
        return s;
    }
    uint32_t max = e->settings->max_sessions;
    *reason = RC_QUOTA_EXCEEDED;
    if (max > 0 && mqbx_atomic_load64(&e->shared->sessions) >= max)
        return NULL;
    *reason = RC_SERVER_BUSY;
    s = mqbx_session_new(e, a->tenant, a->who);
    if (s)
        a->who = NULL;
    return s;
}

static void fill_limits(const struct engine *e, struct props *p)
{
    const struct settings *set = e->settings;
    if (set->receive_maximum != UINT16_MAX) {
        p->has |= HAS_RECEIVE_MAXIMUM;
        p->receive_maximum = set->receive_maximum;
    }
    if (set->max_qos < 2) { /* [MQTT-3.2.2-9] */
        p->has |= HAS_MAXIMUM_QOS;
        p->maximum_qos = set->max_qos;
    }
    if (!set->retain_available)
        p->has |= HAS_RETAIN_AVAILABLE;
    if (!set->wildcard_available)
        p->has |= HAS_WILDCARD_AVAILABLE;
    if (!set->subscription_id_available)
        p->has |= HAS_SUBSCRIPTION_ID_AVAILABLE;
    if (!set->shared_available)
        p->has |= HAS_SHARED_AVAILABLE;
    if (set->topic_alias_max_in > 0) {
        p->has |= HAS_TOPIC_ALIAS_MAXIMUM;
        p->topic_alias_maximum = set->topic_alias_max_in;
    }
    if (set->max_packet_bytes < MQTT_MAX_PACKET) {
        p->has |= HAS_MAXIMUM_PACKET_SIZE;
        p->maximum_packet_size = set->max_packet_bytes;
    }
}

static bool send_welcome(struct engine *e, struct conn *c, const struct arrival *a, bool present)
{
    struct connack ack = {.session_present = present};
    struct props *p = &ack.props;
    if (c->version == MQTT_V5) {
        fill_limits(e, p);
        if (a->tells_expiry)
            p->has |= HAS_SESSION_EXPIRY;
        if (a->is_id_assigned) /* [MQTT-3.1.3-7], [MQTT-3.2.2-16] */
            p->has |= HAS_ASSIGNED_CLIENT_ID;
        if (a->tells_keep_alive)
            p->has |= HAS_SERVER_KEEP_ALIVE;
        if (a->wants_response_info && e->settings->response_information.len > 0)
            p->has |= HAS_RESPONSE_INFO; /* [MQTT-3.1.2-28] */
        p->session_expiry_s = a->expiry_s;
        p->assigned_client_id = mqbx_session_client_id(c->session);
        p->server_keep_alive_s = (uint16_t)a->keep_alive_s;
        p->response_info = e->settings->response_information;
    }
    return mqbx_send_connack(e, c, &ack); /* [MQTT-3.1.4-5], [MQTT-3.2.0-1] */
}

/* The topic gets its mountpoint, the message its publisher. Out of memory: as if it had none, and
 * counted. */
static void take_will(struct engine *e, struct session *s, struct arrival *a)
{
    mqbx_session_drop_will(s);
    if (!a->will)
        return;
    struct publication p;
    mqbx_msg_view(a->will, &p);
    p.tenant = s->tenant;
    p.publisher = s->hash;
    p.topic = mqbx_mounted(e, s->who, p.topic);
    s->will.msg = p.topic.len > 0 ? mqbx_msg_new(e->seams.alloc, &p) : NULL;
    s->will.delay_s = a->will_delay_s;
    if (!s->will.msg)
        mqbx_counter_add(&e->metrics.messages_dropped_no_memory, 1);
}

static void take_limits(const struct engine *e, struct conn *c, struct session *s)
{
    const struct client_limits *l = s->who->limits;
    uint16_t inflight = l && l->max_inflight > 0 ? l->max_inflight : e->settings->max_inflight;
    s->inflight_max = c->receive_maximum < inflight ? c->receive_maximum : inflight;
    uint64_t expires = s->who->expires_wall_ms;
    if (expires > 0)
        c->expires_ms = e->now.mono_ms + (expires > e->now.wall_ms ? expires - e->now.wall_ms : 0);
}

static void enter(struct engine *e, struct conn *c, struct session *s, struct arrival *a)
{
    c->state = CONN_OPEN;
    c->session = s;
    s->protocol = c->version;
    s->expiry_s = a->expiry_s;
    take_will(e, s, a);
    take_limits(e, c, s);
    mqbx_session_join(e, s, c);
}

static bool take_leftover(struct engine *e, struct conn *c, struct arrival *a)
{
    bool ok = a->in.len == 0 || mqbx_buffer_append(&c->in, &e->alloc, a->in.ptr, a->in.len);
    return ok;
}

void mqbx_arrive(struct engine *e, struct arrival *a)
{
    struct link *l = a->link;
    bool is_attached = l->ops->attach(l, e->seams.loop);
    struct conn *c = is_attached && !e->is_stopped ? conn_arrive(e, a) : NULL;
    if (!c) {
        l->ops->close(l);
        mqbx_arrival_free(e, a);
        return;
    }
    bool present = false;
    uint8_t reason = RC_SERVER_BUSY;
    struct session *s = take_leftover(e, c, a) ? open_session(e, a, &present, &reason) : NULL;
    if (!s) {
        c->arrival = a; /* for the log line */
        mqbx_conn_refuse(e, c, reason, "the client id is another user's, or a limit is reached");
        return;
    }
    enter(e, c, s, a);
    bool is_welcome = send_welcome(e, c, a, present);
    mqbx_arrival_free(e, a);
    if (!is_welcome) {
        mqbx_conn_log(e, c, LOG_WARN, "connection refused", RC_PACKET_TOO_LARGE,
                      "the client's Maximum Packet Size has no room for CONNACK");
        mqbx_conn_close(e, c);
        return;
    }
    mqbx_conn_log(e, c, LOG_INFO, "client connected", -1, present ? "session resumed" : NULL);
    mqbx_counter_add(&e->metrics.connections_opened, 1);
    mqbx_conn_start_keep_alive(e, c);
    if (present)
        mqbx_window_resend(e, s);
    mqbx_session_want_pump(e, s);
    mqbx_conn_unpark(e, c);
}
