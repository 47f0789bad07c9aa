/* SPDX-License-Identifier: MIT */
/*
 * MQTT control packets as structs: 3.1 (MQIsdp), 3.1.1 and 5.0, both directions. Pure: no state, no
 * allocation, no I/O. What parse fills refers to the bytes it was given and lives as long as they
 * do. Every parse function checks all that the standard lets a receiver check in the packet alone,
 * and answers RC_SUCCESS or the reason code that names the fault (RC_MALFORMED_PACKET,
 * RC_PROTOCOL_ERROR, RC_TOPIC_NAME_INVALID, ...).
 */
#ifndef MQBX_MQTT_PACKET_H
#define MQBX_MQTT_PACKET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"
#include "mqtt/reason.h"

enum packet_type {
    PKT_CONNECT = 1,
    PKT_CONNACK = 2,
    PKT_PUBLISH = 3,
    PKT_PUBACK = 4,
    PKT_PUBREC = 5,
    PKT_PUBREL = 6,
    PKT_PUBCOMP = 7,
    PKT_SUBSCRIBE = 8,
    PKT_SUBACK = 9,
    PKT_UNSUBSCRIBE = 10,
    PKT_UNSUBACK = 11,
    PKT_PINGREQ = 12,
    PKT_PINGRESP = 13,
    PKT_DISCONNECT = 14,
    PKT_AUTH = 15,
};

enum { MQTT_V31 = 3, MQTT_V311 = 4, MQTT_V5 = 5 };

#define MQTT_MAX_PACKET 268435455u /* the largest remaining length */

const char *mqbx_packet_name(uint8_t type); /* "PUBLISH" */

/* --- framing ---------------------------------------------------------------------------------- */

struct frame {
    uint8_t type;
    uint8_t flags;      /* low four bits of the first byte */
    uint8_t header_len; /* 2..5: first byte and remaining length */
    uint32_t body_len;  /* the remaining length */
};

enum frame_status { FRAME_OK, FRAME_MORE, FRAME_BAD };

/* Looks at the start of `in`. FRAME_OK: *out is set; the body may not all be there yet (compare len
 * with header_len + body_len). FRAME_MORE: the fixed header is incomplete. FRAME_BAD: *reason is
 * RC_MALFORMED_PACKET (reserved type 0, length not in shortest form or over four bytes). Flags are
 * checked by the parse functions. */
enum frame_status mqbx_frame(const uint8_t *in, size_t len, struct frame *out, uint8_t *reason);

/* --- properties ------------------------------------------------------------------------------- */

/* Which single-valued properties were there: bits of `has`. */
enum prop_bit {
    HAS_PAYLOAD_FORMAT = 1u << 0,
    HAS_MESSAGE_EXPIRY = 1u << 1,
    HAS_CONTENT_TYPE = 1u << 2,
    HAS_RESPONSE_TOPIC = 1u << 3,
    HAS_CORRELATION_DATA = 1u << 4,
    HAS_SUBSCRIPTION_ID = 1u << 5, /* on PUBLISH may occur several times */
    HAS_SESSION_EXPIRY = 1u << 6,
    HAS_ASSIGNED_CLIENT_ID = 1u << 7,
    HAS_SERVER_KEEP_ALIVE = 1u << 8,
    HAS_AUTH_METHOD = 1u << 9,
    HAS_AUTH_DATA = 1u << 10,
    HAS_REQUEST_PROBLEM_INFO = 1u << 11,
    HAS_WILL_DELAY = 1u << 12,
    HAS_REQUEST_RESPONSE_INFO = 1u << 13,
    HAS_RESPONSE_INFO = 1u << 14,
    HAS_SERVER_REFERENCE = 1u << 15,
    HAS_REASON_STRING = 1u << 16,
    HAS_RECEIVE_MAXIMUM = 1u << 17,
    HAS_TOPIC_ALIAS_MAXIMUM = 1u << 18,
    HAS_TOPIC_ALIAS = 1u << 19,
    HAS_MAXIMUM_QOS = 1u << 20,
    HAS_RETAIN_AVAILABLE = 1u << 21,
    HAS_USER_PROPERTY = 1u << 22, /* any number of them */
    HAS_MAXIMUM_PACKET_SIZE = 1u << 23,
    HAS_WILDCARD_AVAILABLE = 1u << 24,
    HAS_SUBSCRIPTION_ID_AVAILABLE = 1u << 25,
    HAS_SHARED_AVAILABLE = 1u << 26,
};

/* A property block, read. Fields without their bit in `has` are 0 / empty. `raw` is the block
 * behind its length. User properties and repeated subscription identifiers stay in raw: walk them
 * with mqbx_prop_next. */
struct props {
    uint32_t has;
    uint32_t message_expiry_s;
    uint32_t session_expiry_s;
    uint32_t will_delay_s;
    uint32_t maximum_packet_size;
    uint32_t subscription_id; /* the first one */
    uint16_t receive_maximum;
    uint16_t topic_alias_maximum;
    uint16_t topic_alias;
    uint16_t server_keep_alive_s;
    uint8_t payload_format;
    uint8_t request_problem_info;
    uint8_t request_response_info;
    uint8_t maximum_qos;
    uint8_t retain_available;
    uint8_t wildcard_available;
    uint8_t subscription_id_available;
    uint8_t shared_available;
    struct bytes raw;
    struct bytes content_type;
    struct bytes response_topic;
    struct bytes correlation_data;
    struct bytes assigned_client_id;
    struct bytes auth_method;
    struct bytes auth_data;
    struct bytes response_info;
    struct bytes server_reference;
    struct bytes reason_string;
};

struct prop {
    uint8_t id;         /* 0x26 user property, ... as in the standard's table 2-4 */
    uint32_t number;    /* of integer properties */
    struct bytes name;  /* of a user property */
    struct bytes value; /* of a string, of binary data, of a user property */
    struct bytes whole; /* the property as encoded, identifier included */
};

/* Walks a block that parse has accepted: *pos starts at 0; false at the end. */
bool mqbx_prop_next(struct bytes raw, uint32_t *pos, struct prop *out);

/* What a server passes on with a PUBLISH unchanged and in order: payload format indicator, content
 * type, response topic, correlation data, user properties. Not: topic alias, message expiry,
 * subscription identifiers, will delay. The length, and a copy of exactly that many bytes; of what
 * parse filled.
 * [MQTT-3.3.2-4], -15..-18, -20 */
uint32_t mqbx_props_kept_len(const struct props *p);
void mqbx_props_copy_kept(const struct props *p, uint8_t *out);

/* --- client to server ------------------------------------------------------------------------- */

struct will_fields {
    bool present;
    bool retain;
    uint8_t qos;
    struct bytes topic;
    struct bytes payload;
    struct props props; /* 5.0 */
};

struct connect {
    uint8_t version; /* MQTT_V31, MQTT_V311, MQTT_V5; on RC_UNSUPPORTED_VERSION what the client
                        asked for */
    bool clean_start;
    bool has_user_name;
    bool has_password;
    uint16_t keep_alive_s;
    struct bytes client_id;
    struct bytes user_name;
    struct bytes password;
    struct will_fields will;
    struct props props; /* 5.0; receive_maximum is 65535 and request_problem_info 1 when absent */
};

struct publish {
    bool dup;
    bool retain;
    uint8_t qos;
    uint16_t packet_id; /* 0 at QoS 0 */
    struct bytes topic; /* empty only with a topic alias */
    struct bytes payload;
    struct props props;
};

struct ack { /* PUBACK, PUBREC, PUBREL, PUBCOMP */
    uint16_t packet_id;
    uint8_t reason;
    struct props props;
};

struct subscribe {
    uint16_t packet_id;
    uint32_t count; /* filters, at least 1; all are checked: UTF-8, options; filter syntax is not
                       (mqtt/topic.h) */
    struct bytes filters; /* the payload: walk with mqbx_subscribe_next */
    struct props props;
};

struct subscribe_filter {
    struct bytes filter;
    uint8_t qos;
    bool no_local;
    bool retain_as_published;
    uint8_t retain_handling;
};

struct unsubscribe {
    uint16_t packet_id;
    uint32_t count;
    struct bytes filters;
    struct props props;
};

struct disconnect {
    uint8_t reason; /* RC_SUCCESS in 3.1.1 */
    struct props props;
};

struct auth {
    uint8_t reason;
    struct props props;
};

/* `body` is exactly the frame's body_len bytes; `flags` its flags. After a fault *out is undefined,
 * but for connect.version.
 *
 * CONNECT: protocol "MQTT" 4 and 5 and "MQIsdp" 3 are known; another name or level gives
 * RC_UNSUPPORTED_VERSION. Will topic syntax is checked; a client id is checked as UTF-8 only.
 *
 * PUBLISH: a topic with a wildcard gives RC_TOPIC_NAME_INVALID; an empty one without alias
 * RC_PROTOCOL_ERROR (3.x: RC_MALFORMED_PACKET); alias 0 RC_TOPIC_ALIAS_INVALID.
 *
 * Left to the broker: a payload against its format indicator (mqbx_utf8_payload_valid), an alias
 * above the maximum, HAS_SUBSCRIPTION_ID from a client [MQTT-3.3.4-6] (a server's is legal), an
 * AUTH in 3.x, and which side may send which of AUTH's codes. */
uint8_t mqbx_parse_connect(struct bytes body, uint8_t flags, struct connect *out);
uint8_t mqbx_parse_publish(struct bytes body, uint8_t flags, uint8_t version, struct publish *out);
uint8_t mqbx_parse_ack(struct bytes body, uint8_t flags, uint8_t version, uint8_t type,
                       struct ack *out);
uint8_t mqbx_parse_subscribe(struct bytes body, uint8_t flags, uint8_t version,
                             struct subscribe *out);
uint8_t mqbx_parse_unsubscribe(struct bytes body, uint8_t flags, uint8_t version,
                               struct unsubscribe *out);
uint8_t mqbx_parse_empty(struct bytes body, uint8_t flags); /* PINGREQ, PINGRESP */
uint8_t mqbx_parse_disconnect(struct bytes body, uint8_t flags, uint8_t version, bool from_server,
                              struct disconnect *out);
uint8_t mqbx_parse_auth(struct bytes body, uint8_t flags, struct auth *out);

/* *pos starts at 0; false at the end. Only on an accepted packet. */
bool mqbx_subscribe_next(const struct subscribe *s, uint8_t version, uint32_t *pos,
                         struct subscribe_filter *out);
bool mqbx_unsubscribe_next(const struct unsubscribe *u, uint32_t *pos, struct bytes *filter);

/* --- server to client ------------------------------------------------------------------------- */

struct connack {
    bool session_present;
    uint8_t reason; /* 3.x: the return code 0..5 */
    struct props props;
};

struct suback { /* and UNSUBACK; 3.x UNSUBACK has no codes */
    uint16_t packet_id;
    struct bytes codes;
    struct props props;
};

uint8_t mqbx_parse_connack(struct bytes body, uint8_t flags, uint8_t version, struct connack *out);
uint8_t mqbx_parse_suback(struct bytes body, uint8_t flags, uint8_t version, struct suback *out);
uint8_t mqbx_parse_unsuback(struct bytes body, uint8_t flags, uint8_t version, struct suback *out);

/* --- building
 * --------------------------------------------------------------------------------------- The
 * writer appends to a fixed buffer and remembers an overflow; what it wrote is valid only if
 * !overflow. */

struct writer {
    uint8_t *ptr;
    size_t len;
    size_t cap;
    bool overflow;
};

static inline struct writer mqbx_writer(void *ptr, size_t cap)
{
    return (struct writer){.ptr = (uint8_t *)ptr, .cap = cap};
}

void mqbx_write_u8(struct writer *w, uint8_t x);
void mqbx_write_u16(struct writer *w, uint16_t x);
void mqbx_write_u32(struct writer *w, uint32_t x);
void mqbx_write_varint(struct writer *w, uint32_t x);
void mqbx_write_raw(struct writer *w, const void *ptr, size_t len);
void mqbx_write_string(struct writer *w, struct bytes s); /* two-byte length and bytes */

uint32_t mqbx_varint_len(uint32_t x);               /* 1..4 */
uint8_t *mqbx_put_varint(uint8_t *out, uint32_t x); /* writes without a check, answers the end */

/* Encodes the properties whose bit is in `has` (in the order of the bits), then `user` (already
 * encoded user properties, may be empty), with the length in front. mqbx_props_len is the size of
 * all that, length included. Subscription identifiers: p->subscription_id only. */
uint32_t mqbx_props_len(const struct props *p, struct bytes user);
void mqbx_write_props(struct writer *w, const struct props *p, struct bytes user);

/* Whole packets. In 3.x properties and reason codes are left out. p->props.raw is taken as already
 * encoded user properties. */
void mqbx_write_connect(struct writer *w,
                        const struct connect *p); /* will.props.raw, props.raw likewise */
void mqbx_write_connack(struct writer *w, uint8_t version, const struct connack *p);
void mqbx_write_publish(struct writer *w, uint8_t version, const struct publish *p);
/* The shortest form the standard allows. */
void mqbx_write_ack(struct writer *w, uint8_t version, uint8_t type, const struct ack *p);
void mqbx_write_subscribe(struct writer *w, uint8_t version, uint16_t packet_id,
                          const struct props *props, const struct subscribe_filter *filters,
                          size_t count);
void mqbx_write_suback(struct writer *w, uint8_t version, const struct suback *p);
void mqbx_write_unsubscribe(struct writer *w, uint8_t version, uint16_t packet_id,
                            const struct props *props, const struct bytes *filters, size_t count);
void mqbx_write_unsuback(struct writer *w, uint8_t version, const struct suback *p);
void mqbx_write_ping(struct writer *w, uint8_t type);
void mqbx_write_disconnect(struct writer *w, uint8_t version, const struct disconnect *p);
void mqbx_write_auth(struct writer *w, const struct auth *p);

#endif
