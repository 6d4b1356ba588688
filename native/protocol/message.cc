#include "protocol/message.h"

#include <fcntl.h>
#include <sys/socket.h>

namespace blcr {

Status sendMessage(int socket, std::string_view bytes, std::span<const int> fds) {
  if (fds.size() > wire::kMaxDescriptors) return Error{E2BIG, "too many descriptors for one message"};
  alignas(cmsghdr) char control[CMSG_SPACE(wire::kMaxDescriptors * sizeof(int))] = {};
  iovec vector{const_cast<char*>(bytes.data()), bytes.size()};
  msghdr header{};
  header.msg_iov = &vector;
  header.msg_iovlen = 1;
  if (!fds.empty()) {
    header.msg_control = control;
    header.msg_controllen = CMSG_SPACE(fds.size_bytes());
    cmsghdr* item = CMSG_FIRSTHDR(&header);
    item->cmsg_level = SOL_SOCKET;
    item->cmsg_type = SCM_RIGHTS;
    item->cmsg_len = CMSG_LEN(fds.size_bytes());
    std::memcpy(CMSG_DATA(item), fds.data(), fds.size_bytes());
  }
  while (::sendmsg(socket, &header, MSG_NOSIGNAL) < 0) {
    if (errno != EINTR) return systemError("send a message");
  }
  return {};
}

static void takeDescriptors(msghdr& header, std::vector<UniqueFd>& into) {
  for (cmsghdr* item = CMSG_FIRSTHDR(&header); item != nullptr; item = CMSG_NXTHDR(&header, item)) {
    if (item->cmsg_level != SOL_SOCKET || item->cmsg_type != SCM_RIGHTS) continue;
    const size_t count = (item->cmsg_len - CMSG_LEN(0)) / sizeof(int);
    for (size_t index = 0; index < count; ++index) {
      int fd = -1;
      std::memcpy(&fd, CMSG_DATA(item) + index * sizeof(int), sizeof(int));
      into.emplace_back(fd);
    }
  }
}

Result<Message> receiveMessage(int socket, int flags) {
  ssize_t length = -1;
  // The length of the waiting message, without taking it (MSG_TRUNC reports it although nothing fits).
  while ((length = ::recv(socket, nullptr, 0, MSG_PEEK | MSG_TRUNC | flags)) < 0) {
    if (errno != EINTR) return systemError("receive a message");
  }
  Message message;
  if (size_t(length) > wire::kMaxMessage) return Error{EPROTO, "message too long"};
  message.bytes.resize(size_t(length));
  alignas(cmsghdr) char control[CMSG_SPACE(wire::kMaxDescriptors * sizeof(int))];
  iovec vector{message.bytes.data(), message.bytes.size()};
  msghdr header{};
  header.msg_iov = &vector;
  header.msg_iovlen = 1;
  if ((flags & MSG_PEEK) == 0) {
    header.msg_control = control;
    header.msg_controllen = sizeof control;
  }
  while ((length = ::recvmsg(socket, &header, flags | MSG_CMSG_CLOEXEC)) < 0) {
    if (errno != EINTR) return systemError("receive a message");
  }
  if ((flags & MSG_PEEK) == 0) takeDescriptors(header, message.fds);
  if ((header.msg_flags & (MSG_TRUNC | MSG_CTRUNC)) != 0 && (flags & MSG_PEEK) == 0) return Error{EPROTO, "a message was cut"};
  message.bytes.resize(size_t(length));
  return message;
}

Result<std::pair<UniqueFd, UniqueFd>> messagePair() {
  int ends[2];
  if (::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) != 0) return systemError("make a socket pair");
  UniqueFd low[2] = {UniqueFd(ends[0]), UniqueFd(ends[1])};
  for (UniqueFd& end : low) {
    if (end.get() >= 3) continue;
    const int moved = ::fcntl(end.get(), F_DUPFD_CLOEXEC, 3);
    if (moved < 0) return systemError("make a socket pair");
    end.reset(moved);
  }
  return std::pair(std::move(low[0]), std::move(low[1]));
}

}  // namespace blcr
