// SPDX-License-Identifier: MIT
//
// The log under several threads: every line is written or counted.
#include <gtest/gtest.h>
#include <mqttbroker.h>

#include <thread>
#include <vector>

#include "shim/begin.hpp"

#include "broker/log.h"

#include "shim/end.hpp"

namespace
{

TEST(LogThreads, CountEveryLine)
{
    struct log log;
    std::atomic<uint64_t> lines{0};
    mqbx_log_init(
        &log,
        [](void *arg, int32_t, const char *, size_t) {
            static_cast<std::atomic<uint64_t> *>(arg)->fetch_add(1);
        },
        &lines);
    mqb_config *cfg;
    ASSERT_EQ(MQB_OK, mqb_config_new(&cfg));
    mqbx_log_configure(&log, cfg);
    std::vector<std::thread> threads;
    for (int t = 0; t < 4; t++)
        threads.emplace_back([&log] {
            struct log_event ev = {};
            ev.level = LOG_WARN;
            ev.module = "session";
            ev.event = "flood";
            ev.reason = -1;
            for (int i = 0; i < 2500; i++)
                mqbx_log_event_at(&log, &ev, 1700000000123);
        });
    for (std::thread &t : threads)
        t.join();
    EXPECT_EQ(10u, lines.load());
    EXPECT_EQ(9990u, mqbx_atomic_load64(&log.suppressed));
    mqbx_log_fini(&log);
    mqb_config_free(cfg);
}

} // namespace
