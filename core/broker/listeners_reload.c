/* SPDX-License-Identifier: MIT */
/*
 * A reload's change of the listeners, all or nothing: everything that can fail is done first and
 * can be undone. [owner], running.
 */
#include <string.h>

#include "broker/config_build.h"
#include "broker/error.h"
#include "broker/listeners.h"

struct listener_change {
    struct list
        entries; /* struct broker_listener: new ones, and those that take an old one's place */
};

static struct broker_listener *at(struct list *node)
{
    return mqbx_container(node, struct broker_listener, node);
}

static bool same_text(const char *a, const char *b)
{
    return strcmp(a, b) == 0;
}

/* Whether the socket can stay. */
static bool same_socket(const struct listener_options *a, const struct listener_options *b)
{
    return same_text(a->url, b->url) && a->inherited_fd == b->inherited_fd &&
           a->ipv6_only == b->ipv6_only && a->backlog == b->backlog;
}

/* Certificates count as changed: the files may have. */
static bool same_rules(const struct listener_options *a, const struct listener_options *b)
{
    return a->tenant == b->tenant && a->anonymous == b->anonymous &&
           a->max_connections == b->max_connections && same_text(a->mountpoint, b->mountpoint) &&
           *a->tls_cert_file == '\0' && *b->tls_cert_file == '\0';
}

/* The new address may need the place of the old one ("127.0.0.1:1883" and "*:1883"). */
static mqb_err move(mqb_broker *b, struct broker_listener *l)
{
    mqb_err err = mqbx_listener_open(b, l);
    if (err == MQB_OK)
        return MQB_OK;
    mqbx_listener_shut(b, l->old);
    return mqbx_listener_open(b, l);
}

/* The entry is in the change already, so that undo knows of it whatever happens here. */
static mqb_err realise(mqb_broker *b, struct broker_listener *l)
{
    if (l->old == NULL)
        return mqbx_listener_open(b, l);
    if (!same_socket(&l->o, &l->old->o))
        return move(b, l);
    mqb_err err = mqbx_workers_listener_update(b->workers, l->old->worker_id, &l->o);
    l->is_update = err == MQB_OK;
    return err;
}

/* Whose place a listener takes: that of its name, or of one that goes and has its address (it was
 * renamed). */
static struct broker_listener *find_old(mqb_broker *b, const char *name,
                                        const struct listener_options *o)
{
    struct broker_listener *named = mqbx_listener_named(b, name);
    if (named != NULL)
        return named;
    for (struct list *n = b->listeners.next; n != &b->listeners; n = n->next) {
        struct broker_listener *l = at(n);
        if (l->is_from_config && !l->is_wanted && same_socket(&l->o, o))
            return l;
    }
    return NULL;
}

static mqb_err change_one(mqb_broker *b, const mqb_config *cfg, const char *name,
                          struct listener_change *c)
{
    struct listener_options o;
    mqb_err err = mqbx_listener_configured(b, cfg, name, &o);
    if (err != MQB_OK)
        return err;
    struct broker_listener *old = find_old(b, name, &o);
    if (old != NULL) {
        old->is_wanted = true;
        if (same_text(old->o.name, name) && same_socket(&o, &old->o) && same_rules(&o, &old->o))
            return MQB_OK;
    }
    struct broker_listener *l = mqbx_listener_new(b, &o);
    if (l == NULL)
        return mqbx_no_memory();
    l->is_from_config = true;
    l->old = old;
    mqbx_list_push_back(&c->entries, &l->node);
    return realise(b, l);
}

/* Marks those whose names stay. */
static void mark(mqb_broker *b, const mqb_config *cfg)
{
    char name[65];
    for (size_t pos = 0; mqbx_config_next_listener(cfg, &pos, name);) {
        struct broker_listener *l = mqbx_listener_named(b, name);
        if (l != NULL)
            l->is_wanted = true;
    }
}

static void unmark(mqb_broker *b)
{
    for (struct list *n = b->listeners.next; n != &b->listeners; n = n->next)
        at(n)->is_wanted = false;
}

mqb_err mqbx_listeners_change(mqb_broker *b, const mqb_config *cfg, struct listener_change **out)
{
    struct listener_change *c = mqbx_zalloc(b->alloc, sizeof(*c));
    if (c == NULL)
        return mqbx_no_memory();
    mqbx_list_init(&c->entries);
    mark(b, cfg);
    char name[65];
    for (size_t pos = 0; mqbx_config_next_listener(cfg, &pos, name);) {
        mqb_err err = change_one(b, cfg, name, c);
        if (err != MQB_OK) {
            char why[1024];
            (void)mqb_last_error_copy(why, sizeof(why));
            mqbx_listeners_undo(b, c);
            return mqbx_error(err, "%s", why);
        }
    }
    *out = c;
    return MQB_OK;
}

/* What cannot be put back is logged: the address was ours a moment ago, but somebody may have been
 * quicker. */
static void undo_one(mqb_broker *b, struct broker_listener *l)
{
    mqb_err err = MQB_OK;
    if (l->is_update)
        err = mqbx_workers_listener_update(b->workers, l->old->worker_id, &l->old->o);
    else
        mqbx_listener_shut(b, l);
    if (l->old != NULL && l->old->worker_id == 0)
        err = mqbx_listener_open(b, l->old);
    if (err != MQB_OK)
        mqbx_log_broker(&b->log, LOG_ERROR, "listener could not be restored", "%s",
                        mqb_last_error());
}

void mqbx_listeners_undo(mqb_broker *b, struct listener_change *c)
{
    struct list *n;
    while ((n = mqbx_list_pop(&c->entries)) != NULL) {
        undo_one(b, at(n));
        mqbx_listener_free(b, at(n));
    }
    unmark(b);
    mqbx_free(b->alloc, c, sizeof(*c));
}

static void close_unwanted(mqb_broker *b)
{
    struct list *next;
    for (struct list *n = b->listeners.next; n != &b->listeners; n = next) {
        next = n->next;
        struct broker_listener *l = at(n);
        if (!l->is_from_config || l->is_wanted)
            continue;
        mqbx_listener_shut(b, l);
        mqbx_list_remove(n);
        mqbx_listener_free(b, l);
    }
}

/* The id stays with the place. */
static void replace(mqb_broker *b, struct broker_listener *l)
{
    struct broker_listener *old = l->old;
    l->id = old->id;
    if (l->is_update)
        l->worker_id = old->worker_id;
    else
        mqbx_listener_shut(b, old);
    mqbx_list_remove(&old->node);
    mqbx_listener_free(b, old);
}

void mqbx_listeners_commit(mqb_broker *b, struct listener_change *c)
{
    struct list *n;
    close_unwanted(b);
    while ((n = mqbx_list_pop(&c->entries)) != NULL) {
        struct broker_listener *l = at(n);
        if (l->old != NULL)
            replace(b, l);
        else
            l->id = b->next_listener++;
        l->old = NULL;
        l->is_update = false;
        mqbx_list_push_back(&b->listeners, n);
    }
    unmark(b);
    mqbx_free(b->alloc, c, sizeof(*c));
}
