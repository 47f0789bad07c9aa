/* SPDX-License-Identifier: MIT */
/*
 *     takeover_storm HOST PORT
 *
 * Eight connections at once want the same client id, again and again: 10,000 takeovers. Every
 * CONNACK must find the session; whoever had got one must be told 0x8E before it is closed
 * ([MQTT-3.1.4-3]); at the end one connection is left, and one session with its subscription, to
 * which a message comes once. One thread.
 */
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "mini_mqtt.h"

enum { FIGHTERS = 8, TAKEOVERS = 10000, LONG_FACTOR = 10, FAULTS_SHOWN = 20, POLL_MS = 100 };
enum { STALLED_MS = 30000, EXPIRY_S = 3600, TAKEN_OVER = 0x8e, ID_BYTES = 48 };

enum fighter_state { AWAY, GREETING, HOLDS, TOLD };

struct fighter {
    struct mini_link link;
    enum fighter_state state;
    bool has_pong;
    unsigned messages;
};

struct test {
    struct mini_address address;
    char id[ID_BYTES];
    char topic[ID_BYTES];
    struct fighter fighters[FIGHTERS];
    uint64_t takeovers;
    uint64_t opening_closed; /* taken over before their CONNACK */
    uint64_t faults;
    uint64_t progress_ms;
};

static void fault(struct test *t, const char *format, ...) __attribute__((format(printf, 2, 3)));

static void fault(struct test *t, const char *format, ...)
{
    if (t->faults++ < FAULTS_SHOWN) {
        va_list args;
        va_start(args, format);
        vfprintf(stderr, format, args);
        fputc('\n', stderr);
        va_end(args);
    }
}

static void come(struct test *t, struct fighter *f, enum mini_version version, bool clean)
{
    f->state = AWAY;
    f->has_pong = false;
    f->messages = 0;
    if (!mini_link_open(&f->link, &t->address, version)) {
        fault(t, "cannot connect");
        return;
    }
    f->state = GREETING;
    mini_send_connect(
        &f->link, &(struct mini_connect){.client_id = t->id, .expiry_s = EXPIRY_S, .clean = clean});
}

static void take_connack(struct test *t, struct fighter *f, const struct mini_packet *p,
                         bool has_session)
{
    if (f->state != GREETING || p->reason != 0 || p->session_present != has_session) {
        fault(t, "CONNACK with code %u, session present %d, in state %d", p->reason,
              p->session_present, (int)f->state);
    }
    f->state = HOLDS;
    t->takeovers++;
}

static void take(struct test *t, struct fighter *f, const struct mini_packet *p, bool has_session)
{
    t->progress_ms = mini_now_ms();
    if (p->type == MINI_CONNACK) {
        take_connack(t, f, p, has_session);
    } else if (p->type == MINI_DISCONNECT && f->state == HOLDS && p->reason == TAKEN_OVER) {
        f->state = TOLD;
    } else if (p->type == MINI_PUBLISH && f->state == HOLDS) {
        f->messages++;
        mini_send_ack(&f->link, MINI_PUBACK, p->packet_id);
    } else if (p->type == MINI_PINGRESP || p->type == MINI_SUBACK) {
        f->has_pong = true;
    } else if (p->type != MINI_PUBACK) {
        fault(t, "packet of type %d, reason %u, in state %d", (int)p->type, p->reason,
              (int)f->state);
    }
}

static void close_fighter(struct test *t, struct fighter *f)
{
    if (f->state == HOLDS && f->link.version == MINI_V5) {
        fault(t, "closed without DISCONNECT 0x8E");
    }
    t->opening_closed += f->state == GREETING;
    /* The broker has closed its side: a reset spares both a socket in TIME_WAIT. */
    mini_link_close(&f->link, true);
    f->state = AWAY;
}

static void serve(struct test *t, struct fighter *f, short revents, bool has_session)
{
    struct mini_packet p;
    int got = 0;
    if (f->state == AWAY) {
        return;
    }
    bool is_alive = true;
    if (revents & (POLLIN | POLLHUP | POLLERR)) {
        is_alive = mini_link_fill(&f->link);
        while ((got = mini_link_next(&f->link, &p)) > 0) {
            take(t, f, &p, has_session);
        }
    }
    if (got < 0) {
        fault(t, "what came is not MQTT");
    }
    (void)mini_link_flush(&f->link);
    if (!is_alive) {
        close_fighter(t, f);
    }
}

/* Flushes, waits and serves everybody once; false when nothing has moved for long. */
static bool turn(struct test *t, struct fighter *all, size_t count, bool has_session)
{
    struct pollfd fds[FIGHTERS];
    for (size_t i = 0; i < count; i++) {
        fds[i] = (struct pollfd){.fd = all[i].link.fd, .events = mini_link_events(&all[i].link)};
        if (all[i].state != AWAY) {
            (void)mini_link_flush(&all[i].link);
        }
    }
    (void)poll(fds, count, POLL_MS);
    for (size_t i = 0; i < count; i++) {
        serve(t, &all[i], fds[i].revents, has_session);
    }
    if (mini_now_ms() - t->progress_ms > STALLED_MS) {
        fault(t, "stalled after %llu takeovers", (unsigned long long)t->takeovers);
        return false;
    }
    return true;
}

/* One connection alone, until it has its CONNACK. */
static bool greet(struct test *t, struct fighter *f, bool clean, bool has_session)
{
    come(t, f, MINI_V5, clean);
    while (f->state == GREETING && turn(t, f, 1, has_session)) {
    }
    return f->state == HOLDS;
}

/* PINGREQ (or whatever was queued before) and its answer: all that was due before has come. */
static bool settle(struct test *t, struct fighter *f)
{
    f->has_pong = false;
    mini_send_bare(&f->link, MINI_PINGREQ);
    while (!f->has_pong && f->state == HOLDS && turn(t, f, 1, true)) {
    }
    return f->has_pong;
}

static void leave(struct fighter *f)
{
    mini_link_close(&f->link, false);
    f->state = AWAY;
}

/* A durable session with one subscription, and nobody connected. */
static bool prepare(struct test *t)
{
    struct fighter *f = &t->fighters[0];
    if (!greet(t, f, true, false)) {
        return false;
    }
    mini_send_subscribe(&f->link, 1, t->topic, 1);
    f->has_pong = false;
    while (!f->has_pong && turn(t, f, 1, false)) {
    }
    bool is_subscribed = f->has_pong;
    leave(f);
    return is_subscribed;
}

/* Every fighter that is closed comes again, until there were enough takeovers. */
static bool storm(struct test *t, uint64_t takeovers)
{
    t->takeovers = 0;
    while (t->takeovers < takeovers) {
        for (size_t i = 0; i < FIGHTERS; i++) {
            if (t->fighters[i].state == AWAY) {
                come(t, &t->fighters[i], i % 4 == 3 ? MINI_V311 : MINI_V5, false);
            }
        }
        if (!turn(t, t->fighters, FIGHTERS, true)) {
            return false;
        }
    }
    return true;
}

static size_t count_alive(const struct test *t)
{
    size_t alive = 0;
    for (size_t i = 0; i < FIGHTERS; i++) {
        alive += t->fighters[i].state != AWAY;
    }
    return alive;
}

/* Nobody comes any more: one connection holds on, the others are closed. */
static struct fighter *survivor(struct test *t)
{
    while (count_alive(t) > 1 && turn(t, t->fighters, FIGHTERS, true)) {
    }
    for (size_t i = 0; i < FIGHTERS; i++) {
        struct fighter *f = &t->fighters[i];
        while (f->state == GREETING && turn(t, t->fighters, FIGHTERS, true)) {
        }
        if (f->state == HOLDS) {
            return f;
        }
    }
    fault(t, "no connection is left");
    return NULL;
}

/* Publishes through its own session, and counts what comes back. */
static void expect_one_message(struct test *t, struct fighter *f)
{
    uint8_t payload[] = "once";
    f->messages = 0;
    mini_send_publish(&f->link, &(struct mini_publish){.topic = t->topic,
                                                       .payload = payload,
                                                       .payload_bytes = sizeof payload - 1,
                                                       .packet_id = 9,
                                                       .qos = 1});
    while (f->messages == 0 && f->state == HOLDS && turn(t, f, 1, true)) {
    }
    if (!settle(t, f) || f->messages != 1) {
        fault(t, "%u messages came, not one", f->messages);
    }
}

static void run(struct test *t, uint64_t takeovers)
{
    struct fighter *f = NULL;
    if (!prepare(t) || !storm(t, takeovers) || !(f = survivor(t))) {
        fault(t, "the storm did not end well");
        return;
    }
    expect_one_message(t, f);
    leave(f);
    if (greet(t, f, false, true)) { /* [MQTT-3.2.2-3]: session present */
        expect_one_message(t, f);
        leave(f);
    }
    if (greet(t, f, true, false)) {
        leave(f);
    }
    /* Clean start removed the subscription: nothing of the old session is left. */
    if (greet(t, f, false, true) && settle(t, f) && f->messages != 0) {
        fault(t, "a message of the session that was removed");
    }
    leave(f);
}

int main(int argc, char **argv)
{
    static struct test t;
    if (argc != 3 || !mini_address_of(&t.address, argv[1], argv[2])) {
        fprintf(stderr, "usage: takeover_storm HOST PORT\n");
        return 2;
    }
    uint64_t start_ms = mini_now_ms();
    t.progress_ms = start_ms;
    snprintf(t.id, sizeof t.id, "storm-%ld", (long)getpid());
    snprintf(t.topic, sizeof t.topic, "storm/%ld", (long)getpid());
    for (size_t i = 0; i < FIGHTERS; i++) {
        mini_link_init(&t.fighters[i].link);
    }
    run(&t, mini_scaled(TAKEOVERS, LONG_FACTOR));
    printf("%llu takeovers in %llu ms, %llu closed before CONNACK, %llu faults\n",
           (unsigned long long)t.takeovers, (unsigned long long)(mini_now_ms() - start_ms),
           (unsigned long long)t.opening_closed, (unsigned long long)t.faults);
    for (size_t i = 0; i < FIGHTERS; i++) {
        mini_link_fini(&t.fighters[i].link);
    }
    return t.faults > 0 ? 1 : 0;
}
