// SPDX-License-Identifier: MIT
//
// Random valid packets.
#include "any_packet.hpp"

namespace
{

enum : uint32_t {
    OF_MESSAGE = HAS_PAYLOAD_FORMAT | HAS_MESSAGE_EXPIRY | HAS_CONTENT_TYPE | HAS_RESPONSE_TOPIC |
                 HAS_CORRELATION_DATA,
    OF_CONNECT = HAS_SESSION_EXPIRY | HAS_AUTH_METHOD | HAS_AUTH_DATA | HAS_REQUEST_PROBLEM_INFO |
                 HAS_REQUEST_RESPONSE_INFO | HAS_RECEIVE_MAXIMUM | HAS_TOPIC_ALIAS_MAXIMUM |
                 HAS_MAXIMUM_PACKET_SIZE,
    OF_CONNACK = HAS_SESSION_EXPIRY | HAS_ASSIGNED_CLIENT_ID | HAS_SERVER_KEEP_ALIVE |
                 HAS_AUTH_METHOD | HAS_AUTH_DATA | HAS_RESPONSE_INFO | HAS_SERVER_REFERENCE |
                 HAS_REASON_STRING | HAS_RECEIVE_MAXIMUM | HAS_TOPIC_ALIAS_MAXIMUM |
                 HAS_MAXIMUM_QOS | HAS_RETAIN_AVAILABLE | HAS_MAXIMUM_PACKET_SIZE |
                 HAS_WILDCARD_AVAILABLE | HAS_SUBSCRIPTION_ID_AVAILABLE | HAS_SHARED_AVAILABLE,
};

const char *const CHARACTERS[] = {
    "a", "b", "Z", "7", "/", " ", "$", "\xC3\xA9", "\xE2\x82\xAC", "\xF0\x9F\x98\x80", "\x7F", "-"};

// 0 to 23 characters mostly, now and then the longest there is.
std::string random_text(Rng &rng)
{
    std::string out;
    uint32_t n = rng.one_in(20) ? rng.below(300) : rng.below(24);
    for (uint32_t i = 0; i < n; i++)
        out += CHARACTERS[rng.below(sizeof(CHARACTERS) / sizeof(CHARACTERS[0]))];
    return out;
}

std::string random_binary(Rng &rng)
{
    std::string out(rng.one_in(20) ? rng.below(2000) : rng.below(60), '\0');
    for (char &c : out)
        c = static_cast<char>(rng.next());
    return out;
}

} // namespace

PacketMaker::PacketMaker(uint64_t seed) : rng_(seed)
{
    for (int i = 0; i < 500; i++) {
        texts_.push_back(random_text(rng_));
        topics_.push_back(random_text(rng_) + "t");
        filters_.push_back(random_text(rng_) + (rng_.one_in(2) ? "/+/#" : ""));
        binaries_.push_back(random_binary(rng_));
    }
    filters_.push_back("$share/group/a/+");
    filters_.push_back("$share/group");
    texts_.push_back(std::string(65535, 'x'));
    topics_.push_back(std::string(65535, 't'));
    filters_.push_back(std::string(65535, 'f'));
    binaries_.push_back(std::string(65535, '\0'));
}

struct bytes PacketMaker::pick(const std::vector<std::string> &pool)
{
    size_t n = pool.size();
    return view(rng_.one_in(3000) ? pool[n - 1] : pool[rng_.below(static_cast<uint32_t>(n - 1))]);
}

struct bytes PacketMaker::text()
{
    return pick(texts_);
}

struct bytes PacketMaker::topic()
{
    return pick(topics_);
}

struct bytes PacketMaker::filter()
{
    return pick(filters_);
}

struct bytes PacketMaker::binary()
{
    return pick(binaries_);
}

uint16_t PacketMaker::packet_id()
{
    return static_cast<uint16_t>(1 + rng_.below(65535));
}

// All magnitudes, never 0.
uint32_t PacketMaker::number()
{
    return static_cast<uint32_t>(rng_.next() >> 32 >> rng_.below(32)) | 1u;
}

void PacketMaker::draw_value(struct props *out, uint32_t bit)
{
    uint8_t flag = static_cast<uint8_t>(rng_.below(2));
    uint32_t x = number();
    uint16_t word = static_cast<uint16_t>(x | 1u);
    switch (bit) {
    case HAS_PAYLOAD_FORMAT:
        out->payload_format = flag;
        break;
    case HAS_MESSAGE_EXPIRY:
        out->message_expiry_s = x;
        break;
    case HAS_CONTENT_TYPE:
        out->content_type = text();
        break;
    case HAS_RESPONSE_TOPIC:
        out->response_topic = topic();
        break;
    case HAS_CORRELATION_DATA:
        out->correlation_data = binary();
        break;
    case HAS_SUBSCRIPTION_ID:
        out->subscription_id = x & MQTT_MAX_PACKET;
        break;
    case HAS_SESSION_EXPIRY:
        out->session_expiry_s = rng_.one_in(4) ? 0 : x;
        break;
    case HAS_ASSIGNED_CLIENT_ID:
        out->assigned_client_id = text();
        break;
    case HAS_SERVER_KEEP_ALIVE:
        out->server_keep_alive_s = word;
        break;
    case HAS_AUTH_METHOD:
        out->auth_method = text();
        break;
    case HAS_AUTH_DATA:
        out->auth_data = binary();
        break;
    case HAS_REQUEST_PROBLEM_INFO:
        out->request_problem_info = flag;
        break;
    case HAS_WILL_DELAY:
        out->will_delay_s = x;
        break;
    case HAS_REQUEST_RESPONSE_INFO:
        out->request_response_info = flag;
        break;
    case HAS_RESPONSE_INFO:
        out->response_info = text();
        break;
    case HAS_SERVER_REFERENCE:
        out->server_reference = text();
        break;
    case HAS_REASON_STRING:
        out->reason_string = text();
        break;
    case HAS_RECEIVE_MAXIMUM:
        out->receive_maximum = word;
        break;
    case HAS_TOPIC_ALIAS_MAXIMUM:
        out->topic_alias_maximum = word;
        break;
    case HAS_TOPIC_ALIAS:
        out->topic_alias = word;
        break;
    case HAS_MAXIMUM_QOS:
        out->maximum_qos = flag;
        break;
    case HAS_RETAIN_AVAILABLE:
        out->retain_available = flag;
        break;
    case HAS_MAXIMUM_PACKET_SIZE:
        out->maximum_packet_size = x;
        break;
    case HAS_WILDCARD_AVAILABLE:
        out->wildcard_available = flag;
        break;
    case HAS_SUBSCRIPTION_ID_AVAILABLE:
        out->subscription_id_available = flag;
        break;
    case HAS_SHARED_AVAILABLE:
        out->shared_available = flag;
        break;
    default:
        std::abort();
    }
}

void PacketMaker::make_props(AnyPacket *p, struct props *out, uint32_t allowed, bool repeats_ids)
{
    *out = {};
    if (p->version == MQTT_V5 && !rng_.one_in(3))
        make_props_now(p, out, allowed, repeats_ids);
}

void PacketMaker::make_props_now(AnyPacket *p, struct props *out, uint32_t allowed,
                                 bool repeats_ids)
{
    out->has = static_cast<uint32_t>(rng_.next()) & allowed;
    if (rng_.one_in(2))
        out->has &= static_cast<uint32_t>(rng_.next());
    if (!(out->has & HAS_AUTH_METHOD))
        out->has &= ~static_cast<uint32_t>(HAS_AUTH_DATA);
    for (uint32_t bit = 1; bit < 1u << 27; bit <<= 1) {
        if (out->has & bit)
            draw_value(out, bit);
    }
    std::string user;
    for (uint32_t n = rng_.below(4); n > 0; n--) {
        if (repeats_ids && (out->has & HAS_SUBSCRIPTION_ID) && rng_.one_in(2)) {
            user += u8(0x0B) + varint(number() & MQTT_MAX_PACKET);
            continue;
        }
        out->has |= HAS_USER_PROPERTY;
        user += u8(0x26) + field(str(text())) + field(str(text()));
    }
    p->user.push_back(user);
    out->raw = view(p->user.back());
}

void PacketMaker::make_connect(AnyPacket *p)
{
    struct ::connect &c = p->body.connect;
    c.version = p->version;
    c.clean_start = rng_.one_in(2);
    c.keep_alive_s = static_cast<uint16_t>(rng_.next());
    c.client_id = text();
    c.has_user_name = rng_.one_in(2);
    c.has_password = rng_.one_in(2) && (c.has_user_name || p->version == MQTT_V5);
    if (c.has_user_name)
        c.user_name = text();
    if (c.has_password)
        c.password = binary();
    make_props(p, &c.props, OF_CONNECT);
    if (!(c.props.has & HAS_RECEIVE_MAXIMUM))
        c.props.receive_maximum = 65535;
    if (!(c.props.has & HAS_REQUEST_PROBLEM_INFO))
        c.props.request_problem_info = 1;
    if (rng_.one_in(2))
        return;
    c.will.present = true;
    c.will.retain = rng_.one_in(2);
    c.will.qos = static_cast<uint8_t>(rng_.below(3));
    c.will.topic = topic();
    c.will.payload = binary();
    make_props(p, &c.will.props, OF_MESSAGE | HAS_WILL_DELAY);
}

void PacketMaker::make_connack(AnyPacket *p)
{
    static const uint8_t codes[] = {0x80, 0x81, 0x82, 0x83, 0x84, 0x85, 0x86,
                                    0x87, 0x88, 0x89, 0x8A, 0x8C, 0x90, 0x95,
                                    0x97, 0x99, 0x9A, 0x9B, 0x9C, 0x9D, 0x9F};
    struct ::connack &c = p->body.connack;
    if (rng_.one_in(2))
        c.session_present = p->version != MQTT_V31;
    else if (rng_.one_in(2))
        c.reason = p->version == MQTT_V5 ? codes[rng_.below(sizeof(codes))]
                                         : static_cast<uint8_t>(rng_.below(6));
    make_props(p, &c.props, OF_CONNACK);
}

void PacketMaker::make_publish(AnyPacket *p)
{
    struct ::publish &m = p->body.publish;
    m.qos = static_cast<uint8_t>(rng_.below(3));
    m.dup = m.qos > 0 && rng_.one_in(2);
    m.retain = rng_.one_in(2);
    m.packet_id = m.qos > 0 ? packet_id() : 0;
    m.topic = topic();
    m.payload = binary();
    make_props(p, &m.props, OF_MESSAGE | HAS_SUBSCRIPTION_ID | HAS_TOPIC_ALIAS, true);
    if ((m.props.has & HAS_TOPIC_ALIAS) && rng_.one_in(2))
        m.topic = {};
}

void PacketMaker::make_subscribe(AnyPacket *p)
{
    p->body.subscribe.packet_id = packet_id();
    make_props(p, &p->body.subscribe.props, HAS_SUBSCRIPTION_ID);
    for (uint32_t n = 1 + rng_.below(5); n > 0; n--) {
        struct subscribe_filter f = {};
        f.filter = filter();
        f.qos = static_cast<uint8_t>(rng_.below(3));
        if (p->version == MQTT_V5) {
            f.no_local = rng_.one_in(2) && str(f.filter).compare(0, 7, "$share/") != 0;
            f.retain_as_published = rng_.one_in(2);
            f.retain_handling = static_cast<uint8_t>(rng_.below(3));
        }
        p->filters.push_back(f);
    }
    p->body.subscribe.count = static_cast<uint32_t>(p->filters.size());
}

void PacketMaker::make_unsubscribe(AnyPacket *p)
{
    p->body.unsubscribe.packet_id = packet_id();
    make_props(p, &p->body.unsubscribe.props, 0);
    for (uint32_t n = 1 + rng_.below(5); n > 0; n--)
        p->topics.push_back(filter());
    p->body.unsubscribe.count = static_cast<uint32_t>(p->topics.size());
}

void PacketMaker::make_codes(AnyPacket *p, const std::string &codes)
{
    struct ::suback &s = p->body.suback;
    s.packet_id = packet_id();
    make_props(p, &s.props, HAS_REASON_STRING);
    std::string drawn;
    for (uint32_t n = codes.empty() ? 0 : 1 + rng_.below(6); n > 0; n--)
        drawn += codes[rng_.below(static_cast<uint32_t>(codes.size()))];
    p->user.push_back(drawn);
    s.codes = view(p->user.back());
}

void PacketMaker::make_disconnect(AnyPacket *p)
{
    static const std::string both = hex("00 80 81 82 83 90 93 94 95 96 97 98 99");
    static const std::string client = both + hex("04");
    static const std::string server = both + hex("87 89 8b 8d 8e 8f 9a 9b 9c 9d 9e 9f a0 a1 a2");
    if (p->version != MQTT_V5)
        return;
    p->from_server = rng_.one_in(2);
    const std::string &codes = p->from_server ? server : client;
    struct ::disconnect &d = p->body.disconnect;
    d.reason = static_cast<uint8_t>(codes[rng_.below(static_cast<uint32_t>(codes.size()))]);
    make_props(p, &d.props,
               p->from_server ? HAS_REASON_STRING | HAS_SERVER_REFERENCE
                              : HAS_REASON_STRING | HAS_SESSION_EXPIRY);
}

void PacketMaker::make_auth(AnyPacket *p)
{
    static const uint8_t codes[] = {0x00, 0x18, 0x19};
    if (rng_.one_in(10))
        return;
    struct ::auth &a = p->body.auth;
    a.reason = codes[rng_.below(3)];
    make_props_now(p, &a.props, HAS_AUTH_METHOD | HAS_AUTH_DATA | HAS_REASON_STRING, false);
    a.props.has |= HAS_AUTH_METHOD;
    a.props.auth_method = text();
}

void PacketMaker::make(uint8_t type, uint8_t version, AnyPacket *out)
{
    static const uint8_t puback[] = {0x00, 0x10, 0x80, 0x83, 0x87, 0x90, 0x91, 0x97, 0x99};
    static const uint8_t pubrel[] = {0x00, 0x92};
    bool is_v5 = version == MQTT_V5;
    out->type = type;
    out->version = version;
    out->from_server = false;
    std::memset(&out->body, 0, sizeof(out->body));
    out->filters.clear();
    out->topics.clear();
    out->user.clear();
    switch (type) {
    case PKT_CONNECT:
        return make_connect(out);
    case PKT_CONNACK:
        return make_connack(out);
    case PKT_PUBLISH:
        return make_publish(out);
    case PKT_PUBACK:
    case PKT_PUBREC:
    case PKT_PUBREL:
    case PKT_PUBCOMP:
        out->body.ack.packet_id = packet_id();
        if (is_v5)
            out->body.ack.reason = type <= PKT_PUBREC ? puback[rng_.below(sizeof(puback))]
                                                      : pubrel[rng_.below(sizeof(pubrel))];
        return make_props(out, &out->body.ack.props, HAS_REASON_STRING);
    case PKT_SUBSCRIBE:
        return make_subscribe(out);
    case PKT_SUBACK:
        return make_codes(out,
                          is_v5 ? hex("00 01 02 80 83 87 8f 91 97 9e a1 a2") : hex("00 01 02 80"));
    case PKT_UNSUBSCRIBE:
        return make_unsubscribe(out);
    case PKT_UNSUBACK:
        return make_codes(out, is_v5 ? hex("00 11 80 83 87 8f 91") : "");
    case PKT_DISCONNECT:
        return make_disconnect(out);
    case PKT_AUTH:
        return make_auth(out);
    default:
        return;
    }
}
