/* SPDX-License-Identifier: MIT */
/*
 * As much of an MQTT client as the load programs need, on sockets alone: it shares no code with the
 * library, so that a fault of the codec cannot hide itself. A link owns a non-blocking socket and
 * two byte queues; one thread uses it. Sessions, windows and acknowledgements are the caller's.
 */
#ifndef CONCURRENT_CLIENTS_MINI_MQTT_H
#define CONCURRENT_CLIENTS_MINI_MQTT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

enum mini_type {
    MINI_CONNECT = 1,
    MINI_CONNACK,
    MINI_PUBLISH,
    MINI_PUBACK,
    MINI_PUBREC,
    MINI_PUBREL,
    MINI_PUBCOMP,
    MINI_SUBSCRIBE,
    MINI_SUBACK,
    MINI_PINGREQ = 12,
    MINI_PINGRESP,
    MINI_DISCONNECT,
};

enum mini_version { MINI_V311 = 4, MINI_V5 = 5 };

struct mini_queue {
    uint8_t *data;
    size_t begin;
    size_t end;
    size_t capacity;
};

struct mini_link {
    int fd; /* -1: closed */
    enum mini_version version;
    struct mini_queue in;
    struct mini_queue out;
};

struct mini_packet {
    enum mini_type type;
    uint8_t flags;
    uint8_t reason; /* or the return code of 3.1.1 */
    bool session_present;
    uint16_t packet_id;
    uint16_t receive_maximum; /* of a CONNACK */
    const uint8_t *topic;     /* into the link's queue: good until the next call on the link */
    size_t topic_bytes;
    const uint8_t *payload;
    size_t payload_bytes;
};

struct mini_connect {
    const char *client_id;
    uint32_t expiry_s;        /* 5.0 */
    uint16_t receive_maximum; /* 5.0 */
    bool clean;
};

struct mini_publish {
    const char *topic;
    const uint8_t *payload;
    size_t payload_bytes;
    uint16_t packet_id;
    uint8_t qos;
    bool dup;
};

struct mini_address {
    struct sockaddr_storage storage;
    socklen_t bytes;
};

bool mini_address_of(struct mini_address *address, const char *host, const char *port);

void mini_link_init(struct mini_link *link);
void mini_link_fini(struct mini_link *link);

/* Starts to connect; false when the system refuses. */
bool mini_link_open(struct mini_link *link, const struct mini_address *to,
                    enum mini_version version);

/* Forgets both queues. With `reset` the peer gets a RST where TCP allows it. */
void mini_link_close(struct mini_link *link, bool reset);

short mini_link_events(const struct mini_link *link);

/* Both answer false when the connection is over. */
bool mini_link_fill(struct mini_link *link);
bool mini_link_flush(struct mini_link *link);

/* Bytes that came another way than by mini_link_fill: out of TLS. */
void mini_link_take(struct mini_link *link, const void *bytes, size_t len);

/* Sends at most so many of the bytes that wait: for packets torn in the middle. */
void mini_link_flush_some(struct mini_link *link, size_t bytes);

/* 1: a packet, 0: none yet, -1: not MQTT. */
int mini_link_next(struct mini_link *link, struct mini_packet *packet);

void mini_send_connect(struct mini_link *link, const struct mini_connect *connect);
void mini_send_publish(struct mini_link *link, const struct mini_publish *publish);
void mini_send_ack(struct mini_link *link, enum mini_type type, uint16_t packet_id);
/* 5.0: a PUBACK or PUBREC with a reason code. */
void mini_send_refusal(struct mini_link *link, enum mini_type type, uint16_t packet_id,
                       uint8_t reason);
void mini_send_subscribe(struct mini_link *link, uint16_t packet_id, const char *filter,
                         uint8_t qos);
void mini_send_bare(struct mini_link *link, enum mini_type type); /* PINGREQ, DISCONNECT */

/* What both programs read from the environment: MQB_TEST_SCALE, MQB_TEST_LONG, MQB_TEST_SEED. */
uint64_t mini_scaled(uint64_t count, uint64_t long_factor);
uint64_t mini_seed(void);
uint64_t mini_now_ms(void);

/* splitmix64: the same numbers for the same seed everywhere. */
uint64_t mini_random(uint64_t *state);

#endif
