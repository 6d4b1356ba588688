#include "base/socket_address.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/un.h>

#include <cstddef>

namespace blcr {

std::string addressOf(int fd, int (*ask)(int, sockaddr*, socklen_t*)) {
  sockaddr_storage address{};
  socklen_t size = sizeof address;
  if (ask(fd, reinterpret_cast<sockaddr*>(&address), &size) != 0) return {};
  if (address.ss_family == AF_UNIX && size <= sizeof(sa_family_t)) return {};
  return std::string(reinterpret_cast<const char*>(&address), std::min<size_t>(size, sizeof address));
}

std::string addressText(const std::string& name) {
  const SocketAddress address(name);
  char text[INET6_ADDRSTRLEN] = {};
  if (address.family() == AF_INET) {
    ::inet_ntop(AF_INET, &reinterpret_cast<const sockaddr_in*>(address.get())->sin_addr, text, sizeof text);
    return std::string(text).append(":").append(std::to_string(portOf(name)));
  }
  if (address.family() == AF_INET6) {
    ::inet_ntop(AF_INET6, &reinterpret_cast<const sockaddr_in6*>(address.get())->sin6_addr, text, sizeof text);
    return std::string("[").append(text).append("]:").append(std::to_string(portOf(name)));
  }
  if (address.family() != AF_UNIX || name.size() <= sizeof(sa_family_t)) return {};
  const std::string path = socketPath(name);
  return path.empty() ? std::string("@").append(name, sizeof(sa_family_t) + 1) : path;
}

std::string socketPath(const std::string& name) {
  if (SocketAddress(name).family() != AF_UNIX || name.size() <= sizeof(sa_family_t)) return {};
  return name.substr(sizeof(sa_family_t)).c_str();  // it may or may not end with a zero byte
}

std::string localName(const std::string& path) {
  const sa_family_t family = AF_UNIX;
  std::string name(reinterpret_cast<const char*>(&family), sizeof family);
  return name.append(path).append(1, '\0');
}

uint16_t portOf(const std::string& name) {
  const SocketAddress address(name);
  // The port is at the same place in both.
  static_assert(offsetof(sockaddr_in, sin_port) == offsetof(sockaddr_in6, sin6_port));
  if (address.family() != AF_INET && address.family() != AF_INET6) return 0;
  return ntohs(reinterpret_cast<const sockaddr_in*>(address.get())->sin_port);
}

bool isAnyAddress(const std::string& name) {
  const SocketAddress address(name);
  if (address.family() == AF_INET) return reinterpret_cast<const sockaddr_in*>(address.get())->sin_addr.s_addr == htonl(INADDR_ANY);
  return address.family() == AF_INET6 && IN6_IS_ADDR_UNSPECIFIED(&reinterpret_cast<const sockaddr_in6*>(address.get())->sin6_addr) != 0;
}

std::string withPort(const std::string& name, uint16_t port) {
  std::string changed = name;
  const uint16_t wire = htons(port);
  if (changed.size() >= sizeof(sockaddr_in)) std::memcpy(changed.data() + offsetof(sockaddr_in, sin_port), &wire, sizeof wire);
  return changed;
}

}  // namespace blcr
