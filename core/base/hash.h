/* SPDX-License-Identifier: MIT */
/*
 * Hashes. SipHash-1-3 with a drawn key for everything a peer can choose (client ids, topics); the
 * mixer for numbers. No table of the library is keyed by an unkeyed hash of foreign bytes.
 */
#ifndef MQBX_BASE_HASH_H
#define MQBX_BASE_HASH_H

#include <stddef.h>
#include <stdint.h>

struct hash_key {
    uint64_t k0, k1;
};

uint64_t mqbx_hash(struct hash_key key, uint64_t seed, const void *ptr, size_t len);

/* A bijective 64-bit finaliser, for numbers and for joining hashes: mix(a ^ mix(b)). */
static inline uint64_t mqbx_hash_mix(uint64_t x)
{
    x ^= x >> 32;
    x *= 0xd6e8feb86659fd93u;
    x ^= x >> 32;
    x *= 0xd6e8feb86659fd93u;
    x ^= x >> 32;
    return x;
}

#endif
