// SPDX-License-Identifier: MIT
//
// The engine's data structures for C++ tests.
#ifndef SHIM_ENGINE_HPP
#define SHIM_ENGINE_HPP

#include "shim/mqtt.hpp"

#include "shim/begin.hpp"

#include "engine/index.h"
#include "engine/interest.h"
#include "engine/msg.h"
#include "engine/retained.h"

#include "shim/end.hpp"

#endif
