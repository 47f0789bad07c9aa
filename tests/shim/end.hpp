// SPDX-License-Identifier: MIT
//
// Closes what shim/begin.hpp opened.
}

#undef _Atomic
#undef _Alignas
#undef _Alignof
#undef _Static_assert
#undef restrict

#pragma GCC diagnostic pop
