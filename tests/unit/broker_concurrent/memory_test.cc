// SPDX-License-Identifier: MIT
//
// Every call of the embedding API with memory running out at every point: an error, nothing
// changed, nothing lost, and the broker goes on.
#include <gtest/gtest.h>
#include <mqttbroker.h>

#include <atomic>
#include <functional>
#include <string>

#include "shim/test_alloc.h"

namespace
{

int ignore(void *arg, mqb_broker *, mqb_msg *, const mqb_delivery *)
{
    static_cast<std::atomic<uint64_t> *>(arg)->fetch_add(1);
    return MQB_DELIVER_DONE;
}

class Memory : public testing::Test
{
  protected:
    void SetUp() override
    {
        test_alloc_init(&ta);
        mqb_config *cfg;
        ASSERT_EQ(MQB_OK, mqb_config_new_with((const mqb_allocator *)&ta.alloc, &cfg));
        mqb_config_set(cfg, "threads", "2");
        mqb_config_set(cfg, "sys.interval", "0");
        ASSERT_EQ(MQB_OK, mqb_broker_new(cfg, &b));
        mqb_config_free(cfg);
        ASSERT_EQ(MQB_OK, mqb_broker_start(b)) << mqb_last_error();
    }
    void TearDown() override
    {
        mqb_broker_free(b);
        EXPECT_EQ(0u, test_alloc_live_blocks(&ta));
        EXPECT_TRUE(test_alloc_is_sane(&ta));
        test_alloc_fini(&ta);
    }
    // The call must answer MQB_ENOMEM until it has the memory it needs, and then MQB_OK.
    void sweep(const std::function<mqb_err()> &call)
    {
        uint64_t n = 0;
        for (mqb_err err = MQB_ENOMEM; err != MQB_OK; n++) {
            test_alloc_fail_after(&ta, n);
            err = call();
            test_alloc_fail_after(&ta, TEST_ALLOC_NEVER);
            ASSERT_TRUE(err == MQB_OK || err == MQB_ENOMEM) << err << " " << mqb_last_error();
            ASSERT_LT(n, 500u);
        }
        EXPECT_GT(n, 1u) << "it did not allocate";
        std::atomic<uint64_t> arrived{0};
        mqb_sub sub;
        mqb_subscribe_opts so = mqb_subscribe_defaults();
        so.filter = "alive";
        so.fn = ignore;
        so.arg = &arrived;
        ASSERT_EQ(MQB_OK, mqb_subscribe_wait(b, &so, 20000, &sub)) << mqb_last_error();
        mqb_publish_opts po = mqb_publish_defaults();
        po.topic = mqb_str_of("alive");
        ASSERT_EQ(MQB_OK, mqb_publish_wait(b, &po, 20000));
        ASSERT_EQ(MQB_OK, mqb_unsubscribe_wait(b, sub));
        EXPECT_EQ(1u, arrived);
    }
    struct test_alloc ta;
    mqb_broker *b = nullptr;
    std::atomic<uint64_t> got{0};
};

TEST_F(Memory, Publish)
{
    std::string many(2000, 'x');
    mqb_user_property user = {mqb_str_of("k"), mqb_str_of(many.c_str())};
    mqb_publish_opts o = mqb_publish_defaults();
    o.topic = mqb_str_of("a");
    o.user_properties = &user;
    o.user_property_count = 1;
    o.qos = 1;
    sweep([&] { return mqb_publish_ex(b, &o); });
    sweep([&] { return mqb_publish_wait(b, &o, 20000); });
    o.flags = MQB_PUB_RETAIN;
    sweep([&] { return mqb_publish_wait(b, &o, 20000); });
}

TEST_F(Memory, Subscribe)
{
    mqb_subscribe_opts o = mqb_subscribe_defaults();
    o.filter = "b/+/c";
    o.fn = ignore;
    o.arg = &got;
    sweep([&] { return mqb_subscribe_ex(b, &o, nullptr); });
    o.filter = "b/+/d/#";
    sweep([&] { return mqb_subscribe_wait(b, &o, 20000, nullptr); });
    o.filter = "$share/g/x/y"; // the group's answer may be lost, but not the call to done
    std::atomic<uint64_t> accepted{0}, done{0};
    o.done = [](void *arg, mqb_err) { static_cast<std::atomic<uint64_t> *>(arg)->fetch_add(1); };
    o.done_arg = &done;
    sweep([&] {
        mqb_err err = mqb_subscribe_ex(b, &o, nullptr);
        accepted += err == MQB_OK;
        return err;
    });
    ASSERT_EQ(MQB_OK, mqb_broker_stop(b, 0));
    EXPECT_EQ(accepted, done);
}

TEST_F(Memory, Unsubscribe)
{
    // In force first: the broker's own threads run out of memory in the sweep as well.
    mqb_sub sub;
    mqb_subscribe_opts so = mqb_subscribe_defaults();
    so.filter = "u";
    so.fn = ignore;
    so.arg = &got;
    ASSERT_EQ(MQB_OK, mqb_subscribe_wait(b, &so, -1, &sub));
    sweep([&] { return mqb_unsubscribe(b, sub); });
    ASSERT_EQ(MQB_OK, mqb_subscribe_wait(b, &so, -1, &sub));
    sweep([&] { return mqb_unsubscribe_wait(b, sub); });
}

TEST_F(Memory, HandlesAndTenants)
{
    mqb_local *l = nullptr;
    sweep([&] { return mqb_local_open(b, "handle", nullptr, &l); });
    test_alloc_fail_after(&ta, 0);
    mqb_local_close(l); // the engine is told when the broker stops
    test_alloc_fail_after(&ta, TEST_ALLOC_NEVER);
    uint32_t tenant = 0;
    sweep([&] { return mqb_tenant(b, "red", &tenant); });
    mqb_publish_opts o = mqb_publish_defaults();
    o.topic = mqb_str_of("a");
    o.tenant = tenant;
    sweep([&] { return mqb_publish_ex(b, &o); });
}

TEST_F(Memory, Clients)
{
    mqb_client c;
    sweep([&] { return mqb_client_find_wait(b, 0, "$host", &c, nullptr); });
    mqb_client_fn fn = [](void *, const mqb_client_info *) -> bool { return true; };
    sweep([&] { return mqb_client_each(b, 0, fn, nullptr); });
    sweep([&] { return mqb_client_kick(b, {1234567}, 0, 0, 0); });
}

TEST_F(Memory, Listeners)
{
    mqb_listener l;
    sweep([&] { return mqb_listen(b, "mqtt://127.0.0.1:0", nullptr, &l); });
    EXPECT_NE(0, mqb_listener_port(b, l));
}

TEST_F(Memory, Reload)
{
    mqb_config *cfg;
    ASSERT_EQ(MQB_OK, mqb_config_new(&cfg));
    mqb_config_set(cfg, "threads", "2");
    mqb_config_set(cfg, "sys.interval", "0");
    mqb_config_set(cfg, "listener.a.url", "mqtt://127.0.0.1:0");
    mqb_config_set(cfg, "listener.b.url", "mqtt://[::1]:0");
    mqb_config_set(cfg, "listener.b.tenant", "red");
    sweep([&] { return mqb_broker_reload(b, cfg); });
    mqb_config_set(cfg, "listener.a.anonymous", "never");
    mqb_config_set(cfg, "listener.b.url", "mqtt://127.0.0.1:0");
    sweep([&] { return mqb_broker_reload(b, cfg); });
    mqb_listener l;
    ASSERT_EQ(MQB_OK, mqb_listener_find(b, "b", &l));
    EXPECT_NE(0, mqb_listener_port(b, l));
    mqb_config_free(cfg);
}

} // namespace
