// SPDX-License-Identifier: MIT
//
// A second opinion on what is a valid MQTT packet: written from the standards, slowly and plainly,
// and sharing nothing with the codec. It goes on after a fault where it can, and so answers all the
// reason codes that the packet deserves; the codec has to answer one of them.
#ifndef UNIT_MQTT_ORACLE_HPP
#define UNIT_MQTT_ORACLE_HPP

#include <bitset>
#include <cstddef>
#include <cstdint>
#include <string>

namespace oracle
{

// No bit set: the packet is valid.
using Faults = std::bitset<256>;

// 3.1 is version 3, 3.1.1 is 4, 5.0 is 5. CONNECT brings its own.
Faults judge(unsigned type, unsigned flags, unsigned version, bool from_server,
             const std::string &body);

bool text_is_valid(const std::string &s, bool nul_allowed);

std::string describe(const Faults &faults);

} // namespace oracle

#endif
