// SPDX-License-Identifier: MIT
//
// The retained store and the interest masks with real threads; TSan runs this too. What every
// interleaving of a single race gives is shown in ../interleave.
#include <gtest/gtest.h>

#include <atomic>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include "shim/engine.hpp"
#include "shim/scale.h"
#include "shim/test_alloc.h"

namespace
{

const struct hash_key KEY = {0x0123456789abcdef, 0xfedcba9876543210};

struct bytes bytes_of(const std::string &s)
{
    return mqbx_bytes(s.data(), s.size());
}

std::string text(struct bytes b)
{
    return std::string(reinterpret_cast<const char *>(b.ptr), b.len);
}

/* Two threads do the same steps at the same time, as far as the machine lets them. */
class Pair
{
  public:
    /* Neither goes on before the other is there. */
    void meet(unsigned me)
    {
        uint64_t mine = ++met[me];
        for (unsigned spins = 1; met[!me] < mine; spins++) {
            if (spins % 100000 == 0)
                std::this_thread::yield();
        }
        step[me] = 0;
    }

    /* Waits for the other one, then a moment by chance: who is first is open. To wait without
     * yielding is what makes both run at once on a busy machine. */
    void draw_level(unsigned me, unsigned at, std::mt19937 &random)
    {
        step[me] = at + 1;
        for (unsigned spins = 1; step[!me] <= at; spins++) {
            if (spins % 100000 == 0)
                std::this_thread::yield();
        }
        linger(me, random);
    }

    /* Stretches the moment between two accesses, so that the other one's can fall into it. */
    void linger(unsigned me, std::mt19937 &random)
    {
        for (unsigned pause = random() % 64; pause > 0; pause--)
            lingered[me] = pause;
    }

  private:
    std::atomic<uint64_t> met[2] = {};
    std::atomic<unsigned> step[2] = {};
    std::atomic<unsigned> lingered[2] = {};
};

struct publication retained_publication(struct bytes topic, struct bytes payload)
{
    struct publication p = {};
    p.expiry_s = MSG_NEVER_EXPIRES;
    p.retain = true;
    p.topic = topic;
    p.payload = payload;
    return p;
}

uint64_t put(struct retained *r, const std::string &topic, const std::string &payload)
{
    struct publication p = retained_publication(bytes_of(topic), bytes_of(payload));
    uint64_t stamp = 0;
    EXPECT_EQ(mqbx_retained_put(r, &p, &stamp),
              payload.empty() ? RETAINED_CLEARED : RETAINED_STORED);
    return stamp;
}

/* What a filter without wildcards takes: at most one value. */
struct msg *take_one(struct retained *r, const std::string &topic, uint64_t newest)
{
    struct retained_cursor c = {};
    struct msg *m = nullptr;
    uint32_t n = mqbx_retained_take(r, 0, bytes_of(topic), newest, 0, &c, &m, 1);
    mqbx_retained_cursor_fini(&c);
    return n ? m : nullptr;
}

/* A whole replay, its text kept as its owner must. */
template <typename Each> void walk_all(struct retained *r, const std::string &filter, Each each)
{
    struct retained_cursor c = {};
    std::string last;
    struct msg *out[16];
    while (!c.is_done) {
        uint32_t n = mqbx_retained_take(r, 0, bytes_of(filter), UINT64_MAX, 0, &c, out, 16);
        last = text(c.last);
        c.last = bytes_of(last);
        for (uint32_t i = 0; i < n; i++) {
            each(out[i]);
            mqbx_msg_unref(out[i]);
        }
    }
}

} // namespace

/* One publishes retained values, the other subscribes to the same topics at the same time: each
 * value is seen once, by replay or live, never missed, never doubled. */
TEST(RetainedThreads, SubscriberRacingAPublish)
{
    const unsigned batch = 64;
    const uint64_t rounds = test_scaled(test_count(200000, 2000000)) / batch + 1;
    struct interest *interest = mqbx_interest_new(&mqbx_alloc_libc, KEY, 1u << 16);
    struct interest_counts *counts = mqbx_interest_counts_new(&mqbx_alloc_libc, interest, 1);
    struct retained *r = mqbx_retained_new(&mqbx_alloc_libc, KEY, {0, 0});
    std::vector<std::string> topics;
    for (unsigned i = 0; i < batch; i++)
        topics.push_back("race/" + std::to_string(i) + "/x");
    std::vector<uint64_t> stamps(batch), live(batch);
    Pair pair;

    std::thread publisher([&] {
        std::mt19937 random(unsigned(test_seed(2)));
        for (uint64_t round = 1; round <= rounds; round++) {
            const std::string payload = std::to_string(round);
            pair.meet(0);
            for (unsigned i = 0; i < batch; i++) {
                pair.draw_level(0, i, random);
                stamps[i] = put(r, topics[i], payload);
                pair.linger(0, random);
                live[i] = mqbx_interest_mask(interest, 0, bytes_of(topics[i]));
            }
            pair.meet(0);
        }
    });

    uint64_t missed = 0, doubled = 0, replays = 0, lives = 0;
    std::vector<uint32_t> slots(batch);
    std::vector<uint64_t> newest(batch);
    std::vector<bool> is_replayed(batch);
    std::mt19937 random(unsigned(test_seed(1)));
    for (uint64_t round = 1; round <= rounds; round++) {
        const std::string payload = std::to_string(round);
        pair.meet(1);
        for (unsigned i = 0; i < batch; i++) {
            pair.draw_level(1, i, random);
            slots[i] = mqbx_interest_raise(counts, 0, bytes_of(topics[i]));
            pair.linger(1, random);
            newest[i] = mqbx_retained_stamp(r);
            struct msg *m = take_one(r, topics[i], newest[i]);
            is_replayed[i] = m && text(mqbx_msg_payload(m)) == payload;
            mqbx_msg_unref(m);
        }
        pair.meet(1);
        for (unsigned i = 0; i < batch; i++) {
            bool is_live = live[i] != 0 && stamps[i] > newest[i];
            missed += !is_live && !is_replayed[i];
            doubled += is_live && is_replayed[i];
            replays += is_replayed[i];
            lives += is_live;
            mqbx_interest_lower(counts, slots[i]);
        }
    }
    publisher.join();
    EXPECT_EQ(missed, 0u);
    EXPECT_EQ(doubled, 0u);
    RecordProperty("by_replay", std::to_string(replays));
    RecordProperty("live", std::to_string(lives));
    mqbx_interest_counts_free(counts);
    mqbx_interest_free(interest);
    mqbx_retained_free(r);
}

/* Everything at once on a few topics. A reader of one topic never sees an older value after a newer
 * one. */
TEST(RetainedThreads, PutTakeAndSweepFromAllSides)
{
    struct test_alloc ta;
    test_alloc_init(&ta);
    struct retained *r = mqbx_retained_new(&ta.alloc, KEY, {300, 0});
    const uint64_t each = test_scaled(60000);
    std::atomic<unsigned> writers{3};
    std::vector<std::thread> threads;
    for (unsigned t = 0; t < 3; t++) {
        threads.emplace_back([&, t] {
            std::mt19937 random(unsigned(test_seed(t)));
            for (uint64_t i = 0; i < each; i++) {
                std::string topic =
                    "a/" + std::to_string(random() % 4) + "/" + std::to_string(random() % 100);
                std::string payload = random() % 3 ? "payload" : "";
                struct publication p = retained_publication(bytes_of(topic), bytes_of(payload));
                p.expiry_s = random() % 8 ? MSG_NEVER_EXPIRES : 1;
                uint64_t stamp;
                mqbx_retained_put(r, &p, &stamp);
            }
            writers--;
        });
    }
    threads.emplace_back([&] {
        while (writers > 0)
            mqbx_retained_sweep(r, 2000, 100);
    });
    threads.emplace_back([&] {
        uint64_t last = 0;
        while (writers > 0) {
            struct msg *m = take_one(r, "a/1/7", UINT64_MAX);
            if (!m)
                continue;
            EXPECT_GE(m->stamp, last);
            last = m->stamp;
            mqbx_msg_unref(m);
        }
    });
    while (writers > 0) {
        walk_all(r, "a/#", [](struct msg *) {});
        walk_all(r, "+/2/+", [](struct msg *m) {
            EXPECT_EQ(text(mqbx_msg_topic(m)).compare(0, 4, "a/2/"), 0);
        });
    }
    for (std::thread &t : threads)
        t.join();
    EXPECT_LE(mqbx_retained_count(r), 300u);
    uint64_t values = 0, bytes = 0;
    walk_all(r, "#", [&](struct msg *m) {
        values++;
        bytes += mqbx_msg_size(m) + sizeof(void *);
    });
    EXPECT_EQ(values, mqbx_retained_count(r));
    EXPECT_EQ(bytes, mqbx_retained_bytes(r));
    mqbx_retained_free(r);
    EXPECT_EQ(test_alloc_live_blocks(&ta), 0u);
    EXPECT_TRUE(test_alloc_is_sane(&ta));
    test_alloc_fini(&ta);
}
