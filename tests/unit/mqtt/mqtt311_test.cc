// SPDX-License-Identifier: MIT
//
// 3.1.1 (and 3.1, where it differs): each statement of the standard that the packet alone can
// break. In these versions every fault closes the connection; the code is for the log.
#include <gtest/gtest.h>

#include "codec.hpp"

namespace
{

const std::string CLIENT_ID = field("id");

uint8_t v311(uint8_t type, const std::string &body)
{
    return verdict(type, MQTT_V311, body);
}

uint8_t connect(unsigned flags, const std::string &payload)
{
    return connect_verdict(connect_head(4, flags) + payload);
}

uint8_t publish(uint8_t flags, const std::string &body)
{
    return verdict_with_flags(PKT_PUBLISH, MQTT_V311, flags, body);
}

TEST(Mqtt311, ConnectGivesAllItsFields)
{
    Parsed p(
        PKT_CONNECT, 0,
        connect_head(4, 0xF6) + CLIENT_ID + field("w") + field("bye") + field("u") + field("p"), 0);
    ASSERT_EQ(RC_SUCCESS, p.rc);
    const struct ::connect &c = p.packet.body.connect;
    EXPECT_EQ(MQTT_V311, c.version);
    EXPECT_TRUE(c.clean_start);
    EXPECT_EQ("id", str(c.client_id));
    EXPECT_EQ(2, c.will.qos);
    EXPECT_TRUE(c.will.retain);
    EXPECT_EQ("w", str(c.will.topic));
    EXPECT_EQ("bye", str(c.will.payload));
    EXPECT_EQ("u", str(c.user_name));
    EXPECT_EQ("p", str(c.password));
    EXPECT_EQ(65535, c.props.receive_maximum);
    EXPECT_EQ(1, c.props.request_problem_info);
}

TEST(Mqtt311, MQTT_1_5_3_1_texts_are_utf8)
{
    for (const char *bad : {"ff", "c0 80", "ed a0 80", "e2 82"})
        EXPECT_EQ(RC_MALFORMED_PACKET, connect(0, field(hex(bad)))) << bad;
}

TEST(Mqtt311, MQTT_1_5_3_2_texts_have_no_nul)
{
    EXPECT_EQ(RC_MALFORMED_PACKET, connect(0, field(std::string("a\0", 2))));
}

TEST(Mqtt311, MQTT_1_5_3_3_byte_order_mark_is_kept)
{
    Parsed p(PKT_PUBLISH, MQTT_V311, field("\xEF\xBB\xBFt"), 0);
    ASSERT_EQ(RC_SUCCESS, p.rc);
    EXPECT_EQ("\xEF\xBB\xBFt", str(p.packet.body.publish.topic));
}

// Also [MQTT-3.6.1-1], [MQTT-3.8.1-1], [MQTT-3.10.1-1], [MQTT-3.14.1-1].
TEST(Mqtt311, MQTT_2_2_2_1_reserved_flags)
{
    struct {
        uint8_t type;
        uint8_t flags;
        std::string body;
    } const packets[] = {
        {PKT_CONNECT, 0, connect_head(4, 0) + CLIENT_ID},
        {PKT_CONNACK, 0, hex("00 00")},
        {PKT_PUBACK, 0, hex("00 01")},
        {PKT_PUBREC, 0, hex("00 01")},
        {PKT_PUBREL, 2, hex("00 01")},
        {PKT_PUBCOMP, 0, hex("00 01")},
        {PKT_SUBSCRIBE, 2, u16(1) + field("a") + u8(0)},
        {PKT_SUBACK, 0, hex("00 01 00")},
        {PKT_UNSUBSCRIBE, 2, u16(1) + field("a")},
        {PKT_UNSUBACK, 0, hex("00 01")},
        {PKT_PINGREQ, 0, ""},
        {PKT_PINGRESP, 0, ""},
        {PKT_DISCONNECT, 0, ""},
    };
    for (const auto &p : packets) {
        for (uint8_t flags = 0; flags < 16; flags++)
            EXPECT_EQ(flags == p.flags ? RC_SUCCESS : RC_MALFORMED_PACKET,
                      verdict_with_flags(p.type, MQTT_V311, flags, p.body))
                << mqbx_packet_name(p.type) << " " << +flags;
    }
}

// Also [MQTT-2.3.1-4] and the identifiers of the answers, [MQTT-2.3.1-6], [MQTT-2.3.1-7].
TEST(Mqtt311, MQTT_2_3_1_1_packet_identifier_is_not_zero)
{
    EXPECT_EQ(RC_PROTOCOL_ERROR, publish(0x02, field("t") + u16(0)));
    EXPECT_EQ(RC_PROTOCOL_ERROR, v311(PKT_SUBSCRIBE, u16(0) + field("a") + u8(0)));
    EXPECT_EQ(RC_PROTOCOL_ERROR, v311(PKT_UNSUBSCRIBE, u16(0) + field("a")));
    EXPECT_EQ(RC_PROTOCOL_ERROR, v311(PKT_SUBACK, u16(0) + u8(0)));
    for (uint8_t type : {PKT_PUBACK, PKT_PUBREC, PKT_PUBREL, PKT_PUBCOMP, PKT_UNSUBACK})
        EXPECT_EQ(RC_PROTOCOL_ERROR, v311(type, u16(0)));
}

TEST(Mqtt311, MQTT_2_3_1_5_qos_0_has_no_packet_identifier)
{
    Parsed p(PKT_PUBLISH, MQTT_V311, field("t") + "xy", 0);
    ASSERT_EQ(RC_SUCCESS, p.rc);
    EXPECT_EQ("xy", str(p.packet.body.publish.payload));
}

TEST(Mqtt311, MQTT_3_1_2_1_protocol_name)
{
    EXPECT_EQ(RC_UNSUPPORTED_VERSION,
              connect_verdict(field("MQIsdp") + u8(4) + u8(0) + u16(0) + CLIENT_ID));
    EXPECT_EQ(RC_UNSUPPORTED_VERSION,
              connect_verdict(field("MQtt") + u8(4) + u8(0) + u16(0) + CLIENT_ID));
}

TEST(Mqtt311, MQTT_3_1_2_2_protocol_level)
{
    EXPECT_EQ(RC_UNSUPPORTED_VERSION,
              connect_verdict(field("MQTT") + u8(3) + u8(0) + u16(0) + CLIENT_ID));
    EXPECT_EQ(RC_UNSUPPORTED_VERSION,
              connect_verdict(field("MQTT") + u8(0x84) + u8(0) + u16(0) + CLIENT_ID));
}

TEST(Mqtt311, MQTT_3_1_2_3_reserved_connect_flag)
{
    EXPECT_EQ(RC_MALFORMED_PACKET, connect(0x01, CLIENT_ID));
}

TEST(Mqtt311, MQTT_3_1_2_9_will_flag_brings_topic_and_message)
{
    EXPECT_EQ(RC_SUCCESS, connect(0x04, CLIENT_ID + field("t") + field("")));
    EXPECT_EQ(RC_MALFORMED_PACKET, connect(0x04, CLIENT_ID + field("t")));
    EXPECT_EQ(RC_MALFORMED_PACKET, connect(0x04, CLIENT_ID));
}

TEST(Mqtt311, MQTT_3_1_2_11_no_will_fields_without_the_flag)
{
    EXPECT_EQ(RC_MALFORMED_PACKET, connect(0x00, CLIENT_ID + field("t") + field("")));
}

TEST(Mqtt311, MQTT_3_1_2_13_will_qos_needs_the_will_flag)
{
    EXPECT_EQ(RC_MALFORMED_PACKET, connect(0x08, CLIENT_ID));
    EXPECT_EQ(RC_MALFORMED_PACKET, connect(0x10, CLIENT_ID));
}

TEST(Mqtt311, MQTT_3_1_2_14_will_qos_is_not_3)
{
    EXPECT_EQ(RC_MALFORMED_PACKET, connect(0x1C, CLIENT_ID + field("t") + field("")));
}

TEST(Mqtt311, MQTT_3_1_2_15_will_retain_needs_the_will_flag)
{
    EXPECT_EQ(RC_MALFORMED_PACKET, connect(0x20, CLIENT_ID));
}

TEST(Mqtt311, MQTT_3_1_2_18_no_user_name_without_its_flag)
{
    EXPECT_EQ(RC_MALFORMED_PACKET, connect(0x00, CLIENT_ID + field("u")));
}

TEST(Mqtt311, MQTT_3_1_2_19_user_name_follows_its_flag)
{
    EXPECT_EQ(RC_MALFORMED_PACKET, connect(0x80, CLIENT_ID));
    EXPECT_EQ(RC_SUCCESS, connect(0x80, CLIENT_ID + field("u")));
}

TEST(Mqtt311, MQTT_3_1_2_20_no_password_without_its_flag)
{
    EXPECT_EQ(RC_MALFORMED_PACKET, connect(0x80, CLIENT_ID + field("u") + field("p")));
}

TEST(Mqtt311, MQTT_3_1_2_21_password_follows_its_flag)
{
    EXPECT_EQ(RC_MALFORMED_PACKET, connect(0xC0, CLIENT_ID + field("u")));
    EXPECT_EQ(RC_SUCCESS, connect(0xC0, CLIENT_ID + field("u") + field("\xFF")));
}

TEST(Mqtt311, MQTT_3_1_2_22_password_needs_a_user_name)
{
    EXPECT_EQ(RC_MALFORMED_PACKET, connect(0x40, CLIENT_ID + field("p")));
}

TEST(Mqtt311, MQTT_3_1_3_1_payload_is_in_order)
{
    Parsed p(PKT_CONNECT, 0,
             connect_head(4, 0xC4) + field("1") + field("2") + field("3") + field("4") + field("5"),
             0);
    ASSERT_EQ(RC_SUCCESS, p.rc);
    const struct ::connect &c = p.packet.body.connect;
    EXPECT_EQ("12345", str(c.client_id) + str(c.will.topic) + str(c.will.payload) +
                           str(c.user_name) + str(c.password));
}

TEST(Mqtt311, MQTT_3_1_3_3_client_id_is_there)
{
    EXPECT_EQ(RC_MALFORMED_PACKET, connect(0, ""));
    EXPECT_EQ(RC_SUCCESS, connect(0, field("")));
}

TEST(Mqtt311, MQTT_3_1_3_4_client_id_is_utf8)
{
    EXPECT_EQ(RC_MALFORMED_PACKET, connect(0, field("\xFF")));
}

TEST(Mqtt311, MQTT_3_1_3_10_will_topic_is_utf8)
{
    EXPECT_EQ(RC_MALFORMED_PACKET, connect(0x04, CLIENT_ID + field("\xFF") + field("")));
    EXPECT_EQ(RC_TOPIC_NAME_INVALID, connect(0x04, CLIENT_ID + field("a/#") + field("")));
}

TEST(Mqtt311, MQTT_3_1_3_11_user_name_is_utf8)
{
    EXPECT_EQ(RC_MALFORMED_PACKET, connect(0x80, CLIENT_ID + field("\xFF")));
}

TEST(Mqtt311, MQTT_3_1_4_1_connect_is_neither_longer_nor_shorter_than_its_fields)
{
    EXPECT_EQ(RC_MALFORMED_PACKET, connect(0, CLIENT_ID + u8(0)));
    std::string whole = connect_head(4, 0) + CLIENT_ID;
    for (size_t n = 0; n < whole.size(); n++)
        EXPECT_EQ(RC_MALFORMED_PACKET, connect_verdict(whole.substr(0, n))) << n;
}

TEST(Mqtt311, MQTT_3_2_2_4_refusal_has_no_session_present)
{
    EXPECT_EQ(RC_SUCCESS, v311(PKT_CONNACK, hex("01 00")));
    EXPECT_EQ(RC_PROTOCOL_ERROR, v311(PKT_CONNACK, hex("01 05")));
    EXPECT_EQ(RC_PROTOCOL_ERROR, v311(PKT_CONNACK, hex("00 06")));
    EXPECT_EQ(RC_MALFORMED_PACKET, v311(PKT_CONNACK, hex("02 00")));
    EXPECT_EQ(RC_MALFORMED_PACKET, v311(PKT_CONNACK, hex("00 00 00")));
}

TEST(Mqtt311, MQTT_3_3_1_2_dup_is_zero_at_qos_0)
{
    EXPECT_EQ(RC_MALFORMED_PACKET, publish(0x08, field("t")));
}

TEST(Mqtt311, MQTT_3_3_1_4_qos_is_not_3)
{
    EXPECT_EQ(RC_MALFORMED_PACKET, publish(0x06, field("t") + u16(1)));
}

TEST(Mqtt311, MQTT_3_3_2_1_topic_name_is_utf8)
{
    EXPECT_EQ(RC_MALFORMED_PACKET, publish(0, field("\xFF")));
    EXPECT_EQ(RC_MALFORMED_PACKET, publish(0, u16(2) + "t"));
}

// Also [MQTT-4.7.1-1].
TEST(Mqtt311, MQTT_3_3_2_2_topic_name_has_no_wildcard)
{
    EXPECT_EQ(RC_TOPIC_NAME_INVALID, publish(0, field("a/+")));
    EXPECT_EQ(RC_TOPIC_NAME_INVALID, publish(0, field("#")));
}

TEST(Mqtt311, MQTT_4_7_3_1_topic_name_has_a_character)
{
    EXPECT_EQ(RC_MALFORMED_PACKET, publish(0, field("")));
}

TEST(Mqtt311, MQTT_3_8_3_1_filters_are_utf8)
{
    EXPECT_EQ(RC_MALFORMED_PACKET, v311(PKT_SUBSCRIBE, u16(1) + field("\xFF") + u8(0)));
}

TEST(Mqtt311, MQTT_3_8_3_3_subscribe_has_a_filter_with_a_qos)
{
    EXPECT_EQ(RC_PROTOCOL_ERROR, v311(PKT_SUBSCRIBE, u16(1)));
    EXPECT_EQ(RC_MALFORMED_PACKET, v311(PKT_SUBSCRIBE, u16(1) + field("a")));
}

// 3.8.3: the upper six bits are reserved.
TEST(Mqtt311, RequestedQosIs0To2)
{
    for (unsigned qos = 0; qos < 256; qos++)
        EXPECT_EQ(qos < 3 ? RC_SUCCESS : RC_MALFORMED_PACKET,
                  v311(PKT_SUBSCRIBE, u16(1) + field("a") + u8(qos)));
}

TEST(Mqtt311, MQTT_3_9_3_2_suback_codes)
{
    EXPECT_TRUE(exactly_these(hex("00 01 02 80"),
                              [](unsigned code) { return v311(PKT_SUBACK, u16(1) + u8(code)); }));
    EXPECT_EQ(RC_PROTOCOL_ERROR, v311(PKT_SUBACK, u16(1)));
}

TEST(Mqtt311, MQTT_3_10_3_1_unsubscribe_filters_are_utf8)
{
    EXPECT_EQ(RC_MALFORMED_PACKET, v311(PKT_UNSUBSCRIBE, u16(1) + field("\xFF")));
}

TEST(Mqtt311, MQTT_3_10_3_2_unsubscribe_has_a_filter)
{
    EXPECT_EQ(RC_PROTOCOL_ERROR, v311(PKT_UNSUBSCRIBE, u16(1)));
}

TEST(Mqtt311, SmallPacketsHaveNothingBehindTheirFields)
{
    for (uint8_t type : {PKT_PUBACK, PKT_PUBREC, PKT_PUBREL, PKT_PUBCOMP, PKT_UNSUBACK}) {
        EXPECT_EQ(RC_SUCCESS, v311(type, hex("00 01")));
        EXPECT_EQ(RC_MALFORMED_PACKET, v311(type, hex("00 01 00")));
    }
    EXPECT_EQ(RC_MALFORMED_PACKET, v311(PKT_DISCONNECT, u8(0)));
    EXPECT_EQ(RC_MALFORMED_PACKET, v311(PKT_PINGREQ, u8(0)));
    EXPECT_EQ(RC_PROTOCOL_ERROR, Parsed(PKT_DISCONNECT, MQTT_V311, "", 0, true).rc);
}

// --- 3.1 -----------------------------------------------------------------------------------------

TEST(Mqtt31, ConnectIsKnownByItsNameAndLevel)
{
    Parsed p(PKT_CONNECT, 0, connect_head(3, 0x02) + CLIENT_ID, 0);
    ASSERT_EQ(RC_SUCCESS, p.rc);
    EXPECT_EQ(MQTT_V31, p.packet.body.connect.version);
    EXPECT_EQ(RC_UNSUPPORTED_VERSION,
              connect_verdict(field("MQIsdp") + u8(5) + u8(0) + u16(0) + u8(0)));
}

// These packets have QoS 1 there, and a resend says so.
TEST(Mqtt31, DupMayBeSetWhereQosIs1)
{
    EXPECT_EQ(RC_SUCCESS, verdict_with_flags(PKT_PUBREL, MQTT_V31, 0x0A, hex("00 01")));
    EXPECT_EQ(RC_SUCCESS,
              verdict_with_flags(PKT_SUBSCRIBE, MQTT_V31, 0x0A, u16(1) + field("a") + u8(0)));
    EXPECT_EQ(RC_SUCCESS, verdict_with_flags(PKT_UNSUBSCRIBE, MQTT_V31, 0x0A, u16(1) + field("a")));
    EXPECT_EQ(RC_MALFORMED_PACKET, verdict_with_flags(PKT_PUBREL, MQTT_V31, 0x08, hex("00 01")));
    EXPECT_EQ(RC_MALFORMED_PACKET, verdict_with_flags(PKT_PUBREL, MQTT_V31, 0x03, hex("00 01")));
}

TEST(Mqtt31, ConnectFlagsThatMeanNothingAreIgnored)
{
    EXPECT_EQ(RC_SUCCESS, connect_verdict(connect_head(3, 0x39) + CLIENT_ID));
    EXPECT_EQ(RC_MALFORMED_PACKET,
              connect_verdict(connect_head(3, 0x1C) + CLIENT_ID + field("t") + field("")));
    EXPECT_EQ(RC_MALFORMED_PACKET, connect_verdict(connect_head(3, 0x40) + CLIENT_ID + field("p")));
}

// The remaining length takes precedence over the user name and password flags.
TEST(Mqtt31, UserNameAndPasswordMayBeMissing)
{
    Parsed none(PKT_CONNECT, 0, connect_head(3, 0xC0) + CLIENT_ID, 0);
    ASSERT_EQ(RC_SUCCESS, none.rc);
    EXPECT_FALSE(none.packet.body.connect.has_user_name);
    EXPECT_FALSE(none.packet.body.connect.has_password);
    Parsed user(PKT_CONNECT, 0, connect_head(3, 0xC0) + CLIENT_ID + field("u"), 0);
    ASSERT_EQ(RC_SUCCESS, user.rc);
    EXPECT_TRUE(user.packet.body.connect.has_user_name);
    EXPECT_FALSE(user.packet.body.connect.has_password);
    EXPECT_EQ(RC_MALFORMED_PACKET, connect_verdict(connect_head(3, 0xC0) + CLIENT_ID + u16(2)));
}

} // namespace
