/* SPDX-License-Identifier: MIT */
/*
 * What the programs of this folder stand on: brokers made from a few settings whose memory is
 * counted, their metrics, and peers: sockets, plain or TLS, that speak by mini_mqtt. A broker
 * belongs to the test's main thread, a peer to the thread that opened it. Nothing waits without a
 * deadline; a test that is wrong aborts by CHECK.
 */
#ifndef TESTS_HANDOFF_RIG_H
#define TESTS_HANDOFF_RIG_H

#include <mqttbroker.h>
#include <openssl/ssl.h>
#include <stdatomic.h>

#include "check.h"
#include "mini_mqtt.h"
#include "shim/scale.h"

enum { OWN_SESSIONS = 1 }; /* the host's own handle is one, too */

/* What the brokers of a test have allocated and not freed. */
struct tally {
    mqb_allocator allocator;
    atomic_llong blocks;
    atomic_llong bytes;
};

void tally_init(struct tally *t);
void tally_expect_empty(struct tally *t);

/* A broker with four workers and these settings besides ("key=value", up to NULL); not started. */
mqb_broker *rig_broker(struct tally *t, const char *const *pairs);

/* Adds a listener on 127.0.0.1, of TLS when there is a context. Its port, once it is open. */
mqb_listener rig_listen(mqb_broker *b, SSL_CTX *tls);

uint64_t rig_metric(mqb_broker *b, const char *name);
void rig_wait_metric(mqb_broker *b, const char *name, uint64_t at_least);
void rig_wait_metric_is(mqb_broker *b, const char *name, uint64_t value);

/* A context with a certificate made for this run; one for clients, of TLS 1.2 or 1.3, who trust
 * anybody. */
SSL_CTX *rig_tls_server(void);
SSL_CTX *rig_tls_client(int version);

struct peer {
    struct mini_link link;
    SSL *ssl; /* NULL: plain; its two BIOs are memory, the socket is ours */
};

/* Connects, and shakes hands when there is a context. False: refused, or cut off. */
bool peer_open(struct peer *p, uint16_t port, SSL_CTX *tls, enum mini_version version);
void peer_close(struct peer *p, bool reset);

/* One call is one segment, or with TLS one record. False: the connection is over. */
bool peer_send(struct peer *p, const void *bytes, size_t len);
bool peer_flush(struct peer *p); /* what mini_send_... put into the link */

/* Encrypts one record without sending it: the bytes that would go out, to be sent by
 * peer_send_raw. */
size_t peer_seal(struct peer *p, const void *bytes, size_t len, uint8_t *out, size_t cap);
bool peer_send_raw(struct peer *p, const void *bytes, size_t len);

/* Takes what has come, waiting for it up to wait_ms. False: the connection is over. */
bool peer_fill(struct peer *p, int wait_ms);

/* Waits for the next packet; false: the connection ended first. */
bool peer_next(struct peer *p, struct mini_packet *packet);

/* The same, which must be of this type. */
struct mini_packet peer_expect(struct peer *p, enum mini_type type);

/* CONNECT, and a CONNACK that lets in; answers whether the session was present. */
bool peer_hello(struct peer *p, const struct mini_connect *connect);
void peer_subscribe(struct peer *p, const char *filter, uint8_t qos);

/* Lets time pass for somebody else: a client that does nothing. */
void peer_wait(int ms);

uint64_t draw(uint64_t *random, uint64_t below);

#endif
