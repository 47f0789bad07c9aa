/* SPDX-License-Identifier: MIT */
/*
 * Looking at clients and sending them away. Any thread; what is found comes on the workers'
 * threads.
 */
#include <string.h>

#include "broker/broker.h"
#include "broker/error.h"
#include "broker/wait.h"
#include "engine/item.h"
#include "mqtt/reason.h"
#include "mqtt/utf8.h"

struct query {
    struct client_query inner; /* first: what the engine knows */
    const struct alloc *alloc;
    mqb_client_fn fn;
    void *arg;
    size_t size;
    char client_id[];
};

static mqb_str str_of(struct bytes b)
{
    return (mqb_str){.ptr = (const char *)b.ptr, .len = b.len};
}

static mqb_client_info info_of(const struct client_view *v)
{
    return (mqb_client_info){
        .struct_size = sizeof(mqb_client_info),
        .tenant = v->tenant,
        .protocol = v->protocol,
        .is_connected = v->is_connected,
        .client = {v->client},
        .connection = v->connection,
        .client_id = str_of(v->client_id),
        .user_name = str_of(v->user_name),
        .address = mqb_str_of(v->address),
        .listener = mqb_str_of(v->listener),
        .connected_ms = v->connected_wall_ms,
        .msgs_in = v->msgs_in,
        .msgs_out = v->msgs_out,
        .bytes_in = v->bytes_in,
        .bytes_out = v->bytes_out,
        .queued = v->queued,
        .queued_bytes = v->queued_bytes,
        .inflight = v->inflight,
        .subscriptions = v->subscriptions,
        .dropped = v->dropped,
    };
}

static bool on_view(struct client_query *inner, const struct client_view *v)
{
    struct query *q = (struct query *)inner;
    if (v != NULL) {
        mqb_client_info info = info_of(v);
        return q->fn(q->arg, &info);
    }
    (void)q->fn(q->arg, NULL);
    mqbx_free(q->alloc, q, q->size);
    return false;
}

static struct query *new_query(mqb_broker *b, uint32_t tenant, const char *client_id,
                               mqb_client_fn fn, void *arg)
{
    size_t len = strlen(client_id);
    size_t size = sizeof(struct query) + len + 1;
    struct query *q = mqbx_zalloc(b->alloc, size);
    if (q == NULL)
        return NULL;
    *q = (struct query){
        .inner = {.fn = on_view,
                  .tenant = tenant,
                  .all_tenants = tenant == MQB_ALL_TENANTS,
                  .client_id = mqbx_bytes(q->client_id, len)},
        .alloc = b->alloc,
        .fn = fn,
        .arg = arg,
        .size = size,
    };
    memcpy(q->client_id, client_id, len + 1);
    return q;
}

static mqb_err post_query(mqb_broker *b, uint32_t target, uint16_t type, struct query *q)
{
    struct item it = {.type = type, .from = ITEM_FROM_HOST, .u.query = &q->inner};
    mqb_err err = mqbx_broker_post(b, target, &it, q->size, false);
    if (err != MQB_OK)
        mqbx_free(b->alloc, q, q->size);
    return err;
}

/* --- find ------------------------------------------------------------------------------------ */

/* [inside] */
static mqb_err find_inside(mqb_broker *b, uint32_t tenant, const char *client_id, mqb_client_fn fn,
                           void *arg)
{
    struct query *q = new_query(b, tenant, client_id, fn, arg);
    if (q == NULL)
        return mqbx_no_memory();
    uint32_t home = mqbx_shared_home(mqbx_workers_shared(b->workers), tenant, q->inner.client_id);
    return post_query(b, home, ITEM_CLIENT_FIND, q);
}

static mqb_err check_find(uint32_t tenant, const char *client_id)
{
    if (client_id == NULL || tenant == MQB_ALL_TENANTS)
        return mqbx_error(MQB_EINVAL, "mqb_client_find: a client id and one tenant must be given");
    if (strlen(client_id) > UINT16_MAX)
        return mqbx_error(MQB_EINVAL, "mqb_client_find: no client id is over 65535 bytes");
    return MQB_OK;
}

mqb_err mqb_client_find(mqb_broker *b, uint32_t tenant, const char *client_id, mqb_client_fn fn,
                        void *arg)
{
    mqb_err err = check_find(tenant, client_id);
    if (err == MQB_OK && fn == NULL)
        err = mqbx_error(MQB_EINVAL, "mqb_client_find: fn must be given");
    if (err == MQB_OK)
        err = mqbx_broker_enter(b);
    if (err != MQB_OK)
        return err;
    err = find_inside(b, tenant, client_id, fn, arg);
    mqbx_broker_leave(b);
    return err;
}

struct found {
    struct wait *wait;
    mqb_client client;
    uint64_t connection;
    bool is_there;
};

/* The waiter waits without limit, so `found` on its stack is there. */
static bool on_found(void *arg, const mqb_client_info *info)
{
    struct found *f = arg;
    if (info == NULL) {
        mqbx_wait_bring(f->wait, MQB_OK);
        return false;
    }
    f->client = info->client;
    f->connection = info->connection;
    f->is_there = true;
    return true;
}

mqb_err mqb_client_find_wait(mqb_broker *b, uint32_t tenant, const char *client_id, mqb_client *out,
                             uint64_t *connection)
{
    mqb_err err = check_find(tenant, client_id);
    if (err == MQB_OK && out == NULL)
        err = mqbx_error(MQB_EINVAL, "mqb_client_find_wait: out must be given");
    if (err == MQB_OK)
        err = mqbx_broker_enter_to_wait(b);
    if (err != MQB_OK)
        return err;
    struct found f = {.wait = mqbx_wait_new(b->alloc)};
    err = f.wait == NULL ? mqbx_no_memory() : find_inside(b, tenant, client_id, on_found, &f);
    mqbx_broker_leave(b);
    if (err != MQB_OK) {
        mqbx_wait_drop(f.wait);
        return err;
    }
    (void)mqbx_wait_for(f.wait, -1);
    if (!f.is_there)
        return mqbx_error(MQB_ENOENT, "there is no client '%.128s'", client_id);
    *out = f.client;
    if (connection != NULL)
        *connection = f.connection;
    return MQB_OK;
}

/* --- each ------------------------------------------------------------------------------------ */

mqb_err mqb_client_each(mqb_broker *b, uint32_t tenant, mqb_client_fn fn, void *arg)
{
    if (fn == NULL)
        return mqbx_error(MQB_EINVAL, "mqb_client_each: fn must be given");
    mqb_err err = mqbx_broker_enter(b);
    if (err != MQB_OK)
        return err;
    struct query *q = new_query(b, tenant, "", fn, arg);
    err = q == NULL ? mqbx_no_memory() : post_query(b, 0, ITEM_CLIENT_EACH, q);
    mqbx_broker_leave(b);
    return err;
}

/* --- kick ------------------------------------------------------------------------------------ */

/* Told to all workers: which of them has a client is the engines' knowledge, and a kick is rare. */
static mqb_err kick_inside(mqb_broker *b, const struct item *it)
{
    mqb_err err = MQB_OK;
    for (uint32_t i = 0; i < mqbx_workers_count(b->workers) && err == MQB_OK; i++)
        err = mqbx_broker_post(b, i, it, 0, true);
    return err;
}

mqb_err mqb_client_kick(mqb_broker *b, mqb_client c, uint64_t connection, uint8_t reason,
                        uint32_t flags)
{
    if (c.id == 0 || (reason > 0 && reason < 0x80))
        return mqbx_error(MQB_EINVAL, "mqb_client_kick: no client, or a reason under 0x80");
    if ((flags & ~(uint32_t)MQB_KICK_DROP_SESSION) != 0)
        return mqbx_error(MQB_EINVAL, "mqb_client_kick: unknown flags");
    mqb_err err = mqbx_broker_enter(b);
    if (err != MQB_OK)
        return err;
    struct item it = {
        .type = ITEM_CLIENT_KICK,
        .from = ITEM_FROM_HOST,
        .number = (reason == 0 ? RC_ADMINISTRATIVE_ACTION : reason) |
                  ((flags & MQB_KICK_DROP_SESSION) != 0 ? KICK_DROP_SESSION : 0),
        .u.kick = {c.id, connection},
    };
    err = kick_inside(b, &it);
    mqbx_broker_leave(b);
    return err;
}
