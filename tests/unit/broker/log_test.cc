// SPDX-License-Identifier: MIT
//
// The log: both forms, escaping, levels, and the limit on repetition.
#include <gtest/gtest.h>
#include <mqttbroker.h>

#include <string>
#include <vector>

#include "shim/begin.hpp"

#include "broker/log.h"
#include "broker/log_format.h"

#include "shim/end.hpp"

namespace
{

const uint64_t NOON = 1700000000123;

struct log_event event(const char *name)
{
    struct log_event ev = {};
    ev.level = LOG_WARN;
    ev.module = "session";
    ev.event = name;
    ev.reason = -1;
    return ev;
}

std::string format(enum log_form form, const struct log_event &ev)
{
    char out[LOG_LINE_MAX];
    memset(out, 'x', sizeof(out));
    size_t len = mqbx_log_format(form, &ev, NOON, out);
    EXPECT_EQ(len, strlen(out));
    return out;
}

TEST(LogFormat, Text)
{
    struct log_event ev = event("client refused");
    EXPECT_EQ("warn session: client refused", format(LOG_TEXT_WITHOUT_TIME, ev));
    EXPECT_EQ("2023-11-14T22:13:20.123Z warn session: client refused", format(LOG_TEXT, ev));
    ev.client = mqbx_bytes_of("sensor \"1\"\n\xff");
    ev.address = "127.0.0.1:5000";
    ev.reason = 0x87;
    ev.detail = "no plugin";
    EXPECT_EQ("warn session: client refused client=\"sensor \\\"1\\\"\\x0a\\xff\" "
              "address=127.0.0.1:5000 reason=0x87 (Not authorized) detail=\"no plugin\"",
              format(LOG_TEXT_WITHOUT_TIME, ev));
}

TEST(LogFormat, Json)
{
    struct log_event ev = event("client refused");
    ev.client = mqbx_bytes_of("a\"\\\x01\xc3\xa4\xc3");
    ev.address = "[::1]:5000";
    ev.reason = 0x87;
    ev.detail = "x";
    EXPECT_EQ("{\"time\":\"2023-11-14T22:13:20.123Z\",\"level\":\"warn\",\"module\":\"session\","
              "\"event\":\"client refused\",\"client\":\"a\\\"\\\\\\u0001\xc3\xa4\\u00c3\","
              "\"address\":\"[::1]:5000\",\"reason\":135,\"reason_text\":\"Not authorized\","
              "\"detail\":\"x\"}",
              format(LOG_JSON, ev));
}

TEST(LogFormat, WhateverComesTheObjectIsClosedAndTheLineEnds)
{
    std::string awful(70000, '\x01');
    struct log_event ev = event("client refused");
    ev.client = mqbx_bytes(awful.data(), awful.size());
    ev.address = awful.c_str();
    ev.reason = 0xff;
    ev.detail = awful.c_str();
    for (enum log_form form : {LOG_TEXT, LOG_JSON}) {
        std::string line = format(form, ev);
        EXPECT_LT(line.size(), size_t{LOG_LINE_MAX});
        if (form == LOG_JSON) {
            EXPECT_EQ("...\"}", line.substr(line.size() - 5));
        }
    }
}

class Log : public testing::Test
{
  protected:
    void SetUp() override
    {
        mqbx_log_init(&log, take, this);
        ASSERT_EQ(MQB_OK, mqb_config_new(&cfg));
        mqb_config_set(cfg, "log.time", "false");
        mqbx_log_configure(&log, cfg);
    }
    void TearDown() override
    {
        mqbx_log_fini(&log);
        mqb_config_free(cfg);
    }
    static void take(void *arg, int32_t, const char *line, size_t len)
    {
        static_cast<Log *>(arg)->lines.emplace_back(line, len);
    }
    struct log log;
    mqb_config *cfg;
    std::vector<std::string> lines;
};

TEST_F(Log, LeavesOutWhatRepeatsAndTellsHowMuch)
{
    struct log_event flood = event("client refused"), other = event("other");
    for (int i = 0; i < 1000; i++)
        mqbx_log_event_at(&log, &flood, NOON);
    ASSERT_EQ(10u, lines.size());
    mqbx_log_event_at(&log, &other, NOON);
    ASSERT_EQ(11u, lines.size());
    mqbx_log_event_at(&log, &other, NOON + 1000);
    ASSERT_EQ(13u, lines.size());
    EXPECT_EQ("warn session: lines left out detail=\"990 more of: client refused\"", lines[11]);
    EXPECT_EQ(990u, mqbx_atomic_load64(&log.suppressed));
    mqbx_log_event_at(&log, &flood, NOON + 1000);
    EXPECT_EQ(14u, lines.size());
}

TEST_F(Log, FlushTellsTheRest)
{
    struct log_event flood = event("client refused");
    for (int i = 0; i < 12; i++)
        mqbx_log_event_at(&log, &flood, NOON);
    mqbx_log_flush(&log);
    EXPECT_EQ("warn session: lines left out detail=\"2 more of: client refused\"", lines.back());
    size_t n = lines.size();
    mqbx_log_flush(&log);
    EXPECT_EQ(n, lines.size());
}

TEST_F(Log, EveryKindHasItsOwnLimitAndTooManyKindsShareOne)
{
    std::vector<std::string> names;
    for (int i = 0; i < 300; i++)
        names.push_back("event " + std::to_string(i));
    for (const std::string &name : names) {
        struct log_event ev = event(name.c_str());
        mqbx_log_event_at(&log, &ev, NOON);
    }
    EXPECT_EQ(LOG_KINDS - 1 + 10u, lines.size());
}

TEST_F(Log, LevelAndBurstAreConfigured)
{
    struct log_event ev = event("chatter");
    ev.level = LOG_DEBUG;
    mqbx_log_event_at(&log, &ev, NOON);
    EXPECT_EQ(0u, lines.size());
    mqb_config_set(cfg, "log.level", "debug");
    mqb_config_set(cfg, "log.burst", "0");
    mqbx_log_configure(&log, cfg);
    for (int i = 0; i < 50; i++)
        mqbx_log_event_at(&log, &ev, NOON);
    EXPECT_EQ(50u, lines.size());
    mqb_config_set(cfg, "log.level", "error");
    mqbx_log_configure(&log, cfg);
    ev.level = LOG_WARN;
    mqbx_log_event_at(&log, &ev, NOON);
    EXPECT_EQ(50u, lines.size());
}

} // namespace
