/* SPDX-License-Identifier: MIT */
/*
 * The chain: LOOP plugins are called here and now, the others are sent a copy of the question. The
 * first answer that is not PASS counts; when all pass it is denied.
 */
#include "plugin/walk.h"

#include <stdio.h>

#include "plugin/call.h"
#include "plugin/runner.h"

/* A LOOP call that takes longer keeps every client of the worker waiting. */
#define LOOP_CALL_MAX_NS UINT64_C(1000000)

/* --- figures ---------------------------------------------------------------------------------- */

static void count(struct seat *s, const struct chain_link *link, enum plugin_figure figure)
{
    mqbx_counter_add(&s->counters[link->plugin->index][link->hook].figures[figure], 1);
}

static void count_answer(struct seat *s, const struct chain_link *link, uint32_t verdict,
                         uint64_t took_ns)
{
    struct counter *figures = s->counters[link->plugin->index][link->hook].figures;
    count(s, link,
          verdict == MQB_ALLOW  ? FIGURE_ALLOWED
          : verdict == MQB_PASS ? FIGURE_PASSED
                                : FIGURE_DENIED);
    mqbx_counter_add(&figures[FIGURE_LATENCY_NS], took_ns);
    uint64_t most = mqbx_counter_get(&figures[FIGURE_LATENCY_MAX_NS]);
    if (took_ns > most)
        mqbx_counter_add(&figures[FIGURE_LATENCY_MAX_NS], took_ns - most);
}

static void note_slow(const struct chain_link *link, uint64_t took_ns)
{
#ifdef NDEBUG
    (void)link;
    (void)took_ns;
#else
    if (took_ns <= LOOP_CALL_MAX_NS)
        return;
    char line[96];
    snprintf(line, sizeof(line), "a LOOP call took %llu us", (unsigned long long)(took_ns / 1000));
    mqbx_plugin_log(link->plugin, MQB_LOG_WARN, line);
#endif
}

/* --- one step --------------------------------------------------------------------------------- */

/* A question on its way; `job` once it may have to wait. */
struct walk {
    struct seat *seat;
    const struct question *question;
    struct job *job;
    uint32_t at;
    struct outcome outcome;
};

/* MQB_PENDING, or the verdict with its outcome. */
static uint32_t call_here(struct walk *w, const struct chain_link *link)
{
    struct call_frame f = {.seat = w->seat, .question = w->question, .job = w->job, .at = w->at};
    uint64_t began_ns = mqbx_plugin_clock_ns();
    uint32_t verdict = mqbx_call(&f, link);
    uint64_t took_ns = mqbx_plugin_clock_ns() - began_ns;
    note_slow(link, took_ns);
    w->job = f.job;
    if (verdict == MQB_PENDING) {
        w->job->step_began_ns = began_ns;
        mqbx_scratch_free(&f);
        return MQB_PENDING;
    }
    if (f.has_ticket) /* it took one, and answered at once all the same */
        mqbx_seat_end_step(w->seat, w->job);
    mqbx_call_outcome(&f, verdict, &w->outcome);
    count_answer(w->seat, link, w->outcome.verdict, took_ns);
    return w->outcome.verdict;
}

/* False: there is no room for it. */
static bool send(struct walk *w, const struct chain_link *link)
{
    struct plugin *p = link->plugin;
    struct runner *runner = link->run == MQB_RUN_POOL ? p->set->pool : p->serial;
    if (!w->job)
        w->job = mqbx_seat_open_job(w->seat, w->question);
    if (!w->job)
        return false;
    w->job->step_began_ns = mqbx_plugin_clock_ns();
    mqbx_seat_begin_step(w->seat, w->job, w->at);
    if (mqbx_runner_put(runner, w->job))
        return true;
    mqbx_seat_end_step(w->seat, w->job);
    return false;
}

/* MQB_PENDING, or the verdict: of the first that has one. */
static uint32_t walk(struct walk *w)
{
    const struct chain *chain = &w->seat->set->chains[w->question->kind];
    for (; w->at < chain->count; w->at++) {
        const struct chain_link *link = &chain->links[w->at];
        uint32_t verdict = MQB_PENDING;
        count(w->seat, link, FIGURE_CALLS);
        if (link->run == MQB_RUN_LOOP) {
            verdict = call_here(w, link);
        } else if (!send(w, link)) {
            count(w->seat, link, FIGURE_REFUSED);
            verdict = MQB_DENY;
        }
        if (verdict != MQB_PASS)
            return verdict;
        mqbx_outcome_fini(w->seat->alloc, &w->outcome);
        w->outcome = (struct outcome){0};
    }
    return MQB_DENY;
}

/* --- the end of the walk ---------------------------------------------------------------------- */

static void keep_answer(struct seat *s, const struct question *q, const struct outcome *o)
{
    if (o->cache_ms == 0 || q->kind == ASK_CONNECT || q->kind == ASK_AUTH)
        return;
    mqbx_cache_keep(&s->cache, q, &o->answer, mqbx_plugin_clock_ns() / 1000000 + o->cache_ms);
}

/* Closes the job before the engine hears: it may ask the next question at once. */
static void deliver(struct seat *s, struct job *j, struct outcome *o)
{
    uint64_t number = j->question.number;
    if (j->forget_stamp == s->forget_stamp)
        keep_answer(s, &j->question, o);
    mqbx_seat_close_job(s, j);
    mqbx_engine_answer(s->engine, number, &o->answer);
    o->answer.permissions = NULL; /* taken over */
    mqbx_outcome_fini(s->alloc, o);
}

enum verdict mqbx_seat_ask(struct seat *s, const struct question *q, struct answer *a)
{
    if (mqbx_cache_find(&s->cache, q, mqbx_plugin_clock_ns() / 1000000, a))
        return a->verdict;
    struct walk w = {.seat = s, .question = q};
    if (walk(&w) == MQB_PENDING)
        return VERDICT_PENDING;
    keep_answer(s, q, &w.outcome);
    if (w.job)
        mqbx_seat_close_job(s, w.job);
    mqbx_outcome_fini(s->alloc, &s->last);
    s->last = w.outcome;
    *a = w.outcome.answer;
    s->last.answer.permissions = NULL; /* the engine's now */
    return a->verdict;
}

static void count_late_answer(struct seat *s, const struct job *j, uint32_t verdict)
{
    const struct chain_link *link = &s->set->chains[j->question.kind].links[j->at];
    count_answer(s, link, verdict, mqbx_plugin_clock_ns() - j->step_began_ns);
}

void mqbx_walk_answered(struct seat *s, struct job *j, struct outcome *o)
{
    count_late_answer(s, j, o->verdict);
    if (o->verdict != MQB_PASS) {
        deliver(s, j, o);
        return;
    }
    mqbx_outcome_fini(s->alloc, o);
    struct walk w = {.seat = s, .question = &j->question, .job = j, .at = j->at + 1};
    if (walk(&w) != MQB_PENDING)
        deliver(s, j, &w.outcome);
}

void mqbx_walk_late(struct seat *s, struct job *j)
{
    const struct chain_link *link = &s->set->chains[j->question.kind].links[j->at];
    struct outcome denied = {.verdict = MQB_DENY};
    count(s, link, FIGURE_TIMED_OUT);
    mqbx_plugin_log(link->plugin, MQB_LOG_WARN, "no answer before the deadline: denied");
    deliver(s, j, &denied);
}
