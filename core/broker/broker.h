/* SPDX-License-Identifier: MIT */
/*
 * struct mqb_broker and what the files behind the public functions share. The owner's fields change
 * in [owner] calls only, which never overlap; what any thread uses has its lock or is atomic, said
 * at each.
 */
#ifndef MQBX_BROKER_BROKER_H
#define MQBX_BROKER_BROKER_H

#include <mqttbroker.h>

#include "base/alloc.h"
#include "base/atomic.h"
#include "base/list.h"
#include "base/lock.h"
#include "base/table.h"
#include "broker/config.h"
#include "broker/log.h"
#include "broker/workers.h"
#include "plugin/set.h"

enum broker_state { BROKER_STOPPED, BROKER_RUNNING, BROKER_STOPPING };

struct mqb_broker {
    const struct alloc *alloc;
    struct log log;

    /* the owner's */
    mqb_config *cfg;
    struct list listeners; /* struct broker_listener, in the order they came */
    uint64_t next_listener;
    struct atomic_u32 owner_calls; /* 1 while one runs: finds overlaps */

    /* Set by the owner while nobody is inside (see enter), read by those inside. */
    struct workers *workers; /* NULL unless started */
    bool is_host_driven;     /* threads = 0 */
    uint64_t started_ms;     /* monotonic */
    struct atomic_u32 state; /* enum broker_state */
    struct atomic_u32 inside;

    /* limits that calls check at once; changed by reload */
    struct atomic_u32 max_packet_bytes;
    struct atomic_u32 max_topic_bytes;
    struct atomic_u32 max_client_id_bytes;
    struct atomic_u32 max_topic_levels;
    struct atomic_u32 session_expiry_s; /* of durable handles that name none */

    struct lock locals_lock;
    struct list locals;         /* struct mqb_local; under locals_lock */
    struct atomic_ptr host;     /* the default handle of tenant 0 while running */
    struct atomic_u64 next_sub; /* counts on over restarts: a number is never used twice */

    struct lock subs_lock;
    struct table subs; /* struct sub by number; under subs_lock */

    struct plugins *plugins;      /* the owner adds; constant while it runs */
    const mqb_config *plugin_cfg; /* the owner's: what plugins are to read instead of cfg; NULL */
    struct plugin_metric *plugin_metrics; /* set by start */
    size_t plugin_metric_count;

    struct lock tenants_lock;
    char **tenants; /* names of 1, 2, ...; under tenants_lock */
    uint32_t tenant_count, tenant_capacity, tenant_max;
};

#define HOST_NAME "$host"

/* --- who may call ---------------------------------------------------------------------------- */

/* [any] calls that use the workers: between the two they are there. MQB_ESTATE: not running. Never
 * held while waiting. */
mqb_err mqbx_broker_enter(mqb_broker *b);
void mqbx_broker_leave(mqb_broker *b);

/* Overlap of [owner] calls: MQB_ESTATE. */
mqb_err mqbx_broker_own(mqb_broker *b);
void mqbx_broker_disown(mqb_broker *b);

/* MQB_ESTATE on a thread of the broker, and with threads = 0, where waiting would be for oneself;
 * enters. */
mqb_err mqbx_broker_enter_to_wait(mqb_broker *b);

/* [inside] Posts to a worker. MQB_EAGAIN, MQB_ENOMEM, MQB_ESTATE, with a sentence. */
mqb_err mqbx_broker_post(mqb_broker *b, uint32_t target, const struct item *it, size_t bytes,
                         bool even_if_full);

/* Whether mqb_tenant has given this number out; 0 is. */
bool mqbx_tenant_known(mqb_broker *b, uint32_t tenant);

/* --- listeners (listeners.c) ----------------------------------------------------------------- */

mqb_err mqbx_listeners_from_config(
    mqb_broker *b); /* before start: those of b->cfg, replacing former ones */
mqb_err mqbx_listeners_open(mqb_broker *b); /* all; on an error the caller stops */
void mqbx_listeners_closed(mqb_broker *b);  /* the workers have stopped: none is open */
void mqbx_listeners_free(mqb_broker *b);
/* Running: as cfg wants, or an error and all is as before. Commit or undo must follow success. */
struct listener_change;
mqb_err mqbx_listeners_change(mqb_broker *b, const mqb_config *cfg, struct listener_change **out);
void mqbx_listeners_commit(mqb_broker *b, struct listener_change *c);
void mqbx_listeners_undo(mqb_broker *b, struct listener_change *c);

/* --- handles (local.c) ----------------------------------------------------------------------- */

mqb_err mqbx_locals_start(mqb_broker *b);  /* opens the default handle */
void mqbx_locals_close_all(mqb_broker *b); /* before the workers stop */
void mqbx_locals_stopped(mqb_broker *b);   /* after */
void mqbx_locals_free(mqb_broker *b);
/* [inside] What `local` or else the tenant means. */
mqb_err mqbx_local_choose(mqb_broker *b, mqb_local *local, uint32_t tenant, mqb_local **out);
struct local *mqbx_local_inner(mqb_local *l);
uint32_t mqbx_local_home(const mqb_local *l);

/* --- plugins (plugins.c) ------------------------------------------------------------------------
 */

mqb_err mqbx_broker_plugins_new(mqb_broker *b);
/* [owner] Loads what the configuration names, and brings all up. */
mqb_err mqbx_broker_plugins_start(mqb_broker *b);
/* [owner] The configuration has keys that no plugin knows: MQB_ECONFIG. */
mqb_err mqbx_broker_plugins_check_keys(const mqb_broker *b, const mqb_config *cfg);
/* [owner] All take cfg, or none. MQB_EPLUGIN. */
mqb_err mqbx_broker_plugins_reload(mqb_broker *b, const mqb_config *cfg);
/* Their figures as metrics, from `at` on; answers the number behind the last. */
size_t mqbx_broker_plugins_metrics(mqb_broker *b, mqb_metric *out, size_t cap, size_t at);
void mqbx_broker_plugins_unname(mqb_broker *b);

/* --- subscriptions (subscribe.c) ------------------------------------------------------------- */

void mqbx_subs_free(mqb_broker *b);

/* --- $SYS (sys.c) ---------------------------------------------------------------------------- */

void mqbx_sys_publish(void *broker); /* any thread; nothing happens unless it runs */

/* --- small things ---------------------------------------------------------------------------- */

/* Copies an options structure that may be of an older or newer library: *out is zeroed behind what
 * the caller has. NULL src is all zeros. MQB_EINVAL, MQB_ENOTSUP. */
mqb_err mqbx_opts_take(void *out, uint32_t size, const void *src);
uint64_t mqbx_clock_ms(void); /* monotonic */
mqb_err mqbx_no_memory(void); /* sets the sentence */

#endif
