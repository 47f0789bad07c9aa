/* SPDX-License-Identifier: MIT */
/*
 * A plugin that is linked in, in a broker without a socket: the host's own publishes are asked
 * about, in order; metrics, reload and restarts.
 */
#include <mqttbroker.h>
#include <mqttbroker_plugin.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

#define CHECK(condition, ...)                                                                      \
    do {                                                                                           \
        if (!(condition)) {                                                                        \
            fprintf(stderr, "%s:%d: not so: %s: ", __FILE__, __LINE__, #condition);                \
            fprintf(stderr, __VA_ARGS__);                                                          \
            abort();                                                                               \
        }                                                                                          \
    } while (0)

static atomic_int inits, finis, reloads, received, out_of_order;

/* --- the plugin: topics that begin with "no" are denied; a reload to "bad" is refused ------------
 */

static const mqb_host *host;
static uint32_t run = MQB_RUN_POOL;

static mqb_err init(const mqb_host *h, void **self)
{
    (void)self;
    host = h;
    atomic_fetch_add(&inits, 1);
    return MQB_OK;
}

static mqb_err reload(void *self)
{
    (void)self;
    atomic_fetch_add(&reloads, 1);
    return strcmp(host->config(host, "mood"), "bad") == 0 ? MQB_ECONFIG : MQB_OK;
}

static void fini(void *self)
{
    (void)self;
    atomic_fetch_add(&finis, 1);
}

static uint32_t on_access(void *self, const mqb_access *q, mqb_answer *a)
{
    (void)self;
    (void)a;
    CHECK((q->who->flags & MQB_WHO_IS_LOCAL) != 0, "an in-process handle has no connection");
    CHECK(host->config(host, "mood") == NULL, "the configuration is read in init and reload alone");
    return q->topic.len >= 2 && memcmp(q->topic.ptr, "no", 2) == 0 ? MQB_DENY : MQB_ALLOW;
}

static const void *capability(void *self, const char *id)
{
    static mqb_cap_acl acl = {
        .struct_size = sizeof(acl),
        .actions = MQB_ACTION_BIT(MQB_ACTION_PUBLISH) | MQB_ACTION_BIT(MQB_ACTION_SUBSCRIBE),
        .check = on_access,
    };
    (void)self;
    acl.run = run;
    return strcmp(id, MQB_CAP_ACL) == 0 ? &acl : NULL;
}

static const mqb_plugin_key key_mood = {sizeof(key_mood), 0, "mood", "good", ""};
static const mqb_plugin_key *const keys[] = {&key_mood, NULL};
static const mqb_plugin plugin = {.struct_size = sizeof(plugin),
                                  .abi = MQB_ABI,
                                  .name = "linked-in",
                                  .version = "1",
                                  .keys = keys,
                                  .init = init,
                                  .reload = reload,
                                  .fini = fini,
                                  .capability = capability};

/* --- the broker ----------------------------------------------------------------------------------
 */

static int on_message(void *arg, mqb_broker *b, mqb_msg *m, const mqb_delivery *d)
{
    (void)arg;
    (void)b;
    (void)d;
    char text[16] = "";
    mqb_str payload = mqb_msg_payload(m);
    memcpy(text, payload.ptr, payload.len < sizeof(text) ? payload.len : sizeof(text) - 1);
    if (atoi(text) != atomic_fetch_add(&received, 1))
        atomic_fetch_add(&out_of_order, 1);
    return MQB_DELIVER_DONE;
}

static mqb_err publish(mqb_broker *b, const char *topic, uint32_t flags)
{
    mqb_publish_opts o = mqb_publish_defaults();
    o.topic = mqb_str_of(topic);
    o.flags = flags;
    o.qos = 1;
    return mqb_publish_wait(b, &o, 20000);
}

static void publishes_wait_in_order(mqb_broker *b)
{
    mqb_subscribe_opts s = mqb_subscribe_defaults();
    atomic_store(&received, 0);
    s.filter = "yes/#";
    s.fn = on_message;
    CHECK(mqb_subscribe_wait(b, &s, 20000, NULL) == MQB_OK, "%s", mqb_last_error());
    s.filter = "no/#";
    CHECK(mqb_subscribe_wait(b, &s, 20000, NULL) == MQB_EDENIED, "a subscription is asked about");
    for (int i = 0; i < 500; i++) {
        char topic[32], payload[16];
        snprintf(topic, sizeof(topic), "yes/%d", i % 7);
        int len = snprintf(payload, sizeof(payload), "%d", i);
        CHECK(mqb_publish(b, topic, payload, (size_t)len, i % 2, 0) == MQB_OK, "%s",
              mqb_last_error());
        if (i % 50 == 0)
            CHECK(mqb_publish(b, "no/way", "x", 1, 0, 0) == MQB_OK, "%s", mqb_last_error());
    }
    CHECK(publish(b, "no/way", 0) == MQB_EDENIED, "a denied publish says so");
    CHECK(publish(b, "no/way", MQB_PUB_NO_ACL) == MQB_OK, "unless nobody is asked");
    CHECK(publish(b, "end", 0) == MQB_OK, "%s", mqb_last_error());
    CHECK(atomic_load(&received) == 500, "%d of 500 arrived", atomic_load(&received));
    CHECK(atomic_load(&out_of_order) == 0, "%d out of order", atomic_load(&out_of_order));
}

static uint64_t metric(mqb_broker *b, const char *name)
{
    mqb_metric all[256];
    size_t n = mqb_metrics(b, all, 256);
    for (size_t i = 0; i < n && i < 256; i++)
        if (strcmp(all[i].name, name) == 0)
            return all[i].value;
    CHECK(false, "no metric %s", name);
    return 0;
}

static void figures_are_counted(mqb_broker *b)
{
    uint64_t calls = metric(b, "plugin_linked_in_access_calls");
    uint64_t denied = metric(b, "plugin_linked_in_access_denied");
    CHECK(calls == 500 + 10 + 2 + 2, "%llu calls", (unsigned long long)calls);
    CHECK(denied == 12, "%llu denied", (unsigned long long)denied);
    CHECK(metric(b, "plugin_linked_in_access_allowed") == calls - denied, "the rest is allowed");
    CHECK(metric(b, "plugin_linked_in_access_latency_ns") > 0, "time passes");
    CHECK(metric(b, "plugin_linked_in_access_latency_max_ns") > 0, "time passes");
}

static void reload_is_all_or_nothing(mqb_broker *b, mqb_config *cfg)
{
    int before = atomic_load(&reloads);
    CHECK(mqb_config_set(cfg, "plugin.linked-in.mood", "better") == MQB_OK, "%s", mqb_last_error());
    CHECK(mqb_broker_reload(b, cfg) == MQB_OK, "%s", mqb_last_error());
    CHECK(atomic_load(&reloads) == before + 1, "reload is called once");
    mqb_config_set(cfg, "plugin.linked-in.mood", "bad");
    CHECK(mqb_broker_reload(b, cfg) == MQB_EPLUGIN, "a plugin may refuse");
    CHECK(strstr(mqb_last_error(), "linked-in") != NULL, "%s", mqb_last_error());
    CHECK(atomic_load(&reloads) == before + 3, "and hears of the old configuration again");
    mqb_config_unset(cfg, "plugin.linked-in.mood");
    mqb_config_set(cfg, "plugin.linked-in.nonsense", "1");
    CHECK(mqb_broker_reload(b, cfg) == MQB_ECONFIG, "keys are checked");
    mqb_config_unset(cfg, "plugin.linked-in.nonsense");
    mqb_config_set(cfg, "plugin.other.path", "/nowhere");
    CHECK(mqb_broker_reload(b, cfg) == MQB_ECONFIG, "plugins come and go with a restart");
    mqb_config_unset(cfg, "plugin.other.path");
}

static void one_run(mqb_broker *b, mqb_config *cfg, uint32_t how)
{
    int before = atomic_load(&inits);
    run = how;
    CHECK(mqb_broker_start(b) == MQB_OK, "%s", mqb_last_error());
    CHECK(atomic_load(&inits) == before + 1, "init with each start");
    CHECK(mqb_plugin_add(b, &plugin) == MQB_ESTATE, "not while it runs");
    publishes_wait_in_order(b);
    figures_are_counted(b);
    reload_is_all_or_nothing(b, cfg);
    CHECK(mqb_broker_stop(b, 1000) == MQB_OK, "%s", mqb_last_error());
    CHECK(atomic_load(&finis) == before + 1, "fini with each stop");
}

int main(void)
{
    mqb_config *cfg;
    mqb_broker *b;
    CHECK(mqb_config_new(&cfg) == MQB_OK, "%s", mqb_last_error());
    mqb_config_set(cfg, "threads", "2");
    mqb_config_set(cfg, "sys.interval", "0");
    CHECK(mqb_broker_new(cfg, &b) == MQB_OK, "%s", mqb_last_error());
    CHECK(mqb_plugin_add(b, &plugin) == MQB_OK, "%s", mqb_last_error());
    CHECK(mqb_plugin_add(b, &plugin) == MQB_EEXIST, "one of a name");
    static const uint32_t runs[] = {MQB_RUN_POOL, MQB_RUN_SERIAL, MQB_RUN_LOOP};
    for (size_t i = 0; i < sizeof(runs) / sizeof(runs[0]); i++)
        one_run(b, cfg, runs[i]);
    mqb_broker_free(b);
    mqb_config_free(cfg);
    return 0;
}
