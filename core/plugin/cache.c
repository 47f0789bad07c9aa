/* SPDX-License-Identifier: MIT */
/*
 * See cache.h. Answers are compared by their whole topic: a hash alone must not let anyone in.
 */
#include "plugin/cache.h"

#include "base/hash.h"

struct cache_answer {
    uint64_t until_ms; /* 0: empty */
    uint8_t kind, qos, retain, verdict, reason, ends_connection;
    uint8_t is_shared;
    uint16_t topic_bytes;
    uint8_t *topic;
};

struct cache_client {
    uint64_t client;
    uint64_t conn; /* another connection may be another user: starts anew */
    struct list node;
    uint32_t next; /* to be replaced */
    struct cache_answer answers[CACHE_ANSWERS];
};

void mqbx_cache_init(struct cache *c, const struct alloc *a)
{
    c->alloc = a;
    mqbx_table_init(&c->clients, a);
    mqbx_list_init(&c->recent);
}

static void drop_answer(struct cache *c, struct cache_answer *a)
{
    mqbx_free(c->alloc, a->topic, a->topic_bytes + 1u);
    *a = (struct cache_answer){0};
}

static void drop_answers(struct cache *c, struct cache_client *one)
{
    for (uint32_t i = 0; i < CACHE_ANSWERS; i++)
        if (one->answers[i].topic)
            drop_answer(c, &one->answers[i]);
    one->next = 0;
}

static void drop_client(struct cache *c, struct cache_client *one)
{
    drop_answers(c, one);
    mqbx_table_remove(&c->clients, mqbx_hash_mix(one->client), one);
    mqbx_list_remove(&one->node);
    mqbx_free(c->alloc, one, sizeof(*one));
}

static bool is_client(const void *value, const void *key)
{
    return ((const struct cache_client *)value)->client == *(const uint64_t *)key;
}

static struct cache_client *find_client(struct cache *c, uint64_t client)
{
    return mqbx_table_find(&c->clients, mqbx_hash_mix(client), is_client, &client);
}

void mqbx_cache_forget(struct cache *c, uint64_t client)
{
    struct cache_client *one;
    if (client != 0) {
        one = find_client(c, client);
        if (one)
            drop_client(c, one);
        return;
    }
    while (!mqbx_list_empty(&c->recent))
        drop_client(c, mqbx_container(c->recent.next, struct cache_client, node));
}

void mqbx_cache_fini(struct cache *c)
{
    mqbx_cache_forget(c, 0);
    mqbx_table_fini(&c->clients);
}

static bool is_about(const struct cache_answer *a, const struct question *q)
{
    return a->kind == q->kind && a->qos == q->qos && a->retain == (q->retain ? 1 : 0) &&
           a->is_shared == (q->share_name.len > 0 ? 1 : 0) && a->topic_bytes == q->topic.len &&
           memcmp(a->topic, q->topic.ptr, q->topic.len) == 0;
}

static struct cache_answer *find_answer(struct cache_client *one, const struct question *q)
{
    for (uint32_t i = 0; i < CACHE_ANSWERS; i++)
        if (one->answers[i].topic && is_about(&one->answers[i], q))
            return &one->answers[i];
    return NULL;
}

bool mqbx_cache_find(struct cache *c, const struct question *q, uint64_t now_ms, struct answer *out)
{
    struct cache_client *one = find_client(c, q->who.client);
    if (!one || one->conn != q->who.conn)
        return false;
    struct cache_answer *a = find_answer(one, q);
    if (!a || a->until_ms <= now_ms)
        return false;
    *out = (struct answer){.verdict = (enum verdict)a->verdict,
                           .reason = a->reason,
                           .ends_connection = a->ends_connection != 0};
    return true;
}

/* The client's place, in front of the others. */
static struct cache_client *get_client(struct cache *c, const struct question *q)
{
    struct cache_client *one = find_client(c, q->who.client);
    if (!one) {
        if (c->clients.count >= CACHE_CLIENTS)
            drop_client(c, mqbx_container(c->recent.prev, struct cache_client, node));
        one = mqbx_zalloc(c->alloc, sizeof(*one));
        if (!one)
            return NULL;
        one->client = q->who.client;
        mqbx_list_init(&one->node);
        if (!mqbx_table_insert(&c->clients, mqbx_hash_mix(one->client), one)) {
            mqbx_free(c->alloc, one, sizeof(*one));
            return NULL;
        }
    } else if (one->conn != q->who.conn) {
        drop_answers(c, one);
    }
    one->conn = q->who.conn;
    mqbx_list_remove(&one->node);
    mqbx_list_push_front(&c->recent, &one->node);
    return one;
}

void mqbx_cache_keep(struct cache *c, const struct question *q, const struct answer *a,
                     uint64_t until_ms)
{
    if (q->who.client == 0 || q->topic.len > CACHE_TOPIC_BYTES || q->share_name.len > 0)
        return;
    struct cache_client *one = get_client(c, q);
    uint8_t *topic = one ? mqbx_alloc(c->alloc, q->topic.len + 1u) : NULL;
    if (!topic)
        return;
    memcpy(topic, q->topic.ptr, q->topic.len);
    struct cache_answer *place = find_answer(one, q);
    if (!place)
        place = &one->answers[one->next++ % CACHE_ANSWERS];
    if (place->topic)
        drop_answer(c, place);
    *place = (struct cache_answer){.until_ms = until_ms,
                                   .kind = (uint8_t)q->kind,
                                   .qos = q->qos,
                                   .retain = q->retain ? 1 : 0,
                                   .verdict = (uint8_t)a->verdict,
                                   .reason = a->reason,
                                   .ends_connection = a->ends_connection ? 1 : 0,
                                   .topic_bytes = (uint16_t)q->topic.len,
                                   .topic = topic};
}
