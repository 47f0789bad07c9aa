/* SPDX-License-Identifier: MIT */
/*
 * Listeners: kept here from mqb_listen or the configuration on, opened by start, closed by stop,
 * opened again by the next start. [owner]
 */
#include "broker/listeners.h"

#include <openssl/ssl.h>
#include <string.h>
#include <unistd.h>

#include "broker/config_build.h"
#include "broker/error.h"
#include "io/address.h"

#define BACKLOG 1024

/* --- one listener ---------------------------------------------------------------------------- */

#define TEXTS 9

static void list_texts(struct listener_options *o, const char **fields[TEXTS])
{
    fields[0] = &o->name;
    fields[1] = &o->url;
    fields[2] = &o->mountpoint;
    fields[3] = &o->tls_cert_file;
    fields[4] = &o->tls_key_file;
    fields[5] = &o->tls_ca_file;
    fields[6] = &o->tls_min_version;
    fields[7] = &o->tls_ciphers;
    fields[8] = &o->tls_ciphersuites;
}

struct broker_listener *mqbx_listener_new(mqb_broker *b, const struct listener_options *o)
{
    const char **fields[TEXTS];
    struct listener_options copy = *o;
    size_t size = sizeof(struct broker_listener);
    list_texts(&copy, fields);
    for (size_t i = 0; i < TEXTS; i++) {
        *fields[i] = *fields[i] == NULL ? "" : *fields[i];
        size += strlen(*fields[i]) + 1;
    }
    struct broker_listener *l = mqbx_zalloc(b->alloc, size);
    if (l == NULL)
        return NULL;
    l->size = size;
    l->o = copy;
    mqbx_list_init(&l->node);
    char *at = (char *)(l + 1);
    list_texts(&l->o, fields);
    for (size_t i = 0; i < TEXTS; i++) {
        size_t len = strlen(*fields[i]) + 1;
        memcpy(at, *fields[i], len);
        *fields[i] = at;
        at += len;
    }
    if (l->o.tls_ctx != NULL)
        SSL_CTX_up_ref(l->o.tls_ctx);
    return l;
}

void mqbx_listener_free(mqb_broker *b, struct broker_listener *l)
{
    if (l->o.tls_ctx != NULL)
        SSL_CTX_free(l->o.tls_ctx);
    if (l->owns_fd)
        close(l->o.inherited_fd);
    mqbx_free(b->alloc, l, l->size);
}

mqb_err mqbx_listener_open(mqb_broker *b, struct broker_listener *l)
{
    mqb_err err = mqbx_workers_listen(b->workers, &l->o, &l->worker_id);
    if (err != MQB_OK) {
        l->worker_id = 0;
        return err;
    }
    uint16_t port = mqbx_workers_listener_port(b->workers, l->worker_id);
    mqbx_log_broker(&b->log, LOG_INFO, "listening", "%s at %s (port %u)", l->o.name, l->o.url,
                    port);
    return MQB_OK;
}

void mqbx_listener_shut(mqb_broker *b, struct broker_listener *l)
{
    if (l->worker_id == 0)
        return;
    (void)mqbx_workers_listener_close(b->workers, l->worker_id);
    l->worker_id = 0;
    mqbx_log_broker(&b->log, LOG_INFO, "listener closed", "%s", l->o.name);
}

/* --- the list -------------------------------------------------------------------------------- */

static struct broker_listener *at(struct list *node)
{
    return mqbx_container(node, struct broker_listener, node);
}

struct broker_listener *mqbx_listener_named(mqb_broker *b, const char *name)
{
    for (struct list *n = b->listeners.next; n != &b->listeners; n = n->next) {
        if (strcmp(at(n)->o.name, name) == 0)
            return at(n);
    }
    return NULL;
}

static struct broker_listener *with_id(const mqb_broker *b, uint64_t id)
{
    for (struct list *n = b->listeners.next; n != &b->listeners; n = n->next) {
        if (at(n)->id == id)
            return at(n);
    }
    return NULL;
}

static void drop_list(mqb_broker *b, struct list *list)
{
    struct list *n;
    while ((n = mqbx_list_pop(list)) != NULL)
        mqbx_listener_free(b, at(n));
}

void mqbx_listeners_free(mqb_broker *b)
{
    drop_list(b, &b->listeners);
}

mqb_err mqbx_listeners_open(mqb_broker *b)
{
    for (struct list *n = b->listeners.next; n != &b->listeners; n = n->next) {
        mqb_err err = mqbx_listener_open(b, at(n));
        if (err != MQB_OK)
            return err;
    }
    return MQB_OK;
}

void mqbx_listeners_closed(mqb_broker *b)
{
    for (struct list *n = b->listeners.next; n != &b->listeners; n = n->next)
        at(n)->worker_id = 0;
}

/* --- from the configuration ------------------------------------------------------------------ */

mqb_err mqbx_listener_configured(mqb_broker *b, const mqb_config *cfg, const char *name,
                                 struct listener_options *out)
{
    mqb_err err = mqbx_config_listener(cfg, name, out);
    if (err == MQB_OK)
        err = mqb_tenant(b, mqbx_config_listener_text(cfg, name, "tenant"), &out->tenant);
    const struct broker_listener *other = mqbx_listener_named(b, name);
    if (err == MQB_OK && other != NULL && !other->is_from_config)
        err = mqbx_error(MQB_ECONFIG, "listener.%s: a listener added by the program has this name",
                         name);
    return err;
}

static mqb_err collect(mqb_broker *b, struct list *out)
{
    char name[65];
    for (size_t pos = 0; mqbx_config_next_listener(b->cfg, &pos, name);) {
        struct listener_options o;
        mqb_err err = mqbx_listener_configured(b, b->cfg, name, &o);
        if (err != MQB_OK)
            return err;
        struct broker_listener *l = mqbx_listener_new(b, &o);
        if (l == NULL)
            return mqbx_no_memory();
        l->is_from_config = true;
        l->id = b->next_listener++;
        mqbx_list_push_back(out, &l->node);
    }
    return MQB_OK;
}

mqb_err mqbx_listeners_from_config(mqb_broker *b)
{
    struct list fresh, kept, *n;
    mqbx_list_init(&fresh);
    mqbx_list_init(&kept);
    mqb_err err = collect(b, &fresh);
    if (err != MQB_OK) {
        drop_list(b, &fresh);
        return err;
    }
    while ((n = mqbx_list_pop(&b->listeners)) != NULL) {
        if (at(n)->is_from_config)
            mqbx_listener_free(b, at(n));
        else
            mqbx_list_push_back(&kept, n);
    }
    mqbx_list_splice(&b->listeners, &fresh);
    mqbx_list_splice(&b->listeners, &kept);
    return MQB_OK;
}

/* --- the host's
 * -------------------------------------------------------------------------------------------- */

static mqb_err check_url(const char *url, const mqb_listen_opts *o)
{
    struct url parsed;
    struct io_error e = {.text = ""};
    mqb_err err = mqbx_url_parse(url, &parsed, &e);
    if (err != MQB_OK)
        return mqbx_error(err, "%s", e.text);
    bool has_files = o->tls_cert != NULL && o->tls_key != NULL;
    if (parsed.is_tls && !has_files && o->tls_ctx == NULL)
        return mqbx_error(MQB_EINVAL, "%s needs tls_cert and tls_key, or tls_ctx", url);
    return MQB_OK;
}

static mqb_err check_options(mqb_broker *b, const mqb_listen_opts *o)
{
    if (o->anonymous > MQB_ANONYMOUS_ALWAYS || o->client_cert > MQB_CLIENT_CERT_REQUIRED)
        return mqbx_error(MQB_EINVAL, "listen options: anonymous or client_cert is no known value");
    if ((o->flags & ~(uint32_t)(MQB_LISTEN_FD | MQB_LISTEN_IPV6_ONLY)) != 0)
        return mqbx_error(MQB_EINVAL, "listen options: unknown flags");
    if (o->mountpoint != NULL && !mqbx_topic_prefix_valid(o->mountpoint))
        return mqbx_error(MQB_EINVAL, "mountpoint '%s' is not the beginning of a topic",
                          o->mountpoint);
    if (!mqbx_tenant_known(b, o->tenant))
        return mqbx_error(MQB_EINVAL, "there is no tenant %u", o->tenant);
    if (o->backlog < 0 || ((o->flags & MQB_LISTEN_FD) != 0 && o->fd < 0))
        return mqbx_error(MQB_EINVAL, "listen options: backlog or fd is negative");
    return MQB_OK;
}

static struct listener_options internal_options(const char *url, const mqb_listen_opts *o)
{
    static const enum anonymous_policy anonymous[] = {ANONYMOUS_LOOPBACK, ANONYMOUS_NEVER,
                                                      ANONYMOUS_LOOPBACK, ANONYMOUS_ALWAYS};
    static const enum client_cert client_cert[] = {CLIENT_CERT_NONE, CLIENT_CERT_OPTIONAL,
                                                   CLIENT_CERT_REQUIRED};
    return (struct listener_options){
        .name = o->name != NULL ? o->name : url,
        .url = url,
        .tenant = o->tenant,
        .mountpoint = o->mountpoint,
        .anonymous = anonymous[o->anonymous],
        .max_connections = o->max_connections,
        .backlog = o->backlog == 0 ? BACKLOG : o->backlog,
        .inherited_fd = (o->flags & MQB_LISTEN_FD) != 0 ? o->fd : -1,
        .ipv6_only = (o->flags & MQB_LISTEN_IPV6_ONLY) != 0,
        .tls_cert_file = o->tls_cert,
        .tls_key_file = o->tls_key,
        .tls_ca_file = o->tls_ca,
        .client_cert = client_cert[o->client_cert],
        .tls_min_version = o->tls_min_version,
        .tls_ciphers = o->tls_ciphers,
        .tls_ciphersuites = o->tls_ciphersuites,
        .tls_ctx = o->tls_ctx,
    };
}

static mqb_err take_options(mqb_broker *b, const mqb_listen_opts *given, mqb_listen_opts *out)
{
    mqb_err err = mqbx_opts_take(out, sizeof(*out), given);
    return err != MQB_OK ? err : check_options(b, out);
}

static mqb_err listen_here(mqb_broker *b, const char *url, const mqb_listen_opts *given,
                           mqb_listener *out)
{
    mqb_listen_opts o;
    mqb_err err = take_options(b, given, &o);
    if (err == MQB_OK)
        err = check_url(url, &o);
    if (err != MQB_OK)
        return err;
    if (o.name != NULL && mqbx_listener_named(b, o.name) != NULL)
        return mqbx_error(MQB_EEXIST, "there is a listener '%s' already", o.name);
    struct listener_options internal = internal_options(url, &o);
    struct broker_listener *l = mqbx_listener_new(b, &internal);
    if (l == NULL)
        return mqbx_no_memory();
    if (mqb_broker_is_running(b))
        err = mqbx_listener_open(b, l);
    if (err != MQB_OK) {
        mqbx_listener_free(b, l);
        return err;
    }
    l->owns_fd = (o.flags & MQB_LISTEN_FD) != 0;
    l->id = b->next_listener++;
    mqbx_list_push_back(&b->listeners, &l->node);
    if (out != NULL)
        out->id = l->id;
    return MQB_OK;
}

mqb_err mqb_listen(mqb_broker *b, const char *url, const mqb_listen_opts *opts, mqb_listener *out)
{
    if (url == NULL)
        return mqbx_error(MQB_EINVAL, "mqb_listen: url must be given");
    mqb_err err = mqbx_broker_own(b);
    if (err != MQB_OK)
        return err;
    err = listen_here(b, url, opts, out);
    mqbx_broker_disown(b);
    return err;
}

static mqb_err close_here(mqb_broker *b, mqb_listener id)
{
    struct broker_listener *l = with_id(b, id.id);
    if (l == NULL)
        return mqbx_error(MQB_ENOENT, "there is no such listener");
    if (l->worker_id != 0 && mqbx_workers_on_thread(b->workers))
        return mqbx_error(
            MQB_ESTATE,
            "mqb_listener_close waits for the broker, and was called on one of its threads");
    mqbx_listener_shut(b, l);
    mqbx_list_remove(&l->node);
    mqbx_listener_free(b, l);
    return MQB_OK;
}

mqb_err mqb_listener_close(mqb_broker *b, mqb_listener l)
{
    mqb_err err = mqbx_broker_own(b);
    if (err != MQB_OK)
        return err;
    err = close_here(b, l);
    mqbx_broker_disown(b);
    return err;
}

mqb_err mqb_listener_find(mqb_broker *b, const char *name, mqb_listener *out)
{
    if (name == NULL || out == NULL)
        return mqbx_error(MQB_EINVAL, "mqb_listener_find: name and out must be given");
    mqb_err err = mqbx_broker_own(b);
    if (err != MQB_OK)
        return err;
    const struct broker_listener *l = mqbx_listener_named(b, name);
    if (l != NULL)
        out->id = l->id;
    else
        err = mqbx_error(MQB_ENOENT, "there is no listener '%s'", name);
    mqbx_broker_disown(b);
    return err;
}

uint16_t mqb_listener_port(const mqb_broker *b, mqb_listener l)
{
    if (!mqb_broker_is_running(b))
        return 0;
    const struct broker_listener *found = with_id(b, l.id);
    if (found == NULL || found->worker_id == 0)
        return 0;
    return mqbx_workers_listener_port(b->workers, found->worker_id);
}

static mqb_err adopt_here(mqb_broker *b, int fd, const mqb_listen_opts *given)
{
    mqb_listen_opts o;
    mqb_err err = take_options(b, given, &o);
    if (err != MQB_OK)
        return err;
    if (!mqb_broker_is_running(b))
        return mqbx_error(MQB_ESTATE, "the broker is not running");
    struct listener_options internal = internal_options("", &o);
    internal.inherited_fd = -1;
    if (o.name == NULL)
        internal.name = "adopted";
    return mqbx_workers_adopt(b->workers, fd, &internal);
}

mqb_err mqb_adopt_fd(mqb_broker *b, int fd, const mqb_listen_opts *opts)
{
    mqb_err err = mqbx_broker_own(b);
    if (err != MQB_OK)
        return err;
    err = adopt_here(b, fd, opts);
    mqbx_broker_disown(b);
    return err;
}
