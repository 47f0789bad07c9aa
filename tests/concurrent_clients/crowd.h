/* SPDX-License-Identifier: MIT */
/*
 * Clients whose connections are cut at random and resumed: the part that publishers and subscribers
 * have in common. An actor owns one durable session and the connection it has at the time; the
 * crowd owns the random numbers, the count of faults, and the connections that were left open
 * behind. One thread.
 */
#ifndef CONCURRENT_CLIENTS_CROWD_H
#define CONCURRENT_CLIENTS_CROWD_H

#include <stdarg.h>

#include "ledger.h"
#include "mini_mqtt.h"

enum { CROWD_LEFT_BEHIND = 256, CROWD_ID_BYTES = 48 };

struct crowd {
    struct mini_address address;
    struct ledger *ledger;
    uint64_t random;
    uint64_t faults;
    uint64_t cuts;
    uint64_t packets;     /* received in all: while it rises there is progress */
    uint64_t redelivered; /* PUBLISH with DUP */
    bool may_cut;
    unsigned cuts_each;
    unsigned run; /* tells this run's topics and client ids from another's */
    size_t left_behind_count;
    int left_behind[CROWD_LEFT_BEHIND];
};

enum actor_phase { ACTOR_AWAY, ACTOR_GREETING, ACTOR_OPEN };

struct actor;

struct actor_class {
    /* CONNECT is queued; `eager`: what follows it may be queued at once. */
    void (*greeting)(struct actor *actor, bool eager);
    void (*greeted)(struct actor *actor, const struct mini_packet *connack);
    void (*packet)(struct actor *actor, const struct mini_packet *packet);
    void (*turn)(struct actor *actor); /* once a turn while open, before the output is flushed */
};

struct actor {
    const struct actor_class *class;
    struct crowd *crowd;
    struct mini_link link;
    char id[CROWD_ID_BYTES];
    enum mini_version version;
    enum actor_phase phase;
    uint16_t receive_maximum; /* announced by us */
    bool has_session;         /* a CONNACK was seen once */
    bool is_eager;            /* this connection did not wait for CONNACK */
    unsigned connections;
    unsigned cuts_left;
    unsigned packets_to_cut;
    unsigned turns_to_cut; /* 0: not this way */
    uint64_t back_at_ms;
    uint64_t overtaken_until_ms; /* a connection cut before its CONNACK may be served that late */
};

/* One line a fault, the first twenty of them. */
void crowd_fault(struct crowd *crowd, const struct actor *actor, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

unsigned crowd_draw(struct crowd *crowd, unsigned below);

void actor_init(struct actor *actor, const struct actor_class *class, struct crowd *crowd,
                const char *kind, unsigned number);
void actor_fini(struct actor *actor);

/* Counts a packet sent or received; the connection may be gone afterwards. */
void actor_count(struct actor *actor);

/* Before poll: connects when it is time, lets the class speak, flushes. After it: reads. */
void actor_before_poll(struct actor *actor, uint64_t now_ms);
void actor_after_poll(struct actor *actor, short revents);

/* Reads from connections left behind until the broker closes them; true when none is left. */
bool crowd_bury(struct crowd *crowd);

#endif
