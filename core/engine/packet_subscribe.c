/* SPDX-License-Identifier: MIT */
/*
 * SUBSCRIBE and UNSUBSCRIBE. A SUBSCRIBE with shared filters waits for the homes of their groups;
 * meanwhile the input is parked, so that SUBACK and all behind it keep their order.
 */
#include "engine/delivery.h"
#include "engine/packets.h"
#include "mqtt/topic.h"

/* A SUBSCRIBE under way: its codes, and the texts that wait. */
struct subscribe_op {
    size_t size;
    uint32_t count;   /* filters */
    uint32_t at;      /* the first without a code */
    uint32_t waiting; /* groups that have not answered */
    uint16_t packet_id;
    struct bytes *waits; /* by filter: the text, on the heap, until it is answered */
    uint8_t codes[];
};

static struct subscribe_op *op_new(struct engine *e, const struct subscribe *p)
{
    size_t size = sizeof(struct subscribe_op) + p->count;
    struct subscribe_op *op = mqbx_zalloc(&e->alloc, size);
    if (!op)
        return NULL;
    op->size = size;
    op->count = p->count;
    op->packet_id = p->packet_id;
    return op;
}

void mqbx_subscribe_op_free(struct engine *e, struct conn *c)
{
    struct subscribe_op *op = c->op;
    if (!op)
        return;
    c->op = NULL;
    for (uint32_t i = 0; op->waits && i < op->count; i++)
        mqbx_free(&e->alloc, (void *)(uintptr_t)op->waits[i].ptr, op->waits[i].len);
    mqbx_free(&e->alloc, op->waits, op->count * sizeof(*op->waits));
    mqbx_free(&e->alloc, op, op->size);
}

static bool op_wait(struct engine *e, struct subscribe_op *op, uint32_t i, struct bytes text)
{
    if (!op->waits)
        op->waits = mqbx_zalloc(&e->alloc, op->count * sizeof(*op->waits));
    uint8_t *copy = op->waits ? mqbx_alloc(&e->alloc, text.len) : NULL;
    if (!copy)
        return false;
    memcpy(copy, text.ptr, text.len);
    op->waits[i] = mqbx_bytes(copy, text.len);
    op->waiting++;
    return true;
}

/* [MQTT-3.8.4-1], [MQTT-3.8.4-6] */
static void op_finish(struct engine *e, struct conn *c)
{
    struct subscribe_op *op = c->op;
    if (c->version != MQTT_V5)
        for (uint32_t i = 0; i < op->count; i++)
            if (op->codes[i] >= 0x80)
                op->codes[i] = RC_UNSPECIFIED;
    mqbx_send_suback(e, c, op->packet_id, mqbx_bytes(op->codes, op->count), false);
    mqbx_subscribe_op_free(e, c);
    if (c->session)
        mqbx_session_want_pump(e, c->session);
}

void mqbx_subscribe_op_joined(struct engine *e, struct conn *c, struct bytes text, uint8_t code)
{
    struct subscribe_op *op = c->op;
    if (!op || !op->waits)
        return;
    for (uint32_t i = 0; i < op->count; i++) {
        struct bytes *wait = &op->waits[i];
        if (!wait->ptr || !mqbx_bytes_equal(*wait, text))
            continue;
        mqbx_free(&e->alloc, (void *)(uintptr_t)wait->ptr, wait->len);
        *wait = (struct bytes){.ptr = NULL};
        op->waiting--;
        op->codes[i] = code;
    }
    if (op->waiting > 0)
        return;
    op_finish(e, c);
    mqbx_conn_unpark(e, c);
}

/* --- one filter ------------------------------------------------------------------------------ */

/* The text with the mountpoint in front of its filter, in e->scratch when there is one. False: too
 * long. */
static bool mount(struct engine *e, const struct conn *c, struct subscribe_request *r)
{
    struct bytes prefix = mqbx_identity_mountpoint(c->session->who);
    uint32_t front = (uint32_t)(r->filter.ptr - r->text.ptr);
    if (prefix.len == 0)
        return true;
    uint32_t total = r->text.len + prefix.len;
    if (total > UINT16_MAX)
        return false;
    memcpy(e->scratch, r->text.ptr, front);
    memcpy(e->scratch + front, prefix.ptr, prefix.len);
    memcpy(e->scratch + front + prefix.len, r->filter.ptr, r->filter.len);
    if (r->share_name.len > 0)
        r->share_name.ptr = e->scratch + (r->share_name.ptr - r->text.ptr);
    r->text = mqbx_bytes(e->scratch, total);
    r->filter = mqbx_bytes(e->scratch + front, total - front);
    return true;
}

static uint8_t check_filter(const struct engine *e, enum share_status share,
                            const struct subscribe_request *r)
{
    const struct settings *set = e->settings;
    if (share == SHARE_BAD || !mqbx_topic_filter_valid(r->filter))
        return RC_TOPIC_FILTER_INVALID;
    if (r->filter.len > set->max_topic_bytes ||
        mqbx_topic_levels(r->filter) > set->max_topic_levels)
        return RC_TOPIC_FILTER_INVALID;
    if (share == SHARE_OK && !set->shared_available)
        return RC_SHARED_SUBSCRIPTIONS_NOT_SUPPORTED;
    if (!set->wildcard_available && mqbx_topic_filter_has_wildcard(r->filter))
        return RC_WILDCARD_SUBSCRIPTIONS_NOT_SUPPORTED;
    return RC_SUCCESS;
}

static enum verdict ask(struct engine *e, struct conn *c, const struct subscribe_request *r,
                        uint8_t *reason)
{
    if (!c->session->who->permissions && !mqbx_asks(e, ASK_SUBSCRIBE))
        return VERDICT_ALLOW;
    struct question q = {
        .kind = ASK_SUBSCRIBE, .topic = r->filter, .share_name = r->share_name, .qos = r->qos};
    struct answer a;
    enum verdict v = mqbx_ask_conn(e, c, &q, &a);
    if (v == VERDICT_ALLOW || v == VERDICT_PENDING)
        return v;
    *reason = a.reason >= 0x80 ? a.reason : RC_NOT_AUTHORIZED;
    if (a.ends_connection)
        mqbx_conn_fail(e, c, *reason, "subscribe denied");
    return VERDICT_DENY;
}

static uint8_t subscribe_mounted(struct engine *e, struct conn *c, struct subscribe_request *r,
                                 uint32_t index)
{
    if (!mount(e, c, r))
        return RC_TOPIC_FILTER_INVALID;
    switch (mqbx_subscribe(e, c->session, r)) {
    case SUBSCRIBED:
        return r->qos; /* [MQTT-3.8.4-7] */
    case SUBSCRIBE_WAITS:
        return op_wait(e, c->op, index, r->text) ? r->qos : (uint8_t)RC_UNSPECIFIED;
    default:
        return RC_QUOTA_EXCEEDED;
    }
}

/* False: waits for an answer. */
static bool subscribe_one(struct engine *e, struct conn *c, const struct subscribe_filter *f,
                          uint32_t identifier)
{
    struct subscribe_op *op = c->op;
    struct subscribe_request r = {.text = f->filter,
                                  .filter = f->filter,
                                  .identifier = identifier,
                                  .qos =
                                      f->qos < e->settings->max_qos ? f->qos : e->settings->max_qos,
                                  .no_local = f->no_local,
                                  .retain_as_published = f->retain_as_published,
                                  .retain_handling = f->retain_handling};
    enum share_status share = mqbx_topic_share(f->filter, &r.share_name, &r.filter);
    if (share != SHARE_OK) {
        r.filter = f->filter;
        r.share_name = mqbx_bytes(NULL, 0);
    }
    uint8_t reason = check_filter(e, share, &r);
    enum verdict v = reason == RC_SUCCESS ? ask(e, c, &r, &reason) : VERDICT_DENY;
    if (v == VERDICT_PENDING || c->state != CONN_OPEN)
        return false;
    op->codes[op->at] = v == VERDICT_ALLOW ? subscribe_mounted(e, c, &r, op->at) : reason;
    return true;
}

/* From the first filter without a code on. False: waits for an answer. */
static bool subscribe_all(struct engine *e, struct conn *c, const struct subscribe *p)
{
    struct subscribe_filter f;
    uint32_t pos = 0;
    for (uint32_t i = 0; mqbx_subscribe_next(p, c->version, &pos, &f); i++) { /* [MQTT-3.8.4-5] */
        if (i < c->op->at)
            continue;
        if (!subscribe_one(e, c, &f, p->props.subscription_id))
            return false;
        c->op->at++;
    }
    return true;
}

static uint8_t begin(struct engine *e, struct conn *c, struct bytes body, uint8_t flags,
                     struct subscribe *p)
{
    uint8_t reason = mqbx_parse_subscribe(body, flags, c->version, p);
    if (reason != RC_SUCCESS)
        return reason;
    if ((p->props.has & HAS_SUBSCRIPTION_ID) && !e->settings->subscription_id_available)
        return RC_SUBSCRIPTION_IDENTIFIERS_NOT_SUPPORTED;
    if (!c->op)
        c->op = op_new(e, p);
    return c->op ? RC_SUCCESS : RC_SERVER_BUSY;
}

bool mqbx_packet_subscribe(struct engine *e, struct conn *c, struct bytes body, uint8_t flags)
{
    struct subscribe p;
    uint8_t reason = begin(e, c, body, flags, &p);
    if (reason != RC_SUCCESS) {
        mqbx_conn_fail(e, c, reason, "SUBSCRIBE not acceptable");
        return true;
    }
    if (!subscribe_all(e, c, &p))
        return c->state != CONN_OPEN; /* closed by a denial, or to be looked at again */
    if (c->op->waiting > 0)
        mqbx_conn_park(e, c);
    else
        op_finish(e, c);
    return true;
}

/* --- UNSUBSCRIBE ---------------------------------------------------------------------------- */

static uint8_t unsubscribe_one(struct engine *e, struct conn *c, struct bytes text)
{
    struct subscribe_request r = {.text = text, .filter = text};
    if (mqbx_topic_share(text, &r.share_name, &r.filter) != SHARE_OK)
        r.filter = text;
    if (!mount(e, c, &r))
        return RC_NO_SUBSCRIPTION_EXISTED;
    struct subscription *sub = mqbx_subscription_find(e, c->session, r.text);
    if (!sub)
        return RC_NO_SUBSCRIPTION_EXISTED;
    mqbx_unsubscribe(e, sub);
    return RC_SUCCESS;
}

void mqbx_packet_unsubscribe(struct engine *e, struct conn *c, struct bytes body, uint8_t flags)
{
    struct unsubscribe p;
    uint8_t reason = mqbx_parse_unsubscribe(body, flags, c->version, &p);
    uint8_t *codes = reason == RC_SUCCESS ? mqbx_alloc(&e->alloc, p.count) : NULL;
    if (!codes) {
        mqbx_conn_fail(e, c, reason != RC_SUCCESS ? reason : RC_SERVER_BUSY,
                       "UNSUBSCRIBE not acceptable");
        return;
    }
    struct bytes filter;
    uint32_t pos = 0;
    for (uint32_t i = 0; mqbx_unsubscribe_next(&p, &pos, &filter); i++) /* [MQTT-3.10.4-6] */
        codes[i] = unsubscribe_one(e, c, filter);
    mqbx_send_suback(e, c, p.packet_id, mqbx_bytes(codes, p.count), true); /* [MQTT-3.10.4-4] */
    mqbx_free(&e->alloc, codes, p.count);
}
