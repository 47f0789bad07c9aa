// SPDX-License-Identifier: MIT
//
// The embedding API where clients on sockets are part of it: listener options, adopted sockets,
// find and kick, stop.
#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <mqttbroker.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <condition_variable>
#include <mutex>
#include <string>

#include "shim/test_alloc.h"

namespace
{

const int DEADLINE_MS = 20000;

// A client that speaks just enough MQTT 5, byte by byte.
class Client
{
  public:
    explicit Client(int connected) : fd(connected)
    {
    }
    explicit Client(uint16_t port) : fd(socket(AF_INET, SOCK_STREAM, 0))
    {
        struct sockaddr_in to = {};
        to.sin_family = AF_INET;
        to.sin_port = htons(port);
        to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        EXPECT_EQ(0, connect(fd, (struct sockaddr *)&to, sizeof(to))) << strerror(errno);
    }
    ~Client()
    {
        close(fd);
    }
    Client(const Client &) = delete;
    Client &operator=(const Client &) = delete;

    void send_packet(uint8_t first, const std::string &body)
    {
        ASSERT_LT(body.size(), 128u);
        std::string p = {(char)first, (char)body.size()};
        p += body;
        EXPECT_EQ((ssize_t)p.size(), ::send(fd, p.data(), p.size(), MSG_NOSIGNAL));
    }
    static std::string str(const std::string &s)
    {
        return std::string({(char)(s.size() >> 8), (char)s.size()}) + s;
    }
    // One packet, "" when the peer has closed.
    std::string receive()
    {
        std::string head = bytes(2);
        return head.size() < 2 ? "" : head.substr(0, 1) + bytes((uint8_t)head[1]);
    }
    // The reason code of the CONNACK, 0x100: none came.
    int hello(const std::string &id)
    {
        send_packet(0x10, str("MQTT") + std::string("\x05\x02\x00\x3c\x00", 5) + str(id));
        std::string ack = receive();
        return ack.size() < 3 || ack[0] != 0x20 ? 0x100 : (uint8_t)ack[2];
    }
    void subscribe(const std::string &filter)
    {
        send_packet(0x82, std::string("\x00\x01\x00", 3) + str(filter) + std::string(1, '\0'));
        std::string ack = receive();
        ASSERT_EQ(0x90, (uint8_t)ack[0]);
    }
    void publish(const std::string &topic, const std::string &payload)
    {
        send_packet(0x30, str(topic) + std::string(1, '\0') + payload);
    }

  private:
    std::string bytes(size_t n)
    {
        std::string s;
        while (s.size() < n) {
            char c[128];
            struct pollfd p = {fd, POLLIN, 0};
            if (poll(&p, 1, DEADLINE_MS) != 1)
                return s;
            ssize_t got = recv(fd, c, std::min(n - s.size(), sizeof(c)), 0);
            if (got <= 0)
                return s;
            s.append(c, (size_t)got);
        }
        return s;
    }
    int fd;
};

class Sockets : public testing::Test
{
  protected:
    void SetUp() override
    {
        mqb_config *cfg;
        ASSERT_EQ(MQB_OK, mqb_config_new(&cfg));
        mqb_config_set(cfg, "threads", "2");
        ASSERT_EQ(MQB_OK, mqb_broker_new(cfg, &b));
        mqb_config_free(cfg);
        ASSERT_EQ(MQB_OK, mqb_broker_start(b)) << mqb_last_error();
    }
    void TearDown() override
    {
        mqb_broker_free(b);
    }
    uint16_t listen_with(const mqb_listen_opts &o)
    {
        mqb_listener l;
        EXPECT_EQ(MQB_OK, mqb_listen(b, "mqtt://127.0.0.1:0", &o, &l)) << mqb_last_error();
        return mqb_listener_port(b, l);
    }
    static int put(void *arg, mqb_broker *, mqb_msg *m, const mqb_delivery *)
    {
        Sockets *s = static_cast<Sockets *>(arg);
        std::lock_guard<std::mutex> hold(s->lock);
        s->got = std::string(mqb_msg_topic(m).ptr, mqb_msg_topic(m).len);
        s->changed.notify_all();
        return MQB_DELIVER_DONE;
    }
    std::string next_topic()
    {
        std::unique_lock<std::mutex> hold(lock);
        changed.wait_for(hold, std::chrono::milliseconds(DEADLINE_MS), [&] { return got != ""; });
        return std::exchange(got, "");
    }
    void subscribe_host(const char *filter, uint32_t tenant)
    {
        mqb_subscribe_opts so = mqb_subscribe_defaults();
        so.filter = filter;
        so.tenant = tenant;
        so.fn = put;
        so.arg = this;
        ASSERT_EQ(MQB_OK, mqb_subscribe_wait(b, &so, -1, nullptr)) << mqb_last_error();
    }
    mqb_broker *b = nullptr;

  public: // for callbacks
    std::mutex lock;
    std::condition_variable changed;
    std::string got;
};

TEST_F(Sockets, AnonymousIsByListener)
{
    mqb_listen_opts o = mqb_listen_defaults();
    Client there(listen_with(o));
    EXPECT_EQ(0, there.hello("a"));
    o.anonymous = MQB_ANONYMOUS_NEVER;
    Client never(listen_with(o));
    EXPECT_EQ(0x87, never.hello("b"));
    o.anonymous = MQB_ANONYMOUS_ALWAYS;
    Client always(listen_with(o));
    EXPECT_EQ(0, always.hello("c"));
}

TEST_F(Sockets, AListenerGivesTenantAndMountpoint)
{
    mqb_listen_opts o = mqb_listen_defaults();
    ASSERT_EQ(MQB_OK, mqb_tenant(b, "red", &o.tenant));
    o.mountpoint = "site1/";
    Client c(listen_with(o));
    ASSERT_EQ(0, c.hello("a"));
    subscribe_host("#", o.tenant);
    c.publish("x", "1");
    EXPECT_EQ("site1/x", next_topic());
    c.subscribe("back/#");
    mqb_publish_opts po = mqb_publish_defaults();
    po.tenant = o.tenant;
    po.topic = mqb_str_of("site1/back/y");
    ASSERT_EQ(MQB_OK, mqb_publish_ex(b, &po));
    EXPECT_EQ(std::string("\x30", 1) + Client::str("back/y") + std::string(1, '\0'), c.receive());
}

TEST_F(Sockets, AnAdoptedSocketIsAClient)
{
    int pair[2];
    ASSERT_EQ(0, socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair));
    ASSERT_EQ(MQB_OK, mqb_adopt_fd(b, pair[0], nullptr)) << mqb_last_error();
    Client c(pair[1]);
    EXPECT_EQ(0, c.hello("adopted"));
    subscribe_host("from/adopted", 0);
    c.publish("from/adopted", "x");
    EXPECT_EQ("from/adopted", next_topic());
    int file[2];
    ASSERT_EQ(0, pipe(file));
    EXPECT_EQ(MQB_EINVAL, mqb_adopt_fd(b, file[0], nullptr));
    EXPECT_EQ(MQB_EINVAL, mqb_adopt_fd(b, -1, nullptr));
    EXPECT_EQ(0, close(file[0])) << "still the caller's";
    close(file[1]);
}

TEST_F(Sockets, AnInheritedSocketIsOpenedAgainByEveryStart)
{
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    struct sockaddr_in at = {};
    at.sin_family = AF_INET;
    at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t len = sizeof(at);
    ASSERT_EQ(0, bind(fd, (struct sockaddr *)&at, sizeof(at)));
    ASSERT_EQ(0, listen(fd, 16));
    ASSERT_EQ(0, getsockname(fd, (struct sockaddr *)&at, &len));
    mqb_listen_opts o = mqb_listen_defaults();
    o.flags = MQB_LISTEN_FD;
    o.fd = fd;
    mqb_listener l;
    ASSERT_EQ(MQB_OK, mqb_listen(b, "mqtt://*", &o, &l)) << mqb_last_error();
    EXPECT_EQ(ntohs(at.sin_port), mqb_listener_port(b, l));
    {
        Client c(mqb_listener_port(b, l));
        EXPECT_EQ(0, c.hello("a"));
    }
    ASSERT_EQ(MQB_OK, mqb_broker_stop(b, 0));
    ASSERT_EQ(MQB_OK, mqb_broker_start(b)) << mqb_last_error();
    Client again(mqb_listener_port(b, l));
    EXPECT_EQ(0, again.hello("a"));
    ASSERT_EQ(MQB_OK, mqb_listener_close(b, l));
    EXPECT_EQ(-1, close(fd)) << "it was the broker's, which closed it";
}

TEST_F(Sockets, AKickClosesTheConnectionItNames)
{
    uint16_t port = listen_with(mqb_listen_defaults());
    Client c(port);
    ASSERT_EQ(0, c.hello("kickme"));
    mqb_client id;
    uint64_t connection;
    ASSERT_EQ(MQB_OK, mqb_client_find_wait(b, 0, "kickme", &id, &connection));
    EXPECT_NE(0u, connection);
    ASSERT_EQ(MQB_OK, mqb_client_kick(b, id, connection + 1000000, 0, 0)) << "another connection";
    ASSERT_EQ(MQB_OK, mqb_client_kick(b, id, connection, 0, MQB_KICK_DROP_SESSION));
    std::string farewell = c.receive();
    ASSERT_GE(farewell.size(), 2u);
    EXPECT_EQ(0xE0, (uint8_t)farewell[0]);
    EXPECT_EQ(0x98, (uint8_t)farewell[1]);
    EXPECT_EQ("", c.receive());
    EXPECT_EQ(MQB_ENOENT, mqb_client_find_wait(b, 0, "kickme", &id, nullptr));
}

TEST_F(Sockets, FindTellsWhatIsKnownOfAClient)
{
    mqb_listen_opts o = mqb_listen_defaults();
    o.name = "front";
    Client c(listen_with(o));
    ASSERT_EQ(0, c.hello("known"));
    mqb_client_fn fn = [](void *arg, const mqb_client_info *i) -> bool {
        Sockets *s = static_cast<Sockets *>(arg);
        if (i == nullptr)
            return false;
        std::string t = std::string(i->listener.ptr, i->listener.len) + " " +
                        std::string(i->address.ptr, i->address.len).substr(0, 10) + " " +
                        std::to_string(i->protocol) + " " + std::to_string(i->is_connected);
        std::lock_guard<std::mutex> hold(s->lock);
        s->got = t;
        s->changed.notify_all();
        return true;
    };
    ASSERT_EQ(MQB_OK, mqb_client_find(b, 0, "known", fn, this));
    EXPECT_EQ("front 127.0.0.1: 5 1", next_topic());
}

TEST_F(Sockets, StopSaysGoodbyeAndTheHandlesAreGone)
{
    Client c(listen_with(mqb_listen_defaults()));
    ASSERT_EQ(0, c.hello("a"));
    ASSERT_EQ(MQB_OK, mqb_broker_stop(b, 5000));
    std::string farewell = c.receive();
    ASSERT_GE(farewell.size(), 2u);
    EXPECT_EQ(0xE0, (uint8_t)farewell[0]);
    EXPECT_EQ(0x8B, (uint8_t)farewell[1]);
    EXPECT_EQ("", c.receive());
}

TEST_F(Sockets, NoClientCanBeTheHost)
{
    Client c(listen_with(mqb_listen_defaults()));
    EXPECT_NE(0, c.hello("$host"));
    subscribe_host("still/mine", 0);
    ASSERT_EQ(MQB_OK, mqb_publish(b, "still/mine", "", 0, 0, 0));
    EXPECT_EQ("still/mine", next_topic());
}

} // namespace
