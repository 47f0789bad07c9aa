/* SPDX-License-Identifier: MIT */
#include "topics.h"

#include <stdio.h>

#include "wire.h"

#define WORD_BYTES 8u     /* s0000000 */
#define OTHER_WORDS 1000u /* of levels that meet no filter */

static uint32_t subscribers_per_kind(const struct load *l)
{
    return l->subscriber_count / 3;
}

uint32_t filter_count(const struct load *l, uint32_t subscriber)
{
    if (l->o->scenario == CONN)
        return (uint32_t)l->o->subscribe;
    if (l->o->scenario != WILDCARD)
        return 1;
    uint32_t step = subscribers_per_kind(l);
    uint32_t first = subscriber % step;
    uint32_t words = (uint32_t)l->o->filters / 3;
    return words > first ? (words - first + step - 1) / step : 0;
}

static void wildcard_filter(const struct load *l, uint32_t subscriber, uint32_t which,
                            char text[TOPIC_BYTES])
{
    static const char *const SHAPES[] = {"%s/s%07u/+/+", "%s/+/s%07u/+", "%s/+/+/s%07u"};
    uint32_t step = subscribers_per_kind(l);
    uint32_t word = subscriber % step + which * step;
    const char *prefix = l->o->prefix;
    if (subscriber / step == 0)
        snprintf(text, TOPIC_BYTES, SHAPES[0], prefix, word);
    else if (subscriber / step == 1)
        snprintf(text, TOPIC_BYTES, SHAPES[1], prefix, word);
    else
        snprintf(text, TOPIC_BYTES, SHAPES[2], prefix, word);
}

void filter_write(const struct load *l, uint32_t subscriber, uint32_t which, char text[TOPIC_BYTES])
{
    const char *prefix = l->o->prefix;
    switch (l->o->scenario) {
    case FANIN:
        snprintf(text, TOPIC_BYTES, "%s/in/+", prefix);
        break;
    case FANOUT:
        snprintf(text, TOPIC_BYTES, "%s/out", prefix);
        break;
    case SHARED:
        snprintf(text, TOPIC_BYTES, "$share/group/%s/in/+", prefix);
        break;
    case RETAIN:
        snprintf(text, TOPIC_BYTES, "%s/retained/#", prefix);
        break;
    case OFFLINE:
        snprintf(text, TOPIC_BYTES, "%s/queued", prefix);
        break;
    case WILDCARD:
        wildcard_filter(l, subscriber, which, text);
        break;
    default:
        snprintf(text, TOPIC_BYTES, "%s/pair/%u", prefix, subscriber);
        break;
    }
}

void topic_write(const struct load *l, uint32_t publisher, char text[TOPIC_BYTES])
{
    const char *prefix = l->o->prefix;
    switch (l->o->scenario) {
    case FANIN:
    case SHARED:
        snprintf(text, TOPIC_BYTES, "%s/in/%u", prefix, publisher);
        break;
    case FANOUT:
        snprintf(text, TOPIC_BYTES, "%s/out", prefix);
        break;
    case RETAIN:
        snprintf(text, TOPIC_BYTES, "%s/retained/000/0000000", prefix);
        break;
    case OFFLINE:
        snprintf(text, TOPIC_BYTES, "%s/queued", prefix);
        break;
    case WILDCARD:
        snprintf(text, TOPIC_BYTES, "%s/s0000000/s0000000/s0000000", prefix);
        break;
    default:
        snprintf(text, TOPIC_BYTES, "%s/pair/%u", prefix, publisher);
        break;
    }
}

static uint32_t draw(struct load *l, uint32_t below)
{
    l->random ^= l->random << 13;
    l->random ^= l->random >> 7;
    l->random ^= l->random << 17;
    return (uint32_t)((l->random >> 16) % below);
}

/* Which of the three levels have a filter's word: as many as --matches says, any of them. */
static unsigned draw_levels(struct load *l)
{
    switch (l->o->matches) {
    case 0:
        return 0;
    case 1:
        return 1u << draw(l, 3);
    case 2:
        return 7u & ~(1u << draw(l, 3));
    default:
        return 7;
    }
}

static void vary_words(struct load *l, uint8_t *topic_end)
{
    unsigned levels = draw_levels(l);
    uint8_t *end = topic_end - 2 * (WORD_BYTES + 1);
    for (unsigned level = 0; level < 3; level++, end += WORD_BYTES + 1) {
        bool is_met = levels >> level & 1;
        end[-(ptrdiff_t)WORD_BYTES] = is_met ? 's' : 'z';
        put_digits(end, WORD_BYTES - 1,
                   draw(l, is_met ? (uint32_t)l->o->filters / 3 : OTHER_WORDS));
    }
}

void topic_vary(struct load *l, uint8_t *topic_end, uint64_t sequence)
{
    if (l->o->scenario == WILDCARD) {
        vary_words(l, topic_end);
    } else if (l->o->scenario == RETAIN) {
        put_digits(topic_end, 7, sequence);
        put_digits(topic_end - 8, 3, sequence);
    }
}
