// SPDX-License-Identifier: MIT
//
// For tests that name a rule: one call to parse a body made by hand.
#ifndef UNIT_MQTT_CODEC_HPP
#define UNIT_MQTT_CODEC_HPP

#include "any_packet.hpp"

// Flags that the type demands.
inline uint8_t usual_flags(uint8_t type)
{
    return type == PKT_PUBREL || type == PKT_SUBSCRIBE || type == PKT_UNSUBSCRIBE ? 2 : 0;
}

// A parsed packet together with the bytes it refers to.
struct Parsed {
    Exact bytes;
    AnyPacket packet;
    uint8_t rc;

    Parsed(uint8_t type, uint8_t version, const std::string &body, uint8_t flags,
           bool from_server = false)
        : bytes(body)
    {
        AnyPacket like;
        like.type = type;
        like.version = version;
        like.from_server = from_server;
        rc = parse_body(like, flags, bytes.bytes(), &packet);
    }
};

// The verdict on a body, with the flags that the type demands or others.
inline uint8_t verdict(uint8_t type, uint8_t version, const std::string &body)
{
    return Parsed(type, version, body, usual_flags(type)).rc;
}

inline uint8_t verdict_with_flags(uint8_t type, uint8_t version, uint8_t flags,
                                  const std::string &body)
{
    return Parsed(type, version, body, flags).rc;
}

// A property with a text or binary value, and a user property.
inline std::string prop_text(unsigned id, const std::string &value)
{
    return u8(id) + field(value);
}

inline std::string user_prop(const std::string &name, const std::string &value)
{
    return u8(0x26) + field(name) + field(value);
}

// The variable header of CONNECT. `block` is the property block of 5.0.
inline std::string connect_head(unsigned version, unsigned flags, const std::string &block = "")
{
    std::string name = version == 3 ? "MQIsdp" : "MQTT";
    std::string head = field(name) + u8(version) + u8(flags) + u16(60);
    return version == 5 ? head + prop_block(block) : head;
}

inline uint8_t connect_verdict(const std::string &body)
{
    return verdict(PKT_CONNECT, 0, body);
}

// A QoS 0 PUBLISH of 5.0 and its verdict.
inline std::string publish5(const std::string &topic, const std::string &block = "",
                            const std::string &payload = "")
{
    return field(topic) + prop_block(block) + payload;
}

inline uint8_t publish5_verdict(const std::string &topic, const std::string &block = "")
{
    return verdict(PKT_PUBLISH, MQTT_V5, publish5(topic, block));
}

// Each of the codes gets RC_SUCCESS by judge(code), every other one RC_PROTOCOL_ERROR.
template <typename Judge> bool exactly_these(const std::string &codes, Judge judge)
{
    for (unsigned code = 0; code < 256; code++) {
        bool listed = codes.find(static_cast<char>(code)) != std::string::npos;
        if (judge(code) != (listed ? RC_SUCCESS : RC_PROTOCOL_ERROR))
            return false;
    }
    return true;
}

#endif
