/* SPDX-License-Identifier: MIT */
/*
 * Pages of masks and of counters. Everything atomic here is seq_cst (base/atomic.h).
 */
#include "engine/interest_masks.h"

#include <assert.h>

#include "base/atomic.h"

#define PAGE 1024u

struct masks {
    const struct alloc *alloc;
    uint32_t page_count;
    struct atomic_ptr pages[]; /* of PAGE struct atomic_u64; NULL: nobody was ever interested */
};

struct mask_counts {
    const struct alloc *alloc;
    struct masks *shared;
    uint64_t bit;
    uint32_t *pages[]; /* of PAGE counters */
};

static size_t masks_size(uint32_t pages)
{
    return sizeof(struct masks) + pages * sizeof(struct atomic_ptr);
}

static size_t counts_size(uint32_t pages)
{
    return sizeof(struct mask_counts) + pages * sizeof(uint32_t *);
}

struct masks *mqbx_masks_new(const struct alloc *a, uint32_t count)
{
    uint32_t pages = (count + PAGE - 1) / PAGE;
    struct masks *t = mqbx_zalloc(a, masks_size(pages));
    if (!t)
        return NULL;
    t->alloc = a;
    t->page_count = pages;
    return t;
}

void mqbx_masks_free(struct masks *t)
{
    if (!t)
        return;
    for (uint32_t i = 0; i < t->page_count; i++)
        mqbx_free(t->alloc, mqbx_atomic_load_ptr(&t->pages[i]), PAGE * sizeof(struct atomic_u64));
    mqbx_free(t->alloc, t, masks_size(t->page_count));
}

struct mask_counts *mqbx_mask_counts_new(const struct alloc *a, struct masks *t, uint32_t worker)
{
    assert(worker < 64);
    struct mask_counts *c = mqbx_zalloc(a, counts_size(t->page_count));
    if (!c)
        return NULL;
    c->alloc = a;
    c->shared = t;
    c->bit = (uint64_t)1 << worker;
    return c;
}

void mqbx_mask_counts_free(struct mask_counts *c)
{
    if (!c)
        return;
    for (uint32_t i = 0; i < c->shared->page_count; i++)
        mqbx_free(c->alloc, c->pages[i], PAGE * sizeof(uint32_t));
    mqbx_free(c->alloc, c, counts_size(c->shared->page_count));
}

/* Any number of workers may need the same page at once: the first to publish one wins. */
static bool shared_page_ready(struct masks *t, uint32_t page)
{
    void *there = mqbx_atomic_load_ptr(&t->pages[page]);
    if (there)
        return true;
    void *fresh = mqbx_zalloc(t->alloc, PAGE * sizeof(struct atomic_u64));
    if (fresh && !mqbx_atomic_cas_ptr(&t->pages[page], &there, fresh))
        mqbx_free(t->alloc, fresh, PAGE * sizeof(struct atomic_u64));
    return fresh != NULL;
}

bool mqbx_mask_reserve(struct mask_counts *c, uint32_t number)
{
    uint32_t page = number / PAGE;
    assert(page < c->shared->page_count);
    if (!c->pages[page])
        c->pages[page] = mqbx_zalloc(c->alloc, PAGE * sizeof(uint32_t));
    return c->pages[page] && shared_page_ready(c->shared, page);
}

static struct atomic_u64 *mask_at(const struct masks *t, uint32_t number)
{
    struct atomic_u64 *page = mqbx_atomic_load_ptr(&t->pages[number / PAGE]);
    return page ? &page[number % PAGE] : NULL;
}

void mqbx_mask_raise(struct mask_counts *c, uint32_t number)
{
    if (c->pages[number / PAGE][number % PAGE]++ == 0)
        mqbx_atomic_or64(mask_at(c->shared, number), c->bit);
}

void mqbx_mask_lower(struct mask_counts *c, uint32_t number)
{
    uint32_t *count = &c->pages[number / PAGE][number % PAGE];
    assert(*count > 0);
    if (--*count == 0)
        mqbx_atomic_and64(mask_at(c->shared, number), ~c->bit);
}

uint64_t mqbx_mask_read(const struct masks *t, uint32_t number)
{
    const struct atomic_u64 *mask = mask_at(t, number);
    return mask ? mqbx_atomic_load64(mask) : 0;
}
