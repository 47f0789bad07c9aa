/* SPDX-License-Identifier: MIT */
/*
 * See asking.h.
 */
#include "engine/asking.h"

#include "engine/conn.h"
#include "engine/identity.h"
#include "engine/local_session.h"
#include "engine/packets.h"
#include "engine/permissions.h"
#include "engine/session.h"

static bool has_number(const void *value, const void *key)
{
    return ((const struct asked *)value)->number == *(const uint64_t *)key;
}

static void fill_who(const struct identity *who, uint32_t tenant, struct principal *out)
{
    out->tenant = tenant;
    out->client_id = mqbx_identity_client_id(who);
    out->user_name = mqbx_identity_user_name(who);
    out->has_user_name = who->has_user_name;
    out->attributes = mqbx_identity_attributes(who);
}

/* What the client's own permissions say. */
static enum permission check_permissions(const struct identity *who, const struct question *q)
{
    if (!who->permissions || q->kind == ASK_CONNECT || q->kind == ASK_AUTH)
        return PERMISSION_NONE;
    return mqbx_permissions_check(who->permissions, q);
}

/* Answered without a question: ALLOW, DENY, or PENDING for "ask". */
static enum verdict decide(struct engine *e, const struct identity *who, const struct question *q,
                           struct answer *a)
{
    enum permission own = check_permissions(who, q);
    *a = (struct answer){.verdict = VERDICT_DENY};
    if (own == PERMISSION_DENY)
        return VERDICT_DENY;
    if (own == PERMISSION_ALLOW || !mqbx_asks(e, q->kind))
        return a->verdict = VERDICT_ALLOW;
    return VERDICT_PENDING;
}

static struct asked *asked_new(struct engine *e, const struct question *q)
{
    struct asked *w = mqbx_zalloc(&e->alloc, sizeof(*w));
    if (!w)
        return NULL;
    w->number = q->number;
    w->kind = q->kind;
    if (!mqbx_table_insert(&e->asked, mqbx_hash_mix(w->number), w)) {
        mqbx_free(&e->alloc, w, sizeof(*w));
        return NULL;
    }
    return w;
}

static void asked_free(struct engine *e, struct asked *w)
{
    mqbx_table_remove(&e->asked, mqbx_hash_mix(w->number), w);
    mqbx_free(&e->alloc, w, sizeof(*w));
}

void mqbx_ask_forget(struct engine *e, struct asked **slot)
{
    struct asked *w = *slot;
    if (!w)
        return;
    *slot = NULL;
    if (!w->is_answered && e->seams.unask)
        e->seams.unask(e->seams.ctx, w->number);
    asked_free(e, w);
}

/* The place for a late answer is made before the question: afterwards nothing can fail. */
static enum verdict ask(struct engine *e, struct question *q, struct answer *a, struct asked **slot)
{
    q->number = mqbx_engine_next_id(e);
    struct asked *w = asked_new(e, q);
    if (!w)
        return VERDICT_DENY;
    a->verdict = e->seams.ask(e->seams.ctx, q, a);
    if (a->verdict == VERDICT_PENDING)
        *slot = w;
    else
        asked_free(e, w);
    return a->verdict;
}

/* The answer that came while the input was parked. */
static enum verdict take_answer(struct engine *e, struct asked **slot, struct answer *a)
{
    struct asked *w = *slot;
    *a = w->answer;
    *slot = NULL;
    asked_free(e, w);
    return a->verdict;
}

enum verdict mqbx_ask_conn(struct engine *e, struct conn *c, struct question *q, struct answer *a)
{
    const struct identity *who = c->session ? c->session->who : c->arrival->who;
    if (c->asked && c->asked->is_answered)
        return take_answer(e, &c->asked, a);
    enum verdict v = decide(e, who, q, a);
    if (v != VERDICT_PENDING)
        return v;
    struct link_facts facts;
    c->link->ops->facts(c->link, &facts);
    fill_who(who, c->session ? c->session->tenant : c->arrival->tenant, &q->who);
    q->who.client = c->session ? c->session->id : 0;
    q->who.conn = c->number;
    q->who.protocol = c->version;
    q->who.facts = &facts;
    v = ask(e, q, a, &c->asked);
    if (v == VERDICT_PENDING) {
        c->asked->conn = c;
        mqbx_conn_park(e, c);
    }
    return v;
}

enum verdict mqbx_ask_local(struct engine *e, struct local *l, struct question *q, struct answer *a)
{
    const struct session *s = l->session;
    if (l->asked && l->asked->is_answered)
        return take_answer(e, &l->asked, a);
    enum verdict v = decide(e, s->who, q, a);
    if (v != VERDICT_PENDING)
        return v;
    fill_who(s->who, s->tenant, &q->who);
    q->who.client = s->id;
    v = ask(e, q, a, &l->asked);
    if (v == VERDICT_PENDING)
        l->asked->local = l;
    return v;
}

bool mqbx_ask_receive(struct engine *e, const struct session *s, struct bytes topic, uint8_t qos,
                      bool retain)
{
    struct question q = {.kind = ASK_RECEIVE, .topic = topic, .qos = qos, .retain = retain};
    struct answer a;
    enum verdict v = decide(e, s->who, &q, &a);
    if (v != VERDICT_PENDING)
        return v == VERDICT_ALLOW;
    struct link_facts facts;
    fill_who(s->who, s->tenant, &q.who);
    q.who.client = s->id;
    q.who.protocol = s->protocol;
    if (s->conn) {
        s->conn->link->ops->facts(s->conn->link, &facts);
        q.who.conn = s->conn->number;
        q.who.facts = &facts;
    }
    return e->seams.ask(e->seams.ctx, &q, &a) == VERDICT_ALLOW;
}

void mqbx_engine_answer(struct engine *e, uint64_t number, const struct answer *answer)
{
    struct asked *w = mqbx_table_find(&e->asked, mqbx_hash_mix(number), has_number, &number);
    if (!w || w->is_answered) {
        mqbx_permissions_unref(answer->permissions);
        return;
    }
    if (w->conn && w->conn->state == CONN_ASKING) {
        struct conn *c = w->conn;
        enum question_kind kind = w->kind;
        c->asked = NULL;
        asked_free(e, w);
        mqbx_connect_answered(e, c, kind, answer);
        mqbx_conn_ready(e, c); /* settled by the next look at its input */
        return;
    }
    mqbx_permissions_unref(answer->permissions);
    w->is_answered = true;
    w->answer = (struct answer){.verdict = answer->verdict,
                                .reason = answer->reason,
                                .ends_connection = answer->ends_connection};
    if (w->conn)
        mqbx_conn_unpark(e, w->conn);
    else
        mqbx_local_answered(e, w->local);
}
