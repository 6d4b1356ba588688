#include "dump/sockets/rare_options.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include <span>
#include <string>

#include "base/unique_fd.h"

namespace blcr {
namespace {

// By number where the headers of the oldest supported systems lack the name. Source: the kernel's uapi headers.
constexpr int kSocketLevel[] = {SO_DEBUG,
                                SO_MAX_PACING_RATE,
                                SO_NOFCS,
                                63 /* SO_TIMESTAMP_NEW */,
                                64 /* SO_TIMESTAMPNS_NEW */,
                                65 /* SO_TIMESTAMPING_NEW */,
                                74 /* SO_TXREHASH */,
                                75 /* SO_RCVMARK */,
                                82 /* SO_RCVPRIORITY */};
constexpr int kIpLevel[] = {50 /* IP_UNICAST_IF */};
constexpr int kIpv6Level[] = {2 /* IPV6_2292PKTINFO */,
                              3 /* IPV6_2292HOPOPTS */,
                              4 /* IPV6_2292DSTOPTS */,
                              5 /* IPV6_2292RTHDR */,
                              8 /* IPV6_2292HOPLIMIT */,
                              11 /* IPV6_FLOWINFO */,
                              30 /* IPV6_ROUTER_ALERT_ISOLATE */,
                              76 /* IPV6_UNICAST_IF */,
                              IPV6_HOPOPTS,
                              IPV6_RTHDRDSTOPTS,
                              IPV6_RTHDR,
                              IPV6_DSTOPTS};
constexpr int kTcpLevel[] = {45 /* TCP_RTO_MIN_US */, 46 /* TCP_DELACK_MAX_US */};
constexpr int kBeforeConnection[] = {TCP_WINDOW_CLAMP};
constexpr int kUdpLevel[] = {1 /* UDP_CORK */, 100 /* UDP_ENCAP */};

constexpr size_t kLongest = 2048;  // headers of IPv6 that go with every datagram

/** "" when there is none. */
std::string valueOf(int fd, int level, int name) {
  std::string value(kLongest, '\0');
  socklen_t size = kLongest;
  if (::getsockopt(fd, level, name, value.data(), &size) != 0) return {};
  value.resize(size);
  return value;
}

void readLevel(int fd, int fresh, int level, std::span<const int> names, std::vector<image::SocketOption>& into) {
  for (const int name : names) {
    std::string value = valueOf(fd, level, name);
    if (!value.empty() && value != valueOf(fresh, level, name)) into.push_back({level, name, std::move(value)});
  }
}

}  // namespace

void readRareOptions(int fd, int domain, int type, int protocol, bool isConnection, std::vector<image::SocketOption>& into) {
  const UniqueFd fresh(::socket(domain, type | SOCK_CLOEXEC, protocol));
  if (!fresh) return;  // as where descriptors have run out
  readLevel(fd, fresh.get(), SOL_SOCKET, kSocketLevel, into);
  if (domain == AF_UNIX) return;
  readLevel(fd, fresh.get(), IPPROTO_IP, kIpLevel, into);
  if (domain == AF_INET6) readLevel(fd, fresh.get(), IPPROTO_IPV6, kIpv6Level, into);
  if (protocol == IPPROTO_TCP) readLevel(fd, fresh.get(), IPPROTO_TCP, kTcpLevel, into);
  if (protocol == IPPROTO_TCP && !isConnection) readLevel(fd, fresh.get(), IPPROTO_TCP, kBeforeConnection, into);
  if (protocol == IPPROTO_UDP) readLevel(fd, fresh.get(), IPPROTO_UDP, kUdpLevel, into);
}

}  // namespace blcr
