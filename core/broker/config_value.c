/* SPDX-License-Identifier: MIT */
/*
 * Reading values by type. Pure. The range text of a key is both what people read and what is
 * checked here.
 */
#include "broker/config_value.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

/* Decimal digits at the start of s; *end is behind them. False: none, or over INT64_MAX. */
static bool read_digits(const char *s, const char **end, int64_t *out)
{
    int64_t n = 0;
    const char *p = s;
    for (; *p >= '0' && *p <= '9'; p++) {
        if (n > (INT64_MAX - 9) / 10)
            return false;
        n = n * 10 + (*p - '0');
    }
    *end = p;
    *out = n;
    return p > s;
}

struct unit {
    const char *suffix;
    int64_t factor;
};

static const struct unit size_units[] = {
    {"", 1}, {"k", 1 << 10}, {"m", 1 << 20}, {"g", 1 << 30}, {NULL, 0}};
static const struct unit duration_units[] = {{"ms", 1},      {"s", 1000},     {"m", 60000},
                                             {"h", 3600000}, {"d", 86400000}, {NULL, 0}};

static bool read_with_unit(const char *s, const struct unit *units, int64_t *out)
{
    const char *end;
    if (!read_digits(s, &end, out))
        return false;
    if (*out == 0 && *end == '\0')
        return true;
    for (; units->suffix != NULL; units++) {
        if (strcasecmp(end, units->suffix) == 0 && *out <= INT64_MAX / units->factor) {
            *out *= units->factor;
            return true;
        }
    }
    return false;
}

static bool read_number(enum config_type type, const char *s, int64_t *out)
{
    const char *end;
    if (type == CONFIG_SIZE)
        return read_with_unit(s, size_units, out);
    if (type == CONFIG_DURATION)
        return read_with_unit(s, duration_units, out);
    return read_digits(s, &end, out) && *end == '\0';
}

/* The i-th alternative of a range, NULL behind the last. */
static const char *alternative(const char *range, size_t i, size_t *len)
{
    for (; i > 0; i--) {
        range += strcspn(range, "|");
        if (*range == '\0')
            return NULL;
        range++;
    }
    *len = strcspn(range, "|");
    return *len == 0 ? NULL : range;
}

/* "1..64": its two ends. False: the alternative is a word. */
static bool range_ends(enum config_type type, const char *text, size_t len, int64_t *min,
                       int64_t *max)
{
    char copy[64];
    if (len >= sizeof(copy))
        return false;
    memcpy(copy, text, len);
    copy[len] = '\0';
    char *dots = strstr(copy, "..");
    if (dots == NULL)
        return false;
    *dots = '\0';
    return read_number(type, copy, min) && read_number(type, dots + 2, max);
}

static bool is_word(const char *text, size_t len, const char *value)
{
    return strlen(value) == len && strncasecmp(text, value, len) == 0;
}

static const char *number_hint(enum config_type type)
{
    switch (type) {
    case CONFIG_SIZE:
        return "is not a number of bytes such as 4096, 64k, 1m or 2g";
    case CONFIG_DURATION:
        return "is not a duration such as 500ms, 15s, 10m, 2h or 1d";
    default:
        return "is not a number";
    }
}

/* A number, or one of the words of the range. */
static bool read_ranged(const struct config_row *row, const char *value, int64_t *out, char *why,
                        size_t cap)
{
    bool is_number = read_number(row->type, value, out);
    size_t len;
    const char *alt;
    for (size_t i = 0; (alt = alternative(row->range, i, &len)) != NULL; i++) {
        int64_t min, max;
        if (range_ends(row->type, alt, len, &min, &max)) {
            if (is_number && *out >= min && *out <= max)
                return true;
        } else if (is_word(alt, len, value)) {
            *out = CONFIG_WORD_VALUE;
            return true;
        }
    }
    if (is_number)
        snprintf(why, cap, "is out of range (%s)", row->range);
    else
        snprintf(why, cap, "%s (%s)", number_hint(row->type), row->range);
    return false;
}

static bool read_enum(const struct config_row *row, const char *value, int64_t *out, char *why,
                      size_t cap)
{
    size_t len;
    const char *alt;
    for (size_t i = 0; (alt = alternative(row->range, i, &len)) != NULL; i++) {
        if (is_word(alt, len, value)) {
            *out = (int64_t)i;
            return true;
        }
    }
    snprintf(why, cap, "is none of %s", row->range);
    return false;
}

static bool read_bool(const char *value, int64_t *out, char *why, size_t cap)
{
    static const char *const words[] = {"false", "true", "no", "yes", "off", "on", "0", "1"};
    for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
        if (strcasecmp(value, words[i]) == 0) {
            *out = (int64_t)(i & 1);
            return true;
        }
    }
    snprintf(why, cap, "is neither true nor false");
    return false;
}

static bool read_text(const struct config_row *row, const char *value, int64_t *out, char *why,
                      size_t cap)
{
    int64_t min = 0, max = 4096;
    *out = (int64_t)strlen(value);
    (void)range_ends(CONFIG_INT, row->range, strlen(row->range), &min, &max);
    if (*out >= min && *out <= max)
        return true;
    if (*out < min)
        snprintf(why, cap, "must not be empty");
    else
        snprintf(why, cap, "is longer than %lld bytes", (long long)max);
    return false;
}

bool mqbx_config_value_read(const struct config_row *row, const char *value, int64_t *out,
                            char *why, size_t cap)
{
    switch (row->type) {
    case CONFIG_BOOL:
        return read_bool(value, out, why, cap);
    case CONFIG_ENUM:
        return read_enum(row, value, out, why, cap);
    case CONFIG_STRING:
    case CONFIG_PATH:
        return read_text(row, value, out, why, cap);
    default:
        return read_ranged(row, value, out, why, cap);
    }
}
