// SPDX-License-Identifier: MIT
#include <gtest/gtest.h>

#include "support.hpp"

namespace
{

TEST(Reason, HasTheStandardsWords)
{
    EXPECT_STREQ("Success", mqbx_reason_text(RC_SUCCESS));
    EXPECT_STREQ("Malformed Packet", mqbx_reason_text(RC_MALFORMED_PACKET));
    EXPECT_STREQ("Packet too large", mqbx_reason_text(RC_PACKET_TOO_LARGE));
    EXPECT_STREQ("Wildcard Subscriptions not supported",
                 mqbx_reason_text(RC_WILDCARD_SUBSCRIPTIONS_NOT_SUPPORTED));
    EXPECT_STREQ("Unknown reason", mqbx_reason_text(0x03));
    EXPECT_STREQ("Unknown reason", mqbx_reason_text(0xA3));
    EXPECT_STREQ("Unknown reason", mqbx_reason_text(0xFF));
}

TEST(Reason, HasTheFortyThreeCodesOfTheStandard)
{
    int n = 0;
    for (unsigned code = 0; code < 256; code++)
        n += std::string(mqbx_reason_text(static_cast<uint8_t>(code))) != "Unknown reason";
    EXPECT_EQ(43, n);
}

TEST(Reason, SaysTheSameInVersion3)
{
    EXPECT_EQ(0, mqbx_reason_to_v3_connack(RC_SUCCESS));
    EXPECT_EQ(1, mqbx_reason_to_v3_connack(RC_UNSUPPORTED_VERSION));
    EXPECT_EQ(2, mqbx_reason_to_v3_connack(RC_CLIENT_ID_NOT_VALID));
    EXPECT_EQ(3, mqbx_reason_to_v3_connack(RC_SERVER_UNAVAILABLE));
    EXPECT_EQ(3, mqbx_reason_to_v3_connack(RC_QUOTA_EXCEEDED));
    EXPECT_EQ(4, mqbx_reason_to_v3_connack(RC_BAD_USER_NAME_OR_PASSWORD));
    EXPECT_EQ(5, mqbx_reason_to_v3_connack(RC_NOT_AUTHORIZED));
    EXPECT_EQ(5, mqbx_reason_to_v3_connack(RC_BANNED));
    for (unsigned code = 0x80; code < 256; code++) {
        uint8_t v3 = mqbx_reason_to_v3_connack(static_cast<uint8_t>(code));
        EXPECT_TRUE(v3 >= 1 && v3 <= 5) << code;
    }
}

} // namespace
