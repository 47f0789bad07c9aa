/* SPDX-License-Identifier: MIT */
/*
 * What a plugin offers: asked by id after its init, and checked.
 */
#include "plugin/set.h"

/* The head of every capability table. */
struct table_head {
    uint32_t struct_size;
    uint32_t run;
};

/* Drawn in the header, and not served. */
static const char *const unserved[] = {
    MQB_CAP_EAUTH,   MQB_CAP_LIMIT, MQB_CAP_FILTER, MQB_CAP_FILTER_DELIVER, MQB_CAP_EVENTS,
    MQB_CAP_METRICS, MQB_CAP_STORE, MQB_CAP_ROUTE,  MQB_CAP_SESSION,        MQB_CAP_STREAM,
};

static mqb_err refuse(const struct plugin *p, const char *id, const char *why,
                      struct plugin_error *e)
{
    return mqbx_plugin_error(e, MQB_EPLUGIN,
                             "plugin '%s' version %s: %s: %s (plugin ABI %u.%u, host ABI %u.%u)",
                             p->name, p->descriptor->version, id, why, p->descriptor->abi >> 16,
                             p->descriptor->abi & 0xffff, MQB_ABI_MAJOR, MQB_ABI_MINOR);
}

static mqb_err get(const struct plugin *p, const char *id, size_t needed, const void **out,
                   struct plugin_error *e)
{
    const void *table = p->descriptor->capability(p->self, id);
    const struct table_head *head = table;
    *out = NULL;
    if (!table)
        return MQB_OK;
    if (head->struct_size < needed)
        return refuse(p, id, "its table is too short", e);
    if (head->run > MQB_RUN_LOOP)
        return refuse(p, id, "`run` is unknown to this host", e);
    *out = table;
    return MQB_OK;
}

static mqb_err check_acl(const struct plugin *p, struct plugin_error *e)
{
    const uint32_t known = MQB_ACTION_BIT(MQB_ACTION_PUBLISH) |
                           MQB_ACTION_BIT(MQB_ACTION_SUBSCRIBE) | MQB_ACTION_BIT(MQB_ACTION_WILL);
    const mqb_cap_acl *acl = p->acl;
    if (acl->actions & ~known)
        return refuse(p, MQB_CAP_ACL, "`actions` has bits unknown to this host", e);
    if (acl->actions != 0 && !acl->check)
        return refuse(p, MQB_CAP_ACL, "`check` is NULL", e);
    return MQB_OK;
}

static mqb_err read_served(struct plugin *p, struct plugin_error *e)
{
    const void *table;
    mqb_err err = get(p, MQB_CAP_AUTH, sizeof(mqb_cap_auth), &table, e);
    p->auth = table;
    if (err == MQB_OK && p->auth && !p->auth->connect)
        err = refuse(p, MQB_CAP_AUTH, "`connect` is NULL", e);
    if (err == MQB_OK) {
        err = get(p, MQB_CAP_ACL, sizeof(mqb_cap_acl), &table, e);
        p->acl = table;
    }
    if (err == MQB_OK && p->acl)
        err = check_acl(p, e);
    if (err == MQB_OK) {
        err = get(p, MQB_CAP_CREDENTIALS, sizeof(mqb_cap_credentials), &table, e);
        p->credentials = table;
    }
    return err;
}

mqb_err mqbx_plugin_read_capabilities(struct plugin *p, struct plugin_error *e)
{
    mqb_err err = read_served(p, e);
    if (err != MQB_OK || p->auth || p->acl || p->credentials)
        return err;
    for (size_t i = 0; i < sizeof(unserved) / sizeof(unserved[0]); i++)
        if (p->descriptor->capability(p->self, unserved[i]))
            return refuse(p, unserved[i], "this version of the host does not serve it", e);
    return refuse(p, "capability", "it offers none that this host knows", e);
}
