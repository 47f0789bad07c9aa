// SPDX-License-Identifier: MIT
#include <arpa/inet.h>
#include <netinet/in.h>

#include "io.hpp"

static struct url parsed(const char *text)
{
    struct url u;
    struct io_error e = {};
    EXPECT_EQ(mqbx_url_parse(text, &u, &e), MQB_OK) << e.text;
    return u;
}

static std::string refusal(const char *text)
{
    struct url u;
    struct io_error e = {};
    EXPECT_EQ(mqbx_url_parse(text, &u, &e), MQB_EINVAL) << text;
    return e.text;
}

TEST(Url, TakesApartWhatAListenerMayBe)
{
    struct url u = parsed("mqtt://127.0.0.1:1884");
    EXPECT_STREQ(u.host, "127.0.0.1");
    EXPECT_EQ(u.port, 1884);
    EXPECT_FALSE(u.is_tls || u.is_any || u.is_unix);
    u = parsed("mqtts://[::1]:0");
    EXPECT_STREQ(u.host, "::1");
    EXPECT_EQ(u.port, 0);
    EXPECT_TRUE(u.is_tls);
    u = parsed("mqtt://*:65535/");
    EXPECT_TRUE(u.is_any);
    EXPECT_EQ(u.port, 65535);
    EXPECT_EQ(parsed("mqtt://broker.example").port, 1883);
    EXPECT_EQ(parsed("mqtts://[::]").port, 8883);
    u = parsed("unix:///run/mqtt.sock");
    EXPECT_TRUE(u.is_unix);
    EXPECT_STREQ(u.path, "/run/mqtt.sock");
}

TEST(Url, RefusesEverythingElseWithTheReason)
{
    EXPECT_NE(refusal("http://x").find("must begin with"), std::string::npos);
    EXPECT_NE(refusal("").find("must begin with"), std::string::npos);
    EXPECT_NE(refusal("mqtt://").find("no host"), std::string::npos);
    EXPECT_NE(refusal("mqtt://:1883").find("no host"), std::string::npos);
    EXPECT_NE(refusal("mqtt://[::1").find("no host"), std::string::npos);
    for (const char *text : {"mqtt://a:", "mqtt://a:x", "mqtt://a:65536", "mqtt://a:1883x",
                             "mqtt://a/b", "mqtt://a:100000", "mqtt://[::1]1883", "mqtt://a:-1"})
        EXPECT_NE(refusal(text).find("0 to 65535"), std::string::npos) << text;
    EXPECT_NE(refusal("unix://relative").find("absolute"), std::string::npos);
    EXPECT_NE(refusal(("unix:///" + std::string(200, 'x')).c_str()).find("longer"),
              std::string::npos);
    EXPECT_NE(refusal(("mqtt://" + std::string(300, 'x')).c_str()).find("no host"),
              std::string::npos);
}

static struct address ipv6(const char *text, uint16_t port)
{
    struct address a = {};
    struct sockaddr_in6 in6 = {};
    in6.sin6_family = AF_INET6;
    in6.sin6_port = htons(port);
    EXPECT_EQ(inet_pton(AF_INET6, text, &in6.sin6_addr), 1);
    memcpy(&a.sa, &in6, sizeof(in6));
    a.len = sizeof(in6);
    return a;
}

static struct address ipv4(const char *text, uint16_t port)
{
    struct address a = {};
    struct sockaddr_in in = {};
    in.sin_family = AF_INET;
    in.sin_port = htons(port);
    EXPECT_EQ(inet_pton(AF_INET, text, &in.sin_addr), 1);
    memcpy(&a.sa, &in, sizeof(in));
    a.len = sizeof(in);
    return a;
}

static std::string text_of(const struct address &a)
{
    char text[ADDRESS_TEXT_MAX];
    size_t len = mqbx_address_text(&a, text);
    EXPECT_EQ(len, strlen(text));
    return text;
}

TEST(Address, IsShownAsPeopleWriteIt)
{
    EXPECT_EQ(text_of(ipv4("10.1.2.3", 65535)), "10.1.2.3:65535");
    EXPECT_EQ(text_of(ipv6("::1", 1883)), "[::1]:1883");
    EXPECT_EQ(text_of(ipv6("2001:db8::7", 9)), "[2001:db8::7]:9");
    EXPECT_EQ(text_of(ipv6("::ffff:192.0.2.1", 5)), "192.0.2.1:5");
    EXPECT_EQ(text_of(nobody()), "unknown");
    struct address a = {};
    a.sa.ss_family = AF_UNIX;
    a.len = sizeof(sa_family_t);
    EXPECT_EQ(text_of(a), "unix:");
    strcpy(reinterpret_cast<struct sockaddr_un *>(&a.sa)->sun_path, "/run/x");
    a.len = sizeof(struct sockaddr_un);
    EXPECT_EQ(text_of(a), "unix:/run/x");
}

TEST(Address, KnowsThisMachine)
{
    struct address on_unix = {};
    struct address nowhere = nobody();
    on_unix.sa.ss_family = AF_UNIX;
    EXPECT_TRUE(mqbx_address_is_loopback(&on_unix));
    EXPECT_FALSE(mqbx_address_is_loopback(&nowhere));
    for (const char *text : {"127.0.0.1", "127.9.9.9"}) {
        struct address a = ipv4(text, 1);
        EXPECT_TRUE(mqbx_address_is_loopback(&a)) << text;
    }
    for (const char *text : {"::1", "::ffff:127.0.0.1"}) {
        struct address a = ipv6(text, 1);
        EXPECT_TRUE(mqbx_address_is_loopback(&a)) << text;
    }
    for (const char *text : {"::2", "::ffff:10.0.0.1", "fe80::1"}) {
        struct address a = ipv6(text, 1);
        EXPECT_FALSE(mqbx_address_is_loopback(&a)) << text;
    }
    struct address a = ipv4("128.0.0.1", 1);
    EXPECT_FALSE(mqbx_address_is_loopback(&a));
}

TEST(Address, OfANameIsLookedUp)
{
    struct url u = parsed("mqtt://localhost:7");
    struct address found[ADDRESS_CANDIDATES];
    struct io_error e = {};
    uint32_t count = 0;
    ASSERT_EQ(mqbx_url_resolve(&u, false, found, &count, &e), MQB_OK) << e.text;
    ASSERT_GE(count, 1u);
    EXPECT_TRUE(mqbx_address_is_loopback(&found[0]));
    EXPECT_EQ(mqbx_address_port(&found[0]), 7);
    u = parsed("mqtt://no-such-host.invalid:7");
    EXPECT_EQ(mqbx_url_resolve(&u, false, found, &count, &e), MQB_ESYS);
    EXPECT_NE(std::string(e.text).find("cannot listen on no-such-host.invalid:7: getaddrinfo: "),
              std::string::npos);
}
