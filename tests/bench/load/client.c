/* SPDX-License-Identifier: MIT */
/*
 * A connection from its socket to its last SUBACK, and what goes out on it.
 */
#include <errno.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "load.h"
#include "topics.h"
#include "wire.h"

#define SUBSCRIBE_FILTERS 50u /* in one packet */
#define SESSION_EXPIRY_S 3600u

static void watch(struct load *l, struct client *c, int operation, uint32_t events)
{
    struct epoll_event event = {.events = events, .data.ptr = c};
    if (epoll_ctl(l->epoll, operation, c->fd, &event) != 0)
        load_die("epoll_ctl");
}

void client_close(struct load *l, struct client *c)
{
    if (c->fd >= 0)
        close(c->fd);
    c->fd = -1;
    if (c->stage == READY)
        l->ready--;
    else if (c->stage != CLOSED)
        l->opening--;
    c->stage = CLOSED;
    c->is_blocked = false;
    c->partial_bytes = 0;
    c->unsent.begin = c->unsent.end = 0;
}

void client_lost(struct load *l, struct client *c)
{
    if (c->stage == READY)
        l->counts.disconnected++;
    else if (c->stage != CLOSED)
        l->counts.failed_connects++;
    client_close(l, c);
}

/* --- bytes out ------------------------------------------------------------------------------- */

static void keep_unsent(struct load *l, struct client *c, const uint8_t *data, size_t length)
{
    struct unsent *u = &c->unsent;
    if (u->begin > 0) {
        memmove(u->data, u->data + u->begin, u->end - u->begin);
        u->end -= u->begin;
        u->begin = 0;
    }
    if (u->end + length > u->capacity) {
        u->capacity = (u->end + length) * 2;
        u->data = load_need(realloc(u->data, u->capacity));
    }
    memcpy(u->data + u->end, data, length);
    u->end += length;
    if (!c->is_blocked) {
        c->is_blocked = true;
        watch(l, c, EPOLL_CTL_MOD, EPOLLIN | EPOLLOUT);
    }
}

/* What the socket took, or -1: the connection is closed. A socket that still connects takes
 * nothing. */
static ssize_t try_send(struct load *l, struct client *c, const uint8_t *data, size_t length)
{
    ssize_t sent = send(c->fd, data, length, MSG_NOSIGNAL | MSG_DONTWAIT);
    if (sent >= 0)
        return sent;
    if (errno == EAGAIN || errno == EINTR || errno == ENOTCONN || errno == EINPROGRESS)
        return 0;
    client_lost(l, c);
    return -1;
}

void client_write(struct load *l, struct client *c, const uint8_t *data, size_t length)
{
    ssize_t sent = 0;
    if (c->fd < 0)
        return;
    if (!c->is_blocked)
        sent = try_send(l, c, data, length);
    if (sent >= 0 && (size_t)sent < length)
        keep_unsent(l, c, data + sent, length - (size_t)sent);
}

void client_flush(struct load *l, struct client *c)
{
    struct unsent *u = &c->unsent;
    ssize_t sent = try_send(l, c, u->data + u->begin, u->end - u->begin);
    if (sent < 0)
        return;
    u->begin += (size_t)sent;
    if (u->begin < u->end)
        return;
    u->begin = u->end = 0;
    c->is_blocked = false;
    watch(l, c, EPOLL_CTL_MOD, EPOLLIN);
    publisher_queue(l, c);
}

/* --- packets out ----------------------------------------------------------------------------- */

static uint8_t *connect_properties(const struct load *l, const struct client *c, uint8_t *at)
{
    if (l->o->version != 5)
        return at;
    if (!c->is_durable)
        return put_varint(at, 0);
    at = put_varint(at, 5);
    *at++ = 0x11; /* Session Expiry Interval */
    return put_u32(at, SESSION_EXPIRY_S);
}

static void send_packet(struct load *l, struct client *c, uint8_t first, uint8_t *body,
                        uint8_t *end)
{
    uint8_t head[5];
    head[0] = first;
    size_t length = (size_t)(put_varint(head + 1, (uint32_t)(end - body)) - head);
    memcpy(body - length, head, length); /* callers leave room */
    client_write(l, c, body - length, (size_t)(end - body) + length);
}

static void send_connect(struct load *l, struct client *c)
{
    char id[TOPIC_BYTES];
    uint8_t packet[TOPIC_BYTES + 64];
    uint8_t *body = packet + 8;
    snprintf(id, sizeof(id), "%s-%c%u", l->o->id, c->is_publisher ? 'p' : 's', c->number);
    uint8_t *at = put_text(body, "MQTT");
    *at++ = (uint8_t)l->o->version;
    *at++ = c->is_durable ? 0 : 2; /* clean session, clean start */
    at = put_u16(at, (uint32_t)l->o->keep_alive_s);
    at = connect_properties(l, c, at);
    send_packet(l, c, CONNECT << 4, body, put_text(at, id));
}

void client_subscribe(struct load *l, struct client *c)
{
    uint32_t count = c->filters_wanted - c->filters_sent;
    if (count == 0)
        return;
    if (count > SUBSCRIBE_FILTERS)
        count = SUBSCRIBE_FILTERS;
    uint8_t packet[SUBSCRIBE_FILTERS * (TOPIC_BYTES + 3) + 16];
    uint8_t *body = packet + 8;
    if (++c->subscribe_id == 0)
        c->subscribe_id = 1;
    uint8_t *at = put_u16(body, c->subscribe_id);
    if (l->o->version == 5)
        *at++ = 0;
    while (count-- > 0) {
        char filter[TOPIC_BYTES];
        filter_write(l, c->number, c->filters_sent++, filter);
        at = put_text(at, filter);
        *at++ = (uint8_t)l->o->subscribe_qos;
    }
    send_packet(l, c, SUBSCRIBE << 4 | 2, body, at);
}

void client_ping(struct load *l, struct client *c)
{
    static const uint8_t PACKET[] = {PINGREQ << 4, 0};
    c->is_answered = false;
    client_write(l, c, PACKET, sizeof(PACKET));
}

void client_disconnect(struct load *l, struct client *c)
{
    static const uint8_t PACKET[] = {DISCONNECT << 4, 0};
    if (c->fd >= 0)
        client_write(l, c, PACKET, sizeof(PACKET));
    client_close(l, c);
}

/* --- life ------------------------------------------------------------------------------------ */

void client_ready(struct load *l, struct client *c)
{
    c->stage = READY;
    l->opening--;
    l->ready++;
    histogram_add(&l->connected, machine_now_ns() - c->opened_ns);
    publisher_queue(l, c);
}

void client_open(struct load *l, struct client *c)
{
    int on = 1;
    c->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (c->fd < 0)
        load_die("socket");
    setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    c->stage = CONNECTING;
    c->opened_ns = machine_now_ns();
    c->filters_sent = c->filters_granted = 0;
    c->partial_bytes = 0;
    l->opening++;
    if (connect(c->fd, (struct sockaddr *)&l->address, sizeof(l->address)) != 0 &&
        errno != EINPROGRESS) {
        client_lost(l, c);
        return;
    }
    watch(l, c, EPOLL_CTL_ADD, EPOLLIN);
    send_connect(l, c);
}
