/* SPDX-License-Identifier: MIT */
/*
 * Shared subscriptions, the home's side: the group, its one queue, and who may be sent how many.
 */
#include <assert.h>

#include "engine/delivery.h"
#include "engine/group.h"

struct member {
    struct list node; /* group.ready or group.idle */
    uint64_t session;
    uint32_t worker;
    uint32_t credits;
    uint32_t max_packet_bytes; /* as of its last credit; 0: not known yet */
    bool is_online;
};

struct group_entry {
    struct msg *msg; /* one reference */
    uint64_t seq;
};

struct group {
    uint64_t id;
    uint64_t hash;
    uint32_t order;
    uint32_t tenant;
    uint32_t interest_slot;
    uint32_t online;      /* members with a connection */
    struct table members; /* by session */
    struct list ready;    /* with credits, next one first */
    struct list idle;
    struct ring queue;
    uint64_t queue_bytes;
    uint64_t next_seq;
    uint16_t name_len, filter_at, text_len;
    char text[];
};

struct group_key {
    uint32_t tenant;
    struct bytes text;
};

static bool has_key(const void *value, const void *key)
{
    const struct group *g = value;
    const struct group_key *k = key;
    return g->tenant == k->tenant && mqbx_bytes_equal(mqbx_bytes(g->text, g->text_len), k->text);
}

static bool has_id(const void *value, const void *key)
{
    return ((const struct group *)value)->id == *(const uint64_t *)key;
}

static bool has_session(const void *value, const void *key)
{
    return ((const struct member *)value)->session == *(const uint64_t *)key;
}

static struct group *group_by_id(struct engine *e, uint64_t id)
{
    return mqbx_table_find(&e->groups_by_id, mqbx_hash_mix(id), has_id, &id);
}

static struct member *find_member(struct group *g, uint64_t session)
{
    return mqbx_table_find(&g->members, mqbx_hash_mix(session), has_session, &session);
}

static struct bytes filter_of(const struct group *g)
{
    return mqbx_bytes(g->text + g->filter_at, (size_t)g->text_len - g->filter_at);
}

/* --- the group itself ----------------------------------------------------------------------- */

static void drop_queue(struct engine *e, struct group *g)
{
    mqbx_counter_add(&e->metrics.messages_dropped_group, g->queue.count);
    while (g->queue.count > 0) {
        mqbx_msg_unref(((struct group_entry *)mqbx_ring_at(&g->queue, 0))->msg);
        mqbx_ring_pop_front(&g->queue, &e->alloc);
    }
}

static void free_members(struct engine *e, struct group *g)
{
    size_t pos = 0;
    struct member *m;
    while ((m = mqbx_table_next(&g->members, &pos)))
        mqbx_free(&e->alloc, m, sizeof(*m));
    mqbx_table_fini(&g->members);
}

void mqbx_group_free(struct engine *e, struct group *g)
{
    drop_queue(e, g);
    free_members(e, g);
    mqbx_ring_fini(&g->queue, &e->alloc);
    mqbx_table_remove(&e->groups, g->hash, g);
    mqbx_table_remove(&e->groups_by_id, mqbx_hash_mix(g->id), g);
    mqbx_counter_sub(&e->metrics.groups, 1);
    mqbx_free(&e->alloc, g, sizeof(*g) + g->text_len);
}

static void group_end(struct engine *e, struct group *g)
{
    mqbx_index_remove(e->index, g->tenant, filter_of(g), g);
    if (e->interest)
        mqbx_interest_lower(e->interest, g->interest_slot);
    mqbx_group_free(e, g);
}

static struct group *group_alloc(struct engine *e, const struct group_join *j, uint64_t hash)
{
    struct group *g = mqbx_zalloc(&e->alloc, sizeof(*g) + j->text_len);
    if (!g)
        return NULL;
    g->id = mqbx_engine_next_id(e);
    g->hash = hash;
    g->order = ++e->next_order & 0x7fffffffu;
    g->tenant = j->tenant;
    g->name_len = j->name_len;
    g->filter_at = j->filter_at;
    g->text_len = j->text_len;
    memcpy(g->text, j->text, j->text_len);
    mqbx_table_init(&g->members, &e->alloc);
    mqbx_list_init(&g->ready);
    mqbx_list_init(&g->idle);
    mqbx_ring_init(&g->queue, sizeof(struct group_entry));
    mqbx_counter_add(&e->metrics.groups, 1);
    return g;
}

static struct group *group_new(struct engine *e, const struct group_join *j, uint64_t hash)
{
    struct group *g = group_alloc(e, j, hash);
    if (!g)
        return NULL;
    struct subscriber s = {.owner = g, .qos = 2, .order = g->order & 0x7fffffffu, .is_group = 1};
    if (!mqbx_table_insert(&e->groups, hash, g) ||
        !mqbx_table_insert(&e->groups_by_id, mqbx_hash_mix(g->id), g) ||
        !mqbx_index_insert(e->index, g->tenant, filter_of(g), &s)) {
        mqbx_group_free(e, g);
        return NULL;
    }
    if (e->interest)
        g->interest_slot = mqbx_interest_raise(e->interest, g->tenant, filter_of(g));
    return g;
}

static struct group *group_open(struct engine *e, const struct group_join *j)
{
    struct group_key key = {.tenant = j->tenant, .text = mqbx_bytes(j->text, j->text_len)};
    uint64_t hash = mqbx_hash(e->shared->client_key, j->tenant, j->text, j->text_len);
    struct group *g = mqbx_table_find(&e->groups, hash, has_key, &key);
    return g ? g : group_new(e, j, hash);
}

static struct member *member_new(struct engine *e, struct group *g, const struct group_join *j)
{
    struct member *m = mqbx_zalloc(&e->alloc, sizeof(*m));
    if (!m)
        return NULL;
    m->session = j->member;
    m->worker = j->worker;
    if (!mqbx_table_insert(&g->members, mqbx_hash_mix(m->session), m)) {
        mqbx_free(&e->alloc, m, sizeof(*m));
        return NULL;
    }
    mqbx_list_push_back(&g->idle, &m->node);
    return m;
}

static void join(struct engine *e, struct group_join *j)
{
    struct group *g = group_open(e, j);
    if (g && (find_member(g, j->member) || member_new(e, g, j)))
        j->group = g->id;
    else if (g && g->members.count == 0)
        group_end(e, g);
    struct item it = {.type = ITEM_GROUP_JOINED, .u.join = j};
    if (!mqbx_engine_post(e, j->worker, &it, (uint32_t)j->size))
        mqbx_free(e->seams.alloc, j, j->size);
}

/* --- the queue ------------------------------------------------------------------------------ */

static void pop(struct engine *e, struct group *g)
{
    const struct group_entry *n = mqbx_ring_at(&g->queue, 0);
    g->queue_bytes -= mqbx_msg_size(n->msg);
    mqbx_msg_unref(n->msg);
    mqbx_ring_pop_front(&g->queue, &e->alloc);
}

static bool is_expired(const struct engine *e, const struct msg *m)
{
    uint32_t left;
    return !mqbx_msg_left(m->received_ms, m->expiry_s, e->now.mono_ms, &left);
}

/* Sends the front entry to the member whose turn it is; false: out of memory, it stays. */
static bool send_front(struct engine *e, struct group *g, struct member *m)
{
    const struct group_entry *n = mqbx_ring_at(&g->queue, 0);
    struct item it = {
        .type = ITEM_GROUP_DELIVER,
        .u.group = {
            .group = g->id, .member = m->session, .msg = mqbx_msg_ref(n->msg), .seq = n->seq}};
    if (!mqbx_engine_post(e, m->worker, &it, (uint32_t)mqbx_msg_size(n->msg))) {
        mqbx_msg_unref(n->msg);
        return false;
    }
    pop(e, g);
    m->credits--;
    mqbx_list_remove(&m->node);
    mqbx_list_push_back(m->credits > 0 ? &g->ready : &g->idle, &m->node);
    return true;
}

/* No packet that carries m is larger: fixed header, lengths, identifier, expiry, alias,
 * subscription identifier at their largest. */
static bool fits(const struct member *m, const struct msg *msg)
{
    uint64_t most = (uint64_t)msg->topic_len + msg->props_len + msg->payload_len + 32;
    return m->max_packet_bytes == 0 || most <= m->max_packet_bytes;
}

/* The next in turn that can take it; NULL: nobody with credits can. */
static struct member *choose(const struct group *g, const struct msg *msg)
{
    for (struct list *n = g->ready.next; n != &g->ready; n = n->next) {
        struct member *m = mqbx_container(n, struct member, node);
        if (fits(m, msg))
            return m;
    }
    return NULL;
}

static bool fits_nobody(const struct group *g, const struct msg *msg)
{
    size_t pos = 0;
    const struct member *m;
    while ((m = mqbx_table_next(&g->members, &pos)))
        if (fits(m, msg))
            return false;
    return true;
}

/* True: the front entry is done with, one way or another. */
static bool dispatch_front(struct engine *e, struct group *g)
{
    const struct group_entry *n = mqbx_ring_at(&g->queue, 0);
    struct member *m = choose(g, n->msg);
    if (is_expired(e, n->msg)) {
        mqbx_counter_add(&e->metrics.messages_dropped_expired, 1);
    } else if (m) {
        return send_front(e, g, m);
    } else {
        if (!fits_nobody(g, n->msg))
            return false;
        mqbx_counter_add(&e->metrics.messages_dropped_group, 1);
    }
    pop(e, g);
    return true;
}

static void dispatch(struct engine *e, struct group *g)
{
    while (g->queue.count > 0 && !mqbx_list_empty(&g->ready) && dispatch_front(e, g))
        ;
}

static bool make_room(struct engine *e, struct group *g, uint64_t size)
{
    const struct settings *set = e->settings;
    while (g->queue.count >= set->queue_max_messages ||
           g->queue_bytes + size > set->queue_max_bytes || mqbx_engine_is_over_memory(e)) {
        mqbx_counter_add(&e->metrics.messages_dropped_group, 1);
        if (set->queue_policy != QUEUE_DROP_OLDEST || g->queue.count == 0)
            return false;
        pop(e, g);
    }
    return true;
}

void mqbx_group_publish(struct engine *e, struct group *g, struct publication *p)
{
    if (p->qos == 0 && g->online == 0) {
        mqbx_counter_add(&e->metrics.messages_dropped_group, 1);
        return;
    }
    struct msg *m = mqbx_route_keep(e, p);
    if (!m) {
        mqbx_counter_add(&e->metrics.messages_dropped_no_memory, 1);
        return;
    }
    bool goes_on_at_once = g->queue.count == 0 && !mqbx_list_empty(&g->ready);
    if (!goes_on_at_once && !make_room(e, g, mqbx_msg_size(m)))
        return;
    struct group_entry n = {.msg = m, .seq = ++g->next_seq};
    if (!mqbx_ring_push_back(&g->queue, &e->alloc, &n)) {
        mqbx_counter_add(&e->metrics.messages_dropped_no_memory, 1);
        return;
    }
    mqbx_msg_ref(m);
    g->queue_bytes += mqbx_msg_size(m);
    p->is_recorded = p->is_recorded || p->qos > 0;
    dispatch(e, g);
}

/* Back to its place: the queue stays sorted by sequence. */
static bool put_back(struct engine *e, struct group *g, const struct group_entry *n)
{
    if (!mqbx_ring_push_front(&g->queue, &e->alloc, n))
        return false;
    for (uint32_t i = 0; i + 1 < g->queue.count; i++) {
        struct group_entry *a = mqbx_ring_at(&g->queue, i);
        struct group_entry *b = mqbx_ring_at(&g->queue, i + 1);
        if (a->seq < b->seq)
            break;
        struct group_entry swap = *a;
        *a = *b;
        *b = swap;
    }
    g->queue_bytes += mqbx_msg_size(n->msg);
    return true;
}

static void take_back(struct engine *e, const struct item *it)
{
    struct group *g = group_by_id(e, it->u.group.group);
    struct group_entry n = {.msg = it->u.group.msg, .seq = it->u.group.seq};
    struct member *m = g ? find_member(g, it->u.group.member) : NULL;
    if (m && it->number != GROUP_RETURN_UNFIT) {
        m->credits = 0; /* it was full or gone; a fresh credit says otherwise */
        mqbx_list_remove(&m->node);
        mqbx_list_push_back(&g->idle, &m->node);
    }
    bool is_kept = g && it->number != GROUP_RETURN_UNFIT && put_back(e, g, &n);
    if (is_kept) {
        dispatch(e, g);
        return;
    }
    mqbx_counter_add(&e->metrics.messages_dropped_group, 1);
    mqbx_msg_unref(n.msg);
}

/* --- members
 * ------------------------------------------------------------------------------------------------
 */

static void leave(struct engine *e, struct group *g, struct member *m)
{
    if (m->is_online)
        g->online--;
    mqbx_list_remove(&m->node);
    mqbx_table_remove(&g->members, mqbx_hash_mix(m->session), m);
    mqbx_free(&e->alloc, m, sizeof(*m));
    if (g->members.count == 0)
        group_end(e, g);
}

static void credit(struct engine *e, struct group *g, struct member *m, const struct item *it)
{
    m->max_packet_bytes = (uint32_t)it->u.group.seq;
    if (!m->is_online)
        g->online++;
    m->is_online = true;
    if (m->credits == 0) {
        mqbx_list_remove(&m->node);
        mqbx_list_push_back(&g->ready, &m->node);
    }
    m->credits += it->number;
    dispatch(e, g);
}

static void pause(struct group *g, struct member *m)
{
    if (m->is_online)
        g->online--;
    m->is_online = false;
    m->credits = 0;
    mqbx_list_remove(&m->node);
    mqbx_list_push_back(&g->idle, &m->node);
}

void mqbx_group_item(struct engine *e, const struct item *it)
{
    if (it->type == ITEM_GROUP_JOIN) {
        join(e, it->u.join);
        return;
    }
    if (it->type == ITEM_GROUP_RETURN) {
        take_back(e, it);
        return;
    }
    struct group *g = group_by_id(e, it->u.group.group);
    struct member *m = g ? find_member(g, it->u.group.member) : NULL;
    if (!m)
        return;
    if (it->type == ITEM_GROUP_LEAVE)
        leave(e, g, m);
    else if (it->type == ITEM_GROUP_CREDIT)
        credit(e, g, m, it);
    else
        pause(g, m);
}
