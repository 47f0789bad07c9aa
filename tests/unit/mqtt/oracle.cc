// SPDX-License-Identifier: MIT
#include "oracle.hpp"

#include <cstring>
#include <map>
#include <sstream>
#include <vector>

namespace oracle
{
namespace
{

enum : unsigned {
    MALFORMED = 0x81,
    PROTOCOL_ERROR = 0x82,
    BAD_VERSION = 0x84,
    BAD_TOPIC = 0x90,
    BAD_ALIAS = 0x94
};

// Table 2-4, as printed: identifier, type, packets.
struct Property {
    unsigned id;
    const char *type;
    const char *packets;
};

const Property TABLE_2_4[] = {
    {1, "bool", "PUBLISH WILL"},
    {2, "four", "PUBLISH WILL"},
    {3, "utf8", "PUBLISH WILL"},
    {8, "topic", "PUBLISH WILL"},
    {9, "binary", "PUBLISH WILL"},
    {11, "varint>0", "PUBLISH SUBSCRIBE"},
    {17, "four", "CONNECT CONNACK DISCONNECT"},
    {18, "utf8", "CONNACK"},
    {19, "two", "CONNACK"},
    {21, "utf8", "CONNECT CONNACK AUTH"},
    {22, "binary", "CONNECT CONNACK AUTH"},
    {23, "bool", "CONNECT"},
    {24, "four", "WILL"},
    {25, "bool", "CONNECT"},
    {26, "utf8", "CONNACK"},
    {28, "utf8", "CONNACK DISCONNECT"},
    {31, "utf8", "CONNACK PUBACK PUBREC PUBREL PUBCOMP SUBACK UNSUBACK DISCONNECT AUTH"},
    {33, "two>0", "CONNECT CONNACK"},
    {34, "two", "CONNECT CONNACK"},
    {35, "alias", "PUBLISH"},
    {36, "bool", "CONNACK"},
    {37, "bool", "CONNACK"},
    {38, "pair",
     "CONNECT CONNACK PUBLISH WILL PUBACK PUBREC PUBREL PUBCOMP SUBSCRIBE SUBACK UNSUBSCRIBE "
     "UNSUBACK "
     "DISCONNECT AUTH"},
    {39, "four>0", "CONNECT CONNACK"},
    {40, "bool", "CONNACK"},
    {41, "bool", "CONNACK"},
    {42, "bool", "CONNACK"},
};

// The tables of reason codes, packet by packet.
const std::map<std::string, const char *> REASONS = {
    {"CONNACK", "00 80 81 82 83 84 85 86 87 88 89 8A 8C 90 95 97 99 9A 9B 9C 9D 9F"},
    {"PUBACK", "00 10 80 83 87 90 91 97 99"},
    {"PUBREC", "00 10 80 83 87 90 91 97 99"},
    {"PUBREL", "00 92"},
    {"PUBCOMP", "00 92"},
    {"SUBACK", "00 01 02 80 83 87 8F 91 97 9E A1 A2"},
    {"UNSUBACK", "00 11 80 83 87 8F 91"},
    {"DISCONNECT", "00 04 80 81 82 83 90 93 94 95 96 97 98 99"},
    {"DISCONNECT-SERVER",
     "00 80 81 82 83 87 89 8B 8C 8D 8E 8F 90 93 94 95 96 97 98 99 9A 9B 9C 9D 9E 9F A0 A1 A2"},
    {"AUTH", "00 18 19"},
    {"SUBACK-3", "00 01 02 80"},
    {"CONNACK-3", "00 01 02 03 04 05"},
};

std::bitset<256> codes_of(const char *list)
{
    std::bitset<256> set;
    std::istringstream in(list);
    unsigned code = 0;
    while (in >> std::hex >> code)
        set.set(code);
    return set;
}

bool reason_is_listed(const std::string &table, unsigned code)
{
    static const std::map<std::string, std::bitset<256>> sets = [] {
        std::map<std::string, std::bitset<256>> all;
        for (const auto &entry : REASONS)
            all[entry.first] = codes_of(entry.second);
        return all;
    }();
    return sets.at(table)[code];
}

const Property *property_of(unsigned long id)
{
    for (const Property &p : TABLE_2_4) {
        if (p.id == id)
            return &p;
    }
    return nullptr;
}

bool lists(const char *packets, const std::string &packet)
{
    return (" " + std::string(packets) + " ").find(" " + packet + " ") != std::string::npos;
}

bool property_is_allowed(const Property &property, const std::string &packet)
{
    static std::map<std::string, std::vector<bool>> cache;
    auto &row = cache[packet];
    if (row.empty()) {
        row.resize(64);
        for (const Property &p : TABLE_2_4)
            row[p.id] = lists(p.packets, packet);
    }
    return row[property.id];
}

bool has_wildcard(const std::string &s)
{
    return s.find_first_of("+#") != std::string::npos;
}

class Judge
{
  public:
    Judge(const std::string &body, unsigned version) : in_(body), version_(version)
    {
    }

    Faults faults;

    void fault(unsigned code)
    {
        faults.set(code);
    }

    // Cannot be read any further.
    void stop()
    {
        fault(MALFORMED);
        at_ = in_.size();
        stopped_ = true;
    }

    bool stopped() const
    {
        return stopped_;
    }

    size_t left() const
    {
        return in_.size() - at_;
    }

    std::string take(size_t n)
    {
        if (n > left()) {
            stop();
            return "";
        }
        at_ += n;
        return in_.substr(at_ - n, n);
    }

    unsigned long number(size_t n_bytes)
    {
        unsigned long x = 0;
        for (unsigned char c : take(n_bytes))
            x = x * 256 + c;
        return x;
    }

    unsigned long varint()
    {
        unsigned long value = 0;
        unsigned long unit = 1;
        for (int i = 0; i < 4; i++) {
            unsigned long c = number(1);
            value += c % 128 * unit;
            unit *= 128;
            if (c < 128) {
                if (i > 0 && c == 0)
                    stop();
                return value;
            }
        }
        stop();
        return 0;
    }

    std::string binary()
    {
        return take(number(2));
    }

    std::string text()
    {
        std::string s = binary();
        if (!text_is_valid(s, false))
            fault(MALFORMED);
        return s;
    }

    void packet_id()
    {
        if (number(2) == 0)
            fault(PROTOCOL_ERROR);
    }

    void reason(const std::string &table)
    {
        unsigned long code = number(1);
        if (!stopped_ && !reason_is_listed(table, static_cast<unsigned>(code)))
            fault(PROTOCOL_ERROR);
    }

    void end()
    {
        if (left() > 0)
            fault(MALFORMED);
    }

    // Counts per identifier of what was there.
    std::map<unsigned, int> properties(const std::string &packet)
    {
        std::map<unsigned, int> seen;
        Judge block(take(varint()), version_);
        while (block.left() > 0 && block.property(packet, seen)) {
        }
        if (seen.count(22) && !seen.count(21))
            fault(PROTOCOL_ERROR);
        faults |= block.faults;
        return seen;
    }

    void connect();
    void connack();
    void publish(unsigned flags);
    void subscribe();
    void unsubscribe();
    void disconnect(bool from_server);
    void auth();
    void acknowledgement(const std::string &packet);
    void subscription_answer(const std::string &packet);

  private:
    bool property(const std::string &packet, std::map<unsigned, int> &seen);
    void property_value(const std::string &type);
    void connect_flags(unsigned bits);
    void filter_options(const std::string &filter, unsigned bits);

    std::string in_;
    unsigned version_;
    size_t at_ = 0;
    bool stopped_ = false;
};

bool Judge::property(const std::string &packet, std::map<unsigned, int> &seen)
{
    unsigned long id = varint();
    const Property *rule = property_of(id);
    if (stopped_ || !rule || !property_is_allowed(*rule, packet)) {
        fault(MALFORMED);
        return false;
    }
    bool may_repeat = id == 38 || (id == 11 && packet == "PUBLISH");
    if (++seen[rule->id] > 1 && !may_repeat)
        fault(PROTOCOL_ERROR);
    property_value(rule->type);
    return !stopped_;
}

void Judge::property_value(const std::string &type)
{
    if (type == "bool") {
        if (number(1) > 1)
            fault(PROTOCOL_ERROR);
    } else if (type == "two") {
        number(2);
    } else if (type == "two>0") {
        if (number(2) == 0)
            fault(PROTOCOL_ERROR);
    } else if (type == "alias") {
        if (number(2) == 0)
            fault(BAD_ALIAS);
    } else if (type == "four") {
        number(4);
    } else if (type == "four>0") {
        if (number(4) == 0)
            fault(PROTOCOL_ERROR);
    } else if (type == "varint>0") {
        if (varint() == 0)
            fault(PROTOCOL_ERROR);
    } else if (type == "binary") {
        binary();
    } else if (type == "utf8") {
        text();
    } else if (type == "topic") {
        std::string topic = text();
        if (topic.empty() || has_wildcard(topic))
            fault(PROTOCOL_ERROR);
    } else if (type == "pair") {
        text();
        text();
    } else {
        std::abort();
    }
}

void Judge::connect_flags(unsigned bits)
{
    bool user = bits & 0x80, password = bits & 0x40, will_retain = bits & 0x20, will = bits & 0x04;
    unsigned will_qos = bits / 8 % 4;
    if (will && will_qos == 3)
        fault(MALFORMED);
    if (version_ != 5 && password && !user)
        fault(MALFORMED);
    if (version_ == 3)
        return;
    if (bits & 1)
        fault(MALFORMED);
    if (!will && (will_qos > 0 || will_retain))
        fault(MALFORMED);
}

void Judge::connect()
{
    std::string name = text();
    unsigned long level = number(1);
    if (stopped_)
        return;
    version_ = static_cast<unsigned>(level);
    bool known = (name == "MQIsdp" && level == 3) || (name == "MQTT" && (level == 4 || level == 5));
    if (!known) {
        fault(BAD_VERSION);
        return;
    }
    unsigned bits = static_cast<unsigned>(number(1));
    connect_flags(bits);
    number(2);
    if (version_ == 5)
        properties("CONNECT");
    text();
    if (bits & 0x04) {
        if (version_ == 5)
            properties("WILL");
        std::string topic = text();
        if (topic.empty() || has_wildcard(topic))
            fault(BAD_TOPIC);
        binary();
    }
    bool may_end_early = version_ == 3;
    if ((bits & 0x80) && !(may_end_early && left() == 0))
        text();
    if ((bits & 0x40) && !(may_end_early && left() == 0))
        binary();
    end();
}

void Judge::connack()
{
    unsigned long bits = number(1);
    if (bits > 1 || (bits == 1 && version_ == 3))
        fault(MALFORMED);
    size_t before = left();
    reason(version_ == 5 ? "CONNACK" : "CONNACK-3");
    bool success = before > 0 && in_[1] == 0;
    if (bits > 0 && !success)
        fault(PROTOCOL_ERROR);
    if (version_ == 5)
        properties("CONNACK");
    end();
}

void Judge::publish(unsigned flags)
{
    unsigned qos = flags / 2 % 4;
    if (qos == 3 || (qos == 0 && (flags & 8)))
        fault(MALFORMED);
    std::string topic = text();
    if (qos > 0)
        packet_id();
    bool has_alias = version_ == 5 && properties("PUBLISH").count(35) > 0;
    if (stopped_)
        return;
    if (has_wildcard(topic))
        fault(BAD_TOPIC);
    if (topic.empty() && !has_alias)
        fault(version_ == 5 ? PROTOCOL_ERROR : MALFORMED);
}

void Judge::filter_options(const std::string &filter, unsigned bits)
{
    unsigned qos = bits % 4;
    if (version_ != 5) {
        if (bits > 2)
            fault(MALFORMED);
        return;
    }
    if (bits >= 64)
        fault(MALFORMED);
    if (qos == 3 || bits / 16 % 4 == 3)
        fault(PROTOCOL_ERROR);
    if ((bits & 4) && filter.compare(0, 7, "$share/") == 0)
        fault(PROTOCOL_ERROR);
}

void Judge::subscribe()
{
    packet_id();
    if (version_ == 5)
        properties("SUBSCRIBE");
    if (left() == 0)
        fault(PROTOCOL_ERROR);
    while (left() > 0) {
        std::string filter = text();
        unsigned long bits = number(1);
        if (!stopped_)
            filter_options(filter, static_cast<unsigned>(bits));
    }
}

void Judge::unsubscribe()
{
    packet_id();
    if (version_ == 5)
        properties("UNSUBSCRIBE");
    if (left() == 0)
        fault(PROTOCOL_ERROR);
    while (left() > 0)
        text();
}

void Judge::subscription_answer(const std::string &packet)
{
    packet_id();
    if (version_ == 5)
        properties(packet);
    if (version_ != 5 && packet == "UNSUBACK") {
        end();
        return;
    }
    if (left() == 0)
        fault(PROTOCOL_ERROR);
    while (left() > 0)
        reason(version_ == 5 ? packet : "SUBACK-3");
}

void Judge::acknowledgement(const std::string &packet)
{
    packet_id();
    if (version_ == 5 && left() > 0)
        reason(packet);
    if (version_ == 5 && left() > 0)
        properties(packet);
    end();
}

void Judge::disconnect(bool from_server)
{
    if (version_ != 5) {
        if (from_server)
            fault(PROTOCOL_ERROR);
        end();
        return;
    }
    if (left() > 0)
        reason(from_server ? "DISCONNECT-SERVER" : "DISCONNECT");
    if (left() > 0) {
        bool has_session_expiry = properties("DISCONNECT").count(17) > 0;
        if (has_session_expiry && from_server)
            fault(PROTOCOL_ERROR);
    }
    end();
}

void Judge::auth()
{
    if (left() == 0)
        return;
    reason("AUTH");
    if (properties("AUTH").count(21) == 0)
        fault(PROTOCOL_ERROR);
    end();
}

bool flags_are_right(unsigned type, unsigned flags, unsigned version)
{
    switch (type) {
    case 3:
        return true; // judged with the packet
    case 6:
    case 8:
    case 10:
        return flags == 2 || (version == 3 && flags == 10);
    default:
        return flags == 0;
    }
}

} // namespace

// By decoding each character and looking at its number.
bool text_is_valid(const std::string &s, bool nul_allowed)
{
    for (size_t i = 0; i < s.size();) {
        unsigned long c = static_cast<unsigned char>(s[i]);
        int extra = c < 0x80    ? 0
                    : c >= 0xF8 ? -1
                    : c >= 0xF0 ? 3
                    : c >= 0xE0 ? 2
                    : c >= 0xC0 ? 1
                                : -1;
        if (extra < 0 || s.size() - i <= static_cast<size_t>(extra))
            return false;
        static const unsigned long LEAD_BITS[] = {0x7F, 0x1F, 0x0F, 0x07};
        static const unsigned long SMALLEST[] = {0, 0x80, 0x800, 0x10000};
        unsigned long code = c & LEAD_BITS[extra];
        for (int k = 1; k <= extra; k++) {
            unsigned long next = static_cast<unsigned char>(s[i + static_cast<size_t>(k)]);
            if (next / 64 != 2)
                return false;
            code = code * 64 + next % 64;
        }
        if (code < SMALLEST[extra] || code > 0x10FFFF || (code >= 0xD800 && code <= 0xDFFF))
            return false;
        if (code == 0 && !nul_allowed)
            return false;
        i += 1 + static_cast<size_t>(extra);
    }
    return true;
}

Faults judge(unsigned type, unsigned flags, unsigned version, bool from_server,
             const std::string &body)
{
    Judge j(body, version);
    if (!flags_are_right(type, flags, version))
        j.fault(MALFORMED);
    switch (type) {
    case 1:
        j.connect();
        break;
    case 2:
        j.connack();
        break;
    case 3:
        j.publish(flags);
        break;
    case 4:
        j.acknowledgement("PUBACK");
        break;
    case 5:
        j.acknowledgement("PUBREC");
        break;
    case 6:
        j.acknowledgement("PUBREL");
        break;
    case 7:
        j.acknowledgement("PUBCOMP");
        break;
    case 8:
        j.subscribe();
        break;
    case 9:
        j.subscription_answer("SUBACK");
        break;
    case 10:
        j.unsubscribe();
        break;
    case 11:
        j.subscription_answer("UNSUBACK");
        break;
    case 14:
        j.disconnect(from_server);
        break;
    case 15:
        j.auth();
        break;
    default:
        j.end();
        break;
    }
    return j.faults;
}

std::string describe(const Faults &faults)
{
    std::ostringstream out;
    for (size_t i = 0; i < faults.size(); i++) {
        if (faults[i])
            out << std::hex << " 0x" << i;
    }
    return faults.none() ? " valid" : out.str();
}

} // namespace oracle
