/* SPDX-License-Identifier: MIT */
/*
 * CONNECT, SUBSCRIBE and PUBLISH sent at once and cut at every byte: whatever part of it has been
 * read when the connection goes to its home, the rest is not lost there. Each cut is tried from all
 * four workers, so that the home is the accepting worker once and another one three times.
 */
#include <string.h>

#include "rig.h"

enum { WORKERS = 4, STREAM_MAX = 20480, BIG_PAYLOAD = 15000, SMALL_PAYLOAD = 9 };

enum manner {
    READ_BETWEEN, /* the second part is sent when the first has been read */
    AT_ONCE,      /* the second part is sent at once: segments, or two records in one segment */
    IN_RECORD,    /* one record, whose encrypted bytes are cut */
};

struct cutter {
    mqb_broker *broker;
    uint16_t port;
    SSL_CTX *tls;
    enum mini_version version;
    enum manner manner;
    size_t payload_bytes;
    uint64_t sent; /* bytes the broker has to count in all, TLS taken off */
    uint64_t connections;
};

static uint8_t payload_at(size_t i)
{
    return (uint8_t)(i * 7 + i / 251);
}

/* The three packets, as they go out. */
static size_t build(const struct cutter *c, uint8_t qos, uint8_t *out)
{
    uint8_t payload[BIG_PAYLOAD];
    struct mini_link l;
    for (size_t i = 0; i < c->payload_bytes; i++)
        payload[i] = payload_at(i);
    mini_link_init(&l);
    l.version = c->version;
    mini_send_connect(&l, &(struct mini_connect){.client_id = "cut", .clean = true});
    mini_send_subscribe(&l, 7, "a/+", 0);
    mini_send_publish(&l, &(struct mini_publish){.topic = "a/b",
                                                 .payload = payload,
                                                 .payload_bytes = c->payload_bytes,
                                                 .packet_id = qos ? 9 : 0,
                                                 .qos = qos});
    size_t len = l.out.end - l.out.begin;
    CHECK(len <= STREAM_MAX);
    memcpy(out, l.out.data + l.out.begin, len);
    mini_link_fini(&l);
    return len;
}

static void wait_until_read(struct cutter *c)
{
    rig_wait_metric(c->broker, "bytes_received", c->sent);
}

static void send_in_two(struct cutter *c, struct peer *p, const uint8_t *bytes, size_t len,
                        size_t cut)
{
    CHECK(peer_send(p, bytes, cut));
    c->sent += cut;
    if (c->manner == READ_BETWEEN)
        wait_until_read(c);
    CHECK(peer_send(p, bytes + cut, len - cut));
    c->sent += len - cut;
}

/* Two records in one segment: the second lies in the reader's buffers, not in the socket, when the
 * first is dealt with. */
static void send_two_records(struct cutter *c, struct peer *p, const uint8_t *bytes, size_t len,
                             size_t cut)
{
    uint8_t sealed[STREAM_MAX];
    size_t n = cut > 0 ? peer_seal(p, bytes, cut, sealed, sizeof sealed) : 0;
    if (len > cut)
        n += peer_seal(p, bytes + cut, len - cut, sealed + n, sizeof sealed - n);
    CHECK(peer_send_raw(p, sealed, n));
    c->sent += len;
}

/* Answers how long the record is. */
static size_t send_cut_record(struct cutter *c, struct peer *p, const uint8_t *bytes, size_t len,
                              size_t cut)
{
    uint8_t sealed[STREAM_MAX];
    size_t n = peer_seal(p, bytes, len, sealed, sizeof sealed);
    cut = cut < n ? cut : n;
    CHECK(peer_send_raw(p, sealed, cut));
    CHECK(peer_send_raw(p, sealed + cut, n - cut));
    c->sent += len;
    return n;
}

static void expect_message(const struct cutter *c, const struct mini_packet *m)
{
    CHECK(m->topic_bytes == 3 && memcmp(m->topic, "a/b", 3) == 0);
    CHECK(m->payload_bytes == c->payload_bytes);
    for (size_t i = 0; i < m->payload_bytes; i++)
        CHECK(m->payload[i] == payload_at(i));
}

/* All the answers, of which the publish's own and its delivery may come in any order. */
static void expect_answers(struct cutter *c, struct peer *p, uint8_t qos)
{
    CHECK(peer_expect(p, MINI_CONNACK).reason == 0);
    struct mini_packet ack = peer_expect(p, MINI_SUBACK);
    CHECK(ack.packet_id == 7 && ack.reason == 0);
    bool has_message = false, is_acked = qos == 0;
    while (!has_message || !is_acked) {
        struct mini_packet m;
        CHECK(peer_next(p, &m));
        if (m.type == MINI_PUBLISH && !has_message) {
            expect_message(c, &m);
            has_message = true;
        } else {
            CHECK(m.type == (qos == 1 ? MINI_PUBACK : MINI_PUBREC) && !is_acked);
            CHECK(m.packet_id == 9 && m.reason == 0);
            is_acked = true;
        }
    }
}

/* Answers how many cuts there are. */
static size_t cut_once(struct cutter *c, size_t cut)
{
    uint8_t bytes[STREAM_MAX];
    uint8_t qos = (uint8_t)(cut % 3);
    size_t len = build(c, qos, bytes), cuts = len;
    struct peer p;
    CHECK(peer_open(&p, c->port, c->tls, c->version));
    cut = cut < len || c->manner == IN_RECORD ? cut : len;
    if (c->manner == IN_RECORD)
        cuts = send_cut_record(c, &p, bytes, len, cut);
    else if (c->manner == AT_ONCE && c->tls)
        send_two_records(c, &p, bytes, len, cut);
    else
        send_in_two(c, &p, bytes, len, cut);
    expect_answers(c, &p, qos);
    mini_send_bare(&p.link, MINI_DISCONNECT);
    c->sent += p.link.out.end - p.link.out.begin;
    CHECK(peer_flush(&p));
    wait_until_read(c);
    peer_close(&p, false);
    c->connections++;
    return cuts;
}

/* Every cut, or with a scale below 100 a part of them spread over the whole. */
static void cut_everywhere(struct cutter *c, size_t step)
{
    size_t cuts = 1;
    for (size_t cut = 0; cut <= cuts; cut += step) {
        uint64_t before = rig_metric(c->broker, "handed_off");
        for (unsigned i = 0; i < WORKERS; i++)
            cuts = cut_once(c, cut);
        CHECK(rig_metric(c->broker, "handed_off") == before + WORKERS - 1);
    }
}

static void in_all_manners(struct cutter *c, int last_manner, size_t step)
{
    for (int m = READ_BETWEEN; m <= last_manner; m++) {
        c->manner = (enum manner)m;
        for (int v = MINI_V311; v <= MINI_V5; v++) {
            c->version = (enum mini_version)v;
            cut_everywhere(c, step);
        }
    }
}

static size_t step_for(size_t at_full_scale)
{
    size_t n = (size_t)test_scaled(100);
    return test_is_long() || n >= 100 ? at_full_scale : at_full_scale * (100 / n);
}

/* Runs all manners with and without a large payload on a broker of its own. */
static void run(SSL_CTX *server, SSL_CTX *client, int last_manner, size_t step)
{
    struct tally t;
    tally_init(&t);
    struct cutter c = {.broker = rig_broker(&t, NULL), .tls = client};
    mqb_listener l = rig_listen(c.broker, server);
    CHECK(mqb_broker_start(c.broker) == MQB_OK);
    c.port = mqb_listener_port(c.broker, l);
    c.payload_bytes = SMALL_PAYLOAD;
    in_all_manners(&c, last_manner, step_for(step));
    c.payload_bytes = BIG_PAYLOAD;
    in_all_manners(&c, last_manner, step_for(test_is_long() ? 41 : 1501));
    rig_wait_metric_is(c.broker, "connections", 0);
    rig_wait_metric_is(c.broker, "sessions", OWN_SESSIONS);
    CHECK(rig_metric(c.broker, "connections_opened") == c.connections);
    printf("    %llu connections\n", (unsigned long long)c.connections);
    mqb_broker_free(c.broker);
    tally_expect_empty(&t);
}

static void CutInPlainTcp(void)
{
    run(NULL, NULL, AT_ONCE, 1);
}

static void cut_in_tls(int version, size_t step)
{
    SSL_CTX *server = rig_tls_server(), *client = rig_tls_client(version);
    run(server, client, IN_RECORD, step);
    SSL_CTX_free(server);
    SSL_CTX_free(client);
}

static void CutInTls12(void)
{
    cut_in_tls(TLS1_2_VERSION, test_is_long() ? 1 : 4);
}

static void CutInTls13(void)
{
    cut_in_tls(TLS1_3_VERSION, 1);
}

int main(void)
{
    RUN(CutInPlainTcp);
    RUN(CutInTls12);
    RUN(CutInTls13);
    return 0;
}
