/* SPDX-License-Identifier: MIT */
/*
 * A simulated connection: the engine's end is a `struct link` that reads and writes as badly as a
 * real one may, the client's end is in functions. Checks that the engine keeps to the rules of
 * seams.h.
 */
#ifndef TEST_SIM_LINK_H
#define TEST_SIM_LINK_H

#include <stdbool.h>
#include <stdint.h>

#include "engine/seams.h"
#include "pipe.h"
#include "world.h"

#define LINK_CHECKED_BYTES 32u

struct sim_link {
    struct link base;
    struct world *world;
    uint32_t place;                 /* in world.links */
    uint32_t set_places[LINK_SETS]; /* plus one; 0: not in it */
    uint32_t owner;                 /* engine, WORLD_NOBODY while detached */
    uint32_t wants;
    uint64_t number;
    struct pipe in;  /* client to engine */
    struct pipe out; /* engine to client */
    size_t pending;  /* of in: taken off the network and not yet read, as inside TLS */
    size_t out_cap;  /* what the socket buffers */
    uint32_t slow;   /* percent of network steps that pass by */
    uint64_t made_ms;
    uint64_t attached_ms; /* when it came to where it is */
    uint64_t closed_ms;   /* by the engine */
    char address[24];
    uint8_t repeated[LINK_CHECKED_BYTES]; /* what the next write must begin with */
    uint32_t repeated_len;
    bool is_tls;
    bool is_broken;      /* reset: both ends get an error */
    bool is_silent;      /* nothing passes any more, and nobody is told */
    bool is_fin_sent;    /* the client has closed its sending side */
    bool is_fin_visible; /* and the engine can see it */
    bool is_closed;      /* by the engine */
    bool is_left;        /* by the client: it reads and writes no more */
    uint32_t holders;    /* on the client's side: with none left it is freed when closed */
};

struct sim_link *sim_link_new(struct world *w);
/* Something about it has changed that may let it be read, written or carried. */
void sim_link_touch(struct sim_link *l);
void sim_link_untouch(struct sim_link *l, uint32_t set);
/* What the world asks. */
uint32_t sim_link_events(const struct sim_link *l); /* ready for, of what is wanted */
bool sim_link_carry(struct sim_link *l);            /* false: nothing to carry */
void sim_link_free(struct sim_link *l);

/* The client's end. */
void sim_link_send(struct sim_link *l, const void *bytes, size_t len);
size_t sim_link_receive(struct sim_link *l, void *out, size_t len);
bool sim_link_is_over(const struct sim_link *l); /* nothing more will come */
void sim_link_finish(struct sim_link *l);        /* closes the sending side */
/* The connection is cut: a random part of what is under way is lost each way. */
void sim_link_cut(struct sim_link *l);
void sim_link_break(struct sim_link *l); /* a reset, nothing chosen */
void sim_link_silence(struct sim_link *l);
void sim_link_leave(struct sim_link *l); /* the client reads and writes no more */
struct sim_link *sim_link_hold(struct sim_link *l);
void sim_link_let_go(struct sim_link *l);
/* Everything the client sent has been read by the engine. */
bool sim_link_is_read(const struct sim_link *l);

#endif
