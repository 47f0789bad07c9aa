/* SPDX-License-Identifier: MIT */
/*
 * See rig.h: brokers, metrics, counted memory. Peers are in peer.c.
 */
#include "rig.h"

#include <poll.h>
#include <sched.h>
#include <string.h>

enum { METRICS_MAX = 256, SPINS = 200, STUCK_MS = 60000 };

static void *counted(void *arg, void *ptr, size_t old_size, size_t new_size)
{
    struct tally *t = arg;
    void *out = NULL;
    if (new_size == 0)
        free(ptr);
    else if (!(out = realloc(ptr, new_size)))
        return NULL;
    atomic_fetch_add(&t->blocks, (out != NULL) - (ptr != NULL));
    atomic_fetch_add(&t->bytes, (long long)new_size - (long long)old_size);
    return out;
}

void tally_init(struct tally *t)
{
    atomic_init(&t->blocks, 0);
    atomic_init(&t->bytes, 0);
    t->allocator = (mqb_allocator){.fn = counted, .arg = t};
}

void tally_expect_empty(struct tally *t)
{
    CHECK(atomic_load(&t->blocks) == 0);
    CHECK(atomic_load(&t->bytes) == 0);
}

mqb_broker *rig_broker(struct tally *t, const char *const *pairs)
{
    mqb_config *cfg = NULL;
    mqb_broker *b = NULL;
    CHECK(mqb_config_new_with(&t->allocator, &cfg) == MQB_OK);
    CHECK(mqb_config_set(cfg, "threads", "4") == MQB_OK);
    for (; pairs && *pairs; pairs++)
        CHECK(mqb_config_set_pair(cfg, *pairs) == MQB_OK);
    CHECK(mqb_broker_new(cfg, &b) == MQB_OK);
    mqb_config_free(cfg);
    return b;
}

mqb_listener rig_listen(mqb_broker *b, SSL_CTX *tls)
{
    mqb_listen_opts o = mqb_listen_defaults();
    mqb_listener l;
    o.tls_ctx = tls;
    o.name = tls ? "tls" : "plain";
    CHECK(mqb_listen(b, tls ? "mqtts://127.0.0.1:0" : "mqtt://127.0.0.1:0", &o, &l) == MQB_OK);
    return l;
}

uint64_t rig_metric(mqb_broker *b, const char *name)
{
    mqb_metric all[METRICS_MAX];
    size_t n = mqb_metrics(b, all, METRICS_MAX);
    for (size_t i = 0; i < n && i < METRICS_MAX; i++) {
        if (strcmp(all[i].name, name) == 0)
            return all[i].value;
    }
    CHECK(!"a metric of this name");
    return 0;
}

static void wait_metric(mqb_broker *b, const char *name, uint64_t low, uint64_t high)
{
    uint64_t deadline = now_ms() + STUCK_MS;
    for (unsigned spins = 0;; spins++) {
        uint64_t value = rig_metric(b, name);
        if (value >= low && value <= high)
            return;
        if (now_ms() > deadline) {
            fprintf(stderr, "%s is %llu, not %llu\n", name, (unsigned long long)value,
                    (unsigned long long)low);
            abort();
        }
        if (spins < SPINS)
            sched_yield();
        else
            poll(NULL, 0, 1);
    }
}

void rig_wait_metric(mqb_broker *b, const char *name, uint64_t at_least)
{
    wait_metric(b, name, at_least, UINT64_MAX);
}

void rig_wait_metric_is(mqb_broker *b, const char *name, uint64_t value)
{
    wait_metric(b, name, value, value);
}

uint64_t draw(uint64_t *random, uint64_t below)
{
    return mini_random(random) % below;
}
