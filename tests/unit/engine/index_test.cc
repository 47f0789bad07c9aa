// SPDX-License-Identifier: MIT
#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <random>
#include <set>
#include <string>
#include <tuple>
#include <vector>

#include "shim/engine.hpp"
#include "shim/scale.h"
#include "shim/test_alloc.h"
#include "topics.hpp"

#include "shim/begin.hpp"

#include "engine/index_walk.h"

#include "shim/end.hpp"

namespace
{

const struct hash_key KEY = {0x0123456789abcdef, 0xfedcba9876543210};

char owners[200000]; /* addresses to be owners */

struct subscriber subscriber_of(uint32_t number)
{
    struct subscriber s = {};
    s.owner = &owners[number];
    s.order = number;
    s.qos = number % 3;
    s.identifier = number + 1;
    return s;
}

uint32_t number_of(const struct subscriber &s)
{
    return uint32_t(static_cast<char *>(s.owner) - owners);
}

class Index : public ::testing::Test
{
  protected:
    void SetUp() override
    {
        test_alloc_init(&ta);
    }

    void TearDown() override
    {
        mqbx_index_free(ix);
        EXPECT_EQ(test_alloc_live_blocks(&ta), 0u);
        EXPECT_TRUE(test_alloc_is_sane(&ta));
        test_alloc_fini(&ta);
    }

    void make(uint32_t cache_slots)
    {
        mqbx_index_free(ix);
        ix = mqbx_index_new(&ta.alloc, KEY, cache_slots);
        ASSERT_NE(ix, nullptr);
    }

    bool insert(const std::string &filter, const struct subscriber &s, uint32_t tenant = 0)
    {
        return mqbx_index_insert(ix, tenant, bytes_of(filter), &s);
    }

    bool remove(const std::string &filter, uint32_t number, uint32_t tenant = 0)
    {
        return mqbx_index_remove(ix, tenant, bytes_of(filter), &owners[number]);
    }

    std::vector<struct subscriber> match(const std::string &topic, uint32_t tenant = 0)
    {
        struct match m = {};
        EXPECT_TRUE(mqbx_index_match(ix, tenant, bytes_of(topic), &m));
        return std::vector<struct subscriber>(m.subscribers, m.subscribers + m.count);
    }

    std::vector<uint32_t> numbers(const std::string &topic, uint32_t tenant = 0)
    {
        std::vector<uint32_t> found;
        for (const struct subscriber &s : match(topic, tenant))
            found.push_back(number_of(s));
        return found;
    }

    struct test_alloc ta;
    struct index *ix = nullptr;
};

using Numbers = std::vector<uint32_t>;

/* What is in the index, and what a match must therefore answer. */
struct Model {
    std::map<std::tuple<uint32_t, std::string, uint32_t>, struct subscriber> entries;

    std::vector<std::tuple<bool, uint32_t, uint32_t>> expected(uint32_t tenant,
                                                               const std::string &topic) const
    {
        std::vector<std::tuple<bool, uint32_t, uint32_t>> found;
        for (const auto &[key, s] : entries) {
            if (std::get<0>(key) == tenant && selects(std::get<1>(key), topic))
                found.emplace_back(s.is_group, s.order, s.identifier);
        }
        std::sort(found.begin(), found.end());
        return found;
    }
};

std::vector<std::tuple<bool, uint32_t, uint32_t>>
as_found(const std::vector<struct subscriber> &match)
{
    std::vector<std::tuple<bool, uint32_t, uint32_t>> found;
    for (size_t i = 0; i < match.size(); i++) {
        found.emplace_back(match[i].is_group, match[i].order, match[i].identifier);
        if (i > 0) {
            EXPECT_LE(std::make_pair(match[i - 1].is_group, match[i - 1].order),
                      std::make_pair(match[i].is_group, match[i].order));
        }
    }
    std::sort(found.begin(), found.end());
    return found;
}

} // namespace

TEST_F(Index, EveryFilterSelectsExactlyItsTopics)
{
    make(0);
    const std::vector<std::string> filters = all_filters(4), topics = all_topics(4);
    for (uint32_t i = 0; i < filters.size(); i++)
        ASSERT_TRUE(insert(filters[i], subscriber_of(i)));
    EXPECT_EQ(mqbx_index_filters(ix), filters.size());
    for (const std::string &t : topics) {
        Numbers expected;
        for (uint32_t i = 0; i < filters.size(); i++) {
            if (selects(filters[i], t))
                expected.push_back(i);
        }
        ASSERT_EQ(numbers(t), expected) << t;
    }
    for (uint32_t i = 0; i < filters.size(); i++)
        ASSERT_TRUE(remove(filters[i], i));
    EXPECT_EQ(mqbx_index_filters(ix), 0u);
    EXPECT_EQ(match("a/b").size(), 0u);
}

/* Each filter alone, so that no other one can answer in its place. */
TEST_F(Index, OneFilterAlone)
{
    const std::vector<std::string> topics = all_topics(3);
    make(64);
    for (const std::string &f : all_filters(3)) {
        ASSERT_TRUE(insert(f, subscriber_of(1)));
        for (const std::string &t : topics)
            ASSERT_EQ(match(t).size(), selects(f, t) ? 1u : 0u) << f << " " << t;
        ASSERT_TRUE(remove(f, 1));
        for (const std::string &t : topics)
            ASSERT_EQ(match(t).size(), 0u) << f << " " << t;
    }
}

class RandomIndex : public Index, public ::testing::WithParamInterface<uint32_t>
{
};

/* Insert, update, remove and match in any order, with and without the cache, against a model. */
TEST_P(RandomIndex, AgreesWithTheModel)
{
    make(GetParam());
    const std::vector<std::string> filters = all_filters(3), topics = all_topics(4);
    std::mt19937_64 random(test_seed(GetParam() + 1));
    Model model;
    for (uint64_t round = 0; round < test_scaled(40000); round++) {
        uint32_t tenant = random() % 3;
        const std::string &f = filters[random() % filters.size()];
        uint32_t number = random() % 60;
        auto key = std::make_tuple(tenant, f, number);
        struct subscriber s = subscriber_of(number);
        s.identifier = uint32_t(random() % 1000);
        s.is_group = number % 5 == 0;
        bool there = model.entries.count(key) > 0;
        switch (random() % 8) {
        case 0:
        case 1:
        case 2:
            if (there || model.entries.size() > 400 + round % 400)
                break;
            ASSERT_TRUE(insert(f, s, tenant));
            model.entries[key] = s;
            break;
        case 3:
            ASSERT_EQ(mqbx_index_update(ix, tenant, bytes_of(f), &s), there);
            if (there)
                model.entries[key] = s;
            break;
        case 4:
            ASSERT_EQ(remove(f, number, tenant), there);
            model.entries.erase(key);
            break;
        case 5: {
            if (model.entries.empty())
                break;
            auto victim = std::next(model.entries.begin(), long(random() % model.entries.size()));
            auto [t, filter, n] = victim->first;
            ASSERT_TRUE(remove(filter, n, t));
            model.entries.erase(victim);
            break;
        }
        default:
            const std::string &topic = topics[random() % topics.size()];
            ASSERT_EQ(as_found(match(topic, tenant)), model.expected(tenant, topic)) << topic;
        }
        ASSERT_EQ(mqbx_index_filters(ix), model.entries.size());
    }
}

INSTANTIATE_TEST_SUITE_P(CacheSlots, RandomIndex, ::testing::Values(0u, 1u, 64u, 4096u));

TEST_F(Index, OverlappingFiltersOfOneOwnerStandTogether)
{
    make(16);
    for (uint32_t n : {5u, 3u, 9u}) {
        insert("a/+", subscriber_of(n));
        insert("a/#", subscriber_of(n));
        insert("a/b", subscriber_of(n));
    }
    EXPECT_EQ(numbers("a/b"), (Numbers{3, 3, 3, 5, 5, 5, 9, 9, 9}));
    EXPECT_EQ(numbers("a/b"), (Numbers{3, 3, 3, 5, 5, 5, 9, 9, 9}));
}

TEST_F(Index, GroupsComeAfterSessions)
{
    make(16);
    struct subscriber group = subscriber_of(1);
    group.is_group = 1;
    insert("a", group);
    insert("#", subscriber_of(7));
    EXPECT_EQ(numbers("a"), (Numbers{7, 1}));
}

TEST_F(Index, TenantsDoNotSeeEachOther)
{
    make(16);
    insert("#", subscriber_of(1), 0);
    insert("#", subscriber_of(2), 1);
    insert("a/b", subscriber_of(3), 4000000000u);
    EXPECT_EQ(numbers("a/b", 0), Numbers{1});
    EXPECT_EQ(numbers("a/b", 1), Numbers{2});
    EXPECT_EQ(numbers("a/b", 4000000000u), Numbers{3});
    EXPECT_EQ(numbers("a/b", 2), Numbers{});
    EXPECT_FALSE(remove("#", 1, 1));
    EXPECT_TRUE(remove("#", 1, 0));
    EXPECT_EQ(numbers("a/b", 1), Numbers{2});
}

TEST_F(Index, UpdateShowsInACachedResult)
{
    make(16);
    insert("a/+", subscriber_of(1));
    insert("a/b", subscriber_of(2));
    EXPECT_EQ(match("a/b")[0].qos, 1u);
    struct subscriber s = subscriber_of(1);
    s.qos = 2;
    s.no_local = 1;
    s.retain_as_published = 1;
    s.identifier = 268435455;
    EXPECT_TRUE(mqbx_index_update(ix, 0, bytes_of("a/+"), &s));
    EXPECT_EQ(match("a/b")[0].qos, 2u);
    EXPECT_EQ(match("a/b")[0].no_local, 1u);
    EXPECT_EQ(match("a/b")[0].retain_as_published, 1u);
    EXPECT_EQ(match("a/b")[0].identifier, 268435455u);
    s.owner = &owners[77];
    EXPECT_FALSE(mqbx_index_update(ix, 0, bytes_of("a/+"), &s));
    EXPECT_FALSE(mqbx_index_update(ix, 0, bytes_of("b/+"), &s));
}

/* Every topic stays cached while filters elsewhere change; each change must show where it belongs.
 */
TEST_F(Index, CachedResultsFollowEveryChange)
{
    make(4096);
    const std::vector<std::string> topics = {"a/x", "b/x", "c", "$s/x", "a"};
    for (const std::string &t : topics)
        match(t);
    insert("+/x", subscriber_of(1));
    EXPECT_EQ(numbers("a/x"), Numbers{1});
    EXPECT_EQ(numbers("b/x"), Numbers{1});
    insert("a/#", subscriber_of(2));
    EXPECT_EQ(numbers("a/x"), (Numbers{1, 2}));
    EXPECT_EQ(numbers("a"), Numbers{2});
    EXPECT_EQ(numbers("b/x"), Numbers{1});
    insert("#", subscriber_of(3));
    insert("$s/#", subscriber_of(4));
    EXPECT_EQ(numbers("c"), Numbers{3});
    EXPECT_EQ(numbers("$s/x"), Numbers{4});
    remove("+/x", 1);
    EXPECT_EQ(numbers("b/x"), Numbers{3});
    EXPECT_EQ(numbers("a/x"), (Numbers{2, 3}));
    remove("#", 3);
    EXPECT_EQ(numbers("c"), Numbers{});
}

TEST_F(Index, ManySubscribersOfOneFilter)
{
    make(256);
    const uint32_t count = uint32_t(test_scaled(100000));
    std::mt19937 random(unsigned(test_seed(3)));
    Numbers order;
    for (uint32_t i = 0; i < count; i++)
        order.push_back(i);
    std::shuffle(order.begin(), order.end(), random);
    for (uint32_t n : order)
        ASSERT_TRUE(insert("all", subscriber_of(n)));
    struct match m = {};
    ASSERT_TRUE(mqbx_index_match(ix, 0, bytes_of("all"), &m));
    ASSERT_EQ(m.count, count);
    for (uint32_t i = 0; i < count; i++)
        ASSERT_EQ(number_of(m.subscribers[i]), i);
    std::shuffle(order.begin(), order.end(), random);
    std::set<uint32_t> left(order.begin(), order.end());
    for (uint32_t i = 0; i < count; i++) {
        ASSERT_TRUE(remove("all", order[i]));
        ASSERT_FALSE(remove("all", order[i]));
        left.erase(order[i]);
        if (i % (count / 8 + 1) == 0 || left.size() < 70) {
            ASSERT_EQ(numbers("all"), Numbers(left.begin(), left.end()));
        }
    }
}

TEST_F(Index, FewSubscribersComingAndGoing)
{
    make(16);
    std::mt19937 random(unsigned(test_seed(4)));
    std::set<uint32_t> there;
    for (uint64_t round = 0; round < test_scaled(200000); round++) {
        uint32_t n = random() % (1 + round % 90);
        if (there.count(n)) {
            ASSERT_TRUE(remove("f", n));
            there.erase(n);
        } else {
            ASSERT_TRUE(insert("f", subscriber_of(n)));
            there.insert(n);
        }
        if (random() % 4 == 0) {
            ASSERT_EQ(numbers("f"), Numbers(there.begin(), there.end()));
        }
    }
}

TEST_F(Index, OrderHoldsWhenTheLastHasGone)
{
    make(0);
    for (uint32_t n : {1u, 5u, 9u})
        insert("f", subscriber_of(n));
    EXPECT_EQ(numbers("f"), (Numbers{1, 5, 9}));
    remove("f", 9);
    insert("f", subscriber_of(2));
    EXPECT_EQ(numbers("f"), (Numbers{1, 2, 5}));
}

/* The map finds a level by 32 bits of its key: levels that share them must not be taken for each
 * other. */
TEST(IndexTree, LevelsWithTheSameTag)
{
    struct index_memory mem = {};
    mem.alloc = &mqbx_alloc_libc;
    struct tree tree;
    struct index_walk walk = {};
    mqbx_tree_init(&tree, &mem);
    uint32_t root = mqbx_tree_add_literal(&tree, 0, 7);
    std::map<uint32_t, uint32_t> level_by_tag;
    uint32_t pairs = 0;
    for (uint32_t i = 0; i < 400000; i++) {
        std::string level = std::to_string(i);
        uint64_t hash = mqbx_level_hash(KEY, bytes_of(level));
        auto [there, is_new] = level_by_tag.emplace(mqbx_tree_tag(root, hash), i);
        if (is_new)
            continue;
        std::string other = std::to_string(there->second);
        uint32_t id = mqbx_tree_add_literal(&tree, root, hash);
        struct subscriber s = subscriber_of(1);
        mqbx_subscribers_add(&mqbx_tree_node(&tree, id)->subscribers, &mem, &s);
        ASSERT_TRUE(mqbx_index_walk(&walk, &mem, &tree, root, KEY, bytes_of(other)));
        EXPECT_EQ(walk.matched_count, 0u) << other << " is not " << level;
        uint32_t second = mqbx_tree_add_literal(&tree, root, mqbx_level_hash(KEY, bytes_of(other)));
        ASSERT_NE(second, id);
        mqbx_subscribers_add(&mqbx_tree_node(&tree, second)->subscribers, &mem, &s);
        for (const auto &[text, node] :
             {std::make_pair(level, id), std::make_pair(other, second)}) {
            ASSERT_TRUE(mqbx_index_walk(&walk, &mem, &tree, root, KEY, bytes_of(text)));
            ASSERT_EQ(walk.matched_count, 1u);
            EXPECT_EQ(walk.matched[0], node);
        }
        pairs++;
    }
    EXPECT_GT(pairs, 4u);
    mqbx_index_walk_fini(&walk, &mem);
    mqbx_tree_fini(&tree);
    EXPECT_EQ(mem.bytes, 0u);
}

TEST_F(Index, GivesItsMemoryBack)
{
    make(0);
    uint64_t empty = mqbx_index_bytes(ix);
    const uint32_t count = uint32_t(test_scaled(100000));
    std::vector<std::string> filters;
    for (uint32_t i = 0; i < count; i++)
        filters.push_back("site/" + std::to_string(i) + (i % 2 ? "/+/x" : "/#"));
    for (uint32_t i = 0; i < count; i++)
        ASSERT_TRUE(insert(filters[i], subscriber_of(i)));
    EXPECT_GT(mqbx_index_bytes(ix), empty + count * 50u);
    EXPECT_LE(mqbx_index_bytes(ix), empty + count * 256u + 100000);
    EXPECT_EQ(mqbx_index_bytes(ix), test_alloc_live_bytes(&ta));
    std::shuffle(filters.begin(), filters.end(), std::mt19937(5));
    for (uint32_t i = 0; i < count; i++) {
        uint32_t n = uint32_t(std::stoul(filters[i].substr(5)));
        ASSERT_TRUE(remove(filters[i], n));
    }
    EXPECT_LT(mqbx_index_bytes(ix), empty + 40000);
    EXPECT_EQ(mqbx_index_bytes(ix), test_alloc_live_bytes(&ta));
    ASSERT_TRUE(insert("site/1/#", subscriber_of(1)));
    EXPECT_EQ(numbers("site/1/x"), Numbers{1});
}

/* An attacker publishes topics nobody subscribed to, and topics that each match long lists. */
TEST_F(Index, CacheIsBoundedWhateverIsPublished)
{
    make(1024);
    for (uint32_t i = 0; i < 2000; i++) {
        insert("all/#", subscriber_of(i));
        insert("all/+", subscriber_of(i + 2000));
    }
    match("all/x");
    uint64_t bytes = mqbx_index_bytes(ix);
    for (uint64_t i = 0; i < test_scaled(100000); i++)
        ASSERT_EQ(match("none/" + std::to_string(i)).size(), 0u);
    EXPECT_LE(mqbx_index_bytes(ix), bytes);
    for (uint64_t i = 0; i < test_scaled(4000); i++)
        ASSERT_EQ(match("all/" + std::to_string(i)).size(), 4000u);
    EXPECT_LE(mqbx_index_bytes(ix), bytes + 9u * 1024 * 1024);
    EXPECT_EQ(mqbx_index_bytes(ix), test_alloc_live_bytes(&ta));
}

TEST_F(Index, ListTooLargeForTheCacheIsAnsweredAllTheSame)
{
    make(4);
    const uint32_t count = 180000; /* of 24 bytes: more than half of what all lists may take */
    for (uint32_t i = 0; i < count; i++) {
        ASSERT_TRUE(insert(i % 2 ? "big/#" : "big/+", subscriber_of(i)));
    }
    for (int i = 0; i < 3; i++) {
        struct match m = {};
        ASSERT_TRUE(mqbx_index_match(ix, 0, bytes_of("big/x"), &m));
        ASSERT_EQ(m.count, count);
        EXPECT_EQ(number_of(m.subscribers[count - 1]), count - 1);
        EXPECT_EQ(match("other").size(), 0u);
    }
    EXPECT_EQ(mqbx_index_bytes(ix), test_alloc_live_bytes(&ta));
}

TEST_F(Index, DeepTopicsAndFilters)
{
    make(16);
    std::string deep = "l";
    for (int i = 0; i < 32000; i++)
        deep += "/l";
    ASSERT_TRUE(insert(deep, subscriber_of(1)));
    ASSERT_TRUE(insert(deep + "/#", subscriber_of(2)));
    EXPECT_EQ(numbers(deep), (Numbers{1, 2}));
    EXPECT_EQ(numbers(deep + "/x"), Numbers{2});
    EXPECT_TRUE(remove(deep, 1));
    EXPECT_TRUE(remove(deep + "/#", 2));
    EXPECT_EQ(numbers(deep), Numbers{});
}

/* Every combination of `+` and a literal over 12 levels selects one topic: 4096 branches abreast.
 */
TEST_F(Index, ManyBranchesAtOnce)
{
    make(16);
    for (uint32_t bits = 0; bits < 4096; bits++) {
        std::string f;
        for (int level = 0; level < 12; level++)
            f += std::string(level ? "/" : "") + (bits >> level & 1 ? "+" : "x");
        ASSERT_TRUE(insert(f, subscriber_of(bits)));
    }
    EXPECT_EQ(numbers("x/x/x/x/x/x/x/x/x/x/x/x").size(), 4096u);
    EXPECT_EQ(numbers("x/x/x/x/x/x/x/x/x/x/x/y").size(), 2048u);
    EXPECT_EQ(numbers("x/x/x/x/x/x/x/x/x/x/x").size(), 0u);
}

/* Whatever allocation fails: the call says so, nothing has changed, and the same call succeeds
 * later. */
TEST_F(Index, OutOfMemoryChangesNothing)
{
    make(64);
    std::mt19937_64 random(test_seed(6));
    const std::vector<std::string> filters = all_filters(3), topics = all_topics(3);
    Model model;
    for (uint64_t round = 0; round < test_scaled(6000); round++) {
        const std::string &f = filters[random() % filters.size()];
        uint32_t number = random() % 100;
        auto key = std::make_tuple(0u, f, number);
        struct subscriber s = subscriber_of(number);
        test_alloc_fail_after(&ta, random() % 4);
        uint64_t failures = test_alloc_failures(&ta);
        if (model.entries.count(key)) {
            ASSERT_TRUE(remove(f, number)) << "removing needs no memory";
            model.entries.erase(key);
        } else if (insert(f, s)) {
            model.entries[key] = s;
        } else {
            ASSERT_GT(test_alloc_failures(&ta), failures);
        }
        const std::string &topic = topics[random() % topics.size()];
        struct match m = {};
        failures = test_alloc_failures(&ta);
        test_alloc_fail_after(&ta, random() % 4);
        if (!mqbx_index_match(ix, 0, bytes_of(topic), &m)) {
            ASSERT_GT(test_alloc_failures(&ta), failures);
        }
        test_alloc_fail_after(&ta, TEST_ALLOC_NEVER);
        ASSERT_EQ(as_found(match(topic)), model.expected(0, topic)) << topic;
        ASSERT_EQ(mqbx_index_filters(ix), model.entries.size());
        ASSERT_EQ(mqbx_index_bytes(ix), test_alloc_live_bytes(&ta));
    }
}

TEST_F(Index, OutOfMemoryWhenMadeIsNull)
{
    for (uint64_t n = 0; n < 2; n++) {
        test_alloc_fail_after(&ta, n);
        EXPECT_EQ(mqbx_index_new(&ta.alloc, KEY, 64), nullptr);
        EXPECT_EQ(test_alloc_live_blocks(&ta), 0u);
    }
    test_alloc_fail_after(&ta, TEST_ALLOC_NEVER);
}
