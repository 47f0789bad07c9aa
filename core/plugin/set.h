/* SPDX-License-Identifier: MIT */
/*
 * The plugins of one broker: loaded by its owner before the start, brought up with it, asked by its
 * workers through their seats. What is set by start is constant until stop, and read by any thread.
 */
#ifndef MQBX_PLUGIN_SET_H
#define MQBX_PLUGIN_SET_H

#include <mqttbroker_plugin.h>
#include <stdbool.h>

#include "base/alloc.h"
#include "base/atomic.h"
#include "base/lock.h"
#include "engine/ask.h"
#include "plugin/error.h"
#include "plugin/tickets.h"

struct runner;
struct seat;

enum { PLUGINS_MAX = 32, PLUGIN_NAME_BYTES = 64, SEATS_MAX = 64 };

/* Where a plugin is called; its figures are kept per hook. */
enum plugin_hook { HOOK_CONNECT, HOOK_ACCESS, HOOK_RECEIVE, PLUGIN_HOOKS };

/* What the broker does for plugins. Any thread, unless said otherwise. */
struct plugin_services {
    void *ctx;
    void (*log)(void *ctx, int32_t level, const char *plugin, const char *line, size_t len);
    mqb_err (*publish)(void *ctx, const mqb_plugin_publish *p);
    mqb_err (*kick)(void *ctx, mqb_client c, uint64_t connection, uint32_t reason, uint32_t flags);
    mqb_err (*tenant)(void *ctx, const char *name, uint32_t *out);
    const char *(*config)(void *ctx, const char *plugin, const char *key); /* the owner's thread */
};

struct plugin {
    mqb_host host; /* first: the plugin is given this */
    struct plugins *set;
    uint32_t index;
    char name[PLUGIN_NAME_BYTES + 1]; /* the configuration's, or the descriptor's */
    const mqb_plugin *descriptor;
    bool is_configured; /* loaded by a key, not by a call */
    bool is_up;
    bool reads_config; /* inside init or reload */
    void *self;
    const mqb_cap_auth *auth; /* NULL: not offered */
    const mqb_cap_acl *acl;
    const mqb_cap_credentials *credentials;
    struct runner *serial; /* NULL: nothing of it is SERIAL */
};

struct chain_link {
    struct plugin *plugin;
    enum plugin_hook hook;
    uint32_t run; /* MQB_RUN_... */
};

struct chain {
    uint32_t count;
    struct chain_link links[PLUGINS_MAX];
};

struct plugins_options {
    uint32_t deadline_ms;
    uint32_t queue_max; /* of each runner */
    uint32_t pool_threads;
};

struct plugins {
    const struct alloc *alloc;
    struct plugin_services services;
    struct plugins_options options;
    struct plugin *list[PLUGINS_MAX];
    uint32_t count;
    bool is_up;
    struct chain chains[ASK_KINDS];
    struct runner *pool; /* NULL: nothing is POOL */
    struct tickets tickets;
    struct atomic_u64 generation; /* counts what was forgotten */
    struct lock seats_lock;
    struct seat *seats[SEATS_MAX]; /* under seats_lock; their worker knows its own */
};

/* [owner] NULL: out of memory. */
struct plugins *mqbx_plugins_new(const struct alloc *a, const struct plugin_services *s);
void mqbx_plugins_free(struct plugins *p); /* stopped; NULL is fine */

/* [owner] Not while up. name NULL: the descriptor's. MQB_EEXIST, MQB_EQUOTA, MQB_ENOMEM, and as
 * mqbx_plugin_check. */
mqb_err mqbx_plugins_add(struct plugins *p, const mqb_plugin *d, const char *name,
                         bool is_configured, const char *from, struct plugin_error *e);
void mqbx_plugins_drop_configured(struct plugins *p);
struct plugin *mqbx_plugins_find(const struct plugins *p, const char *name);
bool mqbx_plugin_has_key(const struct plugin *p, const char *key);

/* [owner] Inits all, in order. On an error all are down again. */
mqb_err mqbx_plugins_start(struct plugins *p, const struct plugins_options *o,
                           struct plugin_error *e);
/* [owner] Every seat is closed. */
void mqbx_plugins_stop(struct plugins *p);
/* [owner] The configuration has changed. MQB_EPLUGIN: one of them does not take it; those before it
 * have it already, so the caller puts the old one back and calls again. */
mqb_err mqbx_plugins_reload(struct plugins *p, struct plugin_error *e);
/* ASKS bits: what anybody is asked. */
uint32_t mqbx_plugins_asks(const struct plugins *p);

/* Fills in p->host; host.c. */
void mqbx_plugin_host_init(struct plugin *p);
/* [any] Drops kept answers; the number of the change. host.c */
uint64_t mqbx_plugins_forget(struct plugins *p, uint64_t client);
/* Reads and checks the capabilities; capability.c. */
mqb_err mqbx_plugin_read_capabilities(struct plugin *p, struct plugin_error *e);

void mqbx_plugin_log(const struct plugin *p, int32_t level, const char *text);

/* --- figures: calls by plugin and hook, added up over the seats --------------------------------
 */

enum plugin_figure {
    FIGURE_CALLS,
    FIGURE_ALLOWED,
    FIGURE_DENIED,
    FIGURE_PASSED,
    FIGURE_TIMED_OUT,
    FIGURE_REFUSED, /* the queue was full */
    FIGURE_LATENCY_NS,
    FIGURE_LATENCY_MAX_NS,
    PLUGIN_FIGURES
};
uint64_t mqbx_plugins_figure(struct plugins *p, uint32_t plugin, enum plugin_hook hook,
                             enum plugin_figure figure);

#endif
