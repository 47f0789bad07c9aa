// SPDX-License-Identifier: MIT
#include <gtest/gtest.h>

#include "shim/base.hpp"
#include "shim/test_alloc.h"

TEST(Alloc, LibcGivesZeroedAndGrownMemoryBack)
{
    const struct alloc *a = &mqbx_alloc_libc;
    char *p = static_cast<char *>(mqbx_zalloc(a, 8));
    ASSERT_NE(p, nullptr);
    for (int i = 0; i < 8; i++)
        EXPECT_EQ(p[i], 0);
    memcpy(p, "1234567", 8);
    p = static_cast<char *>(mqbx_realloc(a, p, 8, 4000));
    ASSERT_NE(p, nullptr);
    EXPECT_STREQ(p, "1234567");
    mqbx_free(a, p, 4000);
    mqbx_free(a, nullptr, 0);
}

TEST(Alloc, StrndupTakesPartOfAText)
{
    struct test_alloc ta;
    test_alloc_init(&ta);
    char *s = mqbx_strndup(&ta.alloc, "sensor/1", 6);
    ASSERT_NE(s, nullptr);
    EXPECT_STREQ(s, "sensor");
    EXPECT_EQ(test_alloc_live_bytes(&ta), 7u);
    mqbx_free(&ta.alloc, s, 7);
    s = mqbx_strndup(&ta.alloc, "", 0);
    ASSERT_NE(s, nullptr);
    EXPECT_STREQ(s, "");
    mqbx_free(&ta.alloc, s, 1);
    test_alloc_fail_after(&ta, 0);
    EXPECT_EQ(mqbx_strndup(&ta.alloc, "x", 1), nullptr);
    EXPECT_EQ(mqbx_zalloc(&ta.alloc, 4), nullptr);
    EXPECT_EQ(test_alloc_failures(&ta), 2u);
    EXPECT_TRUE(test_alloc_is_sane(&ta));
    test_alloc_fini(&ta);
}

TEST(Alloc, TestAllocatorNoticesAWrongSize)
{
    struct test_alloc ta;
    test_alloc_init(&ta);
    mqbx_free(&ta.alloc, mqbx_alloc(&ta.alloc, 10), 9);
    EXPECT_FALSE(test_alloc_is_sane(&ta));
    test_alloc_fini(&ta);
}
