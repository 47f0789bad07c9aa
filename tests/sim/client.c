/* SPDX-License-Identifier: MIT */
/*
 * The life of a client: its connections and its session.
 */
#include "client.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sim.h"

#define SHORT_EXPIRY_S 6u
#define EXPIRY_SLACK_MS 20u /* a tick of the timer wheel, and more */

void client_init(struct client *c, struct sim *s, uint32_t index)
{
    struct rng *r = &s->world.rng;
    *c = (struct client){.sim = s,
                         .world = &s->world,
                         .oracle = &s->oracle,
                         .traffic = &s->traffic,
                         .index = index,
                         .next_packet_id = 1,
                         .min_max_packet = UINT32_MAX};
    snprintf(c->id, sizeof(c->id), "c%u", index);
    c->version = rng_percent(r, 60)                     ? MQTT_V5
                 : rng_percent(r, 90) || index < GROUPS ? MQTT_V311
                                                        : MQTT_V31;
    c->uses_identifiers = c->version == MQTT_V5 && rng_percent(r, 80);
    uint32_t kind = rng_below(r, 10);
    c->class = kind < 6                            ? CLASS_DURABLE
               : kind < 8 || c->version != MQTT_V5 ? CLASS_CLEAN
                                                   : CLASS_SHORT;
    if (c->version == MQTT_V31) /* its CONNACK does not say whether a session is present */
        c->class = CLASS_CLEAN;
    c->is_anchor = index < GROUPS;
    if (c->is_anchor)
        c->class = CLASS_DURABLE;
    c->expiry_s = c->class == CLASS_DURABLE ? UINT32_MAX
                  : c->class == CLASS_SHORT ? SHORT_EXPIRY_S
                                            : 0;
    c->connect_at_ms = s->world.now_ms + rng_below(r, 100);
}

void client_end_free(struct client_end *e)
{
    if (!e)
        return;
    sim_link_leave(e->link);
    sim_link_let_go(e->link);
    free(e->rx);
    free(e);
}

void client_fini(struct client *c)
{
    client_end_free(c->end);
    if (c->will.message != 0)
        sim_link_let_go(c->will.link);
    if (c->last_link)
        sim_link_let_go(c->last_link);
    for (uint32_t i = 0; i < STALE_MAX; i++)
        if (c->stale[i])
            sim_link_let_go(c->stale[i]);
    oracle_view_fini(&c->view);
}

bool client_is_open(const struct client *c)
{
    return c->end && c->end->state == END_OPEN;
}

bool client_is_settled(const struct client *c)
{
    if (c->class == CLASS_CLEAN && !c->end)
        return true;
    if (!client_is_open(c) || client_outs(c) > 0 || c->end->held_count > 0 || c->must_be_clean)
        return false;
    for (uint32_t i = 0; i < OPERATIONS_MAX; i++)
        if (c->operations[i].type != 0)
            return false;
    return c->end->link->out.len == 0 && !sim_link_is_over(c->end->link);
}

/* --- connecting ------------------------------------------------------------------------------- */

static struct client_end *end_new(struct client *c, bool is_clean_start)
{
    struct rng *r = &c->world->rng;
    struct client_end *e = calloc(1, sizeof(*e));
    if (!e)
        abort();
    e->client = c;
    e->link = sim_link_hold(sim_link_new(c->world));
    e->is_clean_start = is_clean_start;
    e->is_transient = c->class == CLASS_CLEAN || (c->version != MQTT_V5 && is_clean_start);
    e->last_sent_ms = c->world->now_ms;
    e->keep_alive_s = rng_percent(r, 40) ? rng_between(r, 1, 10) : 0;
    e->may_end = e->keep_alive_s > 0 || c->oracle->has_tight_queues || c->oracle->is_relaxed;
    e->receive_maximum = UINT16_MAX;
    e->max_packet = UINT32_MAX;
    e->broker_receive_maximum = UINT16_MAX;
    if (c->version != MQTT_V5)
        return e;
    static const uint16_t maxima[] = {1, 2, 5, 20, UINT16_MAX};
    e->receive_maximum = maxima[rng_below(r, 5)];
    e->max_packet = rng_percent(r, 20) && !c->is_anchor ? LARGE_BYTES : UINT32_MAX;
    e->alias_max = (uint16_t)(rng_percent(r, 50) ? rng_between(r, 1, 10) : 0);
    return e;
}

static void choose_will(struct client *c, struct connect *p, struct message *m)
{
    struct rng *r = &c->world->rng;
    *m = (struct message){.publisher = c->index,
                          .topic = TOPIC_WILL + c->index,
                          .size = traffic_random_size(r, false),
                          .expiry_s = NO_EXPIRY,
                          .sends = 1,
                          .is_will = true,
                          .qos = (uint8_t)rng_below(r, 3),
                          .retain = rng_percent(r, 20),
                          .sent_step = UINT64_MAX};
    p->will = (struct will_fields){
        .present = true,
        .retain = m->retain,
        .qos = m->qos,
        .topic = mqbx_bytes_of(c->traffic->topics[m->topic]),
    };
    if (c->version == MQTT_V5 && rng_percent(r, 60)) {
        p->will.props.has = HAS_WILL_DELAY;
        p->will.props.will_delay_s = rng_below(r, 4);
    }
}

static struct connect connect_fields(struct client *c, const struct client_end *e)
{
    struct connect p = {.version = c->version,
                        .clean_start = e->is_clean_start,
                        .keep_alive_s = (uint16_t)e->keep_alive_s,
                        .client_id = mqbx_bytes_of(c->id)};
    if (c->version != MQTT_V5)
        return p;
    if (e->receive_maximum != UINT16_MAX)
        p.props.has |= HAS_RECEIVE_MAXIMUM;
    if (e->max_packet != UINT32_MAX)
        p.props.has |= HAS_MAXIMUM_PACKET_SIZE;
    if (e->alias_max > 0)
        p.props.has |= HAS_TOPIC_ALIAS_MAXIMUM;
    if (c->expiry_s > 0)
        p.props.has |= HAS_SESSION_EXPIRY;
    p.props.receive_maximum = e->receive_maximum;
    p.props.maximum_packet_size = e->max_packet;
    p.props.topic_alias_maximum = e->alias_max;
    p.props.session_expiry_s = c->expiry_s;
    return p;
}

static void watch_will(struct client *c, struct client_end *e, const struct message *m,
                       const struct connect *p)
{
    struct message *will = traffic_new(c->traffic, m);
    c->will = (struct will_watch){.message = will->id,
                                  .connect_step = c->world->step,
                                  .connects = e->has_stale,
                                  .delay_s = p->will.props.will_delay_s,
                                  .is_sessionless = e->is_transient,
                                  .may_end = e->may_end,
                                  .link = sim_link_hold(e->link)};
}

/* --- CONNECTs given up before they were answered: they may still come through ------------------
 */

static bool has_stale(struct client *c)
{
    bool found = false;
    for (uint32_t i = 0; i < STALE_MAX; i++) {
        if (c->stale[i] && c->stale[i]->is_closed) {
            sim_link_let_go(c->stale[i]);
            c->stale[i] = NULL;
        }
        found |= c->stale[i] != NULL;
    }
    return found;
}

bool client_may_connect(struct client *c)
{
    c->waits_for_stale &= has_stale(c);
    return !c->waits_for_stale;
}

static void become_stale(struct client *c, struct client_end *e)
{
    uint32_t i = 0;
    while (i < STALE_MAX && c->stale[i])
        i++;
    if (i < STALE_MAX)
        c->stale[i] = sim_link_hold(e->link);
    if (i < STALE_MAX && !e->is_clean_start && !e->is_transient)
        return;
    c->waits_for_stale = true;
    sim_link_break(e->link); /* so that it ends soon */
}

/* The session at the broker is a new one, or will be when CONNECT comes through. */
static void session_is_new(struct client *c)
{
    c->sessions_lost += c->has_session;
    c->session_lost_step = c->world->step;
    oracle_session_new(c->oracle, c);
    client_forget_outs(c);
    memset(c->stored, 0, sizeof(c->stored));
    c->min_max_packet = UINT32_MAX;
}

/* A clean start needs no answer to know what there is: packets may follow at once. */
static void begin_clean(struct client *c, struct client_end *e)
{
    c->must_be_clean = true; /* until CONNACK says that it was heard */
    session_is_new(c);
    c->session_lost_step = UINT64_MAX; /* whenever that is */
    c->has_session = false;
    c->min_max_packet = e->max_packet;
}

void client_connect(struct client *c, bool is_clean_start)
{
    struct rng *r = &c->world->rng;
    client_end_over(c, false); /* whoever has the client id is taken over */
    if (!client_may_connect(c))
        return;
    /* In 3.x a session that ends with its connection begins clean. */
    is_clean_start |=
        c->sim->is_ending || c->must_be_clean || (c->class == CLASS_CLEAN && c->version != MQTT_V5);
    c->will.connects++;
    struct client_end *e = end_new(c, is_clean_start);
    e->has_stale = has_stale(c);
    struct connect p = connect_fields(c, e);
    uint8_t payload[SMALL_BYTES];
    /* One will is watched at a time: the next begins when the one before is settled. None while
     * things come to rest: with short queues one will can set off the next for ever. */
    if (c->will.message == 0 && !c->sim->is_calm && rng_percent(r, 50)) {
        struct message m;
        choose_will(c, &p, &m);
        watch_will(c, e, &m, &p);
        traffic_payload(traffic_message(c->traffic, c->will.message), payload);
        p.will.payload = mqbx_bytes(payload, m.size);
    }
    c->end = e;
    c->may_have_session |= !e->is_transient;
    if (is_clean_start)
        begin_clean(c, e);
    struct writer w = mqbx_writer(c->sim->scratch, SCRATCH);
    mqbx_write_connect(&w, &p);
    client_send_writer(e, &w);
    world_trace(c->world, "%s connects by link %llu%s", c->id, (unsigned long long)e->link->number,
                is_clean_start ? ", clean" : "");
    if (is_clean_start && !c->sim->is_calm && rng_percent(r, 40))
        client_act_at_once(c);
    world_accept(c->world, e->link);
}

static void check_present(const struct client_end *e, bool is_present)
{
    const struct client *c = e->client;
    if (c->oracle->is_relaxed)
        return;
    bool is_expired = c->class == CLASS_SHORT && c->last_link && c->last_link->is_closed &&
                      e->link->attached_ms >
                          c->last_link->closed_ms + c->expiry_s * UINT64_C(1000) + EXPIRY_SLACK_MS;
    if (is_present && is_expired)
        world_fail(c->world, "%s: a session is present that expired", c->id);
    bool may_be = !e->is_clean_start && c->may_have_session;
    if (is_present && !may_be)
        world_fail(c->world, "%s: a session is present that cannot be", c->id);
    bool must_be = may_be && c->has_session && !c->must_be_clean &&
                   (c->class == CLASS_DURABLE ||
                    e->link->attached_ms + 50 < c->parted_ms + c->expiry_s * 1000ull);
    if (!is_present && must_be)
        world_fail(c->world, "%s: the session is gone", c->id);
}

void client_on_connack(struct client_end *e, const struct connack *ack)
{
    struct client *c = e->client;
    bool is_present = ack->session_present;
    check_present(e, is_present);
    c->may_have_session = !e->is_transient;
    if (c->will.message != 0 && c->will.link != e->link)
        will_settle(c->oracle, &c->will, true, is_present, e->link->attached_ms);
    else if (c->will.message != 0)
        c->will.is_armed = true;
    /* One may be present that was begun by a CONNECT whose answer was lost. */
    if (!e->is_clean_start && (!is_present || !c->has_session))
        session_is_new(c);
    if (e->is_clean_start)
        c->session_lost_step = c->world->step;
    c->has_session = true;
    c->must_be_clean = false;
    e->state = END_OPEN;
    e->is_resumed = is_present;
    e->opened_step = c->world->step;
    if (e->max_packet < c->min_max_packet)
        c->min_max_packet = e->max_packet;
    world_trace(c->world, "%s is connected%s", c->id, is_present ? ", resumed" : "");
    if (is_present)
        client_resend(c);
}

/* --- parting ---------------------------------------------------------------------------------- */

static void lose_operations(struct client *c)
{
    for (uint32_t i = 0; i < OPERATIONS_MAX; i++) {
        struct operation *op = &c->operations[i];
        for (uint32_t j = 0; op->type != 0 && j < op->count; j++)
            oracle_answer_lost(c->oracle, c, op->subs[j]);
        op->type = 0;
    }
}

static void remember_link(struct client *c, struct sim_link *l)
{
    if (c->last_link)
        sim_link_let_go(c->last_link);
    c->last_link = sim_link_hold(l);
}

void client_end_over(struct client *c, bool by_server)
{
    struct client_end *e = c->end;
    struct rng *r = &c->world->rng;
    if (!e)
        return;
    c->end = NULL;
    if (e->state == END_CONNECTING && c->class == CLASS_SHORT)
        c->must_be_clean = true; /* it may have begun another in place of one that expired */
    if (e->state == END_CONNECTING && !e->link->is_closed)
        become_stale(c, e);
    if (e->state == END_OPEN)
        remember_link(c, e->link);
    if (e->state == END_OPEN && (by_server || !e->has_sent_disconnect))
        c->parted_ms = by_server || e->may_end ? 0 : c->world->now_ms;
    lose_operations(c);
    if (c->will.message != 0 && c->will.link == e->link && !c->will.is_farewell)
        will_ended(c->oracle, &c->will, by_server);
    if (e->is_transient) {
        c->sessions_lost += c->has_session;
        c->session_lost_step = UINT64_MAX; /* when the broker notices */
        c->has_session = c->may_have_session = false;
        client_forget_outs(c);
    }
    c->connect_at_ms = c->world->now_ms + rng_below(r, rng_percent(r, 80) ? 200 : 8000);
    /* One that was taken over may hear of it. */
    bool is_heard = !sim_link_is_over(e->link) && !e->link->is_silent && !e->link->is_fin_sent &&
                    !e->link->is_broken && rng_percent(r, 70);
    if (is_heard) {
        e->is_zombie = true;
        sim_add_zombie(c->sim, e);
    } else {
        client_end_free(e);
    }
}

/* What is under way is lost, a farewell perhaps among it. */
static void lose_farewell(struct client *c)
{
    if (c->will.link == c->end->link)
        c->will.is_sure = false;
}

void client_cut(struct client *c)
{
    world_trace(c->world, "%s is cut off link %llu", c->id,
                (unsigned long long)c->end->link->number);
    lose_farewell(c);
    sim_link_cut(c->end->link);
    /* What came through before is still read. */
    while (c->end && client_end_read(c->end))
        ;
    if (c->end)
        client_end_over(c, false);
}

void client_silence(struct client *c)
{
    world_trace(c->world, "%s goes silent on link %llu", c->id,
                (unsigned long long)c->end->link->number);
    lose_farewell(c);
    sim_link_silence(c->end->link);
    client_end_over(c, false);
}

static bool has_operations(const struct client *c)
{
    for (uint32_t i = 0; i < OPERATIONS_MAX; i++)
        if (c->operations[i].type != 0)
            return true;
    return false;
}

void client_disconnect(struct client *c, bool with_will, bool ends_session)
{
    struct client_end *e = c->end;
    struct disconnect d = {.reason = with_will ? RC_DISCONNECT_WITH_WILL : RC_SUCCESS};
    if (c->version == MQTT_V5 && ends_session) {
        d.props.has = HAS_SESSION_EXPIRY;
        d.props.session_expiry_s = 0;
        c->must_be_clean = true; /* nobody says whether it was read */
    }
    if (c->will.message != 0 && c->will.link == e->link && d.reason == RC_SUCCESS) {
        c->will.is_farewell = true;
        c->will.is_sure = !has_operations(c) && client_outs(c) == 0 && !e->may_end && !e->has_stale;
    } else if (c->will.message != 0 && c->will.link == e->link) {
        will_ended(c->oracle, &c->will, true);
    }
    world_trace(c->world, "%s disconnects 0x%02x%s", c->id, d.reason,
                ends_session ? ", ends its session" : "");
    struct writer w = mqbx_writer(c->sim->scratch, SCRATCH);
    mqbx_write_disconnect(&w, c->version, &d);
    client_send_writer(e, &w);
    e->has_sent_disconnect = true;
    c->parted_ms = c->world->now_ms;
    if (c->world->is_calm || rng_percent(&c->world->rng, 50)) {
        c->connect_at_ms = c->world->now_ms + 100;
        return; /* waits for the broker to close */
    }
    sim_link_finish(e->link);
    client_end_over(c, false);
}
