/* SPDX-License-Identifier: MIT */
/*
 * One worker is slow: a callback of the host keeps it. Its inbox passes the mark, and the others
 * stop reading who publishes to it, so that what the broker holds stays bounded; when the worker
 * goes on, all of it comes, in order, once. Publishers are threads; the gate is shared.
 */
#include <pthread.h>
#include <string.h>

#include "rig.h"

enum { PUBLISHERS = 8, PAYLOAD_BYTES = 2000, MARK_BYTES = 65536, ID_BYTES = 24 };
enum { MESSAGES = 6000, LONG_MESSAGES = 200000, LEAST_MESSAGES = 4000, STUCK_MS = 60000 };
/* What may be read before all publishers have stopped: the mark, and what their turns take in. */
enum { HELD_MAX_BYTES = 4 * 1024 * 1024, QUIET_TURNS = 20, TURN_MS = 5 };

struct gate {
    pthread_mutex_t lock;
    pthread_cond_t opened;
    bool is_open;
};

struct test {
    mqb_broker *broker;
    uint16_t port;
    uint32_t each;
    struct gate gate;
    pthread_barrier_t connected; /* a slow worker accepts nobody */
    atomic_uint callbacks;
    atomic_uint acked;
    uint32_t next[PUBLISHERS]; /* the callback's alone */
};

struct publisher {
    struct test *test;
    unsigned number;
    pthread_t thread;
};

static void pass(struct gate *g)
{
    CHECK(pthread_mutex_lock(&g->lock) == 0);
    while (!g->is_open)
        CHECK(pthread_cond_wait(&g->opened, &g->lock) == 0);
    CHECK(pthread_mutex_unlock(&g->lock) == 0);
}

static void open_gate(struct gate *g)
{
    CHECK(pthread_mutex_lock(&g->lock) == 0);
    g->is_open = true;
    CHECK(pthread_cond_broadcast(&g->opened) == 0);
    CHECK(pthread_mutex_unlock(&g->lock) == 0);
}

static int on_message(void *arg, mqb_broker *b, mqb_msg *m, const mqb_delivery *d)
{
    struct test *t = arg;
    uint32_t at[2];
    (void)b, (void)d;
    atomic_fetch_add(&t->callbacks, 1);
    pass(&t->gate);
    CHECK(mqb_msg_payload(m).len == PAYLOAD_BYTES);
    memcpy(at, mqb_msg_payload(m).ptr, sizeof at);
    CHECK(at[0] < PUBLISHERS && at[1] == t->next[at[0]]);
    t->next[at[0]]++;
    return MQB_DELIVER_DONE;
}

/* Reads the acknowledgements that are there; waits for one if `must`. */
static uint32_t take_acks(struct peer *p, bool must)
{
    struct mini_packet m;
    uint32_t n = 0;
    CHECK(peer_fill(p, must ? STUCK_MS : 0));
    for (; mini_link_next(&p->link, &m) > 0; n++)
        CHECK(m.type == MINI_PUBACK && m.reason < 0x80);
    return n;
}

static void *publisher_main(void *arg)
{
    struct publisher *self = arg;
    struct test *t = self->test;
    uint8_t payload[PAYLOAD_BYTES] = {0};
    char id[ID_BYTES];
    struct peer p;
    uint32_t acked = 0;
    snprintf(id, sizeof id, "publisher-%u", self->number);
    CHECK(peer_open(&p, t->port, NULL, MINI_V311));
    peer_hello(&p, &(struct mini_connect){.client_id = id, .clean = true});
    pthread_barrier_wait(&t->connected);
    for (uint32_t n = 0; n < t->each; n++) {
        uint32_t at[2] = {self->number, n};
        memcpy(payload, at, sizeof at);
        mini_send_publish(&p.link, &(struct mini_publish){.topic = "press",
                                                          .payload = payload,
                                                          .payload_bytes = sizeof payload,
                                                          .packet_id = (uint16_t)(n % 60000 + 1),
                                                          .qos = 1});
        CHECK(peer_flush(&p)); /* waits while nobody reads */
        acked += take_acks(&p, false);
    }
    while (acked < t->each)
        acked += take_acks(&p, true);
    CHECK(acked == t->each);
    atomic_fetch_add(&t->acked, acked);
    peer_close(&p, false);
    return NULL;
}

/* Until nothing has been read for a while. */
static uint64_t wait_until_quiet(struct test *t)
{
    uint64_t deadline = now_ms() + STUCK_MS, last = 0;
    for (unsigned quiet = 0; quiet < QUIET_TURNS; quiet++) {
        uint64_t bytes = rig_metric(t->broker, "bytes_received");
        if (bytes != last)
            quiet = 0;
        last = bytes;
        CHECK(now_ms() < deadline);
        peer_wait(TURN_MS);
    }
    return last;
}

static void subscribe(struct test *t, mqb_local *slow)
{
    mqb_subscribe_opts o = mqb_subscribe_defaults();
    o.local = slow;
    o.filter = "press";
    o.qos = 1;
    o.fn = on_message;
    o.arg = t;
    CHECK(mqb_subscribe_wait(t->broker, &o, STUCK_MS, NULL) == MQB_OK);
}

static void press(struct test *t)
{
    struct publisher p[PUBLISHERS];
    for (unsigned i = 0; i < PUBLISHERS; i++) {
        p[i] = (struct publisher){.test = t, .number = i};
        CHECK(pthread_create(&p[i].thread, NULL, publisher_main, &p[i]) == 0);
    }
    rig_wait_metric(t->broker, "publishers_paused", 1);
    uint64_t held = wait_until_quiet(t);
    printf("    %llu of %llu bytes read when all publishers waited\n", (unsigned long long)held,
           (unsigned long long)t->each * PUBLISHERS * PAYLOAD_BYTES);
    CHECK(held < HELD_MAX_BYTES);
    CHECK(atomic_load(&t->callbacks) == 1);
    open_gate(&t->gate);
    for (unsigned i = 0; i < PUBLISHERS; i++)
        CHECK(pthread_join(p[i].thread, NULL) == 0);
}

static bool has_all(void *arg)
{
    struct test *t = arg;
    return atomic_load(&t->callbacks) == t->each * PUBLISHERS;
}

static void ASlowWorkerHoldsUpItsPublishers(void)
{
    struct tally tally;
    char mark[ID_BYTES * 2];
    snprintf(mark, sizeof mark, "worker.inbox_mark=%d", MARK_BYTES);
    const char *const settings[] = {mark, "queue.max_messages=1000000", "queue.max_bytes=1g", NULL};
    uint32_t messages = (uint32_t)test_count(MESSAGES, LONG_MESSAGES);
    struct test t = {.each = (messages > LEAST_MESSAGES ? messages : LEAST_MESSAGES)};
    mqb_local *slow;
    CHECK(pthread_mutex_init(&t.gate.lock, NULL) == 0 &&
          pthread_cond_init(&t.gate.opened, NULL) == 0 &&
          pthread_barrier_init(&t.connected, NULL, PUBLISHERS) == 0);
    tally_init(&tally);
    t.broker = rig_broker(&tally, settings);
    mqb_listener l = rig_listen(t.broker, NULL);
    CHECK(mqb_broker_start(t.broker) == MQB_OK);
    t.port = mqb_listener_port(t.broker, l);
    CHECK(mqb_local_open(t.broker, "slow", NULL, &slow) == MQB_OK);
    subscribe(&t, slow);
    press(&t);
    wait_until(has_all, &t);
    CHECK(atomic_load(&t.acked) == t.each * PUBLISHERS);
    mqb_local_close(slow);
    mqb_broker_free(t.broker);
    tally_expect_empty(&tally);
    for (unsigned i = 0; i < PUBLISHERS; i++)
        CHECK(t.next[i] == t.each);
    pthread_barrier_destroy(&t.connected);
    pthread_cond_destroy(&t.gate.opened);
    pthread_mutex_destroy(&t.gate.lock);
}

int main(void)
{
    RUN(ASlowWorkerHoldsUpItsPublishers);
    return 0;
}
