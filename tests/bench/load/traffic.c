/* SPDX-License-Identifier: MIT */
/*
 * Scenarios in which messages flow from publishers to subscribers that are there.
 */
#include "load.h"
#include "report.h"

/* A moment between two phases. */
struct mark {
    struct usage usage;
    uint64_t published, received;
};

static struct mark mark(const struct load *l)
{
    return (struct mark){machine_usage((int)l->o->broker_pid), l->counts.published,
                         l->counts.received};
}

static void begin_measuring(struct load *l)
{
    histogram_clear(&l->latency);
    histogram_clear(&l->acknowledged);
    l->is_measuring = true;
}

static void report_subscriptions(const struct load *l, const struct usage *start,
                                 const struct usage *end)
{
    report_number("filters", (double)l->counts.granted);
    report_cpu("subscribe", start, end, l->counts.granted);
    report_growth("filter_bytes", start, end, l->counts.granted);
}

static void report_traffic(const struct load *l, const struct mark *from, const struct mark *to)
{
    double seconds = (double)(to->usage.at_ns - from->usage.at_ns) / 1e9;
    uint64_t published = to->published - from->published;
    uint64_t received = to->received - from->received;
    report_number("seconds", seconds);
    report_number("published", (double)published);
    report_number("delivered", (double)received);
    report_number("published_rate", (double)published / seconds);
    report_number("delivered_rate", (double)received / seconds);
    report_cpu("publish", &from->usage, &to->usage, published);
    report_cpu("message", &from->usage, &to->usage, received);
    report_times("latency_us", &l->latency);
    report_times("acknowledged_us", &l->acknowledged);
    if (l->o->rate > 0)
        report_number("rate_lag_us", (double)l->rate_lag_ns / 1e3);
}

void traffic_run(struct load *l)
{
    int pid = (int)l->o->broker_pid;
    machine_forget_peak(pid);
    struct usage start = machine_usage(pid);
    bool is_connected = loop_connect(l, l->publisher_count, l->client_count);
    struct usage subscribed = machine_usage(pid);
    if (!is_connected || !loop_connect(l, 0, l->publisher_count))
        load_die("not all clients could connect");
    l->rate_began_ns = machine_now_ns();
    if (l->o->warmup_s > 0)
        loop_publish(l, 0, l->o->warmup_s);
    begin_measuring(l);
    struct mark from = mark(l);
    loop_publish(l, l->o->count, l->o->seconds);
    loop_drain(l);
    struct mark to = mark(l);
    report_begin(l);
    if (l->o->scenario == WILDCARD)
        report_subscriptions(l, &start, &subscribed);
    report_traffic(l, &from, &to);
    report_end(l, l->counts.expected, &to.usage);
}
