/* SPDX-License-Identifier: MIT */
/*
 * A seat: opened and closed, its jobs and their steps, and what other threads hand in. The walk
 * along the chain is in walk.c.
 */
#include "plugin/seat.h"

#include <time.h>

#include "base/hash.h"
#include "plugin/walk.h"

uint64_t mqbx_plugin_clock_ns(void)
{
    struct timespec ts;
    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

/* --- life ------------------------------------------------------------------------------------- */

struct seat *mqbx_seat_open(struct plugins *set, uint32_t worker, void (*wake)(void *ctx),
                            void *wake_ctx)
{
    struct seat *s = mqbx_zalloc(set->alloc, sizeof(*s));
    if (!s)
        return NULL;
    s->set = set;
    s->alloc = set->alloc;
    s->worker = worker;
    s->wake = wake;
    s->wake_ctx = wake_ctx;
    mqbx_table_init(&s->jobs, s->alloc);
    mqbx_list_init(&s->open);
    mqbx_cache_init(&s->cache, s->alloc);
    mqbx_lock_init(&s->lock);
    s->is_open = true;
    mqbx_lock_take(&set->seats_lock);
    mqbx_atomic_store64(&s->generation, mqbx_atomic_load64(&set->generation));
    mqbx_seat_free(set->seats[worker]);
    set->seats[worker] = s;
    mqbx_lock_give(&set->seats_lock);
    return s;
}

static struct job *pop_answered(struct seat *s, struct outcome *o, bool *is_fresh)
{
    mqbx_lock_take(&s->lock);
    struct job *j = s->answered_first;
    if (j) {
        s->answered_first = j->next_answered;
        if (!s->answered_first)
            s->answered_last = NULL;
        *is_fresh =
            !j->is_waiting && j->answered_step == j->step && !mqbx_atomic_load32(&j->is_closed);
        *o = j->outcome;
        j->outcome = (struct outcome){0};
        j->is_listed = false;
    }
    mqbx_lock_give(&s->lock);
    return j;
}

void mqbx_seat_close(struct seat *s)
{
    struct outcome o;
    bool ignored;
    if (!s)
        return;
    mqbx_lock_take(&s->lock);
    s->is_open = false;
    mqbx_lock_give(&s->lock);
    while (!mqbx_list_empty(&s->open))
        mqbx_seat_close_job(s, mqbx_container(s->open.next, struct job, node));
    for (struct job *j = pop_answered(s, &o, &ignored); j; j = pop_answered(s, &o, &ignored)) {
        mqbx_outcome_fini(s->alloc, &o);
        mqbx_job_unref(j);
    }
    mqbx_cache_fini(&s->cache);
    mqbx_table_fini(&s->jobs);
    mqbx_outcome_fini(s->alloc, &s->last);
    s->last = (struct outcome){0};
    s->engine = NULL;
}

void mqbx_seat_free(struct seat *s)
{
    if (!s)
        return;
    mqbx_lock_fini(&s->lock);
    mqbx_free(s->alloc, s, sizeof(*s));
}

/* --- jobs and steps --------------------------------------------------------------------------- */

struct job *mqbx_seat_open_job(struct seat *s, const struct question *q)
{
    struct job *j = mqbx_job_new(s->alloc, s, q);
    if (!j)
        return NULL;
    if (!mqbx_table_insert(&s->jobs, mqbx_hash_mix(q->number), j)) {
        mqbx_job_unref(j);
        return NULL;
    }
    j->deadline_ms = mqbx_plugin_clock_ns() / 1000000 + s->set->options.deadline_ms;
    j->forget_stamp = s->forget_stamp;
    mqbx_list_push_back(&s->open, &j->node);
    return j;
}

static void drop_ticket(struct seat *s, uint64_t ticket)
{
    uint32_t step;
    struct job *j = ticket != 0 ? mqbx_ticket_use(&s->set->tickets, ticket, &step) : NULL;
    if (j)
        mqbx_job_unref(j);
}

uint32_t mqbx_seat_begin_step(struct seat *s, struct job *j, uint32_t at)
{
    mqbx_lock_take(&s->lock);
    uint32_t step = ++j->step;
    j->at = at;
    j->is_waiting = true;
    mqbx_lock_give(&s->lock);
    return step;
}

void mqbx_seat_end_step(struct seat *s, struct job *j)
{
    mqbx_lock_take(&s->lock);
    uint64_t ticket = j->ticket;
    j->step++;
    j->is_waiting = false;
    j->ticket = 0;
    mqbx_lock_give(&s->lock);
    drop_ticket(s, ticket);
}

uint64_t mqbx_seat_give_ticket(struct seat *s, struct job *j, uint32_t step)
{
    uint64_t ticket = mqbx_ticket_new(&s->set->tickets, j, step);
    mqbx_lock_take(&s->lock);
    bool is_wanted = ticket != 0 && j->is_waiting && j->step == step;
    if (is_wanted)
        j->ticket = ticket;
    mqbx_lock_give(&s->lock);
    if (is_wanted)
        return ticket;
    drop_ticket(s, ticket);
    return 0;
}

void mqbx_seat_close_job(struct seat *s, struct job *j)
{
    mqbx_atomic_store32(&j->is_closed, 1);
    mqbx_seat_end_step(s, j);
    mqbx_table_remove(&s->jobs, mqbx_hash_mix(j->question.number), j);
    mqbx_list_remove(&j->node);
    mqbx_job_unref(j);
}

static bool has_number(const void *value, const void *key)
{
    return ((const struct job *)value)->question.number == *(const uint64_t *)key;
}

void mqbx_seat_unask(struct seat *s, uint64_t number)
{
    struct job *j = mqbx_table_find(&s->jobs, mqbx_hash_mix(number), has_number, &number);
    if (j)
        mqbx_seat_close_job(s, j);
}

/* --- from any thread -------------------------------------------------------------------------- */

/* Under the lock, so that the worker is there to be woken. */
static void tell(struct seat *s)
{
    if (mqbx_atomic_swap32(&s->has_news, 1) == 0)
        s->wake(s->wake_ctx);
}

static void list_answered(struct seat *s, struct job *j)
{
    if (j->is_listed)
        return;
    j->is_listed = true;
    j->next_answered = NULL;
    if (s->answered_last)
        s->answered_last->next_answered = mqbx_job_ref(j);
    else
        s->answered_first = mqbx_job_ref(j);
    s->answered_last = j;
}

bool mqbx_seat_answer(struct seat *s, struct job *j, uint32_t step, struct outcome *o)
{
    uint64_t ticket = 0;
    struct outcome unused = *o;
    mqbx_lock_take(&s->lock);
    bool is_wanted = s->is_open && j->is_waiting && j->step == step;
    if (is_wanted) {
        ticket = j->ticket;
        j->ticket = 0;
        j->is_waiting = false;
        j->answered_step = step;
        unused = j->outcome; /* of a step that was not waited for */
        j->outcome = *o;
        list_answered(s, j);
        tell(s);
    }
    mqbx_lock_give(&s->lock);
    drop_ticket(s, ticket);
    mqbx_outcome_fini(s->alloc, &unused);
    return is_wanted;
}

void mqbx_seat_forget(struct seat *s, uint64_t client, uint64_t generation)
{
    mqbx_lock_take(&s->lock);
    if (s->forget_count < SEAT_FORGETS)
        s->forgets[s->forget_count++] = client;
    else
        s->forgets[0] = 0; /* too many to name: all */
    s->forget_generation = generation;
    if (s->is_open)
        tell(s);
    mqbx_lock_give(&s->lock);
}

/* --- the turn --------------------------------------------------------------------------------- */

static void take_forgets(struct seat *s)
{
    uint64_t forgets[SEAT_FORGETS];
    mqbx_lock_take(&s->lock);
    uint32_t count = s->forget_count;
    uint64_t generation = s->forget_generation;
    memcpy(forgets, s->forgets, count * sizeof(forgets[0]));
    s->forget_count = 0;
    mqbx_lock_give(&s->lock);
    if (count == 0)
        return;
    for (uint32_t i = 0; i < count; i++)
        mqbx_cache_forget(&s->cache, forgets[i]);
    s->forget_stamp++;
    mqbx_atomic_store64(&s->generation, generation);
}

static void take_answers(struct seat *s)
{
    struct outcome o;
    bool is_fresh;
    for (struct job *j = pop_answered(s, &o, &is_fresh); j; j = pop_answered(s, &o, &is_fresh)) {
        if (is_fresh)
            mqbx_walk_answered(s, j, &o);
        else
            mqbx_outcome_fini(s->alloc, &o);
        mqbx_job_unref(j);
    }
}

void mqbx_seat_turn(struct seat *s)
{
    if (mqbx_seat_has_news(s)) {
        mqbx_atomic_store32(&s->has_news, 0);
        take_forgets(s);
        take_answers(s);
    }
    if (mqbx_list_empty(&s->open))
        return;
    uint64_t now_ms = mqbx_plugin_clock_ns() / 1000000;
    while (mqbx_seat_next_ms(s) <= now_ms)
        mqbx_walk_late(s, mqbx_container(s->open.next, struct job, node));
}

uint64_t mqbx_seat_next_ms(const struct seat *s)
{
    if (mqbx_list_empty(&s->open))
        return UINT64_MAX;
    return mqbx_container(s->open.next, struct job, node)->deadline_ms;
}
