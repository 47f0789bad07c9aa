// SPDX-License-Identifier: MIT
//
// The inbox and the lock with real threads; TSan runs this too.
#include <gtest/gtest.h>

#include <chrono>
#include <condition_variable>
#include <mutex>
#include <thread>
#include <vector>

#include "shim/base.hpp"
#include "shim/scale.h"

namespace
{

struct numbered {
    struct inbox_chunk chunk;
    uint64_t number;
    unsigned producer;
};

// What wakes a worker's loop, by a condition variable; a wake that comes first is kept.
class Bell
{
  public:
    void ring()
    {
        std::lock_guard<std::mutex> guard(mutex);
        rung = true;
        condition.notify_one();
    }
    bool wait()
    {
        std::unique_lock<std::mutex> guard(mutex);
        bool in_time = condition.wait_for(guard, std::chrono::seconds(60), [this] { return rung; });
        rung = false;
        return in_time;
    }

  private:
    std::mutex mutex;
    std::condition_variable condition;
    bool rung = false;
};

} // namespace

TEST(InboxThreads, EveryChunkArrivesOnceAndInItsProducersOrder)
{
    const unsigned producers = 4;
    const uint64_t each = test_scaled(50000);
    struct inbox inbox;
    Bell bell;
    mqbx_inbox_init(&inbox);
    std::vector<std::vector<numbered>> chunks(producers, std::vector<numbered>(each));
    std::vector<std::thread> threads;
    for (unsigned p = 0; p < producers; p++) {
        threads.emplace_back([&, p] {
            for (uint64_t i = 0; i < each; i++) {
                chunks[p][i].chunk.bytes = 1 + i % 7;
                chunks[p][i].number = i;
                chunks[p][i].producer = p;
                if (mqbx_inbox_push(&inbox, &chunks[p][i].chunk))
                    bell.ring();
                if (i % 100 == p)
                    std::this_thread::yield();
            }
        });
    }
    std::vector<uint64_t> next(producers);
    uint64_t received = 0;
    bool in_time = true;
    while (received < producers * each && in_time) {
        for (struct inbox_chunk *c = mqbx_inbox_take(&inbox); c;) {
            numbered *n = reinterpret_cast<numbered *>(c);
            c = c->next;
            EXPECT_EQ(n->number, next[n->producer]);
            next[n->producer] = n->number + 1;
            mqbx_inbox_done(&inbox, n->chunk.bytes);
            received++;
        }
        if (received < producers * each && mqbx_inbox_sleep(&inbox)) {
            in_time = bell.wait();
            mqbx_inbox_awake(&inbox);
        }
    }
    for (std::thread &t : threads)
        t.join();
    EXPECT_TRUE(in_time);
    EXPECT_EQ(received, producers * each);
    EXPECT_TRUE(mqbx_inbox_is_empty(&inbox));
    EXPECT_EQ(mqbx_inbox_bytes(&inbox), 0u);
}

TEST(LockThreads, OneHolderAtATime)
{
    struct lock l;
    mqbx_lock_init(&l);
    uint64_t plain = 0;
    const uint64_t each = test_scaled(50000);
    std::vector<std::thread> threads;
    for (int i = 0; i < 4; i++) {
        threads.emplace_back([&] {
            for (uint64_t k = 0; k < each; k++) {
                mqbx_lock_take(&l);
                plain++;
                mqbx_lock_give(&l);
            }
        });
    }
    for (std::thread &t : threads)
        t.join();
    EXPECT_EQ(plain, 4 * each);
    mqbx_lock_fini(&l);
}

TEST(CounterThreads, MayBeReadWhileItsOwnerAdds)
{
    struct counter c = {};
    const uint64_t n = test_scaled(100000);
    std::thread owner([&] {
        for (uint64_t i = 0; i < n; i++)
            mqbx_counter_add(&c, 1);
    });
    uint64_t last = 0;
    while (last < n) {
        uint64_t now = mqbx_counter_get(&c);
        ASSERT_GE(now, last);
        last = now;
    }
    owner.join();
}
