/* SPDX-License-Identifier: MIT */
/*
 * A plain mutex, for the few shared structures that docs/design names. Never held across a
 * callback.
 */
#ifndef MQBX_BASE_LOCK_H
#define MQBX_BASE_LOCK_H

struct lock {
    _Alignas(8) unsigned char storage[64]; /* a pthread_mutex_t; checked in lock.c */
};

void mqbx_lock_init(struct lock *l);
void mqbx_lock_fini(struct lock *l);
void mqbx_lock_take(struct lock *l);
void mqbx_lock_give(struct lock *l);

#endif
