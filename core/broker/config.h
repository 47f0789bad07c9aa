/* SPDX-License-Identifier: MIT */
/*
 * A configuration: the keys that are set, sorted, each with its text and where it came from. One
 * owner.
 */
#ifndef MQBX_BROKER_CONFIG_H
#define MQBX_BROKER_CONFIG_H

#include <mqttbroker.h>

#include "base/alloc.h"
#include "broker/config_table.h"

struct config_entry {
    const struct config_row *row;
    char *key;
    char *value;
    char *source; /* "broker.conf:12", "MQTTBROKER_THREADS", "set" */
};

struct mqb_config {
    const struct alloc *alloc;
    struct config_entry *entries;
    size_t count;
    size_t capacity;
    mqb_log_fn log;
    void *log_arg;
};

mqb_err mqbx_config_copy(const mqb_config *cfg, const struct alloc *a, mqb_config **out);
/* Gives all that `from` has to `to`, of the same allocator, and frees `from`; the log function of
 * `to` stays. */
void mqbx_config_replace(mqb_config *to, mqb_config *from);
/* With a source. Errors begin with it when it names a place: "FILE:LINE: ". */
mqb_err mqbx_config_put(mqb_config *cfg, const char *key, const char *value, const char *source);
/* NULL: not set. */
const struct config_entry *mqbx_config_entry(const mqb_config *cfg, const char *key);
/* Members of the list, in order of their names: entry i is the first of a member; answers the index
 * behind its last. */
bool mqbx_config_next_listener(const mqb_config *cfg, size_t *pos, char name[65]);

/* Values in force, read. The key must be in the table. */
int64_t mqbx_config_number(const mqb_config *cfg, const char *key);
const char *mqbx_config_text(const mqb_config *cfg, const char *key);
/* Of a listener: `key` is what stands behind its name. */
int64_t mqbx_config_listener_number(const mqb_config *cfg, const char *name, const char *key);
const char *mqbx_config_listener_text(const mqb_config *cfg, const char *name, const char *key);

/* The first key that needs a restart and differs between the two, NULL: none. */
const char *mqbx_config_restart_key(const mqb_config *a, const mqb_config *b);

#endif
