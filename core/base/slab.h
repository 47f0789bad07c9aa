/* SPDX-License-Identifier: MIT */
/*
 * Fixed-size objects carved from pages of about 16 KiB. A freed object goes to the head of its
 * page's free list; a page with no object left is given back (one empty page is kept). One owner
 * thread.
 */
#ifndef MQBX_BASE_SLAB_H
#define MQBX_BASE_SLAB_H

#include <stddef.h>
#include <stdint.h>

#include "base/alloc.h"
#include "base/list.h"

struct slab_page;

struct slab {
    const struct alloc *alloc;
    struct list partial; /* pages with a free object and one in use */
    struct list full;
    struct slab_page *spare; /* the empty page that is kept */
    uint32_t item_size;      /* rounded up to 8 */
    uint32_t per_page;
    size_t used; /* objects handed out */
    size_t pages;
};

void mqbx_slab_init(struct slab *s, const struct alloc *a, size_t item_size);
void mqbx_slab_fini(struct slab *s);            /* all objects must be back: asserted */
void *mqbx_slab_get(struct slab *s);            /* zeroed, aligned to 8; NULL: out of memory */
void mqbx_slab_put(struct slab *s, void *item); /* NULL is fine */

#endif
