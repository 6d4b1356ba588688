// Connected pairs of local sockets.
#include <netinet/in.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cstring>

#include "base/features.h"
#include "dump/record_files.h"
#include "proc/unix_diag.h"

namespace blcr {
namespace {

constexpr int kEstablished = 1;  // TCP_ESTABLISHED
constexpr size_t kMaxMessage = 1 << 20;

const FoundDescriptor* holderOf(const FileContext& context, uint64_t inode, uint64_t device) {
  for (const FoundDescriptor& found : context.found) {
    if (found.info.st_ino == inode && found.info.st_dev == device) return &found;
  }
  return nullptr;
}

/** SO_PEEK_OFF for the time of a peek: reading goes on behind what was peeked, and nothing is taken. */
class PeekOffset {
 public:
  explicit PeekOffset(int fd) : fd_(fd) {
    socklen_t size = sizeof before_;
    if (::getsockopt(fd_, SOL_SOCKET, SO_PEEK_OFF, &before_, &size) != 0) before_ = -1;
    const int zero = 0;
    active_ = ::setsockopt(fd_, SOL_SOCKET, SO_PEEK_OFF, &zero, sizeof zero) == 0;
  }
  ~PeekOffset() { ::setsockopt(fd_, SOL_SOCKET, SO_PEEK_OFF, &before_, sizeof before_); }
  PeekOffset(const PeekOffset&) = delete;
  PeekOffset& operator=(const PeekOffset&) = delete;
  [[nodiscard]] bool active() const { return active_; }

 private:
  int fd_;
  int before_ = -1;
  bool active_ = false;
};

/** Closes descriptors that came with a peeked message; true when there were any. */
bool dropPassedDescriptors(msghdr& message) {
  bool any = false;
  for (cmsghdr* control = CMSG_FIRSTHDR(&message); control != nullptr; control = CMSG_NXTHDR(&message, control)) {
    if (control->cmsg_level != SOL_SOCKET || control->cmsg_type != SCM_RIGHTS) continue;
    const size_t count = (control->cmsg_len - CMSG_LEN(0)) / sizeof(int);
    for (size_t i = 0; i < count; ++i) {
      int fd = -1;
      std::memcpy(&fd, CMSG_DATA(control) + i * sizeof fd, sizeof fd);
      const UniqueFd closing(fd);
      any = true;
    }
  }
  return any;
}

Status peekQueue(const FoundDescriptor& found, int fd, int type, std::vector<std::string>& queue) {
  const PeekOffset offset(fd);
  if (!offset.active()) return systemError(found.name() + ": peek");
  std::vector<char> buffer(kMaxMessage);
  while (true) {
    iovec part{buffer.data(), buffer.size()};
    alignas(cmsghdr) char control[CMSG_SPACE(253 * sizeof(int))];
    msghdr message{};
    message.msg_iov = &part;
    message.msg_iovlen = 1;
    message.msg_control = control;
    message.msg_controllen = sizeof control;
    const ssize_t count = ::recvmsg(fd, &message, MSG_PEEK | MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
    if (count < 0 && (errno == EAGAIN || errno == ECONNRESET)) return {};
    if (count < 0) return systemError(found.name() + ": peek");
    if (dropPassedDescriptors(message)) return refuseFile(found, "descriptors are under way in it");
    if ((message.msg_flags & MSG_TRUNC) != 0) return refuseFile(found, "a message of more than 1 MiB is under way in it");
    if (count == 0) return {};  // end of stream (an empty datagram cannot be told from it and ends the queue too)
    if (type == SOCK_STREAM && !queue.empty()) {
      queue.back().append(buffer.data(), size_t(count));
    } else {
      queue.emplace_back(buffer.data(), size_t(count));
    }
  }
}

Status recordEnd(const FoundDescriptor& found, const UnixSocket& socket, image::SocketPair& pair, size_t end) {
  auto fd = borrowDescriptor(found.pid, found.fd);
  if (!fd) return refuseFile(found, "its queue cannot be read without pidfd_getfd (Linux 5.6)");
  int size = 0;
  socklen_t length = sizeof size;
  if (::getsockopt(fd->get(), SOL_SOCKET, SO_SNDBUF, &size, &length) == 0) pair.sendBuffer[end] = uint32_t(size);
  if (::getsockopt(fd->get(), SOL_SOCKET, SO_RCVBUF, &size, &length) == 0) pair.receiveBuffer[end] = uint32_t(size);
  pair.shutRead[end] = socket.shutRead;
  pair.shutWrite[end] = socket.shutWrite;
  return peekQueue(found, fd->get(), pair.type, pair.queue[end]);
}

Error refuseFamily(const FoundDescriptor& found) {
  const auto fd = borrowDescriptor(found.pid, found.fd);
  int domain = 0;
  socklen_t size = sizeof domain;
  if (fd && ::getsockopt(fd.value().get(), SOL_SOCKET, SO_DOMAIN, &domain, &size) == 0 && domain != AF_UNIX) {
    const char* family = domain == AF_INET ? "an IPv4 socket" : domain == AF_INET6 ? "an IPv6 socket" : "a socket of this family";
    return refuseFile(found, std::string(family) + " is not supported");
  }
  return refuseFile(found, "its peer cannot be found out");
}

}  // namespace

Status recordSocket(FileContext& context, const FoundDescriptor& found, image::OpenFile& file) {
  file.kind = image::FileKind::kSocketPair;
  const uint64_t inode = found.info.st_ino, device = found.info.st_dev;
  const auto known = context.socketOf.find({device, inode});
  if (known != context.socketOf.end()) {
    file.object = known->second / 2;
    file.end = int32_t(known->second % 2);
    return {};
  }
  std::vector<image::SocketPair>& pairs = context.recording.image.socketPairs;
  file.object = uint32_t(pairs.size());
  const auto& dead = context.request.deadSockets;
  if (std::find(dead.begin(), dead.end(), inode) != dead.end()) {
    image::SocketPair& pair = pairs.emplace_back();
    pair.type = SOCK_SEQPACKET;
    pair.open[1] = false;
    context.socketOf[{device, inode}] = file.object * 2;
    return {};
  }
  auto socket = featureAllowed("sock_diag") ? readUnixSocket(inode) : Result<UnixSocket>(Error{ENOENT, ""});
  if (!socket) return refuseFamily(found);
  const FoundDescriptor* peer = socket->peer == 0 ? nullptr : holderOf(context, socket->peer, device);
  if (socket->named) return refuseFile(found, "a local socket with a name is not supported");
  if (socket->state != kEstablished && !socket->hasPeer) return refuseFile(found, "a local socket that is not connected");
  if (socket->peer != 0 && peer == nullptr) return refuseFile(found, "a local socket whose peer is outside the job");
  image::SocketPair& pair = pairs.emplace_back();
  pair.type = socket->type;
  context.socketOf[{device, inode}] = file.object * 2;
  pair.open[1] = peer != nullptr;
  BLCR_TRY(recordEnd(found, *socket, pair, 0));
  if (peer == nullptr) return {};
  context.socketOf[{device, socket->peer}] = file.object * 2 + 1;
  auto other = readUnixSocket(socket->peer);
  if (!other) return other.error();
  if (other->named) return refuseFile(*peer, "a local socket with a name is not supported");
  return recordEnd(*peer, *other, pair, 1);
}

}  // namespace blcr
