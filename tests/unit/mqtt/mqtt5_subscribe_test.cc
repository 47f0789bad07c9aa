// SPDX-License-Identifier: MIT
//
// SUBSCRIBE, UNSUBSCRIBE, their answers, and the packets that end or keep a connection, in 5.0:
// each statement that the packet alone can break.
#include <gtest/gtest.h>

#include "codec.hpp"

namespace
{

std::string subscribe(const std::string &filters, const std::string &block = "")
{
    return u16(10) + prop_block(block) + filters;
}

uint8_t subscribe_verdict(const std::string &body)
{
    return verdict(PKT_SUBSCRIBE, MQTT_V5, body);
}

uint8_t option_verdict(const std::string &filter, unsigned options)
{
    return subscribe_verdict(subscribe(field(filter) + u8(options)));
}

uint8_t disconnect_verdict(const std::string &body, bool from_server)
{
    return Parsed(PKT_DISCONNECT, MQTT_V5, body, 0, from_server).rc;
}

uint8_t auth_verdict(const std::string &body)
{
    return verdict(PKT_AUTH, MQTT_V5, body);
}

const std::string METHOD = prop_text(0x15, "SCRAM-SHA-256");

TEST(Mqtt5, SubscribeGivesAllItsFields)
{
    Parsed p(PKT_SUBSCRIBE, MQTT_V5,
             subscribe(field("a/+") + u8(0x2E) + field("b") + u8(0x11), u8(0x0B) + varint(77)), 2);
    ASSERT_EQ(RC_SUCCESS, p.rc);
    EXPECT_EQ(10, p.packet.body.subscribe.packet_id);
    EXPECT_EQ(77u, p.packet.body.subscribe.props.subscription_id);
    EXPECT_EQ(2u, p.packet.body.subscribe.count);
    ASSERT_EQ(2u, p.packet.filters.size());
    const struct subscribe_filter &a = p.packet.filters[0], &b = p.packet.filters[1];
    EXPECT_EQ("a/+", str(a.filter));
    EXPECT_EQ(2, a.qos);
    EXPECT_TRUE(a.no_local);
    EXPECT_TRUE(a.retain_as_published);
    EXPECT_EQ(2, a.retain_handling);
    EXPECT_EQ("b", str(b.filter));
    EXPECT_EQ(1, b.qos);
    EXPECT_FALSE(b.no_local);
    EXPECT_FALSE(b.retain_as_published);
    EXPECT_EQ(1, b.retain_handling);
}

TEST(Mqtt5, MQTT_3_8_1_1_flags_of_subscribe_are_0010)
{
    for (uint8_t flags = 0; flags < 16; flags++)
        EXPECT_EQ(flags == 2 ? RC_SUCCESS : RC_MALFORMED_PACKET,
                  verdict_with_flags(PKT_SUBSCRIBE, MQTT_V5, flags, subscribe(field("a") + u8(0))));
}

TEST(Mqtt5, MQTT_3_8_3_1_filters_are_utf8)
{
    EXPECT_EQ(RC_MALFORMED_PACKET, option_verdict("\xFF", 0));
    EXPECT_EQ(RC_MALFORMED_PACKET,
              subscribe_verdict(subscribe(field("a") + u8(0) + field("\xC3") + u8(0))));
}

TEST(Mqtt5, MQTT_3_8_3_2_subscribe_has_a_filter_with_options)
{
    EXPECT_EQ(RC_PROTOCOL_ERROR, subscribe_verdict(subscribe("")));
    EXPECT_EQ(RC_MALFORMED_PACKET, subscribe_verdict(subscribe(field("a"))));
    EXPECT_EQ(RC_MALFORMED_PACKET, subscribe_verdict(subscribe(field("a") + u8(0) + field("b"))));
}

TEST(Mqtt5, MQTT_3_8_3_4_no_local_on_a_shared_subscription)
{
    EXPECT_EQ(RC_PROTOCOL_ERROR, option_verdict("$share/g/a", 0x04));
    EXPECT_EQ(RC_PROTOCOL_ERROR, option_verdict("$share/g", 0x04));
    EXPECT_EQ(RC_SUCCESS, option_verdict("$share/g/a", 0x00));
    EXPECT_EQ(RC_SUCCESS, option_verdict("$shared/g/a", 0x04));
}

TEST(Mqtt5, MQTT_3_8_3_5_reserved_option_bits)
{
    for (unsigned options : {0x40u, 0x80u, 0xC0u, 0x81u})
        EXPECT_EQ(RC_MALFORMED_PACKET, option_verdict("a", options));
}

TEST(Mqtt5, QosAndRetainHandling3AreProtocolErrors)
{
    EXPECT_EQ(RC_PROTOCOL_ERROR, option_verdict("a", 0x03));
    EXPECT_EQ(RC_PROTOCOL_ERROR, option_verdict("a", 0x30));
    EXPECT_EQ(RC_SUCCESS, option_verdict("a", 0x2E));
}

TEST(Mqtt5, MQTT_2_2_1_3_subscribe_and_unsubscribe_have_an_identifier)
{
    EXPECT_EQ(RC_PROTOCOL_ERROR, subscribe_verdict(u16(0) + prop_block("") + field("a") + u8(0)));
    EXPECT_EQ(RC_PROTOCOL_ERROR,
              verdict(PKT_UNSUBSCRIBE, MQTT_V5, u16(0) + prop_block("") + field("a")));
}

TEST(Mqtt5, SubscriptionIdentifierOfSubscribeIsOneAndNotZero)
{
    std::string filter = field("a") + u8(0);
    EXPECT_EQ(RC_PROTOCOL_ERROR, subscribe_verdict(subscribe(filter, u8(0x0B) + u8(0))));
    EXPECT_EQ(RC_PROTOCOL_ERROR, subscribe_verdict(subscribe(filter, hex("0b 01 0b 02"))));
    EXPECT_EQ(RC_SUCCESS, subscribe_verdict(subscribe(filter, u8(0x0B) + varint(MQTT_MAX_PACKET))));
}

TEST(Mqtt5, FilterSyntaxIsAnsweredFilterByFilter)
{
    EXPECT_EQ(RC_SUCCESS, option_verdict("a/#/b", 0));
    EXPECT_EQ(RC_SUCCESS, option_verdict("", 0));
}

// --- UNSUBSCRIBE ---------------------------------------------------------------------------------

TEST(Mqtt5, MQTT_3_10_1_1_flags_of_unsubscribe_are_0010)
{
    for (uint8_t flags = 0; flags < 16; flags++)
        EXPECT_EQ(flags == 2 ? RC_SUCCESS : RC_MALFORMED_PACKET,
                  verdict_with_flags(PKT_UNSUBSCRIBE, MQTT_V5, flags, subscribe(field("a"))));
}

TEST(Mqtt5, MQTT_3_10_3_1_unsubscribe_filters_are_utf8)
{
    EXPECT_EQ(RC_MALFORMED_PACKET, verdict(PKT_UNSUBSCRIBE, MQTT_V5, subscribe(field("\xFF"))));
}

TEST(Mqtt5, MQTT_3_10_3_2_unsubscribe_has_a_filter)
{
    EXPECT_EQ(RC_PROTOCOL_ERROR, verdict(PKT_UNSUBSCRIBE, MQTT_V5, subscribe("")));
    Parsed p(PKT_UNSUBSCRIBE, MQTT_V5, subscribe(field("a") + field("b/#")), 2);
    ASSERT_EQ(RC_SUCCESS, p.rc);
    ASSERT_EQ(2u, p.packet.topics.size());
    EXPECT_EQ("b/#", str(p.packet.topics[1]));
}

// --- SUBACK and UNSUBACK -------------------------------------------------------------------------

TEST(Mqtt5, MQTT_3_8_4_6_answers_have_a_code)
{
    EXPECT_EQ(RC_PROTOCOL_ERROR, verdict(PKT_SUBACK, MQTT_V5, subscribe("")));
    EXPECT_EQ(RC_PROTOCOL_ERROR, verdict(PKT_UNSUBACK, MQTT_V5, subscribe("")));
    EXPECT_EQ(RC_PROTOCOL_ERROR, verdict(PKT_SUBACK, MQTT_V5, u16(0) + prop_block("") + u8(0)));
}

// Also [MQTT-3.11.3-1].
TEST(Mqtt5, MQTT_3_9_3_1_codes_keep_their_order)
{
    Parsed p(PKT_SUBACK, MQTT_V5, subscribe(hex("02 80 01 00")), 0);
    ASSERT_EQ(RC_SUCCESS, p.rc);
    EXPECT_EQ(hex("02 80 01 00"), str(p.packet.body.suback.codes));
    Parsed q(PKT_UNSUBACK, MQTT_V5, subscribe(hex("11 00 87")), 0);
    ASSERT_EQ(RC_SUCCESS, q.rc);
    EXPECT_EQ(hex("11 00 87"), str(q.packet.body.suback.codes));
}

TEST(Mqtt5, MQTT_3_9_3_2_suback_codes)
{
    EXPECT_TRUE(exactly_these(hex("00 01 02 80 83 87 8f 91 97 9e a1 a2"), [](unsigned code) {
        return verdict(PKT_SUBACK, MQTT_V5, subscribe(u8(0) + u8(code)));
    }));
}

TEST(Mqtt5, MQTT_3_11_3_2_unsuback_codes)
{
    EXPECT_TRUE(exactly_these(hex("00 11 80 83 87 8f 91"), [](unsigned code) {
        return verdict(PKT_UNSUBACK, MQTT_V5, subscribe(u8(0) + u8(code)));
    }));
}

// --- PINGREQ, PINGRESP, DISCONNECT, AUTH ---------------------------------------------------------

TEST(Mqtt5, PingsAreEmpty)
{
    for (uint8_t type : {PKT_PINGREQ, PKT_PINGRESP}) {
        EXPECT_EQ(RC_SUCCESS, verdict(type, MQTT_V5, ""));
        EXPECT_EQ(RC_MALFORMED_PACKET, verdict(type, MQTT_V5, u8(0)));
        EXPECT_EQ(RC_MALFORMED_PACKET, verdict_with_flags(type, MQTT_V5, 1, ""));
    }
}

TEST(Mqtt5, DisconnectMayLeaveOutWhatSaysNothing)
{
    for (bool from_server : {false, true}) {
        EXPECT_EQ(RC_SUCCESS, disconnect_verdict("", from_server));
        EXPECT_EQ(RC_SUCCESS, disconnect_verdict(hex("81"), from_server));
        EXPECT_EQ(RC_SUCCESS, disconnect_verdict(hex("00 00"), from_server));
        EXPECT_EQ(RC_MALFORMED_PACKET, disconnect_verdict(hex("00 00 00"), from_server));
    }
    Parsed p(PKT_DISCONNECT, MQTT_V5, u8(4) + prop_block(u8(0x11) + u32(9)), 0);
    ASSERT_EQ(RC_SUCCESS, p.rc);
    EXPECT_EQ(RC_DISCONNECT_WITH_WILL, p.packet.body.disconnect.reason);
    EXPECT_EQ(9u, p.packet.body.disconnect.props.session_expiry_s);
}

TEST(Mqtt5, MQTT_3_14_1_1_disconnect_flags_are_zero)
{
    for (uint8_t flags = 1; flags < 16; flags++)
        EXPECT_EQ(RC_MALFORMED_PACKET, verdict_with_flags(PKT_DISCONNECT, MQTT_V5, flags, ""));
}

TEST(Mqtt5, MQTT_3_14_2_1_disconnect_codes_of_each_side)
{
    EXPECT_TRUE(exactly_these(hex("00 04 80 81 82 83 90 93 94 95 96 97 98 99"),
                              [](unsigned code) { return disconnect_verdict(u8(code), false); }));
    EXPECT_TRUE(
        exactly_these(hex("00 80 81 82 83 87 89 8b 8c 8d 8e 8f 90 93 94 95 96 97 98 99 9a 9b 9c"
                          "9d 9e 9f a0 a1 a2"),
                      [](unsigned code) { return disconnect_verdict(u8(code), true); }));
}

TEST(Mqtt5, MQTT_3_14_2_2_server_disconnect_has_no_session_expiry)
{
    std::string body = u8(0x81) + prop_block(u8(0x11) + u32(9));
    EXPECT_EQ(RC_SUCCESS, disconnect_verdict(body, false));
    EXPECT_EQ(RC_PROTOCOL_ERROR, disconnect_verdict(body, true));
}

TEST(Mqtt5, MQTT_3_15_1_1_auth_flags_are_zero)
{
    for (uint8_t flags = 1; flags < 16; flags++)
        EXPECT_EQ(RC_MALFORMED_PACKET,
                  verdict_with_flags(PKT_AUTH, MQTT_V5, flags, u8(0x18) + prop_block(METHOD)));
}

TEST(Mqtt5, MQTT_3_15_2_1_auth_codes)
{
    EXPECT_TRUE(exactly_these(hex("00 18 19"), [](unsigned code) {
        return auth_verdict(u8(code) + prop_block(METHOD));
    }));
}

TEST(Mqtt5, MQTT_4_12_0_5_auth_has_a_method)
{
    EXPECT_EQ(RC_PROTOCOL_ERROR, auth_verdict(u8(0x18) + prop_block("")));
    EXPECT_EQ(RC_PROTOCOL_ERROR, auth_verdict(u8(0x18) + prop_block(prop_text(0x16, "data"))));
    EXPECT_EQ(RC_MALFORMED_PACKET, auth_verdict(u8(0x18)));
    EXPECT_EQ(RC_SUCCESS, auth_verdict("")); // 3.15.2.1: success without properties
    Parsed p(PKT_AUTH, MQTT_V5, u8(0x18) + prop_block(METHOD + prop_text(0x16, "data")), 0);
    ASSERT_EQ(RC_SUCCESS, p.rc);
    EXPECT_EQ(RC_CONTINUE_AUTHENTICATION, p.packet.body.auth.reason);
    EXPECT_EQ("SCRAM-SHA-256", str(p.packet.body.auth.props.auth_method));
    EXPECT_EQ("data", str(p.packet.body.auth.props.auth_data));
}

} // namespace
