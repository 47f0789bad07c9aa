/* SPDX-License-Identifier: MIT */
/*
 * A sentence about what went wrong with a plugin, for whoever called. Pure.
 */
#ifndef MQBX_PLUGIN_ERROR_H
#define MQBX_PLUGIN_ERROR_H

#include <mqttbroker.h>

struct plugin_error {
    char text[1024];
};

/* Writes the sentence and answers `err`. */
mqb_err mqbx_plugin_error(struct plugin_error *e, mqb_err err, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

#endif
