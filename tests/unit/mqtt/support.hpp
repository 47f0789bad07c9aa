// SPDX-License-Identifier: MIT
//
// What the codec's tests share: bytes by hand, exact-size heap copies (so that a sanitizer sees one
// byte too many), the seed and the counts.
#ifndef UNIT_MQTT_SUPPORT_HPP
#define UNIT_MQTT_SUPPORT_HPP

#include <cstdio>
#include <cstdlib>
#include <memory>
#include <string>

#include "shim/mqtt.hpp"
#include "shim/scale.h"

// A run of bytes is a std::string here.
inline std::string hex(const char *digits)
{
    std::string out;
    for (const char *p = digits; *p;) {
        if (*p == ' ') {
            p++;
            continue;
        }
        char pair[3] = {p[0], p[1], 0};
        out.push_back(static_cast<char>(std::strtoul(pair, nullptr, 16)));
        p += 2;
    }
    return out;
}

inline std::string to_hex(const std::string &bytes)
{
    std::string out;
    char pair[4];
    for (unsigned char c : bytes) {
        std::snprintf(pair, sizeof(pair), "%02x ", c);
        out += pair;
    }
    return out;
}

inline std::string u8(unsigned x)
{
    return std::string(1, static_cast<char>(x));
}

inline std::string u16(unsigned x)
{
    return u8(x >> 8) + u8(x & 0xFF);
}

inline std::string u32(uint32_t x)
{
    return u16(x >> 16) + u16(x & 0xFFFF);
}

inline std::string varint(uint32_t x)
{
    std::string out;
    do {
        unsigned rest = x / 128;
        out += u8(x % 128 + (rest > 0 ? 128 : 0));
        x = rest;
    } while (x > 0);
    return out;
}

// A text or binary field: two bytes of length in front.
inline std::string field(const std::string &s)
{
    return u16(static_cast<unsigned>(s.size())) + s;
}

inline std::string prop_block(const std::string &block)
{
    return varint(static_cast<uint32_t>(block.size())) + block;
}

inline struct bytes view(const std::string &s)
{
    return mqbx_bytes(s.data(), s.size());
}

inline std::string str(struct bytes b)
{
    return b.len ? std::string(reinterpret_cast<const char *>(b.ptr), b.len) : std::string();
}

// A copy that ends where the block ends.
class Exact
{
  public:
    explicit Exact(const std::string &s);

    struct bytes bytes() const
    {
        return mqbx_bytes(block_.get(), size_);
    }

  private:
    size_t size_;
    std::unique_ptr<uint8_t[]> block_;
};

inline uint32_t scaled(uint32_t n)
{
    return static_cast<uint32_t>(test_count(n, 10ull * n));
}

inline uint64_t seed()
{
    return test_seed(20140212);
}

// splitmix64
class Rng
{
  public:
    explicit Rng(uint64_t seed) : state_(seed)
    {
    }

    uint64_t next()
    {
        uint64_t z = state_ += 0x9E3779B97F4A7C15u;
        z = (z ^ z >> 30) * 0xBF58476D1CE4E5B9u;
        z = (z ^ z >> 27) * 0x94D049BB133111EBu;
        return z ^ z >> 31;
    }

    // 0 .. n-1
    uint32_t below(uint32_t n)
    {
        return static_cast<uint32_t>((next() >> 32) * n >> 32);
    }

    bool one_in(uint32_t n)
    {
        return below(n) == 0;
    }

  private:
    uint64_t state_;
};

#endif
