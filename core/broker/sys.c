/* SPDX-License-Identifier: MIT */
/*
 * $SYS: some of the metrics as retained messages of the default tenant, under the topics that tools
 * know from Mosquitto. Rendered from the snapshot and published as the host would. On the owner's
 * thread at start, then on worker 0's.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "broker/broker.h"

#define METRICS_MAX 128

/* `plus` and `minus` name metrics; "prefix*" is the sum of all that begin so. */
struct row {
    const char *topic; /* behind "$SYS/broker/" */
    const char *plus;
    const char *minus;
};

static const struct row rows[] = {
    {"bytes/received", "bytes_received", NULL},
    {"bytes/sent", "bytes_sent", NULL},
    {"clients/connected", "connections", NULL},
    {"clients/disconnected", "sessions", "connections"},
    {"clients/expired", "sessions_expired", NULL},
    {"clients/total", "sessions", NULL},
    {"heap/current", "memory_bytes", NULL},
    {"messages/received", "packets_received", NULL},
    {"messages/sent", "packets_sent", NULL},
    {"publish/messages/dropped", "messages_dropped_*", NULL},
    {"publish/messages/received", "messages_received", NULL},
    {"publish/messages/sent", "messages_sent", NULL},
    {"retained messages/count", "retained_messages", NULL},
    {"shared_subscriptions/count", "subscriptions_shared", NULL},
    {"store/messages/bytes", "messages_queued_bytes", NULL},
    {"store/messages/count", "messages_queued", NULL},
    {"subscriptions/count", "subscriptions", NULL},
};

static uint64_t sum_of(const mqb_metric *metrics, size_t n, const char *name)
{
    size_t len = name == NULL ? 0 : strlen(name);
    bool is_prefix = len > 0 && name[len - 1] == '*';
    uint64_t sum = 0;
    for (size_t i = 0; i < n && len > 0; i++) {
        bool is_it = is_prefix ? strncmp(metrics[i].name, name, len - 1) == 0
                               : strcmp(metrics[i].name, name) == 0;
        sum += is_it ? metrics[i].value : 0;
    }
    return sum;
}

/* What does not get through (a full inbox, a stop) comes with the next round. */
static void put(mqb_broker *b, const char *name, const char *value)
{
    char topic[96];
    snprintf(topic, sizeof(topic), "$SYS/broker/%s", name);
    (void)mqb_publish(b, topic, value, strlen(value), 0,
                      MQB_PUB_RETAIN | MQB_PUB_NO_ACL | MQB_PUB_NO_HOOKS);
}

void mqbx_sys_publish(void *broker)
{
    mqb_broker *b = broker;
    mqb_metric metrics[METRICS_MAX];
    char text[64];
    size_t n = mqb_metrics(b, metrics, METRICS_MAX);
    n = n < METRICS_MAX ? n : METRICS_MAX;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        uint64_t plus = sum_of(metrics, n, rows[i].plus);
        uint64_t minus = sum_of(metrics, n, rows[i].minus);
        snprintf(text, sizeof(text), "%" PRIu64, plus > minus ? plus - minus : 0);
        put(b, rows[i].topic, text);
    }
    snprintf(text, sizeof(text), "%" PRIu64 " seconds", sum_of(metrics, n, "uptime_seconds"));
    put(b, "uptime", text);
    snprintf(text, sizeof(text), "mqttbroker %d.%d.%d", MQB_VERSION_MAJOR, MQB_VERSION_MINOR,
             MQB_VERSION_PATCH);
    put(b, "version", text);
}
