/* SPDX-License-Identifier: MIT */
/*
 * Rules of topic names and topic filters. All take text that is already valid UTF-8 without NUL.
 */
#ifndef MQBX_MQTT_TOPIC_H
#define MQBX_MQTT_TOPIC_H

#include <stdbool.h>

#include "base/bytes.h"

/* One level of a name or filter, by walking: *pos starts at 0; false behind the last level. "a//b"
 * has three levels, "" one. */
bool mqbx_topic_level(struct bytes topic, uint32_t *pos, struct bytes *level);
uint32_t mqbx_topic_levels(struct bytes topic);

/* At least one character, at most 65535 bytes, no wildcard. [MQTT-4.7.3-1], [MQTT-4.7.1-1] */
bool mqbx_topic_name_valid(struct bytes topic);
/* `+` fills a level, `#` fills the last. [MQTT-4.7.1-1], [MQTT-4.7.1-2]. Not for the text of a
 * shared subscription. */
bool mqbx_topic_filter_valid(struct bytes filter);
bool mqbx_topic_filter_has_wildcard(struct bytes filter);

/* Whether `filter` selects `topic`; a filter that begins with a wildcard selects no topic that
 * begins with `$`. [MQTT-4.7.2-1] */
bool mqbx_topic_matches(struct bytes filter, struct bytes topic);
/* Whether every topic that `inner` selects is selected by `outer` (both filters). */
bool mqbx_topic_filter_covers(struct bytes outer, struct bytes inner);

/* "$share/NAME/FILTER". Not shared: answers SHARE_NONE. Shared and well formed (both parts valid):
 * SHARE_OK with the parts. Else SHARE_BAD. [MQTT-4.8.2-1], [MQTT-4.8.2-2] */
enum share_status { SHARE_NONE, SHARE_OK, SHARE_BAD };
enum share_status mqbx_topic_share(struct bytes text, struct bytes *name, struct bytes *filter);

/* The order of names level by level: as memcmp, but with '/' below every other byte. <0, 0, >0. */
int mqbx_topic_compare(struct bytes a, struct bytes b);

#endif
