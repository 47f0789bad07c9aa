/* SPDX-License-Identifier: MIT */
#include "report.h"

#include <stdio.h>

void report_begin(const struct load *l)
{
    printf("{\"scenario\":\"%s\",\"version\":%u", SCENARIO_NAMES[l->o->scenario],
           (unsigned)l->o->version);
    report_number("qos", (double)l->o->publish_qos);
    report_number("sub_qos", (double)l->o->subscribe_qos);
    report_number("size", (double)l->o->payload_bytes);
    report_number("publishers", (double)l->o->publishers);
    report_number("subscribers", (double)l->o->subscribers);
    report_number("burst", (double)l->o->burst);
    report_number("rate", l->o->rate);
}

void report_number(const char *name, double value)
{
    printf(",\"%s\":%.12g", name, value);
}

void report_cpu(const char *name, const struct usage *from, const struct usage *to, uint64_t units)
{
    char text[64];
    if (units == 0)
        return;
    snprintf(text, sizeof(text), "%s_own_us", name);
    report_number(text, (to->own_cpu_us - from->own_cpu_us) / (double)units);
    if (to->broker_cpu_us <= 0)
        return;
    snprintf(text, sizeof(text), "%s_us", name);
    report_number(text, (to->broker_cpu_us - from->broker_cpu_us) / (double)units);
}

void report_growth(const char *name, const struct usage *from, const struct usage *to,
                   uint64_t units)
{
    if (units && to->broker_rss_kb)
        report_number(name, ((double)to->broker_rss_kb - (double)from->broker_rss_kb) * 1024 /
                                (double)units);
}

void report_times(const char *name, const struct histogram *h)
{
    if (h->count == 0)
        return;
    printf(",\"%s\":{\"p50\":%.1f,\"p90\":%.1f,\"p99\":%.1f,\"p999\":%.1f,\"max\":%.1f}", name,
           (double)histogram_quantile(h, 0.5) / 1e3, (double)histogram_quantile(h, 0.9) / 1e3,
           (double)histogram_quantile(h, 0.99) / 1e3, (double)histogram_quantile(h, 0.999) / 1e3,
           (double)h->max / 1e3);
}

void report_end(struct load *l, uint64_t expected, const struct usage *last)
{
    const struct counts *n = &l->counts;
    report_number("expected", (double)expected);
    report_number("lost", (double)expected - (double)(n->received - n->twice));
    report_number("duplicates", (double)n->twice);
    report_number("disordered", (double)(n->out_of_order + n->late));
    report_number("foreign", (double)n->foreign);
    report_number("refused", (double)n->refused);
    report_number("protocol_errors", (double)n->protocol_errors);
    report_number("disconnected", (double)n->disconnected);
    report_number("failed_connects", (double)n->failed_connects);
    report_number("stalls", (double)n->stalls);
    report_number("rss_kb", (double)last->broker_rss_kb);
    report_number("rss_peak_kb", (double)last->broker_peak_kb);
    report_number("calibration_before_us", l->calibration_us);
    report_number("calibration_after_us", machine_calibrate());
    printf("}\n");
    fflush(stdout);
}
