/* SPDX-License-Identifier: MIT */
/*
 * Everybody on one broker tells everybody a numbered series at QoS 0, 1 and 2: two clients on
 * sockets and the host in the process. Each checks that it hears every series whole, in order,
 * once, and nothing from another broker. The side belongs to the test's main thread; each talker
 * has a thread of its own.
 */
#ifndef TESTS_HANDOFF_TALK_H
#define TESTS_HANDOFF_TALK_H

#include <pthread.h>

#include "rig.h"

enum { CLIENTS = 2, SOURCES = CLIENTS + 1, HOST = CLIENTS, QOS_LEVELS = 3 };

/* What one receiver has heard: the next number it expects of each series. */
struct hearing {
    uint32_t next[SOURCES][QOS_LEVELS];
};

struct side;

struct talker {
    struct side *side;
    unsigned source;
    pthread_t thread;
    struct hearing heard;
    uint32_t total; /* messages heard */
};

struct side {
    mqb_broker *broker;
    unsigned number; /* stands in every message */
    uint16_t port;
    uint32_t each;           /* messages of each source */
    bool may_be_cut;         /* the broker may stop before all is said */
    atomic_uint heard;       /* messages heard by anybody */
    atomic_uint host_done;   /* publishes of the host that are acknowledged */
    atomic_uint host_heard;  /* messages heard by the host, of which one thread at a time writes */
    atomic_uint host_freed;  /* its subscription is over */
    atomic_bool is_cut_off;  /* the broker stopped first */
    pthread_barrier_t ready; /* all have subscribed */
    struct hearing host;
    struct talker talkers[SOURCES];
};

/* Begins to talk on a broker that runs; talk_end waits until all is said, or cut off. */
void talk_begin(struct side *s);
void talk_end(struct side *s);

#endif
