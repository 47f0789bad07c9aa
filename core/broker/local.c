/* SPDX-License-Identifier: MIT */
/*
 * In-process handles: opened, closed, and the default ones. Any thread; the list is under
 * locals_lock. Callbacks from the engine come on the home's thread.
 */
#include "broker/local.h"

#include <string.h>

#include "broker/error.h"
#include "broker/wait.h"
#include "mqtt/utf8.h"

static struct mqb_local *at(struct list *node)
{
    return mqbx_container(node, struct mqb_local, node);
}

static void free_local(mqb_local *l)
{
    mqbx_list_remove(&l->node);
    mqbx_free(l->broker->alloc, l, l->size);
}

static mqb_err post_about(mqb_local *l, uint16_t type)
{
    struct item it = {.type = type, .from = ITEM_FROM_HOST, .u.local = &l->inner};
    return mqbx_broker_post(l->broker, l->home, &it, 0, true);
}

/* Under the lock. A post that fails for want of memory is made up for when the broker stops. */
static void tell_engine(mqb_local *l)
{
    if (!l->is_close_posted && mqbx_atomic_load32(&l->is_gone) == 0)
        l->is_close_posted = post_about(l, ITEM_LOCAL_CLOSE) == MQB_OK;
}

/* --- from the engine ------------------------------------------------------------------------- */

/* A default handle that could not be opened makes room for another try. */
static void give_up(mqb_local *l)
{
    struct lock *lock = &l->broker->locals_lock;
    mqbx_lock_take(lock);
    if (l->is_default) {
        l->is_default = false;
        l->is_let_go = true;
        tell_engine(l);
    }
    mqbx_lock_give(lock);
}

static void on_opened(void *arg, int32_t err)
{
    mqb_local *l = arg;
    mqb_done_fn opened = l->opened;
    void *opened_arg = l->opened_arg;
    if (err != MQB_OK)
        give_up(l);
    if (opened != NULL)
        opened(opened_arg, err);
}

static void on_closed(void *arg, int32_t err)
{
    mqb_local *l = arg;
    struct lock *lock = &l->broker->locals_lock;
    (void)err;
    mqbx_lock_take(lock);
    mqbx_atomic_store32(&l->is_gone, 1);
    if (l->is_let_go)
        free_local(l);
    mqbx_lock_give(lock);
}

/* --- open ------------------------------------------------------------------------------------ */

static mqb_local *new_local(mqb_broker *b, const char *name, const mqb_local_opts *o)
{
    size_t len = strlen(name);
    size_t size = sizeof(mqb_local) + len;
    mqb_local *l = mqbx_zalloc(b->alloc, size);
    if (l == NULL)
        return NULL;
    memcpy(l + 1, name, len);
    l->broker = b;
    l->size = size;
    l->opened = o->opened;
    l->opened_arg = o->opened_arg;
    mqbx_list_init(&l->node);
    l->inner = (struct local){
        .name = mqbx_bytes(l + 1, len),
        .tenant = o->tenant,
        .is_durable = (o->flags & MQB_LOCAL_DURABLE) != 0,
        .clean_start = (o->flags & MQB_LOCAL_CLEAN_START) != 0,
        .session_expiry_s = o->session_expiry_s,
        .opened = on_opened,
        .opened_arg = l,
        .closed = on_closed,
        .closed_arg = l,
    };
    mqbx_list_init(&l->inner.subscriptions);
    l->home = mqbx_shared_home(mqbx_workers_shared(b->workers), o->tenant, l->inner.name);
    return l;
}

/* Under the lock. */
static mqb_err open_local(mqb_broker *b, const char *name, const mqb_local_opts *o, mqb_local **out)
{
    mqb_local *l = new_local(b, name, o);
    if (l == NULL)
        return mqbx_no_memory();
    mqbx_list_push_back(&b->locals, &l->node);
    mqb_err err = post_about(l, ITEM_LOCAL_OPEN);
    if (err == MQB_OK)
        *out = l;
    else
        free_local(l);
    return err;
}

static mqb_err check_name(mqb_broker *b, const char *name)
{
    size_t len = strlen(name);
    if (len == 0 || *name == '$')
        return mqbx_error(MQB_EINVAL, "the name of a handle must not be empty nor begin with '$'");
    if (len > mqbx_atomic_load32(&b->max_client_id_bytes))
        return mqbx_error(MQB_EINVAL, "the name of a handle is over limits.max_client_id");
    if (!mqbx_utf8_valid(mqbx_bytes(name, len)))
        return mqbx_error(MQB_EINVAL, "the name of a handle is not UTF-8");
    return MQB_OK;
}

static mqb_err take_options(mqb_broker *b, const char *name, const mqb_local_opts *given,
                            mqb_local_opts *o)
{
    const uint32_t flags = MQB_LOCAL_DURABLE | MQB_LOCAL_CLEAN_START;
    mqb_err err = mqbx_opts_take(o, sizeof(*o), given);
    if (err == MQB_OK)
        err = check_name(b, name);
    if (err == MQB_OK && (o->flags & ~flags) != 0)
        err = mqbx_error(MQB_EINVAL, "mqb_local_open: unknown flags");
    if (err == MQB_OK && !mqbx_tenant_known(b, o->tenant))
        err = mqbx_error(MQB_EINVAL, "there is no tenant %u", o->tenant);
    if (o->session_expiry_s == 0)
        o->session_expiry_s = mqbx_atomic_load32(&b->session_expiry_s);
    return err;
}

mqb_err mqb_local_open(mqb_broker *b, const char *name, const mqb_local_opts *opts, mqb_local **out)
{
    mqb_local_opts o;
    if (name == NULL || out == NULL)
        return mqbx_error(MQB_EINVAL, "mqb_local_open: name and out must be given");
    mqb_err err = mqbx_broker_enter(b);
    if (err != MQB_OK)
        return err;
    err = take_options(b, name, opts, &o);
    if (err == MQB_OK) {
        mqbx_lock_take(&b->locals_lock);
        err = open_local(b, name, &o, out);
        mqbx_lock_give(&b->locals_lock);
    }
    mqbx_broker_leave(b);
    return err;
}

/* --- close ----------------------------------------------------------------------------------- */

void mqb_local_close(mqb_local *l)
{
    if (l == NULL)
        return;
    mqb_broker *b = l->broker;
    bool is_running = mqbx_broker_enter(b) == MQB_OK;
    mqbx_lock_take(&b->locals_lock);
    l->is_let_go = true;
    if (mqbx_atomic_load32(&l->is_gone) != 0)
        free_local(l);
    else if (is_running)
        tell_engine(l);
    mqbx_lock_give(&b->locals_lock);
    if (is_running)
        mqbx_broker_leave(b);
}

void mqbx_locals_close_all(mqb_broker *b)
{
    mqbx_lock_take(&b->locals_lock);
    (void)mqbx_atomic_swap_ptr(&b->host, NULL);
    for (struct list *n = b->locals.next; n != &b->locals; n = n->next)
        tell_engine(at(n));
    mqbx_lock_give(&b->locals_lock);
}

void mqbx_locals_stopped(mqb_broker *b)
{
    struct list *next;
    mqbx_lock_take(&b->locals_lock);
    for (struct list *n = b->locals.next; n != &b->locals; n = next) {
        mqb_local *l = at(n);
        next = n->next;
        mqbx_atomic_store32(&l->is_gone, 1);
        if (l->is_let_go || l->is_default)
            free_local(l);
    }
    mqbx_lock_give(&b->locals_lock);
}

void mqbx_locals_free(mqb_broker *b)
{
    while (!mqbx_list_empty(&b->locals))
        free_local(at(b->locals.next));
}

/* --- default handles ------------------------------------------------------------------------- */

static void on_host_opened(void *arg, mqb_err err)
{
    mqbx_wait_bring(arg, err);
}

/* Under the lock. */
static mqb_err default_of(mqb_broker *b, uint32_t tenant, struct wait *opened, mqb_local **out)
{
    for (struct list *n = b->locals.next; n != &b->locals; n = n->next) {
        mqb_local *l = at(n);
        if (l->is_default && l->inner.tenant == tenant) {
            *out = l;
            return MQB_OK;
        }
    }
    mqb_local_opts o = mqb_local_defaults();
    o.tenant = tenant;
    if (opened != NULL) {
        o.opened = on_host_opened;
        o.opened_arg = opened;
    }
    mqb_err err = open_local(b, HOST_NAME, &o, out);
    if (err == MQB_OK)
        (*out)->is_default = true;
    return err;
}

/* The host's own handle is there when start returns. */
mqb_err mqbx_locals_start(mqb_broker *b)
{
    mqb_local *host;
    struct wait *opened = mqbx_wait_new(b->alloc);
    if (opened == NULL)
        return mqbx_no_memory();
    mqbx_lock_take(&b->locals_lock);
    mqb_err err = default_of(b, 0, opened, &host);
    mqbx_lock_give(&b->locals_lock);
    if (err != MQB_OK) {
        mqbx_wait_drop(opened);
        return err;
    }
    if (b->is_host_driven)
        (void)mqbx_workers_step(b->workers, 0);
    err = mqbx_wait_for(opened, -1);
    if (err == MQB_OK)
        (void)mqbx_atomic_swap_ptr(&b->host, host);
    return err;
}

static mqb_err choose_default(mqb_broker *b, uint32_t tenant, mqb_local **out)
{
    if (tenant == 0) {
        *out = mqbx_atomic_load_ptr(&b->host);
        return MQB_OK;
    }
    if (!mqbx_tenant_known(b, tenant))
        return mqbx_error(MQB_EINVAL, "there is no tenant %u", tenant);
    mqbx_lock_take(&b->locals_lock);
    mqb_err err = default_of(b, tenant, NULL, out);
    mqbx_lock_give(&b->locals_lock);
    return err;
}

mqb_err mqbx_local_choose(mqb_broker *b, mqb_local *local, uint32_t tenant, mqb_local **out)
{
    if (local == NULL)
        return choose_default(b, tenant, out);
    if (local->broker != b)
        return mqbx_error(MQB_EINVAL, "the handle is of another broker");
    if (tenant != 0 && tenant != local->inner.tenant)
        return mqbx_error(MQB_EINVAL, "the handle is of tenant %u", local->inner.tenant);
    if (mqbx_atomic_load32(&local->is_gone) != 0)
        return mqbx_error(MQB_ESTATE, "the handle ended when the broker stopped");
    *out = local;
    return MQB_OK;
}

struct local *mqbx_local_inner(mqb_local *l)
{
    return &l->inner;
}

uint32_t mqbx_local_home(const mqb_local *l)
{
    return l->home;
}
