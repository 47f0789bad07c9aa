/* SPDX-License-Identifier: MIT */
/*
 * Scenarios about what a broker keeps: retained messages, queues of clients that are away,
 * connections. Their memory is that of a broker started for the run.
 */
#include "load.h"
#include "report.h"

#define SETTLE_S 0.3 /* for what a broker does after the last answer */

static void need_connected(bool is_connected)
{
    if (!is_connected)
        load_die("not all clients could connect");
}

static void report_rate(const char *name, uint64_t count, uint64_t from_ns, uint64_t to_ns)
{
    if (to_ns > from_ns)
        report_number(name, (double)count * 1e9 / (double)(to_ns - from_ns));
}

void retain_run(struct load *l)
{
    int pid = (int)l->o->broker_pid;
    machine_forget_peak(pid);
    need_connected(loop_connect(l, 0, l->publisher_count));
    struct usage start = machine_usage(pid);
    loop_publish(l, l->o->count, 0);
    loop_drain(l);
    struct usage kept = machine_usage(pid);
    uint64_t published = l->counts.published;
    uint64_t expected = published * l->subscriber_count;
    struct usage before = machine_usage(pid);
    need_connected(loop_connect(l, l->publisher_count, l->client_count));
    uint64_t last_ns = loop_receive(l, expected);
    struct usage end = machine_usage(pid);
    report_begin(l);
    report_number("published", (double)published);
    report_number("delivered", (double)l->counts.received);
    report_rate("published_rate", published, start.at_ns, kept.at_ns);
    report_rate("delivered_rate", l->counts.received, before.at_ns, last_ns);
    report_cpu("publish", &start, &kept, published);
    report_cpu("message", &before, &end, l->counts.received);
    report_growth("kept_bytes", &start, &kept, published);
    report_end(l, expected, &end);
}

static void disconnect_subscribers(struct load *l)
{
    for (uint32_t i = l->publisher_count; i < l->client_count; i++)
        client_disconnect(l, &l->clients[i]);
    loop_for(l, SETTLE_S);
}

static uint32_t present_sessions(const struct load *l)
{
    uint32_t count = 0;
    for (uint32_t i = l->publisher_count; i < l->client_count; i++)
        count += l->clients[i].is_present;
    return count;
}

void offline_run(struct load *l)
{
    int pid = (int)l->o->broker_pid;
    machine_forget_peak(pid);
    need_connected(loop_connect(l, l->publisher_count, l->client_count));
    disconnect_subscribers(l);
    need_connected(loop_connect(l, 0, l->publisher_count));
    struct usage start = machine_usage(pid);
    loop_publish(l, l->o->count, 0);
    loop_drain(l);
    struct usage kept = machine_usage(pid);
    uint64_t expected = l->counts.published * l->subscriber_count;
    struct usage before = machine_usage(pid);
    need_connected(loop_connect(l, l->publisher_count, l->client_count));
    uint64_t last_ns = loop_receive(l, expected);
    struct usage end = machine_usage(pid);
    report_begin(l);
    report_number("sessions_present", (double)present_sessions(l));
    report_number("published", (double)l->counts.published);
    report_number("delivered", (double)l->counts.received);
    report_rate("published_rate", l->counts.published, start.at_ns, kept.at_ns);
    report_rate("delivered_rate", l->counts.received, before.at_ns, last_ns);
    report_cpu("publish", &start, &kept, l->counts.published);
    report_cpu("message", &before, &end, l->counts.received);
    report_growth("kept_bytes", &start, &kept, expected);
    report_end(l, expected, &end);
}

static uint32_t alive(struct load *l)
{
    uint32_t count = 0;
    uint64_t deadline_ns = machine_now_ns() + 10000000000u;
    for (uint32_t i = 0; i < l->client_count; i++)
        if (l->clients[i].stage == READY)
            client_ping(l, &l->clients[i]);
    while (count < l->ready && machine_now_ns() < deadline_ns) {
        loop_turn(l, 1000000);
        count = 0;
        for (uint32_t i = 0; i < l->client_count; i++)
            count += l->clients[i].is_answered;
    }
    return count;
}

void conn_run(struct load *l)
{
    int pid = (int)l->o->broker_pid;
    machine_forget_peak(pid);
    struct usage start = machine_usage(pid);
    need_connected(loop_connect(l, 0, l->client_count));
    struct usage connected = machine_usage(pid);
    loop_for(l, SETTLE_S);
    struct usage idle = machine_usage(pid);
    loop_for(l, l->o->hold_s);
    struct usage held = machine_usage(pid);
    uint64_t hold_us = (held.at_ns - idle.at_ns) / 1000;
    report_begin(l);
    report_number("connections", (double)l->ready);
    report_rate("connect_rate", l->ready, start.at_ns, connected.at_ns);
    report_cpu("connect", &start, &connected, l->ready);
    report_growth("connection_bytes", &start, &idle, l->ready);
    report_growth("connection_bytes_later", &start, &held, l->ready);
    report_number("idle_cpu_percent", (held.broker_cpu_us - idle.broker_cpu_us) * 100 /
                                          (double)(hold_us ? hold_us : 1));
    report_times("connect_time_us", &l->connected);
    report_number("dead", (double)(l->client_count - alive(l)));
    report_end(l, 0, &held);
}
