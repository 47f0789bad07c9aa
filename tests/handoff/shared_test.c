/* SPDX-License-Identifier: MIT */
/*
 * Two shared subscriptions get the same messages at QoS 0, 1 and 2 while their members work, stall,
 * die, refuse and come back. The members of "keep" have sessions that last, those of "lose" begin
 * anew each time. At QoS 1 nothing is lost but what was refused, and all of that is counted; at QoS
 * 2 nothing is doubled, in "keep" nothing lost either; QoS 0 comes once at most; and nothing waits
 * for a member that is dead. Each member and each publisher has a thread; the ledger is atomic.
 */
#include <pthread.h>
#include <string.h>

#include "rig.h"

enum { GROUPS = 2, MEMBERS = 4, PUBLISHERS = 3, QOS_LEVELS = 3, WINDOW = 20, IDS = 65536 };
enum { MESSAGES = 9000, LONG_MESSAGES = 600000, LIFE_MAX = 120, TURN_MS = 4, EXPIRY_S = 3600 };
enum { REFUSED = 0x97, STUCK_MS = 15000, NAME_BYTES = 32, TAIL = 5 };

enum phase {
    BUSY,   /* publishers publish, members live short lives, until most has come */
    FEW,    /* all is published; half the members are dead, the others finish QoS 1 */
    ALL,    /* the dead members with sessions come back for their QoS 2 messages */
    FINISH, /* all is told */
};

enum life { WORKS, DIES, STALLS, IS_DEAF, REFUSES, LIVES };

struct ledger {
    atomic_uchar *accepted; /* by message, up to 255 */
    atomic_uchar *refused;
    atomic_uint open[QOS_LEVELS]; /* messages nobody has accepted or refused */
    atomic_uint doubled[QOS_LEVELS];
};

struct test {
    mqb_broker *broker;
    uint16_t port;
    uint32_t messages;
    atomic_uint phase;
    atomic_uint refusals;
    atomic_uint lives[LIVES];
    struct ledger ledgers[GROUPS];
};

struct member {
    struct test *test;
    unsigned group;
    unsigned number;
    pthread_t thread;
    uint64_t random;
    struct peer peer;
    uint32_t taken; /* messages, in this life */
    uint32_t enough;
    bool has_session;
    bool has_pong;
    bool holds[IDS]; /* QoS 2 messages taken and not released */
};

struct publisher {
    struct test *test;
    uint32_t number;
    pthread_t thread;
};

/* --- the ledger ------------------------------------------------------------------------------ */

static void enter(struct ledger *l, atomic_uchar *column, uint32_t n)
{
    unsigned qos = n % QOS_LEVELS;
    bool is_first = atomic_load(&l->accepted[n]) + atomic_load(&l->refused[n]) == 0;
    atomic_fetch_add(&column[n], 1);
    if (is_first)
        atomic_fetch_sub(&l->open[qos], 1);
    else
        atomic_fetch_add(&l->doubled[qos], 1);
}

static void ledger_init(struct ledger *l, uint32_t messages)
{
    l->accepted = calloc(messages, sizeof *l->accepted);
    l->refused = calloc(messages, sizeof *l->refused);
    CHECK(l->accepted && l->refused);
    for (unsigned q = 0; q < QOS_LEVELS; q++)
        l->open[q] = messages / QOS_LEVELS;
}

/* --- members --------------------------------------------------------------------------------- */

static struct ledger *ledger_of(const struct member *m)
{
    return &m->test->ledgers[m->group];
}

static void refuse(struct member *m, const struct mini_packet *p, unsigned qos, uint32_t n)
{
    mini_send_refusal(&m->peer.link, qos == 1 ? MINI_PUBACK : MINI_PUBREC, p->packet_id, REFUSED);
    enter(ledger_of(m), ledger_of(m)->refused, n);
    atomic_fetch_add(&m->test->refusals, 1);
}

static void accept_message(struct member *m, const struct mini_packet *p, unsigned qos, uint32_t n)
{
    if (!(qos == 2 && m->holds[p->packet_id]))
        enter(ledger_of(m), ledger_of(m)->accepted, n);
    if (qos == 2)
        m->holds[p->packet_id] = true;
    if (qos > 0)
        mini_send_ack(&m->peer.link, qos == 1 ? MINI_PUBACK : MINI_PUBREC, p->packet_id);
}

static void take_message(struct member *m, const struct mini_packet *p, enum life life)
{
    unsigned qos = p->flags >> 1 & 3;
    uint32_t n;
    CHECK(p->payload_bytes == sizeof n);
    memcpy(&n, p->payload, sizeof n);
    CHECK(n < m->test->messages && n % QOS_LEVELS == qos);
    m->taken++;
    if (life == STALLS && qos > 0)
        return;
    if (life == REFUSES && qos > 0 && !m->holds[qos == 2 ? p->packet_id : 0])
        refuse(m, p, qos, n);
    else
        accept_message(m, p, qos, n);
}

static void take(struct member *m, const struct mini_packet *p, enum life life)
{
    CHECK(p->reason < 0x80);
    switch (p->type) {
    case MINI_PUBLISH:
        take_message(m, p, life);
        break;
    case MINI_PUBREL:
        m->holds[p->packet_id] = false;
        mini_send_ack(&m->peer.link, MINI_PUBCOMP, p->packet_id);
        break;
    case MINI_PINGRESP:
        m->has_pong = true;
        break;
    default:
        CHECK(p->type == MINI_SUBACK);
    }
}

static void serve(struct member *m, enum life life)
{
    struct mini_packet p;
    CHECK(peer_fill(&m->peer, TURN_MS));
    while (mini_link_next(&m->peer.link, &p) > 0)
        take(m, &p, life);
    if (life != DIES || m->taken <= m->enough) /* the last answers of a life may get lost */
        CHECK(peer_flush(&m->peer));
}

static void come(struct member *m)
{
    char name[NAME_BYTES];
    bool lasts = m->group == 0;
    snprintf(name, sizeof name, "%s-%u", lasts ? "keep" : "lose", m->number);
    CHECK(peer_open(&m->peer, m->test->port, NULL, MINI_V5));
    bool is_present = peer_hello(&m->peer, &(struct mini_connect){.client_id = name,
                                                                  .expiry_s = lasts ? EXPIRY_S : 0,
                                                                  .clean = !lasts});
    CHECK(is_present == (lasts && m->has_session));
    m->has_session = true;
    m->taken = 0;
    if (is_present)
        return;
    memset(m->holds, 0, sizeof m->holds);
    snprintf(name, sizeof name, "$share/%s/work/+", lasts ? "keep" : "lose");
    mini_send_subscribe(&m->peer.link, 1, name, 2);
    CHECK(peer_flush(&m->peer));
}

/* Waits until what was sent has been read: a refusal that got lost would not be one. What comes in
 * the meantime is left to others. */
static void leave_politely(struct member *m)
{
    uint64_t deadline = now_ms() + STUCK_MS;
    m->has_pong = false;
    mini_send_bare(&m->peer.link, MINI_PINGREQ);
    CHECK(peer_flush(&m->peer));
    while (!m->has_pong) {
        struct mini_packet p;
        CHECK(peer_fill(&m->peer, TURN_MS) && now_ms() < deadline);
        while (mini_link_next(&m->peer.link, &p) > 0) {
            if (p.type != MINI_PUBLISH)
                take(m, &p, WORKS);
        }
    }
    mini_send_bare(&m->peer.link, MINI_DISCONNECT);
    CHECK(peer_flush(&m->peer));
    peer_close(&m->peer, false);
}

/* A stalled member takes nothing; a deaf one does not even read. */
static void live(struct member *m, enum life life)
{
    m->enough = (uint32_t)draw(&m->random, LIFE_MAX);
    atomic_fetch_add(&m->test->lives[life], 1);
    for (unsigned turns = 0; m->taken <= m->enough && turns <= LIFE_MAX; turns++) {
        if (atomic_load(&m->test->phase) != BUSY)
            break;
        if (life == IS_DEAF)
            peer_wait(TURN_MS);
        else
            serve(m, life);
        if (life == STALLS || life == IS_DEAF)
            m->enough = turns < 2 ? UINT32_MAX : 0;
    }
    if (life == WORKS || life == REFUSES)
        leave_politely(m);
    else
        peer_close(&m->peer, draw(&m->random, 2));
}

static bool is_to_work(const struct member *m, unsigned phase)
{
    return phase == FEW ? m->number < MEMBERS / 2 : phase == ALL && m->group == 0;
}

static void *member_main(void *arg)
{
    struct member *m = arg;
    struct test *t = m->test;
    while (atomic_load(&t->phase) == BUSY) {
        come(m);
        live(m, (enum life)draw(&m->random, LIVES));
    }
    for (unsigned phase = FEW; phase < FINISH; phase++) {
        if (is_to_work(m, phase)) {
            come(m);
            while (atomic_load(&t->phase) == phase)
                serve(m, WORKS);
            leave_politely(m);
        }
        while (atomic_load(&t->phase) <= phase)
            peer_wait(TURN_MS);
    }
    return NULL;
}

/* --- publishers ------------------------------------------------------------------------------ */

static void publish(struct peer *p, uint32_t n)
{
    mini_send_publish(&p->link, &(struct mini_publish){.topic = "work/x",
                                                       .payload = (const uint8_t *)&n,
                                                       .payload_bytes = sizeof n,
                                                       .packet_id = (uint16_t)(n % 60000 + 1),
                                                       .qos = (uint8_t)(n % QOS_LEVELS)});
}

static void *publisher_main(void *arg)
{
    struct publisher *self = arg;
    struct test *t = self->test;
    struct peer p;
    char id[NAME_BYTES];
    uint32_t share = t->messages / PUBLISHERS, n = self->number * share, end = n + share, open = 0;
    snprintf(id, sizeof id, "publisher-%u", (unsigned)self->number);
    CHECK(peer_open(&p, t->port, NULL, MINI_V5));
    peer_hello(&p, &(struct mini_connect){.client_id = id, .clean = true});
    while (n < end || open > 0) {
        for (; n < end && open < WINDOW; n++) {
            publish(&p, n);
            open += n % QOS_LEVELS > 0;
        }
        struct mini_packet m;
        CHECK(peer_flush(&p) && (open == 0 || peer_next(&p, &m)));
        if (open == 0)
            continue;
        CHECK(m.reason < 0x80);
        if (m.type == MINI_PUBREC)
            mini_send_ack(&p.link, MINI_PUBREL, m.packet_id);
        else
            open--;
    }
    peer_close(&p, false);
    return NULL;
}

/* --- the course of it ------------------------------------------------------------------------ */

/* Until no more than so many messages of a group have not come. */
static void wait_for_group(struct test *t, unsigned group, unsigned qos, unsigned most)
{
    uint64_t deadline = now_ms() + STUCK_MS;
    atomic_uint *open = &t->ledgers[group].open[qos];
    while (atomic_load(open) > most) {
        if (now_ms() > deadline)
            fprintf(stderr, "group %u, QoS %u: %u messages have not come\n", group, qos,
                    atomic_load(open));
        CHECK(now_ms() < deadline);
        peer_wait(TURN_MS);
    }
}

static void wait_for_qos(struct test *t, unsigned qos, unsigned most)
{
    for (unsigned g = 0; g < GROUPS; g++)
        wait_for_group(t, g, qos, most);
}

static void judge(struct test *t)
{
    for (unsigned g = 0; g < GROUPS; g++) {
        CHECK(atomic_load(&t->ledgers[g].open[1]) == 0);
        CHECK(atomic_load(&t->ledgers[g].doubled[0]) == 0);
        CHECK(atomic_load(&t->ledgers[g].doubled[2]) == 0);
        printf("    %s: of %u, QoS 0 not come %u, QoS 1 again %u, QoS 2 not come %u\n",
               g ? "lose" : "keep", t->messages / QOS_LEVELS, t->ledgers[g].open[0],
               t->ledgers[g].doubled[1], t->ledgers[g].open[2]);
    }
    CHECK(rig_metric(t->broker, "messages_refused") == atomic_load(&t->refusals));
    CHECK(rig_metric(t->broker, "messages_dropped_queue_full") == 0);
    /* QoS 0 while no member is connected */
    CHECK(rig_metric(t->broker, "messages_dropped_group") <=
          t->ledgers[0].open[0] + t->ledgers[1].open[0]);
    printf("    refused %u, lives:", atomic_load(&t->refusals));
    for (unsigned i = 0; i < LIVES; i++)
        printf(" %u", atomic_load(&t->lives[i]));
    printf("\n");
}

/* A member of "lose" that dies at once and for good; but its session keeps the group alive when all
 * the others happen to be away. */
static void bury_one(struct test *t)
{
    struct peer p;
    CHECK(peer_open(&p, t->port, NULL, MINI_V5));
    peer_hello(&p, &(struct mini_connect){.client_id = "dead", .expiry_s = EXPIRY_S});
    peer_subscribe(&p, "$share/lose/work/+", 2);
    peer_close(&p, true);
    rig_wait_metric_is(t->broker, "connections", 0);
}

static void play(struct test *t, struct member *members, struct publisher *publishers)
{
    bury_one(t);
    for (unsigned i = 0; i < GROUPS * MEMBERS; i++)
        CHECK(pthread_create(&members[i].thread, NULL, member_main, &members[i]) == 0);
    rig_wait_metric_is(t->broker, "groups", GROUPS);
    for (unsigned i = 0; i < PUBLISHERS; i++)
        CHECK(pthread_create(&publishers[i].thread, NULL, publisher_main, &publishers[i]) == 0);
    for (unsigned i = 0; i < PUBLISHERS; i++)
        CHECK(pthread_join(publishers[i].thread, NULL) == 0);
    wait_for_qos(t, 1, t->messages / QOS_LEVELS / TAIL);
    atomic_store(&t->phase, FEW);
    wait_for_qos(t, 1, 0);
    atomic_store(&t->phase, ALL);
    wait_for_group(t, 0, 2, 0);
    atomic_store(&t->phase, FINISH);
    for (unsigned i = 0; i < GROUPS * MEMBERS; i++)
        CHECK(pthread_join(members[i].thread, NULL) == 0);
    judge(t);
}

static void MembersWorkStallDieRefuseAndComeBack(void)
{
    struct tally tally;
    struct test t = {.messages = (uint32_t)test_count(MESSAGES, LONG_MESSAGES)};
    const char *const settings[] = {"queue.max_messages=1000000", "queue.max_bytes=1g", NULL};
    struct member *members = calloc(GROUPS * MEMBERS, sizeof *members);
    struct publisher publishers[PUBLISHERS];
    uint64_t seed = test_seed(21);
    CHECK(members);
    t.messages -= t.messages % (PUBLISHERS * QOS_LEVELS);
    for (unsigned g = 0; g < GROUPS; g++)
        ledger_init(&t.ledgers[g], t.messages);
    for (unsigned i = 0; i < GROUPS * MEMBERS; i++)
        members[i] = (struct member){
            .test = &t, .group = i / MEMBERS, .number = i % MEMBERS, .random = mini_random(&seed)};
    for (unsigned i = 0; i < PUBLISHERS; i++)
        publishers[i] = (struct publisher){.test = &t, .number = i};
    tally_init(&tally);
    t.broker = rig_broker(&tally, settings);
    mqb_listener l = rig_listen(t.broker, NULL);
    CHECK(mqb_broker_start(t.broker) == MQB_OK);
    t.port = mqb_listener_port(t.broker, l);
    play(&t, members, publishers);
    mqb_broker_free(t.broker);
    tally_expect_empty(&tally);
    for (unsigned g = 0; g < GROUPS; g++) {
        free(t.ledgers[g].accepted);
        free(t.ledgers[g].refused);
    }
    free(members);
}

int main(void)
{
    RUN(MembersWorkStallDieRefuseAndComeBack);
    return 0;
}
