/* SPDX-License-Identifier: MIT */
/*
 * One log event as one line: text for people, or a JSON object. Pure.
 */
#ifndef MQBX_BROKER_LOG_FORMAT_H
#define MQBX_BROKER_LOG_FORMAT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "engine/seams.h"

#define LOG_LINE_MAX 1536

enum log_form { LOG_TEXT, LOG_TEXT_WITHOUT_TIME, LOG_JSON };

/* Writes a NUL-terminated line without a newline and answers its length. Whatever clients sent is
 * escaped: a line stays a line. Long texts are cut, marked by "...". */
size_t mqbx_log_format(enum log_form form, const struct log_event *ev, uint64_t wall_ms,
                       char out[LOG_LINE_MAX]);

#endif
