/* SPDX-License-Identifier: MIT */
/*
 * Connections that come and go; see crowd.h.
 */
#include "crowd.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { FAULTS_SHOWN = 20, PACKETS_BETWEEN_CUTS = 60, TAKEN_OVER = 0x8e };
enum { EXPIRY_S = 3600, AWAY_MS = 30, LATE_MS = 5000 };

enum cut { CUT_FIN, CUT_RESET, CUT_TORN, CUT_LEFT_BEHIND, CUT_DISCONNECT, CUTS };

void crowd_fault(struct crowd *crowd, const struct actor *actor, const char *format, ...)
{
    if (crowd->faults++ >= FAULTS_SHOWN) {
        return;
    }
    va_list args;
    va_start(args, format);
    fprintf(stderr, "%s, connection %u: ", actor ? actor->id : "all",
            actor ? actor->connections : 0);
    vfprintf(stderr, format, args);
    fputc('\n', stderr);
    va_end(args);
}

unsigned crowd_draw(struct crowd *crowd, unsigned below)
{
    return (unsigned)(mini_random(&crowd->random) % below);
}

void actor_init(struct actor *actor, const struct actor_class *class, struct crowd *crowd,
                const char *kind, unsigned number)
{
    *actor = (struct actor){
        .class = class,
        .crowd = crowd,
        .version = number % 3 == 2 ? MINI_V311 : MINI_V5,
        .cuts_left = crowd->cuts_each,
    };
    snprintf(actor->id, sizeof actor->id, "%s-%u-%u", kind, crowd->run, number);
    mini_link_init(&actor->link);
}

void actor_fini(struct actor *actor)
{
    mini_link_fini(&actor->link);
}

/* Is away from now on, for a moment. */
static void leave(struct actor *a, bool reset)
{
    uint64_t now_ms = mini_now_ms();
    if (a->phase == ACTOR_GREETING) {
        a->overtaken_until_ms = now_ms + LATE_MS;
    }
    mini_link_close(&a->link, reset);
    a->phase = ACTOR_AWAY;
    a->back_at_ms = now_ms + crowd_draw(a->crowd, AWAY_MS);
}

static bool can_leave_behind(const struct actor *a)
{
    return a->phase == ACTOR_OPEN && a->link.out.begin == a->link.out.end &&
           a->crowd->left_behind_count < CROWD_LEFT_BEHIND;
}

static void cut(struct actor *a)
{
    struct crowd *c = a->crowd;
    enum cut how = (enum cut)crowd_draw(c, CUTS);
    a->cuts_left--;
    c->cuts++;
    if (how == CUT_LEFT_BEHIND && can_leave_behind(a)) {
        /* the newer connection takes over while this one stays open */
        c->left_behind[c->left_behind_count++] = a->link.fd;
        a->link.fd = -1;
    } else if (how == CUT_TORN) {
        mini_link_flush_some(&a->link, crowd_draw(c, 64));
    } else if (how == CUT_DISCONNECT && a->phase == ACTOR_OPEN) {
        mini_send_bare(&a->link, MINI_DISCONNECT);
        (void)mini_link_flush(&a->link);
    }
    leave(a, how == CUT_RESET);
}

void actor_count(struct actor *actor)
{
    if (actor->crowd->may_cut && actor->cuts_left > 0 && actor->phase != ACTOR_AWAY &&
        --actor->packets_to_cut == 0) {
        cut(actor);
    }
}

static void come(struct actor *a)
{
    struct crowd *c = a->crowd;
    if (!mini_link_open(&a->link, &c->address, a->version)) {
        crowd_fault(c, a, "cannot connect: %s", strerror(errno));
        return;
    }
    a->phase = ACTOR_GREETING;
    a->connections++;
    a->packets_to_cut = 1 + crowd_draw(c, PACKETS_BETWEEN_CUTS);
    a->is_eager = a->has_session && crowd_draw(c, 3) == 0;
    /* What an eager connection has published must not be overtaken by what the next one publishes.
     */
    a->turns_to_cut =
        c->may_cut && !a->is_eager && crowd_draw(c, 8) == 0 ? 1 + crowd_draw(c, 3) : 0;
    mini_send_connect(&a->link, &(struct mini_connect){.client_id = a->id,
                                                       .expiry_s = EXPIRY_S,
                                                       .receive_maximum = a->receive_maximum,
                                                       .clean = false});
    a->class->greeting(a, a->is_eager);
}

/* The other side has ended the connection. */
static void lost(struct actor *a, int reason)
{
    bool is_late = mini_now_ms() < a->overtaken_until_ms;
    if (!is_late || (reason >= 0 && reason != TAKEN_OVER)) {
        crowd_fault(a->crowd, a, "the broker ended the connection, reason %d (-1: none), phase %d",
                    reason, (int)a->phase);
    }
    leave(a, false);
}

static void greeted(struct actor *a, const struct mini_packet *connack)
{
    if (a->phase != ACTOR_GREETING || connack->reason != 0) {
        crowd_fault(a->crowd, a, "CONNACK with code %u in phase %d", connack->reason,
                    (int)a->phase);
        leave(a, false);
        return;
    }
    if (a->has_session && !connack->session_present) {
        crowd_fault(a->crowd, a, "the session is gone");
    }
    a->phase = ACTOR_OPEN;
    a->turns_to_cut = 0;
    a->class->greeted(a, connack);
    a->has_session = true;
}

static void take(struct actor *a, const struct mini_packet *p)
{
    a->crowd->packets++;
    if (p->type == MINI_CONNACK) {
        greeted(a, p);
    } else if (p->type == MINI_DISCONNECT && a->version == MINI_V5) {
        lost(a, p->reason);
    } else if (a->phase == ACTOR_OPEN) {
        a->class->packet(a, p);
    } else {
        crowd_fault(a->crowd, a, "packet of type %d before CONNACK", (int)p->type);
    }
}

void actor_before_poll(struct actor *actor, uint64_t now_ms)
{
    if (actor->phase == ACTOR_AWAY && now_ms >= actor->back_at_ms) {
        come(actor);
    }
    if (actor->phase == ACTOR_OPEN) {
        actor->class->turn(actor);
    }
    if (actor->phase == ACTOR_AWAY) {
        return;
    }
    (void)mini_link_flush(&actor->link); /* if it fails, so does the next read */
    if (actor->turns_to_cut > 0 && --actor->turns_to_cut == 0 && actor->cuts_left > 0) {
        cut(actor);
    }
}

void actor_after_poll(struct actor *actor, short revents)
{
    if (actor->phase == ACTOR_AWAY || !(revents & (POLLIN | POLLHUP | POLLERR))) {
        return;
    }
    bool is_alive = mini_link_fill(&actor->link);
    struct mini_packet p;
    int got = 0;
    while (actor->phase != ACTOR_AWAY && (got = mini_link_next(&actor->link, &p)) > 0) {
        take(actor, &p);
        actor_count(actor);
    }
    if (actor->phase != ACTOR_AWAY && got < 0) {
        crowd_fault(actor->crowd, actor, "what came is not MQTT");
        leave(actor, true);
    } else if (actor->phase != ACTOR_AWAY && !is_alive) {
        lost(actor, -1);
    }
}

bool crowd_bury(struct crowd *crowd)
{
    uint8_t bytes[4096];
    for (size_t i = crowd->left_behind_count; i-- > 0;) {
        ssize_t n = recv(crowd->left_behind[i], bytes, sizeof bytes, MSG_DONTWAIT);
        if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR)) {
            close(crowd->left_behind[i]);
            crowd->left_behind[i] = crowd->left_behind[--crowd->left_behind_count];
        }
    }
    return crowd->left_behind_count == 0;
}
