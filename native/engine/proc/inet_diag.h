// Which directions of datagram sockets were shut down: sock_diag(7) for IPv4 and IPv6.
#pragma once

#include <cstdint>
#include <map>
#include <string_view>

#include "base/result.h"

namespace blcr {

/** Directions by the inodes of sockets: 1 = reading (RCV_SHUTDOWN), 2 = writing (SEND_SHUTDOWN). */
using Shutdowns = std::map<uint64_t, uint8_t>;

/** Takes the sockets out of one answer, aligned as netlink messages are; false at its end: there is no other. */
[[nodiscard]] bool takeShutdowns(std::string_view answer, Shutdowns& into);

/** Sockets of this network namespace that are bound or connected. Fails where the kernel cannot tell. */
[[nodiscard]] Result<Shutdowns> readShutdowns(int family, int protocol);

}  // namespace blcr
