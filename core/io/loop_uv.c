/* SPDX-License-Identifier: MIT */
/*
 * See loop.h: the loop where there is no epoll.
 */
#include "io/loop.h"

#ifndef MQBX_LOOP_EPOLL

#include <assert.h>

/* --- life ----------------------------------------------------------------------------------- */

static void on_wake(uv_async_t *wake)
{
    struct io_loop *loop = wake->data;
    loop->woken(loop->ctx);
}

int mqbx_loop_init(struct io_loop *loop, const struct alloc *a)
{
    int err = mqbx_loop_init_uv(loop, a);
    if (err != 0)
        return err;
    err = uv_async_init(&loop->uv, &loop->wake, on_wake);
    if (err != 0) {
        uv_loop_close(&loop->uv);
        return err;
    }
    uv_timer_init(&loop->uv, &loop->limit);
    loop->wake.data = loop;
    loop->has_fresh_polls = true; /* that of the wake-up */
    mqbx_slab_init(&loop->polls, a, sizeof(uv_poll_t));
    return 0;
}

void mqbx_loop_fini(struct io_loop *loop)
{
    uv_close((uv_handle_t *)&loop->wake, NULL);
    uv_close((uv_handle_t *)&loop->limit, NULL);
    uv_run(&loop->uv, UV_RUN_DEFAULT);
    int err = uv_loop_close(&loop->uv);
    assert(err == 0);
    (void)err;
    mqbx_slab_fini(&loop->polls);
}

/* --- a round -------------------------------------------------------------------------------- */

static void on_limit(uv_timer_t *limit)
{
    (void)limit; /* it only ends the wait */
}

void mqbx_loop_round(struct io_loop *loop, int64_t timeout_ms)
{
    uv_update_time(&loop->uv);
    if (timeout_ms > 0)
        uv_timer_start(&loop->limit, on_limit, (uint64_t)timeout_ms, 0);
    loop->has_fresh_polls = false;
    uv_run(&loop->uv, timeout_ms == 0 ? UV_RUN_NOWAIT : UV_RUN_ONCE);
    uv_timer_stop(&loop->limit);
    uv_update_time(&loop->uv);
}

void mqbx_loop_wake(struct io_loop *loop)
{
    uv_async_send(&loop->wake);
}

int mqbx_loop_fd(const struct io_loop *loop)
{
    return uv_backend_fd(&loop->uv);
}

int64_t mqbx_loop_timeout_ms(struct io_loop *loop)
{
    uv_update_time(&loop->uv);
    return loop->has_fresh_polls ? 0 : uv_backend_timeout(&loop->uv);
}

/* --- watches -------------------------------------------------------------------------------- */

static void on_poll(uv_poll_t *poll, int status, int events)
{
    uint32_t ready =
        ((events & UV_READABLE) ? LINK_READ : 0u) | ((events & UV_WRITABLE) ? LINK_WRITE : 0u);
    mqbx_stream_on_ready(poll->data, ready, status < 0);
}

bool mqbx_watch_start(struct watch *w, struct io_loop *loop, int fd)
{
    uv_poll_t *poll = mqbx_slab_get(&loop->polls);
    if (!poll)
        return false;
    if (uv_poll_init(&loop->uv, poll, fd) != 0) {
        mqbx_slab_put(&loop->polls, poll);
        return false;
    }
    poll->data = w;
    w->loop = loop;
    w->poll = poll;
    mqbx_watch_change(w, fd, LINK_READ);
    return true;
}

void mqbx_watch_change(struct watch *w, int fd, uint32_t events)
{
    int mask = ((events & LINK_READ) ? UV_READABLE : 0) | ((events & LINK_WRITE) ? UV_WRITABLE : 0);
    int err = mask ? uv_poll_start(w->poll, mask, on_poll) : uv_poll_stop(w->poll);
    assert(err == 0); /* it fails when another handle polls the same fd: none does */
    (void)err;
    (void)fd;
    w->loop->has_fresh_polls = true;
}

static void on_closed(uv_handle_t *poll)
{
    struct io_loop *loop = poll->loop->data;
    mqbx_slab_put(&loop->polls, poll);
}

void mqbx_watch_stop(struct watch *w, int fd)
{
    (void)fd;
    uv_close((uv_handle_t *)w->poll, on_closed);
    w->loop = NULL;
    w->poll = NULL;
}

#endif
