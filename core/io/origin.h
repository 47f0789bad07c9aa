/* SPDX-License-Identifier: MIT */
/*
 * Where a connection came from: what its listener was configured to be when it was accepted.
 * Immutable and counted, because links outlive their listener and travel between workers; a reload
 * makes a new one. Any thread may drop the last reference.
 */
#ifndef MQBX_IO_ORIGIN_H
#define MQBX_IO_ORIGIN_H

#include "base/alloc.h"
#include "base/atomic.h"
#include "engine/settings.h"
#include "io/error.h"
#include "io/listener.h"

struct tls_context;

/* Connections a listener has open, through all its reloads. */
struct tally {
    struct atomic_u32 refs;
    struct atomic_u32 open;
};

struct origin {
    struct atomic_u32 refs;
    uint32_t max_connections; /* 0: no limit */
    const struct alloc *alloc;
    struct listener_settings settings; /* its texts stand behind the struct */
    struct tls_context *tls;           /* NULL: plain */
    struct tally *tally;
    size_t size;
    char text[];
};

/* One reference. `tally`: that of the listener before the reload, or NULL for a fresh one.
 * MQB_ENOMEM, MQB_ETLS. */
mqb_err mqbx_origin_new(const struct alloc *a, const struct listener_options *o, bool is_tls,
                        struct tally *tally, struct origin **out, struct io_error *e);
struct origin *mqbx_origin_ref(struct origin *o);
void mqbx_origin_unref(struct origin *o);

#endif
