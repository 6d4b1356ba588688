// Multicast groups that somebody on this host is a member of: /proc/net/igmp and igmp6.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace blcr {

struct MulticastGroup {
  uint32_t interface = 0;  // index
  std::string address;     // bytes of in_addr or in6_addr
};

/** Lines that are malformed are left out. */
[[nodiscard]] std::vector<MulticastGroup> parseIgmp(std::string_view text);
[[nodiscard]] std::vector<MulticastGroup> parseIgmp6(std::string_view text);

}  // namespace blcr
