// SPDX-License-Identifier: MIT
#include <gtest/gtest.h>

#include <algorithm>
#include <functional>
#include <memory>
#include <random>
#include <vector>

#include "shim/base.hpp"
#include "shim/scale.h"

namespace
{

const uint64_t kDay = 86400u * 1000u;

class Wheel : public ::testing::Test
{
  protected:
    void start(uint64_t now_ms, size_t timers)
    {
        now = now_ms;
        mqbx_wheel_init(w.get(), now);
        t.resize(timers);
        for (size_t i = 0; i < timers; i++)
            mqbx_timer_init(&t[i], static_cast<uint32_t>(i));
    }
    std::vector<uint32_t> advance(uint64_t now_ms)
    {
        now = now_ms;
        fired.clear();
        mqbx_wheel_advance(w.get(), now, fire, this);
        return fired;
    }
    void set(uint32_t i, uint64_t due_ms)
    {
        mqbx_wheel_set(w.get(), &t[i], due_ms);
    }
    static void fire(void *ctx, struct timer *timer)
    {
        Wheel *self = static_cast<Wheel *>(ctx);
        EXPECT_FALSE(mqbx_timer_is_set(timer));
        EXPECT_LE(timer->due_ms, self->now);
        self->fired.push_back(timer->kind);
        if (self->on_fire)
            self->on_fire(timer);
    }
    std::unique_ptr<struct wheel> w = std::make_unique<struct wheel>();
    std::vector<struct timer> t;
    std::vector<uint32_t> fired;
    std::function<void(struct timer *)> on_fire;
    uint64_t now = 0;
};

using Fired = std::vector<uint32_t>;

} // namespace

TEST_F(Wheel, FiresNeverBeforeItsTimeAndWithinATick)
{
    for (uint64_t due = 1001; due < 1001 + 40; due++) {
        start(1000, 1);
        set(0, due);
        for (uint64_t ms = 1001; ms < due; ms++)
            ASSERT_EQ(advance(ms), Fired()) << due << " " << ms;
        uint64_t ms = due;
        while (advance(ms).empty())
            ms++;
        EXPECT_LT(ms, due + WHEEL_TICK_MS);
        EXPECT_EQ(w->count, 0u);
    }
}

TEST_F(Wheel, WhatIsPastFiresAtTheNextAdvanceEvenAtTheSameTime)
{
    start(1003, 3);
    set(0, 1003);
    set(1, 0);
    EXPECT_EQ(mqbx_wheel_next_ms(w.get()), 1003u);
    EXPECT_EQ(advance(1003), (Fired{0, 1}));
    set(2, 1000);
    EXPECT_EQ(advance(1003), (Fired{2}));
    EXPECT_EQ(mqbx_wheel_next_ms(w.get()), UINT64_MAX);
}

TEST_F(Wheel, WhatFireSetsInThePastWaitsForTheNextCall)
{
    start(0, 1);
    on_fire = [this](struct timer *timer) { mqbx_wheel_set(w.get(), timer, now); };
    set(0, 8);
    EXPECT_EQ(advance(800), Fired{0});
    EXPECT_EQ(mqbx_wheel_next_ms(w.get()), 800u);
    EXPECT_EQ(advance(800), Fired{0});
    on_fire = nullptr;
    EXPECT_EQ(advance(800), Fired{0});
    EXPECT_EQ(advance(9000), Fired());
}

TEST_F(Wheel, FireMayCancelAndMoveTimersThatAreDueToo)
{
    start(0, 4);
    for (uint32_t i = 0; i < 4; i++)
        set(i, 80);
    on_fire = [this](struct timer *timer) {
        if (timer->kind != 0)
            return;
        EXPECT_TRUE(mqbx_timer_is_set(&t[1]));
        mqbx_wheel_cancel(w.get(), &t[1]);
        set(2, 160);
        EXPECT_NE(mqbx_wheel_next_ms(w.get()), UINT64_MAX);
    };
    EXPECT_EQ(advance(100), (Fired{0, 3}));
    EXPECT_EQ(w->count, 1u);
    EXPECT_EQ(advance(160), Fired{2});
}

TEST_F(Wheel, SameTickFiresInTheOrderOfSetting)
{
    // Set from far, from near, and from beyond the span: the levels differ, the order stays.
    const uint64_t due = 300 * kDay;
    start(0, 6);
    set(0, due);
    advance(100 * kDay);
    set(1, due);
    advance(250 * kDay);
    set(2, due);
    advance(due - 40000);
    set(3, due);
    advance(due - 300);
    set(4, due - 1);
    advance(due - 10);
    set(5, due);
    EXPECT_EQ(advance(due), (Fired{0, 1, 2, 3, 4, 5}));
}

TEST_F(Wheel, MovingGoesToTheEndOfItsTick)
{
    start(0, 3);
    for (uint32_t i = 0; i < 3; i++)
        set(i, 64);
    set(0, 64);
    EXPECT_EQ(advance(64), (Fired{1, 2, 0}));
}

TEST_F(Wheel, CancelIsHarmlessTwiceAndLeavesNothingToWaitFor)
{
    start(0, 2);
    set(0, 50000);
    set(1, 100 * kDay);
    for (int i = 0; i < 2; i++) {
        mqbx_wheel_cancel(w.get(), &t[0]);
        mqbx_wheel_cancel(w.get(), &t[1]);
    }
    EXPECT_EQ(w->count, 0u);
    EXPECT_EQ(mqbx_wheel_next_ms(w.get()), UINT64_MAX);
    for (uint64_t bits : w->occupied)
        EXPECT_EQ(bits, 0u);
    EXPECT_EQ(advance(200 * kDay), Fired());
}

TEST_F(Wheel, TakesTheLargestTimesThereAre)
{
    start(UINT64_MAX / 2, 2);
    set(0, UINT64_MAX);
    set(1, UINT64_MAX - 7);
    EXPECT_EQ(advance(UINT64_MAX / 2 + 500 * kDay), Fired());
    EXPECT_GT(mqbx_wheel_next_ms(w.get()), now);
    EXPECT_EQ(w->count, 2u);
}

TEST_F(Wheel, TimeThatGoesBackFiresOnlyWhatWasDueAlready)
{
    start(10000, 2);
    set(0, 5);
    set(1, 10100);
    EXPECT_EQ(advance(9000), Fired{0});
    EXPECT_EQ(advance(10104), Fired{1});
}

namespace
{

// A wheel beside a plain list of (due, order of setting).
struct model_timer {
    uint64_t due_ms;
    uint64_t set_at;
    uint64_t order;
    bool is_set;
};

uint64_t ticks_up(uint64_t ms)
{
    return (ms + WHEEL_TICK_MS - 1) / WHEEL_TICK_MS;
}

} // namespace

// Steps from a millisecond to months, so that every level and the place beyond the span are used.
TEST_F(Wheel, BehavesLikeASortedList)
{
    std::mt19937_64 random(test_seed(3));
    const uint32_t n = 60;
    start(123456789, n);
    std::vector<model_timer> model(n, model_timer{0, 0, 0, false});
    for (uint64_t step = 0; step < test_scaled(60000); step++) {
        uint64_t range = uint64_t{1} << (random() % 35);
        uint32_t i = static_cast<uint32_t>(random() % n);
        if (random() % 8 == 0) {
            mqbx_wheel_cancel(w.get(), &t[i]);
            model[i].is_set = false;
        } else if (random() % 4 != 0) {
            uint64_t due = now + random() % range - std::min(now, random() % 2 * (random() % 50));
            set(i, due);
            model[i] = {due, now, step, true};
            ASSERT_TRUE(mqbx_timer_is_set(&t[i]));
        } else {
            uint64_t next = mqbx_wheel_next_ms(w.get());
            uint64_t to = now + random() % range;
            if (random() % 2 && next != UINT64_MAX)
                to = std::max(now, next);
            for (uint32_t k = 0; k < n; k++) // never too late
                if (model[k].is_set) {
                    ASSERT_LE(next, std::max(now, ticks_up(model[k].due_ms) * WHEEL_TICK_MS));
                }
            Fired expected;
            for (uint32_t k = 0; k < n; k++) {
                bool past = model[k].due_ms <= model[k].set_at;
                if (model[k].is_set && (past || ticks_up(model[k].due_ms) <= to / WHEEL_TICK_MS))
                    expected.push_back(k);
            }
            std::sort(expected.begin(), expected.end(), [&](uint32_t x, uint32_t y) {
                auto key = [&](uint32_t k) {
                    bool past = model[k].due_ms <= model[k].set_at;
                    return std::make_pair(past ? 0 : ticks_up(model[k].due_ms), model[k].order);
                };
                return key(x) < key(y);
            });
            ASSERT_EQ(advance(to), expected) << "step " << step;
            for (uint32_t k : expected)
                model[k].is_set = false;
        }
        uint64_t set_count = 0;
        for (const model_timer &m : model)
            set_count += m.is_set;
        ASSERT_EQ(w->count, set_count);
    }
}

TEST_F(Wheel, WakesForCascadesOnlyAFewTimes)
{
    start(5, 1);
    set(0, 5 + 90 * kDay);
    int wakes = 0;
    while (mqbx_wheel_next_ms(w.get()) != UINT64_MAX) {
        uint64_t next = mqbx_wheel_next_ms(w.get());
        ASSERT_GT(next, now);
        advance(next);
        wakes++;
    }
    EXPECT_EQ(fired, Fired{0});
    EXPECT_LE(wakes, static_cast<int>(WHEEL_LEVELS) + 1);
}
