/* SPDX-License-Identifier: MIT */
/*
 * The life of a broker: new, start, stop, free, and being driven by the host.
 */
#include "broker/broker.h"

#include <sched.h>
#include <string.h>
#include <time.h>

#include "broker/config_build.h"
#include "broker/error.h"

/* --- small things ---------------------------------------------------------------------------- */

mqb_err mqbx_no_memory(void)
{
    return mqbx_error(MQB_ENOMEM, "out of memory");
}

uint64_t mqbx_clock_ms(void)
{
    struct timespec ts;
    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (uint64_t)ts.tv_sec * 1000 + (uint64_t)ts.tv_nsec / 1000000;
}

mqb_err mqbx_opts_take(void *out, uint32_t size, const void *src)
{
    uint32_t given = 0;
    memset(out, 0, size);
    if (src == NULL)
        return MQB_OK;
    memcpy(&given, src, sizeof(given));
    if (given < sizeof(given) || given > 4096)
        return mqbx_error(MQB_EINVAL, "struct_size is not set: use the _defaults() function");
    for (uint32_t i = size; i < given; i++) {
        if (((const uint8_t *)src)[i] != 0)
            return mqbx_error(MQB_ENOTSUP, "an option is newer than this library");
    }
    memcpy(out, src, given < size ? given : size);
    return MQB_OK;
}

/* --- who may call ---------------------------------------------------------------------------- */

mqb_err mqbx_broker_enter(mqb_broker *b)
{
    if (b == NULL)
        return mqbx_error(MQB_EINVAL, "the broker is NULL");
    (void)mqbx_atomic_add32(&b->inside, 1);
    if (mqbx_atomic_load32(&b->state) == BROKER_RUNNING)
        return MQB_OK;
    mqbx_broker_leave(b);
    return mqbx_error(MQB_ESTATE, "the broker is not running");
}

void mqbx_broker_leave(mqb_broker *b)
{
    (void)mqbx_atomic_add32(&b->inside, UINT32_MAX);
}

/* Nobody inside waits for anything but short locks. */
static void wait_until_nobody_is_inside(mqb_broker *b)
{
    while (mqbx_atomic_load32(&b->inside) != 0)
        sched_yield();
}

mqb_err mqbx_broker_own(mqb_broker *b)
{
    if (b == NULL)
        return mqbx_error(MQB_EINVAL, "the broker is NULL");
    if (mqbx_atomic_swap32(&b->owner_calls, 1) == 0)
        return MQB_OK;
    return mqbx_error(MQB_ESTATE, "another [owner] call on this broker is still running");
}

void mqbx_broker_disown(mqb_broker *b)
{
    mqbx_atomic_store32(&b->owner_calls, 0);
}

/* For [owner][blocking] calls. */
static mqb_err own_to_wait(mqb_broker *b)
{
    mqb_err err = mqbx_broker_own(b);
    if (err != MQB_OK)
        return err;
    if (b->workers == NULL || !mqbx_workers_on_thread(b->workers))
        return MQB_OK;
    mqbx_broker_disown(b);
    return mqbx_error(MQB_ESTATE,
                      "this call waits for the broker, and was made on one of its threads");
}

mqb_err mqbx_broker_enter_to_wait(mqb_broker *b)
{
    mqb_err err = mqbx_broker_enter(b);
    if (err != MQB_OK)
        return err;
    if (!b->is_host_driven && !mqbx_workers_on_thread(b->workers))
        return MQB_OK;
    mqbx_broker_leave(b);
    return mqbx_error(
        MQB_ESTATE, "this call waits for the broker: not with threads = 0, and not in a callback");
}

mqb_err mqbx_broker_post(mqb_broker *b, uint32_t target, const struct item *it, size_t bytes,
                         bool even_if_full)
{
    uint32_t weight = bytes > UINT32_MAX ? UINT32_MAX : (uint32_t)bytes;
    switch (mqbx_workers_post(b->workers, target, it, weight, even_if_full)) {
    case POST_OK:
        return MQB_OK;
    case POST_FULL:
        return mqbx_error(
            MQB_EAGAIN, "worker %u has enough to do: its inbox is over worker.inbox_mark", target);
    case POST_NO_MEMORY:
        return mqbx_no_memory();
    default:
        return mqbx_error(MQB_ESTATE, "the broker is stopping");
    }
}

/* --- new and free ---------------------------------------------------------------------------- */

static void log_event(void *ctx, const struct log_event *ev)
{
    mqbx_log_event(ctx, ev);
}

static void take_limits(mqb_broker *b, const struct settings *s)
{
    mqbx_atomic_store32(&b->max_packet_bytes, s->max_packet_bytes);
    mqbx_atomic_store32(&b->max_topic_bytes, s->max_topic_bytes);
    mqbx_atomic_store32(&b->max_client_id_bytes, s->max_client_id_bytes);
    mqbx_atomic_store32(&b->max_topic_levels, s->max_topic_levels);
    mqbx_atomic_store32(&b->session_expiry_s, s->session_expiry_v3_s);
}

static void take_config(mqb_broker *b)
{
    mqbx_log_configure(&b->log, b->cfg);
    mqbx_lock_take(&b->tenants_lock);
    b->tenant_max = (uint32_t)mqbx_config_number(b->cfg, "limits.max_tenants");
    mqbx_lock_give(&b->tenants_lock);
}

static void init(mqb_broker *b, const mqb_config *cfg)
{
    b->alloc = cfg->alloc;
    b->next_listener = 1;
    mqbx_atomic_store64(&b->next_sub, 1);
    mqbx_log_init(&b->log, cfg->log, cfg->log_arg);
    mqbx_list_init(&b->listeners);
    mqbx_list_init(&b->locals);
    mqbx_table_init(&b->subs, b->alloc);
    mqbx_lock_init(&b->locals_lock);
    mqbx_lock_init(&b->subs_lock);
    mqbx_lock_init(&b->tenants_lock);
}

static void tenants_free(mqb_broker *b)
{
    for (uint32_t i = 0; i < b->tenant_count; i++)
        mqbx_free(b->alloc, b->tenants[i], strlen(b->tenants[i]) + 1);
    mqbx_free(b->alloc, b->tenants, b->tenant_capacity * sizeof(*b->tenants));
}

static void fini(mqb_broker *b)
{
    mqbx_listeners_free(b);
    mqbx_locals_free(b);
    mqbx_subs_free(b);
    mqbx_plugins_free(b->plugins);
    mqbx_broker_plugins_unname(b);
    tenants_free(b);
    mqb_config_free(b->cfg);
    mqbx_lock_fini(&b->tenants_lock);
    mqbx_lock_fini(&b->subs_lock);
    mqbx_lock_fini(&b->locals_lock);
    mqbx_table_fini(&b->subs);
    mqbx_log_fini(&b->log);
    mqbx_free(b->alloc, b, sizeof(*b));
}

mqb_err mqb_broker_new(const mqb_config *cfg, mqb_broker **out)
{
    if (out == NULL)
        return mqbx_error(MQB_EINVAL, "mqb_broker_new: out must be given");
    mqb_err err = mqb_config_check(cfg);
    if (err != MQB_OK)
        return err;
    mqb_broker *b = mqbx_zalloc(cfg->alloc, sizeof(*b));
    if (b == NULL)
        return mqbx_no_memory();
    init(b, cfg);
    err = mqbx_config_copy(cfg, b->alloc, &b->cfg);
    if (err == MQB_OK)
        err = mqbx_broker_plugins_new(b);
    if (err == MQB_OK) {
        take_config(b);
        err = mqbx_listeners_from_config(b);
    }
    if (err == MQB_OK)
        *out = b;
    else
        fini(b);
    return err;
}

void mqb_broker_free(mqb_broker *b)
{
    if (b == NULL)
        return;
    if (mqbx_atomic_load32(&b->state) == BROKER_RUNNING && mqb_broker_stop(b, 0) == MQB_ESTATE)
        return; /* in a callback: the thread that would be joined is this one */
    fini(b);
}

/* --- start ----------------------------------------------------------------------------------- */

static mqb_err make_workers(mqb_broker *b)
{
    struct settings *s;
    mqb_err err = mqbx_config_settings(b->cfg, &s);
    if (err != MQB_OK)
        return err;
    s->asks = mqbx_plugins_asks(b->plugins);
    struct workers_options o = {
        .alloc = b->alloc,
        .interest_slots = mqbx_config_interest_slots(b->cfg),
        .max_retained_count = (uint64_t)mqbx_config_number(b->cfg, "retained.max_count"),
        .max_retained_bytes = (uint64_t)mqbx_config_number(b->cfg, "retained.max_bytes"),
        .settings = s,
        .plugins = b->plugins->count > 0 ? b->plugins : NULL,
        .log = log_event,
        .log_ctx = &b->log,
        .max_accepts_per_turn = (uint32_t)mqbx_config_number(b->cfg, "worker.accepts_per_turn"),
    };
    o.tick = mqbx_sys_publish;
    o.tick_ctx = b;
    o.tick_ms = (uint64_t)mqbx_config_number(b->cfg, "sys.interval");
    o.count = mqbx_config_workers(b->cfg, &o.host_driven);
    b->is_host_driven = o.host_driven;
    take_limits(b, s);
    err = mqbx_workers_new(&o, &b->workers);
    mqbx_settings_unref(s);
    return err;
}

/* In the order of docs: handles end first, so that their last callbacks run while there are
 * workers. */
static void take_down(mqb_broker *b, int64_t grace_ms)
{
    mqbx_locals_close_all(b);
    (void)mqbx_workers_stop(b->workers, grace_ms);
    mqbx_listeners_closed(b);
    mqbx_locals_stopped(b);
}

/* Plugins go when nothing can ask them any more. */
static void drop_workers(mqb_broker *b)
{
    mqbx_plugins_stop(b->plugins);
    mqbx_workers_free(b->workers);
    b->workers = NULL;
}

static mqb_err bring_up(mqb_broker *b)
{
    mqb_err err = mqbx_workers_start(b->workers);
    if (err != MQB_OK)
        return err;
    err = mqbx_locals_start(b);
    if (err == MQB_OK)
        err = mqbx_listeners_open(b);
    if (err != MQB_OK) {
        /* The sentence is about the failure, not about what cleaning up may say. */
        char why[1024];
        (void)mqb_last_error_copy(why, sizeof(why));
        take_down(b, 0);
        mqbx_error(err, "%s", why);
    }
    return err;
}

static mqb_err start(mqb_broker *b)
{
    if (mqbx_atomic_load32(&b->state) != BROKER_STOPPED)
        return mqbx_error(MQB_ESTATE, "the broker is started already");
    mqb_err err = mqbx_broker_plugins_start(b);
    if (err == MQB_OK)
        err = make_workers(b);
    if (err == MQB_OK)
        err = bring_up(b);
    if (err != MQB_OK) {
        mqbx_log_broker(&b->log, LOG_ERROR, "start failed", "%s", mqb_last_error());
        drop_workers(b);
        return err;
    }
    b->started_ms = mqbx_clock_ms();
    mqbx_atomic_store32(&b->state, BROKER_RUNNING);
    if (mqbx_config_number(b->cfg, "sys.interval") > 0)
        mqbx_sys_publish(b);
    mqbx_log_broker(&b->log, LOG_INFO, "started", "%u workers", mqbx_workers_count(b->workers));
    return MQB_OK;
}

mqb_err mqb_broker_start(mqb_broker *b)
{
    mqb_err err = own_to_wait(b);
    if (err != MQB_OK)
        return err;
    err = start(b);
    mqbx_broker_disown(b);
    return err;
}

bool mqb_broker_is_running(const mqb_broker *b)
{
    return b != NULL && mqbx_atomic_load32(&b->state) == BROKER_RUNNING;
}

/* --- stop ------------------------------------------------------------------------------------ */

static mqb_err stop(mqb_broker *b, int64_t grace_ms)
{
    if (mqbx_atomic_load32(&b->state) != BROKER_RUNNING)
        return mqbx_error(MQB_ESTATE, "the broker is not running");
    if (grace_ms < 0)
        grace_ms = mqbx_config_number(b->cfg, "stop.grace");
    mqbx_log_broker(&b->log, LOG_INFO, "stopping", "grace %lld ms", (long long)grace_ms);
    mqbx_atomic_store32(&b->state, BROKER_STOPPING);
    wait_until_nobody_is_inside(b);
    take_down(b, grace_ms);
    drop_workers(b);
    mqbx_atomic_store32(&b->state, BROKER_STOPPED);
    mqbx_log_broker(&b->log, LOG_INFO, "stopped", "%s", "");
    mqbx_log_flush(&b->log);
    return MQB_OK;
}

mqb_err mqb_broker_stop(mqb_broker *b, int64_t grace_ms)
{
    mqb_err err = own_to_wait(b);
    if (err != MQB_OK)
        return err;
    err = stop(b, grace_ms);
    mqbx_broker_disown(b);
    return err;
}

/* --- reload ---------------------------------------------------------------------------------- */

/* Before start: everything may change. */
static mqb_err replace_config(mqb_broker *b, mqb_config *cfg)
{
    mqb_config *before = b->cfg;
    b->cfg = cfg;
    mqb_err err = mqbx_listeners_from_config(b);
    if (err != MQB_OK) {
        b->cfg = before;
        mqb_config_free(cfg);
        return err;
    }
    mqb_config_free(before);
    return MQB_OK;
}

static mqb_err change_running(mqb_broker *b, mqb_config *cfg)
{
    struct settings *s = NULL;
    struct listener_change *change = NULL;
    const char *restart_key = mqbx_config_restart_key(b->cfg, cfg);
    if (restart_key != NULL)
        return mqbx_error(MQB_ECONFIG, "%s needs a restart to change; nothing was changed",
                          restart_key);
    mqb_err err = mqbx_config_settings(cfg, &s);
    if (err == MQB_OK)
        err = mqbx_broker_plugins_check_keys(b, cfg);
    if (err == MQB_OK)
        err = mqbx_listeners_change(b, cfg, &change);
    if (err != MQB_OK)
        goto out;
    s->asks = mqbx_plugins_asks(b->plugins);
    err = mqbx_broker_plugins_reload(b, cfg);
    if (err != MQB_OK) {
        mqbx_listeners_undo(b, change);
        goto out;
    }
    for (uint32_t i = 0; i < mqbx_workers_count(b->workers); i++)
        (void)mqbx_settings_ref(s);
    err = mqbx_workers_set_settings(b->workers, s);
    if (err != MQB_OK) {
        for (uint32_t i = 0; i < mqbx_workers_count(b->workers); i++)
            mqbx_settings_unref(s);
        (void)mqbx_broker_plugins_reload(b, b->cfg);
        mqbx_listeners_undo(b, change);
        goto out;
    }
    mqbx_shared_set_retained_limits(mqbx_workers_shared(b->workers),
                                    (uint64_t)mqbx_config_number(cfg, "retained.max_count"),
                                    (uint64_t)mqbx_config_number(cfg, "retained.max_bytes"));
    mqbx_listeners_commit(b, change);
    mqbx_config_replace(b->cfg, cfg);
    take_limits(b, s);
out:
    mqbx_settings_unref(s);
    return err;
}

static mqb_err reload(mqb_broker *b, const mqb_config *given)
{
    mqb_config *cfg;
    mqb_err err = mqb_config_check(given);
    if (err == MQB_OK)
        err = mqbx_config_copy(given, b->alloc, &cfg);
    if (err != MQB_OK)
        return err;
    if (mqbx_atomic_load32(&b->state) == BROKER_STOPPED)
        return replace_config(b, cfg);
    err = change_running(b, cfg);
    if (err != MQB_OK)
        mqb_config_free(cfg);
    return err;
}

mqb_err mqb_broker_reload(mqb_broker *b, const mqb_config *cfg)
{
    mqb_err err = own_to_wait(b);
    if (err != MQB_OK)
        return err;
    err = reload(b, cfg);
    if (err == MQB_OK) {
        take_config(b);
        mqbx_log_broker(&b->log, LOG_INFO, "configuration reloaded", "%s", "");
    } else {
        mqbx_log_broker(&b->log, LOG_ERROR, "configuration not reloaded", "%s", mqb_last_error());
    }
    mqbx_broker_disown(b);
    return err;
}

/* --- driven by the host ---------------------------------------------------------------------- */

static bool is_driven(const mqb_broker *b)
{
    return mqb_broker_is_running(b) && b->is_host_driven;
}

int mqb_broker_fd(const mqb_broker *b)
{
    return is_driven(b) ? mqbx_workers_fd(b->workers) : -1;
}

int64_t mqb_broker_timeout(const mqb_broker *b)
{
    return is_driven(b) ? mqbx_workers_timeout_ms(b->workers) : -1;
}

mqb_err mqb_broker_step(mqb_broker *b, int64_t wait_ms)
{
    if (!is_driven(b))
        return mqbx_error(MQB_ESTATE, "mqb_broker_step: not running with threads = 0");
    return mqbx_workers_step(b->workers, wait_ms);
}
