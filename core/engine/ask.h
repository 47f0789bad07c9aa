/* SPDX-License-Identifier: MIT */
/*
 * Questions the engine asks of whoever decides (plugins), and their answers. A question asked
 * through seams.ask is answered at once, or VERDICT_PENDING: then the input it came from is parked,
 * and the answer comes by mqbx_engine_answer with the question's number. What a question refers to
 * lives until seams.ask returns; who answers later copies what it needs.
 *
 * Inputs: a connection (its unread bytes wait, the packet asked about is looked at again when the
 * answer is there), and an in-process handle (its items wait). RECEIVE is asked while a match is
 * walked and cannot wait.
 */
#ifndef MQBX_ENGINE_ASK_H
#define MQBX_ENGINE_ASK_H

#include <stdbool.h>
#include <stdint.h>

#include "base/bytes.h"

struct link_facts;
struct permissions;

/* DENY is 0: zeroed memory never allows. CONTINUE: one more round of enhanced authentication. */
enum verdict { VERDICT_DENY = 0, VERDICT_ALLOW = 1, VERDICT_PENDING = 2, VERDICT_CONTINUE = 3 };

enum question_kind {
    ASK_CONNECT, /* may this client in, and as whom */
    ASK_AUTH,    /* one step of enhanced authentication, in CONNECT (is_first) or later */
    ASK_PUBLISH,
    ASK_SUBSCRIBE,
    ASK_WILL,    /* may the will be published; asked at CONNECT, once the client is let in */
    ASK_RECEIVE, /* may this message be sent to this client */
    ASK_KINDS
};

/* Bits of seams.asks: which kinds anybody answers. Others are allowed without a question (CONNECT:
 * by the listener's anonymous policy). */
#define ASKS(kind) (1u << (kind))

/* Who it is about. */
struct principal {
    uint64_t client; /* the session's number; 0 before it has one */
    uint64_t conn;   /* the connection's number; 0: an in-process handle */
    uint32_t tenant;
    struct bytes client_id;
    struct bytes user_name;
    bool has_user_name;
    struct bytes attributes; /* as answered at CONNECT: name, NUL, value, NUL, ... */
    uint8_t protocol;
    const struct link_facts *facts; /* NULL: an in-process handle */
};

struct question {
    enum question_kind kind;
    uint64_t number; /* names it for the answer */
    struct principal who;
    /* CONNECT */
    struct bytes password;
    bool has_password;
    /* AUTH */
    struct bytes auth_method, auth_data;
    bool is_first, is_reauth;
    /* PUBLISH, WILL, RECEIVE: a name; SUBSCRIBE: a filter without $share/NAME/. Without the
     * mountpoint. */
    struct bytes topic;
    struct bytes share_name; /* SUBSCRIBE; empty: not shared */
    struct bytes payload;    /* PUBLISH, WILL */
    uint8_t qos;
    bool retain;
};

/* Limits of one client, as answered at CONNECT. 0: the configured one stands. */
struct client_limits {
    uint32_t queue_max_messages;
    uint64_t queue_max_bytes;
    uint32_t max_subscriptions;
    uint32_t max_packet_bytes;
    uint16_t receive_maximum;
    uint16_t max_inflight;
};

struct answer {
    enum verdict verdict;
    uint8_t reason;       /* of a denial, or of CONTINUE; 0: the usual one */
    bool ends_connection; /* a denied publish or subscribe ends the connection instead of only that
                           */
    struct bytes reason_text;
    /* CONNECT and AUTH, allowed */
    bool has_user_name;
    struct bytes user_name; /* the authenticated identity, instead of what was sent */
    bool has_tenant;
    uint32_t tenant;
    struct bytes auth_data;   /* AUTH: to the client */
    struct bytes attributes;  /* name, NUL, value, NUL, ... */
    uint64_t expires_wall_ms; /* the connection ends then with 0x87; 0: never */
    const char *mountpoint;   /* NULL: the listener's */
    bool has_session_expiry_max;
    uint32_t session_expiry_max_s;
    struct client_limits limits;
    /* compiled rules that answer further questions without asking; one reference, taken over
     * (permissions.h) */
    struct permissions *permissions;
};

#endif
