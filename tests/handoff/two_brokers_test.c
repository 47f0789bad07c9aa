/* SPDX-License-Identifier: MIT */
/*
 * Two brokers in one process, four workers each: clients and the host talk on both at once, while
 * they are started and stopped again and again; what one does is nothing to the other.
 */
#include "talk.h"

enum { ROUNDS = 40, LONG_ROUNDS = 800, EACH = 1500, GRACE_MS = 20 };

static void start(struct side *s, mqb_listener l)
{
    CHECK(mqb_broker_start(s->broker) == MQB_OK);
    s->port = mqb_listener_port(s->broker, l);
}

static void stop(struct side *s)
{
    CHECK(mqb_broker_stop(s->broker, GRACE_MS) == MQB_OK);
    CHECK(atomic_load(&s->host_freed) == 1);
}

static bool has_heard_some(void *arg)
{
    struct side *s = arg;
    return atomic_load(&s->heard) >= s->each;
}

static void *start_main(void *arg)
{
    struct side *s = arg;
    mqb_listener l;
    CHECK(mqb_listener_find(s->broker, "plain", &l) == MQB_OK);
    start(s, l);
    return NULL;
}

static void *stop_main(void *arg)
{
    stop(arg);
    return NULL;
}

static void at_once(struct side *s, void *(*what)(void *))
{
    pthread_t t;
    CHECK(pthread_create(&t, NULL, what, &s[0]) == 0);
    what(&s[1]);
    CHECK(pthread_join(t, NULL) == 0);
}

/* One side is stopped while all talk, and started again; the other says everything. */
static void play_cut(struct side *cut, struct side *whole)
{
    mqb_listener l;
    cut->may_be_cut = true;
    whole->may_be_cut = false;
    talk_begin(whole);
    talk_begin(cut);
    wait_until(has_heard_some, cut);
    stop(cut);
    talk_end(cut);
    CHECK(mqb_listener_find(cut->broker, "plain", &l) == MQB_OK);
    start(cut, l);
    cut->may_be_cut = false;
    talk_begin(cut);
    talk_end(cut);
    talk_end(whole);
}

static void play_whole(struct side *s)
{
    for (unsigned i = 0; i < 2; i++) {
        s[i].may_be_cut = false;
        talk_begin(&s[i]);
    }
    for (unsigned i = 0; i < 2; i++)
        talk_end(&s[i]);
}

static void BothTalkAreStoppedAndStartedAgain(void)
{
    struct tally t[2];
    struct side s[2];
    const char *const settings[] = {"queue.max_messages=100000", "queue.max_bytes=64m", NULL};
    for (unsigned i = 0; i < 2; i++) {
        tally_init(&t[i]);
        s[i] = (struct side){.broker = rig_broker(&t[i], settings),
                             .number = i,
                             .each = (uint32_t)test_scaled(EACH) + QOS_LEVELS};
        rig_listen(s[i].broker, NULL);
    }
    uint64_t rounds = test_count(ROUNDS, LONG_ROUNDS);
    for (uint64_t round = 0; round < rounds + 2; round++) {
        at_once(s, start_main);
        if (round % 3 == 2)
            play_whole(s);
        else
            play_cut(&s[round % 3], &s[1 - round % 3]);
        at_once(s, stop_main);
    }
    for (unsigned i = 0; i < 2; i++) {
        mqb_broker_free(s[i].broker);
        tally_expect_empty(&t[i]);
    }
}

/* Each made, run and freed by a thread of its own, without regard to the other. */
static void *live_and_die(void *arg)
{
    struct tally t;
    struct side s = {.number = *(unsigned *)arg, .each = 3 * QOS_LEVELS};
    tally_init(&t);
    for (uint64_t round = test_count(ROUNDS, LONG_ROUNDS); round > 0; round--) {
        s.broker = rig_broker(&t, NULL);
        rig_listen(s.broker, NULL);
        start_main(&s);
        talk_begin(&s);
        talk_end(&s);
        mqb_broker_free(s.broker);
        CHECK(atomic_load(&s.host_freed) == 1);
        tally_expect_empty(&t);
    }
    return NULL;
}

static void EachLivesAndDiesByItself(void)
{
    unsigned numbers[2] = {0, 1};
    pthread_t t;
    CHECK(pthread_create(&t, NULL, live_and_die, &numbers[0]) == 0);
    live_and_die(&numbers[1]);
    CHECK(pthread_join(t, NULL) == 0);
}

int main(void)
{
    RUN(EachLivesAndDiesByItself);
    size_t descriptors = open_descriptors(); /* after libuv has opened what it keeps */
    RUN(BothTalkAreStoppedAndStartedAgain);
    CHECK(open_descriptors() == descriptors);
    return 0;
}
