/* SPDX-License-Identifier: MIT */
/*
 * A question's way along the chain of plugins. On the worker's thread.
 */
#ifndef MQBX_PLUGIN_WALK_H
#define MQBX_PLUGIN_WALK_H

#include "plugin/seat.h"

/* The step that waited was answered: on to the next plugin, or to the engine. Takes *o over. */
void mqbx_walk_answered(struct seat *s, struct job *j, struct outcome *o);
/* The deadline is over: denied. */
void mqbx_walk_late(struct seat *s, struct job *j);

#endif
