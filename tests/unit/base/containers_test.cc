// SPDX-License-Identifier: MIT
//
// Hash, bytes, list, buffer, counter, lock.
#include <gtest/gtest.h>

#include <random>
#include <string>
#include <vector>

#include "shim/base.hpp"
#include "shim/scale.h"
#include "shim/test_alloc.h"

namespace
{

const struct hash_key kKey = {0x0706050403020100u, 0x0f0e0d0c0b0a0908u};

uint64_t hash_of(const std::string &s)
{
    return mqbx_hash(kKey, 0x1122334455667788u, s.data(), s.size());
}

} // namespace

// The expected values are those of an independent SipHash-1-3 over the seed's bytes and the text.
TEST(Hash, IsSipHash13OfSeedAndBytes)
{
    EXPECT_EQ(hash_of(""), 0x1740a6d6ec8ccd29u);
    EXPECT_EQ(hash_of("hello"), 0x9b18105162a0be5du);
    EXPECT_EQ(hash_of("abc"), 0x8cf3b15b73f1d6a4u);
    EXPECT_EQ(hash_of(std::string("\0\1\2\3\4\5\6\7\10\11\12\13\14\15\16\17", 16)),
              0x07a7cb86d8bc5643u);
    EXPECT_EQ(hash_of("sensor/1/temperature"), 0xf73738c98dce62b5u);
}

TEST(Hash, DependsOnKeySeedAndEveryByte)
{
    std::string s(40, 'x');
    uint64_t plain = hash_of(s);
    EXPECT_NE(plain, mqbx_hash({1, 2}, 0x1122334455667788u, s.data(), s.size()));
    EXPECT_NE(plain, mqbx_hash(kKey, 3, s.data(), s.size()));
    for (size_t i = 0; i < s.size(); i++) {
        std::string t = s;
        t[i] = 'y';
        EXPECT_NE(plain, hash_of(t)) << i;
        EXPECT_NE(plain, hash_of(s.substr(0, i))) << i;
    }
}

TEST(Hash, MixSeparatesNeighbours)
{
    std::vector<int> buckets(256);
    for (uint64_t i = 0; i < 256 * 64; i++)
        buckets[mqbx_hash_mix(i) & 255]++;
    for (int n : buckets) {
        EXPECT_GT(n, 20);
        EXPECT_LT(n, 130);
    }
}

TEST(Bytes, EqualComparesLengthAndContent)
{
    EXPECT_TRUE(mqbx_bytes_equal(mqbx_bytes_of("a/b"), mqbx_bytes("a/bc", 3)));
    EXPECT_FALSE(mqbx_bytes_equal(mqbx_bytes_of("a/b"), mqbx_bytes_of("a/c")));
    EXPECT_FALSE(mqbx_bytes_equal(mqbx_bytes_of("a/b"), mqbx_bytes_of("a/")));
    EXPECT_TRUE(mqbx_bytes_equal(mqbx_bytes(nullptr, 0), mqbx_bytes_of("")));
}

TEST(List, KeepsOrderThroughRemoveAndSplice)
{
    struct list a, b, n[5];
    mqbx_list_init(&a);
    mqbx_list_init(&b);
    EXPECT_EQ(mqbx_list_pop(&a), nullptr);
    for (int i = 0; i < 3; i++)
        mqbx_list_push_back(&a, &n[i]);
    mqbx_list_push_front(&b, &n[4]);
    mqbx_list_push_front(&b, &n[3]);
    mqbx_list_remove(&n[1]);
    mqbx_list_remove(&n[1]); // harmless
    mqbx_list_splice(&a, &b);
    mqbx_list_splice(&a, &b); // of an empty one: nothing
    EXPECT_TRUE(mqbx_list_empty(&b));
    for (int i : {0, 2, 3, 4})
        EXPECT_EQ(mqbx_list_pop(&a), &n[i]);
    EXPECT_TRUE(mqbx_list_empty(&a));
}

TEST(Counter, AddsAndSubtracts)
{
    struct counter c = {};
    mqbx_counter_add(&c, 7);
    mqbx_counter_sub(&c, 2);
    EXPECT_EQ(mqbx_counter_get(&c), 5u);
}

TEST(Lock, CanBeTakenAgainAfterItWasGiven)
{
    struct lock l;
    mqbx_lock_init(&l);
    for (int i = 0; i < 3; i++) {
        mqbx_lock_take(&l);
        mqbx_lock_give(&l);
    }
    mqbx_lock_fini(&l);
}

class Buffer : public ::testing::Test
{
  protected:
    void SetUp() override
    {
        test_alloc_init(&ta);
    }
    void TearDown() override
    {
        mqbx_buffer_fini(&b, a);
        EXPECT_EQ(test_alloc_live_blocks(&ta), 0u);
        EXPECT_TRUE(test_alloc_is_sane(&ta));
        test_alloc_fini(&ta);
    }
    std::string text() const
    {
        return std::string(reinterpret_cast<const char *>(b.ptr), b.len);
    }
    struct test_alloc ta = {};
    const struct alloc *a = &ta.alloc;
    struct buffer b = {};
};

TEST_F(Buffer, GrowsExactlyAtFirstThenByDoubling)
{
    ASSERT_TRUE(mqbx_buffer_append(&b, a, nullptr, 0));
    EXPECT_EQ(b.ptr, nullptr);
    ASSERT_TRUE(mqbx_buffer_append(&b, a, "0123456789", 10));
    EXPECT_EQ(b.cap, 10u);
    ASSERT_TRUE(mqbx_buffer_append(&b, a, "x", 1));
    EXPECT_EQ(b.cap, 20u);
    ASSERT_TRUE(mqbx_buffer_reserve(&b, a, 100));
    EXPECT_EQ(b.cap, 111u);
    EXPECT_EQ(text(), "0123456789x");
}

TEST_F(Buffer, FreesItsMemoryWhenConsumed)
{
    ASSERT_TRUE(mqbx_buffer_append(&b, a, "abcdef", 6));
    mqbx_buffer_consume(&b, a, 0);
    mqbx_buffer_consume(&b, a, 2);
    EXPECT_EQ(text(), "cdef");
    mqbx_buffer_consume(&b, a, 4);
    EXPECT_EQ(b.ptr, nullptr);
    EXPECT_EQ(test_alloc_live_blocks(&ta), 0u);
    mqbx_buffer_consume(&b, a, 0);
}

TEST_F(Buffer, IsUnchangedWhenMemoryIsOutOrTheSizeTooLarge)
{
    ASSERT_TRUE(mqbx_buffer_append(&b, a, "abc", 3));
    test_alloc_fail_after(&ta, 0);
    EXPECT_FALSE(mqbx_buffer_append(&b, a, "def", 3));
    test_alloc_fail_after(&ta, TEST_ALLOC_NEVER);
    EXPECT_FALSE(mqbx_buffer_reserve(&b, a, UINT32_MAX));
    EXPECT_FALSE(mqbx_buffer_reserve(&b, a, SIZE_MAX));
    EXPECT_EQ(text(), "abc");
    EXPECT_EQ(b.cap, 3u);
}

TEST_F(Buffer, BehavesLikeAString)
{
    std::mt19937_64 random(test_seed(11));
    std::string model;
    for (uint64_t step = 0; step < test_scaled(20000); step++) {
        if (random() % 3 != 0) {
            std::string more(random() % 50, static_cast<char>('a' + random() % 26));
            test_alloc_fail_after(&ta, random() % 4 == 0 ? 0 : TEST_ALLOC_NEVER);
            if (mqbx_buffer_append(&b, a, more.data(), more.size()))
                model += more;
        } else {
            size_t n = random() % (model.size() + 1);
            mqbx_buffer_consume(&b, a, n);
            model.erase(0, n);
        }
        ASSERT_EQ(text(), model);
        ASSERT_LE(b.len, b.cap);
    }
}
