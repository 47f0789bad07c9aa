// SPDX-License-Identifier: MIT
//
// The writer: its bytes, and what does not fit.
#include <gtest/gtest.h>

#include "codec.hpp"

namespace
{

std::string written(const struct writer &w)
{
    return w.overflow ? "overflow" : std::string(reinterpret_cast<char *>(w.ptr), w.len);
}

struct Buffer {
    uint8_t bytes[4096];
    struct writer w = mqbx_writer(bytes, sizeof(bytes));
};

TEST(Write, Primitives)
{
    Buffer b;
    mqbx_write_u8(&b.w, 0x12);
    mqbx_write_u16(&b.w, 0x3456);
    mqbx_write_u32(&b.w, 0x789ABCDE);
    mqbx_write_varint(&b.w, 321);
    mqbx_write_string(&b.w, mqbx_bytes_of("hi"));
    mqbx_write_raw(&b.w, "raw", 3);
    mqbx_write_raw(&b.w, nullptr, 0);
    EXPECT_EQ(hex("12 34 56 78 9a bc de c1 02 00 02") + "hi" + "raw", written(b.w));
}

TEST(Write, ThePublishOfTheStandardsExample)
{
    struct publish p = {};
    p.topic = mqbx_bytes_of("a/b");
    p.qos = 1;
    p.packet_id = 10;
    p.payload = mqbx_bytes_of("x");
    Buffer v3, v5;
    mqbx_write_publish(&v3.w, MQTT_V311, &p);
    EXPECT_EQ(hex("32 08 00 03") + "a/b" + hex("00 0a") + "x", written(v3.w));
    mqbx_write_publish(&v5.w, MQTT_V5, &p);
    EXPECT_EQ(hex("32 09 00 03") + "a/b" + hex("00 0a 00") + "x", written(v5.w));
}

TEST(Write, AcksInTheirShortestForm)
{
    struct ack a = {};
    a.packet_id = 5;
    auto bytes = [&a](uint8_t version, uint8_t type) {
        Buffer b;
        mqbx_write_ack(&b.w, version, type, &a);
        return written(b.w);
    };
    EXPECT_EQ(hex("40 02 00 05"), bytes(MQTT_V5, PKT_PUBACK));
    EXPECT_EQ(hex("62 02 00 05"), bytes(MQTT_V311, PKT_PUBREL));
    a.reason = RC_NOT_AUTHORIZED;
    EXPECT_EQ(hex("50 03 00 05 87"), bytes(MQTT_V5, PKT_PUBREC));
    EXPECT_EQ(hex("50 02 00 05"), bytes(MQTT_V311, PKT_PUBREC));
    a.props.has = HAS_REASON_STRING;
    a.props.reason_string = mqbx_bytes_of("no");
    EXPECT_EQ(hex("50 09 00 05 87 05 1f 00 02") + "no", bytes(MQTT_V5, PKT_PUBREC));
    a.reason = RC_SUCCESS;
    EXPECT_EQ(hex("50 09 00 05 00 05 1f 00 02") + "no", bytes(MQTT_V5, PKT_PUBREC));
}

TEST(Write, DisconnectAndAuthInTheirShortestForm)
{
    struct disconnect d = {};
    Buffer empty, reason, v3;
    mqbx_write_disconnect(&empty.w, MQTT_V5, &d);
    EXPECT_EQ(hex("e0 00"), written(empty.w));
    d.reason = RC_SESSION_TAKEN_OVER;
    mqbx_write_disconnect(&reason.w, MQTT_V5, &d);
    EXPECT_EQ(hex("e0 01 8e"), written(reason.w));
    mqbx_write_disconnect(&v3.w, MQTT_V311, &d);
    EXPECT_EQ(hex("e0 00"), written(v3.w));
    struct auth a = {};
    Buffer success, go_on;
    mqbx_write_auth(&success.w, &a);
    EXPECT_EQ(hex("f0 00"), written(success.w));
    a.reason = RC_CONTINUE_AUTHENTICATION;
    mqbx_write_auth(&go_on.w, &a);
    EXPECT_EQ(hex("f0 02 18 00"), written(go_on.w));
}

TEST(Write, ConnackOfEachVersion)
{
    struct connack c = {};
    c.session_present = true;
    c.props.has = HAS_SERVER_KEEP_ALIVE;
    c.props.server_keep_alive_s = 30;
    Buffer v31, v311, v5;
    mqbx_write_connack(&v31.w, MQTT_V31, &c);
    EXPECT_EQ(hex("20 02 00 00"), written(v31.w));
    mqbx_write_connack(&v311.w, MQTT_V311, &c);
    EXPECT_EQ(hex("20 02 01 00"), written(v311.w));
    mqbx_write_connack(&v5.w, MQTT_V5, &c);
    EXPECT_EQ(hex("20 06 01 00 03 13 00 1e"), written(v5.w));
}

// 3.1.1 [MQTT-3.9.3-2]
TEST(Write, SubackOfVersion3SaysAllFailuresAlike)
{
    std::string codes = hex("00 01 02 80 87 9e");
    struct suback s = {};
    s.packet_id = 7;
    s.codes = view(codes);
    Buffer v311, v5, none;
    mqbx_write_suback(&v311.w, MQTT_V311, &s);
    EXPECT_EQ(hex("90 08 00 07 00 01 02 80 80 80"), written(v311.w));
    mqbx_write_suback(&v5.w, MQTT_V5, &s);
    EXPECT_EQ(hex("90 09 00 07 00 00 01 02 80 87 9e"), written(v5.w));
    mqbx_write_unsuback(&none.w, MQTT_V311, &s);
    EXPECT_EQ(hex("b0 02 00 07"), written(none.w));
}

TEST(Write, PropertiesInOrderThenUserProperties)
{
    std::string user = user_prop("k", "v");
    struct props p = {};
    p.has = HAS_TOPIC_ALIAS | HAS_PAYLOAD_FORMAT | HAS_SUBSCRIPTION_ID | HAS_USER_PROPERTY;
    p.payload_format = 1;
    p.topic_alias = 3;
    p.subscription_id = 200;
    Buffer b;
    mqbx_write_props(&b.w, &p, view(user));
    EXPECT_EQ(prop_block(hex("01 01 0b c8 01 23 00 03") + user), written(b.w));
    EXPECT_EQ(b.w.len, mqbx_props_len(&p, view(user)));
}

// Whatever the size, what is there is within it, and one byte too few is an overflow.
TEST(Write, RefusesEverySizeThatIsTooSmall)
{
    PacketMaker maker(seed());
    AnyPacket p;
    for (int i = 0; i < 20; i++) {
        for (;;) {
            maker.make(PKT_PUBLISH, MQTT_V5, &p);
            if (serialise(p).size() < 500)
                break;
        }
        std::string whole = serialise(p);
        for (size_t cap = 0; cap <= whole.size(); cap++) {
            Exact room(std::string(cap, '\0'));
            struct writer w = mqbx_writer(const_cast<uint8_t *>(room.bytes().ptr), cap);
            mqbx_write_publish(&w, MQTT_V5, &p.body.publish);
            ASSERT_EQ(cap < whole.size(), w.overflow);
            ASSERT_LE(w.len, cap);
        }
    }
}

TEST(Write, RefusesWhatNoPacketCanHold)
{
    std::string long_text(65536, 'x');
    struct publish p = {};
    p.topic = view(long_text);
    std::vector<uint8_t> room(200000);
    struct writer topic = mqbx_writer(room.data(), room.size());
    mqbx_write_publish(&topic, MQTT_V5, &p);
    EXPECT_TRUE(topic.overflow);

    p.topic = mqbx_bytes_of("t");
    p.payload = bytes{room.data(), MQTT_MAX_PACKET};
    struct writer payload = mqbx_writer(room.data(), room.size());
    mqbx_write_publish(&payload, MQTT_V5, &p);
    EXPECT_TRUE(payload.overflow);
    EXPECT_LE(payload.len, 1u);

    // The longest there is: its head is written, then the buffer is full.
    p.payload.len = MQTT_MAX_PACKET - 4;
    struct writer longest = mqbx_writer(room.data(), room.size());
    mqbx_write_publish(&longest, MQTT_V5, &p);
    EXPECT_TRUE(longest.overflow);
    EXPECT_EQ(hex("30 ff ff ff 7f 00 01 74 00"),
              std::string(reinterpret_cast<char *>(longest.ptr), longest.len));
    p.payload.len++;
    longest = mqbx_writer(room.data(), room.size());
    mqbx_write_publish(&longest, MQTT_V5, &p);
    EXPECT_EQ(1u, longest.len);

    struct props props = {};
    EXPECT_EQ(MQTT_MAX_PACKET + 4, mqbx_props_len(&props, bytes{room.data(), MQTT_MAX_PACKET}));
    struct bytes user = {room.data(), UINT32_MAX};
    EXPECT_EQ(UINT32_MAX, mqbx_props_len(&props, user));
    struct writer w = mqbx_writer(room.data(), room.size());
    mqbx_write_props(&w, &props, user);
    EXPECT_TRUE(w.overflow);
    w = mqbx_writer(room.data(), room.size());
    mqbx_write_varint(&w, MQTT_MAX_PACKET + 1);
    EXPECT_TRUE(w.overflow);
}

TEST(Write, APacketOfFourLengthBytesComesBack)
{
    std::string payload(2097152, 'p');
    AnyPacket p, parsed;
    p.type = PKT_PUBLISH;
    p.body.publish.topic = mqbx_bytes_of("t");
    p.body.publish.payload = view(payload);
    std::string bytes = serialise(p);
    struct frame f;
    uint8_t reason = 0;
    ASSERT_EQ(FRAME_OK, mqbx_frame(view(bytes).ptr, bytes.size(), &f, &reason));
    EXPECT_EQ(5, f.header_len);
    Exact body(bytes.substr(f.header_len));
    ASSERT_EQ(RC_SUCCESS, parse_body(p, f.flags, body.bytes(), &parsed));
    EXPECT_EQ(payload, str(parsed.body.publish.payload));
}

} // namespace
