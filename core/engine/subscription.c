/* SPDX-License-Identifier: MIT */
/*
 * Subscriptions: made, replaced, ended. The order of steps is the one retained.h asks for: index,
 * interest, then the stamp.
 */
#include "engine/subscription.h"

#include "engine/group.h"
#include "engine/local_session.h"

struct text_key {
    const struct session *session;
    struct bytes text;
};

struct bytes mqbx_subscription_text(const struct subscription *sub)
{
    return mqbx_bytes(sub->text, sub->text_len);
}

struct bytes mqbx_subscription_filter(const struct subscription *sub)
{
    return mqbx_bytes(sub->text + sub->filter_at, (size_t)sub->text_len - sub->filter_at);
}

static bool has_text(const void *value, const void *key)
{
    const struct subscription *sub = value;
    const struct text_key *k = key;
    return sub->session == k->session && mqbx_bytes_equal(mqbx_subscription_text(sub), k->text);
}

static uint64_t text_hash(const struct engine *e, const struct session *s, struct bytes text)
{
    return mqbx_hash(e->shared->client_key, s->id, text.ptr, text.len);
}

/* [MQTT-3.10.4-1] compared character by character */
struct subscription *mqbx_subscription_find(struct engine *e, const struct session *s,
                                            struct bytes text)
{
    struct text_key key = {.session = s, .text = text};
    return mqbx_table_find(&e->subscriptions, text_hash(e, s, text), has_text, &key);
}

/* --- made ------------------------------------------------------------------------------------ */

static void take_options(struct subscription *sub, const struct subscribe_request *r)
{
    sub->identifier = r->identifier;
    sub->qos = r->qos;
    sub->no_local = r->no_local;
    sub->retain_as_published = r->retain_as_published;
}

/* A client's overlapping subscriptions are merged; each in-process one has its own callback and
 * stands for itself. */
static void *owner_of(const struct subscription *sub)
{
    const void *owner = sub->session->is_local ? (const void *)sub : (const void *)sub->session;
    return (void *)(uintptr_t)owner;
}

static struct subscriber subscriber_of(const struct subscription *sub)
{
    bool is_local = sub->session->is_local;
    return (struct subscriber){
        .owner = owner_of(sub),
        .sub = (void *)(uintptr_t)sub,
        .identifier = sub->identifier & 0x0fffffffu,
        .qos = sub->qos & 3u,
        .no_local = sub->no_local,
        .retain_as_published = sub->retain_as_published,
        .order = (is_local ? sub->order : sub->session->order) & 0x7fffffffu,
        .is_group = is_local,
    };
}

static struct subscription *sub_new(struct engine *e, struct session *s,
                                    const struct subscribe_request *r)
{
    struct subscription *sub = mqbx_zalloc(&e->alloc, sizeof(*sub) + r->text.len);
    if (!sub)
        return NULL;
    memcpy(sub->text, r->text.ptr, r->text.len);
    sub->text_len = (uint16_t)r->text.len;
    sub->filter_at = (uint16_t)(r->text.len - r->filter.len);
    sub->session = s;
    sub->hash = text_hash(e, s, r->text);
    sub->order = ++e->next_order & 0x7fffffffu;
    mqbx_list_init(&sub->node);
    mqbx_ring_init(&sub->local_queue, sizeof(struct local_msg *));
    take_options(sub, r);
    if (!mqbx_table_insert(&e->subscriptions, sub->hash, sub)) {
        mqbx_free(&e->alloc, sub, sizeof(*sub) + r->text.len);
        return NULL;
    }
    mqbx_list_push_back(&s->subscriptions, &sub->node);
    s->subscription_count++;
    mqbx_counter_add(&e->metrics.subscriptions, 1);
    return sub;
}

static void sub_free(struct engine *e, struct subscription *sub)
{
    mqbx_replay_cancel(e, sub);
    mqbx_local_detach(e, sub);
    mqbx_table_remove(&e->subscriptions, sub->hash, sub);
    mqbx_list_remove(&sub->node);
    sub->session->subscription_count--;
    mqbx_counter_sub(&e->metrics.subscriptions, 1);
    mqbx_free(&e->alloc, sub, sizeof(*sub) + sub->text_len);
}

static enum subscribe_status enter_index(struct engine *e, struct subscription *sub)
{
    struct subscriber entry = subscriber_of(sub);
    struct bytes filter = mqbx_subscription_filter(sub);
    if (!mqbx_index_insert(e->index, sub->session->tenant, filter, &entry))
        return SUBSCRIBE_NO_MEMORY;
    if (e->interest)
        sub->interest_slot = mqbx_interest_raise(e->interest, sub->session->tenant, filter);
    return SUBSCRIBED;
}

static enum subscribe_status subscribe_new(struct engine *e, struct session *s,
                                           const struct subscribe_request *r)
{
    const struct client_limits *own = s->who->limits;
    uint32_t max =
        own && own->max_subscriptions > 0 ? own->max_subscriptions : e->settings->max_subscriptions;
    if (max > 0 && s->subscription_count >= max)
        return SUBSCRIBE_QUOTA;
    struct subscription *sub = sub_new(e, s, r);
    if (!sub)
        return SUBSCRIBE_NO_MEMORY;
    enum subscribe_status status;
    if (r->local && !mqbx_local_attach(e, sub, r->local))
        status = SUBSCRIBE_NO_MEMORY;
    else if (r->share_name.len > 0)
        status = mqbx_group_join(e, sub, r->share_name);
    else
        status = enter_index(e, sub);
    if (status == SUBSCRIBE_NO_MEMORY) {
        mqbx_local_unattach(e, sub); /* stays the caller's */
        sub_free(e, sub);
        return status;
    }
    if (r->share_name.len > 0)
        return status;
    sub->newest = mqbx_retained_stamp(e->shared->retained);
    if (r->retain_handling == 2) /* [MQTT-3.3.1-11] and nothing older that is under way */
        return status;
    if (!mqbx_replay_start(e, sub, sub->newest)) {
        mqbx_unsubscribe(e, sub);
        return SUBSCRIBE_NO_MEMORY;
    }
    return SUBSCRIBED;
}

/* [MQTT-3.8.4-3] The live flow goes on without a gap, [MQTT-3.8.4-4]. */
static enum subscribe_status subscribe_again(struct engine *e, struct subscription *sub,
                                             const struct subscribe_request *r)
{
    if (r->local && !mqbx_local_attach(e, sub, r->local))
        return SUBSCRIBE_NO_MEMORY;
    take_options(sub, r);
    if (r->share_name.len > 0)
        return mqbx_group_rejoin(e, sub);
    struct subscriber entry = subscriber_of(sub);
    mqbx_index_update(e->index, sub->session->tenant, mqbx_subscription_filter(sub), &entry);
    if (r->retain_handling != 0) /* [MQTT-3.3.1-10] */
        return SUBSCRIBED;
    return mqbx_replay_restart(e, sub) ? SUBSCRIBED : SUBSCRIBE_NO_MEMORY;
}

/* A durable handle's subscription that waits for its callback. */
static struct subscription *find_detached(const struct session *s, struct bytes text)
{
    for (struct list *n = s->subscriptions.next; n != &s->subscriptions; n = n->next) {
        struct subscription *sub = mqbx_container(n, struct subscription, node);
        if (!sub->local && mqbx_bytes_equal(mqbx_subscription_text(sub), text))
            return sub;
    }
    return NULL;
}

enum subscribe_status mqbx_subscribe(struct engine *e, struct session *s,
                                     const struct subscribe_request *r)
{
    struct subscription *sub =
        s->is_local ? find_detached(s, r->text) : mqbx_subscription_find(e, s, r->text);
    if (s->is_local && !sub && r->share_name.len > 0 && mqbx_subscription_find(e, s, r->text))
        return SUBSCRIBE_EXISTS;
    return sub ? subscribe_again(e, sub, r) : subscribe_new(e, s, r);
}

/* --- ended ---------------------------------------------------------------------------------- */

void mqbx_unsubscribe(struct engine *e, struct subscription *sub)
{
    if (sub->membership) {
        mqbx_group_leave(e, sub);
    } else if (mqbx_index_remove(e->index, sub->session->tenant, mqbx_subscription_filter(sub),
                                 owner_of(sub))) {
        if (e->interest)
            mqbx_interest_lower(e->interest, sub->interest_slot);
    }
    sub_free(e, sub);
}

void mqbx_subscription_free(struct engine *e, struct subscription *sub)
{
    mqbx_group_forget(e, sub);
    sub_free(e, sub);
}
