#include "proc/unix_diag.h"

#include <linux/sock_diag.h>
#include <linux/unix_diag.h>
#include <sys/socket.h>

#include "base/unique_fd.h"
#include "proc/netlink.h"

namespace blcr {
namespace {

struct Request {
  nlmsghdr header;
  unix_diag_req diag;
};

void applyAttribute(int type, const char* data, size_t size, UnixSocket& socket) {
  switch (type) {
    case UNIX_DIAG_PEER:
      socket.peer = attributeValue<uint32_t>(data, size);
      socket.hasPeer = true;
      break;
    case UNIX_DIAG_VFS:
      socket.fileInode = attributeValue<unix_diag_vfs>(data, size).udiag_vfs_ino;
      socket.fileDevice = attributeValue<unix_diag_vfs>(data, size).udiag_vfs_dev;
      break;
    case UNIX_DIAG_RQLEN:
      socket.queued = attributeValue<unix_diag_rqlen>(data, size).udiag_rqueue;
      socket.limit = attributeValue<unix_diag_rqlen>(data, size).udiag_wqueue;
      break;
    case UNIX_DIAG_ICONS:
      for (size_t at = 0; at + sizeof(uint32_t) <= size; at += sizeof(uint32_t))
        socket.waiting.push_back(attributeValue<uint32_t>(data + at, sizeof(uint32_t)));
      break;
    case UNIX_DIAG_SHUTDOWN: {
      const auto bits = attributeValue<uint8_t>(data, size);
      socket.shutRead = (bits & 1) != 0;
      socket.shutWrite = (bits & 2) != 0;
      break;
    }
    default:
      break;
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
  request.diag.udiag_show = UDIAG_SHOW_VFS | UDIAG_SHOW_PEER | UDIAG_SHOW_ICONS | UDIAG_SHOW_RQLEN;
  request.diag.udiag_cookie[0] = request.diag.udiag_cookie[1] = ~0u;
  if (::send(link.get(), &request, sizeof request, 0) != ssize_t(sizeof request)) return systemError("sock_diag");
  alignas(nlmsghdr) char answer[32 * 1024];  // a backlog is told in four bytes for each client
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
  forEachAttribute(answer + NLMSG_HDRLEN + NLMSG_ALIGN(sizeof(unix_diag_msg)), header->nlmsg_len - NLMSG_LENGTH(sizeof(unix_diag_msg)),
                   [&](int type, const char* data, size_t size) { applyAttribute(type, data, size, socket); });
  return socket;
}

}  // namespace blcr
