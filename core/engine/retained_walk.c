/* SPDX-License-Identifier: MIT */
/*
 * The walk's judgement of one topic: filter and topic level by level to where they part. Pure.
 */
#include "engine/retained_walk.h"

#include "mqtt/topic.h"

static bool is_char(struct bytes level, char c)
{
    return level.len == 1 && level.ptr[0] == (uint8_t)c;
}

static bool is_wildcard(struct bytes level)
{
    return is_char(level, '+') || is_char(level, '#');
}

/* The levels of the filter from offset `from` up to its next wildcard; without wildcards all. */
static struct bytes literals(struct bytes filter, uint32_t from)
{
    struct bytes level;
    uint32_t end = from;
    for (uint32_t pos = from; mqbx_topic_level(filter, &pos, &level);) {
        if (is_wildcard(level))
            break;
        end = pos - 1;
    }
    return mqbx_bytes(filter.ptr + from, end - from);
}

void mqbx_walk_start(uint32_t tenant, struct bytes filter, struct seek *out)
{
    *out = (struct seek){.mode = SEEK_FROM, .tenant = tenant, .head = literals(filter, 0)};
}

/* To where the filter's literal levels from `from` on stand in the branch that is the first `len`
 * bytes of the topic. */
static enum walk_step seek_in_branch(struct seek *next, struct bytes topic, uint32_t len,
                                     struct bytes filter, uint32_t from)
{
    next->mode = SEEK_FROM;
    next->has_tail = true;
    next->head = mqbx_bytes(topic.ptr, len);
    next->tail = literals(filter, from);
    return WALK_SEEK;
}

/* Nothing more in the branch of the last `+`, whose level ends at `len` in the topic. */
static enum walk_step leave_branch(struct seek *next, struct bytes topic, uint32_t len,
                                   bool has_plus)
{
    if (!has_plus)
        return WALK_OVER;
    next->mode = SEEK_PAST_BRANCH;
    next->head = mqbx_bytes(topic.ptr, len);
    return WALK_SEEK;
}

enum walk_step mqbx_walk_judge(uint32_t tenant, struct bytes filter, struct bytes topic,
                               struct seek *next)
{
    *next = (struct seek){.tenant = tenant};
    struct bytes f;
    struct bytes t;
    uint32_t f_pos = 0;
    uint32_t t_pos = 0;
    uint32_t plus_end = 0; /* where the level of the last `+` ends in the topic */
    bool has_plus = false;
    for (;;) {
        uint32_t f_start = f_pos;
        uint32_t t_start = t_pos;
        bool has_f = mqbx_topic_level(filter, &f_pos, &f);
        bool has_t = mqbx_topic_level(topic, &t_pos, &t);
        if (!has_f && !has_t)
            return WALK_SELECTED;
        if (!has_f) /* the topic is longer */
            return leave_branch(next, topic, plus_end, has_plus);
        if (f_start == 0 && is_wildcard(f) && topic.ptr[0] == '$') /* [MQTT-4.7.2-1] */
            return leave_branch(next, topic, t.len, true);
        if (is_char(f, '#'))
            return WALK_SELECTED;
        if (!has_t) /* the filter is longer */
            return is_char(f, '+') ? WALK_NEXT
                                   : seek_in_branch(next, topic, topic.len, filter, f_start);
        if (is_char(f, '+')) {
            plus_end = t_start + t.len;
            has_plus = true;
            continue;
        }
        int order = mqbx_topic_compare(t, f);
        if (order > 0)
            return leave_branch(next, topic, plus_end, has_plus);
        if (order < 0 && t_start > 0)
            return seek_in_branch(next, topic, t_start - 1, filter, f_start);
        if (order < 0) {
            mqbx_walk_start(tenant, filter, next);
            return WALK_SEEK;
        }
    }
}
