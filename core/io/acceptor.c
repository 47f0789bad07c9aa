/* SPDX-License-Identifier: MIT */
/*
 * See acceptor.h. When descriptors run out, one is kept in reserve to accept and close with: a
 * connection left in the backlog would keep the socket readable and the loop spinning.
 */
#include "io/acceptor.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include "io/socket.h"
#include "io/stream.h"

enum { PAUSE_MS = 100 };

struct acceptor {
    const struct alloc *alloc;
    struct io_loop *loop; /* NULL before the start */
    struct origin *origin;
    acceptor_fn fn;
    void *ctx;
    uv_poll_t poll;
    uv_timer_t pause; /* runs while nothing can be accepted */
    int fd;
    int spare_fd; /* -1: it could not be had */
    uint32_t burst;
    uint16_t port;
    uint8_t handles; /* libuv still has so many of poll and pause */
    struct socket_file file;
    struct address local;
};

/* --- opening -------------------------------------------------------------------------------- */

static int open_spare(void)
{
    return open("/dev/null", O_RDONLY | O_CLOEXEC);
}

static mqb_err open_socket(struct acceptor *ac, const struct listener_options *o,
                           const struct url *u, struct io_error *e)
{
    bool is_inherited = o->inherited_fd >= 0;
    mqb_err err = is_inherited ? mqbx_socket_inherit(o->inherited_fd, &ac->fd, e)
                               : mqbx_socket_listen(o, u, &ac->fd, e);
    if (err != MQB_OK)
        return err;
    if (!mqbx_socket_local(ac->fd, &ac->local))
        return mqbx_io_error(e, MQB_ESYS, "cannot listen: getsockname: %s",
                             mqbx_io_strerror(errno).text);
    ac->port = mqbx_address_port(&ac->local);
    if (u->is_unix && !is_inherited && !mqbx_socket_file_note(ac->alloc, u->path, &ac->file))
        return mqbx_io_error(e, MQB_ENOMEM, "out of memory for a listener");
    ac->spare_fd = open_spare();
    return MQB_OK;
}

static void free_acceptor(struct acceptor *ac)
{
    mqbx_origin_unref(ac->origin);
    mqbx_free(ac->alloc, ac, sizeof(*ac));
}

static mqb_err parse(const struct listener_options *o, struct url *u, struct io_error *e)
{
    const char *text = o->url && o->url[0] != '\0' ? o->url : NULL;
    if (!text && o->inherited_fd >= 0)
        text = "mqtt://*"; /* where it listens was decided by whoever opened it */
    if (!text)
        return mqbx_io_error(e, MQB_EINVAL, "a listener needs a URL, as in mqtt://127.0.0.1:1883");
    return mqbx_url_parse(text, u, e);
}

mqb_err mqbx_acceptor_new(const struct alloc *a, const struct listener_options *o, uint32_t burst,
                          struct acceptor **out, struct io_error *e)
{
    struct url u;
    mqb_err err = parse(o, &u, e);
    if (err != MQB_OK)
        return err;
    struct acceptor *ac = mqbx_zalloc(a, sizeof(*ac));
    if (!ac)
        return mqbx_io_error(e, MQB_ENOMEM, "out of memory for a listener");
    ac->alloc = a;
    ac->fd = ac->spare_fd = -1;
    ac->burst = burst > 0 ? burst : 1;
    err = mqbx_origin_new(a, o, u.is_tls, NULL, &ac->origin, e);
    if (err == MQB_OK)
        err = open_socket(ac, o, &u, e);
    if (err != MQB_OK) {
        mqbx_acceptor_close(ac);
        return err;
    }
    *out = ac;
    return MQB_OK;
}

/* --- accepting ------------------------------------------------------------------------------ */

static void log_refusal(struct acceptor *ac, enum log_level level, const char *event,
                        const struct address *peer, const char *detail)
{
    char text[ADDRESS_TEXT_MAX];
    mqbx_address_text(peer, text);
    struct log_event ev = {
        .level = level,
        .module = "listener",
        .event = event,
        .address = text,
        .reason = -1,
        .detail = detail,
    };
    ac->loop->log(ac->loop->ctx, &ev);
}

static void on_pause_over(uv_timer_t *timer);
static void on_readable(uv_poll_t *poll, int status, int events);

static void watch(struct acceptor *ac)
{
    uv_poll_start(&ac->poll, UV_READABLE, on_readable);
    ac->loop->has_fresh_polls = true;
}

static void pause_accepting(struct acceptor *ac, int error)
{
    char detail[160];
    snprintf(detail, sizeof(detail), "listener %s: accept: %s; trying again in %d ms",
             ac->origin->settings.name, mqbx_io_strerror(error).text, PAUSE_MS);
    log_refusal(ac, LOG_WARN, "accepting paused", &ac->local, detail);
    uv_poll_stop(&ac->poll);
    uv_timer_start(&ac->pause, on_pause_over, PAUSE_MS, 0);
}

static void on_pause_over(uv_timer_t *timer)
{
    struct acceptor *ac = timer->data;
    if (ac->spare_fd < 0)
        ac->spare_fd = open_spare();
    watch(ac);
}

/* No descriptor is left: accepts with the spare one and closes at once, so that the client learns
 * it. Answers 0, or the errno of the accept. */
static int turn_away(struct acceptor *ac)
{
    struct address peer;
    if (ac->spare_fd < 0)
        return EMFILE;
    close(ac->spare_fd);
    int fd = mqbx_socket_accept(ac->fd, &peer);
    int error = fd < 0 ? errno : 0;
    if (fd >= 0)
        close(fd);
    ac->spare_fd = open_spare();
    if (fd >= 0)
        log_refusal(ac, LOG_WARN, "connection refused, no file descriptor is left", &peer,
                    ac->origin->settings.name);
    return error;
}

static bool is_full(const struct acceptor *ac)
{
    const struct origin *o = ac->origin;
    return o->max_connections > 0 && mqbx_atomic_load32(&o->tally->open) >= o->max_connections;
}

static void welcome(struct acceptor *ac, int fd, const struct address *peer)
{
    if (is_full(ac)) {
        close(fd);
        log_refusal(ac, LOG_WARN, "connection refused, the listener is full", peer,
                    ac->origin->settings.name);
        return;
    }
    /* the peer of a Unix socket has no name of its own */
    const struct address *from = peer->sa.ss_family == AF_UNIX ? &ac->local : peer;
    struct link *l = mqbx_link_new(ac->alloc, fd, ac->origin, from);
    if (l) {
        ac->fn(ac->ctx, l);
        return;
    }
    close(fd);
    log_refusal(ac, LOG_ERROR, "connection refused, out of memory", peer,
                ac->origin->settings.name);
}

/* The peer may have gone while it waited in the backlog, or a firewall rule forbids it; the others
 * are not concerned. */
static bool concerns_one_peer(int error)
{
    return error == EINTR || error == ECONNABORTED || error == EPROTO || error == EPERM;
}

/* False: there is nothing more to accept now. */
static bool accept_failed(struct acceptor *ac, int error)
{
    if (error == EMFILE || error == ENFILE) /* said even when nobody waits */
        error = turn_away(ac);
    if (error == 0 || concerns_one_peer(error))
        return true;
    if (error != EAGAIN && error != EWOULDBLOCK)
        pause_accepting(ac, error);
    return false;
}

static void on_readable(uv_poll_t *poll, int status, int events)
{
    struct acceptor *ac = poll->data;
    (void)events;
    if (status < 0) {
        pause_accepting(ac, EBADF);
        return;
    }
    for (uint32_t i = 0; i < ac->burst; i++) {
        struct address peer;
        int fd = mqbx_socket_accept(ac->fd, &peer);
        if (fd >= 0)
            welcome(ac, fd, &peer);
        else if (!accept_failed(ac, errno))
            return;
    }
}

/* --- life on a loop ------------------------------------------------------------------------- */

int mqbx_acceptor_start(struct acceptor *ac, struct io_loop *loop, acceptor_fn fn, void *ctx)
{
    int err = uv_poll_init(&loop->uv, &ac->poll, ac->fd);
    if (err != 0)
        return err;
    uv_timer_init(&loop->uv, &ac->pause);
    ac->poll.data = ac->pause.data = ac;
    ac->handles = 2;
    ac->loop = loop;
    ac->fn = fn;
    ac->ctx = ctx;
    watch(ac);
    return 0;
}

static void on_closed(uv_handle_t *handle)
{
    struct acceptor *ac = handle->data;
    if (--ac->handles == 0)
        free_acceptor(ac);
}

void mqbx_acceptor_close(struct acceptor *ac)
{
    if (ac->handles > 0) {
        uv_close((uv_handle_t *)&ac->poll, on_closed);
        uv_close((uv_handle_t *)&ac->pause, on_closed);
    }
    if (ac->fd >= 0)
        close(ac->fd);
    if (ac->spare_fd >= 0)
        close(ac->spare_fd);
    mqbx_socket_file_remove(ac->alloc, &ac->file);
    if (ac->handles == 0)
        free_acceptor(ac);
}

void mqbx_acceptor_set_origin(struct acceptor *ac, struct origin *o)
{
    mqbx_origin_unref(ac->origin);
    ac->origin = o;
}

const struct origin *mqbx_acceptor_origin(const struct acceptor *ac)
{
    return ac->origin;
}

uint16_t mqbx_acceptor_port(const struct acceptor *ac)
{
    return ac->port;
}

bool mqbx_acceptor_is_tls(const struct acceptor *ac)
{
    return ac->origin->tls != NULL;
}
