/* SPDX-License-Identifier: MIT */
/*
 * The load: clients on sockets of one thread, which never leave more than a window of messages
 * outstanding, so that what is measured is what was delivered. It shares no code with the library,
 * so that a fault of the codec cannot hide itself.
 *
 * A payload begins with 24 bytes: what tells this run from others, publisher, sequence number (from
 * 0, per publisher), time of sending.
 */
#ifndef BENCH_LOAD_LOAD_H
#define BENCH_LOAD_LOAD_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "check.h"
#include "histogram.h"
#include "machine.h"
#include "options.h"

#define MESSAGE_HEADER 24u
#define BUFFER_BYTES (512u << 10) /* for what is read, and for what one burst is */

enum stage { CLOSED, CONNECTING, SUBSCRIBING, READY };

/* Unsent bytes. */
struct unsent {
    uint8_t *data;
    size_t begin, end, capacity;
};

enum publish_state { ID_FREE, ID_SENT, ID_RELEASED };

/* What a publisher has besides. */
struct publisher {
    uint8_t *packet; /* a whole PUBLISH; topic's digits, packet id and header change */
    size_t packet_bytes, topic_end, id_at, payload_at;
    uint64_t next_sequence;
    uint32_t in_flight, in_flight_max; /* QoS 1 and 2 */
    uint32_t last_id, id_max;
    uint8_t *id_state;    /* by packet id */
    uint64_t *id_sent_ns; /* likewise */
};

struct client {
    int fd;
    uint32_t number;
    enum stage stage;
    bool is_publisher;
    bool is_blocked;  /* the socket takes no more: the rest is in .unsent */
    bool is_queued;   /* in the queue of publishers that can send */
    bool is_durable;  /* the session outlives the connection */
    bool is_present;  /* CONNACK: the session was there */
    bool is_answered; /* PINGRESP has come */
    uint16_t subscribe_id;
    uint32_t filters_wanted, filters_sent, filters_granted;
    uint64_t opened_ns;
    uint8_t *partial; /* a packet that has not come whole */
    size_t partial_bytes, partial_capacity;
    struct unsent unsent;
    struct order *orders; /* of a subscriber, by publisher */
    struct publisher *publisher;
    struct client *next_queued;
};

struct counts {
    uint64_t published, expected, received;
    uint64_t twice, out_of_order, late, foreign;
    uint64_t protocol_errors, refused, disconnected, failed_connects;
    uint64_t granted, forgiven, stalls;
};

struct load {
    const struct options *o;
    struct sockaddr_in address;
    int epoll;
    uint32_t magic;
    uint64_t random;
    struct client *clients; /* publishers, then subscribers */
    uint32_t publisher_count, subscriber_count, client_count;
    uint32_t to_open, open_end; /* clients to open next */
    uint32_t opening, ready;
    struct client *queue_head, **queue_tail;
    bool is_publishing, is_measuring;
    bool counts_expected;     /* whether each publish is delivered at once */
    uint64_t fan;             /* deliveries per publish */
    uint64_t outstanding_max; /* deliveries */
    uint64_t publish_end;     /* .counts.published never exceeds this */
    uint64_t rate_began_ns, rate_sent;
    uint64_t rate_lag_ns; /* the worst delay behind the schedule */
    struct counts counts;
    struct seen *seen; /* shared: by publisher; retain: by subscriber */
    struct histogram latency, acknowledged, connected;
    double calibration_us;
    uint8_t *input, *output;
    size_t acks_bytes;
    uint8_t acks[16384];
};

/* load.c */
_Noreturn void load_die(const char *what);
void *load_need(void *ptr); /* or dies */
struct load *load_new(const struct options *o);
void load_free(struct load *l);

/* client.c: a connection. */
void client_open(struct load *l, struct client *c);
void client_close(struct load *l, struct client *c);
void client_lost(struct load *l, struct client *c); /* closed by what it did not want */
void client_write(struct load *l, struct client *c, const uint8_t *data, size_t length);
void client_flush(struct load *l, struct client *c);
void client_disconnect(struct load *l, struct client *c);
void client_ping(struct load *l, struct client *c);
void client_subscribe(struct load *l, struct client *c);
void client_ready(struct load *l, struct client *c);

/* receive.c */
void client_read(struct load *l, struct client *c);

/* publish.c */
void publisher_init(struct load *l, struct client *c);
void publisher_connected(struct load *l, struct client *c, uint32_t receive_maximum);
void publisher_queue(struct load *l, struct client *c);
/* Publishes what may go now; how many ns until more may, at most wait_ns. */
uint64_t publish_turn(struct load *l, uint64_t wait_ns);

/* loop.c */
void loop_turn(struct load *l, uint64_t wait_ns);
void loop_for(struct load *l, double seconds);
/* Clients first..end - 1; answers whether all got ready. */
bool loop_connect(struct load *l, uint32_t first, uint32_t end);
/* Until .o->count (or a given number) is published or the seconds are over. */
void loop_publish(struct load *l, uint64_t count, double seconds);
/* Until the broker has taken all and delivered what is expected, or nothing moves any more. */
void loop_drain(struct load *l);
/* Until so many are received in all, or nothing moves any more; the time of the last. */
uint64_t loop_receive(struct load *l, uint64_t received);

/* traffic.c, state.c: the scenarios; each prints its result. */
void traffic_run(struct load *l);
void retain_run(struct load *l);
void offline_run(struct load *l);
void conn_run(struct load *l);

#endif
