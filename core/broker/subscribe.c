/* SPDX-License-Identifier: MIT */
/*
 * In-process subscriptions. Calls come on any thread, callbacks on the home's. `subs` knows every
 * subscription from the call until its arg_free, so that a stale id is answered at once.
 */
#include <assert.h>
#include <string.h>

#include "base/hash.h"
#include "broker/broker.h"
#include "broker/error.h"
#include "broker/message.h"
#include "broker/wait.h"
#include "engine/local.h"
#include "mqtt/topic.h"
#include "mqtt/utf8.h"

#define SUBSCRIBE_FLAGS (MQB_SUB_NO_LOCAL | MQB_SUB_RETAIN_AS_PUBLISHED | MQB_SUB_NO_ACL)
#define IDENTIFIER_MAX 268435455u
#define HOME_SHIFT 56

struct sub {
    struct local_subscription inner; /* first: the engine frees the whole by inner.size */
    mqb_broker *broker;
    mqb_message_fn fn;
    void *arg;
    mqb_arg_free_fn arg_free;
    mqb_done_fn done;
    void *done_arg;
    struct wait *begun; /* somebody waits until it is in force */
    bool is_answered;   /* done was called */
    struct wait *gone;  /* under subs_lock: until it is over */
    bool is_ending;     /* under subs_lock: unsubscribe was called */
    char filter[];
};

/* --- the table ------------------------------------------------------------------------------- */

static bool has_number(const void *value, const void *key)
{
    return ((const struct sub *)value)->inner.number == *(const uint64_t *)key;
}

static struct sub *find(mqb_broker *b, uint64_t number) /* under subs_lock */
{
    return mqbx_table_find(&b->subs, mqbx_hash_mix(number), has_number, &number);
}

static bool enter_table(mqb_broker *b, struct sub *s)
{
    mqbx_lock_take(&b->subs_lock);
    bool ok = mqbx_table_insert(&b->subs, mqbx_hash_mix(s->inner.number), s);
    mqbx_lock_give(&b->subs_lock);
    return ok;
}

/* Answers who waits for the end. */
static struct wait *leave_table(struct sub *s)
{
    mqb_broker *b = s->broker;
    mqbx_lock_take(&b->subs_lock);
    mqbx_table_remove(&b->subs, mqbx_hash_mix(s->inner.number), s);
    struct wait *gone = s->gone;
    mqbx_lock_give(&b->subs_lock);
    return gone;
}

void mqbx_subs_free(mqb_broker *b)
{
    assert(b->subs.count == 0); /* engines free theirs when the broker stops */
    (void)b;
}

/* --- from the engine ------------------------------------------------------------------------- */

static int on_message(void *arg, struct msg *m, const struct local_delivery *d)
{
    struct sub *s = arg;
    mqb_delivery delivery = {
        .struct_size = sizeof(delivery),
        .qos = d->qos,
        .retain = d->retain,
        .expires_in_s = d->expiry_left_s,
        .identifier_count = d->identifier_count,
        .identifiers = d->identifiers,
        .sub = {d->sub},
    };
    bool is_later = s->fn(s->arg, s->broker, mqbx_msg_public(m), &delivery) == MQB_DELIVER_LATER;
    return is_later ? LOCAL_LATER : LOCAL_DELIVERED;
}

static void on_done(void *arg, int32_t err)
{
    struct sub *s = arg;
    s->is_answered = true;
    if (s->done != NULL)
        s->done(s->done_arg, err);
    if (s->begun != NULL)
        mqbx_wait_bring(s->begun, err);
    s->begun = NULL;
}

/* The engine frees s after this. */
static void on_over(void *arg)
{
    struct sub *s = arg;
    struct wait *gone = leave_table(s);
    if (!s->is_answered) /* it ended while its group was still being asked */
        on_done(s, MQB_ECANCELED);
    if (s->arg_free != NULL)
        s->arg_free(s->arg);
    if (gone != NULL)
        mqbx_wait_bring(gone, MQB_OK);
}

/* --- subscribe ------------------------------------------------------------------------------- */

static mqb_err check_filter(mqb_broker *b, const mqb_subscribe_opts *o)
{
    size_t len = strlen(o->filter);
    if (len > UINT16_MAX || len > mqbx_atomic_load32(&b->max_topic_bytes))
        return mqbx_error(MQB_EINVAL, "the filter is over limits.max_topic_size");
    struct bytes text = mqbx_bytes(o->filter, len), name, filter = text;
    if (!mqbx_utf8_valid(text))
        return mqbx_error(MQB_EINVAL, "the filter is not UTF-8");
    enum share_status share = mqbx_topic_share(text, &name, &filter);
    if (share == SHARE_NONE)
        filter = text;
    if (share == SHARE_BAD || !mqbx_topic_filter_valid(filter))
        return mqbx_error(MQB_EINVAL, "'%.128s' is no topic filter", o->filter);
    if (share == SHARE_OK && (o->flags & MQB_SUB_NO_LOCAL) != 0) /* [MQTT-3.8.3-4] */
        return mqbx_error(MQB_EINVAL, "no-local is not possible on a shared subscription");
    if (mqbx_topic_levels(filter) > mqbx_atomic_load32(&b->max_topic_levels))
        return mqbx_error(MQB_EINVAL, "the filter has more levels than limits.max_topic_levels");
    return MQB_OK;
}

static mqb_err check(mqb_broker *b, const mqb_subscribe_opts *o)
{
    if (o->filter == NULL || o->fn == NULL)
        return mqbx_error(MQB_EINVAL, "subscribe: filter and fn must be given");
    if (o->qos > 2 || o->retain_handling > MQB_RETAIN_DO_NOT_SEND || o->identifier > IDENTIFIER_MAX)
        return mqbx_error(MQB_EINVAL,
                          "subscribe: QoS, retain handling or identifier is out of range");
    if ((o->flags & ~(uint32_t)SUBSCRIBE_FLAGS) != 0)
        return mqbx_error(MQB_EINVAL, "subscribe: unknown flags");
    return check_filter(b, o);
}

static struct sub *new_sub(mqb_broker *b, const mqb_subscribe_opts *o, uint32_t home)
{
    size_t len = strlen(o->filter);
    size_t size = sizeof(struct sub) + len + 1;
    struct sub *s = mqbx_zalloc(b->alloc, size);
    if (s == NULL)
        return NULL;
    memcpy(s->filter, o->filter, len + 1);
    s->broker = b;
    s->fn = o->fn;
    s->arg = o->arg;
    s->arg_free = o->arg_free;
    s->done = o->done;
    s->done_arg = o->done_arg;
    uint64_t count = mqbx_atomic_add64(&b->next_sub, 1);
    s->inner = (struct local_subscription){
        .number = ((uint64_t)home << HOME_SHIFT) | count,
        .qos = (uint8_t)o->qos,
        .no_local = (o->flags & MQB_SUB_NO_LOCAL) != 0,
        .retain_as_published = (o->flags & MQB_SUB_RETAIN_AS_PUBLISHED) != 0,
        .retain_handling = (uint8_t)o->retain_handling,
        .identifier = o->identifier,
        .window = o->window,
        .flags = (o->flags & MQB_SUB_NO_ACL) != 0 ? LOCAL_PUBLISH_NO_ACL : 0,
        .fn = on_message,
        .arg = s,
        .arg_free = on_over,
        .done = on_done,
        .done_arg = s,
        .size = size,
        .filter = mqbx_bytes(s->filter, len),
    };
    mqbx_list_init(&s->inner.node);
    return s;
}

static mqb_err post_subscribe(mqb_broker *b, mqb_local *l, struct sub *s)
{
    struct item it = {.type = ITEM_LOCAL_SUBSCRIBE,
                      .from = ITEM_FROM_HOST,
                      .u.local_subscribe = {mqbx_local_inner(l), &s->inner}};
    return mqbx_broker_post(b, mqbx_local_home(l), &it, s->inner.size, false);
}

/* [inside] `begun` may be NULL; on success it is the subscription's. */
static mqb_err subscribe_inside(mqb_broker *b, const mqb_subscribe_opts *o, struct wait *begun,
                                mqb_sub *out)
{
    mqb_local *l;
    mqb_err err = check(b, o);
    if (err == MQB_OK)
        err = mqbx_local_choose(b, o->local, o->tenant, &l);
    if (err != MQB_OK)
        return err;
    struct sub *s = new_sub(b, o, mqbx_local_home(l));
    if (s == NULL)
        return mqbx_no_memory();
    s->begun = begun;
    if (!enter_table(b, s)) {
        mqbx_free(b->alloc, s, s->inner.size);
        return mqbx_no_memory();
    }
    if (out != NULL)
        out->id = s->inner.number; /* before fn can run */
    err = post_subscribe(b, l, s);
    if (err != MQB_OK) {
        (void)leave_table(s);
        mqbx_free(b->alloc, s, s->inner.size);
    }
    return err;
}

mqb_err mqb_subscribe_ex(mqb_broker *b, const mqb_subscribe_opts *opts, mqb_sub *out)
{
    mqb_subscribe_opts o;
    mqb_err err = mqbx_opts_take(&o, sizeof(o), opts);
    if (err == MQB_OK)
        err = mqbx_broker_enter(b);
    if (err != MQB_OK)
        return err;
    err = subscribe_inside(b, &o, NULL, out);
    mqbx_broker_leave(b);
    return err;
}

mqb_err mqb_subscribe(mqb_broker *b, const char *filter, int qos, mqb_message_fn fn, void *arg,
                      mqb_sub *out)
{
    mqb_subscribe_opts o = mqb_subscribe_defaults();
    o.filter = filter;
    o.qos = (uint32_t)qos;
    o.fn = fn;
    o.arg = arg;
    return mqb_subscribe_ex(b, &o, out);
}

mqb_err mqb_subscribe_wait(mqb_broker *b, const mqb_subscribe_opts *opts, int64_t timeout_ms,
                           mqb_sub *out)
{
    mqb_subscribe_opts o;
    mqb_err err = mqbx_opts_take(&o, sizeof(o), opts);
    if (err == MQB_OK)
        err = mqbx_broker_enter_to_wait(b);
    if (err != MQB_OK)
        return err;
    struct wait *begun = mqbx_wait_new(b->alloc);
    err = begun == NULL ? mqbx_no_memory() : subscribe_inside(b, &o, begun, out);
    mqbx_broker_leave(b);
    if (err != MQB_OK) {
        mqbx_wait_drop(begun);
        return err;
    }
    return mqbx_wait_for(begun, timeout_ms);
}

/* --- done and unsubscribe -------------------------------------------------------------------- */

static uint32_t home_of(uint64_t number)
{
    return (uint32_t)(number >> HOME_SHIFT);
}

static bool is_known(mqb_broker *b, uint64_t number)
{
    mqbx_lock_take(&b->subs_lock);
    bool found = find(b, number) != NULL;
    mqbx_lock_give(&b->subs_lock);
    return found;
}

static mqb_err no_such(void)
{
    return mqbx_error(MQB_ENOENT, "there is no such subscription");
}

static mqb_err done_inside(mqb_broker *b, mqb_sub sub, mqb_msg *m)
{
    if (!is_known(b, sub.id))
        return no_such();
    struct item it = {
        .type = ITEM_LOCAL_DONE, .from = ITEM_FROM_HOST, .u.local_sub = {sub.id, mqbx_msg_of(m)}};
    return mqbx_broker_post(b, home_of(sub.id), &it, 0, true);
}

mqb_err mqb_deliver_done(mqb_broker *b, mqb_sub sub, mqb_msg *m)
{
    if (m == NULL)
        return mqbx_error(MQB_EINVAL, "mqb_deliver_done: the message must be given");
    mqb_err err = mqbx_broker_enter(b);
    if (err == MQB_OK) {
        err = done_inside(b, sub, m);
        mqbx_broker_leave(b);
    }
    if (err != MQB_OK && err != MQB_ENOMEM)
        mqb_msg_unref(m);
    return err;
}

/* Marks it as ending; false: it is not there, or ending. */
static bool begin_end(mqb_broker *b, uint64_t number, struct wait *gone)
{
    mqbx_lock_take(&b->subs_lock);
    struct sub *s = find(b, number);
    bool ok = s != NULL && !s->is_ending;
    if (ok) {
        s->is_ending = true;
        s->gone = gone;
    }
    mqbx_lock_give(&b->subs_lock);
    return ok;
}

/* It could not be posted. Whether the mark was taken back: the subscription may be over by itself
 * meanwhile. */
static bool take_back_end(mqb_broker *b, uint64_t number)
{
    mqbx_lock_take(&b->subs_lock);
    struct sub *s = find(b, number);
    if (s != NULL) {
        s->is_ending = false;
        s->gone = NULL;
    }
    mqbx_lock_give(&b->subs_lock);
    return s != NULL;
}

static mqb_err unsubscribe_inside(mqb_broker *b, mqb_sub sub, struct wait *gone)
{
    struct item it = {
        .type = ITEM_LOCAL_UNSUBSCRIBE, .from = ITEM_FROM_HOST, .u.local_sub = {sub.id, NULL}};
    if (!begin_end(b, sub.id, gone))
        return no_such();
    mqb_err err = mqbx_broker_post(b, home_of(sub.id), &it, 0, true);
    return err == MQB_OK || !take_back_end(b, sub.id) ? MQB_OK : err;
}

mqb_err mqb_unsubscribe(mqb_broker *b, mqb_sub sub)
{
    mqb_err err = mqbx_broker_enter(b);
    if (err != MQB_OK)
        return err;
    err = unsubscribe_inside(b, sub, NULL);
    mqbx_broker_leave(b);
    return err;
}

mqb_err mqb_unsubscribe_wait(mqb_broker *b, mqb_sub sub)
{
    mqb_err err = mqbx_broker_enter_to_wait(b);
    if (err != MQB_OK)
        return err;
    struct wait *gone = mqbx_wait_new(b->alloc);
    err = gone == NULL ? mqbx_no_memory() : unsubscribe_inside(b, sub, gone);
    mqbx_broker_leave(b);
    if (err != MQB_OK) {
        mqbx_wait_drop(gone);
        return err;
    }
    return mqbx_wait_for(gone, -1);
}
