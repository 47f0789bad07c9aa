/* SPDX-License-Identifier: MIT */
/*
 * The options are a table; the reader is a loop over it.
 */
#include "options.h"

#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "load.h"

const char *const SCENARIO_NAMES[SCENARIOS] = {
    [FANIN] = "fanin",   [FANOUT] = "fanout",     [P2P] = "p2p",
    [SHARED] = "shared", [RETAIN] = "retain",     [OFFLINE] = "offline",
    [CONN] = "conn",     [WILDCARD] = "wildcard", [LATENCY] = "latency",
};

enum kind { TEXT, COUNT, REAL };

struct option_row {
    const char *name;
    enum kind kind;
    size_t offset;
    uint64_t low, high; /* of a COUNT */
    const char *help;
};

#define ROW(name, kind, field, low, high, help)                                                    \
    {                                                                                              \
        name, kind, offsetof(struct options, field), low, high, help                               \
    }

static const struct option_row ROWS[] = {
    ROW("host", TEXT, host, 0, 0, "the broker's IPv4 address"),
    ROW("port", COUNT, port, 1, 65535, "the broker's port"),
    ROW("id", TEXT, id, 0, 0, "client ids begin with this"),
    ROW("prefix", TEXT, prefix, 0, 0, "topics begin with this"),
    ROW("version", COUNT, version, 4, 5, "4: MQTT 3.1.1, 5: MQTT 5.0"),
    ROW("qos", COUNT, publish_qos, 0, 2, "of publishes"),
    ROW("sub-qos", COUNT, subscribe_qos, 0, 2, "of subscriptions"),
    ROW("size", COUNT, payload_bytes, MESSAGE_HEADER, 200000, "bytes of a payload"),
    ROW("publishers", COUNT, publishers, 1, 100000, "number of publishers"),
    ROW("subscribers", COUNT, subscribers, 1, 100000, "number of subscribers"),
    ROW("connections", COUNT, connections, 1, 1000000, "conn: connections; p2p, latency: pairs"),
    ROW("filters", COUNT, filters, 3, 9999999, "wildcard: subscriptions in all"),
    ROW("matches", COUNT, matches, 0, 3, "wildcard: filters that a message meets"),
    ROW("window", COUNT, window, 1, 32000, "messages outstanding per publisher"),
    ROW("burst", COUNT, burst, 1, 32000, "messages at most in one write of a publisher"),
    ROW("outstanding", COUNT, outstanding_bytes, 1, UINT64_MAX, "bytes outstanding in all"),
    ROW("count", COUNT, count, 0, UINT64_MAX, "messages to publish, instead of --seconds"),
    ROW("keep-alive", COUNT, keep_alive_s, 0, 65535, "in CONNECT; nobody sends PINGREQ for it"),
    ROW("connecting", COUNT, connecting, 1, 100000, "connections opened at once"),
    ROW("broker-pid", COUNT, broker_pid, 1, INT32_MAX, "whose time and memory to measure"),
    ROW("subscribe", COUNT, subscribe, 0, 1, "conn: 1: each subscribes to a topic of its own"),
    ROW("rate", REAL, rate, 0, 0, "messages a second in all; 0: as fast as they go"),
    ROW("seconds", REAL, seconds, 0, 0, "to publish for"),
    ROW("warmup", REAL, warmup_s, 0, 0, "seconds before measuring"),
    ROW("drain", REAL, drain_s, 0, 0, "seconds without progress until the rest is lost"),
    ROW("timeout", REAL, timeout_s, 0, 0, "seconds for connecting, and for --count"),
    ROW("hold", REAL, hold_s, 0, 0, "conn: seconds to keep the connections"),
};

#define ROW_COUNT (sizeof(ROWS) / sizeof(ROWS[0]))

static _Noreturn void usage(const char *problem)
{
    fprintf(stderr, "%s\nusage: load SCENARIO [--OPTION VALUE]...\nscenarios:", problem);
    for (int i = 0; i < SCENARIOS; i++)
        fprintf(stderr, " %s", SCENARIO_NAMES[i]);
    fprintf(stderr, "\n");
    for (size_t i = 0; i < ROW_COUNT; i++)
        fprintf(stderr, "  --%-14s%s\n", ROWS[i].name, ROWS[i].help);
    exit(2);
}

static void set(struct options *o, const struct option_row *row, const char *value)
{
    char *field = (char *)o + row->offset;
    char *end = NULL;
    if (row->kind == TEXT) {
        *(const char **)(void *)field = value;
        return;
    }
    if (row->kind == REAL) {
        double real = strtod(value, &end);
        if (end == value || *end || !(real >= 0 && real < 1e9))
            usage(row->name);
        *(double *)(void *)field = real;
        return;
    }
    uint64_t count = strtoull(value, &end, 10);
    if (end == value || *end || *value == '-' || count < row->low || count > row->high)
        usage(row->name);
    *(uint64_t *)(void *)field = count;
}

static const struct option_row *find(const char *word)
{
    if (strncmp(word, "--", 2) == 0)
        for (size_t i = 0; i < ROW_COUNT; i++)
            if (strcmp(word + 2, ROWS[i].name) == 0)
                return &ROWS[i];
    usage(word);
}

static enum scenario find_scenario(const char *word)
{
    for (int i = 0; i < SCENARIOS; i++)
        if (strcmp(word, SCENARIO_NAMES[i]) == 0)
            return (enum scenario)i;
    usage(word);
}

/* How many of each, where the command line does not say. */
static void complete(struct options *o)
{
    static const struct {
        uint64_t publishers, subscribers;
    } USUAL[SCENARIOS] = {
        [FANIN] = {100, 1},  [FANOUT] = {1, 100},   [P2P] = {100, 100},
        [SHARED] = {10, 10}, [RETAIN] = {1, 1},     [OFFLINE] = {1, 1},
        [CONN] = {0, 1000},  [WILDCARD] = {10, 30}, [LATENCY] = {1, 1},
    };
    if (!o->publishers)
        o->publishers = USUAL[o->scenario].publishers;
    if (!o->subscribers)
        o->subscribers = USUAL[o->scenario].subscribers;
    if (o->scenario == CONN) {
        o->publishers = 0;
        o->subscribers = o->connections ? o->connections : o->subscribers;
    } else if (o->scenario == P2P || o->scenario == LATENCY) {
        o->publishers = o->connections ? o->connections : o->publishers;
        o->subscribers = o->publishers;
    } else if (o->scenario == WILDCARD) {
        o->subscribers = (o->subscribers + 2) / 3 * 3; /* a third for each kind of filter */
        o->filters = (o->filters + 2) / 3 * 3;
    } else if (o->scenario == RETAIN || o->scenario == OFFLINE) {
        o->publishers = 1;
        o->count = o->count ? o->count : 10000;
    }
    if (o->scenario == LATENCY && o->rate <= 0)
        o->rate = 2000;
    if (o->count)
        o->warmup_s = 0;
}

struct options options_read(int argc, char **argv)
{
    struct options o = {.host = "127.0.0.1",
                        .id = "load",
                        .prefix = "bench",
                        .port = 1883,
                        .version = 4,
                        .payload_bytes = 64,
                        .filters = 100000,
                        .matches = 1,
                        .window = 64,
                        .burst = 64,
                        .outstanding_bytes = 32u << 20,
                        .connecting = 64,
                        .seconds = 5,
                        .warmup_s = 1,
                        .drain_s = 2,
                        .timeout_s = 60,
                        .hold_s = 3};
    if (argc < 2)
        usage("no scenario");
    o.scenario = find_scenario(argv[1]);
    for (int i = 2; i < argc; i += 2) {
        const struct option_row *row = find(argv[i]);
        if (i + 1 == argc)
            usage(argv[i]);
        set(&o, row, argv[i + 1]);
    }
    if (o.scenario == OFFLINE && (!o.publish_qos || !o.subscribe_qos))
        usage("offline: nothing waits at QoS 0");
    complete(&o);
    return o;
}
