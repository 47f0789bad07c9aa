/* SPDX-License-Identifier: MIT */
/*
 * A run: world, traffic, oracle, clients, and what the scenario wants of them.
 */
#ifndef TEST_SIM_SIM_H
#define TEST_SIM_SIM_H

#include "client.h"
#include "oracle.h"
#include "traffic.h"
#include "world.h"

#define SCRATCH (1u << 17)

struct sim {
    struct world world;
    struct traffic traffic;
    struct oracle oracle;
    struct client *clients;
    uint32_t client_count;
    struct client_end **zombies;
    uint32_t zombie_count, zombie_cap;
    bool is_calm;   /* come to rest: connect, read, acknowledge; begin nothing */
    bool is_ending; /* and end every session */
    uint8_t scratch[SCRATCH];
};

struct sim_options {
    struct world_options world;
    uint32_t clients;
    uint64_t steps;
};

/* Runs one seed from start to end; answers the digest of all that happened. */
uint64_t sim_run(const struct sim_options *o);

void sim_open(struct sim *s, const struct sim_options *o);
void sim_close(struct sim *s);
void sim_chaos(struct sim *s, uint64_t steps);
void sim_rest(struct sim *s); /* until nothing moves any more; fails when that takes too long */
void sim_add_zombie(struct sim *s, struct client_end *e);

#endif
