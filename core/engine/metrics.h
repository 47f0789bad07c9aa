/* SPDX-License-Identifier: MIT */
/*
 * What an engine counts. Each worker's own; read from any thread and added up. The names users see
 * are made from this list.
 */
#ifndef MQBX_ENGINE_METRICS_H
#define MQBX_ENGINE_METRICS_H

#include "base/counter.h"

/* X(name, is_gauge, help) */
#define ENGINE_METRICS(X)                                                                          \
    X(bytes_received, 0, "bytes read from clients")                                                \
    X(bytes_sent, 0, "bytes written to clients")                                                   \
    X(packets_received, 0, "control packets received")                                             \
    X(packets_sent, 0, "control packets sent")                                                     \
    X(messages_received, 0, "PUBLISH packets accepted from clients, in-process handles and wills") \
    X(messages_sent, 0, "PUBLISH packets sent to clients and in-process handles")                  \
    X(messages_qos0_received, 0, "of these at QoS 0")                                              \
    X(messages_qos1_received, 0, "of these at QoS 1")                                              \
    X(messages_qos2_received, 0, "of these at QoS 2")                                              \
    X(messages_qos0_sent, 0, "of these at QoS 0")                                                  \
    X(messages_qos1_sent, 0, "of these at QoS 1")                                                  \
    X(messages_qos2_sent, 0, "of these at QoS 2")                                                  \
    X(messages_denied, 0, "publishes refused by access rules")                                     \
    X(messages_acked, 0, "QoS 1 and 2 deliveries completed by their receiver")                     \
    X(messages_refused, 0, "deliveries a receiver answered with a reason code >= 0x80")            \
    X(messages_dropped_no_subscribers, 0,                                                          \
      "messages nobody on the publisher's worker and no other worker wanted")                      \
    X(messages_dropped_queue_full, 0, "messages dropped because a session's queue was full")       \
    X(messages_dropped_qos0_output, 0,                                                             \
      "QoS 0 messages dropped because a connection's output was full")                             \
    X(messages_dropped_expired, 0, "messages whose expiry passed before they were sent")           \
    X(messages_dropped_too_large, 0, "messages larger than the receiver's Maximum Packet Size")    \
    X(messages_dropped_session_end, 0, "queued messages dropped with their session")               \
    X(messages_dropped_denied, 0, "deliveries refused by access rules")                            \
    X(messages_dropped_no_memory, 0, "messages dropped because memory was out")                    \
    X(messages_dropped_group, 0, "messages of shared subscriptions nobody could take")             \
    X(messages_queued, 1, "QoS 1 and 2 messages waiting in sessions")                              \
    X(messages_queued_bytes, 1, "bytes of these")                                                  \
    X(messages_inflight, 1, "QoS 1 and 2 messages sent and not acknowledged")                      \
    X(retained_dropped, 0, "retained publishes not stored because of a limit")                     \
    X(interest_in_vain, 0, "messages posted to this worker that matched no subscription here")     \
    X(connections, 1, "open connections")                                                          \
    X(connections_opened, 0, "connections accepted")                                               \
    X(connections_refused, 0,                                                                      \
      "connections answered with a CONNACK other than success, or closed before it")               \
    X(connections_lost, 0, "connections that ended without DISCONNECT")                            \
    X(connections_keep_alive, 0, "connections closed because the client was silent")               \
    X(connections_malformed, 0,                                                                    \
      "connections closed because of a malformed packet or a protocol error")                      \
    X(sessions, 1, "sessions, connected or not")                                                   \
    X(sessions_created, 0, "sessions created")                                                     \
    X(sessions_resumed, 0, "sessions resumed")                                                     \
    X(sessions_taken_over, 0, "connections closed because their client id connected again")        \
    X(sessions_expired, 0, "sessions that ended by their expiry interval")                         \
    X(subscriptions, 1, "subscriptions")                                                           \
    X(subscriptions_shared, 1, "of these shared")                                                  \
    X(groups, 1, "shared subscription groups at home here")                                        \
    X(wills_published, 0, "wills published")                                                       \
    X(handed_off, 0, "connections handed to another worker after CONNECT")                         \
    X(publishers_paused, 0,                                                                        \
      "times a publisher's socket was not read because an inbox was over its mark")                \
    X(memory_bytes, 1, "memory held by this worker, messages included")

struct engine_metrics {
#define X(name, is_gauge, help) struct counter name;
    ENGINE_METRICS(X)
#undef X
};

#endif
