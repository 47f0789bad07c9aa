/* SPDX-License-Identifier: MIT */
/*
 * Links and packets of the load programs; see mini_mqtt.h. Out of memory ends the program.
 */
#include "mini_mqtt.h"

#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { FIRST_QUEUE_BYTES = 4096, READ_BYTES = 16384, PROPERTY_EXPIRY = 0x11 };
enum { PROPERTY_RECEIVE_MAXIMUM = 0x21, NO_RECEIVE_MAXIMUM = 65535 };

/* Queues. */

static void queue_reserve(struct mini_queue *q, size_t bytes)
{
    if (q->begin > 0) {
        memmove(q->data, q->data + q->begin, q->end - q->begin);
        q->end -= q->begin;
        q->begin = 0;
    }
    if (q->capacity - q->end >= bytes) {
        return;
    }
    size_t capacity = q->capacity ? q->capacity : FIRST_QUEUE_BYTES;
    while (capacity - q->end < bytes) {
        capacity *= 2;
    }
    q->data = realloc(q->data, capacity);
    q->capacity = capacity;
    if (!q->data) {
        abort();
    }
}

static void put(struct mini_queue *q, const void *data, size_t bytes)
{
    if (q->capacity - q->end < bytes) {
        queue_reserve(q, bytes);
    }
    if (bytes > 0) {
        memcpy(q->data + q->end, data, bytes);
        q->end += bytes;
    }
}

static void put_u8(struct mini_queue *q, unsigned v)
{
    uint8_t byte = (uint8_t)v;
    put(q, &byte, 1);
}

static void put_u16(struct mini_queue *q, unsigned v)
{
    put_u8(q, v >> 8);
    put_u8(q, v & 0xff);
}

static void put_u32(struct mini_queue *q, uint32_t v)
{
    put_u16(q, v >> 16);
    put_u16(q, v & 0xffff);
}

static void put_varint(struct mini_queue *q, size_t v)
{
    while (v > 127) {
        put_u8(q, (unsigned)(v & 127) | 128);
        v >>= 7;
    }
    put_u8(q, (unsigned)v);
}

static void put_text(struct mini_queue *q, const char *text)
{
    size_t bytes = strlen(text);
    put_u16(q, (unsigned)bytes);
    put(q, text, bytes);
}

/* Links. */

bool mini_address_of(struct mini_address *address, const char *host, const char *port)
{
    struct addrinfo hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM};
    struct addrinfo *found = NULL;
    if (getaddrinfo(host, port, &hints, &found) != 0) {
        return false;
    }
    memcpy(&address->storage, found->ai_addr, found->ai_addrlen);
    address->bytes = found->ai_addrlen;
    freeaddrinfo(found);
    return true;
}

void mini_link_init(struct mini_link *link)
{
    *link = (struct mini_link){.fd = -1};
}

void mini_link_fini(struct mini_link *link)
{
    mini_link_close(link, false);
    free(link->in.data);
    free(link->out.data);
}

bool mini_link_open(struct mini_link *link, const struct mini_address *to,
                    enum mini_version version)
{
    int on = 1;
    link->version = version;
    link->fd = socket(to->storage.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (link->fd < 0) {
        return false;
    }
    setsockopt(link->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    if (connect(link->fd, (const struct sockaddr *)&to->storage, to->bytes) == 0 ||
        errno == EINPROGRESS) {
        return true;
    }
    mini_link_close(link, false);
    return false;
}

void mini_link_close(struct mini_link *link, bool reset)
{
    if (link->fd >= 0) {
        struct linger linger = {.l_onoff = 1, .l_linger = 0};
        if (reset) {
            setsockopt(link->fd, SOL_SOCKET, SO_LINGER, &linger, sizeof linger);
        }
        close(link->fd);
    }
    link->fd = -1;
    link->in.begin = link->in.end = 0;
    link->out.begin = link->out.end = 0;
}

short mini_link_events(const struct mini_link *link)
{
    return (short)(POLLIN | (link->out.end > link->out.begin ? POLLOUT : 0));
}

static bool is_over(ssize_t n)
{
    return n == 0 || (errno != EAGAIN && errno != EINTR && errno != EINPROGRESS);
}

bool mini_link_fill(struct mini_link *link)
{
    queue_reserve(&link->in, READ_BYTES);
    ssize_t n = recv(link->fd, link->in.data + link->in.end, READ_BYTES, 0);
    if (n <= 0) {
        return !is_over(n);
    }
    link->in.end += (size_t)n;
    return true;
}

void mini_link_take(struct mini_link *link, const void *bytes, size_t len)
{
    put(&link->in, bytes, len);
}

bool mini_link_flush(struct mini_link *link)
{
    struct mini_queue *q = &link->out;
    while (q->end > q->begin) {
        ssize_t n = send(link->fd, q->data + q->begin, q->end - q->begin, MSG_NOSIGNAL);
        if (n < 0) {
            return errno == ENOTCONN || !is_over(n);
        }
        q->begin += (size_t)n;
    }
    return true;
}

void mini_link_flush_some(struct mini_link *link, size_t bytes)
{
    if (link->out.end - link->out.begin > bytes) {
        link->out.end = link->out.begin + bytes;
    }
    (void)mini_link_flush(link);
}

/* Packets in. */

struct reader {
    const uint8_t *at;
    const uint8_t *end;
    bool is_short;
};

static unsigned get_u8(struct reader *r)
{
    if (r->at == r->end) {
        r->is_short = true;
        return 0;
    }
    return *r->at++;
}

static unsigned get_u16(struct reader *r)
{
    unsigned high = get_u8(r);
    return high << 8 | get_u8(r);
}

static size_t get_varint(struct reader *r)
{
    size_t v = 0;
    for (unsigned shift = 0; shift < 28; shift += 7) {
        unsigned byte = get_u8(r);
        v |= (size_t)(byte & 127) << shift;
        if (byte < 128) {
            return v;
        }
    }
    r->is_short = true;
    return 0;
}

static struct reader get_part(struct reader *r, size_t bytes)
{
    if ((size_t)(r->end - r->at) < bytes) {
        r->is_short = true;
        bytes = 0;
    }
    struct reader part = {.at = r->at, .end = r->at + bytes};
    r->at += bytes;
    return part;
}

/* The value's size for the properties of a CONNACK, by identifier. */
static bool skip_property(struct reader *r, unsigned id)
{
    static const uint8_t bytes[] = {[0x11] = 4, [0x13] = 2, [0x22] = 2, [0x24] = 1, [0x25] = 1,
                                    [0x27] = 4, [0x28] = 1, [0x29] = 1, [0x2a] = 1};
    if (id == 0x12 || id == 0x15 || id == 0x16 || id == 0x1a || id == 0x1c || id == 0x1f) {
        (void)get_part(r, get_u16(r));
    } else if (id == 0x26) {
        (void)get_part(r, get_u16(r));
        (void)get_part(r, get_u16(r));
    } else if (id < sizeof bytes && bytes[id] > 0) {
        (void)get_part(r, bytes[id]);
    } else {
        return false;
    }
    return !r->is_short;
}

static bool read_connack(struct mini_packet *p, struct reader *r, bool has_properties)
{
    p->session_present = get_u8(r) & 1;
    p->reason = (uint8_t)get_u8(r);
    p->receive_maximum = NO_RECEIVE_MAXIMUM;
    struct reader all = get_part(r, has_properties ? get_varint(r) : 0);
    while (all.at < all.end) {
        unsigned id = get_u8(&all);
        if (id == PROPERTY_RECEIVE_MAXIMUM) {
            p->receive_maximum = (uint16_t)get_u16(&all);
        } else if (!skip_property(&all, id)) {
            return false;
        }
    }
    return !all.is_short;
}

static void read_publish(struct mini_packet *p, struct reader *r, bool has_properties)
{
    struct reader topic = get_part(r, get_u16(r));
    p->topic = topic.at;
    p->topic_bytes = (size_t)(topic.end - topic.at);
    if (p->flags & 6) {
        p->packet_id = (uint16_t)get_u16(r);
    }
    if (has_properties) {
        (void)get_part(r, get_varint(r));
    }
    p->payload = r->at;
    p->payload_bytes = (size_t)(r->end - r->at);
}

static bool read_body(struct mini_packet *p, struct reader *r, enum mini_version version)
{
    switch (p->type) {
    case MINI_CONNACK:
        return read_connack(p, r, version == MINI_V5);
    case MINI_PUBLISH:
        read_publish(p, r, version == MINI_V5);
        return true;
    case MINI_PUBACK:
    case MINI_PUBREC:
    case MINI_PUBREL:
    case MINI_PUBCOMP:
        p->packet_id = (uint16_t)get_u16(r);
        p->reason = r->at < r->end ? (uint8_t)get_u8(r) : 0;
        return true;
    case MINI_SUBACK:
        p->packet_id = (uint16_t)get_u16(r);
        (void)get_part(r, version == MINI_V5 ? get_varint(r) : 0);
        p->reason = (uint8_t)get_u8(r);
        return true;
    case MINI_DISCONNECT:
        p->reason = r->at < r->end ? (uint8_t)get_u8(r) : 0;
        return true;
    case MINI_PINGRESP:
        return r->at == r->end;
    default:
        return false;
    }
}

int mini_link_next(struct mini_link *link, struct mini_packet *packet)
{
    struct mini_queue *q = &link->in;
    struct reader head = {.at = q->data + q->begin, .end = q->data + q->end};
    if (q->end == q->begin) {
        return 0;
    }
    unsigned first = get_u8(&head);
    size_t bytes = get_varint(&head);
    if (head.is_short) {
        return q->end - q->begin < 5 ? 0 : -1;
    }
    struct reader body = get_part(&head, bytes);
    if (head.is_short) {
        return 0;
    }
    q->begin = (size_t)(head.at - q->data);
    *packet = (struct mini_packet){.type = (enum mini_type)(first >> 4), .flags = first & 15};
    return read_body(packet, &body, link->version) && !body.is_short ? 1 : -1;
}

/* Packets out. */

static void put_head(struct mini_queue *q, enum mini_type type, unsigned flags, size_t bytes)
{
    put_u8(q, (unsigned)type << 4 | flags);
    put_varint(q, bytes);
}

void mini_send_connect(struct mini_link *link, const struct mini_connect *connect)
{
    bool is_v5 = link->version == MINI_V5;
    struct mini_queue *q = &link->out;
    put_head(q, MINI_CONNECT, 0, 12 + strlen(connect->client_id) + (is_v5 ? 9 : 0));
    put_text(q, "MQTT");
    put_u8(q, (unsigned)link->version);
    put_u8(q, connect->clean ? 2 : 0);
    put_u16(q, 60);
    if (is_v5) {
        put_u8(q, 8);
        put_u8(q, PROPERTY_EXPIRY);
        put_u32(q, connect->expiry_s);
        put_u8(q, PROPERTY_RECEIVE_MAXIMUM);
        put_u16(q, connect->receive_maximum ? connect->receive_maximum : NO_RECEIVE_MAXIMUM);
    }
    put_text(q, connect->client_id);
}

void mini_send_publish(struct mini_link *link, const struct mini_publish *publish)
{
    struct mini_queue *q = &link->out;
    size_t bytes = 2 + strlen(publish->topic) + publish->payload_bytes +
                   (publish->qos > 0 ? 2 : 0) + (link->version == MINI_V5 ? 1 : 0);
    put_head(q, MINI_PUBLISH, (unsigned)publish->qos << 1 | (publish->dup ? 8 : 0), bytes);
    put_text(q, publish->topic);
    if (publish->qos > 0) {
        put_u16(q, publish->packet_id);
    }
    if (link->version == MINI_V5) {
        put_u8(q, 0);
    }
    put(q, publish->payload, publish->payload_bytes);
}

void mini_send_ack(struct mini_link *link, enum mini_type type, uint16_t packet_id)
{
    put_head(&link->out, type, type == MINI_PUBREL ? 2 : 0, 2);
    put_u16(&link->out, packet_id);
}

void mini_send_refusal(struct mini_link *link, enum mini_type type, uint16_t packet_id,
                       uint8_t reason)
{
    put_head(&link->out, type, 0, 3);
    put_u16(&link->out, packet_id);
    put_u8(&link->out, reason);
}

void mini_send_subscribe(struct mini_link *link, uint16_t packet_id, const char *filter,
                         uint8_t qos)
{
    struct mini_queue *q = &link->out;
    put_head(q, MINI_SUBSCRIBE, 2, 5 + strlen(filter) + (link->version == MINI_V5 ? 1 : 0));
    put_u16(q, packet_id);
    if (link->version == MINI_V5) {
        put_u8(q, 0);
    }
    put_text(q, filter);
    put_u8(q, qos);
}

void mini_send_bare(struct mini_link *link, enum mini_type type)
{
    put_head(&link->out, type, 0, 0);
}

/* The environment. */

uint64_t mini_scaled(uint64_t count, uint64_t long_factor)
{
    const char *scale = getenv("MQB_TEST_SCALE");
    const char *is_long = getenv("MQB_TEST_LONG");
    if (is_long && strcmp(is_long, "1") == 0) {
        return count * long_factor;
    }
    uint64_t percent = scale ? strtoull(scale, NULL, 10) : 100;
    uint64_t scaled = count * percent / 100;
    return scaled > 0 ? scaled : 1;
}

uint64_t mini_seed(void)
{
    const char *seed = getenv("MQB_TEST_SEED");
    return seed ? strtoull(seed, NULL, 10) : 20240229;
}

uint64_t mini_now_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

uint64_t mini_random(uint64_t *state)
{
    uint64_t z = *state += 0x9e3779b97f4a7c15u;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
    z = (z ^ z >> 27) * 0x94d049bb133111ebu;
    return z ^ z >> 31;
}
