/* SPDX-License-Identifier: MIT */
/*
 * This thread's last error: one sentence that names the thing, the place and the remedy. The
 * library's only thread-local.
 */
#ifndef MQBX_BROKER_ERROR_H
#define MQBX_BROKER_ERROR_H

#include <mqttbroker.h>

/* Sets the sentence and answers `err`, for `return mqbx_error(MQB_ECONFIG, "...", ...)`. */
mqb_err mqbx_error(mqb_err err, const char *format, ...) __attribute__((format(printf, 2, 3)));
const char *mqbx_error_text(void);

#endif
