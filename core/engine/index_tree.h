/* SPDX-License-Identifier: MIT */
/*
 * The tree of levels. A node is a number; its literal children are found through one map for the
 * whole tree, keyed (parent, level hash), its `+` and `#` children through slots in the node. The
 * roots, one a tenant, are the children of node 0, which does not exist.
 *
 * A level is its 64-bit keyed hash; the text is not kept. Two levels that meet under one parent are
 * the same unless their hashes collide, one chance in 2^64 a pair, which nobody can aim at without
 * the key: a billion different levels compared a second would meet once in 585 years.
 *
 * Nodes stand in pages, so that none ever moves; an empty page is given back. One owner thread.
 */
#ifndef MQBX_ENGINE_INDEX_TREE_H
#define MQBX_ENGINE_INDEX_TREE_H

#include <stdint.h>

#include "base/hash.h"
#include "engine/index_map.h"
#include "engine/index_memory.h"
#include "engine/index_subscribers.h"

#define TREE_PAGE_SHIFT 8
#define TREE_PAGE_NODES (1u << TREE_PAGE_SHIFT)

struct tree_node {
    uint64_t level_hash; /* a root: its tenant */
    uint32_t parent;     /* free: the next free one of the page */
    uint32_t plus;       /* 0: none, as in the next */
    uint32_t hash;
    uint32_t literals; /* how many other children */
    struct subscribers subscribers;
};

struct tree_page;

struct tree {
    struct index_memory *mem;
    struct id_map literals;
    struct tree_node **nodes; /* by page; NULL: no such page now */
    struct tree_page *pages;  /* what each page has free */
    uint32_t page_count, page_cap;
    uint32_t partial; /* page + 1 of the first with a free node, linked on; 0: none */
    uint32_t absent;  /* page + 1 of the first without memory, linked on; 0: none */
};

void mqbx_tree_init(struct tree *t, struct index_memory *mem);
void mqbx_tree_fini(struct tree *t);

/* The node of this child, made when there is none. 0: out of memory, nothing changed. */
uint32_t mqbx_tree_add_literal(struct tree *t, uint32_t parent, uint64_t level_hash);
uint32_t mqbx_tree_add_plus(struct tree *t, uint32_t parent);
uint32_t mqbx_tree_add_hash(struct tree *t, uint32_t parent);
/* Removes the node and those above it, as far up as they have neither subscribers nor children. */
void mqbx_tree_prune(struct tree *t, uint32_t id);

static inline struct tree_node *mqbx_tree_node(const struct tree *t, uint32_t id)
{
    return &t->nodes[id >> TREE_PAGE_SHIFT][id & (TREE_PAGE_NODES - 1)];
}

static inline uint32_t mqbx_tree_tag(uint32_t parent, uint64_t level_hash)
{
    return (uint32_t)mqbx_hash_mix(level_hash + parent * 0x9e3779b97f4a7c15u);
}

/* 0: none. */
static inline uint32_t mqbx_tree_literal(const struct tree *t, uint32_t parent, uint64_t level_hash)
{
    uint32_t tag = mqbx_tree_tag(parent, level_hash);
    uint32_t probe = tag;
    uint32_t id;
    while ((id = mqbx_id_map_next(&t->literals, tag, &probe)) != 0) {
        const struct tree_node *n = mqbx_tree_node(t, id);
        if (n->level_hash == level_hash && n->parent == parent)
            break;
    }
    return id;
}

#endif
