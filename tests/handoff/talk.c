/* SPDX-License-Identifier: MIT */
/*
 * See talk.h.
 */
#include "talk.h"

#include <sched.h>
#include <string.h>

enum { PAYLOAD_BYTES = 8, WINDOW = 30, TOPIC_BYTES = 16, NAME_BYTES = 24, STUCK_MS = 60000 };

static void write_payload(const struct side *s, unsigned source, uint32_t n, uint8_t *out)
{
    out[0] = (uint8_t)s->number;
    out[1] = (uint8_t)source;
    out[2] = (uint8_t)(n % QOS_LEVELS);
    out[3] = 0;
    uint32_t in_series = n / QOS_LEVELS;
    memcpy(out + 4, &in_series, sizeof in_series);
}

static void hear(struct side *s, struct hearing *h, const void *payload, size_t len)
{
    const uint8_t *at = payload;
    uint32_t n;
    CHECK(len == PAYLOAD_BYTES && at[0] == s->number && at[1] < SOURCES && at[2] < QOS_LEVELS);
    memcpy(&n, at + 4, sizeof n);
    CHECK(h->next[at[1]][at[2]] == n);
    h->next[at[1]][at[2]]++;
    atomic_fetch_add(&s->heard, 1);
}

static void name_topic(unsigned source, char topic[TOPIC_BYTES])
{
    snprintf(topic, TOPIC_BYTES, "talk/%u", source);
}

/* --- clients on sockets ---------------------------------------------------------------------- */

struct speech {
    uint32_t said;
    uint32_t open; /* not acknowledged */
};

static void say(struct talker *t, struct peer *p, struct speech *s)
{
    char topic[TOPIC_BYTES];
    uint8_t payload[PAYLOAD_BYTES];
    name_topic(t->source, topic);
    for (; s->said < t->side->each && s->open < WINDOW; s->said++) {
        uint8_t qos = (uint8_t)(s->said % QOS_LEVELS);
        write_payload(t->side, t->source, s->said, payload);
        mini_send_publish(&p->link,
                          &(struct mini_publish){.topic = topic,
                                                 .payload = payload,
                                                 .payload_bytes = PAYLOAD_BYTES,
                                                 .packet_id = (uint16_t)(s->said % 60000 + 1),
                                                 .qos = qos});
        s->open += qos > 0;
    }
}

static void take_message(struct talker *t, struct peer *p, const struct mini_packet *m)
{
    hear(t->side, &t->heard, m->payload, m->payload_bytes);
    t->total++;
    unsigned qos = m->flags >> 1 & 3;
    if (qos > 0)
        mini_send_ack(&p->link, qos == 1 ? MINI_PUBACK : MINI_PUBREC, m->packet_id);
}

static void take(struct talker *t, struct peer *p, struct speech *s, const struct mini_packet *m)
{
    CHECK(m->reason < 0x80 || m->type == MINI_DISCONNECT);
    switch (m->type) {
    case MINI_PUBLISH:
        take_message(t, p, m);
        break;
    case MINI_PUBREC:
        mini_send_ack(&p->link, MINI_PUBREL, m->packet_id);
        break;
    case MINI_PUBREL:
        mini_send_ack(&p->link, MINI_PUBCOMP, m->packet_id);
        break;
    case MINI_PUBACK:
    case MINI_PUBCOMP:
        CHECK(s->open > 0);
        s->open--;
        break;
    default:
        CHECK(m->type == MINI_DISCONNECT && t->side->may_be_cut);
    }
}

static void converse(struct talker *t, struct peer *p)
{
    struct speech s = {.said = 0};
    uint64_t deadline = now_ms() + STUCK_MS;
    while (s.said < t->side->each || s.open > 0 || t->total < t->side->each * SOURCES) {
        struct mini_packet m;
        say(t, p, &s);
        if (!peer_flush(p) || !peer_fill(p, DEADLINE_MS)) {
            CHECK(t->side->may_be_cut);
            atomic_store(&t->side->is_cut_off, true);
            return;
        }
        while (mini_link_next(&p->link, &m) > 0)
            take(t, p, &s, &m);
        CHECK(now_ms() < deadline);
    }
    (void)peer_flush(p);
}

static void *client_main(void *arg)
{
    struct talker *t = arg;
    char id[NAME_BYTES];
    struct peer p;
    snprintf(id, sizeof id, "talker-%u", t->source);
    CHECK(peer_open(&p, t->side->port, NULL, t->source % 2 ? MINI_V311 : MINI_V5));
    CHECK(!peer_hello(&p, &(struct mini_connect){.client_id = id, .clean = true}));
    peer_subscribe(&p, "talk/+", 2);
    pthread_barrier_wait(&t->side->ready);
    converse(t, &p);
    peer_close(&p, false);
    return NULL;
}

/* --- the host -------------------------------------------------------------------------------- */

static int on_message(void *arg, mqb_broker *b, mqb_msg *m, const mqb_delivery *d)
{
    struct side *s = arg;
    (void)d;
    CHECK(b == s->broker);
    hear(s, &s->host, mqb_msg_payload(m).ptr, mqb_msg_payload(m).len);
    atomic_fetch_add(&s->host_heard, 1);
    return MQB_DELIVER_DONE;
}

static void on_freed(void *arg)
{
    atomic_fetch_add(&((struct side *)arg)->host_freed, 1);
}

static void on_done(void *arg, mqb_err err)
{
    struct side *s = arg;
    CHECK(err == MQB_OK || (err == MQB_ECANCELED && s->may_be_cut));
    atomic_fetch_add(&s->host_done, 1);
}

/* False: the broker has stopped. */
static bool publish(struct talker *t, uint32_t n)
{
    char topic[TOPIC_BYTES];
    uint8_t payload[PAYLOAD_BYTES];
    mqb_publish_opts o = mqb_publish_defaults();
    name_topic(t->source, topic);
    write_payload(t->side, t->source, n, payload);
    o.topic = mqb_str_of(topic);
    o.payload = payload;
    o.payload_len = PAYLOAD_BYTES;
    o.qos = n % QOS_LEVELS;
    o.done = on_done;
    o.done_arg = t->side;
    mqb_err err;
    while ((err = mqb_publish_ex(t->side->broker, &o)) == MQB_EAGAIN)
        sched_yield();
    CHECK(err == MQB_OK || (err == MQB_ESTATE && t->side->may_be_cut));
    return err == MQB_OK;
}

static bool has_heard_all(void *arg)
{
    struct side *s = arg;
    return (atomic_load(&s->host_heard) == s->each * SOURCES &&
            atomic_load(&s->host_done) == s->each) ||
           (s->may_be_cut && !mqb_broker_is_running(s->broker));
}

static void *host_main(void *arg)
{
    struct talker *t = arg;
    struct side *s = t->side;
    pthread_barrier_wait(&s->ready);
    for (uint32_t n = 0; n < s->each && publish(t, n); n++) {
        if (n % WINDOW == 0)
            sched_yield();
    }
    wait_until(has_heard_all, s);
    return NULL;
}

/* --- a side ---------------------------------------------------------------------------------- */

static void subscribe_host(struct side *s)
{
    mqb_subscribe_opts o = mqb_subscribe_defaults();
    o.filter = "talk/#";
    o.qos = 2;
    o.fn = on_message;
    o.arg = s;
    o.arg_free = on_freed;
    CHECK(mqb_subscribe_wait(s->broker, &o, STUCK_MS, NULL) == MQB_OK);
}

void talk_begin(struct side *s)
{
    memset(&s->host, 0, sizeof s->host);
    atomic_store(&s->heard, 0);
    atomic_store(&s->host_done, 0);
    atomic_store(&s->host_heard, 0);
    atomic_store(&s->host_freed, 0);
    atomic_store(&s->is_cut_off, false);
    CHECK(pthread_barrier_init(&s->ready, NULL, SOURCES) == 0);
    subscribe_host(s);
    for (unsigned i = 0; i < SOURCES; i++) {
        s->talkers[i] = (struct talker){.side = s, .source = i};
        CHECK(pthread_create(&s->talkers[i].thread, NULL, i == HOST ? host_main : client_main,
                             &s->talkers[i]) == 0);
    }
}

void talk_end(struct side *s)
{
    for (unsigned i = 0; i < SOURCES; i++)
        CHECK(pthread_join(s->talkers[i].thread, NULL) == 0);
    pthread_barrier_destroy(&s->ready);
}
