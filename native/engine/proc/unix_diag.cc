#include "proc/unix_diag.h"

#include <linux/unix_diag.h>
#include <sys/socket.h>

#include "proc/netlink.h"

namespace blcr {
namespace {

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
  unix_diag_req wanted{};
  wanted.sdiag_family = AF_UNIX;
  wanted.udiag_states = ~0u;
  wanted.udiag_ino = uint32_t(inode);
  wanted.udiag_show = UDIAG_SHOW_VFS | UDIAG_SHOW_PEER | UDIAG_SHOW_ICONS | UDIAG_SHOW_RQLEN;
  wanted.udiag_cookie[0] = wanted.udiag_cookie[1] = ~0u;
  auto link = askSockDiag(wanted, 0);
  if (!link) return link.error();
  alignas(nlmsghdr) char answer[32 * 1024];  // a backlog is told in four bytes for each client
  const ssize_t length = ::recv(link->get(), answer, sizeof answer, 0);
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
