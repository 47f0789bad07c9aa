/* SPDX-License-Identifier: MIT */
/*
 * The one place where the public message and the engine's are the same thing.
 */
#ifndef MQBX_BROKER_MESSAGE_H
#define MQBX_BROKER_MESSAGE_H

#include <mqttbroker.h>

#include "engine/msg.h"

/* Identifiers of the properties that travel with a PUBLISH, [MQTT 5, table 2-4]. */
enum {
    PROP_PAYLOAD_FORMAT = 0x01,
    PROP_CONTENT_TYPE = 0x03,
    PROP_RESPONSE_TOPIC = 0x08,
    PROP_CORRELATION_DATA = 0x09,
    PROP_USER = 0x26,
};

struct msg *mqbx_msg_of(const mqb_msg *m);
mqb_msg *mqbx_msg_public(struct msg *m);

#endif
