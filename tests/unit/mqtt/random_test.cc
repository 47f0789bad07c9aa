// SPDX-License-Identifier: MIT
//
// Properties of the codec over random packets, for each type and version: what was serialised
// parses to the same, and the codec agrees with the oracle on what is valid.
#include <gtest/gtest.h>

#include "any_packet.hpp"
#include "hostile.hpp"
#include "oracle.hpp"

namespace
{

const uint32_t PER_TYPE_AND_VERSION = 100000;

class Codec : public ::testing::TestWithParam<int>
{
  protected:
    uint8_t type() const
    {
        return static_cast<uint8_t>(GetParam());
    }

    // AUTH is of 5.0 alone.
    uint8_t first_version() const
    {
        return type() == PKT_AUTH ? MQTT_V5 : MQTT_V31;
    }

    void SetUp() override
    {
        std::printf("MQB_TEST_SEED=%llu\n", static_cast<unsigned long long>(seed()));
    }
};

std::string body_of(const std::string &packet, struct frame *frame)
{
    uint8_t reason = 0;
    EXPECT_EQ(FRAME_OK, mqbx_frame(reinterpret_cast<const uint8_t *>(packet.data()), packet.size(),
                                   frame, &reason));
    EXPECT_EQ(packet.size(), frame->header_len + frame->body_len);
    return packet.substr(frame->header_len);
}

TEST_P(Codec, ParsesWhatItSerialised)
{
    PacketMaker maker(seed() + type());
    AnyPacket packet, parsed;
    uint32_t count = scaled(PER_TYPE_AND_VERSION);
    for (uint8_t version = first_version(); version <= MQTT_V5; version++) {
        for (uint32_t i = 0; i < count; i++) {
            maker.make(type(), version, &packet);
            std::string bytes = serialise(packet);
            struct frame frame;
            Exact body(body_of(bytes, &frame));
            ASSERT_EQ(type(), frame.type);
            uint8_t rc = parse_body(packet, frame.flags, body.bytes(), &parsed);
            ASSERT_EQ(RC_SUCCESS, rc) << to_hex(bytes);
            make_writable(&parsed);
            ASSERT_TRUE(same_packet(packet, parsed))
                << "version " << +version << " packet " << i << ": " << to_hex(bytes);
            ASSERT_EQ(bytes, serialise(parsed));
        }
    }
}

// What the codec says and what the oracle says of one body.
void check_verdict(const AnyPacket &like, uint8_t flags, const std::string &body, uint32_t *valid)
{
    AnyPacket parsed;
    Exact exact(body);
    uint8_t rc = parse_body(like, flags, exact.bytes(), &parsed);
    oracle::Faults faults = oracle::judge(like.type, flags, like.version, like.from_server, body);
    bool agree = rc == RC_SUCCESS ? faults.none() : faults[rc];
    ASSERT_TRUE(agree) << "type " << +like.type << " version " << +like.version << " flags "
                       << +flags << " from_server " << like.from_server << ": codec 0x" << std::hex
                       << +rc << ", oracle" << oracle::describe(faults) << "\n"
                       << to_hex(body);
    if (rc != RC_SUCCESS)
        return;
    ++*valid;
    // Whatever is accepted means something that can be said again.
    make_writable(&parsed);
    struct frame frame;
    Exact again(body_of(serialise(parsed), &frame));
    AnyPacket second;
    ASSERT_EQ(RC_SUCCESS, parse_body(parsed, frame.flags, again.bytes(), &second)) << to_hex(body);
    make_writable(&second);
    ASSERT_TRUE(same_packet(parsed, second)) << to_hex(body);
}

TEST_P(Codec, AgreesWithTheOracleOnMutatedPackets)
{
    PacketMaker maker(seed() * 3 + type());
    Rng rng(seed() * 5 + type());
    AnyPacket packet;
    uint32_t count = scaled(PER_TYPE_AND_VERSION), valid = 0, total = 0;
    for (uint8_t version = first_version(); version <= MQTT_V5; version++) {
        for (uint32_t i = 0; i < count; i++, total++) {
            if (i % 4 == 0)
                maker.make(type(), version, &packet);
            std::string bytes = serialise(packet);
            struct frame frame;
            std::string body = body_of(bytes, &frame);
            uint8_t flags = frame.flags;
            mutate(rng, &flags, &body);
            check_verdict(packet, flags, body, &valid);
            if (HasFatalFailure())
                return;
        }
    }
    if (count >= 1000) { // the mutations must leave some valid and break some
        EXPECT_GT(valid, total / 100);
        EXPECT_LT(valid, total - total / 100);
    }
}

TEST_P(Codec, AgreesWithTheOracleOnPacketsMadeToBreakRules)
{
    HostileMaker maker(seed() * 7 + type());
    AnyPacket like;
    uint32_t count = scaled(PER_TYPE_AND_VERSION), valid = 0, total = 0;
    for (uint8_t version = first_version(); version <= MQTT_V5; version++) {
        for (uint32_t i = 0; i < count; i++, total++) {
            like.type = type();
            like.version = version;
            like.from_server = type() == PKT_DISCONNECT && i % 2 == 0;
            uint8_t flags = 0;
            std::string body = maker.make(like.type, version, &flags);
            check_verdict(like, flags, body, &valid);
            if (HasFatalFailure())
                return;
        }
    }
    if (count >= 1000) {
        EXPECT_GT(valid, total / 100);
        EXPECT_LT(valid, total - total / 100);
    }
}

// Every proper prefix of a body is read inside its block (a sanitizer looks on) and judged rightly.
TEST_P(Codec, AgreesWithTheOracleOnEveryPrefix)
{
    PacketMaker maker(seed() * 11 + type());
    AnyPacket packet;
    uint32_t valid = 0;
    for (uint8_t version = first_version(); version <= MQTT_V5; version++) {
        for (uint32_t i = 0; i < scaled(100); i++) {
            maker.make(type(), version, &packet);
            std::string bytes = serialise(packet);
            struct frame frame;
            std::string body = body_of(bytes, &frame);
            size_t longest = body.size() < 600 ? body.size() : 600;
            for (size_t n = 0; n < longest; n++) {
                check_verdict(packet, frame.flags, body.substr(0, n), &valid);
                if (HasFatalFailure())
                    return;
            }
        }
    }
}

INSTANTIATE_TEST_SUITE_P(Types, Codec, ::testing::Range(1, 16), [](const auto &tested) {
    return std::string(mqbx_packet_name(static_cast<uint8_t>(tested.param)));
});

} // namespace
