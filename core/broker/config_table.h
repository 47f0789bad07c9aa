/* SPDX-License-Identifier: MIT */
/*
 * The table of all configuration keys. Immutable; everything about keys (checks, help, the
 * reference page, reload) is made from it.
 */
#ifndef MQBX_BROKER_CONFIG_TABLE_H
#define MQBX_BROKER_CONFIG_TABLE_H

#include <stdbool.h>
#include <stddef.h>

enum config_type {
    CONFIG_BOOL,     /* true, yes, on, 1 and their opposites */
    CONFIG_INT,      /* decimal */
    CONFIG_SIZE,     /* bytes; suffixes k, m, g: powers of 1024 */
    CONFIG_DURATION, /* with ms, s, m, h or d; 0 needs none */
    CONFIG_ENUM,     /* one of the words in range */
    CONFIG_STRING,   /* range is that of its length in bytes */
    CONFIG_PATH,
};

/* Words in a number's range that stand for one: "auto", "never", "none". They are negative so that
 * no number is one. */
#define CONFIG_WORD_VALUE (-1)

struct config_row {
    const char *name; /* a part "*" stands for the name of a member */
    enum config_type type;
    bool needs_restart;
    const char *range; /* alternatives between '|': "1..64", a word */
    const char *def;
    const char *help;
};

/* NULL behind the last. */
const struct config_row *mqbx_config_row(size_t i);
const char *mqbx_config_type_name(enum config_type type);

/* The row that a key belongs to, NULL: none. */
const struct config_row *mqbx_config_row_find(const char *key);
/* The key nearest to one that is unknown, with its member's name: false when nothing is near. */
bool mqbx_config_row_nearest(const char *key, char *out, size_t cap);
/* Whether `name` may name a member of a list: letters, digits, '_' and '-', at most 64. */
bool mqbx_config_member_valid(const char *name, size_t len);

#endif
