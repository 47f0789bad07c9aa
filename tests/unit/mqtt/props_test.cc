// SPDX-License-Identifier: MIT
//
// Properties, whatever packet they are in.
#include <gtest/gtest.h>

#include "codec.hpp"

namespace
{

// One property of each identifier with a valid value, and the packets that table 2-4 lists for it.
struct Known {
    unsigned id;
    std::string value;
    const char *packets;
};

const Known KNOWN[] = {
    {0x01, u8(1), "P W"},
    {0x02, u32(1), "P W"},
    {0x03, field("x"), "P W"},
    {0x08, field("x"), "P W"},
    {0x09, field("x"), "P W"},
    {0x0B, u8(1), "P S"},
    {0x11, u32(1), "C A D"},
    {0x12, field("x"), "A"},
    {0x13, u16(1), "A"},
    {0x15, field("x"), "C A X"},
    {0x16, field("x"), "C A X"},
    {0x17, u8(1), "C"},
    {0x18, u32(1), "W"},
    {0x19, u8(1), "C"},
    {0x1A, field("x"), "A"},
    {0x1C, field("x"), "A D"},
    {0x1F, field("x"), "A 4 5 6 7 9 B D X"},
    {0x21, u16(1), "C A"},
    {0x22, u16(1), "C A"},
    {0x23, u16(1), "P"},
    {0x24, u8(1), "A"},
    {0x25, u8(1), "A"},
    {0x26, field("x") + field("y"), "C A P W 4 5 6 7 S 9 U B D X"},
    {0x27, u32(1), "C A"},
    {0x28, u8(1), "A"},
    {0x29, u8(1), "A"},
    {0x2A, u8(1), "A"},
};

// The verdict on a packet of the kind with this property block. The method that authentication data
// and AUTH demand is put in front where it may stand.
uint8_t in_packet(char kind, const std::string &block, bool add_method)
{
    std::string method = add_method ? prop_text(0x15, "m") : "";
    switch (kind) {
    case 'C':
        return connect_verdict(connect_head(5, 0, method + block) + field("id"));
    case 'W':
        return connect_verdict(connect_head(5, 4) + field("id") + prop_block(block) + field("t") +
                               field(""));
    case 'A':
        return verdict(PKT_CONNACK, MQTT_V5, u8(0) + u8(0) + prop_block(method + block));
    case 'P':
        return publish5_verdict("t", block);
    case 'S':
        return verdict(PKT_SUBSCRIBE, MQTT_V5, u16(1) + prop_block(block) + field("a") + u8(0));
    case '9':
        return verdict(PKT_SUBACK, MQTT_V5, u16(1) + prop_block(block) + u8(0));
    case 'U':
        return verdict(PKT_UNSUBSCRIBE, MQTT_V5, u16(1) + prop_block(block) + field("a"));
    case 'B':
        return verdict(PKT_UNSUBACK, MQTT_V5, u16(1) + prop_block(block) + u8(0));
    case 'D':
        return verdict(PKT_DISCONNECT, MQTT_V5, u8(0) + prop_block(block));
    case 'X':
        return verdict(PKT_AUTH, MQTT_V5, u8(0x18) + prop_block(method + block));
    default:
        return verdict(static_cast<uint8_t>(kind - '0'), MQTT_V5,
                       u16(1) + u8(0) + prop_block(block));
    }
}

bool is_listed(const Known &k, char kind)
{
    return std::strchr(k.packets, kind) != nullptr;
}

const char KINDS[] = "CWAP4567S9UBDX";

TEST(Props, StandOnlyWhereTable24ListsThem)
{
    for (const Known &k : KNOWN) {
        for (const char *kind = KINDS; *kind; kind++) {
            uint8_t expected = is_listed(k, *kind) ? RC_SUCCESS : RC_MALFORMED_PACKET;
            EXPECT_EQ(expected, in_packet(*kind, u8(k.id) + k.value, k.id != 0x15))
                << std::hex << k.id << " in " << *kind;
        }
    }
}

TEST(Props, OccurOnceButUserPropertiesAndIdentifiersOfPublish)
{
    for (const Known &k : KNOWN) {
        for (const char *kind = KINDS; *kind; kind++) {
            if (!is_listed(k, *kind))
                continue;
            std::string one = u8(k.id) + k.value;
            bool may_repeat = k.id == 0x26 || (k.id == 0x0B && *kind == 'P');
            EXPECT_EQ(may_repeat ? RC_SUCCESS : RC_PROTOCOL_ERROR,
                      in_packet(*kind, one + one, k.id != 0x15))
                << std::hex << k.id << " in " << *kind;
        }
    }
}

TEST(Props, EndInsideTheirBlock)
{
    for (const Known &k : KNOWN) {
        std::string one = u8(k.id) + k.value;
        for (size_t n = 1; n < one.size(); n++)
            EXPECT_EQ(RC_MALFORMED_PACKET, in_packet(k.packets[0], one.substr(0, n), k.id != 0x15))
                << std::hex << k.id << " cut at " << n;
    }
}

TEST(Props, UnknownIdentifiersAreMalformed)
{
    for (unsigned id = 0; id < 128; id++) {
        bool known = false;
        for (const Known &k : KNOWN)
            known |= k.id == id;
        if (known)
            continue;
        EXPECT_EQ(RC_MALFORMED_PACKET, publish5_verdict("t", u8(id) + u32(0))) << id;
    }
    EXPECT_EQ(RC_MALFORMED_PACKET, publish5_verdict("t", hex("a6 00 00 01 61 00 01 62")));
    EXPECT_EQ(RC_MALFORMED_PACKET, publish5_verdict("t", hex("a6 01 00 01 61 00 01 62")));
}

TEST(Props, LengthIsShortestAndWithinThePacket)
{
    EXPECT_EQ(RC_MALFORMED_PACKET, verdict(PKT_PUBLISH, MQTT_V5, field("t") + hex("80 00")));
    EXPECT_EQ(RC_MALFORMED_PACKET, verdict(PKT_PUBLISH, MQTT_V5, field("t") + hex("03 01 01")));
    EXPECT_EQ(RC_MALFORMED_PACKET, verdict(PKT_PUBLISH, MQTT_V5, field("t") + hex("ff ff ff 7f")));
    EXPECT_EQ(RC_MALFORMED_PACKET,
              verdict(PKT_PUBLISH, MQTT_V5, field("t") + hex("ff ff ff ff 01")));
    EXPECT_EQ(RC_MALFORMED_PACKET, verdict(PKT_PUBLISH, MQTT_V5, field("t")));
}

TEST(Props, AuthenticationDataNeedsAMethod)
{
    EXPECT_EQ(RC_PROTOCOL_ERROR, in_packet('C', prop_text(0x16, "d"), false));
    EXPECT_EQ(RC_PROTOCOL_ERROR, in_packet('A', prop_text(0x16, "d"), false));
    EXPECT_EQ(RC_PROTOCOL_ERROR, in_packet('X', prop_text(0x16, "d"), false));
    EXPECT_EQ(RC_SUCCESS, in_packet('C', prop_text(0x16, "d") + prop_text(0x15, "m"), false));
}

TEST(Props, ValuesHaveTheirRanges)
{
    for (const char *flag : {"17 02", "17 ff", "19 02", "21 00 00", "27 00 00 00 00"})
        EXPECT_EQ(RC_PROTOCOL_ERROR, in_packet('C', hex(flag), false)) << flag;
    EXPECT_EQ(RC_SUCCESS, in_packet('C', hex("11 00 00 00 00 22 00 00"), false));
}

TEST(Props, MQTT_1_5_4_1_texts_have_no_surrogates_or_ill_formed_bytes)
{
    for (const char *bad : {"ed a0 80", "ed bf bf", "c0 af", "ff", "e2 82", "f4 90 80 80"}) {
        for (unsigned id : {0x12u, 0x15u, 0x1Au, 0x1Cu, 0x1Fu})
            EXPECT_EQ(RC_MALFORMED_PACKET, in_packet('A', prop_text(id, hex(bad)), false)) << bad;
    }
    EXPECT_EQ(RC_SUCCESS, publish5_verdict("t", prop_text(0x09, hex("ff 00 ed a0 80")))); // binary
}

TEST(Props, MQTT_1_5_4_2_texts_have_no_nul)
{
    EXPECT_EQ(RC_MALFORMED_PACKET, in_packet('A', prop_text(0x1F, std::string("a\0b", 3)), false));
}

TEST(Props, MQTT_1_5_4_3_byte_order_mark_is_kept)
{
    std::string text = "\xEF\xBB\xBFtext";
    Parsed p(PKT_PUBLISH, MQTT_V5, publish5(text, prop_text(0x03, text)), 0);
    ASSERT_EQ(RC_SUCCESS, p.rc);
    EXPECT_EQ(text, str(p.packet.body.publish.topic));
    EXPECT_EQ(text, str(p.packet.body.publish.props.content_type));
}

TEST(Props, MQTT_1_5_5_1_numbers_are_in_their_shortest_form)
{
    EXPECT_EQ(RC_MALFORMED_PACKET, publish5_verdict("t", hex("0b 81 00")));
    EXPECT_EQ(RC_MALFORMED_PACKET, publish5_verdict("t", hex("0b ff ff ff ff")));
    EXPECT_EQ(RC_SUCCESS, publish5_verdict("t", hex("0b 80 01")));
}

TEST(Props, MQTT_1_5_7_1_user_properties_are_two_texts)
{
    EXPECT_EQ(RC_MALFORMED_PACKET, publish5_verdict("t", user_prop("\xFF", "v")));
    EXPECT_EQ(RC_MALFORMED_PACKET, publish5_verdict("t", user_prop("k", "\xFF")));
    EXPECT_EQ(RC_MALFORMED_PACKET, publish5_verdict("t", user_prop("k", std::string(1, '\0'))));
    EXPECT_EQ(RC_SUCCESS, publish5_verdict("t", user_prop("", "") + user_prop("k", "v")));
}

TEST(Props, WalkGivesEveryPropertyInOrder)
{
    std::string block;
    for (const Known &k : KNOWN)
        block += u8(k.id) + k.value;
    Exact exact(block);
    struct prop prop;
    uint32_t pos = 0;
    for (const Known &k : KNOWN) {
        ASSERT_TRUE(mqbx_prop_next(exact.bytes(), &pos, &prop));
        EXPECT_EQ(k.id, prop.id);
        EXPECT_EQ(u8(k.id) + k.value, str(prop.whole));
    }
    EXPECT_FALSE(mqbx_prop_next(exact.bytes(), &pos, &prop));
    EXPECT_EQ(block.size(), pos);
    pos = 0;
    EXPECT_FALSE(mqbx_prop_next(bytes{nullptr, 0}, &pos, &prop));
}

TEST(Props, WalkReadsValues)
{
    Exact exact(user_prop("name", "value") + u8(0x02) + u32(0xDEADBEEF) + prop_text(0x09, "bin") +
                u8(0x0B) + varint(300));
    struct prop prop;
    uint32_t pos = 0;
    ASSERT_TRUE(mqbx_prop_next(exact.bytes(), &pos, &prop));
    EXPECT_EQ("name", str(prop.name));
    EXPECT_EQ("value", str(prop.value));
    ASSERT_TRUE(mqbx_prop_next(exact.bytes(), &pos, &prop));
    EXPECT_EQ(0xDEADBEEFu, prop.number);
    EXPECT_EQ(0u, prop.value.len);
    ASSERT_TRUE(mqbx_prop_next(exact.bytes(), &pos, &prop));
    EXPECT_EQ("bin", str(prop.value));
    ASSERT_TRUE(mqbx_prop_next(exact.bytes(), &pos, &prop));
    EXPECT_EQ(300u, prop.number);
}

// [MQTT-3.3.2-4], [MQTT-3.3.2-15] to -18, [MQTT-3.3.2-20]
TEST(Props, MQTT_3_3_2_18_what_is_passed_on_keeps_its_bytes_and_order)
{
    std::string format = u8(0x01) + u8(1), type = prop_text(0x03, "text");
    std::string response = prop_text(0x08, "r"), correlation = prop_text(0x09, "c");
    std::string first = user_prop("a", "1"), second = user_prop("a", "2"),
                third = user_prop("", "");
    std::string dropped = u8(0x23) + u16(3), expiry = u8(0x02) + u32(9),
                id = u8(0x0B) + varint(200);
    std::string block = second + dropped + correlation + first + expiry + response + id + format +
                        third + type + id;
    Parsed p(PKT_PUBLISH, MQTT_V5, publish5("t", block), 0);
    ASSERT_EQ(RC_SUCCESS, p.rc);
    std::string expected = second + correlation + first + response + format + third + type;
    ASSERT_EQ(expected.size(), mqbx_props_kept_len(&p.packet.body.publish.props));
    Exact out(expected);
    mqbx_props_copy_kept(&p.packet.body.publish.props, const_cast<uint8_t *>(out.bytes().ptr));
    EXPECT_EQ(expected, str(out.bytes()));
}

TEST(Props, OfAWillThatArePassedOnLeaveOutItsDelay)
{
    std::string kept = u8(0x01) + u8(1) + user_prop("k", "v");
    Parsed p(PKT_CONNECT, 0,
             connect_head(5, 4) + field("id") +
                 prop_block(u8(0x18) + u32(5) + kept + u8(0x02) + u32(6)) + field("t") + field(""),
             0);
    ASSERT_EQ(RC_SUCCESS, p.rc);
    const struct props &props = p.packet.body.connect.will.props;
    EXPECT_EQ(kept.size(), mqbx_props_kept_len(&props));
    std::string out(kept.size(), '\0');
    mqbx_props_copy_kept(&props, reinterpret_cast<uint8_t *>(&out[0]));
    EXPECT_EQ(kept, out);
}

} // namespace
