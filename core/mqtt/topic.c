/* SPDX-License-Identifier: MIT */
/*
 * Rules of topic names and topic filters. Works on bytes: UTF-8 never has '/', '+' or '#' inside a
 * longer character, and nothing is normalised [MQTT-4.7.3-4]. Pure, any thread.
 */
#include "mqtt/topic.h"

#define MAX_TOPIC 65535u /* [MQTT-4.7.3-3] */
#define ONES 0x0101010101010101u
#define HIGHS 0x8080808080808080u

/* '+' is 0x2B and '#' 0x23: without bit 3 they are the same. */
static bool is_wildcard(uint8_t c)
{
    return (c & 0xF7) == '#';
}

static bool has_wildcard(struct bytes s)
{
    uint32_t i = 0;
    for (; s.len - i >= 8; i += 8) {
        uint64_t word;
        memcpy(&word, s.ptr + i, 8);
        uint64_t zero_if_wild = (word & ONES * 0xF7) ^ ONES * '#';
        if (((zero_if_wild - ONES) & ~zero_if_wild & HIGHS) != 0)
            return true;
    }
    for (; i < s.len; i++) {
        if (is_wildcard(s.ptr[i]))
            return true;
    }
    return false;
}

static bool is_text(struct bytes level, const char *one_char)
{
    return level.len == 1 && level.ptr[0] == (uint8_t)one_char[0];
}

static bool starts_with(struct bytes s, uint8_t c)
{
    return s.len > 0 && s.ptr[0] == c;
}

bool mqbx_topic_level(struct bytes topic, uint32_t *pos, struct bytes *level)
{
    if (*pos > topic.len)
        return false;
    uint32_t start = *pos;
    uint32_t end = start;
    while (end < topic.len && topic.ptr[end] != '/')
        end++;
    *level = (struct bytes){.ptr = start ? topic.ptr + start : topic.ptr, .len = end - start};
    *pos = end + 1;
    return true;
}

uint32_t mqbx_topic_levels(struct bytes topic)
{
    uint32_t n = 1;
    for (uint32_t i = 0; i < topic.len; i++)
        n += topic.ptr[i] == '/';
    return n;
}

bool mqbx_topic_name_valid(struct bytes topic)
{
    return topic.len > 0 && topic.len <= MAX_TOPIC && !has_wildcard(topic);
}

bool mqbx_topic_filter_has_wildcard(struct bytes filter)
{
    return has_wildcard(filter);
}

bool mqbx_topic_filter_valid(struct bytes filter)
{
    if (filter.len == 0 || filter.len > MAX_TOPIC)
        return false;
    if (!has_wildcard(filter))
        return true;
    struct bytes level;
    for (uint32_t pos = 0; mqbx_topic_level(filter, &pos, &level);) {
        if (level.len > 1 &&
            has_wildcard(level)) /* [MQTT-4.7.1-1], [MQTT-4.7.1-2]: a whole level */
            return false;
        if (is_text(level, "#") && pos <= filter.len) /* [MQTT-4.7.1-1]: only the last */
            return false;
    }
    return true;
}

static uint32_t level_end(struct bytes topic, uint32_t from)
{
    while (from < topic.len && topic.ptr[from] != '/')
        from++;
    return from;
}

/* "a/#" selects "a" too: when the name is at its end, "/#" may be left of the filter. */
static bool is_parent_tail(struct bytes filter, uint32_t from)
{
    return filter.len - from == 2 && filter.ptr[from] == '/' && filter.ptr[from + 1] == '#';
}

bool mqbx_topic_matches(struct bytes filter, struct bytes topic)
{
    if (starts_with(topic, '$') && filter.len > 0 &&
        is_wildcard(filter.ptr[0])) /* [MQTT-4.7.2-1] */
        return false;
    uint32_t t = 0;
    for (uint32_t f = 0; f < filter.len; f++) {
        uint8_t c = filter.ptr[f];
        if (c == '#')
            return true;
        if (c == '+')
            t = level_end(topic, t);
        else if (t == topic.len)
            return is_parent_tail(filter, f);
        else if (topic.ptr[t++] != c)
            return false;
    }
    return t == topic.len;
}

/* Whether `inner`, whose next level is its '#', stays within an `outer` that still has `level` and
 * what follows. Only where inner selects a level more than it seems to: every name has a first
 * level, so
 * "#" is "+/#"; and the empty name does not exist, so "/#" is "/+/#". */
static bool covers_open_end(struct bytes inner, uint32_t depth, struct bytes outer, uint32_t pos,
                            struct bytes level)
{
    bool has_one_more = depth == 0 || (depth == 1 && inner.len == 2);
    struct bytes next;
    return has_one_more && is_text(level, "+") && mqbx_topic_level(outer, &pos, &next) &&
           is_text(next, "#");
}

/* Level by level: a literal covers itself, '+' any one level, '#' all that is left. */
bool mqbx_topic_filter_covers(struct bytes outer, struct bytes inner)
{
    if (starts_with(inner, '$') && outer.len > 0 && is_wildcard(outer.ptr[0])) /* [MQTT-4.7.2-1] */
        return false;
    struct bytes out;
    struct bytes in;
    uint32_t out_pos = 0;
    uint32_t in_pos = 0;
    for (uint32_t depth = 0;; depth++) {
        bool in_left = mqbx_topic_level(inner, &in_pos, &in);
        if (!mqbx_topic_level(outer, &out_pos, &out))
            return !in_left;
        if (is_text(out, "#"))
            return true;
        if (!in_left)
            return false;
        if (is_text(in, "#"))
            return covers_open_end(inner, depth, outer, out_pos, out);
        if (!is_text(out, "+") && !mqbx_bytes_equal(out, in))
            return false;
    }
}

enum share_status mqbx_topic_share(struct bytes text, struct bytes *name, struct bytes *filter)
{
    static const char prefix[] = "$share/";
    const uint32_t prefix_len = sizeof(prefix) - 1;
    if (text.len < prefix_len || memcmp(text.ptr, prefix, prefix_len) != 0)
        return SHARE_NONE;
    uint32_t end = level_end(text, prefix_len);
    *name = mqbx_bytes(text.ptr + prefix_len, end - prefix_len);
    if (name->len == 0 || end == text.len) /* [MQTT-4.8.2-1]: a name, and a '/' behind it */
        return SHARE_BAD;
    *filter = mqbx_bytes(text.ptr + end + 1, text.len - end - 1);
    if (has_wildcard(*name) || !mqbx_topic_filter_valid(*filter)) /* [MQTT-4.8.2-2] */
        return SHARE_BAD;
    return SHARE_OK;
}

static int order_of(uint8_t c)
{
    return c == '/' ? -1 : c;
}

int mqbx_topic_compare(struct bytes a, struct bytes b)
{
    uint32_t shorter = a.len < b.len ? a.len : b.len;
    uint32_t i = 0;
    for (; shorter - i >= 8; i += 8) {
        if (memcmp(a.ptr + i, b.ptr + i, 8) != 0)
            break;
    }
    for (; i < shorter; i++) {
        if (a.ptr[i] != b.ptr[i])
            return order_of(a.ptr[i]) < order_of(b.ptr[i]) ? -1 : 1;
    }
    return a.len < b.len ? -1 : a.len > b.len;
}
