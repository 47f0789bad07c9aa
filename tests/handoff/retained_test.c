/* SPDX-License-Identifier: MIT */
/*
 * A subscription and a retained publish of the same topic, made at the same time on different
 * workers of one broker: the new value comes by replay or live, once; an older one may come before
 * it, never after. Two publishers and two subscribers are handles in the process; each subscription
 * has a topic of its own for the round, and is closed by a mark the publisher sends behind.
 */
#include <pthread.h>
#include <sched.h>
#include <string.h>

#include "rig.h"

enum { BATCH = 50, PAIRS = 4, RACES = 200000, LONG_RACES = 2000000, TOPIC_BYTES = 24 };
enum { STUCK_MS = 60000, MARK = 0, LINGER_MAX = 1000, SPINS = 2000, ABREAST = 25 };

/* One topic of one pair: what its subscriber has seen in this round. Written by the worker of the
 * subscribing handle alone, read when all callbacks are over. */
struct race {
    struct pair *pair;
    char topic[TOPIC_BYTES];
    mqb_sub sub;
    uint32_t before; /* value kept from the round before came so often */
    uint32_t now;    /* the same for this round's */
    uint32_t wrong;  /* anything else, or an older value after a newer */
    bool is_replay;
};

struct pair {
    mqb_broker *broker;
    mqb_local *publisher;
    mqb_local *subscriber;
    atomic_ullong met[2]; /* how often each of the two threads came to a meeting */
    pthread_t thread;
    uint64_t random;
    uint64_t random_of_publisher;
    uint64_t rounds;
    uint32_t value;
    atomic_uint subscribed, marks, freed;
    uint64_t missed, doubled, wrong, replayed;
    struct race races[BATCH];
};

static int on_message(void *arg, mqb_broker *b, mqb_msg *m, const mqb_delivery *d)
{
    struct race *r = arg;
    uint32_t value;
    (void)b;
    CHECK(mqb_msg_payload(m).len == sizeof value);
    memcpy(&value, mqb_msg_payload(m).ptr, sizeof value);
    if (value == MARK) {
        atomic_fetch_add(&r->pair->marks, 1);
    } else if (value == r->pair->value) {
        r->now++;
        r->is_replay = d->retain != 0;
    } else {
        r->before++;
        r->wrong += value + 1 != r->pair->value || r->now > 0 || r->before > 1;
    }
    return MQB_DELIVER_DONE;
}

static void on_subscribed(void *arg, mqb_err err)
{
    CHECK(err == MQB_OK);
    atomic_fetch_add(&((struct race *)arg)->pair->subscribed, 1);
}

static void on_freed(void *arg)
{
    atomic_fetch_add(&((struct race *)arg)->pair->freed, 1);
}

static void publish(struct pair *p, const char *topic, uint32_t value)
{
    mqb_publish_opts o = mqb_publish_defaults();
    mqb_err err;
    o.local = p->publisher;
    o.topic = mqb_str_of(topic);
    o.payload = &value;
    o.payload_len = sizeof value;
    o.qos = 1;
    o.flags = value == MARK ? 0 : MQB_PUB_RETAIN;
    while ((err = mqb_publish_ex(p->broker, &o)) == MQB_EAGAIN)
        sched_yield();
    CHECK(err == MQB_OK);
}

static void subscribe(struct pair *p, struct race *r)
{
    mqb_subscribe_opts o = mqb_subscribe_defaults();
    mqb_err err;
    r->before = r->now = r->wrong = 0;
    o.local = p->subscriber;
    o.filter = r->topic;
    o.qos = 1;
    o.fn = on_message;
    o.arg = r;
    o.arg_free = on_freed;
    o.done = on_subscribed;
    o.done_arg = r;
    while ((err = mqb_subscribe_ex(p->broker, &o, &r->sub)) == MQB_EAGAIN)
        sched_yield();
    CHECK(err == MQB_OK);
}

static void wait_for(atomic_uint *counter, unsigned value)
{
    uint64_t deadline = now_ms() + STUCK_MS;
    while (atomic_load(counter) < value) {
        CHECK(now_ms() < deadline);
        sched_yield();
    }
}

/* Goes on when both are here. Without sleeping, so that both run on at the same moment. */
static void meet(struct pair *p, unsigned me)
{
    unsigned long long mine = atomic_fetch_add(&p->met[me], 1) + 1;
    for (unsigned spins = 1; atomic_load(&p->met[1 - me]) < mine; spins++) {
        if (spins % SPINS == 0)
            sched_yield();
    }
}

/* Moves the two against each other a little, so that either may be first. */
static void linger(uint64_t *random)
{
    for (uint64_t i = draw(random, LINGER_MAX); i > 0; i--)
        atomic_signal_fence(memory_order_seq_cst);
}

static void *publisher_main(void *arg)
{
    struct pair *p = arg;
    for (uint64_t round = 0; round < p->rounds; round++) {
        for (unsigned i = 0; i < BATCH; i++) {
            if (i % ABREAST == 0)
                meet(p, 0);
            linger(&p->random_of_publisher);
            publish(p, p->races[i].topic, p->value);
        }
        wait_for(&p->subscribed, BATCH);
        for (unsigned i = 0; i < BATCH; i++)
            publish(p, p->races[i].topic, MARK);
        meet(p, 0);
    }
    return NULL;
}

static void judge(struct pair *p)
{
    for (unsigned i = 0; i < BATCH; i++) {
        const struct race *r = &p->races[i];
        p->missed += r->now == 0;
        p->doubled += r->now > 1;
        p->wrong += r->wrong > 0;
        p->replayed += r->now == 1 && r->is_replay;
    }
}

static void play_round(struct pair *p)
{
    atomic_store(&p->subscribed, 0);
    atomic_store(&p->marks, 0);
    atomic_store(&p->freed, 0);
    p->value++;
    for (unsigned i = 0; i < BATCH; i++) {
        if (i % ABREAST == 0)
            meet(p, 1);
        linger(&p->random);
        subscribe(p, &p->races[i]);
    }
    wait_for(&p->marks, BATCH);
    for (unsigned i = 0; i < BATCH; i++)
        CHECK(mqb_unsubscribe(p->broker, p->races[i].sub) == MQB_OK);
    wait_for(&p->freed, BATCH);
    judge(p);
    meet(p, 1);
}

/* Handles are at home where their name's hash says: of four pairs most live on two workers. */
static void pair_init(struct pair *p, mqb_broker *b, unsigned number, uint64_t rounds)
{
    char name[TOPIC_BYTES];
    p->broker = b;
    p->rounds = rounds;
    p->random = test_seed(31 + number);
    p->random_of_publisher = test_seed(41 + number);
    snprintf(name, sizeof name, "publisher-%u", number);
    CHECK(mqb_local_open(b, name, NULL, &p->publisher) == MQB_OK);
    snprintf(name, sizeof name, "subscriber-%u", number);
    CHECK(mqb_local_open(b, name, NULL, &p->subscriber) == MQB_OK);
    for (unsigned i = 0; i < BATCH; i++) {
        p->races[i].pair = p;
        snprintf(p->races[i].topic, TOPIC_BYTES, "race/%u/%u", number, i);
        publish(p, p->races[i].topic, 1);
    }
    p->value = 1;
}

static void pair_fini(struct pair *p)
{
    mqb_local_close(p->publisher);
    mqb_local_close(p->subscriber);
}

static void play(struct pair *p)
{
    CHECK(pthread_create(&p->thread, NULL, publisher_main, p) == 0);
    for (uint64_t round = 0; round < p->rounds; round++)
        play_round(p);
    CHECK(pthread_join(p->thread, NULL) == 0);
    printf("    %llu races, %llu by replay\n", (unsigned long long)(p->rounds * BATCH),
           (unsigned long long)p->replayed);
    CHECK(p->missed == 0);
    CHECK(p->doubled == 0);
    CHECK(p->wrong == 0);
}

static void ASubscriptionRacesARetainedPublish(void)
{
    struct tally t;
    uint64_t rounds = test_count(RACES, LONG_RACES) / BATCH / PAIRS + 1;
    struct pair *pairs = calloc(PAIRS, sizeof *pairs);
    CHECK(pairs);
    tally_init(&t);
    mqb_broker *b = rig_broker(&t, NULL);
    CHECK(mqb_broker_start(b) == MQB_OK);
    for (unsigned i = 0; i < PAIRS; i++) {
        pair_init(&pairs[i], b, i, rounds);
        play(&pairs[i]);
        pair_fini(&pairs[i]);
    }
    mqb_broker_free(b);
    tally_expect_empty(&t);
    free(pairs);
}

int main(void)
{
    RUN(ASubscriptionRacesARetainedPublish);
    return 0;
}
