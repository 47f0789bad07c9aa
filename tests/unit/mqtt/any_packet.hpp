// SPDX-License-Identifier: MIT
//
// Any control packet as one C++ value over the codec's structs: serialise, parse, compare, draw at
// random.
#ifndef UNIT_MQTT_ANY_PACKET_HPP
#define UNIT_MQTT_ANY_PACKET_HPP

#include <deque>
#include <vector>

#include "support.hpp"

struct AnyPacket {
    uint8_t type = 0;
    uint8_t version = MQTT_V5;
    bool from_server = false; // of DISCONNECT

    union Body {
        struct ::connect connect;
        struct ::connack connack;
        struct ::publish publish;
        struct ::ack ack;
        struct ::subscribe subscribe;
        struct ::suback suback;
        struct ::unsubscribe unsubscribe;
        struct ::disconnect disconnect;
        struct ::auth auth;
    } body;
    std::vector<struct subscribe_filter> filters; // of SUBSCRIBE
    std::vector<struct bytes> topics;             // of UNSUBSCRIBE

    // The user properties of `props.raw` as the writers want them live here.
    std::deque<std::string> user;

    AnyPacket()
    {
        std::memset(&body, 0, sizeof(body));
    }
};

// The property block of a packet type (not the will's); NULL where there is none.
struct props *props_of(AnyPacket &p);

// Parses one body into *out (type, version and from_server are set by the caller; CONNECT sets the
// version) and walks its filters.
uint8_t parse_body(const AnyPacket &like, uint8_t flags, struct bytes body, AnyPacket *out);

// The bytes of the packet, fixed header included.
std::string serialise(const AnyPacket &p);

// Turns a parsed packet into one that can be serialised: `raw` becomes the user properties alone.
void make_writable(AnyPacket *p);

// Both writable.
bool same_packet(const AnyPacket &a, const AnyPacket &b);

// Draws valid packets. Texts come from pools that live as long as the maker.
class PacketMaker
{
  public:
    explicit PacketMaker(uint64_t seed);
    void make(uint8_t type, uint8_t version, AnyPacket *out);

  private:
    struct bytes text();
    struct bytes topic();
    struct bytes filter();
    struct bytes binary();
    struct bytes pick(const std::vector<std::string> &pool);
    uint16_t packet_id();
    uint32_t number();
    void make_connect(AnyPacket *p);
    void make_connack(AnyPacket *p);
    void make_publish(AnyPacket *p);
    void make_subscribe(AnyPacket *p);
    void make_unsubscribe(AnyPacket *p);
    void make_codes(AnyPacket *p, const std::string &codes);
    void make_disconnect(AnyPacket *p);
    void make_auth(AnyPacket *p);
    void make_props(AnyPacket *p, struct props *out, uint32_t allowed, bool repeats_ids = false);
    void make_props_now(AnyPacket *p, struct props *out, uint32_t allowed, bool repeats_ids);
    void draw_value(struct props *out, uint32_t bit);

    Rng rng_;
    std::vector<std::string> texts_, topics_, filters_, binaries_;
};

#endif
