/* SPDX-License-Identifier: MIT */
/*
 * The host's questions about clients: find, each; and kick.
 */
#ifndef MQBX_ENGINE_QUERY_H
#define MQBX_ENGINE_QUERY_H

#include "engine/state.h"

void mqbx_query_item(struct engine *e, const struct item *it);

#endif
