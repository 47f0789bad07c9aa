/* SPDX-License-Identifier: MIT */
/*
 * Bad moments for a connection on its way to its home: the peer closes, the broker stops, somebody
 * else connects with the same client id. Rounds under a seed; afterwards no connection, session,
 * descriptor or memory may be left, and nothing may hang.
 */
#include <pthread.h>
#include <string.h>
#include <sys/socket.h>

#include "rig.h"

enum { STREAM_MAX = 256, ID_BYTES = 24, TWINS_MAX = 4, STOPPERS = 3, IDS = 6 };
enum { CLOSES = 2000, LONG_CLOSES = 200000, TWIN_ROUNDS = 400, LONG_TWIN_ROUNDS = 60000 };
enum { STOPS = 40, LONG_STOPS = 3000, CONNECTS_BEFORE_STOP = 40, PARTS_MAX = 3, PAUSE_MS = 2 };

struct scene {
    struct tally tally;
    mqb_broker *broker;
    uint16_t port;
    uint16_t tls_port;
    SSL_CTX *server;
    SSL_CTX *client;
    mqb_listener plain;
    mqb_listener tls;
};

static void scene_start(struct scene *s)
{
    CHECK(mqb_broker_start(s->broker) == MQB_OK);
    s->port = mqb_listener_port(s->broker, s->plain);
    s->tls_port = mqb_listener_port(s->broker, s->tls);
}

static void scene_init(struct scene *s)
{
    tally_init(&s->tally);
    s->server = rig_tls_server();
    s->client = rig_tls_client(TLS1_3_VERSION);
    s->broker = rig_broker(&s->tally, NULL);
    s->plain = rig_listen(s->broker, NULL);
    s->tls = rig_listen(s->broker, s->server);
    scene_start(s);
}

static void scene_fini(struct scene *s)
{
    mqb_broker_free(s->broker);
    tally_expect_empty(&s->tally);
    SSL_CTX_free(s->server);
    SSL_CTX_free(s->client);
}

static void expect_nobody(struct scene *s)
{
    rig_wait_metric_is(s->broker, "connections", 0);
    rig_wait_metric_is(s->broker, "sessions", OWN_SESSIONS);
    rig_wait_metric_is(s->broker, "subscriptions", 0);
}

static size_t build(enum mini_version version, const char *id, bool has_ping, uint8_t *out)
{
    struct mini_link l;
    mini_link_init(&l);
    l.version = version;
    mini_send_connect(&l, &(struct mini_connect){.client_id = id, .clean = true});
    mini_send_subscribe(&l, 1, "moment", 1);
    mini_send_publish(&l, &(struct mini_publish){.topic = "moment",
                                                 .payload = (const uint8_t *)id,
                                                 .payload_bytes = strlen(id),
                                                 .packet_id = 2,
                                                 .qos = 1});
    if (has_ping)
        mini_send_bare(&l, MINI_PINGREQ);
    size_t len = l.out.end - l.out.begin;
    CHECK(len <= STREAM_MAX);
    memcpy(out, l.out.data, len);
    mini_link_fini(&l);
    return len;
}

/* --- the peer closes -------------------------------------------------------------------------- */

/* A number of bytes, in up to three segments or records. */
static bool send_in_parts(struct peer *p, const uint8_t *bytes, size_t len, uint64_t *random)
{
    for (unsigned left = 1 + (unsigned)draw(random, PARTS_MAX); left > 0; left--) {
        size_t n = left == 1 ? len : draw(random, len + 1);
        if (!peer_send(p, bytes, n))
            return false;
        bytes += n;
        len -= n;
    }
    return true;
}

/* Listens for a few answers, or none, and goes: with a reset, or a half-close before. */
static void leave(struct peer *p, uint64_t *random)
{
    struct mini_packet m;
    for (uint64_t wanted = draw(random, 4); wanted > 0; wanted--) {
        if (mini_link_next(&p->link, &m) == 0 && !peer_fill(p, PAUSE_MS))
            break;
    }
    uint64_t how = draw(random, 3);
    if (how == 2 && p->link.fd >= 0)
        shutdown(p->link.fd, SHUT_WR);
    peer_close(p, how == 1);
}

/* A handshake that ends in the middle: a ClientHello, cut. */
static void hang_up_in_handshake(const struct scene *s, uint64_t *random)
{
    uint8_t hello[4096];
    struct peer p;
    CHECK(peer_open(&p, s->tls_port, NULL, MINI_V5));
    SSL *ssl = SSL_new(s->client);
    SSL_set_bio(ssl, BIO_new(BIO_s_mem()), BIO_new(BIO_s_mem()));
    (void)SSL_connect(ssl);
    int n = BIO_read(SSL_get_wbio(ssl), hello, sizeof hello);
    CHECK(n > 0);
    (void)peer_send_raw(&p, hello, draw(random, (uint64_t)n + 1));
    SSL_free(ssl);
    leave(&p, random);
}

static void come_and_go(const struct scene *s, uint64_t *random)
{
    uint8_t bytes[STREAM_MAX];
    char id[ID_BYTES];
    struct peer p;
    bool is_tls = draw(random, 4) == 0;
    enum mini_version version = draw(random, 2) ? MINI_V5 : MINI_V311;
    snprintf(id, sizeof id, "gone-%u", (unsigned)draw(random, IDS));
    size_t len = build(version, id, true, bytes);
    CHECK(peer_open(&p, is_tls ? s->tls_port : s->port, is_tls ? s->client : NULL, version));
    (void)send_in_parts(&p, bytes, draw(random, len + 1), random);
    leave(&p, random);
}

static void ThePeerCloses(void)
{
    struct scene s;
    uint64_t random = test_seed(11);
    scene_init(&s);
    for (uint64_t i = test_count(CLOSES, LONG_CLOSES); i > 0; i--) {
        if (draw(&random, 16) == 0)
            hang_up_in_handshake(&s, &random);
        else
            come_and_go(&s, &random);
    }
    expect_nobody(&s);
    scene_fini(&s);
}

/* --- another one comes with the same client id ------------------------------------------------ */

struct twin {
    struct peer peer;
    uint8_t bytes[STREAM_MAX];
    size_t len;
    size_t sent;
};

static void open_twins(const struct scene *s, struct twin *t, unsigned count, uint64_t *random)
{
    for (unsigned i = 0; i < count; i++) {
        bool is_tls = draw(random, 4) == 0;
        enum mini_version version = draw(random, 2) ? MINI_V5 : MINI_V311;
        t[i] = (struct twin){.sent = 0};
        t[i].len = build(version, "twin", true, t[i].bytes);
        CHECK(peer_open(&t[i].peer, is_tls ? s->tls_port : s->port, is_tls ? s->client : NULL,
                        version));
    }
}

/* All send a little in turn until all has gone, or they are sent away. */
static void send_by_turns(struct twin *t, unsigned count, uint64_t *random)
{
    for (bool is_all_sent = false; !is_all_sent;) {
        is_all_sent = true;
        for (unsigned i = 0; i < count; i++) {
            size_t n = draw(random, t[i].len - t[i].sent + 1);
            if (!peer_send(&t[i].peer, t[i].bytes + t[i].sent, n))
                n = t[i].len - t[i].sent;
            t[i].sent += n;
            is_all_sent = is_all_sent && t[i].sent == t[i].len;
        }
    }
}

/* Whether this one has stayed: all of them have been settled when this is asked. */
static bool has_stayed(struct twin *t)
{
    struct mini_packet m;
    bool was_told = false;
    mini_send_bare(&t->peer.link, MINI_PINGREQ);
    bool is_open = peer_flush(&t->peer);
    for (unsigned pongs = 0; pongs < 2;) { /* the stream's own, and this one */
        if (!peer_next(&t->peer, &m)) {
            is_open = false;
            break;
        }
        pongs += m.type == MINI_PINGRESP;
        CHECK(m.type != MINI_DISCONNECT || m.reason == 0x8e);
        was_told = was_told || m.type == MINI_DISCONNECT;
    }
    CHECK(!is_open || !was_told);
    return is_open;
}

static void fight(const struct scene *s, uint64_t *random)
{
    struct twin t[TWINS_MAX];
    unsigned count = 2 + (unsigned)draw(random, TWINS_MAX - 1), left = 0;
    uint64_t before = rig_metric(s->broker, "sessions_taken_over");
    open_twins(s, t, count, random);
    send_by_turns(t, count, random);
    rig_wait_metric_is(s->broker, "sessions_taken_over", before + count - 1);
    for (unsigned i = 0; i < count; i++)
        left += has_stayed(&t[i]);
    CHECK(left == 1);
    rig_wait_metric_is(s->broker, "connections", 1);
    CHECK(rig_metric(s->broker, "sessions") == OWN_SESSIONS + 1);
    for (unsigned i = 0; i < count; i++)
        peer_close(&t[i].peer, draw(random, 2));
    rig_wait_metric_is(s->broker, "connections", 0);
}

static void AnotherOneComes(void)
{
    struct scene s;
    uint64_t random = test_seed(12);
    scene_init(&s);
    for (uint64_t i = test_count(TWIN_ROUNDS, LONG_TWIN_ROUNDS); i > 0; i--)
        fight(&s, &random);
    expect_nobody(&s);
    scene_fini(&s);
}

/* --- the broker stops ------------------------------------------------------------------------ */

struct knocker {
    const struct scene *scene;
    pthread_t thread;
    uint64_t random;
    atomic_uint *knocks;
};

/* Connects again and again until nobody listens. */
static void *knock_main(void *arg)
{
    struct knocker *k = arg;
    uint8_t bytes[STREAM_MAX];
    char id[ID_BYTES];
    for (;;) {
        bool is_tls = draw(&k->random, 4) == 0;
        struct peer p;
        snprintf(id, sizeof id, "knock-%u", (unsigned)draw(&k->random, IDS));
        size_t len = build(MINI_V5, id, false, bytes);
        if (!peer_open(&p, is_tls ? k->scene->tls_port : k->scene->port,
                       is_tls ? k->scene->client : NULL, MINI_V5)) {
            if (!mqb_broker_is_running(k->scene->broker))
                return NULL;
            continue;
        }
        atomic_fetch_add(k->knocks, 1);
        if (send_in_parts(&p, bytes, draw(&k->random, 3) ? len : draw(&k->random, len), &k->random))
            (void)peer_fill(&p, (int)draw(&k->random, PAUSE_MS + 1));
        peer_close(&p, draw(&k->random, 2));
    }
}

/* Stops in the middle of it; what was on its way is closed, not forgotten. */
static void stop_amid(struct scene *s, uint64_t *random)
{
    struct knocker k[STOPPERS];
    atomic_uint knocks = 0;
    for (unsigned i = 0; i < STOPPERS; i++) {
        k[i] = (struct knocker){.scene = s, .random = mini_random(random), .knocks = &knocks};
        CHECK(pthread_create(&k[i].thread, NULL, knock_main, &k[i]) == 0);
    }
    uint64_t enough = 1 + draw(random, CONNECTS_BEFORE_STOP), deadline = now_ms() + DEADLINE_MS;
    while (atomic_load(&knocks) < enough)
        CHECK(now_ms() < deadline);
    CHECK(mqb_broker_stop(s->broker, draw(random, 2) ? 0 : PAUSE_MS) == MQB_OK);
    CHECK(now_ms() < deadline);
    for (unsigned i = 0; i < STOPPERS; i++)
        CHECK(pthread_join(k[i].thread, NULL) == 0);
}

static void TheBrokerStops(void)
{
    struct scene s;
    uint64_t random = test_seed(13);
    scene_init(&s);
    size_t descriptors = 0;
    for (uint64_t i = test_count(STOPS, LONG_STOPS); i > 0; i--) {
        stop_amid(&s, &random);
        if (descriptors == 0)
            descriptors = open_descriptors();
        CHECK(open_descriptors() == descriptors);
        scene_start(&s);
        expect_nobody(&s);
    }
    scene_fini(&s);
}

int main(void)
{
    RUN(ThePeerCloses);
    RUN(AnotherOneComes);
    RUN(TheBrokerStops);
    return 0;
}
