// SPDX-License-Identifier: MIT
//
// CONNECT and CONNACK of 5.0: each statement of the standard that the packet alone can break.
#include <gtest/gtest.h>

#include "codec.hpp"

namespace
{

const std::string CLIENT_ID = field("id");

std::string connect(unsigned flags, const std::string &payload, const std::string &block = "")
{
    return connect_head(5, flags, block) + payload;
}

std::string connack(unsigned flags, unsigned reason, const std::string &block = "")
{
    return u8(flags) + u8(reason) + prop_block(block);
}

uint8_t connack_verdict(const std::string &body)
{
    return verdict(PKT_CONNACK, MQTT_V5, body);
}

TEST(Mqtt5, ConnectGivesAllItsFields)
{
    std::string block = u8(0x11) + u32(10) + u8(0x15) + field("SCRAM") + u8(0x16) + field("n,,") +
                        u8(0x17) + u8(0) + u8(0x19) + u8(1) + u8(0x21) + u16(20) + u8(0x22) +
                        u16(30) + u8(0x27) + u32(40) + user_prop("k", "v");
    std::string will =
        prop_block(u8(0x18) + u32(5) + u8(0x01) + u8(1)) + field("w/t") + field("bye");
    Parsed p(PKT_CONNECT, 0, connect(0xEE, CLIENT_ID + will + field("user") + field("pass"), block),
             0);
    ASSERT_EQ(RC_SUCCESS, p.rc);
    const struct ::connect &c = p.packet.body.connect;
    EXPECT_EQ(MQTT_V5, c.version);
    EXPECT_TRUE(c.clean_start);
    EXPECT_EQ(60, c.keep_alive_s);
    EXPECT_EQ("id", str(c.client_id));
    EXPECT_EQ("user", str(c.user_name));
    EXPECT_EQ("pass", str(c.password));
    EXPECT_TRUE(c.will.present);
    EXPECT_TRUE(c.will.retain);
    EXPECT_EQ(1, c.will.qos);
    EXPECT_EQ("w/t", str(c.will.topic));
    EXPECT_EQ("bye", str(c.will.payload));
    EXPECT_EQ(5u, c.will.props.will_delay_s);
    EXPECT_EQ(1, c.will.props.payload_format);
    EXPECT_EQ(10u, c.props.session_expiry_s);
    EXPECT_EQ("SCRAM", str(c.props.auth_method));
    EXPECT_EQ("n,,", str(c.props.auth_data));
    EXPECT_EQ(0, c.props.request_problem_info);
    EXPECT_EQ(1, c.props.request_response_info);
    EXPECT_EQ(20, c.props.receive_maximum);
    EXPECT_EQ(30, c.props.topic_alias_maximum);
    EXPECT_EQ(40u, c.props.maximum_packet_size);
    EXPECT_EQ(block, str(c.props.raw));
}

TEST(Mqtt5, ConnectHasTheStandardsDefaults)
{
    Parsed p(PKT_CONNECT, 0, connect(0, CLIENT_ID), 0);
    ASSERT_EQ(RC_SUCCESS, p.rc);
    EXPECT_EQ(0u, p.packet.body.connect.props.has);
    EXPECT_EQ(65535, p.packet.body.connect.props.receive_maximum);
    EXPECT_EQ(1, p.packet.body.connect.props.request_problem_info);
    EXPECT_EQ(0u, p.packet.body.connect.props.session_expiry_s);
}

TEST(Mqtt5, MQTT_2_1_3_1_connect_flags_of_the_fixed_header_are_zero)
{
    for (unsigned flags = 1; flags < 16; flags++)
        EXPECT_EQ(
            RC_MALFORMED_PACKET,
            verdict_with_flags(PKT_CONNECT, 0, static_cast<uint8_t>(flags), connect(0, CLIENT_ID)));
}

TEST(Mqtt5, MQTT_2_2_2_1_property_length_is_always_there)
{
    std::string without = field("MQTT") + u8(5) + u8(0) + u16(60);
    EXPECT_EQ(RC_MALFORMED_PACKET, connect_verdict(without));
    EXPECT_EQ(RC_SUCCESS, connect_verdict(without + u8(0) + CLIENT_ID));
}

TEST(Mqtt5, MQTT_3_1_2_1_protocol_name)
{
    for (const char *name : {"", "mqtt", "MQTt", "MQTTX", "MQT", "MQIsdp", "HTTP"})
        EXPECT_EQ(RC_UNSUPPORTED_VERSION,
                  connect_verdict(field(name) + u8(5) + u8(0) + u16(0) + u8(0) + CLIENT_ID))
            << name;
    EXPECT_EQ(RC_MALFORMED_PACKET, connect_verdict(field("MQ\xFFT") + u8(5) + u8(0) + u16(0)));
    EXPECT_EQ(RC_MALFORMED_PACKET, connect_verdict(u16(4) + "MQT"));
}

TEST(Mqtt5, MQTT_3_1_2_2_protocol_version)
{
    for (unsigned level : {0u, 1u, 2u, 3u, 6u, 7u, 0x83u, 0x84u, 0x85u, 255u}) {
        Parsed p(PKT_CONNECT, 0, field("MQTT") + u8(level) + "whatever follows", 0);
        EXPECT_EQ(RC_UNSUPPORTED_VERSION, p.rc) << level;
        EXPECT_EQ(level, p.packet.body.connect.version);
    }
    EXPECT_EQ(RC_MALFORMED_PACKET, connect_verdict(field("MQTT")));
}

TEST(Mqtt5, MQTT_3_1_2_3_reserved_connect_flag)
{
    EXPECT_EQ(RC_MALFORMED_PACKET, connect_verdict(connect(0x01, CLIENT_ID)));
    EXPECT_EQ(RC_MALFORMED_PACKET, connect_verdict(connect(0x03, CLIENT_ID)));
}

TEST(Mqtt5, MQTT_3_1_2_9_will_flag_brings_properties_topic_and_payload)
{
    std::string will = prop_block("") + field("t") + field("");
    EXPECT_EQ(RC_SUCCESS, connect_verdict(connect(0x04, CLIENT_ID + will)));
    for (size_t n = 0; n < will.size(); n++)
        EXPECT_EQ(RC_MALFORMED_PACKET,
                  connect_verdict(connect(0x04, CLIENT_ID + will.substr(0, n))));
    EXPECT_EQ(RC_MALFORMED_PACKET, connect_verdict(connect(0x00, CLIENT_ID + will)));
}

TEST(Mqtt5, MQTT_3_1_2_11_will_qos_needs_the_will_flag)
{
    EXPECT_EQ(RC_MALFORMED_PACKET, connect_verdict(connect(0x08, CLIENT_ID)));
    EXPECT_EQ(RC_MALFORMED_PACKET, connect_verdict(connect(0x10, CLIENT_ID)));
}

TEST(Mqtt5, MQTT_3_1_2_12_will_qos_is_not_3)
{
    std::string payload = CLIENT_ID + prop_block("") + field("t") + field("");
    EXPECT_EQ(RC_SUCCESS, connect_verdict(connect(0x14, payload)));
    EXPECT_EQ(RC_MALFORMED_PACKET, connect_verdict(connect(0x1C, payload)));
}

TEST(Mqtt5, MQTT_3_1_2_13_will_retain_needs_the_will_flag)
{
    EXPECT_EQ(RC_MALFORMED_PACKET, connect_verdict(connect(0x20, CLIENT_ID)));
}

TEST(Mqtt5, MQTT_3_1_2_16_no_user_name_without_its_flag)
{
    EXPECT_EQ(RC_MALFORMED_PACKET, connect_verdict(connect(0x00, CLIENT_ID + field("user"))));
}

TEST(Mqtt5, MQTT_3_1_2_17_user_name_follows_its_flag)
{
    EXPECT_EQ(RC_MALFORMED_PACKET, connect_verdict(connect(0x80, CLIENT_ID)));
    EXPECT_EQ(RC_SUCCESS, connect_verdict(connect(0x80, CLIENT_ID + field("user"))));
}

TEST(Mqtt5, MQTT_3_1_2_18_no_password_without_its_flag)
{
    EXPECT_EQ(RC_MALFORMED_PACKET,
              connect_verdict(connect(0x80, CLIENT_ID + field("user") + field("pass"))));
}

TEST(Mqtt5, MQTT_3_1_2_19_password_follows_its_flag)
{
    EXPECT_EQ(RC_MALFORMED_PACKET, connect_verdict(connect(0xC0, CLIENT_ID + field("user"))));
    EXPECT_EQ(RC_SUCCESS,
              connect_verdict(connect(0xC0, CLIENT_ID + field("user") + field("\xFF"))));
}

// 3.1.2.9: 5.0 allows what 3.1.1 forbids.
TEST(Mqtt5, PasswordWithoutUserNameIsAllowed)
{
    Parsed p(PKT_CONNECT, 0, connect(0x40, CLIENT_ID + field("token")), 0);
    ASSERT_EQ(RC_SUCCESS, p.rc);
    EXPECT_FALSE(p.packet.body.connect.has_user_name);
    EXPECT_EQ("token", str(p.packet.body.connect.password));
}

TEST(Mqtt5, MQTT_3_1_3_1_payload_is_in_order)
{
    std::string payload =
        field("1") + prop_block("") + field("2") + field("3") + field("4") + field("5");
    Parsed p(PKT_CONNECT, 0, connect(0xC4, payload), 0);
    ASSERT_EQ(RC_SUCCESS, p.rc);
    const struct ::connect &c = p.packet.body.connect;
    EXPECT_EQ("12345", str(c.client_id) + str(c.will.topic) + str(c.will.payload) +
                           str(c.user_name) + str(c.password));
}

TEST(Mqtt5, MQTT_3_1_3_3_client_id_is_there)
{
    EXPECT_EQ(RC_MALFORMED_PACKET, connect_verdict(connect(0, "")));
    EXPECT_EQ(RC_SUCCESS, connect_verdict(connect(0, field(""))));
}

TEST(Mqtt5, MQTT_3_1_3_4_client_id_is_utf8)
{
    EXPECT_EQ(RC_MALFORMED_PACKET, connect_verdict(connect(0, field("\xFF"))));
}

TEST(Mqtt5, MQTT_3_1_3_11_will_topic_is_utf8)
{
    std::string bad = CLIENT_ID + prop_block("") + field("\xC0\x80") + field("");
    EXPECT_EQ(RC_MALFORMED_PACKET, connect_verdict(connect(0x04, bad)));
}

TEST(Mqtt5, WillTopicIsATopicName)
{
    for (const char *topic : {"", "a/+", "#", "a#"}) {
        std::string payload = CLIENT_ID + prop_block("") + field(topic) + field("");
        EXPECT_EQ(RC_TOPIC_NAME_INVALID, connect_verdict(connect(0x04, payload))) << topic;
    }
}

TEST(Mqtt5, MQTT_3_1_3_12_user_name_is_utf8)
{
    EXPECT_EQ(RC_MALFORMED_PACKET,
              connect_verdict(connect(0x80, CLIENT_ID + field("\xED\xA0\x80"))));
}

TEST(Mqtt5, MQTT_3_1_4_1_nothing_follows_the_last_field)
{
    EXPECT_EQ(RC_MALFORMED_PACKET, connect_verdict(connect(0, CLIENT_ID) + u8(0)));
    std::string whole = connect(0, CLIENT_ID);
    for (size_t n = 0; n < whole.size(); n++)
        EXPECT_EQ(RC_MALFORMED_PACKET, connect_verdict(whole.substr(0, n))) << n;
}

// --- CONNACK -----------------------------------------------------------------------------------

TEST(Mqtt5, ConnackGivesAllItsFields)
{
    std::string block = u8(0x11) + u32(1) + u8(0x21) + u16(2) + u8(0x24) + u8(1) + u8(0x25) +
                        u8(0) + u8(0x27) + u32(3) + u8(0x12) + field("assigned") + u8(0x22) +
                        u16(4) + u8(0x1F) + field("why") + u8(0x28) + u8(1) + u8(0x29) + u8(1) +
                        u8(0x2A) + u8(1) + u8(0x13) + u16(5) + u8(0x1A) + field("info") + u8(0x1C) +
                        field("there");
    Parsed p(PKT_CONNACK, MQTT_V5, connack(1, 0, block), 0);
    ASSERT_EQ(RC_SUCCESS, p.rc);
    const struct ::connack &c = p.packet.body.connack;
    EXPECT_TRUE(c.session_present);
    EXPECT_EQ(1u, c.props.session_expiry_s);
    EXPECT_EQ(2, c.props.receive_maximum);
    EXPECT_EQ(1, c.props.maximum_qos);
    EXPECT_EQ(0, c.props.retain_available);
    EXPECT_EQ(3u, c.props.maximum_packet_size);
    EXPECT_EQ("assigned", str(c.props.assigned_client_id));
    EXPECT_EQ(4, c.props.topic_alias_maximum);
    EXPECT_EQ("why", str(c.props.reason_string));
    EXPECT_EQ(1, c.props.wildcard_available);
    EXPECT_EQ(1, c.props.subscription_id_available);
    EXPECT_EQ(1, c.props.shared_available);
    EXPECT_EQ(5, c.props.server_keep_alive_s);
    EXPECT_EQ("info", str(c.props.response_info));
    EXPECT_EQ("there", str(c.props.server_reference));
}

TEST(Mqtt5, MQTT_3_2_2_1_connack_flags_are_zero_but_the_first)
{
    EXPECT_EQ(RC_SUCCESS, connack_verdict(connack(1, 0)));
    for (unsigned flags = 2; flags < 256; flags++)
        EXPECT_EQ(RC_MALFORMED_PACKET, connack_verdict(connack(flags, 0)));
}

TEST(Mqtt5, MQTT_3_2_2_6_refusal_has_no_session_present)
{
    EXPECT_EQ(RC_PROTOCOL_ERROR, connack_verdict(connack(1, RC_NOT_AUTHORIZED)));
    EXPECT_EQ(RC_SUCCESS, connack_verdict(connack(0, RC_NOT_AUTHORIZED)));
}

TEST(Mqtt5, MQTT_3_2_2_8_connack_codes)
{
    EXPECT_TRUE(
        exactly_these(hex("00 80 81 82 83 84 85 86 87 88 89 8a 8c 90 95 97 99 9a 9b 9c 9d 9f"),
                      [](unsigned code) { return connack_verdict(connack(0, code)); }));
}

TEST(Mqtt5, ConnackPropertyValuesHaveTheirRanges)
{
    for (unsigned id : {0x24u, 0x25u, 0x28u, 0x29u, 0x2Au}) {
        EXPECT_EQ(RC_SUCCESS, connack_verdict(connack(0, 0, u8(id) + u8(1))));
        EXPECT_EQ(RC_PROTOCOL_ERROR, connack_verdict(connack(0, 0, u8(id) + u8(2))));
    }
    EXPECT_EQ(RC_PROTOCOL_ERROR, connack_verdict(connack(0, 0, u8(0x21) + u16(0))));
    EXPECT_EQ(RC_PROTOCOL_ERROR, connack_verdict(connack(0, 0, u8(0x27) + u32(0))));
}

} // namespace
