#include "restore/sockets/tcp_connect.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>

#include <cstdio>

#include "base/clock.h"
#include "base/io.h"
#include "base/socket_address.h"
#include "restore/sockets/bind_when_free.h"
#include "restore/sockets/lingering.h"

#ifndef IP_BIND_ADDRESS_NO_PORT
#define IP_BIND_ADDRESS_NO_PORT 24
#endif
#ifndef IP_LOCAL_PORT_RANGE
#define IP_LOCAL_PORT_RANGE 51  // linux/in.h, since Linux 6.3
#endif

namespace blcr {
namespace {

constexpr int kLingeringMs = 65000;  // TIME_WAIT lasts a minute
constexpr int kPatienceMs = 2500;
constexpr int kStepMs = 20;

bool set(int fd, int level, int name, int value) { return ::setsockopt(fd, level, name, &value, sizeof value) == 0; }

/** A failure that names the address and what to do. */
Error addressError(const std::string& name) {
  const int code = errno;
  Error error = systemError("address " + addressText(name));
  if (code == EADDRINUSE) error.detail += " on this host: end what uses it, or restart the job on another one";
  if (code == EADDRNOTAVAIL) error.detail += " on this host";
  error.code = code;
  return error;
}

/** Non-blocking mode for the time of a connect. */
class WithoutBlocking {
 public:
  explicit WithoutBlocking(int fd) : fd_(fd), flags_(::fcntl(fd, F_GETFL)) { ::fcntl(fd_, F_SETFL, flags_ | O_NONBLOCK); }
  ~WithoutBlocking() { ::fcntl(fd_, F_SETFL, flags_); }
  WithoutBlocking(const WithoutBlocking&) = delete;
  WithoutBlocking& operator=(const WithoutBlocking&) = delete;

 private:
  int fd_, flags_;
};

/** 0 or an errno value. */
int connectNow(int fd, const std::string& peerName, int patienceMs = kPatienceMs) {
  const WithoutBlocking guard(fd);
  const SocketAddress peer(peerName);
  if (::connect(fd, peer.get(), peer.size()) == 0) return 0;
  if (errno != EINPROGRESS) return errno;
  pollfd entry{fd, POLLOUT, 0};
  if (::poll(&entry, 1, patienceMs) != 1) return ETIMEDOUT;
  int error = 0;
  socklen_t size = sizeof error;
  return ::getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &size) == 0 ? error : errno;
}

/** The port is chosen while connecting, from a range of one: so it is not bound, and a lingering connection does not forbid it. */
bool chooseWhileConnecting(int fd, const std::string& name) {
  const uint32_t port = portOf(name);
  const SocketAddress address(withPort(name, 0));
  return set(fd, IPPROTO_IP, IP_LOCAL_PORT_RANGE, int(port << 16 | port)) && set(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, 1) &&
         ::bind(fd, address.get(), address.size()) == 0;
}

/** Outside of this range the kernel takes no notice of the socket's own. */
bool isEphemeral(uint16_t port) {
  const auto range = readFile("/proc/sys/net/ipv4/ip_local_port_range");
  unsigned low = 1, high = 0;
  return range.ok() && std::sscanf(range.value().c_str(), "%u %u", &low, &high) == 2 && port >= low && port <= high;
}

void forgetRange(int fd) {
  set(fd, IPPROTO_IP, IP_LOCAL_PORT_RANGE, 0);
  set(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, 0);
}

bool comesFrom(int fd, const std::string& name) { return portOf(addressOf(fd, ::getpeername)) == portOf(name); }

Result<UniqueFd> listenAt(const std::string& name, int protocol) {
  UniqueFd listener(::socket(SocketAddress(name).family(), SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, protocol));
  if (!listener) return systemError("a socket");
  if (SocketAddress(name).family() == AF_INET6) set(listener.get(), IPPROTO_IPV6, IPV6_V6ONLY, 0);
  BLCR_TRY(bindInternet(listener.get(), name));
  if (::listen(listener.get(), 8) != 0) return addressError(name);
  return listener;
}

/** Somebody else may connect in this moment: what they get is a reset, as from a port that nobody listens on. */
Result<UniqueFd> acceptFrom(int listener, const std::string& clientName) {
  while (true) {
    pollfd entry{listener, POLLIN, 0};
    if (::poll(&entry, 1, kPatienceMs) != 1)
      return Error{ETIMEDOUT, "address " + addressText(clientName) + ": its connection did not arrive"};
    UniqueFd accepted(::accept4(listener, nullptr, nullptr, SOCK_CLOEXEC));
    if (accepted && comesFrom(accepted.get(), clientName)) return accepted;
  }
}

}  // namespace

Status bindInternet(int fd, const std::string& name) {
  const SocketAddress address(name);
  set(fd, SOL_SOCKET, SO_REUSEADDR, 1);
  for (int waited = 0; ::bind(fd, address.get(), address.size()) != 0; waited += kStepMs) {
    const int code = errno;
    const bool lingering = code == EADDRINUSE && waited < kLingeringMs && endLingering(portOf(name));
    errno = code;
    if (!lingering && (code != EADDRINUSE || waited >= kDyingMs)) return addressError(name);
    sleepUs(waited == 0 ? 0 : kStepMs * 1000);
  }
  return {};
}

int connectOnce(int fd, const std::string& name, const std::string& peerName, int patienceMs) {
  int code = EADDRNOTAVAIL;
  if (isEphemeral(portOf(name)) && chooseWhileConnecting(fd, name)) code = connectNow(fd, peerName, patienceMs);
  forgetRange(fd);
  if (code != EADDRNOTAVAIL) return code;
  const SocketAddress address(name);
  set(fd, SOL_SOCKET, SO_REUSEADDR, 1);
  return ::bind(fd, address.get(), address.size()) == 0 ? connectNow(fd, peerName, patienceMs) : errno;
}

Status connectFrom(int fd, const std::string& name, const std::string& peerName) {
  int code = connectOnce(fd, name, peerName, kPatienceMs);
  for (int waited = 0; waited < kLingeringMs && (code == EADDRNOTAVAIL || code == EADDRINUSE); waited += kStepMs) {
    if (!endLingering(portOf(name))) break;
    sleepUs(kStepMs * 1000);
    code = connectOnce(fd, name, peerName, kPatienceMs);
  }
  if (code == 0) return {};
  errno = code;
  return addressError(name);
}

Result<UniqueFd> connectPair(int client, const std::string& clientName, const std::string& clientPeerName, const std::string& acceptedName,
                             int protocol) {
  {
    auto listener = listenAt(acceptedName, protocol);
    if (!listener) return listener;
    const int code = connectOnce(client, clientName, clientPeerName, kPatienceMs);
    if (code == 0) return acceptFrom(listener->get(), clientName);
  }
  // What lingers can be asked to end only while nobody listens at its other address.
  static_cast<void>(endLingering(portOf(clientName)));
  auto listener = listenAt(acceptedName, protocol);
  if (!listener) return listener;
  BLCR_TRY(connectFrom(client, clientName, clientPeerName));
  return acceptFrom(listener->get(), clientName);
}

Result<std::array<UniqueFd, 2>> makeAnonymousConnection(int domain, int protocol) {
  sockaddr_in6 mapped{};
  sockaddr_in plain{};
  mapped.sin6_family = AF_INET6;
  ::inet_pton(AF_INET6, "::ffff:127.0.0.1", &mapped.sin6_addr);  // there is no ::1 where IPv6 is switched off
  plain.sin_family = AF_INET;
  plain.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  const std::string any = domain == AF_INET6 ? std::string(reinterpret_cast<const char*>(&mapped), sizeof mapped)
                                             : std::string(reinterpret_cast<const char*>(&plain), sizeof plain);
  auto listener = listenAt(any, protocol);
  if (!listener) return listener.error();
  UniqueFd client(::socket(domain, SOCK_STREAM | SOCK_CLOEXEC, protocol));
  if (!client) return systemError("a socket");
  if (const int code = connectNow(client.get(), addressOf(listener->get(), ::getsockname)); code != 0) {
    errno = code;
    return systemError("a connection");
  }
  auto accepted = acceptFrom(listener->get(), addressOf(client.get(), ::getsockname));
  if (!accepted) return accepted.error();
  return std::array<UniqueFd, 2>{std::move(client), *std::move(accepted)};
}

}  // namespace blcr
