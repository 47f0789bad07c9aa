/* SPDX-License-Identifier: MIT */
/*
 * A broker's log: level, form, and the limit on repetition. Any thread; the host's function is
 * called under no lock.
 */
#ifndef MQBX_BROKER_LOG_H
#define MQBX_BROKER_LOG_H

#include <mqttbroker.h>

#include "base/atomic.h"
#include "base/lock.h"
#include "broker/config.h"
#include "engine/seams.h"

/* What is limited together: the lines of one place in the code. */
struct log_kind {
    const char *module;
    const char *event; /* NULL: free */
    enum log_level level;
    uint64_t second; /* of the count */
    uint32_t count;
    uint32_t left_out; /* not yet told */
};

#define LOG_KINDS 128

struct log {
    mqb_log_fn fn;
    void *arg;
    struct atomic_u32 level;
    struct atomic_u32 form; /* enum log_form */
    struct atomic_u32 burst;
    struct atomic_u64 suppressed; /* since the beginning */
    struct lock lock;             /* for kinds */
    uint32_t kinds_left_out;      /* kinds with left_out > 0 */
    struct log_kind kinds[LOG_KINDS];
};

void mqbx_log_init(struct log *l, mqb_log_fn fn, void *arg);
void mqbx_log_fini(struct log *l);
void mqbx_log_configure(struct log *l, const mqb_config *cfg);
void mqbx_log_event(struct log *l, const struct log_event *ev);
/* An event of the broker itself; detail as printf. */
void mqbx_log_broker(struct log *l, enum log_level level, const char *event, const char *format,
                     ...) __attribute__((format(printf, 4, 5)));
/* Tells what was left out so far. */
void mqbx_log_flush(struct log *l);

/* For tests: the same with a clock. */
void mqbx_log_event_at(struct log *l, const struct log_event *ev, uint64_t wall_ms);

#endif
