/* SPDX-License-Identifier: MIT */
/*
 * See rig.h: sockets with and without TLS. OpenSSL works on memory, so that the test decides which
 * bytes of a record leave when, and no SIGPIPE of its own hides one of the library's.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <openssl/x509.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "rig.h"

enum { CERT_LIFE_S = 86400, CHUNK_BYTES = 16384, STUCK_MS = 60000 };

static X509 *certificate(EVP_PKEY *key)
{
    X509 *x = X509_new();
    CHECK(x && X509_set_version(x, X509_VERSION_3));
    CHECK(ASN1_INTEGER_set(X509_get_serialNumber(x), 1));
    CHECK(X509_gmtime_adj(X509_getm_notBefore(x), 0));
    CHECK(X509_gmtime_adj(X509_getm_notAfter(x), CERT_LIFE_S));
    CHECK(X509_set_pubkey(x, key));
    X509_NAME *name = X509_get_subject_name(x);
    const unsigned char text[] = "localhost";
    CHECK(X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC, text, -1, -1, 0));
    CHECK(X509_set_issuer_name(x, name));
    CHECK(X509_sign(x, key, EVP_sha256()) > 0);
    return x;
}

SSL_CTX *rig_tls_server(void)
{
    EVP_PKEY *key = EVP_EC_gen("P-256");
    SSL_CTX *ctx = SSL_CTX_new(TLS_server_method());
    CHECK(key && ctx);
    X509 *x = certificate(key);
    CHECK(SSL_CTX_use_certificate(ctx, x) == 1 && SSL_CTX_use_PrivateKey(ctx, key) == 1);
    X509_free(x);
    EVP_PKEY_free(key);
    return ctx;
}

SSL_CTX *rig_tls_client(int version)
{
    SSL_CTX *ctx = SSL_CTX_new(TLS_client_method());
    CHECK(ctx && SSL_CTX_set_min_proto_version(ctx, version));
    CHECK(SSL_CTX_set_max_proto_version(ctx, version));
    return ctx;
}

/* --- bytes ----------------------------------------------------------------------------------- */

bool peer_send_raw(struct peer *p, const void *bytes, size_t len)
{
    const char *at = bytes;
    while (len > 0) {
        ssize_t n = send(p->link.fd, at, len, MSG_NOSIGNAL);
        if (n < 0 && errno != EAGAIN)
            return false;
        if (n < 0) {
            struct pollfd w = {.fd = p->link.fd, .events = POLLOUT};
            CHECK(poll(&w, 1, STUCK_MS) == 1);
            continue;
        }
        at += n;
        len -= (size_t)n;
    }
    return true;
}

/* What OpenSSL wants sent. */
static bool send_sealed(struct peer *p)
{
    uint8_t chunk[CHUNK_BYTES];
    int n;
    while ((n = BIO_read(SSL_get_wbio(p->ssl), chunk, sizeof chunk)) > 0) {
        if (!peer_send_raw(p, chunk, (size_t)n))
            return false;
    }
    return true;
}

bool peer_send(struct peer *p, const void *bytes, size_t len)
{
    if (!p->ssl || len == 0)
        return peer_send_raw(p, bytes, len);
    return SSL_write(p->ssl, bytes, (int)len) == (int)len && send_sealed(p);
}

size_t peer_seal(struct peer *p, const void *bytes, size_t len, uint8_t *out, size_t cap)
{
    CHECK(SSL_write(p->ssl, bytes, (int)len) == (int)len);
    int n = BIO_read(SSL_get_wbio(p->ssl), out, (int)cap);
    CHECK(n > 0 && BIO_pending(SSL_get_wbio(p->ssl)) == 0);
    return (size_t)n;
}

bool peer_flush(struct peer *p)
{
    struct mini_queue *q = &p->link.out;
    bool ok = peer_send(p, q->data + q->begin, q->end - q->begin);
    q->begin = q->end = 0;
    return ok;
}

/* Records to bytes; false: the peer has said good-bye, or the record is none. */
static bool open_records(struct peer *p, const uint8_t *sealed, int len)
{
    uint8_t chunk[CHUNK_BYTES];
    int n;
    CHECK(BIO_write(SSL_get_rbio(p->ssl), sealed, len) == len);
    if (!SSL_is_init_finished(p->ssl))
        return true;
    while ((n = SSL_read(p->ssl, chunk, sizeof chunk)) > 0)
        mini_link_take(&p->link, chunk, (size_t)n);
    bool wants_more = SSL_get_error(p->ssl, n) == SSL_ERROR_WANT_READ;
    ERR_clear_error();
    return wants_more;
}

bool peer_fill(struct peer *p, int wait_ms)
{
    uint8_t chunk[CHUNK_BYTES];
    struct pollfd w = {.fd = p->link.fd, .events = POLLIN};
    if (wait_ms > 0 && poll(&w, 1, wait_ms) == 0)
        return true;
    ssize_t n = recv(p->link.fd, chunk, sizeof chunk, 0);
    if (n <= 0)
        return n < 0 && errno == EAGAIN;
    if (p->ssl)
        return open_records(p, chunk, (int)n);
    mini_link_take(&p->link, chunk, (size_t)n);
    return true;
}

/* --- connections ----------------------------------------------------------------------------- */

static bool shake_hands(struct peer *p)
{
    for (;;) {
        int done = SSL_connect(p->ssl);
        int error = SSL_get_error(p->ssl, done);
        if (!send_sealed(p))
            return false;
        if (done == 1)
            return true;
        if (error != SSL_ERROR_WANT_READ || !peer_fill(p, STUCK_MS)) {
            ERR_clear_error();
            return false;
        }
    }
}

static bool dial(struct peer *p, uint16_t port)
{
    int on = 1;
    struct sockaddr_in in = {.sin_family = AF_INET, .sin_port = htons(port)};
    in.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    p->link.fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    CHECK(p->link.fd >= 0);
    if (connect(p->link.fd, (struct sockaddr *)&in, sizeof in) != 0)
        return false;
    fcntl(p->link.fd, F_SETFL, O_NONBLOCK);
    setsockopt(p->link.fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    return true;
}

bool peer_open(struct peer *p, uint16_t port, SSL_CTX *tls, enum mini_version version)
{
    mini_link_init(&p->link);
    p->link.version = version;
    p->ssl = NULL;
    bool ok = dial(p, port);
    if (ok && tls) {
        p->ssl = SSL_new(tls);
        CHECK(p->ssl);
        SSL_set_bio(p->ssl, BIO_new(BIO_s_mem()), BIO_new(BIO_s_mem()));
        ok = shake_hands(p);
    }
    if (!ok)
        peer_close(p, true);
    return ok;
}

void peer_close(struct peer *p, bool reset)
{
    mini_link_close(&p->link, reset);
    mini_link_fini(&p->link);
    mini_link_init(&p->link);
    SSL_free(p->ssl);
    p->ssl = NULL;
}

/* --- packets --------------------------------------------------------------------------------- */

bool peer_next(struct peer *p, struct mini_packet *packet)
{
    uint64_t deadline = now_ms() + STUCK_MS;
    int got;
    while ((got = mini_link_next(&p->link, packet)) == 0) {
        if (!peer_fill(p, STUCK_MS)) {
            got = mini_link_next(&p->link, packet);
            break;
        }
        CHECK(now_ms() < deadline);
    }
    CHECK(got >= 0);
    return got > 0;
}

struct mini_packet peer_expect(struct peer *p, enum mini_type type)
{
    struct mini_packet packet = {.type = 0};
    CHECK(peer_next(p, &packet));
    if (packet.type != type)
        fprintf(stderr, "packet of type %d, reason 0x%02x, not %d\n", (int)packet.type,
                packet.reason, (int)type);
    CHECK(packet.type == type);
    return packet;
}

bool peer_hello(struct peer *p, const struct mini_connect *connect)
{
    mini_send_connect(&p->link, connect);
    CHECK(peer_flush(p));
    struct mini_packet ack = peer_expect(p, MINI_CONNACK);
    CHECK(ack.reason == 0);
    return ack.session_present;
}

void peer_subscribe(struct peer *p, const char *filter, uint8_t qos)
{
    mini_send_subscribe(&p->link, 1, filter, qos);
    CHECK(peer_flush(p));
    CHECK(peer_expect(p, MINI_SUBACK).reason == qos);
}

void peer_wait(int ms)
{
    poll(NULL, 0, ms);
}
