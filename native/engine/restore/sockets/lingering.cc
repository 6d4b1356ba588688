#include "restore/sockets/lingering.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include "base/socket_address.h"
#include "base/unique_fd.h"
#include "proc/inet_table.h"
#include "restore/sockets/tcp_connect.h"

namespace blcr {
namespace {

std::string nameOf(const std::string& address, uint16_t port) {
  sockaddr_in plain{};
  sockaddr_in6 wide{};
  plain.sin_family = AF_INET;
  wide.sin6_family = AF_INET6;
  if (address.size() == sizeof plain.sin_addr) {
    std::memcpy(&plain.sin_addr, address.data(), sizeof plain.sin_addr);
    return withPort(std::string(reinterpret_cast<const char*>(&plain), sizeof plain), port);
  }
  std::memcpy(&wide.sin6_addr, address.data(), std::min(address.size(), sizeof wide.sin6_addr));
  return withPort(std::string(reinterpret_cast<const char*>(&wide), sizeof wide), port);
}

/** The connection that is begun here finds nobody who would accept it, or goes as soon as its socket is closed. */
void askToEnd(const InetRow& row) {
  const std::string from = nameOf(row.remote, row.remotePort), to = nameOf(row.local, row.localPort);
  const UniqueFd fd(::socket(SocketAddress(to).family(), SOCK_STREAM | SOCK_CLOEXEC, 0));
  if (fd) static_cast<void>(connectOnce(fd.get(), from, to, 1));
}

}  // namespace

bool endLingering(uint16_t port) {
  const auto rows = readTcpTable();
  if (!rows.ok()) return false;
  bool any = false;
  for (const InetRow& row : rows.value()) {
    if (row.localPort != port) continue;
    if (row.state == TCP_LISTEN) return false;
    any = any || row.inode == 0;
  }
  for (const InetRow& row : rows.value())
    if (any && row.localPort == port && row.state == TCP_TIME_WAIT) askToEnd(row);
  return any;
}

}  // namespace blcr
