/* SPDX-License-Identifier: MIT */
/*
 *     order_exactly_once HOST PORT
 *
 * 50 publishers and 50 subscribers with durable sessions at QoS 0, 1 and 2, whose connections are
 * cut at random, torn, reset or left behind, and resumed. Fails when a QoS 1 message is lost, a QoS
 * 2 message lost or doubled, or any of a stream comes out of order. Works against any broker whose
 * queues hold what is published meanwhile; MQB_TEST_CUTS=n cuts each
 * connection n times (24), MQB_TEST_NO_RECEIVE_MAXIMUM=1 is for one that is known not
 * to keep to Receive Maximum. One thread.
 */
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "publisher.h"
#include "subscriber.h"

enum { PUBLISHERS = 50, SUBSCRIBERS = 50, ACTORS = PUBLISHERS + SUBSCRIBERS };
enum { MESSAGES_EACH = 200, LONG_FACTOR = 20, CUTS_EACH = 24, STALLED_MS = 30000, POLL_MS = 5 };

struct test {
    struct crowd crowd;
    struct publisher publishers[PUBLISHERS];
    struct subscriber subscribers[SUBSCRIBERS];
    struct actor *actors[ACTORS];
    size_t actor_count; /* those that take part already */
};

static void turn(struct test *t)
{
    struct pollfd fds[ACTORS];
    uint64_t now_ms = mini_now_ms();
    for (size_t i = 0; i < t->actor_count; i++) {
        struct actor *a = t->actors[i];
        actor_before_poll(a, now_ms);
        fds[i] = (struct pollfd){.fd = a->link.fd, .events = mini_link_events(&a->link)};
    }
    (void)poll(fds, t->actor_count, POLL_MS);
    for (size_t i = 0; i < t->actor_count; i++) {
        actor_after_poll(t->actors[i], fds[i].revents);
    }
    (void)crowd_bury(&t->crowd);
}

/* Turns until `is_reached`; false when nothing was received for long, or too much is wrong. */
static bool run_until(struct test *t, bool (*is_reached)(struct test *), const char *what)
{
    uint64_t packets = t->crowd.packets;
    uint64_t since_ms = mini_now_ms();
    while (!is_reached(t)) {
        turn(t);
        if (t->crowd.packets != packets) {
            packets = t->crowd.packets;
            since_ms = mini_now_ms();
        }
        if (mini_now_ms() - since_ms > STALLED_MS || t->crowd.faults > 1000) {
            crowd_fault(&t->crowd, NULL, "stalled: %s", what);
            return false;
        }
    }
    return true;
}

static bool all_subscribed(struct test *t)
{
    for (size_t i = 0; i < SUBSCRIBERS; i++) {
        if (!t->subscribers[i].is_subscribed) {
            return false;
        }
    }
    return true;
}

static bool all_published(struct test *t)
{
    for (size_t i = 0; i < PUBLISHERS; i++) {
        if (!publisher_is_done(&t->publishers[i])) {
            return false;
        }
    }
    return true;
}

static bool all_received(struct test *t)
{
    for (unsigned i = 0; i < SUBSCRIBERS; i++) {
        struct message_id first;
        if (ledger_missing(t->crowd.ledger, i, t->subscribers[i].group, &first) > 0) {
            return false;
        }
    }
    return all_published(t);
}

/* What comes too much comes before the answer to a PINGREQ. */
static bool all_quiet(struct test *t)
{
    for (size_t i = 0; i < SUBSCRIBERS; i++) {
        if (!t->subscribers[i].has_pong) {
            return false;
        }
    }
    return true;
}

static bool all_buried(struct test *t)
{
    return crowd_bury(&t->crowd);
}

static void tell_missing(struct test *t)
{
    for (unsigned i = 0; i < SUBSCRIBERS; i++) {
        struct message_id id;
        uint64_t missing = ledger_missing(t->crowd.ledger, i, t->subscribers[i].group, &id);
        if (missing > 0) {
            crowd_fault(&t->crowd, &t->subscribers[i].actor,
                        "%llu lost, the first: publisher %u, group %u, QoS %u, number %u",
                        (unsigned long long)missing, id.publisher, id.group, id.qos, id.number);
        }
    }
    for (unsigned i = 0; i < PUBLISHERS; i++) {
        const struct publisher *p = &t->publishers[i];
        if (!publisher_is_done(p)) {
            crowd_fault(&t->crowd, &p->actor, "%u messages not acknowledged, phase %d",
                        p->flight_count, (int)p->actor.phase);
        }
    }
}

static void run(struct test *t)
{
    t->actor_count = SUBSCRIBERS;
    if (!run_until(t, all_subscribed, "subscribing")) {
        return;
    }
    t->actor_count = ACTORS;
    t->crowd.may_cut = true;
    if (!run_until(t, all_received, "publishing")) {
        tell_missing(t);
        return;
    }
    t->crowd.may_cut = false;
    for (size_t i = 0; i < SUBSCRIBERS; i++) {
        t->subscribers[i].wants_pong = true;
    }
    (void)(run_until(t, all_quiet, "waiting for PINGRESP") &&
           run_until(t, all_buried, "connections taken over are still open"));
}

static void init(struct test *t, uint32_t messages_each)
{
    const char *cuts = getenv("MQB_TEST_CUTS");
    t->crowd.random = mini_seed();
    t->crowd.cuts_each = cuts ? (unsigned)strtoul(cuts, NULL, 10) : CUTS_EACH;
    t->crowd.run = (unsigned)getpid();
    t->crowd.ledger = ledger_new(PUBLISHERS, SUBSCRIBERS, messages_each);
    for (unsigned i = 0; i < SUBSCRIBERS; i++) {
        subscriber_init(&t->subscribers[i], &t->crowd, i);
        t->actors[i] = &t->subscribers[i].actor;
    }
    for (unsigned i = 0; i < PUBLISHERS; i++) {
        publisher_init(&t->publishers[i], &t->crowd, i, messages_each);
        t->actors[SUBSCRIBERS + i] = &t->publishers[i].actor;
    }
}

static void fini(struct test *t)
{
    for (unsigned i = 0; i < SUBSCRIBERS; i++) {
        subscriber_fini(&t->subscribers[i]);
    }
    for (unsigned i = 0; i < PUBLISHERS; i++) {
        actor_fini(&t->publishers[i].actor);
    }
    ledger_free(t->crowd.ledger);
}

int main(int argc, char **argv)
{
    static struct test t;
    if (argc != 3 || !mini_address_of(&t.crowd.address, argv[1], argv[2])) {
        fprintf(stderr, "usage: order_exactly_once HOST PORT\n");
        return 2;
    }
    uint32_t messages_each = (uint32_t)mini_scaled(MESSAGES_EACH, LONG_FACTOR);
    uint64_t start_ms = mini_now_ms();
    init(&t, messages_each);
    printf("seed %llu, %u messages\n", (unsigned long long)mini_seed(), messages_each * PUBLISHERS);
    run(&t);
    printf("%llu packets in %llu ms, %llu cuts, %llu sent again, %llu faults\n",
           (unsigned long long)t.crowd.packets, (unsigned long long)(mini_now_ms() - start_ms),
           (unsigned long long)t.crowd.cuts, (unsigned long long)t.crowd.redelivered,
           (unsigned long long)t.crowd.faults);
    fini(&t);
    return t.crowd.faults > 0 ? 1 : 0;
}
