#include "dump/sockets/memberships.h"

#include <netinet/in.h>
#include <sys/socket.h>

#include <cstring>

#include "base/codes.h"
#include "base/io.h"
#include "proc/multicast.h"

namespace blcr {
namespace {

void setGroup(sockaddr_storage& into, const std::string& address) {
  if (address.size() == sizeof(in_addr)) {
    auto& inet = reinterpret_cast<sockaddr_in&>(into);
    inet.sin_family = AF_INET;
    std::memcpy(&inet.sin_addr, address.data(), sizeof inet.sin_addr);
  } else {
    auto& inet = reinterpret_cast<sockaddr_in6&>(into);
    inet.sin6_family = AF_INET6;
    std::memcpy(&inet.sin6_addr, address.data(), std::min(address.size(), sizeof inet.sin6_addr));
  }
}

Status readLevel(int fd, int level, const std::vector<MulticastGroup>& groups, std::vector<image::SocketOption>& into) {
  for (const MulticastGroup& group : groups) {
    group_filter filter{};
    filter.gf_interface = group.interface;
    setGroup(filter.gf_group, group.address);
    socklen_t size = sizeof filter;
    if (::getsockopt(fd, level, MCAST_MSFILTER, &filter, &size) != 0) continue;
    if (filter.gf_fmode != MCAST_EXCLUDE || filter.gf_numsrc != 0)
      return Error{kErrorNoSupport, "it is a member of a multicast group for certain senders only"};
    group_req join{};
    join.gr_interface = group.interface;
    setGroup(join.gr_group, group.address);
    into.push_back({level, MCAST_JOIN_GROUP, std::string(reinterpret_cast<const char*>(&join), sizeof join)});
  }
  return {};
}

}  // namespace

Status readMemberships(int fd, int domain, std::vector<image::SocketOption>& into) {
  const auto first = readFile("/proc/net/igmp"), second = readFile("/proc/net/igmp6");  // missing where the protocol is
  if (first.ok()) BLCR_TRY(readLevel(fd, IPPROTO_IP, parseIgmp(first.value()), into));
  if (domain == AF_INET6 && second.ok()) BLCR_TRY(readLevel(fd, IPPROTO_IPV6, parseIgmp6(second.value()), into));
  return {};
}

}  // namespace blcr
