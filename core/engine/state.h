/* SPDX-License-Identifier: MIT */
/*
 * The engine's own state, for the files of this folder only. Everything in struct engine belongs to
 * the thread that drives it; struct shared is what the workers of a broker have in common, each
 * part with a rule of its own.
 */
#ifndef MQBX_ENGINE_STATE_H
#define MQBX_ENGINE_STATE_H

#include "base/alloc.h"
#include "base/atomic.h"
#include "base/hash.h"
#include "base/list.h"
#include "base/ring.h"
#include "base/slab.h"
#include "base/table.h"
#include "base/wheel.h"
#include "engine/engine.h"
#include "engine/index.h"
#include "engine/interest.h"
#include "engine/retained.h"

struct conn;
struct out_block;
struct session;

struct shared {
    const struct alloc *alloc;
    uint32_t workers;
    struct hash_key client_key; /* homes, session tables, publisher hashes */
    struct hash_key index_key;
    struct interest *interest; /* NULL with one worker: nobody else to ask */
    struct retained *retained;
    bool keeps; /* there is a store: holds are taken */
    struct atomic_u64 connections;
    struct atomic_u64 sessions;
    struct atomic_u64 memory_bytes; /* the workers add their change once a turn */
};

/* What a timer is: which member of which object. */
enum timer_kind { TIMER_CONN, TIMER_SESSION, TIMER_SWEEP };

#define READ_BUFFER_BYTES 65536u
#define SWEEP_INTERVAL_MS                                                                          \
    60000u /* expired retained messages are looked for this often, while there may be any */

struct engine {
    struct shared *shared;
    uint32_t worker;
    struct settings *settings;
    struct seams seams;
    struct alloc alloc; /* counts into metrics.memory_bytes; not for messages, which travel */
    uint64_t memory_told;
    struct engine_time now;
    struct engine_metrics metrics;
    struct wheel wheel;
    struct timer sweep;

    struct index *index;
    struct interest_counts *interest; /* NULL with one worker */

    struct slab conn_slab;
    struct slab session_slab;
    struct slab local_msg_slab;

    struct list conns;                    /* every connection, but for: */
    struct list asking;                   /* those whose CONNECT is being decided */
    struct list doomed;                   /* of these, to be freed at the end of the turn */
    struct list ready;                    /* may have more to read without being told */
    struct list paused;                   /* publishers not read while an inbox is over its mark */
    struct list pumping;                  /* sessions that may be able to send more */
    struct conn *dirty_head, *dirty_tail; /* have output to flush at the end of the turn */
    uint64_t pressed;                     /* a bit a worker whose GO_ON is awaited */
    uint64_t posted;                      /* a bit a worker posted to in this turn */
    struct late_posts *late_posts;        /* those that found no memory (post.c) */
    bool is_stopped;                      /* reads nothing any more */

    struct table sessions;       /* by (tenant, client id) */
    struct table sessions_by_id; /* by session number */
    struct table subscriptions;  /* by (session number, filter text) */
    struct table groups;         /* at home here, by (tenant, name, filter) */
    struct table groups_by_id;
    struct table asked;      /* questions without an answer yet, by number */
    struct table local_subs; /* by number */
    struct list locals;      /* open in-process handles */
    struct list barriers;    /* replays that wait for the other workers */
    struct ring foreign; /* struct local_msg *: this turn's messages whose payload is the host's */

    struct ring collecting; /* struct hold *: with the records of this turn */
    struct ring committing; /* with those the seam was told to keep as `batch` */
    uint64_t batch;

    uint64_t next_id;    /* sessions, connections, groups, barriers: (worker << 48) + count */
    uint32_t next_order; /* sessions and groups: what matches are sorted by */

    struct out_block *free_blocks;
    uint32_t free_block_count;
    uint8_t *read_buffer; /* READ_BUFFER_BYTES */
    uint8_t *scratch;     /* SCRATCH_BYTES: one packet or topic being built */
};

#define SCRATCH_BYTES (65536u * 2u + 64u)

/* A number that names one object of the broker for good. */
static inline uint64_t mqbx_engine_next_id(struct engine *e)
{
    return ((uint64_t)e->worker << 48) + ++e->next_id;
}

static inline uint32_t mqbx_id_worker(uint64_t id)
{
    return (uint32_t)(id >> 48) & 0xffu;
}

/* Posts to another engine (or this one), counting what it stands for. What finds no memory is tried
 * again with the next turns; false: there is too much of that. */
bool mqbx_engine_post(struct engine *e, uint32_t target, const struct item *it, uint32_t bytes);
bool mqbx_engine_post_init(struct engine *e); /* false: out of memory */
void mqbx_engine_post_fini(struct engine *e);
bool mqbx_engine_post_again(struct engine *e); /* true: something still waits */
/* The workers together hold more than limits allow: nothing more is queued or retained, and no
 * connection is let in. */
bool mqbx_engine_is_over_memory(const struct engine *e);
void mqbx_engine_log(struct engine *e, const struct log_event *ev);

#endif
