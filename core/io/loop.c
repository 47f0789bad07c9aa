/* SPDX-License-Identifier: MIT */
/*
 * See loop.h.
 */
#include "io/loop.h"

#include <assert.h>

int mqbx_loop_init(struct io_loop *loop, const struct alloc *a)
{
    int err = uv_loop_init(&loop->uv);
    if (err != 0)
        return err;
    loop->uv.data = loop;
    loop->alloc = a;
    loop->has_fresh_polls = false;
    mqbx_slab_init(&loop->polls, a, sizeof(uv_poll_t));
    return 0;
}

void mqbx_loop_fini(struct io_loop *loop)
{
    uv_run(&loop->uv, UV_RUN_DEFAULT);
    int err = uv_loop_close(&loop->uv);
    assert(err == 0);
    (void)err;
    mqbx_slab_fini(&loop->polls);
}

uv_poll_t *mqbx_loop_poll_new(struct io_loop *loop, int fd, void *data)
{
    uv_poll_t *poll = mqbx_slab_get(&loop->polls);
    if (!poll)
        return NULL;
    if (uv_poll_init(&loop->uv, poll, fd) != 0) {
        mqbx_slab_put(&loop->polls, poll);
        return NULL;
    }
    poll->data = data;
    return poll;
}

static void on_closed(uv_handle_t *handle)
{
    struct io_loop *loop = (struct io_loop *)handle->loop->data;
    mqbx_slab_put(&loop->polls, handle);
}

void mqbx_loop_poll_free(uv_poll_t *poll)
{
    poll->data = NULL;
    uv_close((uv_handle_t *)poll, on_closed);
}

void mqbx_loop_poll_start(uv_poll_t *poll, uint32_t events, uv_poll_cb fn)
{
    if (events == 0) {
        uv_poll_stop(poll);
        return;
    }
    int mask = ((events & LINK_READ) ? UV_READABLE : 0) | ((events & LINK_WRITE) ? UV_WRITABLE : 0);
    int err = uv_poll_start(poll, mask, fn);
    assert(err == 0); /* it fails when another handle polls the same fd: none does */
    (void)err;
    mqbx_loop_of(poll)->has_fresh_polls = true;
}
