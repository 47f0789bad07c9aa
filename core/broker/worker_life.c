/* SPDX-License-Identifier: MIT */
/*
 * How a worker comes up and goes down, and how other threads reach it. Runs on the threads that
 * start and stop the broker, but for the thread's own main function.
 */
#include <assert.h>
#include <signal.h>
#include <stdio.h>

#include "broker/worker.h"
#include "broker/workers_set.h"

/* --- the engine's seams --------------------------------------------------------------------- */

static void seam_random(void *ctx, void *out, size_t len)
{
    (void)ctx;
    int err = uv_random(NULL, NULL, out, len, 0, NULL);
    assert(err == 0);
    (void)err;
}

static bool seam_reserve(void *ctx, uint32_t target, uint32_t count)
{
    struct worker *w = ctx;
    return mqbx_carrier_reserve(&w->carrier, target, count);
}

static bool seam_post(void *ctx, uint32_t target, const struct item *it, uint32_t bytes)
{
    struct worker *w = ctx;
    return mqbx_carrier_post(&w->carrier, target, it, bytes);
}

static uint64_t seam_pressure(void *ctx, uint32_t target)
{
    struct worker *w = ctx;
    const struct worker *other = mqbx_workers_at(w->set, target);
    return mqbx_inbox_bytes(&other->inbox) + mqbx_carrier_bytes(&w->carrier, target);
}

static void seam_log(void *ctx, const struct log_event *ev)
{
    struct worker *w = ctx;
    const struct workers_options *o = &w->set->options;
    if (o->log)
        o->log(o->log_ctx, ev);
}

static enum verdict seam_ask(void *ctx, const struct question *q, struct answer *a)
{
    struct worker *w = ctx;
    return mqbx_seat_ask(w->seat, q, a);
}

static void seam_unask(void *ctx, uint64_t number)
{
    struct worker *w = ctx;
    mqbx_seat_unask(w->seat, number);
}

/* --- plugins -------------------------------------------------------------------------------- */

static void wake(void *ctx)
{
    struct worker *w = ctx;
    mqbx_loop_wake(&w->loop);
}

static bool open_seat(struct worker *w)
{
    struct plugins *plugins = w->set->options.plugins;
    w->seat = plugins ? mqbx_seat_open(plugins, w->index, wake, w) : NULL;
    return !plugins || w->seat;
}

void mqbx_worker_close_seat(struct worker *w)
{
    mqbx_seat_close(w->seat);
    w->seat = NULL;
}

static mqb_err open_engine(struct worker *w, struct io_error *e)
{
    struct seams seams = {
        .ctx = w,
        .alloc = w->set->options.alloc,
        .loop = &w->loop,
        .random = seam_random,
        .reserve = seam_reserve,
        .post = seam_post,
        .pressure = seam_pressure,
        .log = seam_log,
    };
    if (!open_seat(w))
        return mqbx_io_error(e, MQB_ENOMEM, "out of memory for worker %u", w->index);
    if (w->seat) {
        seams.ask = seam_ask;
        seams.unask = seam_unask;
    }
    struct timespec wall;
    clock_gettime(CLOCK_REALTIME, &wall);
    struct engine_time now = {
        .mono_ms = uv_now(&w->loop.uv),
        .wall_ms = (uint64_t)wall.tv_sec * 1000 + (uint64_t)wall.tv_nsec / 1000000,
    };
    struct settings *settings = mqbx_settings_ref(w->set->settings);
    w->engine = mqbx_engine_new(w->set->shared, w->index, settings, &seams, now);
    if (w->engine) {
        if (w->seat)
            w->seat->engine = w->engine;
        return MQB_OK;
    }
    mqbx_worker_close_seat(w);
    mqbx_settings_unref(settings);
    return mqbx_io_error(e, MQB_ENOMEM, "out of memory for worker %u", w->index);
}

/* --- up ------------------------------------------------------------------------------------- */

void mqbx_worker_init(struct worker *w, struct workers *set, uint32_t index)
{
    w->set = set;
    w->index = index;
    pthread_mutex_init(&w->calls_lock, NULL);
    pthread_cond_init(&w->calls_done, NULL);
}

void mqbx_worker_fini(struct worker *w)
{
    assert(!w->is_open);
    pthread_cond_destroy(&w->calls_done);
    pthread_mutex_destroy(&w->calls_lock);
}

static mqb_err cannot_start(const struct worker *w, const char *call, int err, struct io_error *e)
{
    return mqbx_io_error(e, MQB_ESYS, "cannot start worker %u: %s: %s", w->index, call,
                         uv_strerror(err));
}

mqb_err mqbx_worker_open(struct worker *w, struct io_error *e)
{
    int err = mqbx_worker_open_loop(w);
    if (err != 0)
        return cannot_start(w, "opening its loop", err, e);
    w->loop.log = seam_log;
    mqbx_carrier_init(&w->carrier, w->set->options.alloc);
    mqbx_inbox_init(&w->inbox);
    w->incoming = (struct incoming){0};
    w->is_in_turn = w->is_restless = w->is_stopping = w->is_drained = w->is_leaving = false;
    w->next_deal = w->index;
    mqbx_worker_arm_tick(w);
    w->is_open = true;
    if (open_engine(w, e) == MQB_OK)
        return MQB_OK;
    mqbx_worker_close(w);
    return MQB_ENOMEM;
}

static uint64_t this_thread(void)
{
    return (uint64_t)(uintptr_t)pthread_self();
}

void mqbx_worker_enter(struct worker *w)
{
    mqbx_atomic_store64(&w->runner, this_thread());
}

void mqbx_worker_leave(struct worker *w)
{
    mqbx_atomic_store64(&w->runner, 0);
}

bool mqbx_worker_is_here(const struct worker *w)
{
    return mqbx_atomic_load64(&w->runner) == this_thread();
}

static void set_name(const struct worker *w)
{
#ifdef __linux__
    char name[16];
    snprintf(name, sizeof(name), "mqb-%u", w->index);
    pthread_setname_np(pthread_self(), name);
#else
    (void)w;
#endif
}

static void *run_thread(void *arg)
{
    struct worker *w = arg;
    set_name(w);
    mqbx_worker_enter(w);
    mqbx_worker_run(w);
    mqbx_worker_leave(w);
    return NULL;
}

/* Signals are the host's. Those that a fault raises on the thread itself stay open, for its crash
 * handler. */
static void host_signals(sigset_t *out)
{
    sigfillset(out);
    sigdelset(out, SIGSEGV);
    sigdelset(out, SIGBUS);
    sigdelset(out, SIGFPE);
    sigdelset(out, SIGILL);
    sigdelset(out, SIGTRAP);
}

mqb_err mqbx_worker_spawn(struct worker *w, struct io_error *e)
{
    sigset_t blocked, before;
    host_signals(&blocked);
    pthread_sigmask(SIG_SETMASK, &blocked, &before);
    int err = pthread_create(&w->thread, NULL, run_thread, w);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (err != 0)
        return cannot_start(w, "pthread_create", uv_translate_sys_error(err), e);
    w->has_thread = true;
    return MQB_OK;
}

/* --- down ----------------------------------------------------------------------------------- */

static void leave(struct worker *w, void *arg)
{
    (void)arg;
    w->is_leaving = true;
}

static void send_call(struct worker *w, struct call *c)
{
    pthread_mutex_lock(&w->calls_lock);
    c->next = w->calls;
    w->calls = c;
    mqbx_loop_wake(&w->loop);
    pthread_mutex_unlock(&w->calls_lock);
}

void mqbx_worker_close(struct worker *w)
{
    if (w->has_thread) {
        mqbx_worker_call(w, leave, NULL);
        pthread_join(w->thread, NULL);
        w->has_thread = false;
    }
    mqbx_loop_fini(&w->loop);
    mqbx_carrier_fini(&w->carrier);
    w->is_open = false;
}

/* --- from other threads --------------------------------------------------------------------- */

void mqbx_worker_push(struct worker *w, struct chunk *ch)
{
    if (mqbx_inbox_push(&w->inbox, &ch->head))
        mqbx_loop_wake(&w->loop);
}

static void call_here(struct worker *w, void (*fn)(struct worker *w, void *arg), void *arg)
{
    mqbx_worker_enter(w);
    uv_update_time(&w->loop.uv);
    fn(w, arg);
    mqbx_worker_turn(w);
    mqbx_worker_leave(w);
}

void mqbx_worker_call(struct worker *w, void (*fn)(struct worker *w, void *arg), void *arg)
{
    struct call c = {.fn = fn, .arg = arg};
    if (!w->has_thread) {
        call_here(w, fn, arg);
        return;
    }
    send_call(w, &c);
    pthread_mutex_lock(&w->calls_lock);
    while (!c.is_done)
        pthread_cond_wait(&w->calls_done, &w->calls_lock);
    pthread_mutex_unlock(&w->calls_lock);
}
