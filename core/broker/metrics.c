/* SPDX-License-Identifier: MIT */
/*
 * A snapshot of what the workers count, added up. Any thread.
 */
#include "broker/broker.h"
#include "broker/error.h"

/* Beside what the engines count. */
#define BROKER_METRICS(X)                                                                          \
    X(retained_messages, MQB_GAUGE, "retained messages")                                           \
    X(retained_bytes, MQB_GAUGE, "bytes of retained messages")                                     \
    X(uptime_seconds, MQB_GAUGE, "seconds since the broker was started")                           \
    X(workers, MQB_GAUGE, "worker threads, 1 when the host drives")                                \
    X(log_lines_left_out, MQB_COUNTER, "log lines left out because they repeated (log.burst)")

enum {
#define X(name, kind, help) BROKER_METRIC_##name,
    BROKER_METRICS(X)
#undef X
        BROKER_METRIC_COUNT
};

enum {
#define X(name, is_gauge, help) ENGINE_METRIC_##name,
    ENGINE_METRICS(X)
#undef X
        ENGINE_METRIC_COUNT
};

static const mqb_metric broker_rows[] = {
#define X(name, kind, help) {#name, help, kind, 0, 0},
    BROKER_METRICS(X)
#undef X
};

static const mqb_metric engine_rows[] = {
#define X(name, is_gauge, help) {#name, help, (is_gauge) ? MQB_GAUGE : MQB_COUNTER, 0, 0},
    ENGINE_METRICS(X)
#undef X
};

static void add_engine(uint64_t values[ENGINE_METRIC_COUNT], const struct engine_metrics *m)
{
#define X(name, is_gauge, help) values[ENGINE_METRIC_##name] += mqbx_counter_get(&m->name);
    ENGINE_METRICS(X)
#undef X
}

/* [inside] */
static void read_running(mqb_broker *b, uint64_t engine[ENGINE_METRIC_COUNT],
                         uint64_t broker[BROKER_METRIC_COUNT])
{
    const struct shared *s = mqbx_workers_shared(b->workers);
    uint32_t workers = mqbx_workers_count(b->workers);
    for (uint32_t i = 0; i < workers; i++)
        add_engine(engine, mqbx_workers_metrics(b->workers, i));
    broker[BROKER_METRIC_retained_messages] = mqbx_shared_retained_count(s);
    broker[BROKER_METRIC_retained_bytes] = mqbx_shared_retained_bytes(s);
    broker[BROKER_METRIC_uptime_seconds] = (mqbx_clock_ms() - b->started_ms) / 1000;
    broker[BROKER_METRIC_workers] = workers;
    broker[BROKER_METRIC_log_lines_left_out] = mqbx_atomic_load64(&b->log.suppressed);
}

static void put(mqb_metric *out, size_t cap, size_t at, const mqb_metric *row, uint64_t value)
{
    if (at >= cap)
        return;
    out[at] = *row;
    out[at].value = value;
}

size_t mqb_metrics(mqb_broker *b, mqb_metric *out, size_t cap)
{
    uint64_t engine[ENGINE_METRIC_COUNT] = {0};
    uint64_t broker[BROKER_METRIC_COUNT] = {0};
    size_t n = 0;
    if (mqbx_broker_enter(b) == MQB_OK) {
        read_running(b, engine, broker);
        mqbx_broker_leave(b);
    }
    if (out == NULL)
        cap = 0;
    for (size_t i = 0; i < ENGINE_METRIC_COUNT; i++)
        put(out, cap, n++, &engine_rows[i], engine[i]);
    for (size_t i = 0; i < BROKER_METRIC_COUNT; i++)
        put(out, cap, n++, &broker_rows[i], broker[i]);
    return mqbx_broker_plugins_metrics(b, out, cap, n);
}
