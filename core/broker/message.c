/* SPDX-License-Identifier: MIT */
/*
 * mqb_msg: the public name of a message (engine/msg.h). Read-only views of what is immutable; any
 * thread.
 */
#include "broker/message.h"

#include "mqtt/packet.h"

struct msg *mqbx_msg_of(const mqb_msg *m)
{
    return (struct msg *)(uintptr_t)m;
}

mqb_msg *mqbx_msg_public(struct msg *m)
{
    return (mqb_msg *)m;
}

static mqb_str str_of(struct bytes b)
{
    return (mqb_str){.ptr = (const char *)b.ptr, .len = b.len};
}

mqb_str mqb_msg_topic(const mqb_msg *m)
{
    return str_of(mqbx_msg_topic(mqbx_msg_of(m)));
}

mqb_str mqb_msg_payload(const mqb_msg *m)
{
    return str_of(mqbx_msg_payload(mqbx_msg_of(m)));
}

uint32_t mqb_msg_qos(const mqb_msg *m)
{
    return mqbx_msg_of(m)->qos;
}

bool mqb_msg_retain(const mqb_msg *m)
{
    return mqbx_msg_of(m)->retain;
}

uint32_t mqb_msg_tenant(const mqb_msg *m)
{
    return mqbx_msg_of(m)->tenant;
}

uint32_t mqb_msg_expiry(const mqb_msg *m)
{
    return mqbx_msg_of(m)->expiry_s;
}

/* The one property of this kind, false: there is none. */
static bool find(const mqb_msg *m, uint8_t id, struct prop *out)
{
    struct bytes props = mqbx_msg_props(mqbx_msg_of(m));
    for (uint32_t pos = 0; mqbx_prop_next(props, &pos, out);) {
        if (out->id == id)
            return true;
    }
    return false;
}

static mqb_str value_of(const mqb_msg *m, uint8_t id)
{
    struct prop p;
    return find(m, id, &p) ? str_of(p.value) : (mqb_str){NULL, 0};
}

mqb_str mqb_msg_content_type(const mqb_msg *m)
{
    return value_of(m, PROP_CONTENT_TYPE);
}

mqb_str mqb_msg_response_topic(const mqb_msg *m)
{
    return value_of(m, PROP_RESPONSE_TOPIC);
}

mqb_str mqb_msg_correlation_data(const mqb_msg *m)
{
    return value_of(m, PROP_CORRELATION_DATA);
}

bool mqb_msg_is_utf8(const mqb_msg *m)
{
    struct prop p;
    return find(m, PROP_PAYLOAD_FORMAT, &p) && p.number == 1;
}

bool mqb_msg_user_property(const mqb_msg *m, uint32_t *pos, mqb_user_property *out)
{
    struct bytes props = mqbx_msg_props(mqbx_msg_of(m));
    struct prop p;
    while (mqbx_prop_next(props, pos, &p)) {
        if (p.id == PROP_USER) {
            *out = (mqb_user_property){str_of(p.name), str_of(p.value)};
            return true;
        }
    }
    return false;
}

mqb_msg *mqb_msg_ref(mqb_msg *m)
{
    mqbx_msg_ref(mqbx_msg_of(m));
    return m;
}

void mqb_msg_unref(mqb_msg *m)
{
    mqbx_msg_unref(mqbx_msg_of(m));
}
