// SPDX-License-Identifier: MIT
#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <memory>
#include <random>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "shim/engine.hpp"
#include "shim/scale.h"
#include "shim/test_alloc.h"
#include "topics.hpp"

namespace
{

const struct hash_key KEY = {0x0123456789abcdef, 0xfedcba9876543210};
const uint64_t NEWEST = UINT64_MAX;

std::string text(struct bytes b)
{
    return std::string(reinterpret_cast<const char *>(b.ptr), b.len);
}

struct Value {
    std::string topic, payload;
    uint64_t stamp;

    bool operator==(const Value &o) const
    {
        return topic == o.topic && payload == o.payload && stamp == o.stamp;
    }
    bool operator<(const Value &o) const
    {
        return stamp < o.stamp;
    }
};

std::ostream &operator<<(std::ostream &out, const Value &v)
{
    return out << v.topic << "=" << v.payload << "@" << v.stamp;
}

/* A cursor that keeps its text, as its owner must. */
struct Cursor {
    struct retained_cursor c = {};
    std::string last;
    uint32_t calls = 0;

    ~Cursor()
    {
        mqbx_retained_cursor_fini(&c);
    }

    std::vector<Value> take(struct retained *r, uint32_t tenant, const std::string &filter,
                            uint64_t newest, uint64_t now_ms, uint32_t max)
    {
        std::vector<struct msg *> out(max);
        std::vector<Value> values;
        uint32_t n =
            mqbx_retained_take(r, tenant, bytes_of(filter), newest, now_ms, &c, out.data(), max);
        calls++;
        last = text(c.last);
        c.last = bytes_of(last);
        EXPECT_LE(n, max);
        for (uint32_t i = 0; i < n; i++) {
            struct publication p;
            mqbx_msg_view(out[i], &p);
            EXPECT_TRUE(p.retain);
            values.push_back({text(p.topic), text(p.payload), p.stamp});
            mqbx_msg_unref(out[i]);
        }
        return values;
    }
};

class Retained : public ::testing::Test
{
  protected:
    void SetUp() override
    {
        test_alloc_init(&ta);
        r = mqbx_retained_new(&ta.alloc, KEY, {0, 0});
        ASSERT_NE(r, nullptr);
    }

    void TearDown() override
    {
        mqbx_retained_free(r);
        EXPECT_EQ(test_alloc_live_blocks(&ta), 0u);
        EXPECT_TRUE(test_alloc_is_sane(&ta));
        test_alloc_fini(&ta);
    }

    struct publication publication(const std::string &topic, const std::string &payload)
    {
        struct publication p = {};
        p.tenant = tenant;
        p.expiry_s = expiry_s;
        p.received_ms = now_ms;
        p.qos = 1;
        p.retain = true;
        p.topic = bytes_of(topic);
        p.payload = bytes_of(payload);
        return p;
    }

    enum retained_status try_put(const std::string &topic, const std::string &payload)
    {
        struct publication p = publication(topic, payload);
        return mqbx_retained_put(r, &p, &stamp);
    }

    void put(const std::string &topic, const std::string &payload)
    {
        ASSERT_EQ(try_put(topic, payload), payload.empty() ? RETAINED_CLEARED : RETAINED_STORED);
    }

    /* The whole replay of a filter, `max` at a time. */
    std::vector<Value> replay(const std::string &filter, uint64_t newest = NEWEST,
                              uint32_t max = 64)
    {
        std::vector<Value> all;
        Cursor cursor;
        while (!cursor.c.is_done) {
            for (Value &v : cursor.take(r, tenant, filter, newest, now_ms, max))
                all.push_back(std::move(v));
        }
        return all;
    }

    std::vector<std::string> topics_of(const std::string &filter)
    {
        std::vector<std::string> topics;
        for (const Value &v : replay(filter))
            topics.push_back(v.topic);
        std::sort(topics.begin(), topics.end());
        return topics;
    }

    struct test_alloc ta;
    struct retained *r = nullptr;
    uint32_t tenant = 0;
    uint32_t expiry_s = MSG_NEVER_EXPIRES;
    uint64_t now_ms = 1000;
    uint64_t stamp = 0;
};

using Texts = std::vector<std::string>;

} // namespace

TEST_F(Retained, EveryFilterTakesExactlyWhatItSelects)
{
    const Texts topics = all_topics(4);
    for (const std::string &t : topics)
        put(t, "v:" + t);
    EXPECT_EQ(mqbx_retained_count(r), topics.size());
    for (const std::string &f : all_filters(4)) {
        Texts expected;
        for (const std::string &t : topics) {
            if (selects(f, t))
                expected.push_back(t);
        }
        std::sort(expected.begin(), expected.end());
        ASSERT_EQ(topics_of(f), expected) << f;
    }
}

/* Sparse stores, where the walk must jump from nothing to nothing. */
TEST_F(Retained, EveryFilterOnRandomStores)
{
    const Texts topics = all_topics(4), filters = all_filters(4);
    std::mt19937 random(unsigned(test_seed(1)));
    for (uint64_t round = 0; round < test_scaled(30); round++) {
        for (const std::string &t : topics) {
            put(t, "");
            if (random() % 8 == 0)
                put(t, "x");
        }
        std::set<std::string> there;
        for (const Value &v : replay("#"))
            there.insert(v.topic);
        for (const Value &v : replay("$s/#"))
            there.insert(v.topic);
        EXPECT_EQ(there.size(), mqbx_retained_count(r));
        for (const std::string &f : filters) {
            Texts expected;
            for (const std::string &t : there) {
                if (selects(f, t))
                    expected.push_back(t);
            }
            ASSERT_EQ(topics_of(f), expected) << f;
        }
    }
}

TEST_F(Retained, NewestValueReplacesTheOlder)
{
    put("a/b", "1");
    EXPECT_EQ(stamp, 1u);
    put("a/b", "2");
    EXPECT_EQ(stamp, 2u);
    EXPECT_EQ(mqbx_retained_count(r), 1u);
    EXPECT_EQ(mqbx_retained_stamp(r), 2u);
    EXPECT_EQ(replay("a/b"), (std::vector<Value>{{"a/b", "2", 2}}));
}

TEST_F(Retained, EmptyPayloadClears)
{
    put("a/b", "1");
    put("a/c", "1");
    put("a/b", "");
    EXPECT_EQ(stamp, 3u) << "clearing has its place in the order too";
    EXPECT_EQ(topics_of("#"), Texts{"a/c"});
    put("never/there", "");
    EXPECT_EQ(stamp, 4u);
    EXPECT_EQ(mqbx_retained_count(r), 1u);
}

TEST_F(Retained, OnlyStampsUpToTheNewestAsked)
{
    put("a", "1");
    put("b", "2");
    put("c", "3");
    put("a", "4");
    std::vector<Value> values = replay("#", 3);
    std::sort(values.begin(), values.end());
    EXPECT_EQ(values, (std::vector<Value>{{"b", "2", 2}, {"c", "3", 3}}))
        << "a's older value is gone, its newer one is for the live flow";
    EXPECT_EQ(replay("#", 0).size(), 0u);
}

TEST_F(Retained, StampsGoOnAboveTheOneSet)
{
    mqbx_retained_set_stamp(r, 1000);
    put("a", "1");
    EXPECT_EQ(stamp, 1001u);
    EXPECT_EQ(mqbx_retained_stamp(r), 1001u);
}

TEST_F(Retained, TenantsAreApart)
{
    put("a/b", "0");
    tenant = 9;
    put("a/b", "9");
    put("a/c", "9");
    EXPECT_EQ(topics_of("#"), (Texts{"a/b", "a/c"}));
    put("a/b", "");
    EXPECT_EQ(topics_of("a/+"), Texts{"a/c"});
    tenant = 0;
    EXPECT_EQ(topics_of("#"), Texts{"a/b"});
    EXPECT_EQ(topics_of("a/b"), Texts{"a/b"});
    tenant = 1;
    EXPECT_EQ(topics_of("#"), Texts{});
}

TEST_F(Retained, ParentOfAHashFilterIsInAnotherShard)
{
    for (int i = 0; i < 300; i++) {
        std::string t = "t" + std::to_string(i);
        put(t, "parent");
        put(t + "/x", "child");
        put(t + "/x/y", "grandchild");
        EXPECT_EQ(topics_of(t + "/#"), (Texts{t, t + "/x", t + "/x/y"}));
        EXPECT_EQ(topics_of(t + "/x/#"), (Texts{t + "/x", t + "/x/y"}));
    }
}

/* One shard, one answer at a time: the order is that of mqbx_topic_compare. */
TEST_F(Retained, AnswersInTopicOrderWithinAShard)
{
    Texts topics;
    for (int i = 0; i < 1000; i++)
        topics.push_back("site/1/" + std::to_string(i * 7919 % 1000) + (i % 3 ? "/x" : "!"));
    for (const std::string &t : topics)
        put(t, t);
    std::sort(topics.begin(), topics.end(), [](const std::string &a, const std::string &b) {
        return mqbx_topic_compare(bytes_of(a), bytes_of(b)) < 0;
    });
    topics.erase(std::unique(topics.begin(), topics.end()), topics.end());
    for (uint32_t max : {1u, 3u, 256u, 2000u}) {
        Texts found;
        for (const Value &v : replay("site/1/#", NEWEST, max))
            found.push_back(v.topic);
        EXPECT_EQ(found, topics) << max;
    }
}

TEST_F(Retained, TakeOfNothingMovesNothing)
{
    put("a", "1");
    struct retained_cursor c = {};
    EXPECT_EQ(mqbx_retained_take(r, 0, bytes_of("#"), NEWEST, 0, &c, nullptr, 0), 0u);
    EXPECT_FALSE(c.is_done);
    struct msg *m = nullptr;
    uint32_t n = 0;
    while (!c.is_done && n == 0)
        n = mqbx_retained_take(r, 0, bytes_of("#"), NEWEST, 0, &c, &m, 1);
    EXPECT_EQ(n, 1u);
    mqbx_msg_unref(m);
    mqbx_retained_cursor_fini(&c);
}

/* A walk that finds nothing for long gives the lock and its caller back in between. */
TEST_F(Retained, LooksAtABoundedNumberPerCall)
{
    for (int i = 0; i < 2000; i++)
        put("site/1/" + std::to_string(i) + "/state", "x");
    put("site/1/999/alarm", "!");
    Cursor cursor;
    std::vector<Value> found;
    while (!cursor.c.is_done) {
        for (Value &v : cursor.take(r, 0, "site/1/+/alarm", NEWEST, now_ms, 64))
            found.push_back(v);
        ASSERT_LT(cursor.calls, 50u);
    }
    EXPECT_GE(cursor.calls, 2000u / 256);
    ASSERT_EQ(found.size(), 1u);
    EXPECT_EQ(found[0].topic, "site/1/999/alarm");
}

TEST_F(Retained, CursorGivenUpOnTheWayHoldsNothing)
{
    for (int i = 0; i < 2000; i++)
        put("site/1/" + std::to_string(i) + "/state", "x");
    Cursor cursor;
    cursor.take(r, 0, "site/1/+/alarm", NEWEST, now_ms, 64);
    EXPECT_FALSE(cursor.c.is_done);
    EXPECT_NE(cursor.c.held, nullptr);
}

/* The cursor stands behind a value that was looked at, not answered, and that goes at once. */
TEST_F(Retained, CursorsTextOutlivesTheValue)
{
    put("site/1/000/alarm", "!");
    for (int i = 100; i < 999; i++)
        put("site/1/" + std::to_string(i) + "/state", "x");
    struct retained_cursor c = {};
    struct msg *m = nullptr;
    ASSERT_EQ(mqbx_retained_take(r, 0, bytes_of("site/1/+/alarm"), NEWEST, 0, &c, &m, 2), 1u);
    mqbx_msg_unref(m);
    ASSERT_FALSE(c.is_done);
    for (int i = 100; i < 999; i++)
        put("site/1/" + std::to_string(i) + "/state", "");
    put("site/1/000/alarm", "");
    std::string last = text(c.last);
    EXPECT_EQ(last.substr(0, 7), "site/1/");
    EXPECT_EQ(last.substr(10), "/state");
    mqbx_retained_cursor_fini(&c);
}

TEST_F(Retained, SkipsWhatCannotBeSelected)
{
    for (int i = 0; i < 1000; i++) {
        for (int j = 0; j < 20; j++)
            put("site/1/" + std::to_string(i) + "/" + std::to_string(j), "x");
    }
    Cursor cursor;
    size_t found = 0;
    while (!cursor.c.is_done)
        found += cursor.take(r, 0, "site/1/+/7", NEWEST, now_ms, 1000).size();
    EXPECT_EQ(found, 1000u);
    EXPECT_LE(cursor.calls, 4 * 1000 / 256u) << "three looks a branch, not twenty";
    EXPECT_EQ(topics_of("site/1/5/+").size(), 20u);
}

TEST_F(Retained, ExpiredValuesAreNotAnsweredAndGo)
{
    put("keeps", "x");
    expiry_s = 10;
    put("a", "x");
    put("b", "x");
    now_ms += 9999;
    EXPECT_EQ(topics_of("#"), (Texts{"a", "b", "keeps"}));
    now_ms += 1;
    EXPECT_EQ(mqbx_retained_count(r), 3u);
    EXPECT_EQ(topics_of("a"), Texts{});
    EXPECT_EQ(mqbx_retained_count(r), 2u);
    EXPECT_EQ(topics_of("#"), Texts{"keeps"});
    EXPECT_EQ(mqbx_retained_count(r), 1u);
}

/* Blocks join under the walk that empties them: it must go on at the right entry. */
TEST_F(Retained, ExpiredValuesAmongOthers)
{
    std::mt19937 random(unsigned(test_seed(8)));
    for (bool by_sweep : {false, true}) {
        std::set<std::string> keep;
        for (int i = 0; i < 6000; i++) {
            std::string topic = "site/1/" + std::to_string(i);
            expiry_s = random() % 10 ? 5 : MSG_NEVER_EXPIRES;
            put(topic, "x");
            if (expiry_s == MSG_NEVER_EXPIRES)
                keep.insert(topic);
        }
        now_ms += 5000;
        if (by_sweep) {
            EXPECT_EQ(mqbx_retained_sweep(r, now_ms, 6000), 6000 - keep.size());
            EXPECT_EQ(mqbx_retained_count(r), keep.size());
        }
        EXPECT_EQ(topics_of("site/1/#"), Texts(keep.begin(), keep.end()));
        EXPECT_EQ(mqbx_retained_count(r), keep.size());
    }
}

TEST_F(Retained, SweepRemovesExpiredValuesInSlices)
{
    for (int i = 0; i < 3000; i++) {
        expiry_s = i % 3 ? 5 : MSG_NEVER_EXPIRES;
        put((i % 2 ? "site/1/" : "t") + std::to_string(i), "x");
    }
    EXPECT_EQ(mqbx_retained_sweep(r, now_ms, 100000), 0u);
    now_ms += 5000;
    EXPECT_EQ(mqbx_retained_sweep(r, now_ms, 0), 0u);
    uint32_t removed = 0;
    for (int i = 0; i < 60; i++) {
        uint32_t n = mqbx_retained_sweep(r, now_ms, 100);
        EXPECT_LE(n, 100u);
        removed += n;
    }
    EXPECT_EQ(removed, 2000u);
    EXPECT_EQ(mqbx_retained_count(r), 1000u);
    EXPECT_EQ(topics_of("#").size(), 1000u);
}

TEST_F(Retained, CountLimit)
{
    mqbx_retained_set_limits(r, {2, 0});
    put("a", "1");
    put("b", "1");
    EXPECT_EQ(try_put("c", "1"), RETAINED_FULL);
    EXPECT_EQ(stamp, 3u) << "what is not stored still has its place in the order";
    put("a", "2");
    EXPECT_EQ(topics_of("#"), (Texts{"a", "b"}));
    put("a", "");
    put("c", "1");
    EXPECT_EQ(topics_of("#"), (Texts{"b", "c"}));
    mqbx_retained_set_limits(r, {0, 0});
    put("d", "1");
    EXPECT_EQ(mqbx_retained_count(r), 3u);
    mqbx_retained_set_limits(r, {1, 0});
    put("d", "2");
    EXPECT_EQ(replay("d")[0].payload, "2") << "replacing adds none";
}

TEST_F(Retained, ByteLimitRemovesTheStaleValue)
{
    put("a", "small");
    put("b", "small");
    mqbx_retained_set_limits(r, {0, mqbx_retained_bytes(r) + 10});
    put("a", "a little");
    EXPECT_EQ(try_put("a", std::string(1000, 'x')), RETAINED_FULL);
    EXPECT_EQ(topics_of("#"), Texts{"b"}) << "an older value must not outlive the newer one";
    put("a", "small");
}

TEST_F(Retained, BytesAreThoseOfMessagesAndPlaces)
{
    EXPECT_EQ(mqbx_retained_bytes(r), 0u);
    size_t before = test_alloc_live_bytes(&ta);
    const uint32_t count = uint32_t(test_scaled(100000));
    const std::string payload(64, 'p');
    std::vector<uint32_t> order(count);
    for (uint32_t i = 0; i < count; i++)
        order[i] = i;
    std::shuffle(order.begin(), order.end(), std::mt19937(unsigned(test_seed(2))));
    for (uint32_t i : order)
        put("site/" + std::to_string(i % 100) + "/device/" + std::to_string(i), payload);
    size_t live = test_alloc_live_bytes(&ta) - before;
    uint64_t messages = mqbx_retained_bytes(r) - count * sizeof(void *);
    EXPECT_LE(live - messages, count * 16u + 64 * 200) << "places, a message";
    EXPECT_LE(live, count * 184u + 64 * 200);
    std::shuffle(order.begin(), order.end(), std::mt19937(7));
    for (uint32_t i : order)
        put("site/" + std::to_string(i % 100) + "/device/" + std::to_string(i), "");
    EXPECT_EQ(mqbx_retained_bytes(r), 0u);
    EXPECT_EQ(test_alloc_live_bytes(&ta), before);
}

/* Put in order they leave full blocks behind: no more memory a value than put in any order. */
TEST_F(Retained, AscendingTopicsFillTheirBlocks)
{
    size_t before = test_alloc_live_bytes(&ta);
    for (int i = 100000; i < 110000; i++)
        put("site/1/" + std::to_string(i), "x");
    uint64_t messages = mqbx_retained_bytes(r) - 10000 * sizeof(void *);
    EXPECT_LE(test_alloc_live_bytes(&ta) - before - messages, 10000 * 10u);
}

TEST_F(Retained, SharesAMessageNobodyElseHas)
{
    const std::string topic = "a/b", payload = "payload";
    struct publication p = publication(topic, payload);
    struct msg *m = mqbx_msg_new(&ta.alloc, &p);
    mqbx_msg_view(m, &p);
    EXPECT_EQ(mqbx_retained_put(r, &p, &stamp), RETAINED_STORED);
    size_t shared = test_alloc_live_blocks(&ta);
    EXPECT_EQ(m->stamp, stamp);
    EXPECT_EQ(mqbx_retained_put(r, &p, &stamp), RETAINED_STORED);
    EXPECT_EQ(test_alloc_live_blocks(&ta), shared + 1) << "the store has it: this is a copy";
    EXPECT_EQ(m->stamp, stamp - 1);
    mqbx_msg_unref(m);
    EXPECT_EQ(replay("a/b"), (std::vector<Value>{{"a/b", "payload", 2}}));
}

TEST_F(Retained, CopiesWhatIsTheHosts)
{
    const std::string topic = "a/b";
    std::string payload = "payload";
    struct publication p = publication(topic, payload);
    struct msg *m = mqbx_msg_new_foreign(&ta.alloc, &p, nullptr, nullptr);
    mqbx_msg_view(m, &p);
    EXPECT_EQ(mqbx_retained_put(r, &p, &stamp), RETAINED_STORED);
    mqbx_msg_unref(m);
    payload.assign("XXXXXXX");
    EXPECT_EQ(replay("a/b")[0].payload, "payload");
}

TEST_F(Retained, OutOfMemoryChangesNothing)
{
    std::mt19937 random(unsigned(test_seed(3)));
    std::map<std::string, std::string> model;
    for (uint64_t i = 0; i < test_scaled(5000); i++) {
        std::string topic = "s/1/" + std::to_string(random() % 700);
        std::string payload = random() % 4 ? std::to_string(i) : "";
        uint64_t newest = mqbx_retained_stamp(r);
        test_alloc_fail_after(&ta, random() % 4);
        enum retained_status status = try_put(topic, payload);
        test_alloc_fail_after(&ta, TEST_ALLOC_NEVER);
        if (status == RETAINED_NO_MEMORY) {
            ASSERT_EQ(mqbx_retained_stamp(r), newest);
        } else if (payload.empty()) {
            model.erase(topic);
        } else {
            model[topic] = payload;
        }
        ASSERT_EQ(mqbx_retained_count(r), model.size());
    }
    std::map<std::string, std::string> found;
    for (const Value &v : replay("#"))
        found[v.topic] = v.payload;
    EXPECT_EQ(found, model);
}

/* Values come, change and go between the takes of several cursors, some with one answer at
 * a time. What stayed put is answered once, in order; what is answered was there. */
TEST_F(Retained, CursorsWhileValuesComeAndGo)
{
    struct Change {
        uint64_t stamp;
        std::string payload;
    };
    struct Walker {
        Cursor cursor;
        std::string filter;
        uint32_t tenant;
        uint64_t newest;
        uint32_t max;
        std::map<std::string, Value> stays; /* there at the start and not touched since */
        std::set<std::string> answered;
    };
    std::mt19937 random(unsigned(test_seed(4)));
    Texts topics = all_topics(4);
    for (int i = 0; i < 1500; i++)
        topics.push_back("a/b/" + std::to_string(i));
    const Texts filters = {"#",       "a/#",     "a/b/#",  "a/b/+",  "+/b/#", "+/+",
                           "a/+/+/b", "$s/#",    "a/b",    "/#",     "//+/a", "+",
                           "a/b/+/#", "+/+/7/#", "a/b/77", "b/+/a/+"};
    std::map<std::pair<uint32_t, std::string>, Value> model;
    std::vector<std::unique_ptr<Walker>> walkers;
    size_t finished = 0;
    for (uint64_t round = 0; round < test_scaled(60000); round++) {
        for (uint32_t i = random() % 4; i > 0; i--) {
            tenant = random() % 2;
            const std::string &topic = topics[random() % topics.size()];
            std::string payload = random() % 3 ? "p" + std::to_string(round) : "";
            if (round / 3000 % 2 && random() % 2)
                payload = ""; /* shrinking for a while, then growing */
            put(topic, payload);
            auto key = std::make_pair(tenant, topic);
            model.erase(key);
            if (!payload.empty())
                model[key] = {topic, payload, stamp};
            for (auto &w : walkers) {
                if (w->tenant == tenant)
                    w->stays.erase(topic);
            }
        }
        if (walkers.size() < 6) {
            auto w = std::make_unique<Walker>();
            w->filter = filters[random() % filters.size()];
            w->tenant = random() % 2;
            w->newest = random() % 4 ? mqbx_retained_stamp(r) : mqbx_retained_stamp(r) / 2;
            w->max = 1 + random() % (random() % 3 ? 4 : 300);
            for (const auto &[key, value] : model) {
                if (key.first == w->tenant && value.stamp <= w->newest &&
                    selects(w->filter, key.second))
                    w->stays[key.second] = value;
            }
            walkers.push_back(std::move(w));
        }
        size_t which = random() % walkers.size();
        Walker &w = *walkers[which];
        for (const Value &v : w.cursor.take(r, w.tenant, w.filter, w.newest, now_ms, w.max)) {
            ASSERT_TRUE(w.answered.insert(v.topic).second) << v << " twice by " << w.filter;
            ASSERT_LE(v.stamp, w.newest);
            ASSERT_TRUE(selects(w.filter, v.topic));
            ASSERT_EQ(model.at({w.tenant, v.topic}), v);
            w.stays.erase(v.topic);
        }
        if (!w.cursor.c.is_done)
            continue;
        ASSERT_EQ(w.stays.size(), 0u) << w.stays.begin()->second << " missed by " << w.filter;
        walkers.erase(walkers.begin() + long(which));
        finished++;
    }
    EXPECT_GT(finished, test_scaled(60000) / 100);
    EXPECT_EQ(mqbx_retained_count(r), model.size());
}
