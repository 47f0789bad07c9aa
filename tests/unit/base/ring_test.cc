// SPDX-License-Identifier: MIT
#include <gtest/gtest.h>

#include <deque>
#include <random>

#include "shim/base.hpp"
#include "shim/scale.h"
#include "shim/test_alloc.h"

namespace
{

struct item {
    uint64_t number;
    uint32_t again;
};

class Ring : public ::testing::Test
{
  protected:
    void SetUp() override
    {
        test_alloc_init(&ta);
        mqbx_ring_init(&r, sizeof(struct item));
    }
    void TearDown() override
    {
        mqbx_ring_fini(&r, a);
        EXPECT_EQ(test_alloc_live_blocks(&ta), 0u);
        EXPECT_TRUE(test_alloc_is_sane(&ta));
        test_alloc_fini(&ta);
    }
    bool push_back(uint64_t n)
    {
        struct item i = {n, static_cast<uint32_t>(n)};
        return mqbx_ring_push_back(&r, a, &i);
    }
    bool push_front(uint64_t n)
    {
        struct item i = {n, static_cast<uint32_t>(n)};
        return mqbx_ring_push_front(&r, a, &i);
    }
    uint64_t at(uint32_t index) const
    {
        const struct item *i = static_cast<const struct item *>(mqbx_ring_at(&r, index));
        EXPECT_EQ(i->again, static_cast<uint32_t>(i->number));
        return i->number;
    }
    void random_step(std::mt19937_64 &random, std::deque<uint64_t> &model, unsigned push_percent);

    struct test_alloc ta = {};
    const struct alloc *a = &ta.alloc;
    struct ring r = {};
};

void Ring::random_step(std::mt19937_64 &random, std::deque<uint64_t> &model, unsigned push_percent)
{
    test_alloc_fail_after(&ta, random() % 5 == 0 ? 0 : TEST_ALLOC_NEVER);
    if (random() % 100 < push_percent) {
        uint64_t n = random();
        bool front = random() % 2;
        if (front ? push_front(n) : push_back(n))
            model.insert(front ? model.begin() : model.end(), n);
        else
            ASSERT_EQ(r.count, r.cap);
    } else if (!model.empty() && random() % 2) {
        mqbx_ring_pop_front(&r, a);
        model.pop_front();
    } else if (!model.empty()) {
        uint32_t i = static_cast<uint32_t>(random() % model.size());
        mqbx_ring_remove(&r, a, i);
        model.erase(model.begin() + i);
    }
}

} // namespace

TEST_F(Ring, OwnsNothingWhenEmpty)
{
    EXPECT_EQ(test_alloc_live_blocks(&ta), 0u);
    ASSERT_TRUE(push_back(1));
    EXPECT_EQ(test_alloc_live_blocks(&ta), 1u);
    mqbx_ring_pop_front(&r, a);
    EXPECT_EQ(test_alloc_live_blocks(&ta), 0u);
    ASSERT_TRUE(push_front(2));
    mqbx_ring_remove(&r, a, 0);
    EXPECT_EQ(test_alloc_live_blocks(&ta), 0u);
}

TEST_F(Ring, MemoryFollowsTheLength)
{
    for (uint64_t i = 0; i < 100000; i++) {
        ASSERT_TRUE(push_back(i));
        ASSERT_LE(r.cap, i < 64 ? 2 * (i + 1) + 4 : (i + 1) * 3 / 2 + 1) << i;
    }
    for (uint64_t i = 0; i < 100000; i++) {
        ASSERT_EQ(at(0), i);
        ASSERT_LE(r.cap, 4 * r.count + 8);
        mqbx_ring_pop_front(&r, a);
    }
}

TEST_F(Ring, ReservedPushesNeedNoMemory)
{
    ASSERT_TRUE(push_back(0));
    ASSERT_TRUE(mqbx_ring_reserve(&r, a, 1000));
    test_alloc_fail_after(&ta, 0);
    for (uint64_t i = 1; i <= 1000; i++)
        ASSERT_TRUE(i % 2 ? push_back(i) : push_front(i));
    EXPECT_EQ(test_alloc_failures(&ta), 0u);
    EXPECT_EQ(at(0), 1000u);
    EXPECT_EQ(at(1000), 999u);
}

TEST_F(Ring, IsUnchangedWhenMemoryIsOut)
{
    for (uint64_t i = 0; i < 4; i++)
        ASSERT_TRUE(push_back(i));
    test_alloc_fail_after(&ta, 0);
    EXPECT_FALSE(push_back(9));
    EXPECT_FALSE(push_front(9));
    EXPECT_FALSE(mqbx_ring_reserve(&r, a, 1));
    EXPECT_FALSE(mqbx_ring_reserve(&r, a, UINT32_MAX));
    ASSERT_EQ(r.count, 4u);
    for (uint32_t i = 0; i < 4; i++)
        EXPECT_EQ(at(i), i);
}

TEST_F(Ring, AFailingShrinkIsNoError)
{
    for (uint64_t i = 0; i < 64; i++)
        ASSERT_TRUE(push_back(i));
    test_alloc_fail_after(&ta, 0);
    for (uint64_t i = 0; i < 64; i++) {
        ASSERT_EQ(at(0), i);
        mqbx_ring_pop_front(&r, a);
    }
    EXPECT_GT(test_alloc_failures(&ta), 0u);
}

TEST_F(Ring, BehavesLikeADeque)
{
    std::mt19937_64 random(test_seed(1));
    std::deque<uint64_t> model;
    for (uint64_t step = 0; step < test_scaled(100000); step++) {
        random_step(random, model, (step / 500) % 3 == 0 ? 40 : 65);
        ASSERT_EQ(r.count, model.size());
        if (step % 16 == 0) {
            for (uint32_t i = 0; i < r.count; i++)
                ASSERT_EQ(at(i), model[i]);
        }
        if (model.size() > 400)
            while (model.size() > 3) {
                mqbx_ring_pop_front(&r, a);
                model.pop_front();
            }
    }
}
