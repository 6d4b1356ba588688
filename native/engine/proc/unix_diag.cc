#include "proc/unix_diag.h"

#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <linux/sock_diag.h>
#include <linux/unix_diag.h>
#include <sys/socket.h>

#include <cstring>

#include "base/unique_fd.h"

namespace blcr {
namespace {

struct Request {
  nlmsghdr header;
  unix_diag_req diag;
};

void applyAttribute(const rtattr& attribute, UnixSocket& socket) {
  const size_t size = RTA_PAYLOAD(&attribute);
  const void* data = reinterpret_cast<const char*>(&attribute) + RTA_LENGTH(0);
  if (attribute.rta_type == UNIX_DIAG_NAME) socket.named = size > 0;
  if (attribute.rta_type == UNIX_DIAG_PEER && size >= 4) {
    uint32_t peer = 0;
    std::memcpy(&peer, data, sizeof peer);
    socket.peer = peer;
    socket.hasPeer = true;
  }
  if (attribute.rta_type == UNIX_DIAG_SHUTDOWN && size >= 1) {
    uint8_t bits = 0;
    std::memcpy(&bits, data, sizeof bits);
    socket.shutRead = (bits & 1) != 0;
    socket.shutWrite = (bits & 2) != 0;
  }
}

}  // namespace

Result<UnixSocket> readUnixSocket(uint64_t inode) {
  const UniqueFd link(::socket(AF_NETLINK, SOCK_DGRAM | SOCK_CLOEXEC, NETLINK_SOCK_DIAG));
  if (!link) return systemError("sock_diag");
  Request request{};
  request.header.nlmsg_len = sizeof request;
  request.header.nlmsg_type = SOCK_DIAG_BY_FAMILY;
  request.header.nlmsg_flags = NLM_F_REQUEST;
  request.diag.sdiag_family = AF_UNIX;
  request.diag.udiag_states = ~0u;
  request.diag.udiag_ino = uint32_t(inode);
  request.diag.udiag_show = UDIAG_SHOW_NAME | UDIAG_SHOW_PEER;
  request.diag.udiag_cookie[0] = request.diag.udiag_cookie[1] = ~0u;
  if (::send(link.get(), &request, sizeof request, 0) != ssize_t(sizeof request)) return systemError("sock_diag");
  alignas(nlmsghdr) char answer[4096];
  const ssize_t length = ::recv(link.get(), answer, sizeof answer, 0);
  if (length < ssize_t(sizeof(nlmsghdr))) return Error{EIO, "sock_diag: short answer"};
  const auto* header = reinterpret_cast<const nlmsghdr*>(answer);
  if (header->nlmsg_type == NLMSG_ERROR || header->nlmsg_len < NLMSG_LENGTH(sizeof(unix_diag_msg)) || header->nlmsg_len > size_t(length)) {
    return Error{ENOENT, "socket " + std::to_string(inode) + ": no local socket of this network namespace"};
  }
  const auto* found = reinterpret_cast<const unix_diag_msg*>(answer + NLMSG_HDRLEN);
  UnixSocket socket;
  socket.type = found->udiag_type;
  socket.state = found->udiag_state;
  size_t left = header->nlmsg_len - NLMSG_LENGTH(sizeof(unix_diag_msg));
  const char* at = answer + NLMSG_HDRLEN + NLMSG_ALIGN(sizeof(unix_diag_msg));
  while (left >= sizeof(rtattr)) {
    const auto* attribute = reinterpret_cast<const rtattr*>(at);
    if (attribute->rta_len < sizeof(rtattr) || attribute->rta_len > left) break;
    applyAttribute(*attribute, socket);
    const size_t step = std::min<size_t>(RTA_ALIGN(attribute->rta_len), left);
    at += step;
    left -= step;
  }
  return socket;
}

}  // namespace blcr
