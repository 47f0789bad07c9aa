/* SPDX-License-Identifier: MIT */
/*
 * The mutex, kept out of the header so that nobody above sees pthread.h. Any thread.
 */
#include "base/lock.h"

#include <assert.h>
#include <pthread.h>

_Static_assert(sizeof(pthread_mutex_t) <= sizeof(struct lock), "struct lock is too small");
_Static_assert(_Alignof(pthread_mutex_t) <= _Alignof(struct lock), "struct lock is not aligned");

static pthread_mutex_t *mutex_of(struct lock *l)
{
    return (pthread_mutex_t *)(void *)l->storage;
}

/* Each of these fails only when it is misused: a lock that is no lock, a second take by its holder.
 */
static void check(int err)
{
    assert(err == 0);
    (void)err;
}

void mqbx_lock_init(struct lock *l)
{
    check(pthread_mutex_init(mutex_of(l), NULL));
}

void mqbx_lock_fini(struct lock *l)
{
    check(pthread_mutex_destroy(mutex_of(l)));
}

void mqbx_lock_take(struct lock *l)
{
    check(pthread_mutex_lock(mutex_of(l)));
}

void mqbx_lock_give(struct lock *l)
{
    check(pthread_mutex_unlock(mutex_of(l)));
}
