/* SPDX-License-Identifier: MIT */
/*
 * Listeners of a set of workers, and sockets the host accepted itself. A listener is opened here,
 * in the caller's thread, and then polled by one worker; closing it waits until that worker has let
 * go of the socket.
 */
#include <unistd.h>

#include "broker/error.h"
#include "broker/workers.h"
#include "broker/workers_set.h"
#include "io/socket.h"
#include "io/stream.h"

struct listener {
    struct list node;
    uint64_t id;
    uint16_t port;
    struct worker *worker;
    struct acceptor *acceptor;
};

/* --- the table ------------------------------------------------------------------------------ */

static struct listener *find(const struct workers *w, uint64_t id)
{
    for (struct list *n = w->listeners.next; n != &w->listeners; n = n->next) {
        struct listener *l = mqbx_container(n, struct listener, node);
        if (l->id == id)
            return l;
    }
    return NULL;
}

static void add(struct workers *w, struct listener *l)
{
    pthread_mutex_lock(&w->listeners_lock);
    mqbx_list_push_back(&w->listeners, &l->node);
    pthread_mutex_unlock(&w->listeners_lock);
}

static void drop(struct workers *w, struct listener *l)
{
    pthread_mutex_lock(&w->listeners_lock);
    mqbx_list_remove(&l->node);
    pthread_mutex_unlock(&w->listeners_lock);
    mqbx_free(w->options.alloc, l, sizeof(*l));
}

/* --- on the worker's thread ----------------------------------------------------------------- */

struct start_request {
    struct acceptor *acceptor;
    int result;
};

static void start_accepting(struct worker *one, void *arg)
{
    struct start_request *r = arg;
    r->result = mqbx_acceptor_start(r->acceptor, &one->loop, mqbx_worker_deal_link, one);
}

static void stop_accepting(struct worker *one, void *arg)
{
    (void)one;
    mqbx_acceptor_close(arg);
}

struct update_request {
    struct acceptor *acceptor;
    struct origin *origin;
};

static void change_origin(struct worker *one, void *arg)
{
    struct update_request *r = arg;
    (void)one;
    mqbx_acceptor_set_origin(r->acceptor, r->origin);
}

/* --- listen --------------------------------------------------------------------------------- */

static mqb_err start_listener(struct workers *w, struct acceptor *ac, uint64_t *id)
{
    struct listener *l = mqbx_zalloc(w->options.alloc, sizeof(*l));
    if (!l)
        return mqbx_error(MQB_ENOMEM, "out of memory for a listener");
    l->id = w->next_listener++;
    l->worker = mqbx_workers_at(w, (uint32_t)(l->id % w->options.count));
    l->acceptor = ac;
    l->port = mqbx_acceptor_port(ac);
    struct start_request r = {.acceptor = ac};
    mqbx_worker_call(l->worker, start_accepting, &r);
    if (r.result != 0) {
        mqbx_free(w->options.alloc, l, sizeof(*l));
        return mqbx_error(MQB_ESYS, "cannot listen: uv_poll_init: %s", uv_strerror(r.result));
    }
    add(w, l);
    *id = l->id;
    return MQB_OK;
}

mqb_err mqbx_workers_listen(struct workers *w, const struct listener_options *o, uint64_t *id)
{
    struct io_error e = {.text = ""};
    struct acceptor *ac = NULL;
    mqb_err err = mqbx_workers_enter(w);
    if (err != MQB_OK)
        return err;
    err = mqbx_acceptor_new(w->options.alloc, o, w->options.max_accepts_per_turn, &ac, &e);
    if (err != MQB_OK)
        mqbx_error(err, "%s", e.text);
    if (err == MQB_OK) {
        err = start_listener(w, ac, id);
        if (err != MQB_OK)
            mqbx_acceptor_close(ac);
    }
    mqbx_workers_leave(w);
    return err;
}

static void close_listener(struct workers *w, struct listener *l)
{
    mqbx_worker_call(l->worker, stop_accepting, l->acceptor);
    drop(w, l);
}

mqb_err mqbx_workers_listener_close(struct workers *w, uint64_t id)
{
    mqb_err err = mqbx_workers_enter(w);
    if (err != MQB_OK)
        return err;
    struct listener *l = find(w, id);
    if (l)
        close_listener(w, l);
    else
        err = mqbx_error(MQB_ENOENT, "there is no such listener");
    mqbx_workers_leave(w);
    return err;
}

void mqbx_workers_close_listeners(struct workers *w)
{
    while (!mqbx_list_empty(&w->listeners))
        close_listener(w, mqbx_container(w->listeners.next, struct listener, node));
}

uint16_t mqbx_workers_listener_port(const struct workers *w, uint64_t id)
{
    pthread_mutex_t *lock = &((struct workers *)(uintptr_t)w)->listeners_lock;
    pthread_mutex_lock(lock);
    const struct listener *l = find(w, id);
    uint16_t port = l ? l->port : 0;
    pthread_mutex_unlock(lock);
    return port;
}

/* --- update --------------------------------------------------------------------------------- */

static mqb_err update(struct workers *w, const struct listener *l, const struct listener_options *o)
{
    struct io_error e = {.text = ""};
    struct update_request r = {.acceptor = l->acceptor};
    struct tally *tally = mqbx_acceptor_origin(l->acceptor)->tally;
    bool is_tls = mqbx_acceptor_is_tls(l->acceptor);
    mqb_err err = mqbx_origin_new(w->options.alloc, o, is_tls, tally, &r.origin, &e);
    if (err != MQB_OK)
        return mqbx_error(err, "%s", e.text);
    mqbx_worker_call(l->worker, change_origin, &r);
    return MQB_OK;
}

mqb_err mqbx_workers_listener_update(struct workers *w, uint64_t id,
                                     const struct listener_options *o)
{
    mqb_err err = mqbx_workers_enter(w);
    if (err != MQB_OK)
        return err;
    const struct listener *l = find(w, id);
    err = l ? update(w, l, o) : mqbx_error(MQB_ENOENT, "there is no such listener");
    mqbx_workers_leave(w);
    return err;
}

/* --- adopt ---------------------------------------------------------------------------------- */

static bool wants_tls(const struct listener_options *o)
{
    return o->tls_ctx || (o->tls_cert_file && o->tls_cert_file[0] != '\0');
}

/* The chunk is made before the link, so that nothing can fail once the descriptor is the link's. */
static mqb_err adopt(struct workers *w, int fd, const struct address *peer, struct origin *origin)
{
    struct chunk *ch = mqbx_chunk_new(w->options.alloc, 1);
    struct link *l = ch ? mqbx_link_new(w->options.alloc, fd, origin, peer) : NULL;
    if (!l) {
        mqbx_chunk_free(w->options.alloc, ch);
        return mqbx_error(MQB_ENOMEM, "out of memory for a connection");
    }
    ch->items[0] = (struct item){.type = ITEM_LINK, .from = ITEM_FROM_HOST, .u.link = l};
    ch->count = 1;
    uint32_t turn = mqbx_atomic_add32(&w->next_adopted, 1);
    mqbx_worker_push(mqbx_workers_at(w, turn % w->options.count), ch);
    return MQB_OK;
}

mqb_err mqbx_workers_adopt(struct workers *w, int fd, const struct listener_options *o)
{
    struct io_error e = {.text = ""};
    struct address peer;
    struct origin *origin = NULL;
    mqb_err err = mqbx_socket_adopt(fd, &peer, &e);
    if (err == MQB_OK)
        err = mqbx_origin_new(w->options.alloc, o, wants_tls(o), NULL, &origin, &e);
    if (err != MQB_OK)
        return mqbx_error(err, "%s", e.text);
    pthread_rwlock_rdlock(&w->gate);
    err = w->is_gate_open ? adopt(w, fd, &peer, origin)
                          : mqbx_error(MQB_ESTATE, "the broker is not started");
    pthread_rwlock_unlock(&w->gate);
    mqbx_origin_unref(origin);
    return err;
}
