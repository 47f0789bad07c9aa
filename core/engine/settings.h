/* SPDX-License-Identifier: MIT */
/*
 * What configuration means to the engine: plain values, already checked. A set is immutable and
 * shared by all workers; a reload makes a new one and hands it to each engine as an item. Defaults
 * and ranges stand in the configuration table (broker/), not here.
 */
#ifndef MQBX_ENGINE_SETTINGS_H
#define MQBX_ENGINE_SETTINGS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/alloc.h"
#include "base/atomic.h"
#include "base/bytes.h"

/* What becomes of a QoS 1 or 2 message for a session whose queue is full. */
enum queue_policy { QUEUE_DROP_OLDEST, QUEUE_DROP_NEW, QUEUE_DISCONNECT };

enum anonymous_policy { ANONYMOUS_NEVER, ANONYMOUS_LOOPBACK, ANONYMOUS_ALWAYS };

/* One listener, as far as the protocol cares; lives as long as any link accepted by it (counted by
 * the io layer). */
struct listener_settings {
    const char *name;
    const char *mountpoint; /* "" none: prefixed to every topic and filter of its clients, stripped
                               when sending */
    uint32_t tenant;
    enum anonymous_policy anonymous;
};

struct settings {
    struct atomic_u32 refs;    /* the broker's; engines take over one reference each */
    uint32_t size;             /* of the allocation, which texts below stand behind */
    const struct alloc *alloc; /* NULL: not from the heap, nobody frees it */

    uint32_t asks; /* ASKS bits: which questions anybody answers (ask.h) */

    /* packets and topics */
    uint32_t max_packet_bytes;
    uint32_t max_topic_levels;
    uint32_t max_topic_bytes;
    uint32_t max_client_id_bytes;
    uint16_t topic_alias_max_in;  /* what CONNACK announces */
    uint16_t topic_alias_max_out; /* cap on what a client allows */
    uint8_t max_qos;
    bool retain_available;
    bool wildcard_available;
    bool subscription_id_available;
    bool shared_available;
    bool check_payload_format; /* Payload Format Indicator 1: refuse a payload that is not UTF-8
                                  with 0x99 */
    bool check_response_topic; /* reserved, false */

    /* windows and queues */
    uint16_t receive_maximum;    /* inbound QoS 1 and 2 under way, announced */
    uint16_t max_inflight;       /* outbound, min with the client's Receive Maximum */
    uint32_t queue_max_messages; /* per session, 0: none are queued */
    uint64_t queue_max_bytes;
    enum queue_policy queue_policy;
    uint64_t output_max_bytes;  /* per connection, unsent; QoS 0 beyond it is dropped */
    uint64_t output_mark_bytes; /* above it windows and replays wait for the socket */
    uint64_t inbox_mark_bytes;  /* above it publishers' sockets are not read */

    /* sessions */
    uint32_t session_expiry_v3_s;  /* 3.x with clean session 0; UINT32_MAX: never */
    uint32_t session_expiry_max_s; /* cap for 5.0, UINT32_MAX: none */
    bool allow_takeover_by_other_user;
    bool allow_empty_client_id;
    uint32_t max_subscriptions;  /* per session, 0: no limit */
    uint32_t max_connections;    /* broker-wide, 0: no limit */
    uint32_t max_sessions;       /* broker-wide, 0: no limit */
    uint64_t memory_limit_bytes; /* broker-wide, 0: none: above it new connections are refused with
                                    0x97, and retained and queued messages are dropped */

    /* time */
    uint32_t connect_timeout_ms;
    uint32_t keep_alive_percent;  /* 150: one and a half times */
    uint32_t server_keep_alive_s; /* imposed, 0: none */
    uint32_t max_keep_alive_s;    /* a client's 0 or more becomes this, 0: none */
    uint32_t message_expiry_s;    /* for messages without one, MSG_NEVER_EXPIRES: none */

    /* what CONNACK tells */
    struct bytes response_information; /* empty: none */
    struct bytes server_reference; /* with server_reference_reason: every CONNECT is answered so */
    uint8_t server_reference_reason; /* 0, RC_USE_ANOTHER_SERVER or RC_SERVER_MOVED */

    uint32_t max_retained_payload_bytes;
};

static inline struct settings *mqbx_settings_ref(struct settings *s)
{
    (void)mqbx_atomic_add32(&s->refs, 1);
    return s;
}

/* Any thread. NULL is fine. */
static inline void mqbx_settings_unref(struct settings *s)
{
    if (s != NULL && mqbx_atomic_add32(&s->refs, UINT32_MAX) == 1 && s->alloc != NULL)
        mqbx_free(s->alloc, s, s->size);
}

#endif
