/* SPDX-License-Identifier: MIT */
/*
 * What a worker waits on: links, a wake-up from other threads, and a libuv loop for everything
 * rarer (listeners, timers). Used on the worker's thread alone, but for wake; it is what `loop` is
 * in link_ops.attach.
 *
 * On Linux links sit in an epoll set of our own, in which libuv's backend descriptor is one member
 * among them: a uv_poll_t costs 160 bytes per connection and up to nine epoll_ctl calls in its
 * life. Elsewhere (and where MQBX_LOOP_PORTABLE is defined, so that it can be tested) a link has a
 * uv_poll_t, which outlives it by the moment libuv needs to close it.
 */
#ifndef MQBX_IO_LOOP_H
#define MQBX_IO_LOOP_H

#include <stdbool.h>
#include <stdint.h>
#include <uv.h>

#include "base/alloc.h"
#include "base/slab.h"
#include "engine/seams.h"

#if defined(__linux__) && !defined(MQBX_LOOP_PORTABLE)
#define MQBX_LOOP_EPOLL
#endif

struct io_loop {
    uv_loop_t uv;
    const struct alloc *alloc;
    void (*ready)(void *ctx, struct link *l, uint32_t events);
    void (*woken)(void *ctx);
    void (*log)(void *ctx, const struct log_event *ev);
    void *ctx;
    /* A poll of libuv's was started since it last ran, so the kernel does not watch it yet. */
    bool has_fresh_polls;
#ifdef MQBX_LOOP_EPOLL
    uv_prepare_t anchor; /* libuv takes a loop without active handles for finished */
    int epoll_fd;
    int wake_fd;
    struct epoll_event *batch; /* being given out; NULL outside of that */
    int batch_at, batch_count;
#else
    uv_async_t wake;
    uv_timer_t limit; /* of one round */
    struct slab polls;
#endif
};

/* 0 or a negative errno (uv_strerror). */
int mqbx_loop_init(struct io_loop *loop, const struct alloc *a);
/* Its first part, the same everywhere. */
int mqbx_loop_init_uv(struct io_loop *loop, const struct alloc *a);
/* Every link and every handle of others has been closed. */
void mqbx_loop_fini(struct io_loop *loop);

/* Waits for something, at most so long (-1: without limit), and gives it out. Time (uv_now) is
 * fresh afterwards. */
void mqbx_loop_round(struct io_loop *loop, int64_t timeout_ms);
/* [any thread] Ends the wait; `woken` is called. */
void mqbx_loop_wake(struct io_loop *loop);

/* For a host that waits by itself: on this descriptor, and no longer than that. */
int mqbx_loop_fd(const struct io_loop *loop);
int64_t mqbx_loop_timeout_ms(struct io_loop *loop);

/* --- watching a descriptor; part of a link --- */

struct watch {
    struct io_loop *loop; /* NULL: nobody watches */
#ifndef MQBX_LOOP_EPOLL
    uv_poll_t *poll;
#endif
};

/* Begins with LINK_READ. False: out of memory, or the system cannot watch it. */
bool mqbx_watch_start(struct watch *w, struct io_loop *loop, int fd);
/* LINK_READ | LINK_WRITE. 0: no readiness is reported, not even errors. */
void mqbx_watch_change(struct watch *w, int fd, uint32_t events);
/* Nothing is reported any more; fd may be closed at once. */
void mqbx_watch_stop(struct watch *w, int fd);

/* stream.c: the socket is ready; `is_broken`: whatever was asked for will answer with an error.
 * Called inside a round. */
void mqbx_stream_on_ready(struct watch *w, uint32_t events, bool is_broken);

#endif
