/* SPDX-License-Identifier: MIT */
/*
 * Answers that take a while: the question is asked on a network thread, which must not wait, so the
 * plugin takes a ticket, and a thread of its own completes it. Here the thread only lets every
 * client publish below its own client id; yours would ask a server.
 *
 *     mqttbrokerd --set plugin.async.path=/PATH/plugin_async.so
 */
#include <mqttbroker_plugin.h>

#include <pthread.h>
#include <stdlib.h>

/* A question that waits: what it referred to is copied, because it ends with the call. */
struct pending {
    struct pending *next;
    mqb_ticket ticket;
    uint32_t is_own;
    uint32_t reserved;
};

struct plugin {
    const mqb_host *host;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    pthread_t thread;
    struct pending *first; /* under lock, newest first */
    int is_stopping;       /* under lock */
};

static void answer(const mqb_host *h, const struct pending *p)
{
    mqb_answer a = {.struct_size = sizeof(a)};
    a.verdict = p->is_own ? MQB_ALLOW : MQB_DENY;
    a.cache_ms = 10000; /* the same client and topic need not ask again so soon */
    (void)h->ticket_complete(h, p->ticket, &a); /* too late is no fault: the client has gone */
}

static void *work(void *arg)
{
    struct plugin *me = arg;
    pthread_mutex_lock(&me->lock);
    while (!me->is_stopping || me->first != NULL) {
        struct pending *p = me->first;
        if (p == NULL) {
            pthread_cond_wait(&me->changed, &me->lock);
            continue;
        }
        me->first = p->next;
        pthread_mutex_unlock(&me->lock);
        answer(me->host, p); /* here one may block */
        free(p);
        pthread_mutex_lock(&me->lock);
    }
    pthread_mutex_unlock(&me->lock);
    return NULL;
}

static uint32_t begins_with_id(const mqb_access *q)
{
    const mqb_str id = q->who->client_id;
    return q->topic.len > id.len && memcmp(q->topic.ptr, id.ptr, id.len) == 0 &&
           q->topic.ptr[id.len] == '/';
}

/* [LOOP] */
static uint32_t check(void *self, const mqb_access *q, mqb_answer *a)
{
    struct plugin *me = self;
    struct pending *p = malloc(sizeof(*p));
    if (p == NULL)
        return MQB_DENY;
    p->is_own = begins_with_id(q);
    if (me->host->ticket_take(me->host, a, &p->ticket) != MQB_OK) {
        free(p);
        return MQB_DENY;
    }
    pthread_mutex_lock(&me->lock);
    p->next = me->first;
    me->first = p;
    pthread_cond_signal(&me->changed);
    pthread_mutex_unlock(&me->lock);
    return MQB_PENDING;
}

static mqb_err init(const mqb_host *h, void **self)
{
    struct plugin *me = calloc(1, sizeof(*me));
    if (me == NULL)
        return MQB_ENOMEM;
    me->host = h;
    pthread_mutex_init(&me->lock, NULL);
    pthread_cond_init(&me->changed, NULL);
    if (pthread_create(&me->thread, NULL, work, me) == 0) {
        *self = me;
        return MQB_OK;
    }
    pthread_cond_destroy(&me->changed);
    pthread_mutex_destroy(&me->lock);
    free(me);
    return MQB_ESYS;
}

static void stop(void *self)
{
    struct plugin *me = self;
    pthread_mutex_lock(&me->lock);
    me->is_stopping = 1;
    pthread_cond_signal(&me->changed);
    pthread_mutex_unlock(&me->lock);
    pthread_join(me->thread, NULL);
}

static void fini(void *self)
{
    struct plugin *me = self;
    pthread_cond_destroy(&me->changed);
    pthread_mutex_destroy(&me->lock);
    free(me);
}

static const void *capability(void *self, const char *id)
{
    static const mqb_cap_acl acl = {
        .struct_size = sizeof(acl),
        .run = MQB_RUN_LOOP,
        .actions = MQB_ACTION_BIT(MQB_ACTION_PUBLISH),
        .check = check,
    };
    (void)self;
    return strcmp(id, MQB_CAP_ACL) == 0 ? &acl : NULL;
}

const mqb_plugin *mqb_plugin_entry(uint32_t host_abi)
{
    static const mqb_plugin plugin = {
        .struct_size = sizeof(plugin),
        .abi = MQB_ABI,
        .name = "async",
        .version = "1.0",
        .init = init,
        .stop = stop,
        .fini = fini,
        .capability = capability,
    };
    (void)host_abi;
    return &plugin;
}
