/* SPDX-License-Identifier: MIT */
/*
 * The listeners of a broker, open or not: those of its configuration and those of mqb_listen. The
 * owner's. Internal to listeners*.c.
 */
#ifndef MQBX_BROKER_LISTENERS_H
#define MQBX_BROKER_LISTENERS_H

#include "base/list.h"
#include "broker/broker.h"
#include "io/listener.h"

struct broker_listener {
    struct list node;
    uint64_t id;        /* what the host knows it by */
    uint64_t worker_id; /* the workers' number, 0: not open */
    size_t size;        /* of the allocation; the texts of `o` stand behind */
    bool is_from_config;
    bool owns_fd;   /* o.inherited_fd is ours to close */
    bool is_wanted; /* during a reload */
    /* during a reload: the one it takes the place of, and whether that was updated in place or may
     * have been closed */
    struct broker_listener *old;
    bool is_update;
    struct listener_options o;
};

/* A copy of all texts and a reference to the TLS context. NULL: out of memory. */
struct broker_listener *mqbx_listener_new(mqb_broker *b, const struct listener_options *o);
void mqbx_listener_free(mqb_broker *b, struct broker_listener *l); /* in no list any more */
struct broker_listener *mqbx_listener_named(mqb_broker *b, const char *name);
mqb_err mqbx_listener_open(mqb_broker *b, struct broker_listener *l);
void mqbx_listener_shut(mqb_broker *b, struct broker_listener *l); /* if it is open */
/* The options of a listener of the configuration, tenant included. */
mqb_err mqbx_listener_configured(mqb_broker *b, const mqb_config *cfg, const char *name,
                                 struct listener_options *out);

#endif
