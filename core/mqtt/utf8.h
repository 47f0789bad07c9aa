/* SPDX-License-Identifier: MIT */
/*
 * UTF-8 as MQTT demands it: well-formed, no surrogates, no U+0000. [MQTT-1.5.4-1], [MQTT-1.5.4-2]
 */
#ifndef MQBX_MQTT_UTF8_H
#define MQBX_MQTT_UTF8_H

#include <stdbool.h>

#include "base/bytes.h"

bool mqbx_utf8_valid(struct bytes s); /* a text field: no NUL */
bool mqbx_utf8_payload_valid(
    struct bytes s); /* a payload with format indicator 1: U+0000 is allowed */

#endif
