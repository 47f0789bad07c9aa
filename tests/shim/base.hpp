// SPDX-License-Identifier: MIT
//
// core/base for C++ tests.
#ifndef SHIM_BASE_HPP
#define SHIM_BASE_HPP

#include "shim/begin.hpp"

#include "base/alloc.h"
#include "base/atomic.h"
#include "base/buffer.h"
#include "base/bytes.h"
#include "base/counter.h"
#include "base/hash.h"
#include "base/inbox.h"
#include "base/list.h"
#include "base/lock.h"
#include "base/ring.h"
#include "base/slab.h"
#include "base/table.h"
#include "base/wheel.h"

#include "shim/end.hpp"

#endif
