// SPDX-License-Identifier: MIT
#include <gtest/gtest.h>

#include <map>
#include <memory>
#include <random>
#include <set>
#include <vector>

#include "shim/base.hpp"
#include "shim/scale.h"
#include "shim/test_alloc.h"

namespace
{

struct entry {
    uint64_t key;
    uint64_t hash;
};

bool entry_equal(const void *value, const void *key)
{
    return static_cast<const struct entry *>(value)->key == *static_cast<const uint64_t *>(key);
}

class Table : public ::testing::Test
{
  protected:
    void SetUp() override
    {
        test_alloc_init(&ta);
        mqbx_table_init(&t, &ta.alloc);
    }
    void TearDown() override
    {
        mqbx_table_fini(&t);
        EXPECT_EQ(test_alloc_live_blocks(&ta), 0u);
        EXPECT_TRUE(test_alloc_is_sane(&ta));
        test_alloc_fini(&ta);
    }
    bool insert(uint64_t key, uint64_t hash)
    {
        auto e = std::make_unique<entry>(entry{key, hash});
        if (!mqbx_table_insert(&t, hash, e.get()))
            return false;
        live[key] = std::move(e);
        return true;
    }
    struct entry *find(uint64_t key, uint64_t hash) const
    {
        return static_cast<struct entry *>(mqbx_table_find(&t, hash, entry_equal, &key));
    }
    bool remove(uint64_t key)
    {
        auto it = live.find(key);
        bool was_there = mqbx_table_remove(&t, it->second->hash, it->second.get());
        live.erase(it);
        return was_there;
    }
    std::vector<uint64_t> walk() const
    {
        std::vector<uint64_t> keys;
        size_t pos = 0;
        while (const void *v = mqbx_table_next(&t, &pos))
            keys.push_back(static_cast<const struct entry *>(v)->key);
        EXPECT_EQ(mqbx_table_next(&t, &pos), nullptr);
        return keys;
    }
    void expect_same_as_model() const
    {
        ASSERT_EQ(t.count, live.size());
        for (const auto &[key, e] : live)
            ASSERT_EQ(find(key, e->hash), e.get()) << key;
        std::vector<uint64_t> keys = walk();
        ASSERT_EQ(keys.size(), live.size());
        ASSERT_EQ(std::set<uint64_t>(keys.begin(), keys.end()).size(), live.size());
    }
    // Few hashes, close to the end of the slots: long runs that wrap around.
    static uint64_t crowded_hash(uint64_t key)
    {
        return (key % 5) + UINT64_MAX - 2;
    }

    struct test_alloc ta = {};
    struct table t = {};
    std::map<uint64_t, std::unique_ptr<entry>> live;
};

} // namespace

TEST_F(Table, AnEmptyOneOwnsNothingAndFindsNothing)
{
    size_t pos = 0;
    EXPECT_EQ(find(1, 1), nullptr);
    EXPECT_EQ(mqbx_table_next(&t, &pos), nullptr);
    EXPECT_FALSE(mqbx_table_remove(&t, 1, &pos));
    EXPECT_EQ(test_alloc_live_blocks(&ta), 0u);
}

TEST_F(Table, TellsEqualHashesApart)
{
    ASSERT_TRUE(insert(1, 42));
    ASSERT_TRUE(insert(2, 42));
    EXPECT_EQ(find(1, 42)->key, 1u);
    EXPECT_EQ(find(2, 42)->key, 2u);
    EXPECT_EQ(find(3, 42), nullptr);
    struct entry stranger = {1, 42};
    EXPECT_FALSE(mqbx_table_remove(&t, 42, &stranger));
    EXPECT_TRUE(remove(1));
    EXPECT_EQ(find(1, 42), nullptr);
    EXPECT_EQ(find(2, 42)->key, 2u);
}

TEST_F(Table, GrowsAtThreeQuartersAndGivesMemoryBack)
{
    for (uint64_t k = 0; k < 10000; k++) {
        ASSERT_TRUE(insert(k, mqbx_hash_mix(k)));
        ASSERT_LE(t.count, (t.mask + 1) * 3 / 4);
    }
    EXPECT_EQ(t.mask + 1, 16384u);
    for (uint64_t k = 0; k < 9990; k++)
        ASSERT_TRUE(remove(k));
    EXPECT_LE(t.mask + 1, 128u);
    expect_same_as_model();
}

TEST_F(Table, IsUnchangedWhenMemoryIsOut)
{
    test_alloc_fail_after(&ta, 0);
    EXPECT_FALSE(insert(0, 0));
    test_alloc_fail_after(&ta, 1);
    for (uint64_t k = 0; k < 6; k++)
        ASSERT_TRUE(insert(k, mqbx_hash_mix(k)));
    EXPECT_FALSE(insert(6, mqbx_hash_mix(6)));
    expect_same_as_model();
}

TEST_F(Table, StaysLargeWhenShrinkingFails)
{
    for (uint64_t k = 0; k < 1000; k++)
        ASSERT_TRUE(insert(k, mqbx_hash_mix(k)));
    test_alloc_fail_after(&ta, 0);
    for (uint64_t k = 0; k < 999; k++)
        ASSERT_TRUE(remove(k));
    EXPECT_EQ(t.mask + 1, 2048u);
    expect_same_as_model();
}

TEST_F(Table, AWalkVisitsEachOnceWhileItRemovesSome)
{
    for (uint64_t seed = 0; seed < 500; seed++) {
        std::mt19937_64 random(seed);
        uint64_t n = 1 + random() % 60;
        bool crowded = random() % 2;
        for (uint64_t k = 0; k < n; k++)
            ASSERT_TRUE(insert(k, crowded ? crowded_hash(k) : mqbx_hash_mix(k)));
        std::multiset<uint64_t> seen;
        size_t pos = 0;
        uint64_t percent = random() % 101;
        while (void *v = mqbx_table_next(&t, &pos)) {
            uint64_t key = static_cast<struct entry *>(v)->key;
            seen.insert(key);
            if (random() % 100 < percent) {
                mqbx_table_remove_at(&t, &pos);
                live.erase(key);
            }
        }
        ASSERT_EQ(seen.size(), n);
        ASSERT_EQ(std::set<uint64_t>(seen.begin(), seen.end()).size(), n);
        expect_same_as_model();
        mqbx_table_fini(&t);
        live.clear();
    }
}

TEST_F(Table, IteratesInTheSameOrderAfterTheSameOperations)
{
    struct table other;
    mqbx_table_init(&other, &ta.alloc);
    std::vector<struct entry> copies(200);
    for (uint64_t k = 0; k < 200; k++) {
        copies[k] = {k, mqbx_hash_mix(k)};
        ASSERT_TRUE(insert(k, mqbx_hash_mix(k)));
        ASSERT_TRUE(mqbx_table_insert(&other, mqbx_hash_mix(k), &copies[k]));
    }
    std::vector<uint64_t> order = walk();
    size_t pos = 0;
    for (uint64_t key : order)
        ASSERT_EQ(static_cast<struct entry *>(mqbx_table_next(&other, &pos))->key, key);
    mqbx_table_fini(&other);
}

TEST_F(Table, BehavesLikeAMap)
{
    for (bool crowded : {false, true}) {
        std::mt19937_64 random(test_seed(7) + crowded);
        for (uint64_t step = 0; step < test_scaled(40000); step++) {
            uint64_t key = random() % 300;
            uint64_t hash = crowded ? crowded_hash(key) : mqbx_hash_mix(key);
            bool growing = (step / 1000) % 2 == 0;
            test_alloc_fail_after(&ta, random() % 8 == 0 ? 0 : TEST_ALLOC_NEVER);
            if (live.count(key)) {
                ASSERT_EQ(find(key, hash), live[key].get());
                if (!growing || random() % 4 == 0) {
                    ASSERT_TRUE(remove(key));
                }
            } else {
                ASSERT_EQ(find(key, hash), nullptr);
                if (growing || random() % 4 == 0)
                    insert(key, hash);
            }
            if (step % 64 == 0)
                expect_same_as_model();
        }
        mqbx_table_fini(&t);
        live.clear();
    }
}
