/* SPDX-License-Identifier: MIT */
/*
 * The lock-free part of interest: numbered 64-bit masks that any thread reads, and each worker's
 * private counters, of which only 0->1 and 1->0 touch its bit in the mask. Both stand in pages that
 * appear when something in them is first raised and stay as long as the table, so a broker with few
 * filters touches little memory. Knows nothing of topics.
 */
#ifndef MQBX_ENGINE_INTEREST_MASKS_H
#define MQBX_ENGINE_INTEREST_MASKS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/alloc.h"

struct masks;       /* shared */
struct mask_counts; /* one worker's */

/* NULL: out of memory. The table is freed after all counters. */
struct masks *mqbx_masks_new(const struct alloc *a, uint32_t count);
void mqbx_masks_free(struct masks *t);
struct mask_counts *mqbx_mask_counts_new(const struct alloc *a, struct masks *t, uint32_t worker);
void mqbx_mask_counts_free(struct mask_counts *c);

/* The worker's own thread. False: out of memory; otherwise this mask can be raised from now on. */
bool mqbx_mask_reserve(struct mask_counts *c, uint32_t number);
void mqbx_mask_raise(struct mask_counts *c, uint32_t number);
void mqbx_mask_lower(struct mask_counts *c, uint32_t number);

uint64_t mqbx_mask_read(const struct masks *t, uint32_t number); /* [any thread] */

#endif
