/* SPDX-License-Identifier: MIT */
/*
 * From keys to what the layers below take: engine settings, listener options. Checks what concerns
 * several keys.
 */
#ifndef MQBX_BROKER_CONFIG_BUILD_H
#define MQBX_BROKER_CONFIG_BUILD_H

#include "broker/config.h"
#include "engine/settings.h"
#include "io/listener.h"

/* One reference, the caller's. MQB_ECONFIG, MQB_ENOMEM. */
mqb_err mqbx_config_settings(const mqb_config *cfg, struct settings **out);

/* Texts refer to cfg; the tenant is left 0 (its name is the key "tenant"). MQB_ECONFIG. */
mqb_err mqbx_config_listener(const mqb_config *cfg, const char *name, struct listener_options *out);

uint32_t mqbx_config_workers(const mqb_config *cfg, bool *is_host_driven);
uint32_t mqbx_config_interest_slots(const mqb_config *cfg);

/* A mountpoint or the like: a valid beginning of a topic. */
bool mqbx_topic_prefix_valid(const char *text);

#endif
