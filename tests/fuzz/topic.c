/* SPDX-License-Identifier: MIT */
/*
 * Fuzzes the topic rules and UTF-8. The input is three texts with a byte FF between them: a filter,
 * a filter that it may cover, a topic.
 */
#include "mqtt/topic.h"

#include "fuzz.h"
#include "mqtt/utf8.h"

static struct bytes cut(const uint8_t *data, size_t size, size_t *at)
{
    size_t start = *at;
    while (*at < size && data[*at] != 0xFF)
        ++*at;
    struct bytes text = mqbx_bytes(data + start, *at - start);
    if (*at < size)
        ++*at;
    return text;
}

static void check_levels(struct bytes text)
{
    struct bytes level;
    uint32_t n = 0;
    uint32_t bytes = 0;
    for (uint32_t pos = 0; mqbx_topic_level(text, &pos, &level); n++)
        bytes += level.len;
    CHECK(n == mqbx_topic_levels(text) && bytes + n - 1 == text.len);
}

static void check_text(struct bytes text)
{
    check_levels(text);
    CHECK(!mqbx_utf8_valid(text) || mqbx_utf8_payload_valid(text));
    CHECK(!mqbx_topic_name_valid(text) || mqbx_topic_filter_valid(text));
    CHECK(mqbx_topic_compare(text, text) == 0);
    struct bytes name;
    struct bytes filter;
    if (mqbx_topic_share(text, &name, &filter) == SHARE_OK)
        CHECK(name.len > 0 && mqbx_topic_filter_valid(filter));
    if (mqbx_topic_name_valid(text)) {
        CHECK(mqbx_topic_matches(text, text));
        CHECK(mqbx_topic_filter_covers(text, text));
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    size_t at = 0;
    struct bytes outer = cut(data, size, &at);
    struct bytes inner = cut(data, size, &at);
    struct bytes topic = cut(data, size, &at);
    check_text(outer);
    check_text(inner);
    check_text(topic);
    CHECK((mqbx_topic_compare(outer, inner) < 0) == (mqbx_topic_compare(inner, outer) > 0));
    bool covers = mqbx_topic_filter_covers(outer, inner);
    bool by_inner = mqbx_topic_matches(inner, topic);
    bool by_outer = mqbx_topic_matches(outer, topic);
    if (!mqbx_topic_filter_valid(outer) || !mqbx_topic_filter_valid(inner) ||
        !mqbx_topic_name_valid(topic))
        return 0;
    CHECK(!covers || !by_inner || by_outer);
    CHECK(mqbx_topic_filter_has_wildcard(inner) ||
          by_inner == (mqbx_topic_compare(inner, topic) == 0));
    return 0;
}
