/* SPDX-License-Identifier: MIT */
/*
 * The slab. A page is carved from its start as objects are first asked for; each object is preceded
 * by the pointer to its page. Under AddressSanitizer a freed object is poisoned. One owner thread.
 */
#include "base/slab.h"

#include <assert.h>
#include <string.h>

#if defined(__SANITIZE_ADDRESS__)
#define SLAB_POISONS 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define SLAB_POISONS 1
#endif
#endif

#ifdef SLAB_POISONS
#include <sanitizer/asan_interface.h>
#else
#define ASAN_POISON_MEMORY_REGION(ptr, size) ((void)(ptr), (void)(size))
#define ASAN_UNPOISON_MEMORY_REGION(ptr, size) ((void)(ptr), (void)(size))
#endif

#define PAGE_BYTES 16384u

struct slot {
    struct slab_page *page; /* while handed out */
    struct slot *next;      /* while free; this is where the object begins */
};

#define SLOT_HEADER offsetof(struct slot, next)

struct slab_page {
    struct list node; /* in partial or full; in none when it is the spare one */
    struct slot *free;
    uint32_t used;
    uint32_t carved; /* slots that were handed out at least once */
};

static size_t slot_size(const struct slab *s)
{
    return SLOT_HEADER + s->item_size;
}

static size_t page_size(const struct slab *s)
{
    return sizeof(struct slab_page) + s->per_page * slot_size(s);
}

void mqbx_slab_init(struct slab *s, const struct alloc *a, size_t item_size)
{
    assert(item_size > 0 && item_size < UINT32_MAX / 2);
    *s = (struct slab){.alloc = a, .item_size = (uint32_t)((item_size + 7) & ~(size_t)7)};
    size_t fits = (PAGE_BYTES - sizeof(struct slab_page)) / slot_size(s);
    s->per_page = fits > 0 ? (uint32_t)fits : 1;
    mqbx_list_init(&s->partial);
    mqbx_list_init(&s->full);
}

static void page_free(struct slab *s, struct slab_page *page)
{
    ASAN_UNPOISON_MEMORY_REGION(page, page_size(s));
    mqbx_free(s->alloc, page, page_size(s));
    s->pages--;
}

void mqbx_slab_fini(struct slab *s)
{
    assert(s->used == 0);
    if (s->spare)
        page_free(s, s->spare);
    s->spare = NULL;
}

static struct slab_page *page_new(struct slab *s)
{
    struct slab_page *page = mqbx_alloc(s->alloc, page_size(s));
    if (!page)
        return NULL;
    *page = (struct slab_page){0};
    mqbx_list_init(&page->node);
    s->pages++;
    return page;
}

/* A page with a free slot, in the list of the partial ones. */
static struct slab_page *page_with_room(struct slab *s)
{
    if (!mqbx_list_empty(&s->partial))
        return mqbx_container(s->partial.next, struct slab_page, node);
    struct slab_page *page = s->spare ? s->spare : page_new(s);
    s->spare = NULL;
    if (page)
        mqbx_list_push_front(&s->partial, &page->node);
    return page;
}

static struct slot *page_get(const struct slab *s, struct slab_page *page)
{
    struct slot *slot = page->free;
    if (slot) {
        ASAN_UNPOISON_MEMORY_REGION(&slot->next, s->item_size);
        page->free = slot->next;
    } else {
        slot = (struct slot *)(void *)((char *)(page + 1) + page->carved * slot_size(s));
        page->carved++;
    }
    page->used++;
    return slot;
}

void *mqbx_slab_get(struct slab *s)
{
    struct slab_page *page = page_with_room(s);
    if (!page)
        return NULL;
    struct slot *slot = page_get(s, page);
    if (page->used == s->per_page) {
        mqbx_list_remove(&page->node);
        mqbx_list_push_back(&s->full, &page->node);
    }
    s->used++;
    slot->page = page;
    return memset(&slot->next, 0, s->item_size);
}

/* One empty page is kept, so that an object coming and going at a page's edge costs no allocation.
 */
static void page_emptied(struct slab *s, struct slab_page *page)
{
    mqbx_list_remove(&page->node);
    if (s->spare)
        page_free(s, page);
    else
        s->spare = page;
}

void mqbx_slab_put(struct slab *s, void *item)
{
    if (!item)
        return;
    struct slot *slot = (struct slot *)(void *)((char *)item - SLOT_HEADER);
    struct slab_page *page = slot->page;
    assert(s->used > 0 && page->used > 0);
    if (page->used == s->per_page) {
        mqbx_list_remove(&page->node);
        mqbx_list_push_front(&s->partial, &page->node);
    }
    slot->next = page->free;
    page->free = slot;
    ASAN_POISON_MEMORY_REGION(&slot->next, s->item_size);
    page->used--;
    s->used--;
    if (page->used == 0)
        page_emptied(s, page);
}
