// SPDX-License-Identifier: MIT
//
// Opens a section in which C++ may include the internal C headers; shim/end.hpp closes it. Between
// the two, C11's keywords mean their C++ counterparts and pedantry about C idioms is off. No
// include guard: every section is opened and closed. tests/README.md says what a header must not
// do.
#include <atomic>
#include <cassert>
#include <climits>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <inttypes.h>
#include <stdbool.h>

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wpedantic"
#pragma GCC diagnostic ignored "-Wmissing-field-initializers"
#pragma GCC diagnostic ignored "-Wc++20-extensions"
#ifdef __clang__
#pragma GCC diagnostic ignored "-Wc99-extensions"
#endif

// <stdatomic.h> for C++, as C++23 defines it; its own include guards keep the C one out.
#ifndef _STDATOMIC_H
#define _STDATOMIC_H
#endif
#ifndef __CLANG_STDATOMIC_H
#define __CLANG_STDATOMIC_H
#endif
using std::atomic_compare_exchange_strong;
using std::atomic_exchange;
using std::atomic_fetch_add;
using std::atomic_fetch_and;
using std::atomic_fetch_or;
using std::atomic_fetch_sub;
using std::atomic_load;
using std::atomic_load_explicit;
using std::atomic_store;
using std::atomic_store_explicit;
using std::memory_order_relaxed;

#define _Atomic(T) std::atomic<T>
#define _Alignas(n) alignas(n)
#define _Alignof(T) alignof(T)
#define _Static_assert static_assert
#define restrict __restrict

extern "C" {
