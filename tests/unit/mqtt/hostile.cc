// SPDX-License-Identifier: MIT
#include "hostile.hpp"

namespace
{

// A place near the front is likelier: that is where the rules are.
size_t place(Rng &rng, size_t size)
{
    uint32_t n = static_cast<uint32_t>(size);
    return rng.one_in(2) ? rng.below(n) : rng.below(n < 24 ? n : 24);
}

void change_length(Rng &rng, std::string *body)
{
    if (body->size() < 2)
        return;
    size_t at = place(rng, body->size() - 1);
    unsigned value = static_cast<unsigned char>((*body)[at]) * 256u +
                     static_cast<unsigned char>((*body)[at + 1]);
    value += rng.one_in(2) ? 1u : 0xFFFFu;
    body->replace(at, 2, u16(value & 0xFFFF));
}

void mutate_once(Rng &rng, std::string *body)
{
    if (body->empty()) {
        *body = u8(rng.below(256));
        return;
    }
    size_t at = place(rng, body->size());
    switch (rng.below(7)) {
    case 0:
        (*body)[at] = static_cast<char>((*body)[at] ^ (1 << rng.below(8)));
        break;
    case 1:
        (*body)[at] = static_cast<char>(rng.next());
        break;
    case 2:
        body->resize(at);
        break;
    case 3:
        body->insert(at, 1, static_cast<char>(rng.one_in(2) ? 0 : rng.next()));
        break;
    case 4:
        body->erase(at, 1 + rng.below(4));
        break;
    case 5:
        body->insert(at, *body, at, 1 + rng.below(12));
        break;
    default:
        change_length(rng, body);
        break;
    }
}

} // namespace

void mutate(Rng &rng, uint8_t *flags, std::string *body)
{
    if (rng.one_in(20))
        *flags = static_cast<uint8_t>(rng.below(16));
    for (uint32_t n = 1 + rng.below(3); n > 0; n--)
        mutate_once(rng, body);
}

bool HostileMaker::rarely()
{
    return rng_.one_in(40);
}

std::string HostileMaker::text()
{
    static const std::string GOOD[] = {"",
                                       "a",
                                       "topic/name",
                                       "$share/g/t",
                                       "$share/g",
                                       "\xC3\xA9",
                                       "long/topic/with/levels",
                                       "\xEF\xBB\xBFx",
                                       "$SYS/a"};
    static const std::string BAD[] = {hex("00"),
                                      "a/+",
                                      "#",
                                      hex("c0 80"),
                                      hex("ed a0 80"),
                                      hex("ff"),
                                      hex("61 e2 82"),
                                      "+",
                                      hex("f4 90 80 80"),
                                      "long enough for eight\x80",
                                      std::string("12345678\0", 9)};
    std::string s = rarely() ? BAD[rng_.below(sizeof(BAD) / sizeof(BAD[0]))]
                             : GOOD[rng_.below(sizeof(GOOD) / sizeof(GOOD[0]))];
    if (rng_.one_in(200))
        return u16(static_cast<unsigned>(s.size()) + 1 + rng_.below(300)) + s;
    return field(s);
}

std::string HostileMaker::packet_id()
{
    return u16(rarely() ? 0 : 1 + rng_.below(65535));
}

std::string HostileMaker::reason(const std::string &likely)
{
    if (rarely())
        return u8(rng_.below(256));
    return std::string(1, likely[rng_.below(static_cast<uint32_t>(likely.size()))]);
}

// One of the identifiers that fit, or rarely any; with a value of its type, or rarely a wrong one.
std::string HostileMaker::property()
{
    static const std::string FLAGS = hex("01 17 19 24 25 28 29 2a");
    static const std::string TWO = hex("13 21 22 23");
    static const std::string FOUR = hex("02 11 18 27");
    unsigned id = fitting_.empty() || rarely()
                      ? rng_.below(48)
                      : static_cast<unsigned char>(
                            fitting_[rng_.below(static_cast<uint32_t>(fitting_.size()))]);
    char c = static_cast<char>(id);
    std::string out = rng_.one_in(300) ? u8(id | 0x80) + u8(0) : u8(id);
    uint32_t small = rarely() ? rng_.below(4) : 1;
    if (FLAGS.find(c) != std::string::npos)
        return out + u8(small);
    if (TWO.find(c) != std::string::npos)
        return out + u16(small);
    if (FOUR.find(c) != std::string::npos)
        return out + u32(small);
    if (id == 0x0B)
        return out + (rarely() ? hex("80 00") : varint(small * rng_.below(MQTT_MAX_PACKET)));
    if (id == 0x26)
        return out + text() + text();
    return out + text();
}

std::string HostileMaker::properties(const std::string &required)
{
    std::string block = required;
    for (uint32_t n = rng_.below(4); n > 0; n--)
        block += property();
    if (rng_.one_in(100))
        return varint(static_cast<uint32_t>(block.size()) + rng_.below(3)) + block;
    if (rng_.one_in(100))
        return u8(0x80 | static_cast<unsigned>(block.size() & 0x7F)) + u8(0) + block;
    return prop_block(block);
}

std::string HostileMaker::connect(uint8_t version)
{
    static const char *const NAMES[] = {"", "", "", "MQIsdp", "MQTT", "MQTT"};
    unsigned level = rarely() ? rng_.below(256) : version;
    std::string name = rarely() ? text() : field(NAMES[version]);
    unsigned bits = rng_.below(256);
    if (!rarely())
        bits &= ~1u; // reserved
    if (!rarely() && (bits & 0x18) == 0x18)
        bits ^= 0x08; // will QoS
    if (!rarely() && !(bits & 0x04))
        bits &= ~0x38u; // will without its flag
    if (!rarely() && version != MQTT_V5 && !(bits & 0x80))
        bits &= ~0x40u; // password alone
    std::string out = name + u8(level) + u8(bits) + u16(rng_.below(65536));
    if (version == MQTT_V5) {
        fitting_ = hex("11 15 17 19 21 22 26 27");
        out += properties();
    }
    out += text();
    if (bits & 0x04) {
        fitting_ = hex("01 02 03 08 09 18 26");
        if (version == MQTT_V5)
            out += properties();
        out += (rarely() ? text() : field("will/topic")) + text();
    }
    if ((bits & 0x80) && !rarely())
        out += text();
    if ((bits & 0x40) && !rarely())
        out += text();
    return out;
}

std::string HostileMaker::subscribe(uint8_t version)
{
    std::string out;
    for (uint32_t n = rarely() ? 0 : 1 + rng_.below(3); n > 0; n--) {
        unsigned options = rng_.below(3);
        if (version == MQTT_V5)
            options |= rng_.below(3) << 4 | rng_.below(2) << 3 | (rng_.one_in(4) ? 4u : 0);
        if (rarely())
            options = rng_.below(256);
        out += text() + u8(options);
    }
    return out;
}

std::string HostileMaker::body(uint8_t type, uint8_t version, uint8_t *flags)
{
    bool is_v5 = version == MQTT_V5;
    std::string out;
    fitting_ = hex("1f 26");
    switch (type) {
    case PKT_CONNECT:
        return connect(version);
    case PKT_CONNACK:
        fitting_ = hex("11 12 13 15 1a 1c 1f 21 22 24 25 26 27 28 29 2a");
        out = u8(rarely() ? rng_.below(256) : rng_.below(2));
        out += reason(is_v5 ? hex("00 00 00 87") : hex("00 00 00 05"));
        return is_v5 ? out + properties() : out;
    case PKT_PUBLISH:
        fitting_ = hex("01 02 03 08 09 0b 0b 23 26");
        *flags = static_cast<uint8_t>(rarely() ? rng_.below(16) : rng_.below(6));
        out = text() + ((*flags & 6) ? packet_id() : "");
        return (is_v5 ? out + properties() : out) + text();
    case PKT_PUBACK:
    case PKT_PUBREC:
    case PKT_PUBREL:
    case PKT_PUBCOMP:
        out = packet_id();
        if (is_v5 && rng_.one_in(2))
            out += reason(type < PKT_PUBREL ? hex("00 10 87 97") : hex("00 92"));
        return is_v5 && out.size() > 2 && rng_.one_in(2) ? out + properties() : out;
    case PKT_SUBSCRIBE:
        fitting_ = hex("0b 26 26");
        return packet_id() + (is_v5 ? properties() : "") + subscribe(version);
    case PKT_SUBACK:
        return packet_id() + (is_v5 ? properties() : "") + reason(hex("00 01 02 80")) +
               reason(hex("00 01 02 80")) + (rarely() ? reason(hex("87")) : "");
    case PKT_UNSUBSCRIBE:
        fitting_ = hex("26");
        return packet_id() + (is_v5 ? properties() : "") + (rarely() ? "" : text()) + text();
    case PKT_UNSUBACK:
        out = packet_id() + (is_v5 ? properties() : "");
        return out + (is_v5 != rarely() ? reason(hex("00 11 80")) : "");
    case PKT_DISCONNECT:
        fitting_ = hex("11 1c 1f 26");
        if (rng_.one_in(4) || (!is_v5 && !rarely()))
            return out;
        out = reason(hex("00 04 81 8b"));
        return rng_.one_in(3) ? out : out + properties();
    case PKT_AUTH:
        fitting_ = hex("15 16 1f 26");
        return rng_.one_in(20) ? out
                               : reason(hex("00 18 19")) +
                                     properties(rarely() ? "" : u8(0x15) + field("PLAIN"));
    default:
        return rng_.one_in(4) ? u8(rng_.below(256)) : out;
    }
}

std::string HostileMaker::make(uint8_t type, uint8_t version, uint8_t *flags)
{
    *flags = type == PKT_PUBREL || type == PKT_SUBSCRIBE || type == PKT_UNSUBSCRIBE ? 2 : 0;
    std::string out = body(type, version, flags);
    if (rarely())
        *flags = static_cast<uint8_t>(rng_.below(16));
    if (rarely())
        out += u8(rng_.below(256));
    if (rarely())
        out.resize(rng_.below(static_cast<uint32_t>(out.size()) + 1));
    return out;
}
