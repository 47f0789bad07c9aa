/* SPDX-License-Identifier: MIT */
/*
 * Names of tenants and their numbers. Any thread, under the broker's tenants_lock; names are never
 * forgotten, so that a number means the same until the broker is freed.
 */
#include <string.h>

#include "broker/broker.h"
#include "broker/error.h"
#include "mqtt/utf8.h"

#define NAME_MAX_BYTES 128

static mqb_err add(mqb_broker *b, const char *name, uint32_t *out)
{
    if (b->tenant_count >= b->tenant_max)
        return mqbx_error(MQB_EQUOTA, "tenant '%s': there are limits.max_tenants already", name);
    if (b->tenant_count == b->tenant_capacity) {
        uint32_t capacity = b->tenant_capacity == 0 ? 8 : b->tenant_capacity * 2;
        char **grown = mqbx_realloc(b->alloc, b->tenants, b->tenant_capacity * sizeof(*grown),
                                    capacity * sizeof(*grown));
        if (grown == NULL)
            return mqbx_no_memory();
        b->tenants = grown;
        b->tenant_capacity = capacity;
    }
    char *copy = mqbx_strndup(b->alloc, name, strlen(name));
    if (copy == NULL)
        return mqbx_no_memory();
    b->tenants[b->tenant_count++] = copy;
    *out = b->tenant_count;
    return MQB_OK;
}

static mqb_err find_or_add(mqb_broker *b, const char *name, uint32_t *out)
{
    for (uint32_t i = 0; i < b->tenant_count; i++) {
        if (strcmp(b->tenants[i], name) == 0) {
            *out = i + 1;
            return MQB_OK;
        }
    }
    return add(b, name, out);
}

bool mqbx_tenant_known(mqb_broker *b, uint32_t tenant)
{
    mqbx_lock_take(&b->tenants_lock);
    bool is_known = tenant <= b->tenant_count;
    mqbx_lock_give(&b->tenants_lock);
    return is_known;
}

mqb_err mqb_tenant(mqb_broker *b, const char *name, uint32_t *out)
{
    if (b == NULL || name == NULL || out == NULL)
        return mqbx_error(MQB_EINVAL, "mqb_tenant: broker, name and out must be given");
    if (strlen(name) > NAME_MAX_BYTES || !mqbx_utf8_valid(mqbx_bytes_of(name)))
        return mqbx_error(MQB_EINVAL, "a tenant's name is UTF-8 of at most %d bytes",
                          NAME_MAX_BYTES);
    if (*name == '\0') {
        *out = 0;
        return MQB_OK;
    }
    mqbx_lock_take(&b->tenants_lock);
    mqb_err err = find_or_add(b, name, out);
    mqbx_lock_give(&b->tenants_lock);
    return err;
}
