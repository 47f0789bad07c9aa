// SPDX-License-Identifier: MIT
#include "io.hpp"

class Stream : public testing::Test
{
  protected:
    Loop loop;
    Origin origin{loop, options("mqtt://127.0.0.1:0")};
    struct link *make(int fd)
    {
        struct address peer = nobody();
        struct link *l = mqbx_link_new(loop.alloc(), fd, origin.origin, &peer);
        EXPECT_NE(l, nullptr);
        EXPECT_EQ(l->conn, nullptr);
        return l;
    }
    struct link *attached(int fd)
    {
        struct link *l = make(fd);
        EXPECT_TRUE(l->ops->attach(l, &loop.loop));
        return l;
    }
};

TEST_F(Stream, ReadsUntilAgainAndTellsTheEnd)
{
    Pair pair;
    struct link *l = attached(pair.ours);
    int64_t last;
    EXPECT_EQ(read_all(l, &last), "");
    EXPECT_EQ(last, LINK_AGAIN);
    send_text(pair.theirs, "hello");
    EXPECT_EQ(read_all(l, &last), "hello");
    EXPECT_EQ(last, LINK_AGAIN);
    send_text(pair.theirs, "the rest");
    pair.close_theirs();
    EXPECT_EQ(read_all(l, &last, 3), "the rest");
    if (last == LINK_AGAIN) { // the last read was short
        EXPECT_EQ(read_all(l, &last), "");
    }
    EXPECT_EQ(last, LINK_EOF);
    l->ops->close(l);
}

TEST_F(Stream, SaysWhetherItIsDrained)
{
    Pair pair;
    struct link *l = attached(pair.ours);
    uint8_t space[4];
    send_text(pair.theirs, "123456");
    EXPECT_EQ(l->ops->read(l, space, 4), 4);
    EXPECT_FALSE(l->is_drained);
    EXPECT_EQ(l->ops->read(l, space, 4), 2);
    EXPECT_TRUE(l->is_drained);
    l->ops->close(l);
}

TEST_F(Stream, ReportsTheReadinessThatIsWanted)
{
    Pair pair;
    struct link *l = attached(pair.ours);
    send_text(pair.theirs, "x");
    loop.turn();
    EXPECT_EQ(loop.events_of(l), 0u);
    l->ops->want(l, LINK_READ);
    loop.turn();
    EXPECT_EQ(loop.events_of(l), LINK_READ);
    loop.turn(); // level-triggered
    EXPECT_EQ(loop.events_of(l), LINK_READ);
    l->ops->want(l, LINK_WRITE);
    loop.turn();
    EXPECT_EQ(loop.events_of(l), LINK_WRITE);
    l->ops->want(l, LINK_READ | LINK_WRITE);
    loop.turn();
    EXPECT_EQ(loop.events_of(l), LINK_READ | LINK_WRITE);
    l->ops->want(l, 0);
    pair.close_theirs();
    loop.turn(); // not even the end is reported to one who wants nothing
    EXPECT_EQ(loop.events_of(l), 0u);
    l->ops->want(l, LINK_READ);
    loop.turn();
    EXPECT_EQ(loop.events_of(l), LINK_READ);
    l->ops->close(l);
}

TEST_F(Stream, TakesManyPartsInOrder)
{
    Pair pair;
    struct link *l = attached(pair.ours);
    std::string expected;
    std::vector<std::string> texts;
    std::vector<struct bytes> parts;
    for (int i = 0; i < 200; i++)
        texts.push_back(i % 5 == 4 ? "" : "part " + std::to_string(i) + ";");
    for (const std::string &t : texts) {
        expected += t;
        parts.push_back(mqbx_bytes(t.data(), t.size()));
    }
    EXPECT_EQ(l->ops->write(l, parts.data(), 200), static_cast<int64_t>(expected.size()));
    EXPECT_EQ(receive_some(pair.theirs), expected);
    l->ops->close(l);
}

TEST_F(Stream, WritesWhatTheSocketTakesAndTheRestLater)
{
    Pair pair(4096);
    struct link *l = attached(pair.ours);
    std::string all(300000, ' ');
    for (size_t i = 0; i < all.size(); i++)
        all[i] = static_cast<char>('a' + i % 26);
    std::string got;
    size_t done = 0;
    unsigned shorts = 0;
    while (done < all.size()) {
        struct bytes parts[2] = {mqbx_bytes(all.data() + done, (all.size() - done) / 2), {}};
        parts[1] = mqbx_bytes(parts[0].ptr + parts[0].len, all.size() - done - parts[0].len);
        int64_t n = l->ops->write(l, parts, 2);
        ASSERT_GE(n, 0);
        done += static_cast<size_t>(n);
        if (done < all.size()) {
            shorts++;
            l->ops->want(l, LINK_WRITE);
            loop.turn();
            EXPECT_EQ(loop.events_of(l), 0u);
            got += receive_some(pair.theirs);
            loop.turn();
            EXPECT_EQ(loop.events_of(l), LINK_WRITE);
        }
    }
    got += receive_some(pair.theirs);
    EXPECT_EQ(got, all);
    EXPECT_GT(shorts, 3u);
    l->ops->close(l);
}

TEST_F(Stream, SurvivesAPeerThatIsGoneWithoutASignal)
{
    Pair pair;
    struct link *l = attached(pair.ours);
    pair.close_theirs();
    EXPECT_EQ(write_text(l, "into the void"), LINK_ERROR);
    struct link_facts facts;
    l->ops->facts(l, &facts);
    ASSERT_NE(facts.error_text, nullptr);
    EXPECT_STREQ(facts.error_text, "broken pipe");
    l->ops->close(l);
}

TEST_F(Stream, ThatIsNotReadStaysQuietWhenItsPeerGoes)
{
    Pair pair;
    struct link *l = attached(pair.ours);
    l->ops->want(l, LINK_READ);
    l->ops->want(l, 0); // stays watched until something comes
    send_text(pair.theirs, "x");
    pair.close_theirs();
    for (int i = 0; i < 5; i++)
        loop.turn();
    EXPECT_EQ(loop.events_of(l), 0u);
    l->ops->want(l, LINK_READ);
    loop.turn();
    EXPECT_EQ(loop.events_of(l), LINK_READ);
    int64_t last;
    EXPECT_EQ(read_all(l, &last, 1), "x");
    EXPECT_EQ(last, LINK_EOF);
    l->ops->close(l);
}

TEST_F(Stream, MovesToAnotherLoopInMidStream)
{
    Loop other;
    Pair pair;
    struct link *l = attached(pair.ours);
    l->ops->want(l, LINK_READ);
    send_text(pair.theirs, "one ");
    loop.turn();
    EXPECT_EQ(loop.events_of(l), LINK_READ);
    uint8_t space[2];
    EXPECT_EQ(l->ops->read(l, space, 2), 2);
    for (int i = 0; i < 10; i++) {
        Loop &from = i % 2 ? other : loop;
        Loop &to = i % 2 ? loop : other;
        l->ops->detach(l);
        from.turn();
        EXPECT_EQ(from.events_of(l), 0u);
        ASSERT_TRUE(l->ops->attach(l, &to.loop));
        l->ops->want(l, LINK_READ);
        send_text(pair.theirs, "more");
        to.turn();
        EXPECT_EQ(to.events_of(l), LINK_READ);
        EXPECT_EQ(read_all(l), i == 0 ? "e more" : "more");
    }
    l->ops->close(l);
}

TEST_F(Stream, MayBeClosedInItsOwnReadinessAndWhileItTravels)
{
    Pair pair, second;
    struct link *l = attached(pair.ours);
    struct link *l2 = attached(second.ours);
    l->ops->want(l, LINK_READ);
    l2->ops->want(l2, LINK_READ);
    send_text(pair.theirs, "x");
    send_text(second.theirs, "x");
    unsigned calls = 0;
    loop.on_ready = [&](struct link *, uint32_t) {
        calls++; // each would close the other one too
        l->ops->close(l);
        l2->ops->close(l2);
    };
    loop.turn();
    EXPECT_EQ(calls, 1u);
    Pair third;
    l = make(third.ours);
    l->ops->close(l);
    char c;
    EXPECT_EQ(recv(third.theirs, &c, 1, 0), 0);
}

TEST_F(Stream, TellsAddressListenerAndCountsItself)
{
    Pair pair;
    struct address peer = nobody();
    struct sockaddr_un un = {};
    un.sun_family = AF_UNIX;
    strcpy(un.sun_path, "/run/mqtt");
    memcpy(&peer.sa, &un, sizeof(un));
    peer.len = sizeof(un);
    EXPECT_EQ(mqbx_atomic_load32(&origin.origin->tally->open), 0u);
    struct link *l = mqbx_link_new(loop.alloc(), pair.ours, origin.origin, &peer);
    EXPECT_EQ(mqbx_atomic_load32(&origin.origin->tally->open), 1u);
    struct link_facts facts;
    l->ops->facts(l, &facts);
    EXPECT_STREQ(facts.address, "unix:/run/mqtt");
    EXPECT_TRUE(facts.is_loopback);
    EXPECT_FALSE(facts.is_tls);
    EXPECT_STREQ(facts.listener->name, "test");
    EXPECT_STREQ(facts.listener->mountpoint, "");
    EXPECT_EQ(facts.error_text, nullptr);
    l->ops->close(l);
    EXPECT_EQ(mqbx_atomic_load32(&origin.origin->tally->open), 0u);
}

TEST_F(Stream, StaysSmall)
{
    EXPECT_LE(sizeof(struct stream), 64u); // a worker may have a million of them
}

TEST_F(Stream, OutOfMemoryLeavesTheSocketToItsOwner)
{
    Pair pair;
    struct address peer = nobody();
    test_alloc_fail_after(&loop.memory, 0);
    EXPECT_EQ(mqbx_link_new(loop.alloc(), pair.ours, origin.origin, &peer), nullptr);
    test_alloc_fail_after(&loop.memory, 1);
    struct link *l = mqbx_link_new(loop.alloc(), pair.ours, origin.origin, &peer);
    ASSERT_NE(l, nullptr);
#ifndef MQBX_LOOP_EPOLL
    EXPECT_FALSE(l->ops->attach(l, &loop.loop));
#endif
    test_alloc_fail_after(&loop.memory, TEST_ALLOC_NEVER);
    EXPECT_TRUE(l->ops->attach(l, &loop.loop));
    l->ops->close(l);
}

TEST_F(Stream, UnreadBytesDoNotDestroyTheLastWords)
{
    Pair pair;
    struct link *l = attached(pair.ours);
    send_text(pair.theirs, std::string(30000, 'x'));
    EXPECT_EQ(write_text(l, "goodbye"), 7);
    l->ops->close(l);
    char space[16];
    EXPECT_EQ(recv(pair.theirs, space, sizeof(space), 0), 7);
    EXPECT_EQ(recv(pair.theirs, space, sizeof(space), 0), 0);
}

TEST_F(Stream, AWakeUpFromAnotherThreadEndsTheWait)
{
    loop.turn(); // libuv's own descriptors
    for (unsigned i = 1; i <= 100; i++) {
        uv_thread_t thread;
        auto wake = [](void *arg) { mqbx_loop_wake(static_cast<struct io_loop *>(arg)); };
        ASSERT_EQ(uv_thread_create(&thread, wake, &loop.loop), 0);
        mqbx_loop_round(&loop.loop, 20000);
        EXPECT_EQ(loop.wakes, i);
        uv_thread_join(&thread);
    }
    loop.turn();
    EXPECT_EQ(loop.wakes, 100u);
}
