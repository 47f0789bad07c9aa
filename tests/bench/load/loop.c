/* SPDX-License-Identifier: MIT */
/*
 * The one loop: opens connections, publishes, reads; and what waits for something to have happened.
 */
#include <stdlib.h>
#include <sys/epoll.h>
#include <time.h>

#include "load.h"

#define TURN_NS 20000000u
#define EVENTS 512
#define STALL_NS 1000000000u

static double seconds_since(uint64_t began_ns)
{
    return (double)(machine_now_ns() - began_ns) / 1e9;
}

static void open_some(struct load *l)
{
    while (l->to_open < l->open_end && l->opening < l->o->connecting)
        client_open(l, &l->clients[l->to_open++]);
}

void loop_turn(struct load *l, uint64_t wait_ns)
{
    struct epoll_event events[EVENTS];
    open_some(l);
    if (l->is_publishing)
        wait_ns = publish_turn(l, wait_ns);
    struct timespec wait = {.tv_sec = (time_t)(wait_ns / 1000000000u),
                            .tv_nsec = (long)(wait_ns % 1000000000u)};
    int count = epoll_pwait2(l->epoll, events, EVENTS, &wait, NULL);
    for (int i = 0; i < count; i++) {
        struct client *c = events[i].data.ptr;
        if (c->fd >= 0 && events[i].events & (EPOLLIN | EPOLLERR | EPOLLHUP))
            client_read(l, c);
        if (c->fd >= 0 && c->is_blocked && events[i].events & EPOLLOUT)
            client_flush(l, c);
    }
}

void loop_for(struct load *l, double seconds)
{
    uint64_t began_ns = machine_now_ns();
    while (seconds_since(began_ns) < seconds)
        loop_turn(l, TURN_NS);
}

bool loop_connect(struct load *l, uint32_t first, uint32_t end)
{
    uint64_t began_ns = machine_now_ns();
    uint32_t wanted = l->ready + (end - first);
    l->to_open = first;
    l->open_end = end;
    while ((l->to_open < l->open_end || l->opening > 0) &&
           seconds_since(began_ns) < l->o->timeout_s)
        loop_turn(l, TURN_NS);
    l->to_open = l->open_end;
    return l->ready >= wanted;
}

/* Whether anything has arrived or gone out since the last call. */
struct progress {
    uint64_t received, published;
    uint64_t at_ns;
};

static void look(const struct load *l, struct progress *p)
{
    if (p->at_ns && p->received == l->counts.received && p->published == l->counts.published)
        return;
    p->received = l->counts.received;
    p->published = l->counts.published;
    p->at_ns = machine_now_ns();
}

/* What does not arrive must not hold the others up for ever: it is lost, and so counted. */
static void forgive(struct load *l, struct progress *p)
{
    struct counts *n = &l->counts;
    if (l->o->rate > 0 || machine_now_ns() - p->at_ns < STALL_NS)
        return;
    if (n->expected > n->received + n->forgiven) {
        n->forgiven = n->expected - n->received;
        n->stalls++;
    }
    p->at_ns = machine_now_ns();
}

void loop_publish(struct load *l, uint64_t count, double seconds)
{
    struct progress progress = {0};
    uint64_t began_ns = machine_now_ns();
    uint32_t clients = l->ready;
    l->publish_end = count ? l->counts.published + count : UINT64_MAX;
    l->is_publishing = true;
    while (l->counts.published < l->publish_end && l->ready == clients) {
        double left_s = (count ? l->o->timeout_s : seconds) - seconds_since(began_ns);
        if (left_s <= 0)
            break;
        loop_turn(l, left_s < 0.02 ? (uint64_t)(left_s * 1e9) : TURN_NS);
        look(l, &progress);
        forgive(l, &progress);
    }
    l->is_publishing = false;
}

static bool publishers_are_done(const struct load *l)
{
    for (uint32_t i = 0; i < l->publisher_count; i++) {
        const struct client *c = &l->clients[i];
        if (c->stage == READY && (c->is_blocked || c->publisher->in_flight || !c->is_answered))
            return false;
    }
    return true;
}

void loop_drain(struct load *l)
{
    struct progress progress = {0};
    for (uint32_t i = 0; i < l->publisher_count; i++)
        client_ping(l, &l->clients[i]); /* answered when all before it is taken */
    bool is_done = false;
    while (!is_done) {
        loop_turn(l, TURN_NS / 20);
        look(l, &progress);
        bool has_all = !l->counts_expected || l->counts.received >= l->counts.expected;
        is_done = has_all && publishers_are_done(l);
        if (seconds_since(progress.at_ns) > l->o->drain_s)
            break;
    }
}

uint64_t loop_receive(struct load *l, uint64_t received)
{
    struct progress progress = {0};
    look(l, &progress);
    while (l->counts.received < received && seconds_since(progress.at_ns) <= l->o->drain_s) {
        loop_turn(l, TURN_NS);
        look(l, &progress);
    }
    return progress.at_ns;
}
