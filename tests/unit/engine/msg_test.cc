// SPDX-License-Identifier: MIT
#include <gtest/gtest.h>

#include <string>

#include "shim/engine.hpp"
#include "shim/test_alloc.h"
#include "topics.hpp"

namespace
{

struct bytes lit(const char *text)
{
    return mqbx_bytes_of(text);
}

struct Freed {
    int times = 0;
    const void *payload = nullptr;
    size_t len = 0;
};

void note_free(void *arg, const void *payload, size_t len)
{
    Freed *f = static_cast<Freed *>(arg);
    f->times++;
    f->payload = payload;
    f->len = len;
}

struct publication sample(struct bytes topic, struct bytes props, struct bytes payload)
{
    struct publication p = {};
    p.tenant = 7;
    p.expiry_s = 60;
    p.received_ms = 1000;
    p.publisher = 0xabcdef;
    p.stamp = 99;
    p.qos = 2;
    p.retain = true;
    p.topic = topic;
    p.props = props;
    p.payload = payload;
    return p;
}

std::string text(struct bytes b)
{
    return std::string(reinterpret_cast<const char *>(b.ptr), b.len);
}

void expect_sample(const struct publication &p, const std::string &topic, const std::string &props,
                   const std::string &payload)
{
    EXPECT_EQ(p.tenant, 7u);
    EXPECT_EQ(p.expiry_s, 60u);
    EXPECT_EQ(p.received_ms, 1000u);
    EXPECT_EQ(p.publisher, 0xabcdefu);
    EXPECT_EQ(p.stamp, 99u);
    EXPECT_EQ(p.qos, 2);
    EXPECT_TRUE(p.retain);
    EXPECT_EQ(text(p.topic), topic);
    EXPECT_EQ(text(p.props), props);
    EXPECT_EQ(text(p.payload), payload);
}

class Msg : public ::testing::Test
{
  protected:
    void SetUp() override
    {
        test_alloc_init(&ta);
    }

    void TearDown() override
    {
        EXPECT_EQ(test_alloc_live_blocks(&ta), 0u);
        EXPECT_TRUE(test_alloc_is_sane(&ta));
        test_alloc_fini(&ta);
    }

    struct test_alloc ta;
};

} // namespace

TEST_F(Msg, CarriesAllOfThePublication)
{
    const std::string parts[] = {"", "x", std::string(7, 'y'), std::string(70000, 'z')};
    for (const std::string &props : parts) {
        for (const std::string &payload : parts) {
            struct publication p = sample(lit("sensor/1"), bytes_of(props), bytes_of(payload));
            struct msg *m = mqbx_msg_new(&ta.alloc, &p);
            ASSERT_NE(m, nullptr);
            struct publication view;
            mqbx_msg_view(m, &view);
            EXPECT_EQ(view.msg, m);
            expect_sample(view, "sensor/1", props, payload);
            EXPECT_EQ(mqbx_msg_size(m), test_alloc_live_bytes(&ta));
            mqbx_msg_unref(m);
        }
    }
}

TEST_F(Msg, IsFreedWithTheLastReference)
{
    struct publication p = sample(lit("t"), lit(""), lit("payload"));
    struct msg *m = mqbx_msg_new(&ta.alloc, &p);
    EXPECT_EQ(mqbx_msg_ref(m), m);
    mqbx_msg_unref(m);
    EXPECT_EQ(text(mqbx_msg_payload(m)), "payload");
    mqbx_msg_unref(m);
    EXPECT_EQ(test_alloc_live_blocks(&ta), 0u);
    mqbx_msg_unref(nullptr);
}

TEST_F(Msg, ForeignPayloadIsReferredToAndGivenBackOnce)
{
    for (size_t len = 0; len < 9; len++) { /* the part behind the properties is aligned */
        const std::string topic(len + 1, 't');
        const std::string payload = "host's own";
        Freed freed;
        struct publication p = sample(bytes_of(topic), lit("props"), bytes_of(payload));
        struct msg *m = mqbx_msg_new_foreign(&ta.alloc, &p, note_free, &freed);
        ASSERT_NE(m, nullptr);
        struct publication view;
        mqbx_msg_view(m, &view);
        expect_sample(view, topic, "props", payload);
        EXPECT_EQ(static_cast<const void *>(view.payload.ptr), payload.data());
        EXPECT_EQ(mqbx_msg_size(m), test_alloc_live_bytes(&ta) + payload.size());
        mqbx_msg_ref(m);
        mqbx_msg_unref(m);
        EXPECT_EQ(freed.times, 0);
        mqbx_msg_unref(m);
        EXPECT_EQ(freed.times, 1);
        EXPECT_EQ(freed.payload, payload.data());
        EXPECT_EQ(freed.len, payload.size());
    }
}

TEST_F(Msg, ForeignPayloadNeedsNoFreeFunction)
{
    struct publication p = sample(lit("t"), lit(""), lit("static text"));
    mqbx_msg_unref(mqbx_msg_new_foreign(&ta.alloc, &p, nullptr, nullptr));
}

TEST_F(Msg, OutOfMemoryIsNullAndRunsNoFreeFunction)
{
    Freed freed;
    struct publication p = sample(lit("t"), lit(""), lit("x"));
    test_alloc_fail_after(&ta, 0);
    EXPECT_EQ(mqbx_msg_new(&ta.alloc, &p), nullptr);
    EXPECT_EQ(mqbx_msg_new_foreign(&ta.alloc, &p, note_free, &freed), nullptr);
    EXPECT_EQ(freed.times, 0);
}

TEST_F(Msg, ExpiryCountsDownInSecondsSpentWaiting)
{
    uint32_t left = 0;
    EXPECT_TRUE(mqbx_msg_left(5000, 10, 5000, &left));
    EXPECT_EQ(left, 10u);
    EXPECT_TRUE(mqbx_msg_left(5000, 10, 5999, &left));
    EXPECT_EQ(left, 10u);
    EXPECT_TRUE(mqbx_msg_left(5000, 10, 6000, &left));
    EXPECT_EQ(left, 9u);
    EXPECT_TRUE(mqbx_msg_left(5000, 10, 14999, &left));
    EXPECT_EQ(left, 1u);
    EXPECT_FALSE(mqbx_msg_left(5000, 10, 15000, &left));
    EXPECT_FALSE(mqbx_msg_left(5000, 10, UINT64_MAX, &left));
}

TEST_F(Msg, ExpiryEdges)
{
    uint32_t left = 0;
    EXPECT_TRUE(mqbx_msg_left(5000, MSG_NEVER_EXPIRES, UINT64_MAX, &left));
    EXPECT_EQ(left, MSG_NEVER_EXPIRES);
    EXPECT_TRUE(mqbx_msg_left(5000, 3, 10, &left)) << "a clock read earlier than the message's";
    EXPECT_EQ(left, 3u);
    EXPECT_TRUE(mqbx_msg_left(5000, 0, 5000, &left)) << "for whoever is there right now";
    EXPECT_EQ(left, 0u);
    EXPECT_FALSE(mqbx_msg_left(5000, 0, 5001, &left));
    EXPECT_TRUE(mqbx_msg_left(0, MSG_NEVER_EXPIRES - 1, 4294967293999u, &left));
    EXPECT_EQ(left, 1u);
}

TEST_F(Msg, LocalMessageHoldsOneReference)
{
    struct slab slab;
    mqbx_slab_init(&slab, &ta.alloc, sizeof(struct local_msg));
    struct publication p = sample(lit("t"), lit(""), lit("x"));
    struct msg *m = mqbx_msg_new(&ta.alloc, &p);
    struct local_msg *l = mqbx_local_msg_new(&slab, mqbx_msg_ref(m));
    ASSERT_NE(l, nullptr);
    EXPECT_EQ(l->msg, m);
    l->refs++;
    mqbx_msg_unref(m);
    mqbx_local_msg_unref(&slab, l);
    EXPECT_EQ(text(mqbx_msg_payload(l->msg)), "x");
    mqbx_local_msg_unref(&slab, l);
    EXPECT_EQ(slab.used, 0u);
    mqbx_slab_fini(&slab);
}

TEST_F(Msg, LocalMessageOutOfMemoryLeavesTheReferenceWithTheCaller)
{
    struct slab slab;
    mqbx_slab_init(&slab, &ta.alloc, sizeof(struct local_msg));
    struct publication p = sample(lit("t"), lit(""), lit("x"));
    struct msg *m = mqbx_msg_new(&ta.alloc, &p);
    test_alloc_fail_after(&ta, 0);
    EXPECT_EQ(mqbx_local_msg_new(&slab, m), nullptr);
    EXPECT_EQ(text(mqbx_msg_payload(m)), "x");
    mqbx_msg_unref(m);
    mqbx_slab_fini(&slab);
}
