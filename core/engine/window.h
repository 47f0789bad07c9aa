/* SPDX-License-Identifier: MIT */
/*
 * The window: QoS 1 and 2 messages sent and not yet acknowledged, in the order they were sent.
 */
#ifndef MQBX_ENGINE_WINDOW_H
#define MQBX_ENGINE_WINDOW_H

#include "engine/delivery.h"

/* Resumed with a smaller Receive Maximum than the window holds: sends the rest again as it opens.
 */
void mqbx_window_resend_more(struct engine *e, struct session *s);
/* Sends an entry for the first time and puts it into the window, which takes it over when SENT. */
enum send_status mqbx_window_send(struct engine *e, struct session *s, struct entry *n);

#endif
