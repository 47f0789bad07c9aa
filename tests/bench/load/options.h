/* SPDX-License-Identifier: MIT */
/*
 * What to do, from the command line. Read once, then constant.
 */
#ifndef BENCH_LOAD_OPTIONS_H
#define BENCH_LOAD_OPTIONS_H

#include <stdint.h>

enum scenario {
    FANIN,    /* many publishers, each subscriber gets all */
    FANOUT,   /* few publishers, many subscribers of one topic */
    P2P,      /* pairs */
    SHARED,   /* subscribers share the messages of all publishers */
    WILDCARD, /* many filters; each message meets --matches of them */
    LATENCY,  /* pairs, at a fixed rate */
    RETAIN,   /* --count retained messages, then subscribers of all */
    OFFLINE,  /* --count messages for subscribers that are away, which then return */
    CONN,     /* connections that do nothing */
    SCENARIOS,
};

struct options {
    enum scenario scenario;
    const char *host;
    const char *id;     /* client ids begin with this */
    const char *prefix; /* topics too */
    uint64_t port;
    uint64_t version; /* 4: MQTT 3.1.1; 5 */
    uint64_t publish_qos;
    uint64_t subscribe_qos;
    uint64_t payload_bytes;
    uint64_t publishers;
    uint64_t subscribers;
    uint64_t connections;
    uint64_t filters;
    uint64_t matches;
    uint64_t window; /* messages outstanding per publisher */
    uint64_t burst;  /* messages at most in one write of a publisher */
    uint64_t outstanding_bytes;
    uint64_t count; /* messages to publish; 0: for as long as .seconds */
    uint64_t keep_alive_s;
    uint64_t connecting; /* at once */
    uint64_t broker_pid;
    uint64_t subscribe; /* conn: each connection subscribes to a topic of its own */
    double rate;        /* messages a second in all; 0: as fast as they go */
    double seconds;
    double warmup_s;
    double drain_s; /* how long nothing may move before what is missing is lost */
    double timeout_s;
    double hold_s;
};

extern const char *const SCENARIO_NAMES[SCENARIOS];

/* Ends the program, with the usage, when they are wrong. */
struct options options_read(int argc, char **argv);

#endif
