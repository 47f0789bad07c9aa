// SPDX-License-Identifier: MIT
#include <gtest/gtest.h>

#include "oracle.hpp"
#include "support.hpp"

namespace
{

bool valid(const std::string &s)
{
    return mqbx_utf8_valid(Exact(s).bytes());
}

bool payload_valid(const std::string &s)
{
    return mqbx_utf8_payload_valid(Exact(s).bytes());
}

TEST(Utf8, AcceptsTextOfAllLengths)
{
    EXPECT_TRUE(mqbx_utf8_valid(bytes{nullptr, 0}));
    EXPECT_TRUE(valid(""));
    EXPECT_TRUE(valid("sensor/1/temperature"));
    EXPECT_TRUE(valid("Z\xC3\xBCrich \xE2\x82\xAC \xF0\x9F\x98\x80"));
    EXPECT_TRUE(valid(std::string(65535, 'a')));
}

TEST(Utf8, AcceptsTheEdgesOfEachLength)
{
    for (const char *edge : {"7f", "c2 80", "df bf", "e0 a0 80", "ed 9f bf", "ee 80 80", "ef bf bf",
                             "f0 90 80 80", "f4 8f bf bf"})
        EXPECT_TRUE(valid(hex(edge))) << edge;
}

TEST(Utf8, RefusesWhatLiesBehindTheEdges)
{
    for (const char *edge : {"80", "bf", "c0 80", "c1 bf", "c2", "c2 7f", "c2 c0", "e0 9f bf",
                             "e0 a0", "ed a0 80", "ed bf bf", "f0 8f bf bf", "f4 90 80 80",
                             "f5 80 80 80", "f0 90 80", "f8 88 80 80 80", "fe", "ff"})
        EXPECT_FALSE(valid(hex(edge))) << edge;
}

TEST(Utf8, NulIsAllowedInPayloadsOnly)
{
    for (size_t at = 0; at < 20; at++) {
        std::string s(20, 'x');
        s[at] = '\0';
        EXPECT_FALSE(valid(s)) << at;
        EXPECT_TRUE(payload_valid(s)) << at;
    }
    EXPECT_FALSE(payload_valid(hex("ed a0 80")));
}

// A bad byte is found wherever it stands against the steps of eight.
TEST(Utf8, FindsABadByteAtEveryPlace)
{
    for (size_t size = 1; size < 40; size++) {
        for (size_t at = 0; at < size; at++) {
            std::string s(size, 'x');
            s[at] = '\xFF';
            EXPECT_FALSE(valid(s)) << size << " " << at;
            EXPECT_FALSE(payload_valid(s)) << size << " " << at;
        }
    }
}

TEST(Utf8, AgreesWithTheOracleOnAllTwoAndThreeByteSequences)
{
    for (unsigned first = 0; first < 0x10000; first++)
        ASSERT_EQ(oracle::text_is_valid(u16(first), false), valid(u16(first))) << first;
    for (unsigned lead :
         {0x00u, 0x61u, 0xC2u, 0xDFu, 0xE0u, 0xE1u, 0xECu, 0xEDu, 0xEEu, 0xEFu, 0xF0u}) {
        for (unsigned rest = 0; rest < 0x10000; rest += 1 + rest % 3) {
            std::string s = u8(lead) + u16(rest);
            ASSERT_EQ(oracle::text_is_valid(s, false), valid(s)) << to_hex(s);
        }
    }
}

TEST(Utf8, AgreesWithTheOracleOnRandomText)
{
    static const char *const PARTS[] = {"a",           "abcdefgh", "c3 a9", "e2 82 ac",
                                        "f0 9f 98 80", "ed 9f",    "e0 a0", "f4 8f bf bf",
                                        "80",          "00"};
    Rng rng(seed());
    uint32_t n_valid = 0;
    uint32_t count = scaled(100000);
    for (uint32_t i = 0; i < count; i++) {
        std::string s;
        for (uint32_t n = rng.below(12); n > 0; n--) {
            uint32_t part = rng.one_in(12) ? rng.below(10) : rng.below(5);
            s += part < 2 ? PARTS[part] : hex(PARTS[part]);
        }
        bool expected = oracle::text_is_valid(s, false);
        ASSERT_EQ(expected, valid(s)) << to_hex(s);
        ASSERT_EQ(oracle::text_is_valid(s, true), payload_valid(s)) << to_hex(s);
        n_valid += expected;
    }
    if (count >= 1000) {
        EXPECT_GT(n_valid, count / 10);
        EXPECT_LT(n_valid, count - count / 10);
    }
}

} // namespace
