/* SPDX-License-Identifier: MIT */
/*
 * Nodes coming and going. One owner thread.
 */
#include "engine/index_tree.h"

#include <assert.h>
#include <string.h>

struct tree_page {
    uint32_t free;   /* node id of the first free one that was used before; 0: none */
    uint16_t carved; /* nodes that were used at least once */
    uint16_t used;
    uint32_t next, prev; /* page + 1, in partial; next also in absent */
};

#define PAGE_BYTES (TREE_PAGE_NODES * sizeof(struct tree_node))

void mqbx_tree_init(struct tree *t, struct index_memory *mem)
{
    *t = (struct tree){.mem = mem};
}

static bool has_node(const struct tree *t, uint32_t id)
{
    return t->nodes[id >> TREE_PAGE_SHIFT] && mqbx_tree_node(t, id)->subscribers.count > 0;
}

void mqbx_tree_fini(struct tree *t)
{
    for (uint32_t id = 0; id < t->page_count << TREE_PAGE_SHIFT; id++) {
        if (has_node(t, id))
            mqbx_subscribers_fini(&mqbx_tree_node(t, id)->subscribers, t->mem);
    }
    for (uint32_t i = 0; i < t->page_count; i++)
        mqbx_index_release(t->mem, t->nodes[i], PAGE_BYTES);
    mqbx_index_release(t->mem, t->nodes, t->page_cap * sizeof(struct tree_node *));
    mqbx_index_release(t->mem, t->pages, t->page_cap * sizeof(struct tree_page));
    mqbx_id_map_fini(&t->literals, t->mem);
    *t = (struct tree){.mem = t->mem};
}

/* --- pages ----------------------------------------------------------------------------------- */

static void partial_push(struct tree *t, uint32_t page)
{
    t->pages[page].prev = 0;
    t->pages[page].next = t->partial;
    if (t->partial)
        t->pages[t->partial - 1].prev = page + 1;
    t->partial = page + 1;
}

static void partial_remove(struct tree *t, uint32_t page)
{
    struct tree_page *p = &t->pages[page];
    if (p->prev)
        t->pages[p->prev - 1].next = p->next;
    else
        t->partial = p->next;
    if (p->next)
        t->pages[p->next - 1].prev = p->prev;
}

/* Room for one more page in the two arrays. */
static bool grow_directory(struct tree *t)
{
    if (t->page_count < t->page_cap)
        return true;
    if (t->page_cap > UINT32_MAX >> (TREE_PAGE_SHIFT + 1))
        return false;
    uint32_t cap = t->page_cap ? t->page_cap * 2 : 4;
    size_t node_size = sizeof(struct tree_node *);
    struct tree_node **nodes = mqbx_index_alloc(t->mem, cap * node_size);
    struct tree_page *pages = mqbx_index_alloc(t->mem, cap * sizeof(*pages));
    if (!nodes || !pages) {
        mqbx_index_release(t->mem, nodes, cap * node_size);
        mqbx_index_release(t->mem, pages, cap * sizeof(*pages));
        return false;
    }
    if (t->page_cap) {
        memcpy(nodes, t->nodes, t->page_cap * node_size);
        memcpy(pages, t->pages, t->page_cap * sizeof(*pages));
        mqbx_index_release(t->mem, t->nodes, t->page_cap * node_size);
        mqbx_index_release(t->mem, t->pages, t->page_cap * sizeof(*pages));
    }
    t->nodes = nodes;
    t->pages = pages;
    t->page_cap = cap;
    return true;
}

static bool add_page(struct tree *t)
{
    if (!t->absent && !grow_directory(t))
        return false;
    struct tree_node *nodes = mqbx_index_alloc(t->mem, PAGE_BYTES);
    if (!nodes)
        return false;
    memset(nodes, 0, PAGE_BYTES);
    uint32_t page = t->absent ? t->absent - 1 : t->page_count++;
    if (t->absent)
        t->absent = t->pages[page].next;
    t->nodes[page] = nodes;
    t->pages[page] = (struct tree_page){.carved = page == 0, .used = page == 0}; /* no node 0 */
    partial_push(t, page);
    return true;
}

/* The last page with room is kept, so that a node coming and going costs no allocation; page 0
 * always. */
static void page_emptied(struct tree *t, uint32_t page)
{
    bool is_only = t->partial == page + 1 && t->pages[page].next == 0;
    if (is_only)
        return;
    partial_remove(t, page);
    mqbx_index_release(t->mem, t->nodes[page], PAGE_BYTES);
    t->nodes[page] = NULL;
    t->pages[page] = (struct tree_page){.next = t->absent};
    t->absent = page + 1;
}

/* --- nodes ----------------------------------------------------------------------------------- */

static uint32_t node_new(struct tree *t, uint32_t parent, uint64_t level_hash)
{
    if (!t->partial && !add_page(t))
        return 0;
    uint32_t page = t->partial - 1;
    struct tree_page *p = &t->pages[page];
    uint32_t id = p->free;
    if (id)
        p->free = mqbx_tree_node(t, id)->parent;
    else
        id = (page << TREE_PAGE_SHIFT) + p->carved++;
    if (++p->used == TREE_PAGE_NODES)
        partial_remove(t, page);
    *mqbx_tree_node(t, id) = (struct tree_node){.level_hash = level_hash, .parent = parent};
    return id;
}

static void node_free(struct tree *t, uint32_t id)
{
    uint32_t page = id >> TREE_PAGE_SHIFT;
    struct tree_page *p = &t->pages[page];
    *mqbx_tree_node(t, id) = (struct tree_node){.parent = p->free};
    p->free = id;
    if (p->used-- == TREE_PAGE_NODES)
        partial_push(t, page);
    if (p->used == 0)
        page_emptied(t, page);
}

uint32_t mqbx_tree_add_literal(struct tree *t, uint32_t parent, uint64_t level_hash)
{
    uint32_t id = mqbx_tree_literal(t, parent, level_hash);
    if (id)
        return id;
    id = node_new(t, parent, level_hash);
    if (!id)
        return 0;
    if (!mqbx_id_map_insert(&t->literals, t->mem, mqbx_tree_tag(parent, level_hash), id)) {
        node_free(t, id);
        return 0;
    }
    if (parent)
        mqbx_tree_node(t, parent)->literals++;
    return id;
}

uint32_t mqbx_tree_add_plus(struct tree *t, uint32_t parent)
{
    struct tree_node *n = mqbx_tree_node(t, parent);
    if (!n->plus)
        n->plus = node_new(t, parent, 0);
    return n->plus;
}

uint32_t mqbx_tree_add_hash(struct tree *t, uint32_t parent)
{
    struct tree_node *n = mqbx_tree_node(t, parent);
    if (!n->hash)
        n->hash = node_new(t, parent, 0);
    return n->hash;
}

static void unlink_literal(struct tree *t, uint32_t id)
{
    const struct tree_node *n = mqbx_tree_node(t, id);
    mqbx_id_map_remove(&t->literals, mqbx_tree_tag(n->parent, n->level_hash), id);
    mqbx_id_map_trim(&t->literals, t->mem);
    if (n->parent)
        mqbx_tree_node(t, n->parent)->literals--;
}

static void unlink(struct tree *t, uint32_t id)
{
    uint32_t parent = mqbx_tree_node(t, id)->parent;
    struct tree_node *above = parent ? mqbx_tree_node(t, parent) : NULL;
    if (above && above->plus == id)
        above->plus = 0;
    else if (above && above->hash == id)
        above->hash = 0;
    else
        unlink_literal(t, id);
}

void mqbx_tree_prune(struct tree *t, uint32_t id)
{
    while (id) {
        const struct tree_node *n = mqbx_tree_node(t, id);
        if (n->subscribers.count || n->plus || n->hash || n->literals)
            return;
        uint32_t parent = n->parent;
        unlink(t, id);
        node_free(t, id);
        id = parent;
    }
}
