/* SPDX-License-Identifier: MIT */
/*
 * See loop.h: the loop on Linux. A watch is in the epoll set from start to stop; changes only
 * modify it, so they cannot fail.
 */
#include "io/loop.h"

#ifdef MQBX_LOOP_EPOLL

#include <assert.h>
#include <errno.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

enum { BATCH_MAX = 256 };

/* --- life ----------------------------------------------------------------------------------- */

static void on_anchor(uv_prepare_t *anchor)
{
    (void)anchor; /* its being there is what counts */
}

static bool add(struct io_loop *loop, int fd, uint32_t events, void *data)
{
    struct epoll_event ev = {.events = events, .data.ptr = data};
    return epoll_ctl(loop->epoll_fd, EPOLL_CTL_ADD, fd, &ev) == 0;
}

static void close_descriptors(struct io_loop *loop)
{
    if (loop->wake_fd >= 0)
        close(loop->wake_fd);
    if (loop->epoll_fd >= 0)
        close(loop->epoll_fd);
}

/* Edge-triggered, so that a wake-up costs no read: every write reports anew. */
static bool open_descriptors(struct io_loop *loop)
{
    loop->wake_fd = -1;
    loop->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    if (loop->epoll_fd >= 0)
        loop->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (loop->wake_fd >= 0 && add(loop, loop->wake_fd, EPOLLIN | EPOLLET, &loop->wake_fd) &&
        add(loop, uv_backend_fd(&loop->uv), EPOLLIN, &loop->uv))
        return true;
    int error = errno;
    close_descriptors(loop);
    errno = error;
    return false;
}

int mqbx_loop_init(struct io_loop *loop, const struct alloc *a)
{
    int err = mqbx_loop_init_uv(loop, a);
    if (err != 0)
        return err;
    loop->has_fresh_polls = false;
    loop->batch = NULL;
    if (!open_descriptors(loop)) {
        err = uv_translate_sys_error(errno);
        uv_loop_close(&loop->uv);
        return err;
    }
    uv_prepare_init(&loop->uv, &loop->anchor);
    uv_prepare_start(&loop->anchor, on_anchor);
    return 0;
}

void mqbx_loop_fini(struct io_loop *loop)
{
    uv_close((uv_handle_t *)&loop->anchor, NULL);
    uv_run(&loop->uv, UV_RUN_DEFAULT);
    int err = uv_loop_close(&loop->uv);
    assert(err == 0);
    (void)err;
    close_descriptors(loop);
}

/* --- a round -------------------------------------------------------------------------------- */

static int shorter(int64_t a, int64_t b)
{
    int64_t least = a < 0 || (b >= 0 && b < a) ? b : a;
    return least > INT32_MAX ? INT32_MAX : (int)least;
}

static int uv_wait_ms(struct io_loop *loop)
{
    return loop->has_fresh_polls ? 0 : uv_backend_timeout(&loop->uv);
}

static void give_out(struct io_loop *loop, const struct epoll_event *ev)
{
    if (ev->data.ptr == &loop->wake_fd) {
        loop->woken(loop->ctx);
        return;
    }
    uint32_t events =
        ((ev->events & EPOLLIN) ? LINK_READ : 0u) | ((ev->events & EPOLLOUT) ? LINK_WRITE : 0u);
    mqbx_stream_on_ready(ev->data.ptr, events, (ev->events & (EPOLLERR | EPOLLHUP)) != 0);
}

void mqbx_loop_round(struct io_loop *loop, int64_t timeout_ms)
{
    struct epoll_event batch[BATCH_MAX];
    bool is_uv_ready = false;
    int timeout = shorter(timeout_ms, uv_wait_ms(loop));
    int count = epoll_wait(loop->epoll_fd, batch, BATCH_MAX, timeout);
    uv_update_time(&loop->uv);
    loop->batch = batch;
    loop->batch_count = count;
    for (loop->batch_at = 0; loop->batch_at < count; loop->batch_at++) {
        const struct epoll_event *ev = &batch[loop->batch_at];
        if (ev->data.ptr == &loop->uv)
            is_uv_ready = true;
        else if (ev->data.ptr)
            give_out(loop, ev);
    }
    loop->batch = NULL;
    if (is_uv_ready || uv_wait_ms(loop) == 0) {
        loop->has_fresh_polls = false;
        uv_run(&loop->uv, UV_RUN_NOWAIT);
    }
}

void mqbx_loop_wake(struct io_loop *loop)
{
    uint64_t one = 1;
    ssize_t n;
    do
        n = write(loop->wake_fd, &one, sizeof(one));
    while (n < 0 && errno == EINTR);
}

int mqbx_loop_fd(const struct io_loop *loop)
{
    return loop->epoll_fd;
}

int64_t mqbx_loop_timeout_ms(struct io_loop *loop)
{
    uv_update_time(&loop->uv);
    return uv_wait_ms(loop);
}

/* --- watches -------------------------------------------------------------------------------- */

bool mqbx_watch_start(struct watch *w, struct io_loop *loop, int fd)
{
    if (!add(loop, fd, EPOLLIN, w))
        return false;
    w->loop = loop;
    return true;
}

/* Errors and hang-ups are reported whatever is asked for; with EPOLLONESHOT and nothing else, at
 * most once. */
void mqbx_watch_change(struct watch *w, int fd, uint32_t events)
{
    uint32_t mask = ((events & LINK_READ) ? (uint32_t)EPOLLIN : 0u) |
                    ((events & LINK_WRITE) ? (uint32_t)EPOLLOUT : 0u);
    struct epoll_event ev = {.events = mask ? mask : (uint32_t)EPOLLONESHOT, .data.ptr = w};
    int err = epoll_ctl(w->loop->epoll_fd, EPOLL_CTL_MOD, fd, &ev);
    assert(err == 0);
    (void)err;
}

/* Closing the descriptor alone would not do: a child the host has just forked may still hold it.
 * What is left of the batch may name this watch too. */
void mqbx_watch_stop(struct watch *w, int fd)
{
    struct io_loop *loop = w->loop;
    struct epoll_event ignored = {0};
    epoll_ctl(loop->epoll_fd, EPOLL_CTL_DEL, fd, &ignored);
    for (int i = loop->batch_at + 1; loop->batch && i < loop->batch_count; i++) {
        if (loop->batch[i].data.ptr == w)
            loop->batch[i].data.ptr = NULL;
    }
    w->loop = NULL;
}

#endif
