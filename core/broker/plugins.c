/* SPDX-License-Identifier: MIT */
/*
 * Plugins as the broker sees them: loaded by call or by key, their keys, what the broker does for
 * them, their figures. The owner's thread, but for the services, which any thread calls.
 */
#include <stdio.h>
#include <string.h>

#include "broker/broker.h"
#include "broker/error.h"
#include "plugin/load.h"

/* --- services --------------------------------------------------------------------------------- */

static void service_log(void *ctx, int32_t level, const char *plugin, const char *line, size_t len)
{
    mqb_broker *b = ctx;
    char detail[1024];
    int shown = len > 900 ? 900 : (int)len;
    snprintf(detail, sizeof(detail), "%s: %.*s", plugin, shown, line);
    struct log_event ev = {.level = (enum log_level)level,
                           .module = "plugin",
                           .event = "plugin says",
                           .reason = -1,
                           .detail = detail};
    mqbx_log_event(&b->log, &ev);
}

/* mqb_publish_ex posts: nothing happens within the caller's callback. */
static mqb_err service_publish(void *ctx, const mqb_plugin_publish *p)
{
    mqb_publish_opts o = mqb_publish_defaults();
    o.flags = p->flags;
    o.tenant = p->tenant;
    o.qos = p->qos;
    o.expiry_s = p->expiry_s;
    o.topic = p->topic;
    o.payload = p->payload.ptr;
    o.payload_len = p->payload.len;
    return mqb_publish_ex(ctx, &o);
}

static mqb_err service_kick(void *ctx, mqb_client c, uint64_t connection, uint32_t reason,
                            uint32_t flags)
{
    if (reason > UINT8_MAX)
        return MQB_EINVAL;
    return mqb_client_kick(ctx, c, connection, (uint8_t)reason, flags);
}

static mqb_err service_tenant(void *ctx, const char *name, uint32_t *out)
{
    return mqb_tenant(ctx, name, out);
}

static const char *service_config(void *ctx, const char *plugin, const char *key)
{
    const mqb_broker *b = ctx;
    char full[256];
    snprintf(full, sizeof(full), "plugin.%s.%s", plugin, key);
    const struct config_entry *e =
        mqbx_config_entry(b->plugin_cfg != NULL ? b->plugin_cfg : b->cfg, full);
    return e == NULL ? NULL : e->value;
}

mqb_err mqbx_broker_plugins_new(mqb_broker *b)
{
    struct plugin_services s = {
        .ctx = b,
        .log = service_log,
        .publish = service_publish,
        .kick = service_kick,
        .tenant = service_tenant,
        .config = service_config,
    };
    b->plugins = mqbx_plugins_new(b->alloc, &s);
    return b->plugins == NULL ? mqbx_no_memory() : MQB_OK;
}

/* --- loading ---------------------------------------------------------------------------------- */

static mqb_err load(mqb_broker *b, const char *path, const char *name)
{
    struct plugin_error e = {.text = ""};
    const mqb_plugin *d;
    mqb_err err = mqbx_plugin_open(mqbx_config_text(b->cfg, "plugin.folder"), path, &d, &e);
    if (err == MQB_OK)
        err = mqbx_plugins_add(b->plugins, d, name, name != NULL, path, &e);
    return err == MQB_OK ? MQB_OK : mqbx_error(err, "%s", e.text);
}

static mqb_err own_stopped(mqb_broker *b)
{
    mqb_err err = mqbx_broker_own(b);
    if (err != MQB_OK || mqbx_atomic_load32(&b->state) == BROKER_STOPPED)
        return err;
    mqbx_broker_disown(b);
    return mqbx_error(MQB_ESTATE, "plugins are loaded before the broker is started");
}

mqb_err mqb_plugin_load(mqb_broker *b, const char *path)
{
    if (path == NULL)
        return mqbx_error(MQB_EINVAL, "mqb_plugin_load: path must be given");
    mqb_err err = own_stopped(b);
    if (err != MQB_OK)
        return err;
    err = load(b, path, NULL);
    mqbx_broker_disown(b);
    return err;
}

mqb_err mqb_plugin_add(mqb_broker *b, const struct mqb_plugin *plugin)
{
    struct plugin_error e = {.text = ""};
    if (plugin == NULL)
        return mqbx_error(MQB_EINVAL, "mqb_plugin_add: plugin must be given");
    mqb_err err = own_stopped(b);
    if (err != MQB_OK)
        return err;
    err = mqbx_plugins_add(b->plugins, plugin, NULL, false, "linked in", &e);
    if (err != MQB_OK)
        mqbx_error(err, "%s", e.text);
    mqbx_broker_disown(b);
    return err;
}

/* --- keys ------------------------------------------------------------------------------------- */

/* "plugin.NAME.KEY" in its parts; false: another key. */
static bool split(const char *key, char name[PLUGIN_NAME_BYTES + 1], const char **rest)
{
    if (strncmp(key, "plugin.", 7) != 0)
        return false;
    size_t len = strcspn(key + 7, ".");
    if (key[7 + len] != '.' || len > PLUGIN_NAME_BYTES)
        return false;
    memcpy(name, key + 7, len);
    name[len] = '\0';
    *rest = key + 7 + len + 1;
    return true;
}

static mqb_err load_configured(mqb_broker *b)
{
    mqb_err err = MQB_OK;
    mqbx_plugins_drop_configured(b->plugins);
    for (size_t i = 0; i < b->cfg->count && err == MQB_OK; i++) {
        const struct config_entry *e = &b->cfg->entries[i];
        char name[PLUGIN_NAME_BYTES + 1];
        const char *rest;
        if (split(e->key, name, &rest) && strcmp(rest, "path") == 0)
            err = load(b, e->value, name);
    }
    return err;
}

mqb_err mqbx_broker_plugins_check_keys(const mqb_broker *b, const mqb_config *cfg)
{
    for (size_t i = 0; i < cfg->count; i++) {
        const char *key = cfg->entries[i].key;
        char name[PLUGIN_NAME_BYTES + 1];
        const char *rest;
        if (!split(key, name, &rest) || strcmp(rest, "path") == 0)
            continue;
        const struct plugin *p = mqbx_plugins_find(b->plugins, name);
        if (p == NULL)
            return mqbx_error(MQB_ECONFIG, "key '%s': no such plugin is loaded", key);
        if (!mqbx_plugin_has_key(p, rest))
            return mqbx_error(MQB_ECONFIG, "key '%s': plugin '%s' has no such key", key, name);
    }
    return MQB_OK;
}

/* --- up, and reload --------------------------------------------------------------------------- */

static mqb_err name_metrics(mqb_broker *b);

mqb_err mqbx_broker_plugins_start(mqb_broker *b)
{
    struct plugin_error e = {.text = ""};
    struct plugins_options o = {
        .deadline_ms = (uint32_t)mqbx_config_number(b->cfg, "plugin.deadline"),
        .queue_max = (uint32_t)mqbx_config_number(b->cfg, "plugin.queue"),
        .pool_threads = (uint32_t)mqbx_config_number(b->cfg, "plugin.pool_threads"),
    };
    mqb_err err = load_configured(b);
    if (err == MQB_OK)
        err = mqbx_broker_plugins_check_keys(b, b->cfg);
    if (err != MQB_OK)
        return err;
    err = mqbx_plugins_start(b->plugins, &o, &e);
    if (err != MQB_OK)
        return mqbx_error(err, "%s", e.text);
    err = name_metrics(b);
    if (err != MQB_OK)
        mqbx_plugins_stop(b->plugins);
    return err;
}

mqb_err mqbx_broker_plugins_reload(mqb_broker *b, const mqb_config *cfg)
{
    struct plugin_error e = {.text = ""}, ignored;
    b->plugin_cfg = cfg;
    mqb_err err = mqbx_plugins_reload(b->plugins, &e);
    b->plugin_cfg = NULL;
    if (err == MQB_OK)
        return MQB_OK;
    (void)mqbx_plugins_reload(b->plugins, &ignored); /* those that took it go back */
    return mqbx_error(err, "%s; nothing was changed", e.text);
}

/* --- figures ---------------------------------------------------------------------------------- */

struct plugin_metric {
    char name[128];
    uint32_t plugin;
    enum plugin_hook hook;
    enum plugin_figure figure;
};

static const struct {
    const char *name;
    const char *help;
    uint32_t kind;
} figures[PLUGIN_FIGURES] = {
    [FIGURE_CALLS] = {"calls", "questions to this plugin", MQB_COUNTER},
    [FIGURE_ALLOWED] = {"allowed", "answers that allow", MQB_COUNTER},
    [FIGURE_DENIED] = {"denied", "answers that deny", MQB_COUNTER},
    [FIGURE_PASSED] = {"passed", "answers that leave it to the next plugin", MQB_COUNTER},
    [FIGURE_TIMED_OUT] = {"timed_out", "questions denied at plugin.deadline", MQB_COUNTER},
    [FIGURE_REFUSED] = {"refused", "questions denied because plugin.queue was full", MQB_COUNTER},
    [FIGURE_LATENCY_NS] = {"latency_ns", "nanoseconds until its answers, added up", MQB_COUNTER},
    [FIGURE_LATENCY_MAX_NS] = {"latency_max_ns", "nanoseconds of the slowest answer", MQB_GAUGE},
};

static bool has_hook(const struct plugin *p, enum plugin_hook hook)
{
    if (hook == HOOK_CONNECT)
        return p->auth != NULL;
    if (hook == HOOK_ACCESS)
        return p->acl != NULL && p->acl->actions != 0;
    return p->acl != NULL && p->acl->receive != NULL;
}

void mqbx_broker_plugins_unname(mqb_broker *b)
{
    mqbx_free(b->alloc, b->plugin_metrics, b->plugin_metric_count * sizeof(*b->plugin_metrics));
    b->plugin_metrics = NULL;
    b->plugin_metric_count = 0;
}

static void name_hook(mqb_broker *b, const struct plugin *p, enum plugin_hook hook)
{
    static const char *const hooks[PLUGIN_HOOKS] = {"connect", "access", "receive"};
    for (uint32_t i = 0; i < PLUGIN_FIGURES; i++) {
        struct plugin_metric *m = &b->plugin_metrics[b->plugin_metric_count++];
        *m = (struct plugin_metric){
            .plugin = p->index, .hook = hook, .figure = (enum plugin_figure)i};
        snprintf(m->name, sizeof(m->name), "plugin_%s_%s_%s", p->name, hooks[hook],
                 figures[i].name);
        for (char *c = m->name; *c != '\0'; c++)
            *c = *c == '-' ? '_' : *c;
    }
}

/* Names live from start to start, so that a snapshot may be looked at after the stop. */
static mqb_err name_metrics(mqb_broker *b)
{
    size_t rows = 0;
    for (uint32_t i = 0; i < b->plugins->count; i++)
        for (uint32_t hook = 0; hook < PLUGIN_HOOKS; hook++)
            rows += has_hook(b->plugins->list[i], (enum plugin_hook)hook) ? PLUGIN_FIGURES : 0;
    mqbx_broker_plugins_unname(b);
    if (rows == 0)
        return MQB_OK;
    b->plugin_metrics = mqbx_alloc(b->alloc, rows * sizeof(*b->plugin_metrics));
    if (b->plugin_metrics == NULL)
        return mqbx_no_memory();
    for (uint32_t i = 0; i < b->plugins->count; i++)
        for (uint32_t hook = 0; hook < PLUGIN_HOOKS; hook++)
            if (has_hook(b->plugins->list[i], (enum plugin_hook)hook))
                name_hook(b, b->plugins->list[i], (enum plugin_hook)hook);
    return MQB_OK;
}

size_t mqbx_broker_plugins_metrics(mqb_broker *b, mqb_metric *out, size_t cap, size_t at)
{
    for (size_t i = 0; i < b->plugin_metric_count; i++, at++) {
        const struct plugin_metric *m = &b->plugin_metrics[i];
        if (at >= cap)
            continue;
        out[at] = (mqb_metric){
            .name = m->name,
            .help = figures[m->figure].help,
            .kind = figures[m->figure].kind,
            .value = mqbx_plugins_figure(b->plugins, m->plugin, m->hook, m->figure),
        };
    }
    return at;
}
