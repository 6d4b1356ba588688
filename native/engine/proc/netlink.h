// What questions to and answers of sock_diag(7) are made of.
#pragma once

#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <linux/sock_diag.h>
#include <sys/socket.h>

#include <algorithm>
#include <cstddef>
#include <cstring>

#include "base/result.h"
#include "base/unique_fd.h"

namespace blcr {

/** Calls `each(type, data, size)` for every attribute that lies within `left` bytes at `at`, which is aligned as netlink messages are. */
template <typename Each>
void forEachAttribute(const char* at, size_t left, const Each& each) {
  while (left >= sizeof(rtattr)) {
    const auto* attribute = reinterpret_cast<const rtattr*>(at);
    if (attribute->rta_len < sizeof(rtattr) || attribute->rta_len > left) break;
    each(attribute->rta_type, at + RTA_LENGTH(0), size_t(RTA_PAYLOAD(attribute)));
    const size_t step = std::min<size_t>(RTA_ALIGN(attribute->rta_len), left);
    at += step;
    left -= step;
  }
}

/** The value of an attribute; zero when it is too short. */
template <typename T>
T attributeValue(const void* data, size_t size) {
  T value{};
  if (size >= sizeof value) std::memcpy(&value, data, sizeof value);
  return value;
}

/** Asks the kernel for sockets; the answers come through the result. `flags`: beside NLM_F_REQUEST. */
template <typename Diag>
Result<UniqueFd> askSockDiag(const Diag& diag, uint16_t flags) {
  struct {
    nlmsghdr header;
    Diag diag;
  } request{};
  request.header.nlmsg_len = sizeof request;
  request.header.nlmsg_type = SOCK_DIAG_BY_FAMILY;
  request.header.nlmsg_flags = uint16_t(NLM_F_REQUEST | flags);
  request.diag = diag;
  UniqueFd link(::socket(AF_NETLINK, SOCK_DGRAM | SOCK_CLOEXEC, NETLINK_SOCK_DIAG));
  if (!link || ::send(link.get(), &request, sizeof request, 0) != ssize_t(sizeof request)) return systemError("sock_diag");
  return link;
}

}  // namespace blcr
