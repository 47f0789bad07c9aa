// SPDX-License-Identifier: MIT
#include <gtest/gtest.h>

#include <random>
#include <string>
#include <vector>

#include "shim/engine.hpp"
#include "shim/scale.h"
#include "shim/test_alloc.h"
#include "topics.hpp"

namespace
{

const struct hash_key KEY = {0x0123456789abcdef, 0xfedcba9876543210};

class Interest : public ::testing::Test
{
  protected:
    void SetUp() override
    {
        test_alloc_init(&ta);
    }

    void TearDown() override
    {
        for (struct interest_counts *c : counts)
            mqbx_interest_counts_free(c);
        mqbx_interest_free(table);
        EXPECT_EQ(test_alloc_live_blocks(&ta), 0u);
        EXPECT_TRUE(test_alloc_is_sane(&ta));
        test_alloc_fini(&ta);
    }

    void make(uint32_t slots, uint32_t workers = 1)
    {
        table = mqbx_interest_new(&ta.alloc, KEY, slots);
        ASSERT_NE(table, nullptr);
        for (uint32_t w = 0; w < workers; w++)
            counts.push_back(mqbx_interest_counts_new(&ta.alloc, table, w));
    }

    uint64_t mask(const std::string &topic, uint32_t tenant = 0)
    {
        return mqbx_interest_mask(table, tenant, bytes_of(topic));
    }

    uint32_t raise(const std::string &filter, uint32_t worker = 0, uint32_t tenant = 0)
    {
        return mqbx_interest_raise(counts[worker], tenant, bytes_of(filter));
    }

    struct test_alloc ta;
    struct interest *table = nullptr;
    std::vector<struct interest_counts *> counts;
};

} // namespace

TEST_F(Interest, EveryFilterAnswersForEveryTopicItSelects)
{
    make(1u << 20);
    const std::vector<std::string> topics = all_topics(4);
    for (const std::string &f : all_filters(4)) {
        uint32_t slot = raise(f);
        for (const std::string &t : topics) {
            if (selects(f, t)) {
                ASSERT_EQ(mask(t), 1u) << f << " selects " << t;
            }
        }
        mqbx_interest_lower(counts[0], slot);
        for (const std::string &t : topics)
            ASSERT_EQ(mask(t), 0u) << t << " after " << f;
    }
}

TEST_F(Interest, NeverSaysNoInVainHoweverSmallTheTable)
{
    for (uint32_t slots : {1u, 2u, 16u}) {
        make(slots);
        for (const std::string &f : all_filters(3)) {
            uint32_t slot = raise(f);
            for (const std::string &t : all_topics(3)) {
                if (selects(f, t)) {
                    ASSERT_EQ(mask(t), 1u) << f << " selects " << t << ", slots " << slots;
                }
            }
            mqbx_interest_lower(counts[0], slot);
        }
        EXPECT_EQ(mask("a/b"), 0u);
        mqbx_interest_counts_free(counts[0]);
        mqbx_interest_free(table);
        counts.clear();
    }
    table = nullptr;
}

/* Any set of filters, growing and shrinking in any order, on several workers. */
TEST_F(Interest, RandomSetsOfFiltersOnSeveralWorkers)
{
    struct Raised {
        size_t filter;
        uint32_t worker, tenant, slot;
    };
    make(256, 3);
    const std::vector<std::string> filters = all_filters(3), topics = all_topics(3);
    std::mt19937_64 random(test_seed(11));
    std::vector<Raised> raised;
    for (uint64_t round = 0; round < test_scaled(3000); round++) {
        if (raised.size() < 12 && random() % 5 < 3) {
            Raised r = {random() % filters.size(), uint32_t(random() % 3), uint32_t(random() % 2),
                        0};
            r.slot = raise(filters[r.filter], r.worker, r.tenant);
            raised.push_back(r);
        } else if (!raised.empty()) {
            size_t i = random() % raised.size();
            mqbx_interest_lower(counts[raised[i].worker], raised[i].slot);
            raised.erase(raised.begin() + long(i));
        }
        for (uint32_t tenant = 0; tenant < 2; tenant++) {
            for (const std::string &t : topics) {
                uint64_t needed = 0;
                for (const Raised &r : raised) {
                    if (r.tenant == tenant && selects(filters[r.filter], t))
                        needed |= uint64_t(1) << r.worker;
                }
                ASSERT_EQ(mask(t, tenant) & needed, needed) << t;
            }
        }
    }
    for (const Raised &r : raised)
        mqbx_interest_lower(counts[r.worker], r.slot);
    for (const std::string &t : topics)
        ASSERT_EQ(mask(t), 0u);
}

TEST_F(Interest, SaysNoWhereNothingCollides)
{
    make(1u << 20);
    raise("site/1/temp");
    EXPECT_EQ(mask("site/1/temp"), 1u);
    EXPECT_EQ(mask("site/1"), 0u);
    EXPECT_EQ(mask("site/1/temp/raw"), 0u) << "an exact filter does not answer for deeper topics";
    raise("hall/#");
    EXPECT_EQ(mask("hall"), 1u);
    EXPECT_EQ(mask("hall/3/x"), 1u);
    EXPECT_EQ(mask("hal"), 0u);
    raise("+/door/+");
    EXPECT_EQ(mask("x/door/open"), 1u);
    EXPECT_EQ(mask("door/x/open"), 0u) << "the literal's position is part of the key";
    EXPECT_EQ(mask("site/1/temp", 5), 0u) << "another tenant";
}

TEST_F(Interest, DollarTopicsAreNotForLeadingWildcards)
{
    make(1u << 20);
    raise("#");
    raise("+/broker/#");
    EXPECT_EQ(mask("$SYS/broker/uptime"), 0u);
    EXPECT_EQ(mask("x/broker/uptime"), 1u);
    raise("$SYS/#");
    EXPECT_EQ(mask("$SYS/broker/uptime"), 1u);
}

TEST_F(Interest, CountsPerWorker)
{
    make(1u << 10, 64);
    uint32_t a = raise("x", 0), b = raise("x", 0), c = raise("x", 63);
    EXPECT_EQ(a, b);
    EXPECT_EQ(mask("x"), 1u | uint64_t(1) << 63);
    mqbx_interest_lower(counts[0], a);
    EXPECT_EQ(mask("x"), 1u | uint64_t(1) << 63);
    mqbx_interest_lower(counts[0], b);
    EXPECT_EQ(mask("x"), uint64_t(1) << 63);
    mqbx_interest_lower(counts[63], c);
    EXPECT_EQ(mask("x"), 0u);
}

TEST_F(Interest, LiteralBehindManyWildcards)
{
    make(1u << 16);
    for (unsigned depth = 60; depth < 70; depth++) {
        std::string filter, topic;
        for (unsigned i = 0; i < depth; i++) {
            filter += "+/";
            topic += "t/";
        }
        uint32_t slot = raise(filter + "end/+");
        EXPECT_EQ(mask(topic + "end/x"), 1u) << depth;
        mqbx_interest_lower(counts[0], slot);
        EXPECT_EQ(mask(topic + "end/x"), 0u) << depth;
    }
}

TEST_F(Interest, WithoutMemoryForAMaskItIsInterestedInEverything)
{
    make(1u << 20, 2);
    test_alloc_fail_after(&ta, 0);
    uint32_t slot = raise("a/b", 1);
    EXPECT_EQ(mask("a/b"), 2u);
    EXPECT_EQ(mask("other"), 2u);
    test_alloc_fail_after(&ta, TEST_ALLOC_NEVER);
    uint32_t precise = raise("a/b", 1);
    mqbx_interest_lower(counts[1], slot);
    EXPECT_EQ(mask("a/b"), 2u);
    EXPECT_EQ(mask("other"), 0u);
    mqbx_interest_lower(counts[1], precise);
    EXPECT_EQ(mask("a/b"), 0u);
}

TEST_F(Interest, OutOfMemoryWhenMadeIsNull)
{
    for (uint64_t n = 0;; n++) {
        test_alloc_fail_after(&ta, n);
        table = mqbx_interest_new(&ta.alloc, KEY, 1u << 16);
        struct interest_counts *c = table ? mqbx_interest_counts_new(&ta.alloc, table, 3) : nullptr;
        if (c) {
            counts.push_back(c);
            EXPECT_GT(n, 4u);
            break;
        }
        mqbx_interest_free(table);
        table = nullptr;
        ASSERT_EQ(test_alloc_live_blocks(&ta), 0u);
    }
    test_alloc_fail_after(&ta, TEST_ALLOC_NEVER);
}

TEST_F(Interest, TouchesLittleMemoryForFewFilters)
{
    make(1u << 20);
    raise("a/b");
    raise("#");
    EXPECT_LT(test_alloc_live_bytes(&ta), 64u * 1024);
}
