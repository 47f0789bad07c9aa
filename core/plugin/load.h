/* SPDX-License-Identifier: MIT */
/*
 * Finding a plugin's descriptor, and whether it may be used. On the thread that loads. Knows
 * nothing of what plugins do.
 */
#ifndef MQBX_PLUGIN_LOAD_H
#define MQBX_PLUGIN_LOAD_H

#include <mqttbroker_plugin.h>

#include "plugin/error.h"

/* `path` is absolute, or the name of a file in `folder` ("": there is none). The library stays
 * loaded until the process ends. MQB_EPLUGIN with a sentence that names path, reason and both
 * versions. */
mqb_err mqbx_plugin_open(const char *folder, const char *path, const mqb_plugin **out,
                         struct plugin_error *e);
/* `from`: its path, or what it is called in sentences. */
mqb_err mqbx_plugin_check(const mqb_plugin *d, const char *from, struct plugin_error *e);

#endif
