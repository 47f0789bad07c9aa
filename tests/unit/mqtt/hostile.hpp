// SPDX-License-Identifier: MIT
//
// Packets meant to break the rules: valid ones with bytes changed, and ones put together from right
// and wrong parts. Both often stay valid.
#ifndef UNIT_MQTT_HOSTILE_HPP
#define UNIT_MQTT_HOSTILE_HPP

#include "support.hpp"

// Bit flips, other bytes, truncations, insertions, deletions, changed lengths, other flags.
void mutate(Rng &rng, uint8_t *flags, std::string *body);

class HostileMaker
{
  public:
    explicit HostileMaker(uint64_t seed) : rng_(seed)
    {
    }

    std::string make(uint8_t type, uint8_t version, uint8_t *flags);

  private:
    bool rarely();
    std::string text();
    std::string packet_id();
    std::string reason(const std::string &likely);
    std::string property();
    std::string properties(const std::string &required = "");
    std::string connect(uint8_t version);
    std::string subscribe(uint8_t version);
    std::string body(uint8_t type, uint8_t version, uint8_t *flags);

    Rng rng_;
    std::string fitting_; // identifiers that the packet in hand may carry
};

#endif
