/* SPDX-License-Identifier: MIT */
/*
 * Connections: reading and framing, the ways one ends, keep alive, parking and pausing. What
 * packets mean is in packets.c and connect.c.
 */
#include "engine/conn.h"

#include <assert.h>

#include "engine/delivery.h"
#include "engine/hold.h"
#include "engine/packets.h"
#include "engine/session.h"

#define READS_PER_TURN 4u
#define IN_CHUNK_BYTES 4096u
#define IN_GROWTH_BYTES                                                                            \
    262144u /* a large packet's buffer grows as its bytes come, by at most this */
#define CLOSE_GRACE_MS 5000u
/* The bytes of a packet of which so much is missing show that its sender is alive: a slow link may
 * take longer for it than the keep alive. */
#define LARGE_REST_BYTES 1000u

struct conn *mqbx_conn_new(struct engine *e, struct link *l)
{
    struct conn *c = mqbx_slab_get(&e->conn_slab);
    if (!c)
        return NULL;
    c->link = l;
    c->number = mqbx_engine_next_id(e);
    c->max_packet_bytes = MQTT_MAX_PACKET + 5;
    c->receive_maximum = UINT16_MAX;
    c->wants_problem_info = true;
    c->expires_ms = UINT64_MAX;
    c->last_read_ms = e->now.mono_ms;
    mqbx_timer_init(&c->timer, TIMER_CONN);
    mqbx_list_init(&c->run_node);
    mqbx_list_push_back(&e->conns, &c->node);
    mqbx_counter_add(&e->metrics.connections, 1);
    mqbx_atomic_add64(&e->shared->connections, 1);
    l->conn = c;
    return c;
}

void mqbx_conn_free(struct engine *e, struct conn *c)
{
    mqbx_wheel_cancel(&e->wheel, &c->timer);
    mqbx_list_remove(&c->node);
    mqbx_list_remove(&c->run_node);
    mqbx_output_drop(e, c);
    mqbx_buffer_fini(&c->in, &e->alloc);
    mqbx_alias_fini(e, c);
    mqbx_ask_forget(e, &c->asked);
    mqbx_arrival_free(e, c->arrival);
    mqbx_subscribe_op_free(e, c);
    if (c->link)
        c->link->ops->close(c->link);
    mqbx_counter_sub(&e->metrics.connections, 1);
    mqbx_atomic_add64(&e->shared->connections, UINT64_MAX);
    mqbx_slab_put(&e->conn_slab, c);
}

void mqbx_conn_mark_dirty(struct engine *e, struct conn *c)
{
    if (c->is_dirty)
        return;
    c->is_dirty = true;
    c->next_dirty = NULL;
    if (e->dirty_tail)
        e->dirty_tail->next_dirty = c;
    else
        e->dirty_head = c;
    e->dirty_tail = c;
}

/* --- reading --------------------------------------------------------------------------------- */

static bool may_read(const struct engine *e, const struct conn *c)
{
    return c->state < CONN_CLOSING && !c->is_parked && !c->is_paused && !c->is_held_up &&
           !e->is_stopped;
}

void mqbx_conn_ready(struct engine *e, struct conn *c)
{
    if (c->state == CONN_DOOMED || c->is_paused)
        return;
    mqbx_list_remove(&c->run_node);
    mqbx_list_push_back(&e->ready, &c->run_node);
}

void mqbx_conn_update_wants(struct engine *e, struct conn *c)
{
    uint8_t wants = 0;
    if (may_read(e, c))
        wants |= LINK_READ;
    if (c->out.bytes > 0 && !c->is_dirty) /* the link took less than it was offered */
        wants |= LINK_WRITE;
    if (c->state == CONN_DOOMED || wants == c->wants)
        return;
    c->wants = wants;
    c->link->ops->want(c->link, wants);
}

void mqbx_conn_park(struct engine *e, struct conn *c)
{
    c->is_parked = true;
    mqbx_conn_update_wants(e, c);
}

/* What was read before goes on first; then the link, which may hold bytes it will not report. */
static void read_again(struct engine *e, struct conn *c)
{
    c->last_read_ms = e->now.mono_ms; /* time in which we do not read never counts */
    if (c->in.len > 0 || !c->link->is_drained)
        mqbx_conn_ready(e, c);
    mqbx_conn_update_wants(e, c);
}

void mqbx_conn_unpark(struct engine *e, struct conn *c)
{
    c->is_parked = false;
    read_again(e, c);
}

void mqbx_conn_ack_room(struct engine *e, struct conn *c)
{
    bool is_full = mqbx_ack_waiting(c->session) >= e->settings->receive_maximum;
    if (c->is_held_up == is_full)
        return;
    c->is_held_up = is_full;
    if (is_full)
        mqbx_conn_update_wants(e, c);
    else
        read_again(e, c);
}

/* A publisher waits while an inbox is over its mark. */
static bool pause_publisher(struct engine *e, struct conn *c)
{
    if (e->pressed == 0 || !c->is_publisher || c->state != CONN_OPEN)
        return false;
    c->is_paused = true;
    mqbx_list_remove(&c->run_node);
    mqbx_list_push_back(&e->paused, &c->run_node);
    mqbx_counter_add(&e->metrics.publishers_paused, 1);
    mqbx_conn_update_wants(e, c);
    return true;
}

/* Answers how many bytes were used up. */
static uint32_t parse(struct engine *e, struct conn *c, const uint8_t *in, uint32_t len)
{
    uint32_t used = 0;
    while (used < len && may_read(e, c)) {
        struct frame f;
        uint8_t reason = RC_SUCCESS;
        if (c->state == CONN_NEW && in[used] >> 4 != PKT_CONNECT) { /* [MQTT-3.1.0-1] */
            mqbx_conn_refuse(e, c, RC_PROTOCOL_ERROR, "the first packet is not CONNECT");
            break;
        }
        enum frame_status status = mqbx_frame(in + used, len - used, &f, &reason);
        if (status == FRAME_MORE)
            break;
        if (status == FRAME_BAD) {
            mqbx_conn_fail(e, c, reason, "malformed fixed header");
            break;
        }
        uint32_t total = f.header_len + f.body_len;
        if (total > e->settings->max_packet_bytes) {
            mqbx_conn_fail(e, c, RC_PACKET_TOO_LARGE, "packet over limits.max_packet_bytes");
            break;
        }
        if (total > len - used)
            break;
        mqbx_counter_add(&e->metrics.packets_received, 1);
        c->last_read_ms = e->now.mono_ms; /* [MQTT-3.1.2-22] packets count, not bytes */
        if (!mqbx_packet(e, c, &f, mqbx_bytes(in + used + f.header_len, f.body_len)))
            break;
        used += total;
    }
    return used;
}

/* The whole length of the packet at the front of `in`, as far as it can be told. */
static uint32_t front_packet_len(const struct conn *c)
{
    struct frame f;
    uint8_t reason;
    if (mqbx_frame(c->in.ptr, c->in.len, &f, &reason) != FRAME_OK)
        return 0;
    return f.header_len + f.body_len;
}

void mqbx_conn_parse_pending(struct engine *e, struct conn *c)
{
    if (c->in.len > 0 && may_read(e, c)) {
        uint32_t used = parse(e, c, c->in.ptr, c->in.len);
        if (c->state < CONN_CLOSING) /* closing has dropped it all */
            mqbx_buffer_consume(&c->in, &e->alloc, used);
    }
    mqbx_connect_settle(e, c);
}

static int64_t count_read(struct engine *e, struct conn *c, int64_t n)
{
    if (n > 0) {
        mqbx_counter_add(&e->metrics.bytes_received, (uint64_t)n);
        c->bytes_in += (uint64_t)n;
    }
    return n;
}

static int64_t read_in_place(struct engine *e, struct conn *c)
{
    int64_t n = count_read(e, c, c->link->ops->read(c->link, e->read_buffer, READ_BUFFER_BYTES));
    if (n <= 0)
        return n;
    uint32_t used = parse(e, c, e->read_buffer, (uint32_t)n);
    if (used < n && c->state < CONN_CLOSING &&
        !mqbx_buffer_append(&c->in, &e->alloc, e->read_buffer + used, (size_t)n - used))
        mqbx_conn_fail(e, c, RC_SERVER_BUSY, "out of memory for an incomplete packet");
    mqbx_connect_settle(e, c);
    return n;
}

static int64_t read_behind(struct engine *e, struct conn *c)
{
    uint32_t total = front_packet_len(c);
    uint32_t more = total > c->in.len ? total - c->in.len : IN_CHUNK_BYTES;
    if (more > IN_GROWTH_BYTES)
        more = IN_GROWTH_BYTES;
    if (!mqbx_buffer_reserve(&c->in, &e->alloc, more)) {
        mqbx_conn_fail(e, c, RC_SERVER_BUSY, "out of memory for an incomplete packet");
        return LINK_AGAIN;
    }
    int64_t n =
        count_read(e, c, c->link->ops->read(c->link, c->in.ptr + c->in.len, c->in.cap - c->in.len));
    if (n <= 0)
        return n;
    c->in.len += (uint32_t)n;
    if (total > c->in.len + LARGE_REST_BYTES)
        c->last_read_ms = e->now.mono_ms;
    mqbx_conn_parse_pending(e, c);
    return n;
}

void mqbx_conn_read(struct engine *e, struct conn *c)
{
    if (pause_publisher(e, c))
        return;
    mqbx_conn_parse_pending(e, c);
    for (uint32_t i = 0; i < READS_PER_TURN; i++) {
        if (!may_read(e, c) || !c->link)
            return;
        int64_t n = c->in.len > 0 ? read_behind(e, c) : read_in_place(e, c);
        if (n == LINK_AGAIN || (n > 0 && c->link && c->link->is_drained))
            return;
        if (n < 0) {
            mqbx_conn_lost(e, c, n == LINK_EOF ? "connection closed by the peer" : NULL);
            return;
        }
    }
    if (c->link && may_read(e, c))
        mqbx_conn_ready(e, c);
}

/* --- the ways one ends ----------------------------------------------------------------------- */

void mqbx_conn_log(struct engine *e, const struct conn *c, enum log_level level, const char *event,
                   int reason, const char *detail)
{
    struct link_facts facts = {.address = NULL};
    if (c->link)
        c->link->ops->facts(c->link, &facts);
    struct log_event ev = {.level = level,
                           .module = "connection",
                           .event = event,
                           .address = facts.address,
                           .reason = reason,
                           .detail = detail};
    if (c->session)
        ev.client = mqbx_session_client_id(c->session);
    else if (c->arrival)
        ev.client = mqbx_arrival_client_id(c->arrival);
    mqbx_engine_log(e, &ev);
}

static void part(struct engine *e, struct conn *c, bool discard_will)
{
    struct session *s = c->session;
    if (!s)
        return;
    c->session = NULL;
    mqbx_session_part(e, s, discard_will);
}

void mqbx_conn_close(struct engine *e, struct conn *c)
{
    if (c->state >= CONN_CLOSING)
        return;
    part(e, c, true);
    c->state = CONN_CLOSING;
    mqbx_list_remove(&c->run_node);
    c->is_paused = false;
    mqbx_buffer_fini(&c->in, &e->alloc);
    mqbx_wheel_set(&e->wheel, &c->timer, e->now.mono_ms + CLOSE_GRACE_MS);
    mqbx_conn_mark_dirty(e, c);
}

void mqbx_conn_doom(struct engine *e, struct conn *c)
{
    if (c->state == CONN_DOOMED)
        return;
    part(e, c, false);
    c->state = CONN_DOOMED;
    mqbx_wheel_cancel(&e->wheel, &c->timer);
    mqbx_list_remove(&c->run_node);
    c->is_paused = false;
    mqbx_list_remove(&c->node);
    mqbx_list_push_back(&e->doomed, &c->node);
}

void mqbx_conn_lost(struct engine *e, struct conn *c, const char *text)
{
    if (c->state >= CONN_CLOSING) {
        mqbx_conn_doom(e, c);
        return;
    }
    struct link_facts facts = {.error_text = NULL};
    if (!text) {
        c->link->ops->facts(c->link, &facts);
        text = facts.error_text;
    }
    mqbx_counter_add(&e->metrics.connections_lost, 1);
    mqbx_conn_log(e, c, c->session ? LOG_INFO : LOG_DEBUG, "connection lost", -1, text);
    mqbx_conn_doom(e, c);
}

/* Parts first, so that the will goes out behind nothing, and DISCONNECT is the last packet. */
static void disconnect(struct engine *e, struct conn *c, uint8_t reason, const char *text)
{
    if (c->state == CONN_OPEN && c->version == MQTT_V5)
        mqbx_send_disconnect(e, c, reason, text); /* [MQTT-3.14.0-1] */
    part(e, c, false);
    mqbx_conn_close(e, c);
}

void mqbx_conn_fail(struct engine *e, struct conn *c, uint8_t reason, const char *text)
{
    if (c->state >= CONN_CLOSING)
        return;
    if (c->state != CONN_OPEN) {
        mqbx_conn_refuse(e, c, reason, text);
        return;
    }
    if (reason == RC_KEEP_ALIVE_TIMEOUT)
        mqbx_counter_add(&e->metrics.connections_keep_alive, 1);
    else
        mqbx_counter_add(&e->metrics.connections_malformed, 1);
    mqbx_conn_log(e, c, LOG_WARN, "connection closed", reason, text);
    disconnect(e, c, reason, text);
}

void mqbx_conn_send_away(struct engine *e, struct conn *c, uint8_t reason, const char *text)
{
    if (c->state >= CONN_CLOSING)
        return;
    mqbx_conn_log(e, c, LOG_INFO, "client sent away", reason, text);
    disconnect(e, c, reason, NULL);
}

void mqbx_conn_end_later(struct engine *e, struct conn *c, uint8_t reason)
{
    if (c->state != CONN_OPEN)
        return;
    c->end_reason = reason;
    mqbx_list_remove(&c->run_node);
    c->is_paused = false;
    mqbx_list_push_back(&e->ready, &c->run_node);
}

/* --- timers ---------------------------------------------------------------------------------- */

/* The next thing to look at: silence, or the end of what the client was let in for. */
static void set_timer(struct engine *e, struct conn *c)
{
    uint64_t due = c->keep_alive_ms > 0 ? c->last_read_ms + c->keep_alive_ms : UINT64_MAX;
    if (c->expires_ms < due)
        due = c->expires_ms;
    if (due == UINT64_MAX)
        mqbx_wheel_cancel(&e->wheel, &c->timer);
    else
        mqbx_wheel_set(&e->wheel, &c->timer, due);
}

void mqbx_conn_start_keep_alive(struct engine *e, struct conn *c)
{
    set_timer(e, c);
}

static void open_timer(struct engine *e, struct conn *c)
{
    if (c->is_paused || c->is_parked || c->is_held_up)
        c->last_read_ms = e->now.mono_ms;
    if (c->expires_ms <= e->now.mono_ms)
        mqbx_conn_send_away(e, c, RC_NOT_AUTHORIZED, "authentication expired");
    else if (c->keep_alive_ms > 0 && e->now.mono_ms - c->last_read_ms >= c->keep_alive_ms)
        mqbx_conn_fail(e, c, RC_KEEP_ALIVE_TIMEOUT, "keep alive"); /* [MQTT-3.1.2-22] */
    else
        set_timer(e, c);
}

void mqbx_conn_timer(struct engine *e, struct conn *c)
{
    switch (c->state) {
    case CONN_NEW:
        mqbx_conn_log(e, c, LOG_INFO, "no CONNECT in time", -1, NULL);
        mqbx_counter_add(&e->metrics.connections_refused, 1);
        mqbx_conn_doom(e, c);
        break;
    case CONN_ASKING:
        mqbx_conn_refuse(e, c, RC_NOT_AUTHORIZED, "no answer to the authentication in time");
        break;
    case CONN_OPEN:
        open_timer(e, c);
        break;
    case CONN_CLOSING:
        mqbx_conn_doom(e, c);
        break;
    default:
        assert(!"a doomed connection has no timer");
    }
}

/* --- flushing ------------------------------------------------------------------------------- */

void mqbx_conn_flush(struct engine *e, struct conn *c)
{
    if (c->state == CONN_DOOMED)
        return;
    if (c->has_acked && c->out.bytes == 0 && c->link->ops->hurry)
        c->link->ops->hurry(c->link);
    c->has_acked = false;
    if (!mqbx_output_flush(e, c)) {
        mqbx_conn_lost(e, c, NULL);
        return;
    }
    if (c->state == CONN_CLOSING && c->out.bytes == 0) {
        mqbx_conn_doom(e, c);
        return;
    }
    mqbx_conn_update_wants(e, c);
    if (c->session && c->out.bytes < e->settings->output_mark_bytes)
        mqbx_session_want_pump(e, c->session);
}
