/* SPDX-License-Identifier: MIT */
/*
 * Publishing from the host: checks, the message, and its item to the handle's home. Any thread.
 */
#include <string.h>

#include "broker/broker.h"
#include "broker/error.h"
#include "broker/message.h"
#include "broker/wait.h"
#include "engine/local.h"
#include "mqtt/packet.h"
#include "mqtt/topic.h"
#include "mqtt/utf8.h"

#define PUBLISH_FLAGS (MQB_PUB_RETAIN | MQB_PUB_NO_ACL | MQB_PUB_NO_HOOKS | MQB_PUB_UTF8)

static struct bytes bytes_of(mqb_str s)
{
    return mqbx_bytes(s.ptr, s.len);
}

/* --- checks ---------------------------------------------------------------------------------- */

static bool is_text(mqb_str s)
{
    return s.len <= UINT16_MAX && mqbx_utf8_valid(bytes_of(s));
}

static mqb_err check_topic(mqb_broker *b, mqb_str topic)
{
    if (topic.len > mqbx_atomic_load32(&b->max_topic_bytes))
        return mqbx_error(MQB_EINVAL, "the topic is over limits.max_topic_size");
    if (!is_text(topic) || !mqbx_topic_name_valid(bytes_of(topic)))
        return mqbx_error(MQB_EINVAL,
                          "'%.*s' is no topic name: empty, not UTF-8, or with a wildcard",
                          (int)(topic.len < 128 ? topic.len : 128), topic.ptr);
    if (mqbx_topic_levels(bytes_of(topic)) > mqbx_atomic_load32(&b->max_topic_levels))
        return mqbx_error(MQB_EINVAL, "the topic has more levels than limits.max_topic_levels");
    return MQB_OK;
}

static mqb_err check_properties(const mqb_publish_opts *o)
{
    if (!is_text(o->content_type))
        return mqbx_error(MQB_EINVAL, "content_type is not UTF-8 of at most 65535 bytes");
    if (o->response_topic.len > 0 &&
        (!is_text(o->response_topic) || !mqbx_topic_name_valid(bytes_of(o->response_topic))))
        return mqbx_error(MQB_EINVAL, "response_topic is no topic name");
    if (o->correlation_data.len > UINT16_MAX)
        return mqbx_error(MQB_EINVAL, "correlation_data is over 65535 bytes");
    if (o->user_property_count > 0 && o->user_properties == NULL)
        return mqbx_error(MQB_EINVAL, "user_properties is NULL");
    for (uint32_t i = 0; i < o->user_property_count; i++) {
        if (!is_text(o->user_properties[i].name) || !is_text(o->user_properties[i].value))
            return mqbx_error(MQB_EINVAL, "user property %u is not UTF-8 of at most 65535 bytes",
                              i);
    }
    return MQB_OK;
}

static mqb_err check(mqb_broker *b, const mqb_publish_opts *o)
{
    if (o->qos > 2 || (o->flags & ~(uint32_t)PUBLISH_FLAGS) != 0)
        return mqbx_error(MQB_EINVAL, "publish: QoS %u, or the flags, are no known value", o->qos);
    if (o->payload == NULL && o->payload_len > 0)
        return mqbx_error(MQB_EINVAL, "publish: the payload is NULL");
    if (o->payload_len > mqbx_atomic_load32(&b->max_packet_bytes))
        return mqbx_error(MQB_EINVAL, "the payload is over limits.max_packet_size");
    if ((o->flags & MQB_PUB_UTF8) != 0 &&
        !mqbx_utf8_payload_valid(mqbx_bytes(o->payload, o->payload_len)))
        return mqbx_error(MQB_EINVAL, "the payload is called text, but is not UTF-8");
    mqb_err err = check_topic(b, o->topic);
    return err != MQB_OK ? err : check_properties(o);
}

/* --- properties as encoded ------------------------------------------------------------------- */

static size_t string_size(mqb_str s)
{
    return s.len == 0 ? 0 : 3 + s.len;
}

static size_t properties_size(const mqb_publish_opts *o)
{
    size_t n = (o->flags & MQB_PUB_UTF8) != 0 ? 2 : 0;
    n += string_size(o->content_type) + string_size(o->response_topic) +
         string_size(o->correlation_data);
    for (uint32_t i = 0; i < o->user_property_count; i++)
        n += 5 + o->user_properties[i].name.len + o->user_properties[i].value.len;
    return n;
}

static void write_string(struct writer *w, uint8_t id, mqb_str s)
{
    if (s.len == 0)
        return;
    mqbx_write_u8(w, id);
    mqbx_write_string(w, bytes_of(s));
}

static void write_properties(struct writer *w, const mqb_publish_opts *o)
{
    if ((o->flags & MQB_PUB_UTF8) != 0) {
        mqbx_write_u8(w, PROP_PAYLOAD_FORMAT);
        mqbx_write_u8(w, 1);
    }
    write_string(w, PROP_CONTENT_TYPE, o->content_type);
    write_string(w, PROP_RESPONSE_TOPIC, o->response_topic);
    write_string(w, PROP_CORRELATION_DATA, o->correlation_data);
    for (uint32_t i = 0; i < o->user_property_count; i++) { /* [MQTT-3.3.2-18] in order */
        mqbx_write_u8(w, PROP_USER);
        mqbx_write_string(w, bytes_of(o->user_properties[i].name));
        mqbx_write_string(w, bytes_of(o->user_properties[i].value));
    }
}

/* --- the message ----------------------------------------------------------------------------- */

static struct msg *make_message(const struct alloc *a, const mqb_publish_opts *o, uint32_t tenant,
                                struct bytes props)
{
    struct publication p = {
        .tenant = tenant,
        .expiry_s = o->expiry_s == 0 ? MSG_NEVER_EXPIRES : o->expiry_s,
        .qos = (uint8_t)o->qos,
        .retain = (o->flags & MQB_PUB_RETAIN) != 0,
        .topic = bytes_of(o->topic),
        .props = props,
        .payload = mqbx_bytes(o->payload, o->payload_len),
    };
    if (o->free_fn == NULL)
        return mqbx_msg_new(a, &p);
    return mqbx_msg_new_foreign(a, &p, o->free_fn, o->free_arg);
}

static mqb_err make_encoded(mqb_broker *b, const mqb_publish_opts *o, uint32_t tenant,
                            struct msg **out)
{
    uint8_t small[512];
    size_t size = properties_size(o);
    if (size + o->topic.len + o->payload_len + 16 > mqbx_atomic_load32(&b->max_packet_bytes))
        return mqbx_error(MQB_EINVAL, "the message is over limits.max_packet_size");
    uint8_t *encoded = size <= sizeof(small) ? small : mqbx_alloc(b->alloc, size);
    if (encoded == NULL)
        return mqbx_no_memory();
    struct writer w = mqbx_writer(encoded, size);
    write_properties(&w, o);
    *out = make_message(b->alloc, o, tenant, mqbx_bytes(encoded, w.len));
    if (encoded != small)
        mqbx_free(b->alloc, encoded, size);
    return *out == NULL ? mqbx_no_memory() : MQB_OK;
}

/* On an error the payload stays the host's. */
static mqb_err send(mqb_broker *b, mqb_local *l, const mqb_publish_opts *o, struct msg *m)
{
    struct local_publish *lp = mqbx_zalloc(b->alloc, sizeof(*lp));
    if (lp == NULL)
        return mqbx_no_memory();
    lp->msg = m;
    lp->flags = ((o->flags & MQB_PUB_NO_ACL) != 0 ? LOCAL_PUBLISH_NO_ACL : 0) |
                ((o->flags & MQB_PUB_NO_HOOKS) != 0 ? LOCAL_PUBLISH_NO_HOOKS : 0);
    lp->done = o->done;
    lp->arg = o->done_arg;
    struct item it = {.type = ITEM_LOCAL_PUBLISH,
                      .from = ITEM_FROM_HOST,
                      .u.local_publish = {mqbx_local_inner(l), lp}};
    mqb_err err = mqbx_broker_post(b, mqbx_local_home(l), &it, mqbx_msg_size(m), false);
    if (err != MQB_OK)
        mqbx_free(b->alloc, lp, sizeof(*lp));
    return err;
}

static mqb_err publish_inside(mqb_broker *b, const mqb_publish_opts *o)
{
    mqb_local *l;
    struct msg *m;
    mqb_err err = check(b, o);
    if (err == MQB_OK)
        err = mqbx_local_choose(b, o->local, o->tenant, &l);
    if (err == MQB_OK)
        err = make_encoded(b, o, mqbx_local_inner(l)->tenant, &m);
    if (err != MQB_OK)
        return err;
    err = send(b, l, o, m);
    if (err != MQB_OK) {
        mqbx_msg_disarm(m);
        mqbx_msg_unref(m);
    }
    return err;
}

/* --- public ---------------------------------------------------------------------------------- */

static mqb_err publish(mqb_broker *b, const mqb_publish_opts *o)
{
    mqb_err err = mqbx_broker_enter(b);
    if (err != MQB_OK)
        return err;
    err = publish_inside(b, o);
    mqbx_broker_leave(b);
    return err;
}

mqb_err mqb_publish(mqb_broker *b, const char *topic, const void *payload, size_t len, int qos,
                    uint32_t flags)
{
    mqb_publish_opts o = mqb_publish_defaults();
    o.topic = mqb_str_of(topic);
    o.payload = payload;
    o.payload_len = len;
    o.qos = (uint32_t)qos;
    o.flags = flags;
    return publish(b, &o);
}

mqb_err mqb_publish_ex(mqb_broker *b, const mqb_publish_opts *opts)
{
    mqb_publish_opts o;
    mqb_err err = mqbx_opts_take(&o, sizeof(o), opts);
    return err != MQB_OK ? err : publish(b, &o);
}

struct waiting_publish {
    const struct alloc *alloc;
    struct wait *wait;
    mqb_done_fn done;
    void *done_arg;
};

static void on_done(void *arg, mqb_err err)
{
    struct waiting_publish w = *(struct waiting_publish *)arg;
    mqbx_free(w.alloc, arg, sizeof(w));
    if (w.done != NULL)
        w.done(w.done_arg, err);
    mqbx_wait_bring(w.wait, err);
}

/* [inside] *out is what to wait for. */
static mqb_err publish_with_wait(mqb_broker *b, mqb_publish_opts *o, struct wait **out)
{
    struct waiting_publish *w = mqbx_zalloc(b->alloc, sizeof(*w));
    struct wait *wait = w == NULL ? NULL : mqbx_wait_new(b->alloc);
    mqb_err err = MQB_ENOMEM;
    *out = NULL;
    if (wait == NULL)
        goto fail;
    *w = (struct waiting_publish){b->alloc, wait, o->done, o->done_arg};
    o->done = on_done;
    o->done_arg = w;
    err = publish_inside(b, o);
    if (err != MQB_OK)
        goto fail;
    *out = wait;
    return MQB_OK;
fail:
    mqbx_wait_drop(wait);
    mqbx_free(b->alloc, w, sizeof(*w));
    return wait == NULL ? mqbx_no_memory() : err;
}

mqb_err mqb_publish_wait(mqb_broker *b, const mqb_publish_opts *opts, int64_t timeout_ms)
{
    mqb_publish_opts o;
    struct wait *wait = NULL;
    mqb_err err = mqbx_opts_take(&o, sizeof(o), opts);
    if (err == MQB_OK)
        err = mqbx_broker_enter_to_wait(b);
    if (err != MQB_OK)
        return err;
    err = publish_with_wait(b, &o, &wait);
    mqbx_broker_leave(b);
    return err != MQB_OK ? err : mqbx_wait_for(wait, timeout_ms);
}
