/* SPDX-License-Identifier: MIT */
/*
 * The plugin of these tests. What it answers is said by the user name of a CONNECT and by the first
 * level of a topic; how it is run, and how long it takes, by its keys. See test_plugin.py.
 */
#include <mqttbroker_plugin.h>

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

struct pending {
    struct pending *next;
    mqb_ticket ticket;
    uint64_t due_ms;
    mqb_answer answer; /* its texts are constants */
};

struct judge {
    const mqb_host *host;
    uint32_t run;
    uint32_t fixed;    /* a verdict for everything; UINT32_MAX: none */
    uint64_t delay_ms; /* of every answer */
    int has_tickets;
    int has_auth, has_acl, has_receive;
    mqb_cap_auth auth;
    mqb_cap_acl acl;
    pthread_t thread;
    pthread_mutex_t lock; /* for the rest */
    pthread_cond_t changed;
    struct pending *first, *last;
    unsigned cached_asked;
    int is_stopping;
};

/* --- what is answered --------------------------------------------------------------------------
 */

static int begins(mqb_str s, const char *text)
{
    size_t len = strlen(text);
    return s.len >= len && memcmp(s.ptr, text, len) == 0;
}

static mqb_str constant(const char *text)
{
    return mqb_str_of(text);
}

static uint32_t let_in_with_rules(mqb_answer *a)
{
    static const mqb_permission free_topics = {
        .struct_size = sizeof(free_topics), .allow = 1, .topic = {"free/#", 6}};
    static const mqb_permission only_qos0 = {.struct_size = sizeof(only_qos0),
                                             .allow = 1,
                                             .qos = 1,
                                             .actions = MQB_ACTION_BIT(MQB_ACTION_PUBLISH),
                                             .topic = {"qos0/#", 6}};
    static const mqb_permission *const rules[] = {&free_topics, &only_qos0};
    a->permissions = rules;
    a->permission_count = 2;
    a->permission_rest = MQB_REST_DENY;
    return MQB_ALLOW;
}

static uint32_t let_in(const struct judge *me, mqb_str user, mqb_answer *a)
{
    static const char attributes[] = "role\0driver";
    static const char broken[] = {'x'};
    if (mqb_str_is(user, "boss"))
        a->user_name = constant("renamed");
    else if (begins(user, "tenant-"))
        a->tenant = constant(user.ptr[7] == 'x' ? "x" : "y");
    else if (mqb_str_is(user, "expires"))
        a->expires_at_ms = me->host->wall_ms(me->host) + 700;
    else if (mqb_str_is(user, "mounted"))
        a->mountpoint = constant("m/");
    else if (mqb_str_is(user, "driver"))
        a->attributes = (mqb_str){attributes, sizeof(attributes)};
    else if (mqb_str_is(user, "broken"))
        a->attributes = (mqb_str){broken, sizeof(broken)};
    else if (mqb_str_is(user, "rules"))
        return let_in_with_rules(a);
    else if (mqb_str_is(user, "shortlived")) {
        a->flags = MQB_ANSWER_SESSION_EXPIRY;
        a->session_expiry_max_s = 7;
    } else if (!begins(user, "ann"))
        return MQB_PASS;
    return MQB_ALLOW;
}

static uint32_t judge_connect(const struct judge *me, const mqb_connect *q, mqb_answer *a)
{
    mqb_str user = q->who->user_name;
    if (me->fixed != UINT32_MAX)
        return me->fixed;
    if (mqb_str_is(user, "denied")) {
        a->reason = 0x8a;
        return MQB_DENY;
    }
    if (mqb_str_is(user, "garbage"))
        return 99;
    return let_in(me, user, a);
}

/* Every other answer is yes, and all are to be kept. */
static uint32_t judge_cached(struct judge *me, mqb_answer *a)
{
    pthread_mutex_lock(&me->lock);
    unsigned asked = me->cached_asked++;
    pthread_mutex_unlock(&me->lock);
    a->cache_ms = 60000;
    return asked % 2 == 0 ? MQB_ALLOW : MQB_DENY;
}

static uint32_t judge_access(struct judge *me, const mqb_access *q, mqb_answer *a)
{
    mqb_str value;
    if (me->fixed != UINT32_MAX)
        return me->fixed;
    if (begins(q->topic, "deny/")) {
        a->flags = begins(q->topic, "deny/end") ? MQB_ANSWER_DISCONNECT : 0u;
        a->reason = begins(q->topic, "deny/quota") ? 0x97 : begins(q->topic, "deny/odd") ? 0x01 : 0;
        return MQB_DENY;
    }
    if (begins(q->topic, "pass/"))
        return MQB_PASS;
    if (begins(q->topic, "wrong/"))
        return 12345;
    if (begins(q->topic, "cached/"))
        return judge_cached(me, a);
    if (begins(q->topic, "forget/"))
        me->host->forget(me->host, q->who->client, NULL);
    if (begins(q->topic, "echo/")) {
        mqb_plugin_publish p = {
            .struct_size = sizeof(p), .topic = mqb_str_of("said"), .payload = q->payload};
        return me->host->publish(me->host, &p) == MQB_OK ? MQB_ALLOW : MQB_DENY;
    }
    if (begins(q->topic, "role/")) {
        mqb_attribute(q->who, "role", &value);
        return value.ptr && q->topic.len == 5 + value.len && begins(q->topic, "role/driver")
                   ? MQB_ALLOW
                   : MQB_DENY;
    }
    if (begins(q->topic, "user/"))
        return q->topic.len - 5 == q->who->user_name.len &&
                       memcmp(q->topic.ptr + 5, q->who->user_name.ptr, q->topic.len - 5) == 0
                   ? MQB_ALLOW
                   : MQB_DENY;
    return MQB_ALLOW;
}

/* --- how ---------------------------------------------------------------------------------------
 */

static void sleep_ms(uint64_t ms)
{
    struct timespec ts = {(time_t)(ms / 1000), (long)(ms % 1000) * 1000000};
    nanosleep(&ts, NULL);
}

static void complete(struct judge *me, const struct pending *p)
{
    char line[64];
    mqb_err once = me->host->ticket_complete(me->host, p->ticket, &p->answer);
    mqb_err twice = me->host->ticket_complete(me->host, p->ticket, &p->answer);
    if (once == MQB_OK && twice == MQB_ENOENT)
        return;
    snprintf(line, sizeof(line), "ticket answers %d, then %d", once, twice);
    me->host->log(me->host, MQB_LOG_INFO, line, strlen(line));
}

static void *work(void *arg)
{
    struct judge *me = arg;
    pthread_mutex_lock(&me->lock);
    while (!me->is_stopping || me->first) {
        struct pending *p = me->first;
        if (!p) {
            pthread_cond_wait(&me->changed, &me->lock);
            continue;
        }
        me->first = p->next;
        if (!me->first)
            me->last = NULL;
        int is_stopping = me->is_stopping;
        pthread_mutex_unlock(&me->lock);
        uint64_t now = me->host->now_ms(me->host);
        if (!is_stopping && p->due_ms > now)
            sleep_ms(p->due_ms - now);
        complete(me, p);
        free(p);
        pthread_mutex_lock(&me->lock);
    }
    pthread_mutex_unlock(&me->lock);
    return NULL;
}

static uint32_t later(struct judge *me, uint32_t verdict, mqb_answer *a)
{
    struct pending *p = calloc(1, sizeof(*p));
    if (!p || me->host->ticket_take(me->host, a, &p->ticket) != MQB_OK) {
        free(p);
        return MQB_DENY;
    }
    p->answer = *a;
    p->answer.verdict = verdict;
    p->due_ms = me->host->now_ms(me->host) + me->delay_ms;
    pthread_mutex_lock(&me->lock);
    if (me->last)
        me->last->next = p;
    else
        me->first = p;
    me->last = p;
    pthread_cond_signal(&me->changed);
    pthread_mutex_unlock(&me->lock);
    return MQB_PENDING;
}

static uint32_t answer(struct judge *me, uint32_t verdict, mqb_answer *a)
{
    if (me->has_tickets)
        return later(me, verdict, a);
    if (me->delay_ms > 0 && me->run != MQB_RUN_LOOP)
        sleep_ms(me->delay_ms);
    return verdict;
}

/* A ticket that is never completed, or none at all. */
static uint32_t hang(struct judge *me, mqb_str what, mqb_answer *a)
{
    mqb_ticket ticket;
    if (begins(what, "never"))
        me->host->ticket_take(me->host, a, &ticket);
    return MQB_PENDING;
}

static uint32_t on_connect(void *self, const mqb_connect *q, mqb_answer *a)
{
    struct judge *me = self;
    if (begins(q->who->user_name, "never"))
        return hang(me, q->who->user_name, a);
    return answer(me, judge_connect(me, q, a), a);
}

static uint32_t on_access(void *self, const mqb_access *q, mqb_answer *a)
{
    struct judge *me = self;
    if (begins(q->topic, "never/") || begins(q->topic, "forgot/"))
        return hang(me, q->topic, a);
    return answer(me, judge_access(me, q, a), a);
}

static uint32_t on_receive(void *self, const mqb_access *q, mqb_answer *a)
{
    (void)self;
    (void)a;
    return begins(q->topic, "secret/") && !mqb_str_is(q->who->user_name, "renamed") ? MQB_DENY
                                                                                    : MQB_ALLOW;
}

/* --- life --------------------------------------------------------------------------------------
 */

static const mqb_plugin_key key_run = {sizeof(key_run), 0, "run", "loop",
                                       "loop, pool, serial, ticket"};
static const mqb_plugin_key key_delay = {sizeof(key_delay), 0, "delay_ms", "0", ""};
static const mqb_plugin_key key_fixed = {sizeof(key_fixed), 0, "fixed", "", "deny, allow, pass"};
static const mqb_plugin_key key_caps = {sizeof(key_caps), 0, "caps", "auth,acl", ""};
static const mqb_plugin_key *const keys[] = {&key_run, &key_delay, &key_fixed, &key_caps, NULL};

static void read_config(struct judge *me)
{
    const mqb_host *h = me->host;
    const char *run = h->config(h, "run");
    const char *fixed = h->config(h, "fixed");
    const char *caps = h->config(h, "caps");
    me->has_tickets = strcmp(run, "ticket") == 0;
    me->run = strcmp(run, "pool") == 0     ? MQB_RUN_POOL
              : strcmp(run, "serial") == 0 ? MQB_RUN_SERIAL
                                           : MQB_RUN_LOOP;
    me->delay_ms = (uint64_t)atoi(h->config(h, "delay_ms"));
    me->fixed = strcmp(fixed, "deny") == 0    ? MQB_DENY
                : strcmp(fixed, "allow") == 0 ? MQB_ALLOW
                : strcmp(fixed, "pass") == 0  ? MQB_PASS
                                              : UINT32_MAX;
    me->has_auth = strstr(caps, "auth") != NULL;
    me->has_acl = strstr(caps, "acl") != NULL;
    me->has_receive = strstr(caps, "receive") != NULL;
}

static mqb_err init(const mqb_host *h, void **self)
{
    struct judge *me = calloc(1, sizeof(*me));
    if (!me)
        return MQB_ENOMEM;
    me->host = h;
    read_config(me);
    me->auth = (mqb_cap_auth){sizeof(me->auth), me->run, on_connect};
    me->acl = (mqb_cap_acl){.struct_size = sizeof(me->acl),
                            .run = me->run,
                            .actions = MQB_ACTION_BIT(MQB_ACTION_PUBLISH) |
                                       MQB_ACTION_BIT(MQB_ACTION_SUBSCRIBE) |
                                       MQB_ACTION_BIT(MQB_ACTION_WILL),
                            .check = on_access,
                            .receive = me->has_receive ? on_receive : NULL};
    pthread_mutex_init(&me->lock, NULL);
    pthread_cond_init(&me->changed, NULL);
    *self = me;
    return pthread_create(&me->thread, NULL, work, me) == 0 ? MQB_OK : MQB_ESYS;
}

static void stop(void *self)
{
    struct judge *me = self;
    pthread_mutex_lock(&me->lock);
    me->is_stopping = 1;
    pthread_cond_signal(&me->changed);
    pthread_mutex_unlock(&me->lock);
    pthread_join(me->thread, NULL);
}

static void fini(void *self)
{
    struct judge *me = self;
    pthread_cond_destroy(&me->changed);
    pthread_mutex_destroy(&me->lock);
    free(me);
}

static const void *capability(void *self, const char *id)
{
    struct judge *me = self;
    if (me->has_auth && strcmp(id, MQB_CAP_AUTH) == 0)
        return &me->auth;
    if ((me->has_acl || me->has_receive) && strcmp(id, MQB_CAP_ACL) == 0)
        return &me->acl;
    return NULL;
}

const mqb_plugin *mqb_plugin_entry(uint32_t host_abi)
{
    static const mqb_plugin judge = {.struct_size = sizeof(judge),
                                     .abi = MQB_ABI,
                                     .name = "judge",
                                     .version = "1.0",
                                     .keys = keys,
                                     .init = init,
                                     .stop = stop,
                                     .fini = fini,
                                     .capability = capability};
    (void)host_abi;
    return &judge;
}
