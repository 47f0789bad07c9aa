// SPDX-License-Identifier: MIT
//
// The last error is each thread's own, and is copied without overrun.
#include <gtest/gtest.h>
#include <mqttbroker.h>

#include <string>
#include <thread>

namespace
{

TEST(Error, IsTheThreadsOwn)
{
    mqb_config_key k = {};
    k.struct_size = sizeof(k);
    ASSERT_EQ(MQB_ENOENT, mqb_config_describe(100000, &k));
    std::string mine = mqb_last_error();
    EXPECT_NE("", mine);
    std::string other = "?";
    std::thread([&] { other = mqb_last_error(); }).join();
    EXPECT_EQ("", other);
    EXPECT_EQ(mine, mqb_last_error());
}

TEST(Error, CopiesWhatFits)
{
    (void)mqb_config_set_pair(nullptr, "nonsense");
    std::string whole = mqb_last_error();
    char out[8];
    memset(out, 'x', sizeof(out));
    EXPECT_EQ(whole.size(), mqb_last_error_copy(out, 5));
    EXPECT_EQ(whole.substr(0, 4), out);
    EXPECT_EQ('x', out[5]);
    EXPECT_EQ(whole.size(), mqb_last_error_copy(nullptr, 0));
}

TEST(Error, EveryCodeHasWords)
{
    for (mqb_err e = MQB_OK; e >= MQB_ESYS; e--)
        EXPECT_STRNE("unknown error", mqb_strerror(e)) << e;
    EXPECT_STREQ("unknown error", mqb_strerror(1));
    EXPECT_STREQ("unknown error", mqb_strerror(-17));
    EXPECT_STREQ("unknown error", mqb_strerror(INT32_MIN));
    EXPECT_EQ(0x000100u, mqb_version());
}

} // namespace
