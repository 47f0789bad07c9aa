// SPDX-License-Identifier: MIT
//
// Interest masks and messages with real threads; TSan runs this too.
#include <gtest/gtest.h>

#include <array>
#include <atomic>
#include <chrono>
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

const unsigned WORKERS = 3;

/* How a worker says that it is interested now: odd while it is, a new number each time. */
using Phases = std::array<std::atomic<uint64_t>, WORKERS>;

} // namespace

/* Workers raise and lower at will, all in one small table; a reader that catches one raised, before
 * and after it read the mask, must have seen its bit. */
TEST(InterestThreads, ReaderNeverMissesARaisedMask)
{
    struct test_alloc ta;
    test_alloc_init(&ta);
    struct interest *t = mqbx_interest_new(&ta.alloc, KEY, 8192);
    std::vector<struct interest_counts *> counts;
    for (unsigned w = 0; w < WORKERS; w++)
        counts.push_back(mqbx_interest_counts_new(&ta.alloc, t, w));
    Phases phases{};
    std::atomic<bool> stop{false};
    std::vector<std::thread> threads;
    for (unsigned w = 0; w < WORKERS; w++) {
        threads.emplace_back([&, w] {
            std::mt19937 random(unsigned(test_seed(w)));
            const std::vector<std::string> filters = {"a/b/c", "a/b/#", "a/+/c", "+/b/+", "#"};
            while (!stop) {
                uint32_t other = mqbx_interest_raise(
                    counts[w], 0, bytes_of("x/" + std::to_string(random() % 5000)));
                uint32_t slot = mqbx_interest_raise(counts[w], 0, bytes_of(filters[random() % 5]));
                phases[w]++;
                mqbx_interest_lower(counts[w], other);
                phases[w]++;
                mqbx_interest_lower(counts[w], slot);
            }
        });
    }
    uint64_t caught = 0, missed = 0;
    const uint64_t wanted = test_scaled(50000);
    const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(30);
    while (caught < wanted && std::chrono::steady_clock::now() < deadline) {
        uint64_t before[WORKERS];
        for (unsigned w = 0; w < WORKERS; w++)
            before[w] = phases[w];
        uint64_t mask = mqbx_interest_mask(t, 0, mqbx_bytes_of("a/b/c"));
        for (unsigned w = 0; w < WORKERS; w++) {
            if (before[w] % 2 == 0 || phases[w] != before[w])
                continue;
            caught++;
            missed += (mask >> w & 1) == 0;
        }
    }
    stop = true;
    for (std::thread &thread : threads)
        thread.join();
    EXPECT_EQ(missed, 0u);
    EXPECT_GE(caught, wanted);
    EXPECT_EQ(mqbx_interest_mask(t, 0, mqbx_bytes_of("a/b/c")), 0u);
    for (struct interest_counts *c : counts)
        mqbx_interest_counts_free(c);
    mqbx_interest_free(t);
    EXPECT_EQ(test_alloc_live_blocks(&ta), 0u);
    test_alloc_fini(&ta);
}

/* A message dropped by several threads runs its host's free function once, after all have read it.
 */
TEST(MsgThreads, LastReferenceOnAnyThreadFrees)
{
    struct test_alloc ta;
    test_alloc_init(&ta);
    for (uint64_t round = 0; round < test_scaled(1000); round++) {
        std::string payload = "host's own";
        std::atomic<int> freed{0};
        struct publication p = {};
        p.topic = mqbx_bytes_of("t");
        p.payload = bytes_of(payload);
        auto note = [](void *arg, const void *, size_t) {
            (*static_cast<std::atomic<int> *>(arg))++;
        };
        struct msg *m = mqbx_msg_new_foreign(&ta.alloc, &p, note, &freed);
        std::vector<std::thread> threads;
        for (int i = 0; i < 3; i++) {
            mqbx_msg_ref(m);
            threads.emplace_back([&, m] {
                EXPECT_EQ(mqbx_msg_payload(m).len, payload.size());
                EXPECT_EQ(freed, 0);
                mqbx_msg_unref(m);
            });
        }
        mqbx_msg_unref(m);
        for (std::thread &t : threads)
            t.join();
        EXPECT_EQ(freed, 1);
    }
    EXPECT_EQ(test_alloc_live_blocks(&ta), 0u);
    test_alloc_fini(&ta);
}
