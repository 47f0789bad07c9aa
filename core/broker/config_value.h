/* SPDX-License-Identifier: MIT */
/*
 * The text of a configuration value, checked and read by the type and range of its key. Pure.
 */
#ifndef MQBX_BROKER_CONFIG_VALUE_H
#define MQBX_BROKER_CONFIG_VALUE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "broker/config_table.h"

/* *out: the number; bytes of a size; milliseconds of a duration; 0 or 1; the place of an enum's
 * word in the range; CONFIG_WORD_VALUE for the word of a number; the length of a string. False:
 * `why` completes the sentence "KEY: 'VALUE' ...". */
bool mqbx_config_value_read(const struct config_row *row, const char *value, int64_t *out,
                            char *why, size_t cap);

#endif
