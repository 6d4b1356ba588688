#include "restore/sockets/socket_options.h"

#include <linux/filter.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include <algorithm>
#include <cstring>

#include "base/socket_address.h"

namespace blcr {
namespace {

using image::SocketOption;

bool isEarly(const SocketOption& option) {
  if (option.level == SOL_SOCKET)
    return option.name == SO_REUSEADDR || option.name == SO_REUSEPORT || option.name == SO_BINDTODEVICE || option.name == SO_SNDBUF ||
           option.name == SO_RCVBUF || option.name == SO_BROADCAST;
  if (option.level == IPPROTO_IP) return option.name == IP_FREEBIND || option.name == IP_TRANSPARENT;
  return option.level == IPPROTO_IPV6 && (option.name == IPV6_V6ONLY || option.name == IPV6_FREEBIND || option.name == IPV6_TRANSPARENT);
}

bool differs(int fd, const SocketOption& option) {
  char now[2048] = {};
  socklen_t size = sizeof now;
  if (::getsockopt(fd, option.level, option.name, now, &size) != 0) return true;
  return std::string(now, size) != option.value;
}

bool attachFilter(int fd, const SocketOption& option) {
  sock_fprog program{};
  std::string code = option.value;
  program.len = static_cast<unsigned short>(code.size() / sizeof(sock_filter));
  program.filter = reinterpret_cast<sock_filter*>(code.data());
  return ::setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof program) == 0;
}

bool setOne(int fd, const SocketOption& option) {
  if (option.level == SOL_SOCKET && option.name == SO_ATTACH_FILTER) return attachFilter(fd, option);
  if (!differs(fd, option)) return true;
  if (option.level == SOL_SOCKET && (option.name == SO_SNDBUF || option.name == SO_RCVBUF) && option.value.size() == sizeof(int)) {
    int size = 0;
    std::memcpy(&size, option.value.data(), sizeof size);
    size /= 2;  // the kernel doubles what it is given: socket(7)
    return ::setsockopt(fd, option.level, option.name, &size, sizeof size) == 0;
  }
  return ::setsockopt(fd, option.level, option.name, option.value.data(), socklen_t(option.value.size())) == 0;
}

/**
 * A kernel that has never heard of the option, or not for such sockets, does what the default of newer ones is. Source: the kernel's
 * defaults; all that are not listed are off at first.
 */
bool isDefaultOfNewer(const SocketOption& option) {
  constexpr int kBufferLock = 72, kPassRights = 83, kLongestTimeout = 44;     // SO_BUF_LOCK, SO_PASSRIGHTS, TCP_RTO_MAX_MS
  if (option.level == SOL_SOCKET && option.name == kBufferLock) return true;  // sizes that are set lock themselves
  int value = 0;
  std::memcpy(&value, option.value.data(), std::min(option.value.size(), sizeof value));
  if (option.level == SOL_SOCKET && option.name == kPassRights) return value == 1;
  if (option.level == SOL_SOCKET && option.name == SO_PEEK_OFF) return value == -1;
  if (option.level == IPPROTO_TCP && option.name == kLongestTimeout) return value == 120000;
  return std::all_of(option.value.begin(), option.value.end(), [](char byte) { return byte == 0; });
}

/**
 * Binding to an IPv6 address sets it, and nothing can unset it then. A socket that has got its address by connecting has no use for it.
 * Sources: inet6_bind() of the kernel; ipv6(7).
 */
bool isMeaningless(const SocketOption& option, const image::Socket& socket) {
  const bool connection =
      socket.type == SOCK_STREAM && socket.state != image::SocketState::kUnconnected && socket.state != image::SocketState::kListening;
  const bool hasAddress = !socket.name.empty() && !isAnyAddress(socket.name);
  return option.level == IPPROTO_IPV6 && option.name == IPV6_V6ONLY && (connection || hasAddress);
}

}  // namespace

void setEarlyOptions(int fd, const image::Socket& socket) {
  for (const SocketOption& option : socket.options)
    if (isEarly(option)) static_cast<void>(setOne(fd, option));
}

Status setOptions(int fd, const image::Socket& socket, Log& log) {
  for (const SocketOption& option : socket.options) {
    if (isMeaningless(option, socket) || setOne(fd, option)) continue;
    if ((errno == ENOPROTOOPT || errno == EOPNOTSUPP) && isDefaultOfNewer(option)) continue;
    const Error error = systemError("option " + std::to_string(option.name) + " of level " + std::to_string(option.level) + " of a socket");
    if (option.level == SOL_SOCKET && option.name == SO_DEBUG) continue;  // root's, and without any effect
    if (option.level != IPPROTO_TCP || option.name != TCP_CONGESTION) return error;
    log.line("congestion control " + std::string(option.value.c_str()) + " is not available here: the default is used");
  }
  return {};
}

}  // namespace blcr
