// SPDX-License-Identifier: MIT
//
// The embedding API against a running broker, in process.
#include <gtest/gtest.h>
#include <mqttbroker.h>

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <functional>
#include <mutex>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "shim/test_alloc.h"

namespace
{

const auto DEADLINE = std::chrono::seconds(20);

// Things that arrive on the broker's threads, waited for with a deadline.
class Mailbox
{
  public:
    void put(const std::string &s)
    {
        std::lock_guard<std::mutex> hold(lock);
        all.push_back(s);
        changed.notify_all();
    }
    // The first n, in order; fewer when the deadline passes.
    std::vector<std::string> first(size_t n)
    {
        std::unique_lock<std::mutex> hold(lock);
        changed.wait_for(hold, DEADLINE, [&] { return all.size() >= n; });
        return {all.begin(), all.begin() + (ptrdiff_t)std::min(n, all.size())};
    }
    size_t count()
    {
        std::lock_guard<std::mutex> hold(lock);
        return all.size();
    }

  private:
    std::mutex lock;
    std::condition_variable changed;
    std::vector<std::string> all;
};

std::string text(mqb_str s)
{
    return s.ptr == nullptr ? "" : std::string(s.ptr, s.len);
}

int to_mailbox(void *arg, mqb_broker *, mqb_msg *m, const mqb_delivery *)
{
    static_cast<Mailbox *>(arg)->put(text(mqb_msg_topic(m)) + "=" + text(mqb_msg_payload(m)));
    return MQB_DELIVER_DONE;
}

void done_to_mailbox(void *arg, mqb_err err)
{
    static_cast<Mailbox *>(arg)->put("done " + std::to_string(err));
}

void freed_to_mailbox(void *arg)
{
    static_cast<Mailbox *>(arg)->put("freed");
}

class Api : public testing::TestWithParam<const char *>
{
  protected:
    void SetUp() override
    {
        test_alloc_init(&ta);
        ASSERT_EQ(MQB_OK, mqb_config_new_with((const mqb_allocator *)&ta.alloc, &cfg));
        ASSERT_EQ(MQB_OK, mqb_config_set(cfg, "threads", "2"));
        ASSERT_EQ(MQB_OK, mqb_config_set(cfg, "sys.interval", "0"));
        ASSERT_EQ(MQB_OK, mqb_broker_new(cfg, &b)) << mqb_last_error();
    }
    void TearDown() override
    {
        mqb_broker_free(b);
        mqb_config_free(cfg);
        EXPECT_EQ(0u, test_alloc_live_blocks(&ta));
        EXPECT_TRUE(test_alloc_is_sane(&ta));
        test_alloc_fini(&ta);
    }
    void start()
    {
        ASSERT_EQ(MQB_OK, mqb_broker_start(b)) << mqb_last_error();
    }
    uint64_t metric(const char *name)
    {
        mqb_metric m[128];
        size_t n = mqb_metrics(b, m, 128);
        for (size_t i = 0; i < n && i < 128; i++)
            if (strcmp(m[i].name, name) == 0)
                return m[i].value;
        ADD_FAILURE() << "no metric " << name;
        return 0;
    }
    struct test_alloc ta;
    mqb_config *cfg = nullptr;
    mqb_broker *b = nullptr;
    Mailbox box;
};

// --- life ---

TEST_F(Api, LivesAndDiesAtEveryPoint)
{
    EXPECT_FALSE(mqb_broker_is_running(b));
    EXPECT_EQ(MQB_ESTATE, mqb_broker_stop(b, 0));
    EXPECT_EQ(MQB_ESTATE, mqb_publish(b, "a", "x", 1, 0, 0));
    start();
    EXPECT_EQ(MQB_ESTATE, mqb_broker_start(b));
    EXPECT_STREQ("the broker is started already", mqb_last_error());
    EXPECT_EQ(MQB_OK, mqb_broker_stop(b, 1000));
    start();
    EXPECT_TRUE(mqb_broker_is_running(b));
    EXPECT_EQ(MQB_OK, mqb_broker_stop(b, 0));
}

TEST_F(Api, FreeStopsARunningBroker)
{
    start();
    ASSERT_EQ(MQB_OK, mqb_subscribe(b, "a", 0, to_mailbox, &box, nullptr));
}

TEST_F(Api, AFailedStartLeavesNothingRunningAndNamesAddressAndCall)
{
    ASSERT_EQ(MQB_OK, mqb_listen(b, "mqtt://127.0.0.1:0", nullptr, nullptr));
    mqb_listener l;
    ASSERT_EQ(MQB_OK, mqb_listener_find(b, "mqtt://127.0.0.1:0", &l));
    start();
    std::string taken = "mqtt://127.0.0.1:" + std::to_string(mqb_listener_port(b, l));
    mqb_broker *other;
    ASSERT_EQ(MQB_OK, mqb_broker_new(cfg, &other));
    mqb_listener second;
    ASSERT_EQ(MQB_OK, mqb_listen(other, taken.c_str(), nullptr, &second));
    EXPECT_EQ(MQB_ESYS, mqb_broker_start(other));
    std::string sentence = mqb_last_error();
    EXPECT_NE(std::string::npos, sentence.find(taken.substr(7))) << sentence;
    EXPECT_NE(std::string::npos, sentence.find("bind")) << sentence;
    EXPECT_NE(std::string::npos, sentence.find("in use")) << sentence;
    EXPECT_FALSE(mqb_broker_is_running(other));
    ASSERT_EQ(MQB_OK, mqb_broker_stop(b, 0));
    EXPECT_EQ(MQB_OK, mqb_broker_start(other)) << mqb_last_error();
    mqb_broker_free(other);
}

TEST_F(Api, EveryFailedAllocationAtStartLeavesItStopped)
{
    ASSERT_EQ(MQB_OK, mqb_listen(b, "mqtt://127.0.0.1:0", nullptr, nullptr));
    bool done = false;
    for (uint64_t n = 0; !done && n < 2000; n += 1 + n / 8) {
        test_alloc_fail_after(&ta, n);
        mqb_err err = mqb_broker_start(b);
        test_alloc_fail_after(&ta, TEST_ALLOC_NEVER);
        done = err == MQB_OK;
        if (!done) {
            EXPECT_EQ(MQB_ENOMEM, err) << mqb_last_error();
            EXPECT_FALSE(mqb_broker_is_running(b));
        }
    }
    EXPECT_TRUE(done);
}

TEST_F(Api, OwnerCallsAreRefusedInCallbacks)
{
    start();
    struct Ctx {
        mqb_broker *b;
        Mailbox *box;
    } ctx = {b, &box};
    mqb_message_fn fn = [](void *arg, mqb_broker *broker, mqb_msg *, const mqb_delivery *) -> int {
        Ctx *c = static_cast<Ctx *>(arg);
        mqb_publish_opts o = mqb_publish_defaults();
        o.topic = mqb_str_of("y");
        mqb_client client;
        EXPECT_EQ(MQB_ESTATE, mqb_broker_stop(broker, 0));
        mqb_broker_free(broker); // must not: it would free itself from under this call
        EXPECT_EQ(MQB_ESTATE, mqb_broker_reload(broker, nullptr));
        EXPECT_EQ(MQB_ESTATE, mqb_publish_wait(broker, &o, -1));
        EXPECT_EQ(MQB_ESTATE, mqb_client_find_wait(broker, 0, "x", &client, nullptr));
        EXPECT_EQ(MQB_OK, mqb_publish(broker, "y", "z", 1, 0, 0));
        c->box->put("called");
        return MQB_DELIVER_DONE;
    };
    ASSERT_EQ(MQB_OK, mqb_subscribe(b, "x", 0, fn, &ctx, nullptr));
    ASSERT_EQ(MQB_OK, mqb_publish(b, "x", "", 0, 0, 0));
    EXPECT_EQ(1u, box.first(1).size());
    ASSERT_EQ(MQB_OK, mqb_broker_stop(b, 0));
}

// --- listeners ---

TEST_F(Api, ListenersComeAndGoWhileRunningAndSurviveARestart)
{
    mqb_listener before, later;
    mqb_listen_opts o = mqb_listen_defaults();
    o.name = "one";
    ASSERT_EQ(MQB_OK, mqb_listen(b, "mqtt://127.0.0.1:0", &o, &before)) << mqb_last_error();
    EXPECT_EQ(0, mqb_listener_port(b, before));
    EXPECT_EQ(MQB_EEXIST, mqb_listen(b, "mqtt://127.0.0.1:0", &o, nullptr));
    start();
    EXPECT_NE(0, mqb_listener_port(b, before));
    o.name = "two";
    ASSERT_EQ(MQB_OK, mqb_listen(b, "mqtt://[::1]:0", &o, &later)) << mqb_last_error();
    EXPECT_NE(0, mqb_listener_port(b, later));
    EXPECT_EQ(MQB_OK, mqb_listener_close(b, later));
    EXPECT_EQ(MQB_ENOENT, mqb_listener_close(b, later));
    EXPECT_EQ(0, mqb_listener_port(b, later));
    ASSERT_EQ(MQB_OK, mqb_broker_stop(b, 0));
    start();
    EXPECT_NE(0, mqb_listener_port(b, before));
    mqb_listener found;
    EXPECT_EQ(MQB_OK, mqb_listener_find(b, "one", &found));
    EXPECT_EQ(before.id, found.id);
    EXPECT_EQ(MQB_ENOENT, mqb_listener_find(b, "two", &found));
}

TEST_F(Api, BadListenersAreRefusedAtOnce)
{
    mqb_listen_opts o = mqb_listen_defaults();
    EXPECT_EQ(MQB_EINVAL, mqb_listen(b, "http://x", nullptr, nullptr));
    EXPECT_EQ(MQB_EINVAL, mqb_listen(b, "mqtts://127.0.0.1:0", nullptr, nullptr));
    o.mountpoint = "a/+";
    EXPECT_EQ(MQB_EINVAL, mqb_listen(b, "mqtt://127.0.0.1:0", &o, nullptr));
    o = mqb_listen_defaults();
    o.tenant = 7;
    EXPECT_EQ(MQB_EINVAL, mqb_listen(b, "mqtt://127.0.0.1:0", &o, nullptr));
    o = mqb_listen_defaults();
    o.struct_size = 0;
    EXPECT_EQ(MQB_EINVAL, mqb_listen(b, "mqtt://127.0.0.1:0", &o, nullptr));
}

// --- reload ---

class Reload : public Api
{
  protected:
    void load(const char *t)
    {
        mqb_config *c;
        ASSERT_EQ(MQB_OK, mqb_config_new(&c));
        ASSERT_EQ(MQB_OK, mqb_config_set(c, "threads", "2"));
        ASSERT_EQ(MQB_OK, mqb_config_set(c, "sys.interval", "0"));
        ASSERT_EQ(MQB_OK, mqb_config_load_text(c, "r.conf", t)) << mqb_last_error();
        err = mqb_broker_reload(b, c);
        why = err == MQB_OK ? "" : mqb_last_error();
        mqb_config_free(c);
    }
    uint16_t port(const char *name)
    {
        mqb_listener l;
        return mqb_listener_find(b, name, &l) == MQB_OK ? mqb_listener_port(b, l) : 0;
    }
    mqb_err err;
    std::string why;
};

TEST_F(Reload, ListenersAreComparedByName)
{
    load("listener: { a: { url = \"mqtt://127.0.0.1:0\"; }; b: { url = \"mqtt://127.0.0.1:0\"; }; "
         "};");
    ASSERT_EQ(MQB_OK, err) << why;
    start();
    uint16_t a = port("a"), bee = port("b");
    ASSERT_NE(0, a);
    ASSERT_NE(0, bee);
    load("listener: { a: { url = \"mqtt://127.0.0.1:0\"; anonymous = \"never\"; };"
         " c: { url = \"mqtt://[::1]:0\"; }; };");
    ASSERT_EQ(MQB_OK, err) << why;
    EXPECT_EQ(a, port("a")) << "updated in place";
    EXPECT_EQ(0, port("b"));
    EXPECT_NE(0, port("c"));
    load("listener: { a: { url = \"mqtt://[::1]:0\"; }; };");
    ASSERT_EQ(MQB_OK, err) << why;
    EXPECT_NE(0, port("a"));
    EXPECT_EQ(0, port("c"));
}

TEST_F(Reload, AnAddressCanBeWidenedAndAListenerRenamed)
{
    load("listener: { a: { url = \"mqtt://127.0.0.1:0\"; }; };");
    start();
    std::string p = std::to_string(port("a"));
    load(("listener: { a: { url = \"mqtt://127.0.0.1:" + p + "\"; }; };").c_str());
    ASSERT_EQ(MQB_OK, err) << why;
    EXPECT_EQ(p, std::to_string(port("a")));
    load(("listener: { z: { url = \"mqtt://127.0.0.1:" + p + "\"; }; };").c_str());
    ASSERT_EQ(MQB_OK, err) << why;
    EXPECT_EQ(p, std::to_string(port("z")));
    EXPECT_EQ(0, port("a"));
}

TEST_F(Reload, IsAllOrNothing)
{
    load("listener: { a: { url = \"mqtt://127.0.0.1:0\"; }; };");
    start();
    uint16_t a = port("a");
    load("listener: { a: { url = \"mqtt://127.0.0.1:0\"; anonymous = \"never\"; }; "
         "m: { url = \"mqtt://127.0.0.1:0\"; }; z: { url = \"unix:///nonexistent/dir/x\"; }; };");
    EXPECT_EQ(MQB_ESYS, err);
    EXPECT_NE(std::string::npos, why.find("/nonexistent/dir/x")) << why;
    EXPECT_EQ(a, port("a"));
    EXPECT_EQ(0, port("m"));
    load("threads = 3; queue: { max_messages = 1; };");
    EXPECT_EQ(MQB_ECONFIG, err);
    EXPECT_EQ("threads needs a restart to change; nothing was changed", why);
    EXPECT_EQ(a, port("a"));
    EXPECT_EQ(MQB_EINVAL, mqb_broker_reload(b, nullptr));
}

TEST_F(Reload, LimitsOfCallsFollow)
{
    start();
    EXPECT_EQ(MQB_OK, mqb_publish(b, "a/b/c", "", 0, 0, 0));
    load("limits: { max_topic_levels = 2; };");
    ASSERT_EQ(MQB_OK, err) << why;
    EXPECT_EQ(MQB_EINVAL, mqb_publish(b, "a/b/c", "", 0, 0, 0));
}

// --- publish and subscribe ---

TEST_F(Api, SubscribeThenPublishReceivesTheMessage)
{
    start();
    for (int i = 0; i < 200; i++) {
        Mailbox one;
        mqb_sub sub;
        ASSERT_EQ(MQB_OK, mqb_subscribe(b, "a/+", 1, to_mailbox, &one, &sub));
        ASSERT_EQ(MQB_OK, mqb_publish(b, "a/b", "hello", 5, i % 3, 0));
        EXPECT_EQ(std::vector<std::string>{"a/b=hello"}, one.first(1));
        ASSERT_EQ(MQB_OK, mqb_unsubscribe_wait(b, sub)) << mqb_last_error();
    }
}

TEST_F(Api, PropertiesArriveAsTheyWereGiven)
{
    start();
    mqb_message_fn fn = [](void *arg, mqb_broker *, mqb_msg *m, const mqb_delivery *d) -> int {
        std::string s =
            text(mqb_msg_content_type(m)) + "|" + text(mqb_msg_response_topic(m)) + "|" +
            text(mqb_msg_correlation_data(m)) + "|" + std::to_string(mqb_msg_is_utf8(m)) + "|" +
            std::to_string(mqb_msg_qos(m)) + "|" + std::to_string(d->qos) + "|" +
            std::to_string(mqb_msg_expiry(m)) + "|" + std::to_string(d->expires_in_s) + "|" +
            std::to_string(d->identifier_count) + "," + std::to_string(d->identifiers[0]);
        mqb_user_property p;
        for (uint32_t pos = 0; mqb_msg_user_property(m, &pos, &p);)
            s += "|" + text(p.name) + ":" + text(p.value);
        static_cast<Mailbox *>(arg)->put(s);
        return MQB_DELIVER_DONE;
    };
    mqb_subscribe_opts so = mqb_subscribe_defaults();
    so.filter = "p";
    so.qos = 1;
    so.identifier = 77;
    so.fn = fn;
    so.arg = &box;
    ASSERT_EQ(MQB_OK, mqb_subscribe_wait(b, &so, 20000, nullptr)) << mqb_last_error();
    mqb_user_property users[] = {{mqb_str_of("k"), mqb_str_of("v")},
                                 {mqb_str_of("k"), mqb_str_of("")},
                                 {mqb_str_of(""), mqb_str_of("w")}};
    mqb_publish_opts o = mqb_publish_defaults();
    o.topic = mqb_str_of("p");
    o.qos = 2;
    o.flags = MQB_PUB_UTF8;
    o.expiry_s = 100;
    o.content_type = mqb_str_of("text/plain");
    o.response_topic = mqb_str_of("re/ply");
    o.correlation_data = mqb_str_of("id-1");
    o.user_properties = users;
    o.user_property_count = 3;
    ASSERT_EQ(MQB_OK, mqb_publish_wait(b, &o, 20000)) << mqb_last_error();
    EXPECT_EQ(std::vector<std::string>{"text/plain|re/ply|id-1|1|2|1|100|100|1,77|k:v|k:|:w"},
              box.first(1));
}

TEST_F(Api, BadPublishesAreRefusedAtTheCall)
{
    start();
    EXPECT_EQ(MQB_EINVAL, mqb_publish(b, "", "", 0, 0, 0));
    EXPECT_EQ(MQB_EINVAL, mqb_publish(b, nullptr, "", 0, 0, 0));
    EXPECT_EQ(MQB_EINVAL, mqb_publish(b, "a/#", "", 0, 0, 0));
    EXPECT_EQ(MQB_EINVAL, mqb_publish(b, "a\xff", "", 0, 0, 0));
    EXPECT_EQ(MQB_EINVAL, mqb_publish(b, "a", "", 0, 3, 0));
    EXPECT_EQ(MQB_EINVAL, mqb_publish(b, "a", "", 0, -1, 0));
    EXPECT_EQ(MQB_EINVAL, mqb_publish(b, "a", "", 0, 0, 1u << 20));
    EXPECT_EQ(MQB_EINVAL, mqb_publish(b, "a", nullptr, 5, 0, 0));
    std::string large(2u << 20, 'x');
    EXPECT_EQ(MQB_EINVAL, mqb_publish(b, "a", large.data(), large.size(), 0, 0));
    EXPECT_EQ(MQB_EINVAL, mqb_publish(b, std::string(70000, 'a').c_str(), "", 0, 0, 0));
    mqb_publish_opts o = mqb_publish_defaults();
    o.topic = mqb_str_of("a");
    o.response_topic = mqb_str_of("a/+");
    EXPECT_EQ(MQB_EINVAL, mqb_publish_ex(b, &o));
    o.response_topic = mqb_str_of(nullptr);
    o.flags = MQB_PUB_UTF8;
    o.payload = "\xff";
    o.payload_len = 1;
    EXPECT_EQ(MQB_EINVAL, mqb_publish_ex(b, &o));
    o.flags = 0;
    o.tenant = 9;
    EXPECT_EQ(MQB_EINVAL, mqb_publish_ex(b, &o));
    EXPECT_EQ(MQB_EINVAL, mqb_subscribe(b, "a/#/b", 0, to_mailbox, &box, nullptr));
    EXPECT_EQ(MQB_EINVAL, mqb_subscribe(b, "$share/g", 0, to_mailbox, &box, nullptr));
    EXPECT_EQ(MQB_EINVAL, mqb_subscribe(b, "a", 3, to_mailbox, &box, nullptr));
    EXPECT_EQ(MQB_EINVAL, mqb_subscribe(b, "a", 0, nullptr, &box, nullptr));
    EXPECT_EQ(MQB_ENOENT, mqb_unsubscribe(b, {12345}));
}

TEST_F(Api, RetainedMessagesComeToLaterSubscribers)
{
    start();
    ASSERT_EQ(MQB_OK, mqb_publish(b, "r/1", "one", 3, 1, MQB_PUB_RETAIN));
    ASSERT_EQ(MQB_OK, mqb_publish(b, "r/1", "two", 3, 1, MQB_PUB_RETAIN));
    ASSERT_EQ(MQB_OK, mqb_subscribe(b, "r/#", 1, to_mailbox, &box, nullptr));
    EXPECT_EQ(std::vector<std::string>{"r/1=two"}, box.first(1));
    EXPECT_EQ(1u, metric("retained_messages"));
}

TEST_F(Api, LaterHoldsTheWindowAndTheMessage)
{
    start();
    struct Ctx {
        std::mutex lock;
        std::condition_variable changed;
        std::vector<mqb_msg *> held;
    } ctx;
    mqb_message_fn fn = [](void *arg, mqb_broker *, mqb_msg *m, const mqb_delivery *) -> int {
        Ctx *c = static_cast<Ctx *>(arg);
        std::lock_guard<std::mutex> hold(c->lock);
        c->held.push_back(m);
        c->changed.notify_all();
        return MQB_DELIVER_LATER;
    };
    mqb_subscribe_opts so = mqb_subscribe_defaults();
    so.filter = "w";
    so.qos = 1;
    so.window = 2;
    so.fn = fn;
    so.arg = &ctx;
    mqb_sub sub;
    ASSERT_EQ(MQB_OK, mqb_subscribe_wait(b, &so, -1, &sub));
    for (int i = 0; i < 6; i++)
        ASSERT_EQ(MQB_OK, mqb_publish(b, "w", std::to_string(i).c_str(), 1, 1, 0));
    std::string got;
    for (size_t n = 0; n < 6; n++) {
        std::unique_lock<std::mutex> hold(ctx.lock);
        ASSERT_TRUE(ctx.changed.wait_for(hold, DEADLINE, [&] { return ctx.held.size() > n; }));
        EXPECT_LE(ctx.held.size(), n + 2) << "the window is two";
        mqb_msg *m = ctx.held[n];
        got += text(mqb_msg_payload(m));
        hold.unlock();
        EXPECT_EQ(MQB_OK, mqb_deliver_done(b, sub, m));
    }
    EXPECT_EQ("012345", got);
    ASSERT_EQ(MQB_OK, mqb_publish(b, "w", "x", 1, 1, 0));
    std::unique_lock<std::mutex> hold(ctx.lock);
    ASSERT_TRUE(ctx.changed.wait_for(hold, DEADLINE, [&] { return ctx.held.size() == 7; }));
    hold.unlock();
    ASSERT_EQ(MQB_OK, mqb_unsubscribe_wait(b, sub));
    EXPECT_EQ("x", text(mqb_msg_payload(ctx.held[6]))) << "held beyond the subscription";
    EXPECT_EQ(MQB_ENOENT, mqb_deliver_done(b, sub, ctx.held[6]));
}

TEST_F(Api, AMessageMayOutliveItsBroker)
{
    mqb_msg *kept = nullptr;
    start();
    mqb_message_fn fn = [](void *arg, mqb_broker *, mqb_msg *m, const mqb_delivery *) -> int {
        *static_cast<mqb_msg **>(arg) = mqb_msg_ref(m);
        return MQB_DELIVER_DONE;
    };
    mqb_subscribe_opts so = mqb_subscribe_defaults();
    so.filter = "k";
    so.fn = fn;
    so.arg = &kept;
    ASSERT_EQ(MQB_OK, mqb_subscribe_ex(b, &so, nullptr));
    mqb_publish_opts o = mqb_publish_defaults();
    o.topic = mqb_str_of("k");
    o.payload = "kept";
    o.payload_len = 4;
    ASSERT_EQ(MQB_OK, mqb_publish_wait(b, &o, -1));
    mqb_broker_free(b);
    b = nullptr;
    ASSERT_NE(nullptr, kept);
    EXPECT_EQ("kept", text(mqb_msg_payload(kept)));
    mqb_msg_unref(kept);
}

TEST_F(Api, ArgFreeRunsOnceAfterTheLastCallback)
{
    start();
    mqb_subscribe_opts so = mqb_subscribe_defaults();
    so.filter = "f";
    so.fn = to_mailbox;
    so.arg = &box;
    so.arg_free = freed_to_mailbox;
    so.done = done_to_mailbox;
    so.done_arg = &box;
    mqb_sub sub, again;
    ASSERT_EQ(MQB_OK, mqb_subscribe_ex(b, &so, &sub));
    ASSERT_EQ(MQB_OK, mqb_publish(b, "f", "1", 1, 0, 0));
    ASSERT_EQ(MQB_OK, mqb_unsubscribe(b, sub));
    EXPECT_EQ(MQB_ENOENT, mqb_unsubscribe(b, sub));
    EXPECT_EQ((std::vector<std::string>{"done 0", "f=1", "freed"}), box.first(3));
    ASSERT_EQ(MQB_OK, mqb_subscribe_ex(b, &so, &again));
    EXPECT_NE(sub.id, again.id);
    ASSERT_EQ(MQB_OK, mqb_broker_stop(b, 1000));
    EXPECT_EQ((std::vector<std::string>{"done 0", "f=1", "freed", "done 0", "freed"}),
              box.first(5));
    start();
    EXPECT_EQ(MQB_ENOENT, mqb_unsubscribe(b, again)) << "ids are not used twice";
}

TEST_F(Api, TheSameFilterTwiceIsDeliveredTwice)
{
    start();
    Mailbox first, second;
    mqb_subscribe_opts so = mqb_subscribe_defaults();
    so.filter = "s";
    so.fn = to_mailbox;
    so.arg = &first;
    so.arg_free = freed_to_mailbox;
    mqb_sub sub;
    ASSERT_EQ(MQB_OK, mqb_subscribe_ex(b, &so, &sub));
    so.arg = &second;
    ASSERT_EQ(MQB_OK, mqb_subscribe_wait(b, &so, -1, nullptr));
    ASSERT_EQ(MQB_OK, mqb_publish(b, "s", "x", 1, 0, 0));
    EXPECT_EQ(std::vector<std::string>{"s=x"}, first.first(1));
    EXPECT_EQ(std::vector<std::string>{"s=x"}, second.first(1));
    ASSERT_EQ(MQB_OK, mqb_unsubscribe_wait(b, sub));
    ASSERT_EQ(MQB_OK, mqb_broker_stop(b, 0));
    EXPECT_EQ((std::vector<std::string>{"s=x", "freed"}), first.first(2));
    EXPECT_EQ((std::vector<std::string>{"s=x", "freed"}), second.first(2));
}

TEST_F(Api, AHandleIsInASharedSubscriptionOnce)
{
    start();
    mqb_subscribe_opts so = mqb_subscribe_defaults();
    so.filter = "$share/g/s";
    so.fn = to_mailbox;
    so.arg = &box;
    so.arg_free = freed_to_mailbox;
    ASSERT_EQ(MQB_OK, mqb_subscribe_wait(b, &so, -1, nullptr)) << mqb_last_error();
    EXPECT_EQ(MQB_EEXIST, mqb_subscribe_wait(b, &so, -1, nullptr));
    EXPECT_EQ(std::vector<std::string>{"freed"}, box.first(1));
    ASSERT_EQ(MQB_OK, mqb_publish(b, "s", "x", 1, 1, 0));
    EXPECT_EQ((std::vector<std::string>{"freed", "s=x"}), box.first(2));
}

TEST_F(Api, ZeroCopyFreesOnceAndNotOnErrors)
{
    start();
    Mailbox freed;
    ASSERT_EQ(MQB_OK, mqb_subscribe(b, "z/#", 1, to_mailbox, &box, nullptr));
    mqb_publish_opts o = mqb_publish_defaults();
    o.topic = mqb_str_of("z/1");
    o.payload = "host's own";
    o.payload_len = 10;
    o.free_fn = [](void *arg, const void *, size_t len) {
        static_cast<Mailbox *>(arg)->put("freed " + std::to_string(len));
    };
    o.free_arg = &freed;
    o.flags = MQB_PUB_RETAIN;
    ASSERT_EQ(MQB_OK, mqb_publish_ex(b, &o));
    EXPECT_EQ(std::vector<std::string>{"z/1=host's own"}, box.first(1));
    EXPECT_EQ(std::vector<std::string>{"freed 10"}, freed.first(1));
    o.topic = mqb_str_of("z/#");
    EXPECT_EQ(MQB_EINVAL, mqb_publish_ex(b, &o));
    o.topic = mqb_str_of("z/2");
    for (uint64_t n = 0; n < 3; n++) {
        test_alloc_fail_after(&ta, n);
        mqb_err err = mqb_publish_ex(b, &o);
        test_alloc_fail_after(&ta, TEST_ALLOC_NEVER);
        EXPECT_EQ(MQB_ENOMEM, err);
    }
    ASSERT_EQ(MQB_OK, mqb_broker_stop(b, 0));
    EXPECT_EQ(MQB_ESTATE, mqb_publish_ex(b, &o));
    EXPECT_EQ(1u, freed.count());
}

TEST_F(Api, EveryAcceptedPublishIsDoneOnceEvenWhenTheBrokerStops)
{
    start();
    std::atomic<uint64_t> accepted{0}, done{0};
    mqb_done_fn fn = [](void *arg, mqb_err) {
        static_cast<std::atomic<uint64_t> *>(arg)->fetch_add(1);
    };
    std::atomic<bool> go{true};
    std::vector<std::thread> threads;
    for (int t = 0; t < 4; t++)
        threads.emplace_back([&, t] {
            mqb_publish_opts o = mqb_publish_defaults();
            std::string topic = "t/" + std::to_string(t);
            o.topic = mqb_str_of(topic.c_str());
            o.qos = 1;
            o.done = fn;
            o.done_arg = &done;
            while (go) {
                mqb_err err = mqb_publish_ex(b, &o);
                if (err == MQB_OK)
                    accepted++;
                else if (err == MQB_ESTATE)
                    return;
            }
        });
    while (done < 1000)
        std::this_thread::yield();
    EXPECT_EQ(MQB_OK, mqb_broker_stop(b, 1000));
    go = false;
    for (std::thread &t : threads)
        t.join();
    EXPECT_EQ(accepted.load(), done.load());
}

TEST_F(Api, AFullInboxAnswersEagain)
{
    mqb_config *c;
    ASSERT_EQ(MQB_OK, mqb_config_new(&c));
    mqb_config_set(c, "threads", "2");
    mqb_config_set(c, "worker.inbox_mark", "64k");
    ASSERT_EQ(MQB_OK, mqb_broker_reload(b, c));
    mqb_config_free(c);
    start();
    std::mutex gate;
    std::unique_lock<std::mutex> closed(gate);
    mqb_message_fn fn = [](void *arg, mqb_broker *, mqb_msg *, const mqb_delivery *) -> int {
        std::lock_guard<std::mutex> wait(*static_cast<std::mutex *>(arg));
        return MQB_DELIVER_DONE;
    };
    ASSERT_EQ(MQB_OK, mqb_subscribe(b, "g", 0, fn, &gate, nullptr));
    std::string payload(1000, 'x');
    mqb_err err = MQB_OK;
    int n = 0;
    for (; err == MQB_OK && n < 10000; n++)
        err = mqb_publish(b, "g", payload.data(), payload.size(), 0, 0);
    EXPECT_EQ(MQB_EAGAIN, err);
    EXPECT_GT(n, 10);
    closed.unlock();
    ASSERT_EQ(MQB_OK, mqb_broker_stop(b, 0));
}

// --- handles ---

TEST_F(Api, HandlesHaveNamesAndTenants)
{
    start();
    uint32_t red, blue, again;
    ASSERT_EQ(MQB_OK, mqb_tenant(b, "red", &red));
    ASSERT_EQ(MQB_OK, mqb_tenant(b, "blue", &blue));
    ASSERT_EQ(MQB_OK, mqb_tenant(b, "red", &again));
    EXPECT_EQ(red, again);
    EXPECT_NE(red, blue);
    Mailbox in_red, in_none;
    mqb_subscribe_opts so = mqb_subscribe_defaults();
    so.filter = "#";
    so.fn = to_mailbox;
    so.arg = &in_red;
    so.tenant = red;
    ASSERT_EQ(MQB_OK, mqb_subscribe_wait(b, &so, -1, nullptr)) << mqb_last_error();
    ASSERT_EQ(MQB_OK, mqb_subscribe(b, "#", 0, to_mailbox, &in_none, nullptr));
    mqb_local *l;
    mqb_local_opts lo = mqb_local_defaults();
    lo.tenant = red;
    lo.opened = done_to_mailbox;
    lo.opened_arg = &box;
    ASSERT_EQ(MQB_OK, mqb_local_open(b, "worker-7", &lo, &l)) << mqb_last_error();
    EXPECT_EQ(std::vector<std::string>{"done 0"}, box.first(1));
    mqb_publish_opts o = mqb_publish_defaults();
    o.local = l;
    o.topic = mqb_str_of("from/red");
    ASSERT_EQ(MQB_OK, mqb_publish_wait(b, &o, -1));
    o.tenant = blue;
    EXPECT_EQ(MQB_EINVAL, mqb_publish_ex(b, &o)) << "the handle is of another tenant";
    ASSERT_EQ(MQB_OK, mqb_publish(b, "from/none", "", 0, 0, 0));
    EXPECT_EQ(std::vector<std::string>{"from/red="}, in_red.first(1));
    EXPECT_EQ(std::vector<std::string>{"from/none="}, in_none.first(1));
    EXPECT_EQ(1u, in_red.count());
    mqb_local_close(l);
    EXPECT_EQ(MQB_EINVAL, mqb_local_open(b, "$host", nullptr, &l));
    EXPECT_EQ(MQB_EINVAL, mqb_local_open(b, "", nullptr, &l));
}

TEST_F(Api, NoLocalLeavesOutWhatTheHandlePublishes)
{
    start();
    mqb_local *mine, *other;
    ASSERT_EQ(MQB_OK, mqb_local_open(b, "mine", nullptr, &mine));
    ASSERT_EQ(MQB_OK, mqb_local_open(b, "other", nullptr, &other));
    mqb_subscribe_opts so = mqb_subscribe_defaults();
    so.local = mine;
    so.filter = "n";
    so.flags = MQB_SUB_NO_LOCAL;
    so.fn = to_mailbox;
    so.arg = &box;
    ASSERT_EQ(MQB_OK, mqb_subscribe_wait(b, &so, -1, nullptr));
    mqb_publish_opts o = mqb_publish_defaults();
    o.topic = mqb_str_of("n");
    o.payload = "m";
    o.payload_len = 1;
    o.local = mine;
    ASSERT_EQ(MQB_OK, mqb_publish_wait(b, &o, -1));
    o.local = other;
    o.payload = "o";
    ASSERT_EQ(MQB_OK, mqb_publish_wait(b, &o, -1));
    EXPECT_EQ(std::vector<std::string>{"n=o"}, box.first(1));
    EXPECT_EQ(1u, box.count());
    mqb_local_close(mine);
    mqb_local_close(other);
}

TEST_F(Api, TheSameNameTwiceIsRefused)
{
    start();
    mqb_local *a, *c;
    mqb_local_opts lo = mqb_local_defaults();
    lo.opened = done_to_mailbox;
    lo.opened_arg = &box;
    ASSERT_EQ(MQB_OK, mqb_local_open(b, "one", &lo, &a));
    ASSERT_EQ(MQB_OK, mqb_local_open(b, "one", &lo, &c));
    EXPECT_EQ((std::vector<std::string>{"done 0", "done -5"}), box.first(2));
    mqb_local_close(a);
    mqb_local_close(c);
    ASSERT_EQ(MQB_OK, mqb_local_open(b, "one", &lo, &a));
    EXPECT_EQ((std::vector<std::string>{"done 0", "done -5", "done 0"}), box.first(3));
    mqb_local_close(a);
}

TEST_F(Api, ADurableHandleGetsWhatCameWhileItWasClosed)
{
    start();
    mqb_local *l;
    mqb_local_opts lo = mqb_local_defaults();
    lo.flags = MQB_LOCAL_DURABLE;
    ASSERT_EQ(MQB_OK, mqb_local_open(b, "durable", &lo, &l));
    mqb_subscribe_opts so = mqb_subscribe_defaults();
    so.local = l;
    so.filter = "d";
    so.qos = 1;
    so.fn = to_mailbox;
    so.arg = &box;
    ASSERT_EQ(MQB_OK, mqb_subscribe_wait(b, &so, -1, nullptr));
    mqb_local_close(l);
    mqb_publish_opts o = mqb_publish_defaults();
    o.topic = mqb_str_of("d");
    o.payload = "missed";
    o.payload_len = 6;
    o.qos = 1;
    ASSERT_EQ(MQB_OK, mqb_publish_wait(b, &o, -1));
    EXPECT_EQ(0u, box.count());
    ASSERT_EQ(MQB_OK, mqb_local_open(b, "durable", &lo, &l));
    so.local = l;
    ASSERT_EQ(MQB_OK, mqb_subscribe_wait(b, &so, -1, nullptr));
    EXPECT_EQ(std::vector<std::string>{"d=missed"}, box.first(1));
    mqb_local_close(l);
}

TEST_F(Api, HandlesEndWithTheBrokerAndAreStillClosedByTheHost)
{
    start();
    mqb_local *l, *left_open;
    ASSERT_EQ(MQB_OK, mqb_local_open(b, "l", nullptr, &l));
    ASSERT_EQ(MQB_OK, mqb_local_open(b, "left-open", nullptr, &left_open));
    ASSERT_EQ(MQB_OK, mqb_broker_stop(b, 0));
    start();
    mqb_publish_opts o = mqb_publish_defaults();
    o.topic = mqb_str_of("x");
    o.local = l;
    EXPECT_EQ(MQB_ESTATE, mqb_publish_ex(b, &o));
    mqb_local_close(l);
}

TEST_F(Api, ClosingAHandleEndsItsSubscriptions)
{
    start();
    mqb_local *l;
    ASSERT_EQ(MQB_OK, mqb_local_open(b, "l", nullptr, &l));
    mqb_subscribe_opts so = mqb_subscribe_defaults();
    so.local = l;
    so.filter = "a";
    so.fn = to_mailbox;
    so.arg = &box;
    so.arg_free = freed_to_mailbox;
    mqb_sub sub;
    ASSERT_EQ(MQB_OK, mqb_subscribe_ex(b, &so, &sub));
    mqb_local_close(l);
    EXPECT_EQ(std::vector<std::string>{"freed"}, box.first(1));
    EXPECT_EQ(MQB_ENOENT, mqb_unsubscribe(b, sub));
}

// --- clients and metrics ---

TEST_F(Api, ClientsAreFoundAndEnumerated)
{
    start();
    mqb_local *l;
    ASSERT_EQ(MQB_OK, mqb_local_open(b, "findme", nullptr, &l));
    mqb_client c = {0};
    uint64_t connection = 99;
    ASSERT_EQ(MQB_OK, mqb_client_find_wait(b, 0, "findme", &c, &connection)) << mqb_last_error();
    EXPECT_NE(0u, c.id);
    EXPECT_EQ(0u, connection);
    EXPECT_EQ(MQB_ENOENT, mqb_client_find_wait(b, 0, "nobody", &c, nullptr));
    EXPECT_EQ(MQB_ENOENT, mqb_client_find_wait(b, 3, "findme", &c, nullptr));
    mqb_client_fn fn = [](void *arg, const mqb_client_info *i) -> bool {
        static_cast<Mailbox *>(arg)->put(i == nullptr ? "end" : text(i->client_id));
        return true;
    };
    ASSERT_EQ(MQB_OK, mqb_client_each(b, MQB_ALL_TENANTS, fn, &box));
    std::vector<std::string> all = box.first(3);
    ASSERT_EQ(3u, all.size());
    EXPECT_EQ("end", all[2]);
    EXPECT_EQ((std::set<std::string>{"$host", "findme"}), (std::set<std::string>{all[0], all[1]}));
    EXPECT_EQ(MQB_OK, mqb_client_kick(b, c, 0, 0, 0)) << "handles are left alone";
    EXPECT_EQ(MQB_EINVAL, mqb_client_kick(b, {0}, 0, 0, 0));
    EXPECT_EQ(MQB_EINVAL, mqb_client_kick(b, c, 0, 4, 0));
    EXPECT_EQ(MQB_OK, mqb_client_find_wait(b, 0, "findme", &c, nullptr));
    mqb_local_close(l);
}

TEST_F(Api, MetricsAreASnapshotInAFixedOrder)
{
    size_t n = mqb_metrics(b, nullptr, 0);
    EXPECT_GT(n, 40u);
    EXPECT_EQ(0u, metric("messages_received"));
    start();
    mqb_publish_opts o = mqb_publish_defaults();
    o.topic = mqb_str_of("m");
    for (int i = 0; i < 10; i++)
        ASSERT_EQ(MQB_OK, mqb_publish_wait(b, &o, -1));
    EXPECT_EQ(10u, metric("messages_received"));
    EXPECT_EQ(2u, metric("workers"));
    mqb_metric one;
    EXPECT_EQ(n, mqb_metrics(b, &one, 1));
    EXPECT_STREQ("bytes_received", one.name);
}

TEST(ApiSys, MetricsAreRetainedMessagesThatAreRenewed)
{
    for (const char *threads : {"2", "0"}) {
        mqb_config *cfg;
        mqb_broker *b;
        Mailbox box;
        ASSERT_EQ(MQB_OK, mqb_config_new(&cfg));
        mqb_config_set(cfg, "threads", threads);
        mqb_config_set(cfg, "sys.interval", "20ms");
        ASSERT_EQ(MQB_OK, mqb_broker_new(cfg, &b));
        ASSERT_EQ(MQB_OK, mqb_broker_start(b));
        mqb_config_free(cfg);
        ASSERT_EQ(MQB_OK, mqb_subscribe(b, "$SYS/broker/version", 0, to_mailbox, &box, nullptr));
        for (int i = 0; i < 1000 && *threads == '0' && box.count() < 3; i++)
            ASSERT_EQ(MQB_OK, mqb_broker_step(b, 50));
        EXPECT_EQ(std::vector<std::string>(3, "$SYS/broker/version=mqttbroker 0.1.0"),
                  box.first(3));
        mqb_broker_free(b);
    }
}

// --- driven by the host ---

TEST(ApiLoop, TheHostDrivesEverything)
{
    mqb_config *cfg;
    mqb_broker *b;
    ASSERT_EQ(MQB_OK, mqb_config_new(&cfg));
    ASSERT_EQ(MQB_OK, mqb_config_set(cfg, "threads", "0"));
    ASSERT_EQ(MQB_OK, mqb_broker_new(cfg, &b));
    mqb_config_free(cfg);
    EXPECT_EQ(-1, mqb_broker_fd(b));
    EXPECT_EQ(MQB_ESTATE, mqb_broker_step(b, 0));
    ASSERT_EQ(MQB_OK, mqb_broker_start(b)) << mqb_last_error();
    EXPECT_GE(mqb_broker_fd(b), 0);
    Mailbox box;
    ASSERT_EQ(MQB_OK, mqb_subscribe(b, "a", 1, to_mailbox, &box, nullptr));
    ASSERT_EQ(MQB_OK, mqb_publish(b, "a", "1", 1, 1, 0));
    mqb_publish_opts o = mqb_publish_defaults();
    o.topic = mqb_str_of("a");
    EXPECT_EQ(MQB_ESTATE, mqb_publish_wait(b, &o, -1));
    for (int i = 0; i < 1000 && box.count() == 0; i++)
        ASSERT_EQ(MQB_OK, mqb_broker_step(b, 20));
    EXPECT_EQ(1u, box.count());
    EXPECT_EQ(MQB_OK, mqb_broker_stop(b, 100));
    mqb_broker_free(b);
}

TEST(ApiSeveral, BrokersInOneProcessDoNotMeet)
{
    mqb_config *cfg;
    mqb_broker *b[2];
    Mailbox box[2];
    ASSERT_EQ(MQB_OK, mqb_config_new(&cfg));
    mqb_config_set(cfg, "threads", "2");
    for (int i = 0; i < 2; i++) {
        ASSERT_EQ(MQB_OK, mqb_broker_new(cfg, &b[i]));
        ASSERT_EQ(MQB_OK, mqb_broker_start(b[i]));
        ASSERT_EQ(MQB_OK, mqb_subscribe(b[i], "#", 0, to_mailbox, &box[i], nullptr));
    }
    mqb_config_free(cfg);
    ASSERT_EQ(MQB_OK, mqb_publish(b[0], "zero", "", 0, 0, 0));
    ASSERT_EQ(MQB_OK, mqb_publish(b[1], "one", "", 0, 0, 0));
    EXPECT_EQ(std::vector<std::string>{"zero="}, box[0].first(1));
    EXPECT_EQ(std::vector<std::string>{"one="}, box[1].first(1));
    mqb_broker_free(b[0]);
    mqb_broker_free(b[1]);
    EXPECT_EQ(1u, box[0].count());
    EXPECT_EQ(1u, box[1].count());
}

} // namespace
