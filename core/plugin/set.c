/* SPDX-License-Identifier: MIT */
/*
 * See set.h: plugins added, brought up, asked to reload, taken down.
 */
#include "plugin/set.h"

#include <stdio.h>

#include "plugin/call.h"
#include "plugin/load.h"
#include "plugin/runner.h"
#include "plugin/seat.h"

struct plugins *mqbx_plugins_new(const struct alloc *a, const struct plugin_services *s)
{
    struct plugins *p = mqbx_zalloc(a, sizeof(*p));
    if (!p)
        return NULL;
    p->alloc = a;
    p->services = *s;
    mqbx_lock_init(&p->seats_lock);
    mqbx_tickets_init(&p->tickets, a);
    return p;
}

void mqbx_plugins_free(struct plugins *p)
{
    if (!p)
        return;
    for (uint32_t i = 0; i < p->count; i++)
        mqbx_free(p->alloc, p->list[i], sizeof(*p->list[i]));
    mqbx_tickets_fini(&p->tickets);
    mqbx_lock_fini(&p->seats_lock);
    mqbx_free(p->alloc, p, sizeof(*p));
}

/* --- the list --------------------------------------------------------------------------------- */

struct plugin *mqbx_plugins_find(const struct plugins *p, const char *name)
{
    for (uint32_t i = 0; i < p->count; i++)
        if (strcmp(p->list[i]->name, name) == 0)
            return p->list[i];
    return NULL;
}

mqb_err mqbx_plugins_add(struct plugins *p, const mqb_plugin *d, const char *name,
                         bool is_configured, const char *from, struct plugin_error *e)
{
    mqb_err err = mqbx_plugin_check(d, from, e);
    if (err != MQB_OK)
        return err;
    if (!name)
        name = d->name;
    if (mqbx_plugins_find(p, name))
        return mqbx_plugin_error(e, MQB_EEXIST, "plugin '%s': there is one named '%s' already",
                                 from, name);
    if (p->count == PLUGINS_MAX)
        return mqbx_plugin_error(e, MQB_EQUOTA, "plugin '%s': there are %d already", from,
                                 PLUGINS_MAX);
    struct plugin *one = mqbx_zalloc(p->alloc, sizeof(*one));
    if (!one)
        return mqbx_plugin_error(e, MQB_ENOMEM, "out of memory");
    one->set = p;
    one->index = p->count;
    one->descriptor = d;
    one->is_configured = is_configured;
    snprintf(one->name, sizeof(one->name), "%s", name);
    mqbx_plugin_host_init(one);
    p->list[p->count++] = one;
    return MQB_OK;
}

void mqbx_plugins_drop_configured(struct plugins *p)
{
    uint32_t kept = 0;
    for (uint32_t i = 0; i < p->count; i++) {
        struct plugin *one = p->list[i];
        if (one->is_configured) {
            mqbx_free(p->alloc, one, sizeof(*one));
            continue;
        }
        one->index = kept;
        p->list[kept++] = one;
    }
    p->count = kept;
}

/* --- chains ----------------------------------------------------------------------------------- */

static void link_in(struct plugins *p, enum question_kind kind, struct plugin *one,
                    enum plugin_hook hook, uint32_t run)
{
    struct chain *c = &p->chains[kind];
    c->links[c->count++] = (struct chain_link){.plugin = one, .hook = hook, .run = run};
}

static void build_chains(struct plugins *p)
{
    memset(p->chains, 0, sizeof(p->chains));
    for (uint32_t i = 0; i < p->count; i++) {
        struct plugin *one = p->list[i];
        const mqb_cap_acl *acl = one->acl;
        if (one->auth)
            link_in(p, ASK_CONNECT, one, HOOK_CONNECT, one->auth->run);
        if (!acl)
            continue;
        if (acl->actions & MQB_ACTION_BIT(MQB_ACTION_PUBLISH))
            link_in(p, ASK_PUBLISH, one, HOOK_ACCESS, acl->run);
        if (acl->actions & MQB_ACTION_BIT(MQB_ACTION_SUBSCRIBE))
            link_in(p, ASK_SUBSCRIBE, one, HOOK_ACCESS, acl->run);
        if (acl->actions & MQB_ACTION_BIT(MQB_ACTION_WILL))
            link_in(p, ASK_WILL, one, HOOK_ACCESS, acl->run);
        if (acl->receive)
            link_in(p, ASK_RECEIVE, one, HOOK_RECEIVE, MQB_RUN_LOOP);
    }
}

uint32_t mqbx_plugins_asks(const struct plugins *p)
{
    uint32_t asks = 0;
    for (uint32_t kind = 0; kind < ASK_KINDS; kind++)
        if (p->chains[kind].count > 0)
            asks |= ASKS(kind);
    return asks;
}

static bool uses(const struct plugin *one, uint32_t run)
{
    return (one->auth && one->auth->run == run) ||
           (one->acl && one->acl->actions != 0 && one->acl->run == run);
}

static struct runner *new_runner(struct plugins *p, uint32_t threads)
{
    struct runner_options o = {.alloc = p->alloc,
                               .threads = threads,
                               .queue_max = p->options.queue_max,
                               .run = mqbx_call_job};
    return mqbx_runner_new(&o);
}

static mqb_err start_runners(struct plugins *p, struct plugin_error *e)
{
    bool needs_pool = false;
    for (uint32_t i = 0; i < p->count; i++) {
        struct plugin *one = p->list[i];
        needs_pool = needs_pool || uses(one, MQB_RUN_POOL);
        if (!uses(one, MQB_RUN_SERIAL))
            continue;
        one->serial = new_runner(p, 1);
        if (!one->serial)
            return mqbx_plugin_error(e, MQB_ESYS, "plugin '%s': no thread for it", one->name);
    }
    if (needs_pool) {
        p->pool = new_runner(p, p->options.pool_threads);
        if (!p->pool)
            return mqbx_plugin_error(e, MQB_ESYS, "no %u threads for plugins",
                                     p->options.pool_threads);
    }
    return MQB_OK;
}

/* --- up and down ------------------------------------------------------------------------------ */

static mqb_err bring_up(struct plugin *one, struct plugin_error *e)
{
    const mqb_plugin *d = one->descriptor;
    mqb_err err = MQB_OK;
    one->self = NULL;
    one->reads_config = true;
    if (d->init)
        err = d->init(&one->host, &one->self);
    one->reads_config = false;
    if (err != MQB_OK)
        return mqbx_plugin_error(
            e, MQB_EPLUGIN,
            "plugin '%s' version %s: init answered %d (plugin ABI %u.%u, host ABI %u.%u)",
            one->name, d->version, err, d->abi >> 16, d->abi & 0xffff, MQB_ABI_MAJOR,
            MQB_ABI_MINOR);
    one->is_up = true;
    return mqbx_plugin_read_capabilities(one, e);
}

mqb_err mqbx_plugins_start(struct plugins *p, const struct plugins_options *o,
                           struct plugin_error *e)
{
    mqb_err err = MQB_OK;
    p->options = *o;
    p->is_up = true;
    for (uint32_t i = 0; i < p->count && err == MQB_OK; i++)
        err = bring_up(p->list[i], e);
    if (err == MQB_OK)
        err = start_runners(p, e);
    if (err == MQB_OK)
        build_chains(p);
    else
        mqbx_plugins_stop(p);
    return err;
}

static void stop_runners(struct plugins *p)
{
    mqbx_runner_free(p->pool);
    p->pool = NULL;
    for (uint32_t i = 0; i < p->count; i++) {
        mqbx_runner_free(p->list[i]->serial);
        p->list[i]->serial = NULL;
    }
}

static void take_down(struct plugin *one)
{
    const mqb_plugin *d = one->descriptor;
    one->is_up = false;
    if (d->fini)
        d->fini(one->self);
    one->self = NULL;
    one->auth = NULL;
    one->acl = NULL;
    one->credentials = NULL;
}

/* In reverse order: a later plugin may use an earlier one. Seats go last, because a ticket may be
 * completed, in vain, until the fini of its plugin. */
void mqbx_plugins_stop(struct plugins *p)
{
    if (!p || !p->is_up)
        return;
    stop_runners(p);
    for (uint32_t i = p->count; i-- > 0;) {
        struct plugin *one = p->list[i];
        if (one->is_up && one->descriptor->stop)
            one->descriptor->stop(one->self);
    }
    for (uint32_t i = p->count; i-- > 0;)
        if (p->list[i]->is_up)
            take_down(p->list[i]);
    mqbx_lock_take(&p->seats_lock);
    for (uint32_t i = 0; i < SEATS_MAX; i++) {
        mqbx_seat_free(p->seats[i]);
        p->seats[i] = NULL;
    }
    mqbx_lock_give(&p->seats_lock);
    memset(p->chains, 0, sizeof(p->chains));
    p->is_up = false;
}

mqb_err mqbx_plugins_reload(struct plugins *p, struct plugin_error *e)
{
    mqb_err err = MQB_OK;
    for (uint32_t i = 0; i < p->count && err == MQB_OK; i++) {
        struct plugin *one = p->list[i];
        if (!one->is_up || !one->descriptor->reload)
            continue;
        one->reads_config = true;
        err = one->descriptor->reload(one->self);
        one->reads_config = false;
        if (err != MQB_OK)
            (void)mqbx_plugin_error(e, err, "plugin '%s': reload answered %d", one->name, err);
    }
    mqbx_plugins_forget(p, 0);
    return err == MQB_OK ? MQB_OK : MQB_EPLUGIN;
}

/* --- figures ---------------------------------------------------------------------------------- */

uint64_t mqbx_plugins_figure(struct plugins *p, uint32_t plugin, enum plugin_hook hook,
                             enum plugin_figure figure)
{
    uint64_t total = 0;
    mqbx_lock_take(&p->seats_lock);
    for (uint32_t i = 0; i < SEATS_MAX; i++) {
        if (!p->seats[i])
            continue;
        uint64_t n = mqbx_counter_get(&p->seats[i]->counters[plugin][hook].figures[figure]);
        total = figure != FIGURE_LATENCY_MAX_NS ? total + n : n > total ? n : total;
    }
    mqbx_lock_give(&p->seats_lock);
    return total;
}
