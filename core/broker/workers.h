/* SPDX-License-Identifier: MIT */
/*
 * The workers of one broker: threads with a libuv loop, an engine and an inbox each, and the
 * listeners they poll. Carries links, bytes and items; decides nothing about MQTT.
 */
#ifndef MQBX_BROKER_WORKERS_H
#define MQBX_BROKER_WORKERS_H

#include <mqttbroker.h>
#include <stdbool.h>
#include <stdint.h>

#include "engine/engine.h"
#include "io/listener.h"

struct plugins;
struct workers;

struct workers_options {
    const struct alloc *alloc;
    uint32_t count;   /* 1..64 */
    bool host_driven; /* no thread is started: count is 1, the host calls step */
    uint32_t interest_slots;
    uint64_t max_retained_count, max_retained_bytes;
    struct settings *settings;                          /* one reference per worker is taken */
    void (*log)(void *ctx, const struct log_event *ev); /* any worker's thread */
    void *log_ctx;
    uint32_t max_accepts_per_turn;
    struct plugins *plugins; /* up; NULL: none, nothing is asked */
    void (*tick)(void *ctx); /* every tick_ms on worker 0's thread, between turns */
    void *tick_ctx;
    uint64_t tick_ms; /* 0: never */
};

/* No I/O and no threads yet. MQB_ENOMEM. */
mqb_err mqbx_workers_new(const struct workers_options *o, struct workers **out);
/* Starts the loops and threads; listeners may be added from now on. MQB_ESYS with a sentence in
 * mqbx_error (broker/error.h); then nothing runs. */
mqb_err mqbx_workers_start(struct workers *w);
/* DESIGN: close listeners, stop reading, DISCONNECT 0x8B, flush until grace, close, join. Always
 * ends stopped. Start may follow (sessions live on only in the store: all engines are fresh). */
mqb_err mqbx_workers_stop(struct workers *w, int64_t grace_ms);
void mqbx_workers_free(struct workers *w);

uint32_t mqbx_workers_count(const struct workers *w);
struct shared *mqbx_workers_shared(const struct workers *w); /* NULL unless started */
const struct engine_metrics *mqbx_workers_metrics(const struct workers *w,
                                                  uint32_t index); /* any thread, while started */
/* [any thread] An item from the host. False: out of memory. full: the target's inbox is over its
 * mark (the item was not posted). */
enum post_result { POST_OK, POST_FULL, POST_NO_MEMORY, POST_STOPPED };
enum post_result mqbx_workers_post(struct workers *w, uint32_t target, const struct item *it,
                                   uint32_t bytes, bool even_if_full);
bool mqbx_workers_on_thread(
    const struct workers *w); /* is the caller one of its threads (or inside step) */

/* Any thread but a worker's. Return when the socket listens: MQB_ESYS, MQB_EINVAL, MQB_ETLS with a
 * sentence that names address and call. */
mqb_err mqbx_workers_listen(struct workers *w, const struct listener_options *o, uint64_t *id);
mqb_err mqbx_workers_listener_close(struct workers *w,
                                    uint64_t id); /* MQB_ENOENT. Its connections stay. */
uint16_t mqbx_workers_listener_port(const struct workers *w,
                                    uint64_t id); /* 0: unknown or not IP */
/* New settings and certificate for a running listener, all or nothing. */
mqb_err mqbx_workers_listener_update(struct workers *w, uint64_t id,
                                     const struct listener_options *o);
/* The fd is the broker's on success, also when the peer is gone already. */
mqb_err mqbx_workers_adopt(struct workers *w, int fd, const struct listener_options *o);
/* Takes over one reference per worker. */
mqb_err mqbx_workers_set_settings(struct workers *w, struct settings *s);

/* host_driven only */
int mqbx_workers_fd(const struct workers *w);
int64_t mqbx_workers_timeout_ms(const struct workers *w); /* -1: none */
mqb_err mqbx_workers_step(struct workers *w, int64_t wait_ms);

#endif
