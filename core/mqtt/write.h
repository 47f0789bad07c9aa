/* SPDX-License-Identifier: MIT */
/*
 * What the files that build packets share, and nobody else uses.
 */
#ifndef MQBX_MQTT_WRITE_H
#define MQBX_MQTT_WRITE_H

#include "mqtt/packet.h"

/* First byte and remaining length. A length over MQTT_MAX_PACKET is an overflow of the writer. */
void mqbx_write_header(struct writer *w, uint8_t type, uint8_t flags, uint64_t body_len);

static inline uint64_t mqbx_string_len(struct bytes s)
{
    return 2 + (uint64_t)s.len;
}

#endif
