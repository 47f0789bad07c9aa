/* SPDX-License-Identifier: MIT */
/*
 * The table of reason codes: the standard's words, and which packets may carry which code. Pure,
 * any thread.
 */
#include "mqtt/reason.h"

#include <stddef.h>

#include "mqtt/parse.h"

#define IN_CONNACK (1u << PKT_CONNACK)
#define IN_PUBACK (1u << PKT_PUBACK | 1u << PKT_PUBREC) /* the two tables are the same */
#define IN_PUBREL (1u << PKT_PUBREL | 1u << PKT_PUBCOMP)
#define IN_SUBACK (1u << PKT_SUBACK)
#define IN_UNSUBACK (1u << PKT_UNSUBACK)
#define IN_AUTH (1u << PKT_AUTH)
#define BY_CLIENT (1u << PKT_DISCONNECT)
#define BY_SERVER (1u << WHERE_DISCONNECT_FROM_SERVER)
#define BY_BOTH (BY_CLIENT | BY_SERVER)

struct reason_row {
    const char *text; /* NULL: no such code */
    uint32_t where;
};

/* Tables 2-6 (the words), 3-1, 3-4 to 3-10 and those of 3.9.3 and 3.11.3, 3.15.2.1 (where). Table
 * 3-10 has no 0x8C, but table 2-6 gives it to DISCONNECT and a failed re-authentication has need of
 * it. */
static const struct reason_row rows[] = {
    [RC_SUCCESS] = {"Success", IN_CONNACK | IN_PUBACK | IN_PUBREL | IN_SUBACK | IN_UNSUBACK |
                                   IN_AUTH | BY_BOTH},
    [RC_GRANTED_QOS1] = {"Granted QoS 1", IN_SUBACK},
    [RC_GRANTED_QOS2] = {"Granted QoS 2", IN_SUBACK},
    [RC_DISCONNECT_WITH_WILL] = {"Disconnect with Will Message", BY_CLIENT},
    [RC_NO_MATCHING_SUBSCRIBERS] = {"No matching subscribers", IN_PUBACK},
    [RC_NO_SUBSCRIPTION_EXISTED] = {"No subscription existed", IN_UNSUBACK},
    [RC_CONTINUE_AUTHENTICATION] = {"Continue authentication", IN_AUTH},
    [RC_REAUTHENTICATE] = {"Re-authenticate", IN_AUTH},
    [RC_UNSPECIFIED] = {"Unspecified error",
                        IN_CONNACK | IN_PUBACK | IN_SUBACK | IN_UNSUBACK | BY_BOTH},
    [RC_MALFORMED_PACKET] = {"Malformed Packet", IN_CONNACK | BY_BOTH},
    [RC_PROTOCOL_ERROR] = {"Protocol Error", IN_CONNACK | BY_BOTH},
    [RC_IMPLEMENTATION_SPECIFIC] = {"Implementation specific error",
                                    IN_CONNACK | IN_PUBACK | IN_SUBACK | IN_UNSUBACK | BY_BOTH},
    [RC_UNSUPPORTED_VERSION] = {"Unsupported Protocol Version", IN_CONNACK},
    [RC_CLIENT_ID_NOT_VALID] = {"Client Identifier not valid", IN_CONNACK},
    [RC_BAD_USER_NAME_OR_PASSWORD] = {"Bad User Name or Password", IN_CONNACK},
    [RC_NOT_AUTHORIZED] = {"Not authorized",
                           IN_CONNACK | IN_PUBACK | IN_SUBACK | IN_UNSUBACK | BY_SERVER},
    [RC_SERVER_UNAVAILABLE] = {"Server unavailable", IN_CONNACK},
    [RC_SERVER_BUSY] = {"Server busy", IN_CONNACK | BY_SERVER},
    [RC_BANNED] = {"Banned", IN_CONNACK},
    [RC_SERVER_SHUTTING_DOWN] = {"Server shutting down", BY_SERVER},
    [RC_BAD_AUTHENTICATION_METHOD] = {"Bad authentication method", IN_CONNACK | BY_SERVER},
    [RC_KEEP_ALIVE_TIMEOUT] = {"Keep Alive timeout", BY_SERVER},
    [RC_SESSION_TAKEN_OVER] = {"Session taken over", BY_SERVER},
    [RC_TOPIC_FILTER_INVALID] = {"Topic Filter invalid", IN_SUBACK | IN_UNSUBACK | BY_SERVER},
    [RC_TOPIC_NAME_INVALID] = {"Topic Name invalid", IN_CONNACK | IN_PUBACK | BY_BOTH},
    [RC_PACKET_ID_IN_USE] = {"Packet Identifier in use", IN_PUBACK | IN_SUBACK | IN_UNSUBACK},
    [RC_PACKET_ID_NOT_FOUND] = {"Packet Identifier not found", IN_PUBREL},
    [RC_RECEIVE_MAXIMUM_EXCEEDED] = {"Receive Maximum exceeded", BY_BOTH},
    [RC_TOPIC_ALIAS_INVALID] = {"Topic Alias invalid", BY_BOTH},
    [RC_PACKET_TOO_LARGE] = {"Packet too large", IN_CONNACK | BY_BOTH},
    [RC_MESSAGE_RATE_TOO_HIGH] = {"Message rate too high", BY_BOTH},
    [RC_QUOTA_EXCEEDED] = {"Quota exceeded", IN_CONNACK | IN_PUBACK | IN_SUBACK | BY_BOTH},
    [RC_ADMINISTRATIVE_ACTION] = {"Administrative action", BY_BOTH},
    [RC_PAYLOAD_FORMAT_INVALID] = {"Payload format invalid", IN_CONNACK | IN_PUBACK | BY_BOTH},
    [RC_RETAIN_NOT_SUPPORTED] = {"Retain not supported", IN_CONNACK | BY_SERVER},
    [RC_QOS_NOT_SUPPORTED] = {"QoS not supported", IN_CONNACK | BY_SERVER},
    [RC_USE_ANOTHER_SERVER] = {"Use another server", IN_CONNACK | BY_SERVER},
    [RC_SERVER_MOVED] = {"Server moved", IN_CONNACK | BY_SERVER},
    [RC_SHARED_SUBSCRIPTIONS_NOT_SUPPORTED] = {"Shared Subscriptions not supported",
                                               IN_SUBACK | BY_SERVER},
    [RC_CONNECTION_RATE_EXCEEDED] = {"Connection rate exceeded", IN_CONNACK | BY_SERVER},
    [RC_MAXIMUM_CONNECT_TIME] = {"Maximum connect time", BY_SERVER},
    [RC_SUBSCRIPTION_IDENTIFIERS_NOT_SUPPORTED] = {"Subscription Identifiers not supported",
                                                   IN_SUBACK | BY_SERVER},
    [RC_WILDCARD_SUBSCRIPTIONS_NOT_SUPPORTED] = {"Wildcard Subscriptions not supported",
                                                 IN_SUBACK | BY_SERVER},
};

#define N_ROWS (sizeof(rows) / sizeof(rows[0]))

const char *mqbx_reason_text(uint8_t reason)
{
    const char *text = reason < N_ROWS ? rows[reason].text : NULL;
    return text ? text : "Unknown reason";
}

bool mqbx_reason_allowed(uint8_t reason, unsigned where)
{
    return reason < N_ROWS && (rows[reason].where >> where & 1u) != 0;
}

/* [MQTT-3.2.2-8], [MQTT-3.4.2-1], [MQTT-3.5.2-1], [MQTT-3.6.2-1], [MQTT-3.7.2-1], [MQTT-3.14.2-1],
 * [MQTT-3.15.2-1] */
uint8_t mqbx_read_reason(struct reader *r, unsigned where)
{
    uint8_t reason = mqbx_read_u8(r);
    if (!mqbx_reason_allowed(reason, where))
        mqbx_reader_fault(r, RC_PROTOCOL_ERROR);
    return reason;
}

uint8_t mqbx_reason_to_v3_connack(uint8_t reason)
{
    if (reason < 0x80)
        return 0;
    switch (reason) {
    case RC_UNSUPPORTED_VERSION:
        return 1;
    case RC_CLIENT_ID_NOT_VALID:
        return 2;
    case RC_BAD_USER_NAME_OR_PASSWORD:
    case RC_BAD_AUTHENTICATION_METHOD:
        return 4;
    case RC_NOT_AUTHORIZED:
    case RC_BANNED:
    case RC_TOPIC_NAME_INVALID:
    case RC_RETAIN_NOT_SUPPORTED:
    case RC_QOS_NOT_SUPPORTED:
        return 5;
    default:
        return 3; /* server unavailable */
    }
}
