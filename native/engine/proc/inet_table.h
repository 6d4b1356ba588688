// Connections of this network namespace: /proc/net/tcp and tcp6.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace blcr {

/** One row. Addresses have the bytes of in_addr or in6_addr; ports are in the host's order. */
struct InetRow {
  std::string local, remote;
  uint16_t localPort = 0, remotePort = 0;
  int state = 0;  // TCP_ESTABLISHED, …
  uint32_t unread = 0;
  uint64_t inode = 0;  // 0: nobody holds it, because it was closed or is yet to be accepted
};

/** Rows that are malformed are left out. */
[[nodiscard]] std::vector<InetRow> parseInetTable(std::string_view text);

/** Both tables. An error when neither can be read. */
[[nodiscard]] Result<std::vector<InetRow>> readTcpTable();

}  // namespace blcr
