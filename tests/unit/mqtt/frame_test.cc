// SPDX-License-Identifier: MIT
#include <gtest/gtest.h>

#include <vector>

#include "support.hpp"

namespace
{

enum frame_status frame(const std::string &s, struct frame *out, uint8_t *reason)
{
    Exact exact(s);
    return mqbx_frame(exact.bytes().ptr, exact.bytes().len, out, reason);
}

TEST(Frame, ReadsTheFixedHeader)
{
    struct frame f;
    uint8_t reason = 0;
    ASSERT_EQ(FRAME_OK, frame(hex("3d 7f"), &f, &reason));
    EXPECT_EQ(PKT_PUBLISH, f.type);
    EXPECT_EQ(0x0D, f.flags);
    EXPECT_EQ(2, f.header_len);
    EXPECT_EQ(127u, f.body_len);
    ASSERT_EQ(FRAME_OK, frame(hex("c0 00"), &f, &reason));
    EXPECT_EQ(PKT_PINGREQ, f.type);
    EXPECT_EQ(0u, f.body_len);
}

TEST(Frame, ReadsEveryLengthOfLength)
{
    struct {
        uint32_t len;
        uint8_t header;
    } const cases[] = {{0, 2},     {127, 2},     {128, 3},     {16383, 3},
                       {16384, 4}, {2097151, 4}, {2097152, 5}, {MQTT_MAX_PACKET, 5}};
    for (const auto &c : cases) {
        std::string bytes = u8(0x30) + varint(c.len);
        struct frame f;
        uint8_t reason = 0;
        ASSERT_EQ(FRAME_OK, frame(bytes, &f, &reason)) << c.len;
        EXPECT_EQ(c.len, f.body_len);
        EXPECT_EQ(c.header, f.header_len);
        for (size_t n = 0; n < bytes.size(); n++)
            EXPECT_EQ(FRAME_MORE, frame(bytes.substr(0, n), &f, &reason)) << c.len << " " << n;
    }
}

TEST(Frame, RefusesTheReservedTypeAtItsFirstByte)
{
    struct frame f;
    uint8_t reason = 0;
    EXPECT_EQ(FRAME_BAD, frame(hex("00"), &f, &reason));
    EXPECT_EQ(RC_MALFORMED_PACKET, reason);
    EXPECT_EQ(FRAME_BAD, frame(hex("0f 00"), &f, &reason));
}

TEST(Frame, MQTT_1_5_5_1_length_is_in_its_shortest_form)
{
    for (const char *bytes : {"30 80 00", "30 ff 00", "30 80 80 00", "30 80 80 80 00"}) {
        struct frame f;
        uint8_t reason = 0;
        EXPECT_EQ(FRAME_BAD, frame(hex(bytes), &f, &reason)) << bytes;
        EXPECT_EQ(RC_MALFORMED_PACKET, reason);
    }
}

TEST(Frame, RefusesALengthOfFiveBytesAtTheFourth)
{
    struct frame f;
    uint8_t reason = 0;
    EXPECT_EQ(FRAME_BAD, frame(hex("30 80 80 80 80"), &f, &reason));
    EXPECT_EQ(RC_MALFORMED_PACKET, reason);
    EXPECT_EQ(FRAME_BAD, frame(hex("30 ff ff ff ff 01"), &f, &reason));
    EXPECT_EQ(FRAME_MORE, frame(hex("30 80 80 80"), &f, &reason));
}

TEST(Frame, VarintsComeBackFromTheWriter)
{
    Rng rng(seed());
    std::vector<uint32_t> numbers = {0,       127,     128,     16383, 16384,
                                     2097151, 2097152, 2097153, 16385, MQTT_MAX_PACKET};
    for (uint32_t i = 0; i < scaled(20000); i++)
        numbers.push_back(static_cast<uint32_t>(rng.next() >> 36 >> rng.below(28)));
    for (uint32_t x : numbers) {
        uint8_t out[4];
        size_t n = static_cast<size_t>(mqbx_put_varint(out, x) - out);
        ASSERT_EQ(n, mqbx_varint_len(x));
        ASSERT_EQ(varint(x), std::string(reinterpret_cast<char *>(out), n));
        struct frame f;
        uint8_t reason = 0;
        ASSERT_EQ(FRAME_OK, frame(u8(0xE0) + varint(x), &f, &reason));
        ASSERT_EQ(x, f.body_len);
    }
}

TEST(Frame, NamesEveryType)
{
    EXPECT_STREQ("CONNECT", mqbx_packet_name(PKT_CONNECT));
    EXPECT_STREQ("UNSUBSCRIBE", mqbx_packet_name(PKT_UNSUBSCRIBE));
    EXPECT_STREQ("AUTH", mqbx_packet_name(PKT_AUTH));
    EXPECT_STREQ("RESERVED", mqbx_packet_name(0));
}

} // namespace
