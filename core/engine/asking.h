/* SPDX-License-Identifier: MIT */
/*
 * Asking, and waiting for answers. An input (a connection, an in-process handle) has at most one
 * question open. While it waits it is parked: a connection's packet is looked at again when the
 * answer is there, and then finds it here.
 */
#ifndef MQBX_ENGINE_ASKING_H
#define MQBX_ENGINE_ASKING_H

#include "engine/ask.h"
#include "engine/state.h"

struct conn;
struct identity;
struct local;
struct session;

/* A question that was not answered at once. */
struct asked {
    uint64_t number;
    struct conn *conn; /* one of the two */
    struct local *local;
    enum question_kind kind;
    bool is_answered;
    struct answer answer; /* of PUBLISH and SUBSCRIBE: verdict, reason, ends_connection; no texts */
};

static inline bool mqbx_asks(const struct engine *e, enum question_kind kind)
{
    return (e->settings->asks & ASKS(kind)) != 0;
}

/* Fills in who asks and the number, and asks, unless nobody answers this kind (ALLOW), the client's
 * permissions decide, or the answer to it is here already. On VERDICT_PENDING the input is parked.
 */
enum verdict mqbx_ask_conn(struct engine *e, struct conn *c, struct question *q, struct answer *a);
enum verdict mqbx_ask_local(struct engine *e, struct local *l, struct question *q,
                            struct answer *a);
/* RECEIVE: inline, true: allowed. */
bool mqbx_ask_receive(struct engine *e, const struct session *s, struct bytes topic, uint8_t qos,
                      bool retain);
/* The input is going away, and its question with it. */
void mqbx_ask_forget(struct engine *e, struct asked **slot);

#endif
