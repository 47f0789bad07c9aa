// SPDX-License-Identifier: MIT
#include "any_packet.hpp"

struct props *props_of(AnyPacket &p)
{
    switch (p.type) {
    case PKT_CONNECT:
        return &p.body.connect.props;
    case PKT_CONNACK:
        return &p.body.connack.props;
    case PKT_PUBLISH:
        return &p.body.publish.props;
    case PKT_PUBACK:
    case PKT_PUBREC:
    case PKT_PUBREL:
    case PKT_PUBCOMP:
        return &p.body.ack.props;
    case PKT_SUBSCRIBE:
        return &p.body.subscribe.props;
    case PKT_SUBACK:
    case PKT_UNSUBACK:
        return &p.body.suback.props;
    case PKT_UNSUBSCRIBE:
        return &p.body.unsubscribe.props;
    case PKT_DISCONNECT:
        return &p.body.disconnect.props;
    case PKT_AUTH:
        return &p.body.auth.props;
    default:
        return nullptr;
    }
}

namespace
{

void walk_subscribe(AnyPacket *p)
{
    struct subscribe_filter f;
    for (uint32_t pos = 0; mqbx_subscribe_next(&p->body.subscribe, p->version, &pos, &f);)
        p->filters.push_back(f);
}

void walk_unsubscribe(AnyPacket *p)
{
    struct bytes topic;
    for (uint32_t pos = 0; mqbx_unsubscribe_next(&p->body.unsubscribe, &pos, &topic);)
        p->topics.push_back(topic);
}

} // namespace

uint8_t parse_body(const AnyPacket &like, uint8_t flags, struct bytes body, AnyPacket *out)
{
    out->type = like.type;
    out->version = like.version;
    out->from_server = like.from_server;
    out->filters.clear();
    out->topics.clear();
    uint8_t v = like.version;
    uint8_t rc = RC_SUCCESS;
    switch (like.type) {
    case PKT_CONNECT:
        rc = mqbx_parse_connect(body, flags, &out->body.connect);
        out->version = out->body.connect.version;
        return rc;
    case PKT_CONNACK:
        return mqbx_parse_connack(body, flags, v, &out->body.connack);
    case PKT_PUBLISH:
        return mqbx_parse_publish(body, flags, v, &out->body.publish);
    case PKT_PUBACK:
    case PKT_PUBREC:
    case PKT_PUBREL:
    case PKT_PUBCOMP:
        return mqbx_parse_ack(body, flags, v, like.type, &out->body.ack);
    case PKT_SUBSCRIBE:
        rc = mqbx_parse_subscribe(body, flags, v, &out->body.subscribe);
        if (rc == RC_SUCCESS)
            walk_subscribe(out);
        return rc;
    case PKT_SUBACK:
        return mqbx_parse_suback(body, flags, v, &out->body.suback);
    case PKT_UNSUBSCRIBE:
        rc = mqbx_parse_unsubscribe(body, flags, v, &out->body.unsubscribe);
        if (rc == RC_SUCCESS)
            walk_unsubscribe(out);
        return rc;
    case PKT_UNSUBACK:
        return mqbx_parse_unsuback(body, flags, v, &out->body.suback);
    case PKT_DISCONNECT:
        return mqbx_parse_disconnect(body, flags, v, like.from_server, &out->body.disconnect);
    case PKT_AUTH:
        return mqbx_parse_auth(body, flags, &out->body.auth);
    default:
        return mqbx_parse_empty(body, flags);
    }
}

static void write_packet(struct writer *w, const AnyPacket &p)
{
    switch (p.type) {
    case PKT_CONNECT:
        mqbx_write_connect(w, &p.body.connect);
        break;
    case PKT_CONNACK:
        mqbx_write_connack(w, p.version, &p.body.connack);
        break;
    case PKT_PUBLISH:
        mqbx_write_publish(w, p.version, &p.body.publish);
        break;
    case PKT_PUBACK:
    case PKT_PUBREC:
    case PKT_PUBREL:
    case PKT_PUBCOMP:
        mqbx_write_ack(w, p.version, p.type, &p.body.ack);
        break;
    case PKT_SUBSCRIBE:
        mqbx_write_subscribe(w, p.version, p.body.subscribe.packet_id, &p.body.subscribe.props,
                             p.filters.data(), p.filters.size());
        break;
    case PKT_SUBACK:
        mqbx_write_suback(w, p.version, &p.body.suback);
        break;
    case PKT_UNSUBSCRIBE:
        mqbx_write_unsubscribe(w, p.version, p.body.unsubscribe.packet_id,
                               &p.body.unsubscribe.props, p.topics.data(), p.topics.size());
        break;
    case PKT_UNSUBACK:
        mqbx_write_unsuback(w, p.version, &p.body.suback);
        break;
    case PKT_DISCONNECT:
        mqbx_write_disconnect(w, p.version, &p.body.disconnect);
        break;
    case PKT_AUTH:
        mqbx_write_auth(w, &p.body.auth);
        break;
    default:
        mqbx_write_ping(w, p.type);
        break;
    }
}

std::string serialise(const AnyPacket &p)
{
    static std::vector<uint8_t> buffer(4u << 20);
    struct writer w = mqbx_writer(buffer.data(), buffer.size());
    write_packet(&w, p);
    if (w.overflow)
        std::abort();
    return std::string(reinterpret_cast<char *>(w.ptr), w.len);
}

static void keep_user_properties(AnyPacket *p, struct props *props)
{
    std::string user;
    struct prop prop;
    bool first_id = true;
    for (uint32_t pos = 0; mqbx_prop_next(props->raw, &pos, &prop);) {
        bool is_further_id = prop.id == 0x0B && !first_id;
        first_id = first_id && prop.id != 0x0B;
        if (prop.id == 0x26 || is_further_id)
            user += str(prop.whole);
    }
    p->user.push_back(user);
    props->raw = view(p->user.back());
}

void make_writable(AnyPacket *p)
{
    p->user.clear();
    struct props *props = props_of(*p);
    if (props)
        keep_user_properties(p, props);
    if (p->type == PKT_CONNECT)
        keep_user_properties(p, &p->body.connect.will.props);
}

namespace
{

bool same(struct bytes a, struct bytes b)
{
    return mqbx_bytes_equal(a, b);
}

bool same_props(const struct props &a, const struct props &b)
{
    return a.has == b.has && a.message_expiry_s == b.message_expiry_s &&
           a.session_expiry_s == b.session_expiry_s && a.will_delay_s == b.will_delay_s &&
           a.maximum_packet_size == b.maximum_packet_size &&
           a.subscription_id == b.subscription_id && a.receive_maximum == b.receive_maximum &&
           a.topic_alias_maximum == b.topic_alias_maximum && a.topic_alias == b.topic_alias &&
           a.server_keep_alive_s == b.server_keep_alive_s && a.payload_format == b.payload_format &&
           a.request_problem_info == b.request_problem_info &&
           a.request_response_info == b.request_response_info && a.maximum_qos == b.maximum_qos &&
           a.retain_available == b.retain_available &&
           a.wildcard_available == b.wildcard_available &&
           a.subscription_id_available == b.subscription_id_available &&
           a.shared_available == b.shared_available && same(a.raw, b.raw) &&
           same(a.content_type, b.content_type) && same(a.response_topic, b.response_topic) &&
           same(a.correlation_data, b.correlation_data) &&
           same(a.assigned_client_id, b.assigned_client_id) && same(a.auth_method, b.auth_method) &&
           same(a.auth_data, b.auth_data) && same(a.response_info, b.response_info) &&
           same(a.server_reference, b.server_reference) && same(a.reason_string, b.reason_string);
}

bool same_will(const struct will_fields &a, const struct will_fields &b)
{
    return a.present == b.present && a.retain == b.retain && a.qos == b.qos &&
           same(a.topic, b.topic) && same(a.payload, b.payload) && same_props(a.props, b.props);
}

bool same_connect(const struct ::connect &a, const struct ::connect &b)
{
    return a.version == b.version && a.clean_start == b.clean_start &&
           a.has_user_name == b.has_user_name && a.has_password == b.has_password &&
           a.keep_alive_s == b.keep_alive_s && same(a.client_id, b.client_id) &&
           same(a.user_name, b.user_name) && same(a.password, b.password) &&
           same_will(a.will, b.will) && same_props(a.props, b.props);
}

bool same_publish(const struct publish &a, const struct publish &b)
{
    return a.dup == b.dup && a.retain == b.retain && a.qos == b.qos && a.packet_id == b.packet_id &&
           same(a.topic, b.topic) && same(a.payload, b.payload) && same_props(a.props, b.props);
}

bool same_filters(const AnyPacket &a, const AnyPacket &b)
{
    for (size_t i = 0; i < a.filters.size(); i++) {
        const struct subscribe_filter &f = a.filters[i], &g = b.filters[i];
        if (!same(f.filter, g.filter) || f.qos != g.qos || f.no_local != g.no_local ||
            f.retain_as_published != g.retain_as_published ||
            f.retain_handling != g.retain_handling)
            return false;
    }
    return true;
}

bool same_subscribe(const AnyPacket &a, const AnyPacket &b)
{
    const struct subscribe &s = a.body.subscribe, &t = b.body.subscribe;
    return s.packet_id == t.packet_id && s.count == t.count && a.filters.size() == s.count &&
           b.filters.size() == t.count && same_filters(a, b) && same_props(s.props, t.props);
}

bool same_unsubscribe(const AnyPacket &a, const AnyPacket &b)
{
    const struct unsubscribe &s = a.body.unsubscribe, &t = b.body.unsubscribe;
    if (s.packet_id != t.packet_id || s.count != t.count || a.topics.size() != s.count ||
        b.topics.size() != t.count || !same_props(s.props, t.props))
        return false;
    for (size_t i = 0; i < a.topics.size(); i++) {
        if (!same(a.topics[i], b.topics[i]))
            return false;
    }
    return true;
}

} // namespace

bool same_packet(const AnyPacket &a, const AnyPacket &b)
{
    if (a.type != b.type || a.version != b.version || a.from_server != b.from_server)
        return false;
    const AnyPacket::Body &x = a.body, &y = b.body;
    switch (a.type) {
    case PKT_CONNECT:
        return same_connect(x.connect, y.connect);
    case PKT_CONNACK:
        return x.connack.session_present == y.connack.session_present &&
               x.connack.reason == y.connack.reason && same_props(x.connack.props, y.connack.props);
    case PKT_PUBLISH:
        return same_publish(x.publish, y.publish);
    case PKT_PUBACK:
    case PKT_PUBREC:
    case PKT_PUBREL:
    case PKT_PUBCOMP:
        return x.ack.packet_id == y.ack.packet_id && x.ack.reason == y.ack.reason &&
               same_props(x.ack.props, y.ack.props);
    case PKT_SUBSCRIBE:
        return same_subscribe(a, b);
    case PKT_UNSUBSCRIBE:
        return same_unsubscribe(a, b);
    case PKT_SUBACK:
    case PKT_UNSUBACK:
        return x.suback.packet_id == y.suback.packet_id && same(x.suback.codes, y.suback.codes) &&
               same_props(x.suback.props, y.suback.props);
    case PKT_DISCONNECT:
        return x.disconnect.reason == y.disconnect.reason &&
               same_props(x.disconnect.props, y.disconnect.props);
    case PKT_AUTH:
        return x.auth.reason == y.auth.reason && same_props(x.auth.props, y.auth.props);
    default:
        return true;
    }
}
