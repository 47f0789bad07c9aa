/* SPDX-License-Identifier: MIT */
/*
 * Acknowledgements that wait for their message to be kept: one FIFO a session, answered from its
 * head, so that they leave in the order their publishes came. It belongs to the session because a
 * QoS 2 publish that is repeated on a new connection must wait for the same commit.
 */
#include <mqttbroker.h>

#include "engine/delivery.h"
#include "engine/hold.h"

static bool waits(const struct session *s)
{
    return s->acks && s->acks->count > 0;
}

uint32_t mqbx_ack_waiting(const struct session *s)
{
    return s->acks ? s->acks->count : 0;
}

static void finish_local(struct engine *e, struct local_publish *lp, int32_t err)
{
    if (lp->done)
        lp->done(lp->arg, err);
    mqbx_free(e->seams.alloc, lp, sizeof(*lp));
}

static void answer(struct engine *e, const struct session *s, const struct pending_ack *a)
{
    if (a->publish)
        finish_local(e, a->publish, MQB_OK);
    else if (s->conn && s->conn->number == a->conn && s->conn->state == CONN_OPEN)
        mqbx_send_ack(e, s->conn, a->type, a->packet_id, a->reason);
}

static void answer_head(struct engine *e, struct session *s)
{
    while (waits(s)) {
        struct pending_ack a = *(struct pending_ack *)mqbx_ring_at(s->acks, 0);
        if (!a.is_done)
            return;
        mqbx_ring_pop_front(s->acks, &e->alloc);
        answer(e, s, &a);
    }
    if (s->conn)
        mqbx_conn_ack_room(e, s->conn);
}

static bool push(struct engine *e, struct session *s, const struct pending_ack *a)
{
    if (!s->acks) {
        s->acks = mqbx_zalloc(&e->alloc, sizeof(*s->acks));
        if (!s->acks)
            return false;
        mqbx_ring_init(s->acks, sizeof(*a));
    }
    return mqbx_ring_push_back(s->acks, &e->alloc, a);
}

void mqbx_ack_conn(struct engine *e, struct conn *c, uint8_t type, uint16_t packet_id,
                   uint8_t reason, uint64_t token)
{
    struct pending_ack a = {.token = token,
                            .conn = c->number,
                            .packet_id = packet_id,
                            .type = type,
                            .reason = reason,
                            .is_done = token == 0};
    if (token == 0 && !waits(c->session))
        answer(e, c->session, &a);
    else if (!push(e, c->session, &a))
        mqbx_conn_end_later(e, c, RC_SERVER_BUSY); /* unacknowledged: it will be sent again */
    else
        mqbx_conn_ack_room(e, c);
}

void mqbx_ack_local(struct engine *e, struct session *s, struct local_publish *lp, uint64_t token)
{
    struct pending_ack a = {.token = token, .publish = lp, .is_done = token == 0};
    if (token == 0 && !waits(s))
        finish_local(e, lp, MQB_OK);
    else if (!push(e, s, &a))
        finish_local(e, lp, MQB_ENOMEM);
}

/* What was answered on the old connection is answered anew, from the end of the FIFO: this one must
 * not overtake it. */
static void move_to_end(const struct session *s, uint32_t index)
{
    struct pending_ack moved = *(struct pending_ack *)mqbx_ring_at(s->acks, index);
    for (; index + 1 < s->acks->count; index++)
        *(struct pending_ack *)mqbx_ring_at(s->acks, index) =
            *(struct pending_ack *)mqbx_ring_at(s->acks, index + 1);
    *(struct pending_ack *)mqbx_ring_at(s->acks, index) = moved;
}

bool mqbx_ack_redirect(struct engine *e, struct session *s, const struct conn *c,
                       uint16_t packet_id)
{
    for (uint32_t i = 0; i < mqbx_ack_waiting(s); i++) {
        struct pending_ack *a = mqbx_ring_at(s->acks, i);
        if (a->packet_id != packet_id || a->type != PKT_PUBREC)
            continue;
        a->conn = c->number;
        move_to_end(s, i);
        answer_head(e, s);
        return true;
    }
    return false;
}

void mqbx_ack_kept(struct engine *e, uint64_t session, uint64_t token)
{
    struct session *s = mqbx_session_by_id(e, session);
    if (!s || !waits(s))
        return;
    for (uint32_t i = 0; i < s->acks->count; i++) {
        struct pending_ack *a = mqbx_ring_at(s->acks, i);
        if (a->token != token)
            continue;
        a->is_done = true;
        break;
    }
    answer_head(e, s);
}

void mqbx_ack_fini(struct engine *e, struct session *s)
{
    if (!s->acks)
        return;
    while (s->acks->count > 0) {
        struct pending_ack a = *(struct pending_ack *)mqbx_ring_at(s->acks, 0);
        mqbx_ring_pop_front(s->acks, &e->alloc);
        if (a.publish)
            finish_local(e, a.publish, MQB_ECANCELED);
    }
    mqbx_free(&e->alloc, s->acks, sizeof(*s->acks));
    s->acks = NULL;
}
