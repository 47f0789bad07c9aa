/* SPDX-License-Identifier: MIT */
/*
 * The set of workers: made, started, stopped, posted to. Its functions run on the host's threads;
 * what they want done on a worker they call there (mqbx_worker_call) or post.
 */
#include "broker/workers.h"

#include <errno.h>
#include <string.h>

#include "broker/error.h"
#include "broker/workers_set.h"

/* --- life ----------------------------------------------------------------------------------- */

static void init_locks(struct workers *w)
{
    pthread_condattr_t monotonic;
    pthread_mutex_init(&w->api_lock, NULL);
    pthread_rwlock_init(&w->gate, NULL);
    pthread_mutex_init(&w->drained_lock, NULL);
    pthread_mutex_init(&w->listeners_lock, NULL);
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_cond_init(&w->drained_changed, &monotonic);
    pthread_condattr_destroy(&monotonic);
}

static void fini_locks(struct workers *w)
{
    pthread_cond_destroy(&w->drained_changed);
    pthread_mutex_destroy(&w->listeners_lock);
    pthread_mutex_destroy(&w->drained_lock);
    pthread_rwlock_destroy(&w->gate);
    pthread_mutex_destroy(&w->api_lock);
}

static bool new_worker(struct workers *w, uint32_t index)
{
    struct worker *one = mqbx_zalloc(w->options.alloc, sizeof(*one));
    if (!one)
        return false;
    mqbx_worker_init(one, w, index);
    w->worker[index] = one;
    return true;
}

static void free_all(struct workers *w)
{
    const struct alloc *a = w->options.alloc;
    for (uint32_t i = 0; w->worker && i < w->options.count; i++) {
        if (!w->worker[i])
            continue;
        mqbx_worker_fini(w->worker[i]);
        mqbx_free(a, w->worker[i], sizeof(*w->worker[i]));
    }
    mqbx_free(a, w->worker, w->options.count * sizeof(*w->worker));
    mqbx_settings_unref(w->settings);
    fini_locks(w);
    mqbx_free(a, w, sizeof(*w));
}

mqb_err mqbx_workers_new(const struct workers_options *o, struct workers **out)
{
    struct workers *w = mqbx_zalloc(o->alloc, sizeof(*w));
    if (!w)
        return mqbx_error(MQB_ENOMEM, "out of memory for the workers");
    w->options = *o;
    w->settings = mqbx_settings_ref(o->settings);
    w->next_listener = 1;
    mqbx_atomic_store64(&w->inbox_mark_bytes, o->settings->inbox_mark_bytes);
    mqbx_list_init(&w->listeners);
    init_locks(w);
    w->worker = mqbx_zalloc(o->alloc, o->count * sizeof(*w->worker));
    for (uint32_t i = 0; i < o->count; i++) {
        if (!w->worker || !new_worker(w, i)) {
            free_all(w);
            return mqbx_error(MQB_ENOMEM, "out of memory for %u workers", o->count);
        }
    }
    *out = w;
    return MQB_OK;
}

void mqbx_workers_free(struct workers *w)
{
    if (!w)
        return;
    if (w->state == WORKERS_RUNNING)
        mqbx_workers_stop(w, 0);
    free_all(w);
}

/* --- each worker in turn -------------------------------------------------------------------- */

static void call_each(struct workers *w, void (*fn)(struct worker *one, void *arg))
{
    for (uint32_t i = 0; i < w->options.count; i++) {
        if (w->worker[i]->is_open)
            mqbx_worker_call(w->worker[i], fn, NULL);
    }
}

static void free_engine(struct worker *one, void *arg)
{
    (void)arg;
    mqbx_engine_free(one->engine);
    one->engine = NULL;
    mqbx_worker_close_seat(one);
    one->is_in_turn = one->is_restless = false;
}

static void dispose(struct worker *one, void *arg)
{
    (void)arg;
    mqbx_worker_dispose(one);
}

/* Engines first, all of them: one that is freed may still post. Then what has not arrived, then the
 * loops. */
static void tear_down(struct workers *w)
{
    call_each(w, free_engine);
    call_each(w, dispose);
    for (uint32_t i = 0; i < w->options.count; i++) {
        if (w->worker[i]->is_open)
            mqbx_worker_close(w->worker[i]);
    }
    mqbx_shared_free(w->shared);
    w->shared = NULL;
}

/* --- start ---------------------------------------------------------------------------------- */

static void shared_random(void *ctx, void *out, size_t len)
{
    (void)ctx;
    uv_random(NULL, NULL, out, len, 0, NULL);
}

static mqb_err open_shared(struct workers *w)
{
    struct shared_options so = {
        .workers = w->options.count,
        .interest_slots = w->options.interest_slots,
        .max_retained_count = w->options.max_retained_count,
        .max_retained_bytes = w->options.max_retained_bytes,
        .alloc = w->options.alloc,
        .random = shared_random,
    };
    w->shared = mqbx_shared_new(&so);
    return w->shared ? MQB_OK : mqbx_error(MQB_ENOMEM, "out of memory for the workers");
}

static void set_gate(struct workers *w, bool is_open)
{
    pthread_rwlock_wrlock(&w->gate);
    w->is_gate_open = is_open;
    pthread_rwlock_unlock(&w->gate);
}

static mqb_err bring_up(struct workers *w)
{
    struct io_error e = {.text = ""};
    mqb_err err = open_shared(w);
    if (err != MQB_OK)
        return err;
    for (uint32_t i = 0; i < w->options.count && err == MQB_OK; i++)
        err = mqbx_worker_open(w->worker[i], &e);
    for (uint32_t i = 0; i < w->options.count && err == MQB_OK && !w->options.host_driven; i++)
        err = mqbx_worker_spawn(w->worker[i], &e);
    if (err != MQB_OK) {
        tear_down(w);
        return mqbx_error(err, "%s", e.text);
    }
    return MQB_OK;
}

mqb_err mqbx_workers_start(struct workers *w)
{
    mqb_err err = MQB_OK;
    pthread_mutex_lock(&w->api_lock);
    if (w->state != WORKERS_STOPPED)
        err = mqbx_error(MQB_ESTATE, "the broker is started already");
    if (err == MQB_OK)
        err = bring_up(w);
    if (err == MQB_OK) {
        set_gate(w, true);
        w->state = WORKERS_RUNNING;
        if (w->options.host_driven) /* makes the kernel know of the descriptor others wake it by */
            mqbx_worker_step(w->worker[0], 0);
    }
    pthread_mutex_unlock(&w->api_lock);
    return err;
}

/* --- stop ----------------------------------------------------------------------------------- */

static void stop_reading(struct worker *one, void *arg)
{
    (void)arg;
    mqbx_worker_open_turn(one);
    mqbx_engine_stop_reading(one->engine);
}

/* What the others had posted by the time they stopped reading is here now, and goes out before the
 * farewell. */
static void say_goodbye(struct worker *one, void *arg)
{
    (void)arg;
    mqbx_worker_open_turn(one);
    mqbx_worker_empty_inbox(one);
    one->is_stopping = true;
    mqbx_engine_disconnect_all(one->engine);
}

void mqbx_workers_note_drained(struct workers *w)
{
    pthread_mutex_lock(&w->drained_lock);
    w->drained++;
    pthread_cond_signal(&w->drained_changed);
    pthread_mutex_unlock(&w->drained_lock);
}

static bool is_drained(struct workers *w)
{
    pthread_mutex_lock(&w->drained_lock);
    bool answer = w->drained == w->options.count;
    pthread_mutex_unlock(&w->drained_lock);
    return answer;
}

static uint64_t clock_ms(void)
{
    return uv_hrtime() / 1000000;
}

static void drive_until_drained(struct workers *w, uint64_t until_ms)
{
    for (uint64_t now = clock_ms(); !is_drained(w) && now < until_ms; now = clock_ms())
        mqbx_worker_step(w->worker[0], (int64_t)(until_ms - now));
}

static void wait_until_drained(struct workers *w, uint64_t until_ms)
{
    struct timespec until = {
        .tv_sec = (time_t)(until_ms / 1000),
        .tv_nsec = (long)(until_ms % 1000) * 1000000,
    };
    int err = 0;
    pthread_mutex_lock(&w->drained_lock);
    while (w->drained < w->options.count && err != ETIMEDOUT)
        err = pthread_cond_timedwait(&w->drained_changed, &w->drained_lock, &until);
    pthread_mutex_unlock(&w->drained_lock);
}

static void drain(struct workers *w, int64_t grace_ms)
{
    const uint64_t century_ms = UINT64_C(100) * 365 * 86400 * 1000;
    uint64_t grace = grace_ms > 0 ? (uint64_t)grace_ms : 0;
    uint64_t until_ms = clock_ms() + (grace < century_ms ? grace : century_ms);
    w->drained = 0;
    call_each(w, stop_reading);
    call_each(w, say_goodbye);
    if (w->options.host_driven)
        drive_until_drained(w, until_ms);
    else
        wait_until_drained(w, until_ms);
}

mqb_err mqbx_workers_stop(struct workers *w, int64_t grace_ms)
{
    mqb_err err = mqbx_workers_enter(w);
    if (err != MQB_OK)
        return err;
    w->state = WORKERS_STOPPING;
    mqbx_workers_close_listeners(w);
    mqbx_workers_leave(w); /* who asks for something meanwhile is answered, not kept waiting */
    drain(w, grace_ms);
    set_gate(w, false);
    tear_down(w);
    pthread_mutex_lock(&w->api_lock);
    w->state = WORKERS_STOPPED;
    pthread_mutex_unlock(&w->api_lock);
    return MQB_OK;
}

/* --- small questions ------------------------------------------------------------------------ */

uint32_t mqbx_workers_count(const struct workers *w)
{
    return w->options.count;
}

struct shared *mqbx_workers_shared(const struct workers *w)
{
    return w->shared;
}

const struct engine_metrics *mqbx_workers_metrics(const struct workers *w, uint32_t index)
{
    return mqbx_engine_metrics(w->worker[index]->engine);
}

bool mqbx_workers_on_thread(const struct workers *w)
{
    for (uint32_t i = 0; i < w->options.count; i++) {
        if (mqbx_worker_is_here(w->worker[i]))
            return true;
    }
    return false;
}

mqb_err mqbx_workers_enter(struct workers *w)
{
    if (mqbx_workers_on_thread(w))
        return mqbx_error(MQB_ESTATE, "not possible inside a callback of the broker");
    pthread_mutex_lock(&w->api_lock);
    if (w->state == WORKERS_RUNNING)
        return MQB_OK;
    pthread_mutex_unlock(&w->api_lock);
    return mqbx_error(MQB_ESTATE, "the broker is not started");
}

void mqbx_workers_leave(struct workers *w)
{
    pthread_mutex_unlock(&w->api_lock);
}

/* --- posting -------------------------------------------------------------------------------- */

static struct chunk *wrap(struct workers *w, const struct item *it, uint32_t bytes)
{
    struct chunk *ch = mqbx_chunk_new(w->options.alloc, 1);
    if (!ch)
        return NULL;
    ch->items[0] = *it;
    ch->count = 1;
    ch->head.bytes = bytes;
    return ch;
}

static bool is_full(const struct workers *w, const struct worker *target)
{
    uint64_t mark = mqbx_atomic_load64(&w->inbox_mark_bytes);
    return mark > 0 && mqbx_inbox_bytes(&target->inbox) > mark;
}

static enum post_result post(struct workers *w, uint32_t target, const struct item *it,
                             uint32_t bytes, bool even_if_full)
{
    struct worker *to = mqbx_workers_at(w, target);
    if (!w->is_gate_open)
        return POST_STOPPED;
    if (!even_if_full && is_full(w, to))
        return POST_FULL;
    struct chunk *ch = wrap(w, it, bytes);
    if (!ch)
        return POST_NO_MEMORY;
    mqbx_worker_push(to, ch);
    return POST_OK;
}

enum post_result mqbx_workers_post(struct workers *w, uint32_t target, const struct item *it,
                                   uint32_t bytes, bool even_if_full)
{
    pthread_rwlock_rdlock(&w->gate);
    enum post_result result = post(w, target, it, bytes, even_if_full);
    pthread_rwlock_unlock(&w->gate);
    return result;
}

/* All of them or none: the chunks are made first. */
static bool post_settings(struct workers *w, struct settings *s)
{
    struct chunk *chunks[CARRIER_TARGETS] = {NULL};
    struct item it = {.type = ITEM_SETTINGS, .from = ITEM_FROM_HOST, .u.settings = s};
    for (uint32_t i = 0; i < w->options.count; i++) {
        chunks[i] = wrap(w, &it, 0);
        if (chunks[i])
            continue;
        while (i-- > 0)
            mqbx_chunk_free(w->options.alloc, chunks[i]);
        return false;
    }
    for (uint32_t i = 0; i < w->options.count; i++)
        mqbx_worker_push(w->worker[i], chunks[i]);
    return true;
}

static void keep_settings(struct workers *w, struct settings *s)
{
    struct settings *before = w->settings;
    w->settings = mqbx_settings_ref(s);
    mqbx_atomic_store64(&w->inbox_mark_bytes, s->inbox_mark_bytes);
    mqbx_settings_unref(before);
}

mqb_err mqbx_workers_set_settings(struct workers *w, struct settings *s)
{
    mqb_err err = MQB_OK;
    pthread_mutex_lock(&w->api_lock);
    bool is_running = w->state == WORKERS_RUNNING;
    if (is_running && !post_settings(w, s))
        err = mqbx_error(MQB_ENOMEM, "out of memory for new settings");
    if (err == MQB_OK)
        keep_settings(w, s);
    for (uint32_t i = 0; err == MQB_OK && !is_running && i < w->options.count; i++)
        mqbx_settings_unref(s);
    pthread_mutex_unlock(&w->api_lock);
    return err;
}

/* --- driven by the host --------------------------------------------------------------------- */

int mqbx_workers_fd(const struct workers *w)
{
    return mqbx_loop_fd(&w->worker[0]->loop);
}

int64_t mqbx_workers_timeout_ms(const struct workers *w)
{
    return mqbx_worker_timeout_ms(w->worker[0]);
}

mqb_err mqbx_workers_step(struct workers *w, int64_t wait_ms)
{
    if (mqbx_workers_on_thread(w))
        return mqbx_error(MQB_ESTATE, "step was called within itself");
    if (!w->options.host_driven || w->state != WORKERS_RUNNING)
        return mqbx_error(MQB_ESTATE, "the broker is not started, or has threads of its own");
    mqbx_worker_step(w->worker[0], wait_ms);
    return MQB_OK;
}
