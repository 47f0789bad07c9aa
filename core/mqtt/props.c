/* SPDX-License-Identifier: MIT */
/*
 * MQTT 5 properties, both ways, from one table: identifier, type, where it may stand, which field
 * it fills. Pure, any thread.
 */
#include <assert.h>

#include "mqtt/parse.h"
#include "mqtt/topic.h"
#include "mqtt/write.h"

enum prop_type {
    PROP_FLAG, /* a byte that is 0 or 1; there are no others */
    PROP_U16,
    PROP_U32,
    PROP_VARINT,
    PROP_STRING,
    PROP_TOPIC, /* a string that is a topic name */
    PROP_BINARY,
    PROP_PAIR,
};

struct prop_rule {
    uint8_t id;
    uint8_t type;
    bool not_zero;
    bool kept;      /* a server passes it on with a PUBLISH */
    uint16_t field; /* offset in struct props; not for user properties */
    uint16_t where; /* bits by packet type, and WHERE_WILL */
};

#define IN(name) (1u << PKT_##name)
#define IN_WILL (1u << WHERE_WILL)
#define IN_MESSAGE (IN(PUBLISH) | IN_WILL)
#define IN_ACKS (IN(PUBACK) | IN(PUBREC) | IN(PUBREL) | IN(PUBCOMP) | IN(SUBACK) | IN(UNSUBACK))
#define IN_AUTHENTICATION (IN(CONNECT) | IN(CONNACK) | IN(AUTH))
#define IN_REASONS (IN(CONNACK) | IN_ACKS | IN(DISCONNECT) | IN(AUTH))
#define IN_ALL (IN(CONNECT) | IN_REASONS | IN_MESSAGE | IN(SUBSCRIBE) | IN(UNSUBSCRIBE))
#define FIELD(name) .field = (uint16_t)offsetof(struct props, name)

/* Table 2-4. The row of a property stands at the number of its bit in `enum prop_bit`. */
static const struct prop_rule rules[] = {
    {0x01, PROP_FLAG, .kept = true, FIELD(payload_format), .where = IN_MESSAGE},
    {0x02, PROP_U32, FIELD(message_expiry_s), .where = IN_MESSAGE},
    {0x03, PROP_STRING, .kept = true, FIELD(content_type), .where = IN_MESSAGE},
    {0x08, PROP_TOPIC, .kept = true, FIELD(response_topic), .where = IN_MESSAGE},
    {0x09, PROP_BINARY, .kept = true, FIELD(correlation_data), .where = IN_MESSAGE},
    {0x0B, PROP_VARINT, .not_zero = true, FIELD(subscription_id),
     .where = IN(PUBLISH) | IN(SUBSCRIBE)},
    {0x11, PROP_U32, FIELD(session_expiry_s), .where = IN(CONNECT) | IN(CONNACK) | IN(DISCONNECT)},
    {0x12, PROP_STRING, FIELD(assigned_client_id), .where = IN(CONNACK)},
    {0x13, PROP_U16, FIELD(server_keep_alive_s), .where = IN(CONNACK)},
    {0x15, PROP_STRING, FIELD(auth_method), .where = IN_AUTHENTICATION},
    {0x16, PROP_BINARY, FIELD(auth_data), .where = IN_AUTHENTICATION},
    {0x17, PROP_FLAG, FIELD(request_problem_info), .where = IN(CONNECT)},
    {0x18, PROP_U32, FIELD(will_delay_s), .where = IN_WILL},
    {0x19, PROP_FLAG, FIELD(request_response_info), .where = IN(CONNECT)},
    {0x1A, PROP_STRING, FIELD(response_info), .where = IN(CONNACK)},
    {0x1C, PROP_STRING, FIELD(server_reference), .where = IN(CONNACK) | IN(DISCONNECT)},
    {0x1F, PROP_STRING, FIELD(reason_string), .where = IN_REASONS},
    {0x21, PROP_U16, .not_zero = true, FIELD(receive_maximum), .where = IN(CONNECT) | IN(CONNACK)},
    {0x22, PROP_U16, FIELD(topic_alias_maximum), .where = IN(CONNECT) | IN(CONNACK)},
    {0x23, PROP_U16, .not_zero = true, FIELD(topic_alias), .where = IN(PUBLISH)},
    {0x24, PROP_FLAG, FIELD(maximum_qos), .where = IN(CONNACK)},
    {0x25, PROP_FLAG, FIELD(retain_available), .where = IN(CONNACK)},
    {0x26, PROP_PAIR, .kept = true, .where = IN_ALL},
    {0x27, PROP_U32, .not_zero = true, FIELD(maximum_packet_size),
     .where = IN(CONNECT) | IN(CONNACK)},
    {0x28, PROP_FLAG, FIELD(wildcard_available), .where = IN(CONNACK)},
    {0x29, PROP_FLAG, FIELD(subscription_id_available), .where = IN(CONNACK)},
    {0x2A, PROP_FLAG, FIELD(shared_available), .where = IN(CONNACK)},
};

#define N_RULES (sizeof(rules) / sizeof(rules[0]))
#define ID_TOPIC_ALIAS 0x23

/* 1 + row, by identifier */
static const uint8_t row_of_id[] = {
    [0x01] = 1,  [0x02] = 2,  [0x03] = 3,  [0x08] = 4,  [0x09] = 5,  [0x0B] = 6,  [0x11] = 7,
    [0x12] = 8,  [0x13] = 9,  [0x15] = 10, [0x16] = 11, [0x17] = 12, [0x18] = 13, [0x19] = 14,
    [0x1A] = 15, [0x1C] = 16, [0x1F] = 17, [0x21] = 18, [0x22] = 19, [0x23] = 20, [0x24] = 21,
    [0x25] = 22, [0x26] = 23, [0x27] = 24, [0x28] = 25, [0x29] = 26, [0x2A] = 27,
};

static const struct prop_rule *rule_of(uint32_t id)
{
    if (id >= sizeof(row_of_id) || row_of_id[id] == 0)
        return NULL;
    const struct prop_rule *rule = &rules[row_of_id[id] - 1];
    assert(rule->id == id);
    return rule;
}

static void *field_of(struct props *p, const struct prop_rule *rule)
{
    return (uint8_t *)p + rule->field;
}

/* --- reading ---------------------------------------------------------------------------------- */

/* The value as its type says, not yet checked. */
static void read_value(struct reader *r, uint8_t type, struct prop *out)
{
    switch (type) {
    case PROP_FLAG:
        out->number = mqbx_read_u8(r);
        break;
    case PROP_U16:
        out->number = mqbx_read_u16(r);
        break;
    case PROP_U32:
        out->number = mqbx_read_u32(r);
        break;
    case PROP_VARINT:
        out->number = mqbx_read_varint(r);
        break;
    case PROP_PAIR:
        out->name = mqbx_read_binary(r);
        out->value = mqbx_read_binary(r);
        break;
    default:
        out->value = mqbx_read_binary(r);
        break;
    }
}

static uint8_t check_text(struct bytes text)
{
    return mqbx_utf8_valid(text) ? RC_SUCCESS : RC_MALFORMED_PACKET;
}

/* [MQTT-3.3.2-13], [MQTT-3.3.2-14], [MQTT-4.7.3-1] */
static uint8_t check_topic(struct bytes topic)
{
    if (!mqbx_utf8_valid(topic))
        return RC_MALFORMED_PACKET;
    return mqbx_topic_name_valid(topic) ? RC_SUCCESS : RC_PROTOCOL_ERROR;
}

static uint8_t check_value(const struct prop_rule *rule, const struct prop *value)
{
    switch (rule->type) {
    case PROP_FLAG:
        return value->number > 1 ? RC_PROTOCOL_ERROR : RC_SUCCESS;
    case PROP_STRING: /* [MQTT-3.3.2-19] and its like */
        return check_text(value->value);
    case PROP_TOPIC:
        return check_topic(value->value);
    case PROP_PAIR: /* [MQTT-1.5.7-1] */
        return check_text(value->name) ? RC_MALFORMED_PACKET : check_text(value->value);
    case PROP_BINARY:
        return RC_SUCCESS;
    default:
        break;
    }
    if (value->number > 0 || !rule->not_zero)
        return RC_SUCCESS;
    /* [MQTT-3.3.2-8] has a code of its own */
    return rule->id == ID_TOPIC_ALIAS ? RC_TOPIC_ALIAS_INVALID : RC_PROTOCOL_ERROR;
}

static void store_value(struct props *p, const struct prop_rule *rule, const struct prop *value)
{
    uint8_t byte = (uint8_t)value->number;
    uint16_t word = (uint16_t)value->number;
    switch (rule->type) {
    case PROP_FLAG:
        memcpy(field_of(p, rule), &byte, sizeof(byte));
        break;
    case PROP_U16:
        memcpy(field_of(p, rule), &word, sizeof(word));
        break;
    case PROP_U32:
    case PROP_VARINT:
        memcpy(field_of(p, rule), &value->number, sizeof(value->number));
        break;
    case PROP_PAIR:
        break;
    default:
        memcpy(field_of(p, rule), &value->value, sizeof(value->value));
        break;
    }
}

static bool may_repeat(const struct prop_rule *rule, unsigned where)
{
    return rule->type == PROP_PAIR || (rule->type == PROP_VARINT && where == PKT_PUBLISH);
}

static void read_prop(struct reader *r, unsigned where, struct props *out)
{
    uint32_t id = mqbx_read_varint(r);
    const struct prop_rule *rule = rule_of(id);
    if (!rule || (rule->where >> where & 1u) == 0) { /* 2.2.2.2 */
        mqbx_reader_fault(r, RC_MALFORMED_PACKET);
        return;
    }
    struct prop value = {.id = rule->id};
    read_value(r, rule->type, &value);
    if (r->fault)
        return;
    uint8_t fault = check_value(rule, &value);
    if (fault)
        mqbx_reader_fault(r, fault);
    uint32_t bit = 1u << (rule - rules);
    if ((out->has & bit) == 0)
        store_value(out, rule, &value);
    else if (!may_repeat(rule, where)) /* "more than once", said at every property */
        mqbx_reader_fault(r, RC_PROTOCOL_ERROR);
    out->has |= bit;
}

void mqbx_read_props(struct reader *r, unsigned where, struct props *out)
{
    uint32_t len = mqbx_read_varint(r); /* [MQTT-2.2.2-1]: always there */
    out->raw = mqbx_read_bytes(r, len);
    struct reader block = mqbx_reader(out->raw);
    while (block.left > 0)
        read_prop(&block, where, out);
    /* 3.1.2.11.10, 3.15.2.2.3: data without a method has no meaning */
    if ((out->has & HAS_AUTH_DATA) && !(out->has & HAS_AUTH_METHOD))
        mqbx_reader_fault(&block, RC_PROTOCOL_ERROR);
    if (block.fault)
        mqbx_reader_fault(r, block.fault);
}

bool mqbx_prop_next(struct bytes raw, uint32_t *pos, struct prop *out)
{
    if (*pos >= raw.len)
        return false;
    struct reader r = mqbx_reader((struct bytes){.ptr = raw.ptr + *pos, .len = raw.len - *pos});
    *out = (struct prop){.whole = {.ptr = r.ptr}};
    const struct prop_rule *rule = rule_of(mqbx_read_varint(&r));
    if (!rule)
        return false;
    out->id = rule->id;
    read_value(&r, rule->type, out);
    if (r.fault)
        return false;
    out->whole.len = (uint32_t)(r.ptr - out->whole.ptr);
    *pos += out->whole.len;
    return true;
}

/* --- passing on ------------------------------------------------------------------------------- */

static bool is_kept(uint8_t id)
{
    return rule_of(id)->kept;
}

uint32_t mqbx_props_kept_len(const struct props *p)
{
    uint32_t len = 0;
    struct prop prop;
    for (uint32_t pos = 0; mqbx_prop_next(p->raw, &pos, &prop);)
        len += is_kept(prop.id) ? prop.whole.len : 0;
    return len;
}

void mqbx_props_copy_kept(const struct props *p, uint8_t *out)
{
    struct prop prop;
    for (uint32_t pos = 0; mqbx_prop_next(p->raw, &pos, &prop);) {
        if (!is_kept(prop.id))
            continue;
        memcpy(out, prop.whole.ptr, prop.whole.len);
        out += prop.whole.len;
    }
}

/* --- writing ---------------------------------------------------------------------------------- */

/* The value of a field, as reading it would give it. */
static struct prop load_value(const struct props *p, const struct prop_rule *rule)
{
    const uint8_t *field = (const uint8_t *)p + rule->field;
    struct prop value = {.id = rule->id};
    uint16_t word;
    switch (rule->type) {
    case PROP_FLAG:
        value.number = *field;
        break;
    case PROP_U16:
        memcpy(&word, field, sizeof(word));
        value.number = word;
        break;
    case PROP_U32:
    case PROP_VARINT:
        memcpy(&value.number, field, sizeof(value.number));
        break;
    default:
        memcpy(&value.value, field, sizeof(value.value));
        break;
    }
    return value;
}

static uint64_t encoded_len(uint8_t type, const struct prop *value)
{
    switch (type) {
    case PROP_FLAG:
        return 2;
    case PROP_U16:
        return 3;
    case PROP_U32:
        return 5;
    case PROP_VARINT:
        return 1u + mqbx_varint_len(value->number);
    default:
        return 3 + (uint64_t)value->value.len;
    }
}

static void write_value(struct writer *w, uint8_t type, const struct prop *value)
{
    mqbx_write_u8(w, value->id);
    switch (type) {
    case PROP_FLAG:
        mqbx_write_u8(w, (uint8_t)value->number);
        break;
    case PROP_U16:
        mqbx_write_u16(w, (uint16_t)value->number);
        break;
    case PROP_U32:
        mqbx_write_u32(w, value->number);
        break;
    case PROP_VARINT:
        mqbx_write_varint(w, value->number);
        break;
    default:
        mqbx_write_string(w, value->value);
        break;
    }
}

#define WRITTEN(has) ((has) & ~(uint32_t)HAS_USER_PROPERTY & ((1u << N_RULES) - 1))

static uint64_t block_len(const struct props *p, struct bytes user)
{
    uint64_t len = user.len;
    const struct prop_rule *rule = rules;
    for (uint32_t has = WRITTEN(p->has); has != 0; has >>= 1, rule++) {
        if (has & 1u) {
            struct prop value = load_value(p, rule);
            len += encoded_len(rule->type, &value);
        }
    }
    return len;
}

uint32_t mqbx_props_len(const struct props *p, struct bytes user)
{
    uint64_t len = block_len(p, user);
    if (len > MQTT_MAX_PACKET)
        return UINT32_MAX; /* no packet can hold it: every writer refuses that length */
    return (uint32_t)len + mqbx_varint_len((uint32_t)len);
}

void mqbx_write_props(struct writer *w, const struct props *p, struct bytes user)
{
    uint64_t len = block_len(p, user);
    mqbx_write_varint(w, len > MQTT_MAX_PACKET ? UINT32_MAX : (uint32_t)len);
    const struct prop_rule *rule = rules;
    for (uint32_t has = WRITTEN(p->has); has != 0; has >>= 1, rule++) {
        if (has & 1u) {
            struct prop value = load_value(p, rule);
            write_value(w, rule->type, &value);
        }
    }
    mqbx_write_raw(w, user.ptr, user.len);
}
