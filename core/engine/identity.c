/* SPDX-License-Identifier: MIT */
/*
 * See identity.h.
 */
#include "engine/identity.h"

#include "engine/permissions.h"

struct parts {
    struct bytes client_id, user_name, mountpoint, attributes;
};

static char *put(char *at, struct bytes part)
{
    if (part.len > 0)
        memcpy(at, part.ptr, part.len);
    return at + part.len;
}

static struct identity *build(const struct alloc *a, const struct parts *p)
{
    size_t size = sizeof(struct identity) + p->client_id.len + p->user_name.len +
                  p->mountpoint.len + p->attributes.len;
    struct identity *who = mqbx_zalloc(a, size);
    if (!who)
        return NULL;
    who->alloc = a;
    who->size = size;
    who->client_id_len = (uint16_t)p->client_id.len;
    who->user_name_len = (uint16_t)p->user_name.len;
    who->mountpoint_len = (uint16_t)p->mountpoint.len;
    who->attributes_len = p->attributes.len;
    put(put(put(put(who->text, p->client_id), p->user_name), p->mountpoint), p->attributes);
    return who;
}

struct identity *mqbx_identity_new(const struct alloc *a, struct bytes client_id,
                                   bool has_user_name, struct bytes user_name,
                                   struct bytes mountpoint)
{
    struct parts p = {.client_id = client_id, .user_name = user_name, .mountpoint = mountpoint};
    struct identity *who = build(a, &p);
    if (who)
        who->has_user_name = has_user_name;
    return who;
}

static bool is_set(const struct client_limits *l)
{
    return l->queue_max_messages != 0 || l->queue_max_bytes != 0 || l->max_subscriptions != 0 ||
           l->max_packet_bytes != 0 || l->receive_maximum != 0 || l->max_inflight != 0;
}

static bool copy_limits(struct identity *who, const struct client_limits *l)
{
    if (!is_set(l))
        return true;
    who->limits = mqbx_alloc(who->alloc, sizeof(*l));
    if (!who->limits)
        return false;
    *who->limits = *l;
    return true;
}

struct identity *mqbx_identity_answered(const struct identity *who, const struct answer *a)
{
    struct parts p = {.client_id = mqbx_identity_client_id(who),
                      .user_name = a->has_user_name ? a->user_name : mqbx_identity_user_name(who),
                      .mountpoint = a->mountpoint ? mqbx_bytes_of(a->mountpoint)
                                                  : mqbx_identity_mountpoint(who),
                      .attributes = a->attributes};
    bool is_short = p.user_name.len <= UINT16_MAX && p.mountpoint.len < UINT16_MAX;
    struct identity *next = is_short ? build(who->alloc, &p) : NULL;
    if (!next || !copy_limits(next, &a->limits)) {
        mqbx_identity_free(next);
        mqbx_permissions_unref(a->permissions);
        return NULL;
    }
    next->has_user_name = a->has_user_name || who->has_user_name;
    next->expires_wall_ms = a->expires_wall_ms;
    next->permissions = a->permissions;
    return next;
}

void mqbx_identity_free(struct identity *who)
{
    if (!who)
        return;
    mqbx_permissions_unref(who->permissions);
    mqbx_free(who->alloc, who->limits, sizeof(*who->limits));
    mqbx_free(who->alloc, who, who->size);
}

struct bytes mqbx_identity_client_id(const struct identity *who)
{
    return mqbx_bytes(who->text, who->client_id_len);
}

struct bytes mqbx_identity_user_name(const struct identity *who)
{
    return mqbx_bytes(who->text + who->client_id_len, who->user_name_len);
}

struct bytes mqbx_identity_mountpoint(const struct identity *who)
{
    return mqbx_bytes(who->text + who->client_id_len + who->user_name_len, who->mountpoint_len);
}

struct bytes mqbx_identity_attributes(const struct identity *who)
{
    return mqbx_bytes(who->text + who->client_id_len + who->user_name_len + who->mountpoint_len,
                      who->attributes_len);
}
