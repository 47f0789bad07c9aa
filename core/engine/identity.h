/* SPDX-License-Identifier: MIT */
/*
 * Who a client is: what it said in CONNECT, and what the answer to CONNECT made of it. One block,
 * owned by the arrival first and by the session then; it moves between workers with the arrival.
 */
#ifndef MQBX_ENGINE_IDENTITY_H
#define MQBX_ENGINE_IDENTITY_H

#include "base/alloc.h"
#include "engine/ask.h"

struct identity {
    const struct alloc *alloc;
    size_t size;
    struct permissions *permissions; /* one reference; NULL: none */
    struct client_limits *limits;    /* NULL: the configured ones */
    uint64_t expires_wall_ms;        /* 0: never */
    uint32_t attributes_len;
    uint16_t client_id_len, user_name_len, mountpoint_len;
    bool has_user_name;
    char text[]; /* client id, user name, mountpoint, attributes */
};

/* NULL: out of memory. */
struct identity *mqbx_identity_new(const struct alloc *a, struct bytes client_id,
                                   bool has_user_name, struct bytes user_name,
                                   struct bytes mountpoint);
/* A new one with what the answer says; takes over answer->permissions. NULL: out of memory or too
 * long, nothing changed but that the permissions are let go. */
struct identity *mqbx_identity_answered(const struct identity *who, const struct answer *a);
void mqbx_identity_free(struct identity *who); /* NULL is fine */

struct bytes mqbx_identity_client_id(const struct identity *who);
struct bytes mqbx_identity_user_name(const struct identity *who);
struct bytes mqbx_identity_mountpoint(const struct identity *who);
struct bytes mqbx_identity_attributes(const struct identity *who);

#endif
