/* SPDX-License-Identifier: MIT */
/*
 * How a filter goes through topics in order without looking at all of them: for a topic that is not
 * selected, where the next one that could be begins. Pure.
 */
#ifndef MQBX_ENGINE_RETAINED_WALK_H
#define MQBX_ENGINE_RETAINED_WALK_H

#include "base/bytes.h"
#include "engine/retained_blocks.h"

enum walk_step {
    WALK_SELECTED,
    WALK_NEXT, /* not selected; the entry behind it may be */
    WALK_SEEK, /* none before *next is selected */
    WALK_OVER, /* none behind it is selected */
};

/* Where the first topic that `filter` selects can stand. Refers to the filter. */
void mqbx_walk_start(uint32_t tenant, struct bytes filter, struct seek *out);
/* *next refers to filter and topic. */
enum walk_step mqbx_walk_judge(uint32_t tenant, struct bytes filter, struct bytes topic,
                               struct seek *next);

#endif
