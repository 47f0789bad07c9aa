// SPDX-License-Identifier: MIT
#include "support.hpp"

// Out of line: inlined into a call with an empty text, GCC 12 warns of a copy that does not happen.
Exact::Exact(const std::string &s) : size_(s.size()), block_(new uint8_t[s.size()])
{
    if (size_ > 0)
        std::memcpy(block_.get(), s.data(), size_);
}
