/* SPDX-License-Identifier: MIT */
/*
 * Permissions that came with the answer to CONNECT: rules in order, the first that matches decides,
 * compiled so that a publish or a subscribe costs no question. Immutable and counted: any thread
 * may hold one.
 */
#ifndef MQBX_ENGINE_PERMISSIONS_H
#define MQBX_ENGINE_PERMISSIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/alloc.h"
#include "base/bytes.h"
#include "engine/ask.h"

struct permissions;

/* What a rule speaks of. A rule without an action, a QoS or a retain value speaks of all of them.
 */
struct permission_rule {
    bool is_allowed;
    bool is_exact;       /* `topic` is compared as text: a filter only with itself, a name only with
                            itself */
    uint32_t kinds;      /* ASKS bits of PUBLISH, SUBSCRIBE, RECEIVE, WILL; 0: all */
    uint8_t qos_mask;    /* bit q: QoS q; 0: all */
    uint8_t retain_mask; /* bit 0: RETAIN 0, bit 1: RETAIN 1; 0: all */
    struct bytes topic;  /* a filter; a SUBSCRIBE is allowed by a filter that covers it, and denied
                            by one that covers it */
};

enum permission {
    PERMISSION_NONE /* no rule matches: ask on */,
    PERMISSION_ALLOW,
    PERMISSION_DENY
};

/* Copies. `otherwise`: what holds when no rule matches. One reference. NULL: out of memory. */
struct permissions *mqbx_permissions_new(const struct alloc *a, const struct permission_rule *rules,
                                         size_t count, enum permission otherwise);
struct permissions *mqbx_permissions_ref(struct permissions *p);
void mqbx_permissions_unref(struct permissions *p); /* NULL is fine */
enum permission mqbx_permissions_check(const struct permissions *p, const struct question *q);

#endif
