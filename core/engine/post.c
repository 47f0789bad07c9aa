/* SPDX-License-Identifier: MIT */
/*
 * Posts to other workers. Most are reserved before the action that makes them, and cannot fail. The
 * rest are small news (credits, answers, members that leave) that nobody would ever repeat: what
 * finds no memory waits in a few places made with the engine, and is tried again with every turn.
 * The news for one worker stay in order; publications and hand-offs, which are reserved, may pass
 * them.
 */
#include "engine/state.h"

#define LATE_POSTS 256u

struct late_post {
    struct item it;
    uint32_t target;
    uint32_t bytes;
};

struct late_posts {
    uint64_t targets; /* a bit a worker something waits for */
    uint32_t count;
    struct late_post posts[LATE_POSTS]; /* oldest first */
};

bool mqbx_engine_post_init(struct engine *e)
{
    e->late_posts = mqbx_zalloc(&e->alloc, sizeof(*e->late_posts));
    return e->late_posts != NULL;
}

void mqbx_engine_post_fini(struct engine *e)
{
    struct late_posts *late = e->late_posts;
    if (!late)
        return;
    for (uint32_t i = 0; i < late->count; i++)
        mqbx_item_dispose(e->seams.alloc, &late->posts[i].it);
    mqbx_free(&e->alloc, late, sizeof(*late));
    e->late_posts = NULL;
}

static bool is_reserved(const struct item *it)
{
    return it->type == ITEM_PUBLISH || it->type == ITEM_ARRIVE;
}

static bool post_late(struct engine *e, uint32_t target, const struct item *it, uint32_t bytes)
{
    struct late_posts *late = e->late_posts;
    if (late->count == LATE_POSTS)
        return false;
    late->posts[late->count++] = (struct late_post){.it = *it, .target = target, .bytes = bytes};
    late->targets |= UINT64_C(1) << target;
    return true;
}

bool mqbx_engine_post(struct engine *e, uint32_t target, const struct item *it, uint32_t bytes)
{
    struct item copy = *it;
    copy.from = (uint16_t)e->worker;
    bytes += (uint32_t)sizeof(copy);
    e->posted |= UINT64_C(1) << target;
    bool must_wait = !is_reserved(it) && (e->late_posts->targets >> target & 1);
    if (must_wait && post_late(e, target, &copy, bytes))
        return true;
    return e->seams.post(e->seams.ctx, target, &copy, bytes) || post_late(e, target, &copy, bytes);
}

bool mqbx_engine_post_again(struct engine *e)
{
    struct late_posts *late = e->late_posts;
    uint32_t kept = 0;
    uint64_t blocked = 0;
    for (uint32_t i = 0; i < late->count; i++) {
        struct late_post *p = &late->posts[i];
        uint64_t bit = UINT64_C(1) << p->target;
        if (!(blocked & bit) && e->seams.post(e->seams.ctx, p->target, &p->it, p->bytes))
            continue;
        blocked |= bit;
        late->posts[kept++] = *p;
    }
    late->count = kept;
    late->targets = blocked;
    return kept > 0;
}
