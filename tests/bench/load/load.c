/* SPDX-License-Identifier: MIT */
#include "load.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <unistd.h>

#include "topics.h"

_Noreturn void load_die(const char *what)
{
    fprintf(stderr, "load: ");
    perror(what);
    exit(1);
}

void *load_need(void *ptr)
{
    if (!ptr)
        load_die("memory");
    return ptr;
}

/* Deliveries of one publish. */
static uint64_t fan_of(const struct options *o)
{
    switch (o->scenario) {
    case FANIN:
    case FANOUT:
    case OFFLINE:
        return o->subscribers;
    case WILDCARD:
        return o->matches;
    case RETAIN:
    case CONN:
        return 0;
    default:
        return 1;
    }
}

/* Deliveries that may be outstanding: the window of all publishers, but no more than so many bytes.
 * QoS 1 and 2 have a window of their own in each publisher, the acknowledgements'. */
static uint64_t outstanding_of(const struct options *o, uint64_t fan)
{
    if (fan == 0)
        return 0;
    uint64_t messages = o->window * o->publishers * (o->publish_qos ? 2 : 1);
    uint64_t most = o->outstanding_bytes / (fan * (o->payload_bytes + 32));
    messages = messages < most ? messages : most;
    return (messages ? messages : 1) * fan;
}

static void allow_descriptors(uint64_t count)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur >= count)
        return;
    limit.rlim_cur = count < limit.rlim_max ? count : limit.rlim_max;
    if (limit.rlim_cur < count || setrlimit(RLIMIT_NOFILE, &limit) != 0)
        load_die("not enough file descriptors (ulimit -n)");
}

static void init_client(struct load *l, uint32_t index)
{
    struct client *c = &l->clients[index];
    c->fd = -1;
    c->is_publisher = index < l->publisher_count;
    c->number = c->is_publisher ? index : index - l->publisher_count;
    if (c->is_publisher) {
        publisher_init(l, c);
        return;
    }
    bool has_one = l->o->scenario == P2P || l->o->scenario == LATENCY;
    uint32_t orders = has_one ? 1 : l->publisher_count;
    c->filters_wanted = filter_count(l, c->number);
    c->is_durable = l->o->scenario == OFFLINE;
    if (orders)
        c->orders = load_need(calloc(orders, sizeof(*c->orders)));
}

struct load *load_new(const struct options *o)
{
    struct load *l = load_need(calloc(1, sizeof(*l)));
    l->o = o;
    l->publisher_count = (uint32_t)o->publishers;
    l->subscriber_count = (uint32_t)o->subscribers;
    l->client_count = l->publisher_count + l->subscriber_count;
    allow_descriptors((uint64_t)l->client_count + 64);
    l->address = (struct sockaddr_in){.sin_family = AF_INET, .sin_port = htons((uint16_t)o->port)};
    l->epoll = epoll_create1(EPOLL_CLOEXEC);
    if (inet_pton(AF_INET, o->host, &l->address.sin_addr) != 1 || l->epoll < 0)
        load_die("--host");
    l->magic = (uint32_t)machine_now_ns() * 2654435761u ^ (uint32_t)getpid();
    l->random = 0x9e3779b97f4a7c15u;
    l->queue_tail = &l->queue_head;
    l->fan = fan_of(o);
    l->outstanding_max = outstanding_of(o, l->fan);
    l->counts_expected = o->scenario != OFFLINE;
    l->input = load_need(malloc(BUFFER_BYTES));
    l->output = load_need(malloc(BUFFER_BYTES));
    l->clients = load_need(calloc(l->client_count, sizeof(*l->clients)));
    if (o->scenario == SHARED || o->scenario == RETAIN)
        l->seen = load_need(calloc(l->client_count, sizeof(*l->seen)));
    for (uint32_t i = 0; i < l->client_count; i++)
        init_client(l, i);
    l->calibration_us = machine_calibrate();
    return l;
}

static void fini_client(struct load *l, struct client *c)
{
    client_disconnect(l, c);
    if (c->publisher) {
        free(c->publisher->packet);
        free(c->publisher->id_state);
        free(c->publisher->id_sent_ns);
        free(c->publisher);
    }
    free(c->partial);
    free(c->unsent.data);
    free(c->orders);
}

void load_free(struct load *l)
{
    for (uint32_t i = 0; i < l->client_count; i++) {
        fini_client(l, &l->clients[i]);
        if (l->seen)
            seen_fini(&l->seen[i]);
    }
    free(l->seen);
    free(l->clients);
    free(l->input);
    free(l->output);
    close(l->epoll);
    free(l);
}
