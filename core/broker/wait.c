/* SPDX-License-Identifier: MIT */
/*
 * See wait.h.
 */
#include "broker/wait.h"

#include <errno.h>
#include <pthread.h>
#include <stdbool.h>
#include <time.h>

#include "broker/error.h"

struct wait {
    const struct alloc *alloc;
    pthread_mutex_t lock;
    pthread_cond_t changed; /* on the monotonic clock */
    unsigned refs;          /* under lock, as what follows */
    bool is_done;
    mqb_err err;
};

struct wait *mqbx_wait_new(const struct alloc *a)
{
    pthread_condattr_t monotonic;
    struct wait *w = mqbx_zalloc(a, sizeof(*w));
    if (w == NULL)
        return NULL;
    w->alloc = a;
    w->refs = 2;
    pthread_mutex_init(&w->lock, NULL);
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_cond_init(&w->changed, &monotonic);
    pthread_condattr_destroy(&monotonic);
    return w;
}

void mqbx_wait_drop(struct wait *w)
{
    if (w == NULL)
        return;
    pthread_cond_destroy(&w->changed);
    pthread_mutex_destroy(&w->lock);
    mqbx_free(w->alloc, w, sizeof(*w));
}

/* Unlocks. */
static void give_back(struct wait *w)
{
    bool is_last = --w->refs == 0;
    pthread_mutex_unlock(&w->lock);
    if (is_last)
        mqbx_wait_drop(w);
}

void mqbx_wait_bring(struct wait *w, mqb_err err)
{
    pthread_mutex_lock(&w->lock);
    w->is_done = true;
    w->err = err;
    pthread_cond_signal(&w->changed);
    give_back(w);
}

static struct timespec deadline(int64_t timeout_ms)
{
    struct timespec ts;
    clock_gettime(CLOCK_MONOTONIC, &ts);
    int64_t ns = ts.tv_nsec + (timeout_ms % 1000) * 1000000;
    ts.tv_sec += (time_t)(timeout_ms / 1000 + ns / 1000000000);
    ts.tv_nsec = (long)(ns % 1000000000);
    return ts;
}

mqb_err mqbx_wait_for(struct wait *w, int64_t timeout_ms)
{
    const int64_t century_ms = INT64_C(100) * 365 * 86400 * 1000;
    bool has_limit = timeout_ms >= 0 && timeout_ms < century_ms;
    struct timespec until = deadline(has_limit ? timeout_ms : 0);
    int result = 0;
    pthread_mutex_lock(&w->lock);
    while (!w->is_done && result != ETIMEDOUT)
        result = has_limit ? pthread_cond_timedwait(&w->changed, &w->lock, &until)
                           : pthread_cond_wait(&w->changed, &w->lock);
    mqb_err err = w->is_done ? w->err : MQB_ETIMEDOUT;
    give_back(w);
    if (err != MQB_OK)
        return mqbx_error(err, "%s", mqb_strerror(err));
    return MQB_OK;
}
