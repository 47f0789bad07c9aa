// SPDX-License-Identifier: MIT
#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include "io.hpp"

class Acceptor : public testing::Test
{
  protected:
    Loop loop;
    std::vector<struct link *> links;
    struct io_error error = {};

    struct acceptor *make(const struct listener_options &o)
    {
        struct acceptor *ac = nullptr;
        EXPECT_EQ(mqbx_acceptor_new(loop.alloc(), &o, 8, &ac, &error), MQB_OK) << error.text;
        return ac;
    }
    struct acceptor *running(const struct listener_options &o)
    {
        struct acceptor *ac = make(o);
        EXPECT_EQ(mqbx_acceptor_start(ac, &loop.loop, take, this), 0);
        return ac;
    }
    std::string refusal(const struct listener_options &o, mqb_err expected)
    {
        struct acceptor *ac = nullptr;
        EXPECT_EQ(mqbx_acceptor_new(loop.alloc(), &o, 8, &ac, &error), expected);
        return error.text;
    }
    void close_links()
    {
        for (struct link *l : links)
            l->ops->close(l);
        links.clear();
    }
    std::string address_of(struct link *l)
    {
        struct link_facts facts;
        l->ops->facts(l, &facts);
        EXPECT_TRUE(facts.is_loopback);
        return facts.address;
    }
    static void take(void *ctx, struct link *l)
    {
        static_cast<Acceptor *>(ctx)->links.push_back(l);
    }
};

static int dial(const struct sockaddr *sa, socklen_t len)
{
    int fd = socket(sa->sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd >= 0 && connect(fd, sa, len) != 0) {
        close(fd);
        return -1;
    }
    return fd;
}

static int dial_ipv4(uint16_t port)
{
    struct sockaddr_in in = {};
    in.sin_family = AF_INET;
    in.sin_port = htons(port);
    in.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    return dial(reinterpret_cast<struct sockaddr *>(&in), sizeof(in));
}

static int dial_ipv6(uint16_t port)
{
    struct sockaddr_in6 in6 = {};
    in6.sin6_family = AF_INET6;
    in6.sin6_port = htons(port);
    in6.sin6_addr = in6addr_loopback;
    return dial(reinterpret_cast<struct sockaddr *>(&in6), sizeof(in6));
}

static int dial_unix(const std::string &path)
{
    struct sockaddr_un un = {};
    un.sun_family = AF_UNIX;
    strcpy(un.sun_path, path.c_str());
    return dial(reinterpret_cast<struct sockaddr *>(&un), sizeof(un));
}

static bool machine_has_ipv6()
{
    struct sockaddr_in6 in6 = {};
    in6.sin6_family = AF_INET6;
    in6.sin6_addr = in6addr_loopback;
    int fd = socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0);
    bool has = fd >= 0 && bind(fd, reinterpret_cast<struct sockaddr *>(&in6), sizeof(in6)) == 0;
    if (fd >= 0)
        close(fd);
    return has;
}

TEST_F(Acceptor, AcceptsOnAPortTheSystemChose)
{
    struct acceptor *ac = running(options("mqtt://127.0.0.1:0"));
    uint16_t port = mqbx_acceptor_port(ac);
    ASSERT_NE(port, 0);
    int fd = dial_ipv4(port);
    ASSERT_TRUE(loop.turn_until([&] { return links.size() == 1; }));
    EXPECT_EQ(address_of(links[0]).compare(0, 10, "127.0.0.1:"), 0);
    int ours = mqbx_container(links[0], struct stream, link)->fd;
    int no_delay = 0;
    socklen_t len = sizeof(no_delay);
    EXPECT_EQ(getsockopt(ours, IPPROTO_TCP, TCP_NODELAY, &no_delay, &len), 0);
    EXPECT_NE(no_delay, 0);
    EXPECT_TRUE(fcntl(ours, F_GETFL) & O_NONBLOCK);
    EXPECT_TRUE(fcntl(ours, F_GETFD) & FD_CLOEXEC);
    close(fd);
    close_links();
    mqbx_acceptor_close(ac);
    EXPECT_EQ(dial_ipv4(port), -1);
}

TEST_F(Acceptor, APortInUseSaysWhichAndByWhatCall)
{
    struct acceptor *ac = make(options("mqtt://127.0.0.1:0"));
    std::string port = std::to_string(mqbx_acceptor_port(ac));
    std::string url = "mqtt://127.0.0.1:" + port;
    EXPECT_EQ(refusal(options(url.c_str()), MQB_ESYS),
              "cannot listen on 127.0.0.1:" + port +
                  ": bind: Address already in use; another process has this port (choose another "
                  "with listener.test.url)");
    mqbx_acceptor_close(ac);
    ac = make(options(url.c_str())); // and at once again after the close
    mqbx_acceptor_close(ac);
}

TEST_F(Acceptor, RefusesWhatIsNoUrl)
{
    EXPECT_NE(refusal(options("tcp://x"), MQB_EINVAL).find("must begin with"), std::string::npos);
    EXPECT_NE(refusal(options(nullptr), MQB_EINVAL).find("needs a URL"), std::string::npos);
    EXPECT_NE(refusal(options("mqtt://192.0.2.1:1"), MQB_ESYS).find("bind: "), std::string::npos);
}

TEST_F(Acceptor, ListensOnIpv6)
{
    if (!machine_has_ipv6())
        GTEST_SKIP() << "this machine has no IPv6";
    struct acceptor *ac = running(options("mqtt://[::1]:0"));
    int fd = dial_ipv6(mqbx_acceptor_port(ac));
    ASSERT_TRUE(loop.turn_until([&] { return links.size() == 1; }));
    EXPECT_EQ(address_of(links[0]).compare(0, 6, "[::1]:"), 0);
    EXPECT_EQ(dial_ipv4(mqbx_acceptor_port(ac)), -1);
    close(fd);
    close_links();
    mqbx_acceptor_close(ac);
}

TEST_F(Acceptor, AStarTakesBothFamilies)
{
    struct acceptor *ac = running(options("mqtt://*:0"));
    int fd = dial_ipv4(mqbx_acceptor_port(ac));
    ASSERT_TRUE(loop.turn_until([&] { return links.size() == 1; }));
    EXPECT_EQ(address_of(links[0]).compare(0, 10, "127.0.0.1:"), 0);
    close(fd);
    if (machine_has_ipv6()) {
        fd = dial_ipv6(mqbx_acceptor_port(ac));
        ASSERT_TRUE(loop.turn_until([&] { return links.size() == 2; }));
        close(fd);
    }
    close_links();
    mqbx_acceptor_close(ac);
}

TEST_F(Acceptor, Ipv6OnlyIsThat)
{
    if (!machine_has_ipv6())
        GTEST_SKIP() << "this machine has no IPv6";
    struct listener_options o = options("mqtt://*:0");
    o.ipv6_only = true;
    struct acceptor *ac = running(o);
    EXPECT_EQ(dial_ipv4(mqbx_acceptor_port(ac)), -1);
    int fd = dial_ipv6(mqbx_acceptor_port(ac));
    EXPECT_GE(fd, 0);
    close(fd);
    mqbx_acceptor_close(ac);
}

TEST_F(Acceptor, AUnixSocketComesAndGoesWithItsFile)
{
    Folder folder;
    std::string path = folder.file("mqtt.sock");
    std::string url = "unix://" + path;
    struct acceptor *ac = running(options(url.c_str()));
    struct stat st;
    ASSERT_EQ(stat(path.c_str(), &st), 0);
    EXPECT_TRUE(S_ISSOCK(st.st_mode));
    EXPECT_EQ(st.st_mode & 0777, 0660u);
    EXPECT_EQ(mqbx_acceptor_port(ac), 0);
    int fd = dial_unix(path);
    ASSERT_TRUE(loop.turn_until([&] { return links.size() == 1; }));
    EXPECT_EQ(address_of(links[0]), "unix:" + path);
    EXPECT_NE(refusal(options(url.c_str()), MQB_ESYS)
                  .find("cannot listen on unix:" + path + ": bind: Address already in use"),
              std::string::npos);
    close(fd);
    close_links();
    mqbx_acceptor_close(ac);
    EXPECT_NE(stat(path.c_str(), &st), 0);
}

TEST_F(Acceptor, AStaleUnixSocketIsReplacedAndAnythingElseIsNot)
{
    Folder folder;
    std::string path = folder.file("mqtt.sock");
    std::string url = "unix://" + path;
    struct sockaddr_un un = {};
    un.sun_family = AF_UNIX;
    strcpy(un.sun_path, path.c_str());
    int stale = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    ASSERT_EQ(bind(stale, reinterpret_cast<struct sockaddr *>(&un), sizeof(un)), 0);
    close(stale);
    struct acceptor *ac = make(options(url.c_str()));
    ASSERT_NE(ac, nullptr);
    unlink(path.c_str()); // somebody replaces the file: it is not ours to remove
    close(open(path.c_str(), O_CREAT | O_WRONLY | O_CLOEXEC, 0600));
    mqbx_acceptor_close(ac);
    EXPECT_EQ(access(path.c_str(), F_OK), 0);
    refusal(options(url.c_str()), MQB_ESYS);
    EXPECT_EQ(access(path.c_str(), F_OK), 0);
}

TEST_F(Acceptor, TakesAnInheritedSocketAndLeavesItToItsOwner)
{
    struct sockaddr_in in = {};
    in.sin_family = AF_INET;
    in.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    ASSERT_EQ(bind(fd, reinterpret_cast<struct sockaddr *>(&in), sizeof(in)), 0);
    struct listener_options o = options("");
    o.inherited_fd = fd;
    EXPECT_NE(refusal(o, MQB_EINVAL).find("no listening socket"), std::string::npos);
    ASSERT_EQ(listen(fd, 5), 0);
    for (size_t i = 1; i < 3; i++) { // a restart takes it again
        struct acceptor *ac = running(o);
        int client = dial_ipv4(mqbx_acceptor_port(ac));
        ASSERT_TRUE(loop.turn_until([&] { return links.size() == 1; }));
        close(client);
        close_links();
        mqbx_acceptor_close(ac);
    }
    close(fd);
    o.inherited_fd = 12345;
    EXPECT_NE(refusal(o, MQB_EINVAL).find("inherited descriptor 12345"), std::string::npos);
}

TEST_F(Acceptor, AcceptsAStormInBursts)
{
    struct acceptor *ac = running(options("mqtt://127.0.0.1:0"));
    std::vector<int> clients;
    for (int i = 0; i < 100; i++)
        clients.push_back(dial_ipv4(mqbx_acceptor_port(ac)));
    loop.turn();
    EXPECT_LE(links.size(), 8u); // the burst this one was given
    ASSERT_TRUE(loop.turn_until([&] { return links.size() == 100; }));
    for (int fd : clients)
        close(fd);
    close_links();
    mqbx_acceptor_close(ac);
}

TEST_F(Acceptor, AFullListenerClosesAtOnceAndSaysSo)
{
    struct listener_options o = options("mqtt://127.0.0.1:0");
    o.max_connections = 1;
    struct acceptor *ac = running(o);
    int first = dial_ipv4(mqbx_acceptor_port(ac));
    int second = dial_ipv4(mqbx_acceptor_port(ac));
    ASSERT_TRUE(loop.turn_until([&] { return !loop.log.empty(); }));
    EXPECT_EQ(links.size(), 1u);
    EXPECT_NE(loop.log[0].find("connection refused, the listener is full"), std::string::npos);
    char c;
    EXPECT_EQ(recv(second, &c, 1, 0), 0);
    close_links();
    int third = dial_ipv4(mqbx_acceptor_port(ac));
    ASSERT_TRUE(loop.turn_until([&] { return links.size() == 1; }));
    close(first);
    close(second);
    close(third);
    close_links();
    mqbx_acceptor_close(ac);
}

// Lets no descriptor be opened while it lives.
class NoDescriptors
{
  public:
    explicit NoDescriptors(rlim_t still)
    {
        getrlimit(RLIMIT_NOFILE, &before);
        struct rlimit low = before;
        int next = dup(0);
        close(next);
        low.rlim_cur = static_cast<rlim_t>(next) + still;
        EXPECT_EQ(setrlimit(RLIMIT_NOFILE, &low), 0);
    }
    ~NoDescriptors()
    {
        setrlimit(RLIMIT_NOFILE, &before);
    }

  private:
    struct rlimit before;
};

TEST_F(Acceptor, WithoutDescriptorsClientsAreTurnedAway)
{
    struct acceptor *ac = running(options("mqtt://127.0.0.1:0"));
    loop.turn();
    std::vector<int> clients;
    for (int i = 0; i < 5; i++)
        clients.push_back(dial_ipv4(mqbx_acceptor_port(ac)));
    {
        Loop &local = loop; // UBSan needs a descriptor to look into a polymorphic object
        NoDescriptors none(0);
        ASSERT_TRUE(local.turn_until([&] { return local.log.size() == 5; }));
    }
    EXPECT_TRUE(links.empty());
    EXPECT_NE(loop.log[0].find("no file descriptor is left"), std::string::npos);
    for (int fd : clients) {
        char c;
        EXPECT_EQ(recv(fd, &c, 1, 0), 0);
        close(fd);
    }
    int fd = dial_ipv4(mqbx_acceptor_port(ac));
    ASSERT_TRUE(loop.turn_until([&] { return links.size() == 1; }));
    close(fd);
    close_links();
    mqbx_acceptor_close(ac);
}

TEST_F(Acceptor, WithoutEvenTheSpareOneItPausesAndDoesNotSpin)
{
    struct acceptor *ac = nullptr;
    struct listener_options o = options("mqtt://127.0.0.1:0");
    Loop &local = loop; // see above
    {
        NoDescriptors none(1); // for the socket, none for the spare
        mqbx_acceptor_new(local.alloc(), &o, 8, &ac, &error);
    }
    ASSERT_NE(ac, nullptr);
    ASSERT_EQ(mqbx_acceptor_start(ac, &loop.loop, take, this), 0);
    loop.turn();
    int fd = dial_ipv4(mqbx_acceptor_port(ac));
    {
        NoDescriptors none(0);
        ASSERT_TRUE(local.turn_until([&] { return !local.log.empty(); }));
        for (int i = 0; i < 100; i++)
            local.turn(); // the socket is readable all the time
    }
    EXPECT_NE(loop.log[0].find("trying again in 100 ms"), std::string::npos);
    EXPECT_LE(loop.log.size(), 2u);
    ASSERT_TRUE(loop.turn_until([&] { return links.size() == 1; }));
    close(fd);
    close_links();
    mqbx_acceptor_close(ac);
}

TEST_F(Acceptor, LeavesNothingBehindWhenMemoryIsShort)
{
    for (uint64_t n = 0; n < 20; n++) {
        struct acceptor *ac = nullptr;
        Folder folder;
        std::string url = "unix://" + folder.file("s");
        struct listener_options o = options(url.c_str());
        test_alloc_fail_after(&loop.memory, n);
        mqb_err err = mqbx_acceptor_new(loop.alloc(), &o, 8, &ac, &error);
        test_alloc_fail_after(&loop.memory, TEST_ALLOC_NEVER);
        if (err == MQB_OK) {
            EXPECT_GE(n, 3u);
            mqbx_acceptor_close(ac);
            return;
        }
        EXPECT_EQ(err, MQB_ENOMEM);
        EXPECT_EQ(test_alloc_live_blocks(&loop.memory), 0u);
    }
    FAIL() << "it never succeeded";
}

TEST(Adopt, RefusesWhatIsNoStreamSocket)
{
    struct address peer;
    struct io_error e = {};
    EXPECT_EQ(mqbx_socket_adopt(54321, &peer, &e), MQB_EINVAL);
    EXPECT_NE(std::string(e.text).find("cannot adopt descriptor 54321: Bad file"),
              std::string::npos);
    int file = open("/dev/null", O_RDONLY | O_CLOEXEC);
    EXPECT_EQ(mqbx_socket_adopt(file, &peer, &e), MQB_EINVAL);
    close(file);
    int datagram = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    EXPECT_EQ(mqbx_socket_adopt(datagram, &peer, &e), MQB_EINVAL);
    close(datagram);
}

TEST(Adopt, TakesAPairAlsoWhenThePeerIsGone)
{
    int fds[2];
    struct address peer;
    struct io_error e = {};
    ASSERT_EQ(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
    EXPECT_EQ(mqbx_socket_adopt(fds[0], &peer, &e), MQB_OK) << e.text;
    EXPECT_TRUE(fcntl(fds[0], F_GETFL) & O_NONBLOCK);
    EXPECT_TRUE(fcntl(fds[0], F_GETFD) & FD_CLOEXEC);
    EXPECT_TRUE(mqbx_address_is_loopback(&peer));
    close(fds[1]);
    EXPECT_EQ(mqbx_socket_adopt(fds[0], &peer, &e), MQB_OK) << e.text;
    close(fds[0]);
}
