/* SPDX-License-Identifier: MIT */
/*
 * See stream.h.
 */
#include "io/stream.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>

#include "io/tls.h"

enum { PARTS_AT_ONCE = 64, DRAIN_MAX_BYTES = 64 * 1024 };

/* --- what all kinds share ------------------------------------------------------------------- */

struct stream *mqbx_stream_new(const struct alloc *a, size_t header, int fd, struct origin *origin,
                               const struct address *peer, const struct stream_ops *ops)
{
    char text[ADDRESS_TEXT_MAX];
    size_t text_size = mqbx_address_text(peer, text) + 1;
    struct stream *s = mqbx_zalloc(a, header + text_size);
    if (!s)
        return NULL;
    s->link.ops = &ops->link;
    s->origin = mqbx_origin_ref(origin);
    s->fd = fd;
    s->size = (uint16_t)(header + text_size);
    s->text_at = (uint8_t)header;
    s->is_loopback = mqbx_address_is_loopback(peer);
    memcpy((char *)s + header, text, text_size);
    mqbx_atomic_add32(&origin->tally->open, 1);
    return s;
}

void mqbx_stream_free(struct stream *s)
{
    int fd = s->fd;
    mqbx_stream_disown(s);
    close(fd);
}

void mqbx_stream_disown(struct stream *s)
{
    struct origin *origin = s->origin;
    if (s->watch.loop)
        mqbx_watch_stop(&s->watch, s->fd);
    mqbx_atomic_add32(&origin->tally->open, UINT32_MAX);
    mqbx_free(origin->alloc, s, s->size);
    mqbx_origin_unref(origin);
}

/* --- readiness ------------------------------------------------------------------------------ */

bool mqbx_stream_attach(struct link *l, void *loop)
{
    struct stream *s = mqbx_container(l, struct stream, link);
    if (s->watch.loop) /* its home is the worker that accepted it: it never left */
        return true;
    s->wanted = s->needed = 0;
    s->is_drained = false;
    s->armed = LINK_READ; /* what the engine will want next */
    return mqbx_watch_start(&s->watch, loop, s->fd);
}

void mqbx_stream_detach(struct link *l)
{
    struct stream *s = mqbx_container(l, struct stream, link);
    if (s->watch.loop)
        mqbx_watch_stop(&s->watch, s->fd);
    s->wanted = s->needed = s->armed = 0;
}

static void arm(struct stream *s, uint32_t events)
{
    if (s->armed == events)
        return;
    s->armed = (uint8_t)events;
    mqbx_watch_change(&s->watch, s->fd, events);
}

/* Reading is often stopped and resumed before anything comes: the socket stays watched for it until
 * something does. Not so writing, for which a socket is ready at once. */
void mqbx_stream_need(struct stream *s, uint32_t events)
{
    s->needed = (uint8_t)events;
    if (s->watch.loop)
        arm(s, events | (s->armed & LINK_READ));
}

void mqbx_stream_on_ready(struct watch *w, uint32_t events, bool is_broken)
{
    struct stream *s = mqbx_container(w, struct stream, watch);
    const struct stream_ops *ops = mqbx_container(s->link.ops, const struct stream_ops, link);
    if (is_broken)
        events = LINK_READ | LINK_WRITE;
    if (events & LINK_READ)
        s->is_drained = false;
    if (is_broken || (events & ~(uint32_t)s->needed))
        arm(s, s->needed);
    if (events & s->needed)
        ops->ready(s, events & s->needed);
}

void mqbx_stream_report(struct stream *s, uint32_t events)
{
    struct io_loop *loop = s->watch.loop;
    loop->ready(loop->ctx, &s->link, events);
}

/* One-shot: the kernel goes back to delaying by itself. Not a TCP socket: it says no, which does
 * not matter. */
void mqbx_stream_hurry(const struct stream *s)
{
#ifdef TCP_QUICKACK
    int on = 1;
    (void)setsockopt(s->fd, IPPROTO_TCP, TCP_QUICKACK, &on, sizeof(on));
#else
    (void)s;
#endif
}

void mqbx_stream_facts(const struct stream *s, struct link_facts *out)
{
    *out = (struct link_facts){
        .address = (const char *)s + s->text_at,
        .is_loopback = s->is_loopback,
        .listener = &s->origin->settings,
        .error_text = s->error ? uv_strerror(uv_translate_sys_error(s->error)) : NULL,
    };
}

static int64_t give_up(struct stream *s)
{
    s->error = (uint16_t)errno;
    s->is_over = true;
    return LINK_ERROR;
}

static bool is_again(int error)
{
    return error == EAGAIN || error == EWOULDBLOCK;
}

/* A read that did not fill `cap` took everything. The poll is level-triggered, so what comes after
 * it is reported, and the question that would only be answered EAGAIN is saved. */
int64_t mqbx_stream_recv(struct stream *s, void *out, size_t cap)
{
    if (s->is_drained) {
        s->is_drained = false;
        return LINK_AGAIN;
    }
    ssize_t n;
    do
        n = recv(s->fd, out, cap, 0);
    while (n < 0 && errno == EINTR);
    if (n > 0) {
        s->is_drained = s->link.is_drained = (size_t)n < cap;
        return n;
    }
    if (n == 0) {
        s->is_over = true;
        return LINK_EOF;
    }
    return is_again(errno) ? LINK_AGAIN : give_up(s);
}

static int64_t send_message(struct stream *s, struct iovec *iov, uint32_t count)
{
    struct msghdr message = {.msg_iov = iov, .msg_iovlen = count};
    ssize_t n;
    do
        n = count == 1 ? send(s->fd, iov->iov_base, iov->iov_len, MSG_NOSIGNAL)
                       : sendmsg(s->fd, &message, MSG_NOSIGNAL);
    while (n < 0 && errno == EINTR);
    if (n >= 0)
        return n;
    return is_again(errno) ? LINK_AGAIN : give_up(s);
}

int64_t mqbx_stream_send(struct stream *s, const void *ptr, size_t len)
{
    struct iovec iov = {.iov_base = (void *)(uintptr_t)ptr, .iov_len = len};
    return send_message(s, &iov, 1);
}

/* Closing a socket with unread bytes resets the connection, and the reset can overtake the last
 * packet we sent. So what has come is read first, unless the last read took everything. */
void mqbx_stream_drain(struct stream *s)
{
    char waste[4096];
    size_t total = 0;
    ssize_t n = sizeof(waste);
    if (s->is_over || s->is_drained)
        return;
    while (n == (ssize_t)sizeof(waste) && total < DRAIN_MAX_BYTES) {
        n = recv(s->fd, waste, sizeof(waste), 0);
        total += sizeof(waste);
    }
}

/* --- the plain link ------------------------------------------------------------------------- */

static struct stream *of(struct link *l)
{
    return mqbx_container(l, struct stream, link);
}

static int64_t plain_read(struct link *l, uint8_t *out, size_t cap)
{
    return mqbx_stream_recv(of(l), out, cap);
}

/* Answers what the whole of these parts amounts to. */
static size_t fill_iov(const struct bytes *parts, uint32_t count, struct iovec *iov)
{
    size_t total = 0;
    for (uint32_t i = 0; i < count; i++) {
        iov[i].iov_base = (void *)(uintptr_t)parts[i].ptr;
        iov[i].iov_len = parts[i].len;
        total += parts[i].len;
    }
    return total;
}

static int64_t plain_write(struct link *l, const struct bytes *parts, uint32_t count)
{
    struct iovec iov[PARTS_AT_ONCE];
    int64_t taken = 0;
    while (count > 0) {
        uint32_t some = count < PARTS_AT_ONCE ? count : PARTS_AT_ONCE;
        size_t offered = fill_iov(parts, some, iov);
        int64_t n = send_message(of(l), iov, some);
        if (n == LINK_ERROR)
            return LINK_ERROR;
        if (n > 0)
            taken += n;
        if (n < 0 || (size_t)n < offered)
            return taken;
        parts += some;
        count -= some;
    }
    return taken;
}

static void plain_want(struct link *l, uint32_t events)
{
    of(l)->wanted = (uint8_t)events;
    mqbx_stream_need(of(l), events);
}

static void plain_close(struct link *l)
{
    mqbx_stream_drain(of(l));
    mqbx_stream_free(of(l));
}

static void plain_hurry(struct link *l)
{
    mqbx_stream_hurry(mqbx_container(l, struct stream, link));
}

static void plain_facts(const struct link *l, struct link_facts *out)
{
    mqbx_stream_facts(mqbx_container(l, const struct stream, link), out);
}

static const struct stream_ops plain_ops = {
    .link =
        {
            .read = plain_read,
            .write = plain_write,
            .want = plain_want,
            .close = plain_close,
            .detach = mqbx_stream_detach,
            .attach = mqbx_stream_attach,
            .facts = plain_facts,
            .hurry = plain_hurry,
        },
    .ready = mqbx_stream_report,
};

struct link *mqbx_link_new(const struct alloc *a, int fd, struct origin *origin,
                           const struct address *peer)
{
    if (origin->tls)
        return mqbx_tls_link_new(a, fd, origin, peer);
    struct stream *s = mqbx_stream_new(a, sizeof(struct stream), fd, origin, peer, &plain_ops);
    return s ? &s->link : NULL;
}
