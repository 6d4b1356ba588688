// Addresses of sockets: bytes of a sockaddr, as getsockname gives them, kept in a string; "" = none.
#pragma once

#include <sys/socket.h>

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <string>

namespace blcr {

/** An address in memory that the kernel can take. */
class SocketAddress {
 public:
  explicit SocketAddress(const std::string& name) : size_(socklen_t(std::min(name.size(), sizeof storage_))) {
    std::memcpy(&storage_, name.data(), size_);
  }
  [[nodiscard]] const sockaddr* get() const { return reinterpret_cast<const sockaddr*>(&storage_); }
  [[nodiscard]] socklen_t size() const { return size_; }
  [[nodiscard]] sa_family_t family() const { return storage_.ss_family; }

 private:
  sockaddr_storage storage_{};
  socklen_t size_;
};

/** What getsockname (or getpeername, as `ask`) says; "" for an AF_UNIX socket without a name. */
[[nodiscard]] std::string addressOf(int fd, int (*ask)(int, sockaddr*, socklen_t*));

/** "127.0.0.1:80", "[::1]:80", "/path", "@abstract", "" = none. */
[[nodiscard]] std::string addressText(const std::string& name);

/** The path of an AF_UNIX address; "" for abstract ones and other families. */
[[nodiscard]] std::string socketPath(const std::string& name);

/** An AF_UNIX address of that path. */
[[nodiscard]] std::string localName(const std::string& path);

/** 0 for other families than IPv4 and IPv6. */
[[nodiscard]] uint16_t portOf(const std::string& name);

/** 0.0.0.0 or ::, whatever the port. */
[[nodiscard]] bool isAnyAddress(const std::string& name);

/** The same address with another port. */
[[nodiscard]] std::string withPort(const std::string& name, uint16_t port);

}  // namespace blcr
