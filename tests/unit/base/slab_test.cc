// SPDX-License-Identifier: MIT
#include <gtest/gtest.h>

#include <algorithm>
#include <random>
#include <set>
#include <vector>

#include "shim/base.hpp"
#include "shim/scale.h"
#include "shim/test_alloc.h"

namespace
{

class Slab : public ::testing::Test
{
  protected:
    void SetUp() override
    {
        test_alloc_init(&ta);
    }
    void TearDown() override
    {
        mqbx_slab_fini(&s);
        EXPECT_EQ(s.pages, 0u);
        EXPECT_EQ(test_alloc_live_blocks(&ta), 0u);
        EXPECT_TRUE(test_alloc_is_sane(&ta));
        test_alloc_fini(&ta);
    }
    struct test_alloc ta = {};
    struct slab s = {};
};

bool is_all(const unsigned char *p, size_t n, unsigned char byte)
{
    return std::all_of(p, p + n, [byte](unsigned char c) { return c == byte; });
}

} // namespace

TEST_F(Slab, HandsOutZeroedAlignedObjects)
{
    mqbx_slab_init(&s, &ta.alloc, 13);
    std::vector<void *> all;
    for (int round = 0; round < 2; round++) {
        for (int i = 0; i < 3000; i++) {
            unsigned char *p = static_cast<unsigned char *>(mqbx_slab_get(&s));
            ASSERT_NE(p, nullptr);
            ASSERT_EQ(reinterpret_cast<uintptr_t>(p) % 8, 0u);
            ASSERT_TRUE(is_all(p, 13, 0));
            memset(p, 0xee, 13);
            all.push_back(p);
        }
        EXPECT_EQ(std::set<void *>(all.begin(), all.end()).size(), 3000u);
        for (void *p : all)
            mqbx_slab_put(&s, p);
        all.clear();
    }
    mqbx_slab_put(&s, nullptr);
    EXPECT_EQ(s.used, 0u);
}

TEST_F(Slab, KeepsOneEmptyPageAndGivesTheOthersBack)
{
    mqbx_slab_init(&s, &ta.alloc, 64);
    std::vector<void *> all;
    for (uint32_t i = 0; i < 3 * s.per_page; i++)
        all.push_back(mqbx_slab_get(&s));
    EXPECT_EQ(s.pages, 3u);
    for (void *p : all)
        mqbx_slab_put(&s, p);
    EXPECT_EQ(s.pages, 1u);
    uint64_t calls = test_alloc_calls(&ta);
    for (int i = 0; i < 100; i++)
        mqbx_slab_put(&s, mqbx_slab_get(&s));
    EXPECT_EQ(test_alloc_calls(&ta), calls);
}

TEST_F(Slab, PagesAreAboutSixteenKib)
{
    mqbx_slab_init(&s, &ta.alloc, 100);
    mqbx_slab_put(&s, mqbx_slab_get(&s));
    EXPECT_LE(test_alloc_live_bytes(&ta), 16384u);
    EXPECT_GT(test_alloc_live_bytes(&ta), 16000u);
}

TEST_F(Slab, TakesObjectsLargerThanAPage)
{
    mqbx_slab_init(&s, &ta.alloc, 40000);
    EXPECT_EQ(s.per_page, 1u);
    void *a = mqbx_slab_get(&s), *b = mqbx_slab_get(&s);
    ASSERT_TRUE(a && b && a != b);
    memset(a, 1, 40000);
    memset(b, 2, 40000);
    EXPECT_EQ(s.pages, 2u);
    mqbx_slab_put(&s, a);
    mqbx_slab_put(&s, b);
    EXPECT_EQ(s.pages, 1u);
}

TEST_F(Slab, AnswersNullWhenMemoryIsOut)
{
    mqbx_slab_init(&s, &ta.alloc, 64);
    test_alloc_fail_after(&ta, 0);
    EXPECT_EQ(mqbx_slab_get(&s), nullptr);
    EXPECT_EQ(s.used, 0u);
    EXPECT_EQ(s.pages, 0u);
}

TEST_F(Slab, ObjectsKeepTheirContentInAnyOrderOfGetAndPut)
{
    std::mt19937_64 random(test_seed(5));
    mqbx_slab_init(&s, &ta.alloc, 200);
    struct held {
        unsigned char *p;
        unsigned char fill;
    };
    std::vector<held> all;
    for (uint64_t step = 0; step < test_scaled(50000); step++) {
        bool growing = (step / 700) % 2 == 0;
        test_alloc_fail_after(&ta, random() % 6 == 0 ? 0 : TEST_ALLOC_NEVER);
        if (random() % 100 < (growing ? 70u : 30u)) {
            unsigned char *p = static_cast<unsigned char *>(mqbx_slab_get(&s));
            if (!p)
                continue;
            ASSERT_TRUE(is_all(p, 200, 0));
            all.push_back({p, static_cast<unsigned char>(random())});
            memset(p, all.back().fill, 200);
        } else if (!all.empty()) {
            std::swap(all[random() % all.size()], all.back());
            ASSERT_TRUE(is_all(all.back().p, 200, all.back().fill));
            mqbx_slab_put(&s, all.back().p);
            all.pop_back();
        }
        ASSERT_EQ(s.used, all.size());
        ASSERT_EQ(test_alloc_live_blocks(&ta), s.pages);
    }
    for (const held &h : all)
        mqbx_slab_put(&s, h.p);
}
