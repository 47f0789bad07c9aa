// SPDX-License-Identifier: MIT
//
// core/mqtt for C++ tests.
#ifndef SHIM_MQTT_HPP
#define SHIM_MQTT_HPP

#include "shim/base.hpp"
#include "shim/begin.hpp"

#include "mqtt/packet.h"
#include "mqtt/reason.h"
#include "mqtt/topic.h"
#include "mqtt/utf8.h"

#include "shim/end.hpp"

#endif
