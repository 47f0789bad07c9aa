/* SPDX-License-Identifier: MIT */
/*
 * What the io layer keeps beside a libuv loop: the pool of its poll handles and where readiness
 * goes. One per worker, used on its thread alone; it is what `loop` is in link_ops.attach. A link
 * holds no handle inside: the handle is an object of the loop, which outlives the link by the
 * moment libuv needs to close it.
 */
#ifndef MQBX_IO_LOOP_H
#define MQBX_IO_LOOP_H

#include <stdbool.h>
#include <stdint.h>
#include <uv.h>

#include "base/alloc.h"
#include "base/slab.h"
#include "engine/seams.h"

struct io_loop {
    uv_loop_t uv;
    const struct alloc *alloc;
    struct slab polls; /* uv_poll_t */
    void (*ready)(void *ctx, struct link *l, uint32_t events);
    void (*log)(void *ctx, const struct log_event *ev);
    void *ctx;
    /* A poll was started since the loop last waited, so the kernel does not watch it yet. Matters
     * to a host that waits on the backend descriptor by itself. */
    bool has_fresh_polls;
};

/* 0 or a negative errno (uv_strerror). */
int mqbx_loop_init(struct io_loop *loop, const struct alloc *a);
/* Every handle has been closed. Runs the loop until libuv has let go of all of them. */
void mqbx_loop_fini(struct io_loop *loop);

/* A handle for fd with `data`, not started. NULL: out of memory, or the system cannot watch it. */
uv_poll_t *mqbx_loop_poll_new(struct io_loop *loop, int fd, void *data);
void mqbx_loop_poll_free(
    uv_poll_t *poll); /* no callback comes any more; fd may be closed at once */
/* LINK_READ | LINK_WRITE, 0 stops. */
void mqbx_loop_poll_start(uv_poll_t *poll, uint32_t events, uv_poll_cb fn);

static inline struct io_loop *mqbx_loop_of(const uv_poll_t *poll)
{
    return (struct io_loop *)poll->loop->data;
}

#endif
