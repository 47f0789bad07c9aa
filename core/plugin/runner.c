/* SPDX-License-Identifier: MIT */
/*
 * See runner.h.
 */
#include "plugin/runner.h"

#include <pthread.h>
#include <signal.h>

struct runner {
    struct runner_options options;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    struct job *first, *last; /* under lock, with the three below */
    uint32_t queued;
    bool is_closing;
    uint32_t started;
    pthread_t threads[];
};

static size_t size_of(const struct runner_options *o)
{
    return sizeof(struct runner) + o->threads * sizeof(pthread_t);
}

static struct job *pop(struct runner *r)
{
    struct job *j = r->first;
    if (!j)
        return NULL;
    r->first = j->next_queued;
    if (!r->first)
        r->last = NULL;
    r->queued--;
    return j;
}

/* NULL: the end. */
static struct job *wait_for_job(struct runner *r)
{
    pthread_mutex_lock(&r->lock);
    while (!r->first && !r->is_closing)
        pthread_cond_wait(&r->changed, &r->lock);
    struct job *j = r->is_closing ? NULL : pop(r);
    pthread_mutex_unlock(&r->lock);
    return j;
}

static void *run_thread(void *arg)
{
    struct runner *r = arg;
#ifdef __linux__
    pthread_setname_np(pthread_self(), "mqb-plugin");
#endif
    for (struct job *j = wait_for_job(r); j; j = wait_for_job(r)) {
        if (!mqbx_atomic_load32(&j->is_closed))
            r->options.run(j);
        mqbx_job_unref(j);
    }
    return NULL;
}

/* Signals are the host's; those that a fault raises stay open. */
static bool start_threads(struct runner *r)
{
    static const int faults[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP};
    sigset_t blocked, before;
    sigfillset(&blocked);
    for (size_t i = 0; i < sizeof(faults) / sizeof(faults[0]); i++)
        sigdelset(&blocked, faults[i]);
    pthread_sigmask(SIG_SETMASK, &blocked, &before);
    while (r->started < r->options.threads &&
           pthread_create(&r->threads[r->started], NULL, run_thread, r) == 0)
        r->started++;
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return r->started == r->options.threads;
}

struct runner *mqbx_runner_new(const struct runner_options *o)
{
    struct runner *r = mqbx_zalloc(o->alloc, size_of(o));
    if (!r)
        return NULL;
    r->options = *o;
    pthread_mutex_init(&r->lock, NULL);
    pthread_cond_init(&r->changed, NULL);
    if (start_threads(r))
        return r;
    mqbx_runner_free(r);
    return NULL;
}

void mqbx_runner_free(struct runner *r)
{
    if (!r)
        return;
    pthread_mutex_lock(&r->lock);
    r->is_closing = true;
    pthread_cond_broadcast(&r->changed);
    pthread_mutex_unlock(&r->lock);
    for (uint32_t i = 0; i < r->started; i++)
        pthread_join(r->threads[i], NULL);
    for (struct job *j = pop(r); j; j = pop(r))
        mqbx_job_unref(j);
    pthread_cond_destroy(&r->changed);
    pthread_mutex_destroy(&r->lock);
    mqbx_free(r->options.alloc, r, size_of(&r->options));
}

bool mqbx_runner_put(struct runner *r, struct job *j)
{
    pthread_mutex_lock(&r->lock);
    bool has_room = r->queued < r->options.queue_max;
    if (has_room) {
        j->next_queued = NULL;
        if (r->last)
            r->last->next_queued = mqbx_job_ref(j);
        else
            r->first = mqbx_job_ref(j);
        r->last = j;
        r->queued++;
        pthread_cond_signal(&r->changed);
    }
    pthread_mutex_unlock(&r->lock);
    return has_room;
}
