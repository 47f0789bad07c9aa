// SPDX-License-Identifier: MIT
//
// TLS links against OpenSSL's own client, both in this thread.
#include <openssl/err.h>

#include "certs.hpp"

// A client that speaks through memory, so that a test decides which bytes travel when.
class Client
{
  public:
    SSL_CTX *ctx;
    SSL *ssl;
    std::string unsent; // made by the client, not on the wire yet

    explicit Client(int max_version = TLS1_3_VERSION, const Identity *identity = nullptr)
    {
        ctx = SSL_CTX_new(TLS_client_method());
        SSL_CTX_set_max_proto_version(ctx, max_version);
        if (identity) {
            EXPECT_EQ(SSL_CTX_use_certificate(ctx, identity->cert), 1);
            EXPECT_EQ(SSL_CTX_use_PrivateKey(ctx, identity->key), 1);
        }
        ssl = SSL_new(ctx);
        SSL_set_bio(ssl, BIO_new(BIO_s_mem()), BIO_new(BIO_s_mem()));
        SSL_set_connect_state(ssl);
        SSL_set_tlsext_host_name(ssl, "broker.example");
    }
    ~Client()
    {
        SSL_free(ssl);
        SSL_CTX_free(ctx);
        ERR_clear_error();
    }
    // Reads what has come for it; what it wants to send goes to `unsent`.
    std::string work(int fd)
    {
        char space[4096];
        std::string got, wire = receive_some(fd);
        if (!wire.empty())
            BIO_write(SSL_get_rbio(ssl), wire.data(), static_cast<int>(wire.size()));
        int n;
        while ((n = SSL_read(ssl, space, sizeof(space))) > 0)
            got.append(space, static_cast<size_t>(n));
        last_error = SSL_get_error(ssl, n);
        take();
        return got;
    }
    void say(const std::string &text)
    {
        EXPECT_EQ(SSL_write(ssl, text.data(), static_cast<int>(text.size())),
                  static_cast<int>(text.size()));
        take();
    }
    void send(int fd, size_t most = SIZE_MAX)
    {
        size_t n = std::min(most, unsent.size());
        send_text(fd, unsent.substr(0, n));
        unsent.erase(0, n);
    }
    bool is_ready() const
    {
        return SSL_is_init_finished(ssl) != 0;
    }
    int last_error = 0;

  private:
    void take()
    {
        char space[4096];
        int n;
        while ((n = BIO_read(SSL_get_wbio(ssl), space, sizeof(space))) > 0)
            unsent.append(space, static_cast<size_t>(n));
    }
};

class Tls : public testing::Test
{
  protected:
    static Authority *authority;
    Loop loop;

    static void SetUpTestSuite()
    {
        authority = new Authority;
    }
    static void TearDownTestSuite()
    {
        delete authority;
        authority = nullptr;
    }
    static struct listener_options tls_options()
    {
        struct listener_options o = options("mqtts://127.0.0.1:0");
        o.tls_cert_file = authority->server.cert_file.c_str();
        o.tls_key_file = authority->server.key_file.c_str();
        return o;
    }
    static struct listener_options with_client_certs(enum client_cert how)
    {
        struct listener_options o = tls_options();
        o.tls_ca_file = authority->ca.cert_file.c_str();
        o.client_cert = how;
        return o;
    }
    struct link *attached(const Origin &origin, int fd)
    {
        struct address peer = nobody();
        struct link *l = mqbx_link_new(loop.alloc(), fd, origin.origin, &peer);
        EXPECT_NE(l, nullptr);
        EXPECT_TRUE(l->ops->attach(l, &loop.loop));
        l->ops->want(l, LINK_READ);
        return l;
    }
    // Both sides until the client is through or the link is over. What the server read is answered.
    std::string shake_hands(struct link *l, Client &c, int fd, int64_t *last = nullptr,
                            size_t most = SIZE_MAX)
    {
        std::string got;
        int64_t result = LINK_AGAIN;
        for (int i = 0; i < 20000 && result == LINK_AGAIN; i++) {
            c.work(fd);
            if (c.is_ready() && c.unsent.empty())
                break;
            c.send(fd, most);
            loop.turn();
            got += read_all(l, &result);
        }
        got += result == LINK_AGAIN ? read_all(l, &result) : "";
        if (last)
            *last = result;
        loop.ready.clear();
        return got;
    }
    static struct link_facts facts_of(struct link *l)
    {
        struct link_facts facts;
        l->ops->facts(l, &facts);
        return facts;
    }
    std::string refusal(const struct listener_options &o, mqb_err expected = MQB_ETLS)
    {
        struct origin *origin = nullptr;
        struct io_error e = {};
        EXPECT_EQ(mqbx_origin_new(loop.alloc(), &o, true, nullptr, &origin, &e), expected);
        EXPECT_EQ(ERR_peek_error(), 0u);
        return e.text;
    }
};

Authority *Tls::authority = nullptr;

static std::string text(struct bytes b)
{
    return std::string(reinterpret_cast<const char *>(b.ptr), b.len);
}

TEST_F(Tls, SpeaksBothVersionsAndKnowsTheName)
{
    Origin origin(loop, tls_options(), true);
    for (int version : {TLS1_2_VERSION, TLS1_3_VERSION}) {
        Pair pair;
        Client c(version);
        struct link *l = attached(origin, pair.ours);
        EXPECT_EQ(shake_hands(l, c, pair.theirs), "");
        ASSERT_TRUE(c.is_ready());
        EXPECT_EQ(SSL_version(c.ssl), version);
        c.say("hello");
        c.send(pair.theirs);
        EXPECT_EQ(read_all(l), "hello");
        EXPECT_EQ(write_text(l, "and hello to you"), 16);
        EXPECT_EQ(c.work(pair.theirs), "and hello to you");
        struct link_facts facts = facts_of(l);
        EXPECT_TRUE(facts.is_tls);
        EXPECT_EQ(text(facts.sni), "broker.example");
        EXPECT_EQ(facts.cert_subject.len, 0u);
        EXPECT_EQ(facts.error_text, nullptr);
        l->ops->close(l);
        c.work(pair.theirs);
        EXPECT_EQ(c.last_error, SSL_ERROR_ZERO_RETURN); // our close_notify
    }
    EXPECT_TRUE(loop.log.empty());
}

TEST_F(Tls, TakesTheHandshakeByteByByte)
{
    Origin origin(loop, tls_options(), true);
    for (int version : {TLS1_2_VERSION, TLS1_3_VERSION}) {
        Pair pair;
        Client c(version);
        struct link *l = attached(origin, pair.ours);
        EXPECT_EQ(shake_hands(l, c, pair.theirs, nullptr, 1), "");
        ASSERT_TRUE(c.is_ready());
        c.say("hello");
        std::string got;
        while (!c.unsent.empty()) {
            c.send(pair.theirs, 1);
            got += read_all(l);
        }
        EXPECT_EQ(got, "hello");
        l->ops->close(l);
    }
}

TEST_F(Tls, BytesInsideOpensslSurviveAMove)
{
    Loop other;
    Origin origin(loop, tls_options(), true);
    Pair pair;
    Client c;
    struct link *l = attached(origin, pair.ours);
    shake_hands(l, c, pair.theirs);
    std::string all;
    for (int i = 0; i < 5000; i++)
        all += static_cast<char>('a' + i % 26);
    c.say(all.substr(0, 3000)); // two records, both in one recv
    c.say(all.substr(3000));
    c.send(pair.theirs);
    std::string got;
    for (int i = 0; i < 20; i++) {
        Loop &to = i % 2 ? loop : other;
        uint8_t space[100];
        int64_t n = l->ops->read(l, space, sizeof(space));
        ASSERT_EQ(n, 100);
        EXPECT_FALSE(l->is_drained);
        got.append(reinterpret_cast<char *>(space), 100);
        l->ops->detach(l);
        ASSERT_TRUE(l->ops->attach(l, &to.loop));
        l->ops->want(l, LINK_READ);
        to.turn();
        EXPECT_EQ(to.events_of(l), 0u); // the socket itself has nothing more
    }
    int64_t last;
    got += read_all(l, &last, 1000);
    EXPECT_EQ(got, all);
    EXPECT_EQ(last, LINK_AGAIN);
    c.say("after");
    c.send(pair.theirs);
    EXPECT_EQ(read_all(l), "after");
    EXPECT_TRUE(l->is_drained);
    l->ops->close(l);
}

TEST_F(Tls, GathersPartsAndGoesOnWhereTheSocketWasFull)
{
    Origin origin(loop, tls_options(), true);
    for (int version : {TLS1_2_VERSION, TLS1_3_VERSION}) {
        Pair pair(4096);
        Client c(version);
        struct link *l = attached(origin, pair.ours);
        shake_hands(l, c, pair.theirs);
        std::string all(400000, ' '), got;
        for (size_t i = 0; i < all.size(); i++)
            all[i] = static_cast<char>('a' + i % 26);
        size_t done = 0;
        unsigned shorts = 0;
        while (done < all.size()) {
            std::vector<struct bytes> parts;
            // from wherever we are, cut differently each time: the bytes are what counts
            for (size_t at = done, step = 1 + shorts % 7000; at < all.size() && parts.size() < 90;
                 at += step)
                parts.push_back(mqbx_bytes(all.data() + at, std::min(step, all.size() - at)));
            size_t offered = 0;
            for (struct bytes b : parts)
                offered += b.len;
            if (offered < 20000 && offered < all.size() - done)
                parts.push_back(mqbx_bytes(all.data() + done + offered,
                                           all.size() - done - offered)); // never less than before
            int64_t n = l->ops->write(l, parts.data(), static_cast<uint32_t>(parts.size()));
            ASSERT_GE(n, 0);
            done += static_cast<size_t>(n);
            shorts += 613;
            l->ops->want(l, LINK_WRITE);
            got += c.work(pair.theirs);
            loop.turn();
            EXPECT_EQ(loop.events_of(l), LINK_WRITE);
        }
        got += c.work(pair.theirs);
        EXPECT_EQ(got, all);
        l->ops->close(l);
    }
}

TEST_F(Tls, AReadThatMustWriteWaitsForThat)
{
    Origin origin(loop, tls_options(), true);
    Pair pair(4096);
    Client c;
    std::string junk;
    while (send(pair.ours, "junk", 4, MSG_NOSIGNAL) == 4) // no room for the server's handshake
        junk += "junk";
    struct link *l = attached(origin, pair.ours);
    SSL_do_handshake(c.ssl);
    c.work(-1);
    c.send(pair.theirs);
    loop.turn();
    EXPECT_EQ(loop.events_of(l), LINK_READ);
    int64_t last;
    EXPECT_EQ(read_all(l, &last), "");
    EXPECT_EQ(last, LINK_AGAIN);
    loop.turn();
    EXPECT_EQ(loop.events_of(l), 0u); // it does not spin on what cannot go out
    std::string dropped;
    char space[1];
    while (dropped.size() < junk.size() && recv(pair.theirs, space, 1, 0) == 1)
        dropped += space[0];
    loop.turn();
    EXPECT_EQ(loop.events_of(l),
              LINK_READ); // the engine asked for this, whatever the socket was polled for
    shake_hands(l, c, pair.theirs);
    ASSERT_TRUE(c.is_ready());
    c.say("hello");
    c.send(pair.theirs);
    EXPECT_EQ(read_all(l), "hello");
    l->ops->close(l);
}

TEST_F(Tls, KnowsWhoShowedACertificate)
{
    Origin origin(loop, with_client_certs(CLIENT_CERT_OPTIONAL), true);
    for (int version : {TLS1_2_VERSION, TLS1_3_VERSION}) {
        Pair pair;
        Client c(version, &authority->client);
        struct link *l = attached(origin, pair.ours);
        shake_hands(l, c, pair.theirs);
        c.say("x");
        c.send(pair.theirs);
        EXPECT_EQ(read_all(l), "x");
        EXPECT_EQ(text(facts_of(l).cert_common_name), "sensor-7");
        EXPECT_EQ(text(facts_of(l).cert_subject), "CN=sensor-7,O=Example");
        l->ops->close(l);
        Pair second;
        Client without(version);
        l = attached(origin, second.ours);
        shake_hands(l, without, second.theirs);
        without.say("x");
        without.send(second.theirs);
        EXPECT_EQ(read_all(l), "x");
        EXPECT_EQ(facts_of(l).cert_common_name.len, 0u);
        l->ops->close(l);
    }
}

TEST_F(Tls, RefusesClientsItCannotVerify)
{
    struct {
        enum client_cert how;
        const Identity *identity;
        const char *reason;
    } cases[] = {
        {CLIENT_CERT_REQUIRED, nullptr, "peer did not return a certificate"},
        {CLIENT_CERT_REQUIRED, &authority->stranger, "self-signed certificate"},
        {CLIENT_CERT_OPTIONAL, &authority->stranger, "self-signed certificate"},
    };
    for (auto &one : cases) {
        Origin origin(loop, with_client_certs(one.how), true);
        Pair pair;
        Client c(TLS1_3_VERSION, one.identity);
        struct link *l = attached(origin, pair.ours);
        int64_t last;
        loop.log.clear();
        shake_hands(l, c, pair.theirs, &last);
        EXPECT_EQ(last, LINK_ERROR) << one.reason;
        ASSERT_EQ(loop.log.size(), 1u);
        EXPECT_EQ(loop.log[0], std::string("tls: TLS handshake failed [unknown] ") + one.reason);
        EXPECT_STREQ(facts_of(l).error_text, one.reason);
        EXPECT_EQ(write_text(l, "x"), LINK_ERROR);
        l->ops->close(l);
    }
}

TEST_F(Tls, ANameWithANulByteIsNoName)
{
    Identity bad;
    authority->issue(bad, "bad", std::string("admin\0.example", 14), authority->ca);
    Origin origin(loop, with_client_certs(CLIENT_CERT_REQUIRED), true);
    Pair pair;
    Client c(TLS1_3_VERSION, &bad);
    struct link *l = attached(origin, pair.ours);
    int64_t last;
    shake_hands(l, c, pair.theirs, &last);
    EXPECT_EQ(last, LINK_ERROR);
    l->ops->close(l);
}

TEST_F(Tls, SaysOnceWhyAHandshakeFailed)
{
    Origin origin(loop, tls_options(), true);
    const char *plain_connect = "\x10\x0c\x00\x04MQTT\x04\x02\x00\x3c\x00\x00";
    for (std::string said : {std::string("GET / HTTP/1.1\r\n\r\n"), std::string(plain_connect, 14),
                             std::string(300, 'x')}) {
        Pair pair;
        struct link *l = attached(origin, pair.ours);
        int64_t last;
        loop.log.clear();
        send_text(pair.theirs, said);
        EXPECT_EQ(read_all(l, &last), "");
        EXPECT_EQ(last, LINK_ERROR);
        read_all(l, &last);
        EXPECT_EQ(last, LINK_ERROR);
        EXPECT_EQ(loop.log.size(), 1u);
        l->ops->close(l);
    }
    Pair pair;
    struct link *l = attached(origin, pair.ours);
    int64_t last;
    loop.log.clear();
    pair.close_theirs();
    read_all(l, &last);
    EXPECT_EQ(last, LINK_EOF);
    ASSERT_EQ(loop.log.size(), 1u);
    EXPECT_EQ(loop.log[0], "tls: TLS handshake failed [unknown] the peer closed the connection");
    l->ops->close(l);
}

TEST_F(Tls, KeepsTheLowestVersion)
{
    struct listener_options o = tls_options();
    o.tls_min_version = "1.3";
    Origin origin(loop, o, true);
    Pair pair;
    Client c(TLS1_2_VERSION);
    struct link *l = attached(origin, pair.ours);
    int64_t last;
    shake_hands(l, c, pair.theirs, &last);
    EXPECT_EQ(last, LINK_ERROR);
    ASSERT_EQ(loop.log.size(), 1u);
    EXPECT_NE(loop.log[0].find("unsupported protocol"), std::string::npos) << loop.log[0];
    l->ops->close(l);
}

TEST_F(Tls, TellsTheEndWithAndWithoutAGoodbye)
{
    Origin origin(loop, tls_options(), true);
    for (bool is_polite : {true, false}) {
        Pair pair;
        Client c;
        struct link *l = attached(origin, pair.ours);
        int64_t last;
        shake_hands(l, c, pair.theirs);
        c.say("last words");
        if (is_polite)
            SSL_shutdown(c.ssl);
        c.work(pair.theirs);
        c.send(pair.theirs);
        pair.close_theirs();
        EXPECT_EQ(read_all(l, &last), "last words");
        if (last == LINK_AGAIN)
            read_all(l, &last);
        EXPECT_EQ(last, LINK_EOF);
        l->ops->close(l);
    }
    EXPECT_TRUE(loop.log.empty());
}

TEST_F(Tls, SurvivesAPeerThatIsGoneWithoutASignal)
{
    Origin origin(loop, tls_options(), true);
    Pair pair;
    Client c;
    struct link *l = attached(origin, pair.ours);
    shake_hands(l, c, pair.theirs);
    pair.close_theirs();
    EXPECT_EQ(write_text(l, "into the void"), LINK_ERROR);
    EXPECT_STREQ(facts_of(l).error_text, "broken pipe");
    l->ops->close(l);
}

TEST_F(Tls, RefusesRenegotiationAndFollowsKeyUpdates)
{
    Origin origin(loop, tls_options(), true);
    Pair pair;
    Client c(TLS1_3_VERSION);
    struct link *l = attached(origin, pair.ours);
    shake_hands(l, c, pair.theirs);
    for (int i = 0; i < 5; i++) {
        EXPECT_EQ(SSL_key_update(c.ssl, SSL_KEY_UPDATE_REQUESTED), 1);
        c.say("with new keys");
        c.send(pair.theirs);
        EXPECT_EQ(read_all(l), "with new keys");
        EXPECT_EQ(write_text(l, "same here"), 9);
        EXPECT_EQ(c.work(pair.theirs), "same here");
    }
    l->ops->close(l);
    Pair second;
    Client old(TLS1_2_VERSION);
    l = attached(origin, second.ours);
    shake_hands(l, old, second.theirs);
    EXPECT_EQ(SSL_renegotiate(old.ssl), 1);
    SSL_do_handshake(old.ssl);
    old.work(second.theirs);
    old.send(second.theirs);
    read_all(l);
    old.work(second.theirs);
    EXPECT_FALSE(old.is_ready());
    l->ops->close(l);
}

TEST_F(Tls, ResumesASessionAlsoWithAClientCertificate)
{
    Origin origin(loop, with_client_certs(CLIENT_CERT_REQUIRED), true);
    for (int version : {TLS1_2_VERSION, TLS1_3_VERSION}) {
        SSL_SESSION *session = nullptr;
        for (int i = 0; i < 2; i++) {
            Pair pair;
            Client c(version, &authority->client);
            if (session)
                SSL_set_session(c.ssl, session);
            struct link *l = attached(origin, pair.ours);
            shake_hands(l, c, pair.theirs);
            write_text(l, "tickets come with the first bytes");
            EXPECT_EQ(c.work(pair.theirs), "tickets come with the first bytes");
            EXPECT_EQ(SSL_session_reused(c.ssl), i);
            EXPECT_EQ(text(facts_of(l).cert_common_name), "sensor-7");
            SSL_SESSION_free(session);
            session = SSL_get1_session(c.ssl);
            SSL_set_shutdown(c.ssl, SSL_SENT_SHUTDOWN);
            l->ops->close(l);
        }
        SSL_SESSION_free(session);
    }
}

TEST_F(Tls, TakesTheHostsOwnContext)
{
    SSL_CTX *host = SSL_CTX_new(TLS_server_method());
    SSL_CTX_use_certificate(host, authority->server.cert);
    SSL_CTX_use_PrivateKey(host, authority->server.key);
    struct listener_options o = options("mqtts://127.0.0.1:0");
    o.tls_ctx = host;
    {
        Origin origin(loop, o, true);
        SSL_CTX_free(host);
        Pair pair;
        Client c;
        struct link *l = attached(origin, pair.ours);
        shake_hands(l, c, pair.theirs);
        EXPECT_EQ(write_text(l, "hello"), 5);
        EXPECT_EQ(c.work(pair.theirs), "hello");
        l->ops->close(l);
    }
}

TEST_F(Tls, AContextThatCannotBeSaysWhichFileAndWhy)
{
    struct listener_options good = with_client_certs(CLIENT_CERT_REQUIRED), o = good;
    std::string garbage = authority->write("garbage.pem", "this is no PEM\n");
    std::string locked = authority->folder.file("locked.key");
    FILE *f = fopen(locked.c_str(), "w");
    PEM_write_PrivateKey(f, authority->server.key, EVP_aes_256_cbc(), nullptr, 0, nullptr,
                         const_cast<char *>("secret"));
    fclose(f);

    o.tls_cert_file = "/nonexistent/server.crt";
    EXPECT_EQ(refusal(o), "listener test: cannot use the certificate chain "
                          "/nonexistent/server.crt: No such file or directory");
    o.tls_cert_file = garbage.c_str();
    EXPECT_EQ(refusal(o),
              "listener test: cannot use the certificate chain " + garbage + ": no start line");
    o = good;
    o.tls_key_file = authority->client.key_file.c_str();
    EXPECT_EQ(refusal(o), "listener test: the key " + authority->client.key_file +
                              " does not belong to the certificate " + authority->server.cert_file);
    o.tls_key_file = locked.c_str();
    EXPECT_NE(refusal(o).find("listener test: cannot use the key " + locked + ": "),
              std::string::npos);
    o.tls_key_file = "";
    EXPECT_EQ(refusal(o), "listener test: TLS needs a certificate and its key: set "
                          "listener.test.tls.key");
    o = good;
    o.tls_cert_file = nullptr;
    EXPECT_NE(refusal(o).find("listener.test.tls.cert"), std::string::npos);
    o = good;
    o.tls_ca_file = garbage.c_str();
    EXPECT_NE(refusal(o).find("cannot use the CA file " + garbage), std::string::npos);
    o.tls_ca_file = nullptr;
    EXPECT_NE(refusal(o).find("listener.test.tls.ca"), std::string::npos);
    o = good;
    o.tls_min_version = "1.1";
    EXPECT_NE(refusal(o, MQB_EINVAL).find("\"1.1\"; it must be 1.2 or 1.3"), std::string::npos);
    o = good;
    o.tls_ciphers = "NO-SUCH-CIPHER";
    EXPECT_NE(refusal(o).find("cannot use the cipher list NO-SUCH-CIPHER: no cipher match"),
              std::string::npos);
    o = good;
    o.tls_ciphersuites = "NO_SUCH_SUITE";
    EXPECT_NE(refusal(o).find("cannot use the TLS 1.3 cipher suites NO_SUCH_SUITE"),
              std::string::npos);
    EXPECT_EQ(test_alloc_live_blocks(&loop.memory), 0u);
}

TEST_F(Tls, AnRsaKeyDoesNotBelongToAnEcCertificate)
{
    EVP_PKEY *rsa = EVP_RSA_gen(2048);
    std::string path = authority->folder.file("rsa.key");
    FILE *f = fopen(path.c_str(), "w");
    PEM_write_PrivateKey(f, rsa, nullptr, nullptr, 0, nullptr, nullptr);
    fclose(f);
    EVP_PKEY_free(rsa);
    struct listener_options o = tls_options();
    o.tls_key_file = path.c_str();
    EXPECT_NE(refusal(o).find("does not belong"), std::string::npos);
}
