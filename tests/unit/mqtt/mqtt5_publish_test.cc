// SPDX-License-Identifier: MIT
//
// PUBLISH and its acknowledgements in 5.0: each statement that the packet alone can break.
#include <gtest/gtest.h>

#include "codec.hpp"

namespace
{

uint8_t with_flags(uint8_t flags, const std::string &body)
{
    return verdict_with_flags(PKT_PUBLISH, MQTT_V5, flags, body);
}

uint8_t ack_verdict(uint8_t type, const std::string &body)
{
    return verdict(type, MQTT_V5, body);
}

TEST(Mqtt5, PublishGivesAllItsFields)
{
    std::string block = u8(0x01) + u8(1) + u8(0x02) + u32(7) + u8(0x03) + field("text") + u8(0x08) +
                        field("r/t") + u8(0x09) + field("corr") + u8(0x0B) + varint(300) +
                        u8(0x0B) + varint(2) + u8(0x23) + u16(9) + user_prop("k", "v");
    Parsed p(PKT_PUBLISH, MQTT_V5, field("a/b") + u16(77) + prop_block(block) + "payload", 0x0D);
    ASSERT_EQ(RC_SUCCESS, p.rc);
    const struct ::publish &m = p.packet.body.publish;
    EXPECT_TRUE(m.dup);
    EXPECT_TRUE(m.retain);
    EXPECT_EQ(2, m.qos);
    EXPECT_EQ(77, m.packet_id);
    EXPECT_EQ("a/b", str(m.topic));
    EXPECT_EQ("payload", str(m.payload));
    EXPECT_EQ(1, m.props.payload_format);
    EXPECT_EQ(7u, m.props.message_expiry_s);
    EXPECT_EQ("text", str(m.props.content_type));
    EXPECT_EQ("r/t", str(m.props.response_topic));
    EXPECT_EQ("corr", str(m.props.correlation_data));
    EXPECT_EQ(300u, m.props.subscription_id);
    EXPECT_EQ(9, m.props.topic_alias);
}

// Also [MQTT-4.3.1-1]'s form and 3.1.1 [MQTT-2.3.1-5].
TEST(Mqtt5, MQTT_2_2_1_2_qos_0_has_no_packet_identifier)
{
    Parsed p(PKT_PUBLISH, MQTT_V5, publish5("t", "", "\x01\x02"), 0);
    ASSERT_EQ(RC_SUCCESS, p.rc);
    EXPECT_EQ(0, p.packet.body.publish.packet_id);
    EXPECT_EQ("\x01\x02", str(p.packet.body.publish.payload));
}

// Also [MQTT-2.2.1-4], which is the same for the server.
TEST(Mqtt5, MQTT_2_2_1_3_packet_identifier_is_not_zero)
{
    for (uint8_t flags : {0x02, 0x04}) {
        EXPECT_EQ(RC_PROTOCOL_ERROR, with_flags(flags, field("t") + u16(0) + prop_block("")));
        EXPECT_EQ(RC_SUCCESS, with_flags(flags, field("t") + u16(1) + prop_block("")));
        EXPECT_EQ(RC_MALFORMED_PACKET, with_flags(flags, field("t") + u8(1)));
    }
}

TEST(Mqtt5, MQTT_3_3_1_2_dup_is_zero_at_qos_0)
{
    EXPECT_EQ(RC_MALFORMED_PACKET, with_flags(0x08, publish5("t")));
    EXPECT_EQ(RC_MALFORMED_PACKET, with_flags(0x09, publish5("t")));
    EXPECT_EQ(RC_SUCCESS, with_flags(0x0A, field("t") + u16(1) + prop_block("")));
}

TEST(Mqtt5, MQTT_3_3_1_4_qos_is_not_3)
{
    for (uint8_t flags : {0x06, 0x07, 0x0E, 0x0F})
        EXPECT_EQ(RC_MALFORMED_PACKET, with_flags(flags, field("t") + u16(1) + prop_block("")));
}

TEST(Mqtt5, MQTT_3_3_2_1_topic_name_comes_first_and_is_utf8)
{
    EXPECT_EQ(RC_MALFORMED_PACKET, publish5_verdict("\xFF"));
    EXPECT_EQ(RC_MALFORMED_PACKET, publish5_verdict(std::string("a\0", 2)));
    EXPECT_EQ(RC_MALFORMED_PACKET, verdict(PKT_PUBLISH, MQTT_V5, u16(3) + "ab"));
    EXPECT_EQ(RC_MALFORMED_PACKET, verdict(PKT_PUBLISH, MQTT_V5, ""));
}

TEST(Mqtt5, MQTT_3_3_2_2_topic_name_has_no_wildcard)
{
    for (const char *topic : {"#", "+", "a/+/b", "a/#", "a+", "#a"})
        EXPECT_EQ(RC_TOPIC_NAME_INVALID, publish5_verdict(topic)) << topic;
}

// 3.3.2.1: an alias may stand for the name, and only an alias.
TEST(Mqtt5, MQTT_4_7_3_1_empty_topic_name_needs_an_alias)
{
    EXPECT_EQ(RC_PROTOCOL_ERROR, publish5_verdict(""));
    EXPECT_EQ(RC_SUCCESS, publish5_verdict("", u8(0x23) + u16(1)));
}

TEST(Mqtt5, MQTT_3_3_2_8_alias_is_not_zero)
{
    EXPECT_EQ(RC_TOPIC_ALIAS_INVALID, publish5_verdict("t", u8(0x23) + u16(0)));
    EXPECT_EQ(RC_TOPIC_ALIAS_INVALID, publish5_verdict("", u8(0x23) + u16(0)));
}

TEST(Mqtt5, MQTT_3_3_2_13_response_topic_is_utf8)
{
    EXPECT_EQ(RC_MALFORMED_PACKET, publish5_verdict("t", prop_text(0x08, "\xFF")));
}

TEST(Mqtt5, MQTT_3_3_2_14_response_topic_has_no_wildcard)
{
    for (const char *topic : {"a/+", "#", ""})
        EXPECT_EQ(RC_PROTOCOL_ERROR, publish5_verdict("t", prop_text(0x08, topic))) << topic;
    EXPECT_EQ(RC_SUCCESS, publish5_verdict("t", prop_text(0x08, "a/b")));
}

TEST(Mqtt5, MQTT_3_3_2_19_content_type_is_utf8)
{
    EXPECT_EQ(RC_MALFORMED_PACKET, publish5_verdict("t", prop_text(0x03, "\xC3")));
}

TEST(Mqtt5, PayloadFormatIsZeroOrOne)
{
    EXPECT_EQ(RC_SUCCESS, publish5_verdict("t", u8(0x01) + u8(0)));
    EXPECT_EQ(RC_SUCCESS, publish5_verdict("t", u8(0x01) + u8(1)));
    EXPECT_EQ(RC_PROTOCOL_ERROR, publish5_verdict("t", u8(0x01) + u8(2)));
}

// The codec serves both directions: it says that an identifier is there, the broker refuses it.
TEST(Mqtt5, MQTT_3_3_4_6_subscription_identifier_is_reported)
{
    Parsed p(PKT_PUBLISH, MQTT_V5, publish5("t", u8(0x0B) + varint(5) + u8(0x0B) + varint(6)), 0);
    ASSERT_EQ(RC_SUCCESS, p.rc);
    EXPECT_TRUE(p.packet.body.publish.props.has & HAS_SUBSCRIPTION_ID);
    EXPECT_EQ(5u, p.packet.body.publish.props.subscription_id);
    EXPECT_EQ(RC_PROTOCOL_ERROR, publish5_verdict("t", u8(0x0B) + varint(0)));
    EXPECT_EQ(RC_MALFORMED_PACKET, publish5_verdict("t", u8(0x0B) + hex("81 00")));
    EXPECT_EQ(RC_MALFORMED_PACKET, publish5_verdict("t", u8(0x0B) + hex("ff ff ff ff 01")));
}

TEST(Mqtt5, PublishMayHaveNoPayload)
{
    Parsed p(PKT_PUBLISH, MQTT_V5, publish5("t"), 1);
    ASSERT_EQ(RC_SUCCESS, p.rc);
    EXPECT_EQ(0u, p.packet.body.publish.payload.len);
}

// --- PUBACK, PUBREC, PUBREL, PUBCOMP ------------------------------------------------------------

const uint8_t ACKS[] = {PKT_PUBACK, PKT_PUBREC, PKT_PUBREL, PKT_PUBCOMP};

TEST(Mqtt5, AcksMayLeaveOutWhatSaysNothing)
{
    for (uint8_t type : ACKS) {
        for (const char *body : {"12 34", "12 34 00", "12 34 00 00"}) {
            Parsed p(type, MQTT_V5, hex(body), usual_flags(type));
            ASSERT_EQ(RC_SUCCESS, p.rc) << body;
            EXPECT_EQ(0x1234, p.packet.body.ack.packet_id);
            EXPECT_EQ(RC_SUCCESS, p.packet.body.ack.reason);
        }
        Parsed p(type, MQTT_V5, hex("00 01 00") + prop_block(prop_text(0x1F, "why")),
                 usual_flags(type));
        ASSERT_EQ(RC_SUCCESS, p.rc);
        EXPECT_EQ("why", str(p.packet.body.ack.props.reason_string));
        EXPECT_EQ(RC_MALFORMED_PACKET, ack_verdict(type, hex("00 01 00 00 00")));
        EXPECT_EQ(RC_MALFORMED_PACKET, ack_verdict(type, hex("00")));
        EXPECT_EQ(RC_MALFORMED_PACKET, ack_verdict(type, ""));
    }
}

TEST(Mqtt5, MQTT_2_2_1_5_acks_have_an_identifier)
{
    for (uint8_t type : ACKS)
        EXPECT_EQ(RC_PROTOCOL_ERROR, ack_verdict(type, hex("00 00")));
}

TEST(Mqtt5, MQTT_2_1_3_1_flags_of_acks_are_zero)
{
    for (uint8_t type : {PKT_PUBACK, PKT_PUBREC, PKT_PUBCOMP}) {
        for (uint8_t flags = 1; flags < 16; flags++)
            EXPECT_EQ(RC_MALFORMED_PACKET, verdict_with_flags(type, MQTT_V5, flags, hex("00 01")));
    }
}

TEST(Mqtt5, MQTT_3_6_1_1_flags_of_pubrel_are_0010)
{
    for (uint8_t flags = 0; flags < 16; flags++)
        EXPECT_EQ(flags == 2 ? RC_SUCCESS : RC_MALFORMED_PACKET,
                  verdict_with_flags(PKT_PUBREL, MQTT_V5, flags, hex("00 01")));
}

bool ack_codes_are(uint8_t type, const char *codes)
{
    return exactly_these(hex(codes),
                         [type](unsigned code) { return ack_verdict(type, u16(1) + u8(code)); });
}

TEST(Mqtt5, MQTT_3_4_2_1_puback_codes)
{
    EXPECT_TRUE(ack_codes_are(PKT_PUBACK, "00 10 80 83 87 90 91 97 99"));
}

TEST(Mqtt5, MQTT_3_5_2_1_pubrec_codes)
{
    EXPECT_TRUE(ack_codes_are(PKT_PUBREC, "00 10 80 83 87 90 91 97 99"));
}

TEST(Mqtt5, MQTT_3_6_2_1_pubrel_codes)
{
    EXPECT_TRUE(ack_codes_are(PKT_PUBREL, "00 92"));
}

TEST(Mqtt5, MQTT_3_7_2_1_pubcomp_codes)
{
    EXPECT_TRUE(ack_codes_are(PKT_PUBCOMP, "00 92"));
}

} // namespace
