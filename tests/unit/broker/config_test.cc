// SPDX-License-Identifier: MIT
//
// Configuration: the table, values, files, environment, checks that concern several keys.
#include <gtest/gtest.h>
#include <mqttbroker.h>

#include <fstream>
#include <string>
#include <unistd.h>
#include <vector>

#include "shim/begin.hpp"

#include "broker/config.h"
#include "broker/config_build.h"
#include "broker/config_value.h"

#include "shim/end.hpp"
#include "shim/test_alloc.h"

namespace
{

class Config : public testing::Test
{
  protected:
    void SetUp() override
    {
        ASSERT_EQ(MQB_OK, mqb_config_new(&cfg));
    }
    void TearDown() override
    {
        mqb_config_free(cfg);
    }
    void refused(const char *key, const char *value, const std::string &sentence)
    {
        EXPECT_EQ(MQB_ECONFIG, mqb_config_set(cfg, key, value)) << key << "=" << value;
        EXPECT_EQ(sentence, mqb_last_error());
    }
    void accepted(const char *key, const char *value, int64_t number)
    {
        EXPECT_EQ(MQB_OK, mqb_config_set(cfg, key, value)) << mqb_last_error();
        EXPECT_EQ(number, mqbx_config_number(cfg, key)) << key << "=" << value;
    }
    void file_refused(const char *text, const std::string &sentence)
    {
        EXPECT_EQ(MQB_ECONFIG, mqb_config_load_text(cfg, "broker.conf", text));
        EXPECT_EQ(sentence, mqb_last_error());
    }
    std::string write(const char *name, const std::string &text)
    {
        std::string path = testing::TempDir() + "mqb-" + std::to_string(getpid()) + "-" + name;
        std::ofstream(path) << text;
        files.push_back(path);
        return path;
    }
    ~Config() override
    {
        for (const std::string &f : files)
            unlink(f.c_str());
    }
    mqb_config *cfg = nullptr;
    std::vector<std::string> files;
};

TEST_F(Config, EveryDefaultIsAValidValueOfItsKey)
{
    mqb_config_key k = {};
    k.struct_size = sizeof(k);
    size_t n = 0;
    for (; mqb_config_describe(n, &k) == MQB_OK; n++) {
        int64_t out;
        char why[256];
        EXPECT_GT(strlen(k.help), 10u) << k.name;
        if (strlen(k.def) > 0) {
            EXPECT_TRUE(mqbx_config_value_read(mqbx_config_row(n), k.def, &out, why, sizeof(why)))
                << k.name << " " << why;
        }
    }
    EXPECT_GT(n, 50u);
    EXPECT_EQ(MQB_OK, mqb_config_check(cfg)) << mqb_last_error();
}

TEST_F(Config, ReadsValuesByType)
{
    accepted("limits.max_packet_size", "64k", 65536);
    accepted("limits.max_packet_size", "2M", 2 << 20);
    accepted("limits.max_packet_size", "268435455", 268435455);
    accepted("connect.timeout", "1500ms", 1500);
    accepted("connect.timeout", "1h", 3600000);
    accepted("keepalive.server", "0", 0);
    accepted("session.expiry_v3", "never", CONFIG_WORD_VALUE);
    accepted("threads", "auto", CONFIG_WORD_VALUE);
    accepted("threads", "0", 0);
    accepted("protocol.retain", "off", 0);
    accepted("protocol.retain", "Yes", 1);
    accepted("queue.policy", "drop_new", 1);
    accepted("listener.a-b_1.anonymous", "always", 2);
}

TEST_F(Config, RefusesBadValuesWithTheirRange)
{
    refused("threads", "65", "threads: '65' is out of range (0..64|auto)");
    refused("threads", "many", "threads: 'many' is not a number (0..64|auto)");
    refused("limits.max_packet_size", "1x",
            "limits.max_packet_size: '1x' is not a number of bytes such as 4096, 64k, 1m or 2g "
            "(128..268435455)");
    refused("limits.max_packet_size", "1g",
            "limits.max_packet_size: '1g' is out of range (128..268435455)");
    refused("connect.timeout", "15",
            "connect.timeout: '15' is not a duration such as 500ms, 15s, 10m, 2h or 1d "
            "(100ms..1h)");
    refused("queue.policy", "drop",
            "queue.policy: 'drop' is none of drop_oldest|drop_new|disconnect");
    refused("protocol.retain", "2", "protocol.retain: '2' is neither true nor false");
    refused("listener.x.url", "", "listener.x.url: '' must not be empty");
    refused("listener.x.tenant", std::string(129, 'a').c_str(),
            "listener.x.tenant: '" + std::string(64, 'a') + "' is longer than 128 bytes");
    refused("limits.max_connections", "99999999999999999999",
            "limits.max_connections: '99999999999999999999' is not a number (0..4294967295)");
    EXPECT_STREQ("auto", mqb_config_get(cfg, "threads"));
}

TEST_F(Config, OffersTheNearestKey)
{
    refused("queue.max_mesages", "1",
            "unknown key 'queue.max_mesages'; did you mean 'queue.max_messages'?");
    refused("listener.main.ulr", "x",
            "unknown key 'listener.main.ulr'; did you mean 'listener.main.url'?");
    refused("listener.main.tls.crt", "x",
            "unknown key 'listener.main.tls.crt'; did you mean 'listener.main.tls.cert'?");
    refused("wholly.different.and.long", "1", "unknown key 'wholly.different.and.long'");
    refused("plugin.auth", "x", "unknown key 'plugin.auth'");
    EXPECT_EQ(MQB_OK, mqb_config_set(cfg, "plugin.auth.file", "x")) << "the plugin knows its keys";
    refused("listener..url", "mqtt://x",
            "unknown key 'listener..url'; did you mean 'listener.NAME.url'?");
    refused("", "1", "unknown key ''");
    EXPECT_EQ(MQB_ECONFIG, mqb_config_set(cfg, std::string(5000, 'x').c_str(), "1"));
}

TEST_F(Config, GetAnswersWhatIsInForce)
{
    EXPECT_STREQ("1000", mqb_config_get(cfg, "queue.max_messages"));
    EXPECT_EQ(nullptr, mqb_config_get(cfg, "queue.nothing"));
    EXPECT_EQ(nullptr, mqb_config_get(cfg, "listener.main.anonymous"));
    ASSERT_EQ(MQB_OK, mqb_config_set(cfg, "listener.main.url", "mqtt://[::1]:0"));
    EXPECT_STREQ("loopback", mqb_config_get(cfg, "listener.main.anonymous"));
    EXPECT_EQ(nullptr, mqb_config_get(cfg, "listener.mai.anonymous"));
    ASSERT_EQ(MQB_OK, mqb_config_set_pair(cfg, "queue.max_messages=7"));
    EXPECT_STREQ("7", mqb_config_get(cfg, "queue.max_messages"));
    ASSERT_EQ(MQB_OK, mqb_config_unset(cfg, "queue.max_messages"));
    EXPECT_STREQ("1000", mqb_config_get(cfg, "queue.max_messages"));
    EXPECT_EQ(MQB_EINVAL, mqb_config_set_pair(cfg, "queue.max_messages"));
    EXPECT_EQ(MQB_EINVAL, mqb_config_set_pair(cfg, "=1"));
}

TEST_F(Config, FlattensFilesAndRemembersLines)
{
    std::string path = write("a.conf", "threads = 2;\n"
                                       "queue: {\n"
                                       "  max_messages = 500;\n"
                                       "  max_bytes = \"2m\";\n"
                                       "};\n"
                                       "protocol: { retain = false; };\n"
                                       "listener: { main: { url = \"mqtt://*:0\"; }; };\n");
    ASSERT_EQ(MQB_OK, mqb_config_load(cfg, path.c_str())) << mqb_last_error();
    EXPECT_EQ(2, mqbx_config_number(cfg, "threads"));
    EXPECT_EQ(500, mqbx_config_number(cfg, "queue.max_messages"));
    EXPECT_EQ(2 << 20, mqbx_config_number(cfg, "queue.max_bytes"));
    EXPECT_EQ(0, mqbx_config_number(cfg, "protocol.retain"));
    EXPECT_EQ(path + ":4", mqbx_config_entry(cfg, "queue.max_bytes")->source);
    EXPECT_STREQ("mqtt://*:0", mqb_config_get(cfg, "listener.main.url"));
}

TEST_F(Config, FileErrorsNameFileAndLine)
{
    file_refused(
        "queue: {\n  max_mesages = 1;\n};\n",
        "broker.conf:2: unknown key 'queue.max_mesages'; did you mean 'queue.max_messages'?");
    file_refused("\n\nqueue: { max_messages = -1; };",
                 "broker.conf:3: queue.max_messages: '-1' is not a number (0..4294967295)");
    file_refused("threads = 2;\nthreads = 3;\n", "broker.conf:2: duplicate setting name");
    file_refused("threads = ;\n", "broker.conf:1: syntax error");
    file_refused("listener = ( { url = \"x\"; } );\n",
                 "broker.conf:1: 'listener' is a list; members of lists have names here: "
                 "'listener: { NAME: { ... }; };'");
    file_refused("connect: { timeout = 1.5; };",
                 "broker.conf:1: connect.timeout: '1.5' is not a duration such as 500ms, 15s, "
                 "10m, 2h or 1d (100ms..1h)");
}

TEST_F(Config, AFileThatFailsChangesNothing)
{
    ASSERT_EQ(MQB_OK, mqb_config_set(cfg, "threads", "3"));
    EXPECT_EQ(MQB_ECONFIG, mqb_config_load_text(cfg, "x", "threads = 5;\nfoo = 1;\n"));
    EXPECT_EQ(3, mqbx_config_number(cfg, "threads"));
}

TEST_F(Config, IncludesAreRelativeToTheFileAndCannotEndTheProcess)
{
    std::string inner = write("inner.conf", "\nmax_messages = \"x\";\n");
    std::string name = inner.substr(inner.rfind('/') + 1);
    std::string outer = write("outer.conf", "queue: {\n@include \"" + name + "\"\n};\n");
    EXPECT_EQ(MQB_ECONFIG, mqb_config_load(cfg, outer.c_str()));
    EXPECT_EQ(name + ":2: queue.max_messages: 'x' is not a number (0..4294967295)",
              mqb_last_error());
    std::string folder = write("folder.conf", "threads = 1;\n@include \"/\"\n");
    EXPECT_EQ(MQB_ESYS, mqb_config_load(cfg, folder.c_str()));
    EXPECT_EQ(folder + ":2: cannot include: /: not a regular file, or over 16 MiB",
              mqb_last_error());
    std::string loop = testing::TempDir() + "mqb-" + std::to_string(getpid()) + "-loop.conf";
    write("loop.conf", "@include \"" + loop + "\"\n");
    EXPECT_EQ(MQB_ECONFIG, mqb_config_load(cfg, loop.c_str()));
    EXPECT_EQ(MQB_ESYS, mqb_config_load(cfg, "/"));
    EXPECT_EQ(MQB_ESYS, mqb_config_load(cfg, "/nonexistent/broker.conf"));
    EXPECT_STREQ("/nonexistent/broker.conf: No such file or directory", mqb_last_error());
}

TEST_F(Config, EnvironmentMapsToKeys)
{
    ASSERT_EQ(0, setenv("MQBTEST_QUEUE__MAX_MESSAGES", "44", 1));
    ASSERT_EQ(0, setenv("MQBTEST_LISTENER__MAIN__TLS__CERT", "/c.pem", 1));
    EXPECT_EQ(MQB_OK, mqb_config_load_env(cfg, "MQBTEST_")) << mqb_last_error();
    EXPECT_EQ(44, mqbx_config_number(cfg, "queue.max_messages"));
    EXPECT_STREQ("/c.pem", mqb_config_get(cfg, "listener.main.tls.cert"));
    ASSERT_EQ(0, setenv("MQBTEST_THREADZ", "1", 1));
    EXPECT_EQ(MQB_ECONFIG, mqb_config_load_env(cfg, "MQBTEST_"));
    EXPECT_STREQ("MQBTEST_THREADZ: unknown key 'threadz'; did you mean 'threads'?",
                 mqb_last_error());
    unsetenv("MQBTEST_THREADZ");
    unsetenv("MQBTEST_QUEUE__MAX_MESSAGES");
    unsetenv("MQBTEST_LISTENER__MAIN__TLS__CERT");
}

TEST_F(Config, LaterSourcesOverride)
{
    ASSERT_EQ(MQB_OK, mqb_config_load_text(cfg, "a", "threads = 2; queue: {max_messages = 1;};"));
    ASSERT_EQ(MQB_OK, mqb_config_load_text(cfg, "b", "threads = 3;"));
    ASSERT_EQ(MQB_OK, mqb_config_set(cfg, "queue.max_messages", "9"));
    EXPECT_EQ(3, mqbx_config_number(cfg, "threads"));
    EXPECT_EQ(9, mqbx_config_number(cfg, "queue.max_messages"));
    EXPECT_STREQ("set", mqbx_config_entry(cfg, "queue.max_messages")->source);
}

void check_refused(const char *text, const std::string &sentence)
{
    mqb_config *cfg;
    ASSERT_EQ(MQB_OK, mqb_config_new(&cfg));
    ASSERT_EQ(MQB_OK, mqb_config_load_text(cfg, "b.conf", text)) << mqb_last_error();
    EXPECT_EQ(MQB_ECONFIG, mqb_config_check(cfg));
    EXPECT_EQ(sentence, mqb_last_error());
    mqb_config_free(cfg);
}

TEST(ConfigCheck, NamesContradictions)
{
    check_refused("listener: { a: { anonymous = \"always\"; }; };",
                  "listener.a.url is missing: where to listen, such as mqtt://127.0.0.1:1883");
    check_refused("listener: { a: { url = \"mqtts://*:0\"; }; };",
                  "listener.a.tls.cert: is needed for an mqtts:// URL");
    check_refused("listener: { a: { url = \"mqtts://*:0\";\n tls: { cert = \"c\"; }; }; };",
                  "listener.a.tls.key: is needed with tls.cert");
    check_refused("listener: { a: { url = \"mqtt://*:0\";\n tls: { cert = \"c\"; }; }; };",
                  "b.conf:2: listener.a.tls.cert: needs an mqtts:// URL");
    check_refused("listener: { a: { url = \"mqtts://*:0\";\n tls: { cert = \"c\"; key = \"k\";\n "
                  "client_cert = \"required\"; }; }; };",
                  "b.conf:3: listener.a.tls.client_cert: needs tls.ca: who may have signed them");
    check_refused("listener: { a: { url = \"mqtt://*:0\"; mountpoint = \"a/#\"; }; };",
                  "b.conf:1: listener.a.mountpoint: is not the beginning of a topic");
    check_refused("listener: { a: { url = \"mqtt://*:1\"; }; b: { url = \"mqtt://*:1\"; }; };",
                  "listener.a.url and listener.b.url are the same");
    check_refused("output: { max_bytes = \"64k\"; };",
                  "output.mark: must not be over output.max_bytes");
}

TEST_F(Config, SettingsCarryTheDefaults)
{
    struct settings *s;
    ASSERT_EQ(MQB_OK, mqbx_config_settings(cfg, &s));
    EXPECT_EQ(1u << 20, s->max_packet_bytes);
    EXPECT_EQ(128u, s->max_topic_levels);
    EXPECT_EQ(16u, s->topic_alias_max_in);
    EXPECT_EQ(16u, s->topic_alias_max_out);
    EXPECT_EQ(100u, s->receive_maximum);
    EXPECT_EQ(32u, s->max_inflight);
    EXPECT_EQ(1000u, s->queue_max_messages);
    EXPECT_EQ(8u << 20, s->queue_max_bytes);
    EXPECT_EQ(QUEUE_DROP_OLDEST, s->queue_policy);
    EXPECT_EQ(7200u, s->session_expiry_v3_s);
    EXPECT_EQ(86400u, s->session_expiry_max_s);
    EXPECT_EQ(15000u, s->connect_timeout_ms);
    EXPECT_EQ(150u, s->keep_alive_percent);
    EXPECT_EQ(UINT32_MAX, s->message_expiry_s);
    EXPECT_EQ(1u << 20, s->max_retained_payload_bytes);
    EXPECT_EQ(2u, s->max_qos);
    EXPECT_TRUE(s->retain_available && s->wildcard_available && s->subscription_id_available &&
                s->shared_available);
    EXPECT_FALSE(s->allow_takeover_by_other_user);
    EXPECT_EQ(0u, s->server_reference.len);
    mqbx_settings_unref(s);
    EXPECT_EQ(1u << 20, mqbx_config_interest_slots(cfg));
}

TEST_F(Config, SettingsCarryWhatIsSet)
{
    mqb_config_set(cfg, "session.expiry_v3", "never");
    mqb_config_set(cfg, "session.expiry_max", "1500ms");
    mqb_config_set(cfg, "protocol.response_information", "replies/");
    mqb_config_set(cfg, "protocol.server_reference", "other:1883");
    mqb_config_set(cfg, "protocol.server_reference_reason", "moved");
    mqb_config_set(cfg, "interest.slots", "1025");
    struct settings *s;
    ASSERT_EQ(MQB_OK, mqbx_config_settings(cfg, &s));
    EXPECT_EQ(UINT32_MAX, s->session_expiry_v3_s);
    EXPECT_EQ(2u, s->session_expiry_max_s);
    EXPECT_EQ("replies/",
              std::string((const char *)s->response_information.ptr, s->response_information.len));
    EXPECT_EQ("other:1883",
              std::string((const char *)s->server_reference.ptr, s->server_reference.len));
    EXPECT_EQ(0x9D, s->server_reference_reason);
    mqbx_settings_unref(s);
    EXPECT_EQ(2048u, mqbx_config_interest_slots(cfg));
}

TEST_F(Config, RestartKeysAreFoundByValueNotByText)
{
    mqb_config *other;
    ASSERT_EQ(MQB_OK, mqbx_config_copy(cfg, cfg->alloc, &other));
    mqb_config_set(other, "interest.slots", "1048576");
    mqb_config_set(other, "queue.max_messages", "1");
    EXPECT_EQ(nullptr, mqbx_config_restart_key(cfg, other));
    mqb_config_set(other, "threads", "2");
    EXPECT_STREQ("threads", mqbx_config_restart_key(cfg, other));
    EXPECT_STREQ("threads", mqbx_config_restart_key(other, cfg));
    mqb_config_set(cfg, "threads", "2");
    mqb_config_set(cfg, "plugin.a.path", "/one");
    EXPECT_STREQ("plugin.a.path", mqbx_config_restart_key(other, cfg));
    mqb_config_set(other, "plugin.a.path", "/two");
    EXPECT_STREQ("plugin.a.path", mqbx_config_restart_key(cfg, other));
    mqb_config_set(other, "plugin.a.path", "/one");
    EXPECT_EQ(nullptr, mqbx_config_restart_key(cfg, other));
    mqb_config_free(other);
}

TEST_F(Config, WalksListenersByName)
{
    for (const char *key : {"listener.a.url", "listener.a-b.url", "listener.a.anonymous",
                            "listener.a-b.anonymous", "log.level"})
        ASSERT_EQ(MQB_OK, mqb_config_set(cfg, key,
                                         strstr(key, "url")     ? "mqtt://*:0"
                                         : strstr(key, "level") ? "warn"
                                                                : "never"));
    char name[65];
    std::string names;
    for (size_t pos = 0; mqbx_config_next_listener(cfg, &pos, name);)
        names += std::string(name) + " ";
    EXPECT_EQ("a-b a ", names);
}

TEST(ConfigMemory, EveryFailedAllocationLeavesTheConfigurationAsItWas)
{
    struct test_alloc ta;
    test_alloc_init(&ta);
    mqb_config *cfg;
    ASSERT_EQ(MQB_OK, mqb_config_new_with((const mqb_allocator *)&ta.alloc, &cfg));
    ASSERT_EQ(MQB_OK, mqb_config_set(cfg, "threads", "1"));
    bool done = false;
    for (uint64_t n = 0; !done; n++) {
        test_alloc_fail_after(&ta, n);
        mqb_err err =
            mqb_config_load_text(cfg, "x", "threads = 2; queue: { max_bytes = \"1m\"; };");
        test_alloc_fail_after(&ta, TEST_ALLOC_NEVER);
        done = err == MQB_OK;
        if (!done) {
            EXPECT_EQ(MQB_ENOMEM, err);
            EXPECT_EQ(1, mqbx_config_number(cfg, "threads"));
        }
        ASSERT_LT(n, 100u);
    }
    EXPECT_EQ(2, mqbx_config_number(cfg, "threads"));
    mqb_config_free(cfg);
    EXPECT_EQ(0u, test_alloc_live_blocks(&ta));
    EXPECT_TRUE(test_alloc_is_sane(&ta));
    test_alloc_fini(&ta);
}

} // namespace
