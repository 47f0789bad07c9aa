/* SPDX-License-Identifier: MIT */
/*
 * The inbox: a stack of chunks that producers push to and the consumer empties by one exchange and
 * turns round. Producers are any threads, the consumer is one. It knows nothing of what a chunk
 * carries.
 */
#include "base/inbox.h"

#include <assert.h>
#include <stddef.h>

void mqbx_inbox_init(struct inbox *in)
{
    mqbx_atomic_swap_ptr(&in->head, NULL);
    mqbx_atomic_store32(&in->asleep, 0);
    mqbx_atomic_store64(&in->bytes, 0);
}

bool mqbx_inbox_push(struct inbox *in, struct inbox_chunk *chunk)
{
    /* Before the chunk can be seen, so that inbox_done never takes away what was not added yet. */
    mqbx_atomic_add64(&in->bytes, chunk->bytes);
    void *head = mqbx_atomic_load_ptr(&in->head);
    do {
        chunk->next = head;
    } while (!mqbx_atomic_cas_ptr(&in->head, &head, chunk));
    /* The consumer stores asleep and then reads head; we wrote head and now read asleep. In one
     * total order at least one side sees the other. The swap elects one waker among several
     * producers. */
    return mqbx_atomic_load32(&in->asleep) != 0 && mqbx_atomic_swap32(&in->asleep, 0) != 0;
}

struct inbox_chunk *mqbx_inbox_take(struct inbox *in)
{
    struct inbox_chunk *newest_first = mqbx_atomic_swap_ptr(&in->head, NULL);
    struct inbox_chunk *oldest_first = NULL;
    while (newest_first) {
        struct inbox_chunk *next = newest_first->next;
        newest_first->next = oldest_first;
        oldest_first = newest_first;
        newest_first = next;
    }
    return oldest_first;
}

void mqbx_inbox_done(struct inbox *in, uint64_t bytes)
{
    uint64_t before = mqbx_atomic_add64(&in->bytes, (uint64_t)0 - bytes);
    assert(before >= bytes);
    (void)before;
}

bool mqbx_inbox_sleep(struct inbox *in)
{
    mqbx_atomic_store32(&in->asleep, 1);
    if (mqbx_inbox_is_empty(in))
        return true;
    /* A producer may have seen the announcement already: then one wake-up comes in vain. */
    mqbx_atomic_store32(&in->asleep, 0);
    return false;
}

void mqbx_inbox_awake(struct inbox *in)
{
    mqbx_atomic_store32(&in->asleep, 0);
}

bool mqbx_inbox_is_empty(const struct inbox *in)
{
    return mqbx_atomic_load_ptr(&in->head) == NULL;
}

uint64_t mqbx_inbox_bytes(const struct inbox *in)
{
    return mqbx_atomic_load64(&in->bytes);
}
