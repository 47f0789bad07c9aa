/* SPDX-License-Identifier: MIT */
/*
 * An in-process handle, as the host holds it, around the engine's part of it. Two parties let go of
 * it: the host and its home engine; whoever is second frees it.
 */
#ifndef MQBX_BROKER_LOCAL_H
#define MQBX_BROKER_LOCAL_H

#include "base/atomic.h"
#include "base/list.h"
#include "broker/broker.h"
#include "engine/local.h"

struct mqb_local {
    mqb_broker *broker;
    struct list node; /* in broker->locals; under its lock, as the flags */
    uint32_t home;
    bool is_default;           /* "$host": the broker's own */
    bool is_let_go;            /* by the host */
    bool is_close_posted;      /* the engine was told */
    struct atomic_u32 is_gone; /* the engine has let go, or ended */
    size_t size;
    mqb_done_fn opened;
    void *opened_arg;
    struct local inner; /* the engine's from the post on; its name stands behind */
};

#endif
