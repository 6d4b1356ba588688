#include "dump/sockets/socket_queue.h"

#include <linux/sockios.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include <cstring>
#include <optional>
#include <set>

namespace blcr {
namespace {

constexpr size_t kMaxMessage = 4 << 20;
constexpr size_t kMaxPassed = 253;  // SCM_MAX_FD

/** A socket option for the time of a peek. */
class BorrowedOption {
 public:
  BorrowedOption(int fd, int name, int value) : fd_(fd), name_(name) {
    socklen_t size = sizeof before_;
    if (::getsockopt(fd_, SOL_SOCKET, name_, &before_, &size) != 0) return;
    active_ = before_ == value || ::setsockopt(fd_, SOL_SOCKET, name_, &value, sizeof value) == 0;
    changed_ = active_ && before_ != value;
  }
  ~BorrowedOption() {
    if (changed_ || name_ == SO_PEEK_OFF) ::setsockopt(fd_, SOL_SOCKET, name_, &before_, sizeof before_);
  }
  BorrowedOption(const BorrowedOption&) = delete;
  BorrowedOption& operator=(const BorrowedOption&) = delete;
  [[nodiscard]] bool active() const { return active_; }

 private:
  int fd_, name_;
  int before_ = -1;
  bool active_ = false, changed_ = false;
};

/**
 * Sockets in which a look has found messages without content. The kernel marks such a message as seen and shows it to no later look, so
 * what waits behind the first message of all can be told once only.
 */
class EmptyMessages {
 public:
  explicit EmptyMessages(int fd) {
    socklen_t size = sizeof cookie_;
    ::getsockopt(fd, SOL_SOCKET, SO_COOKIE, &cookie_, &size);
  }
  [[nodiscard]] bool wereSeen() const { return all().contains(cookie_); }
  void remember() const { all().insert(cookie_); }
  void forget() const { all().erase(cookie_); }

 private:
  static std::set<uint64_t>& all() {
    static std::set<uint64_t> sockets;
    return sockets;
  }
  uint64_t cookie_ = 0;
};

struct Received {
  ssize_t count = 0;
  int flags = 0;
  QueuedMessage message;
};

void takeControl(msghdr& header, QueuedMessage& message) {
  for (cmsghdr* control = CMSG_FIRSTHDR(&header); control != nullptr; control = CMSG_NXTHDR(&header, control)) {
    if (control->cmsg_level != SOL_SOCKET) continue;
    if (control->cmsg_type == SCM_CREDENTIALS) {
      ucred sender{};
      std::memcpy(&sender, CMSG_DATA(control), sizeof sender);
      if (sender.pid > 0) message.pid = uint32_t(sender.pid), message.uid = sender.uid, message.gid = sender.gid;
    }
    if (control->cmsg_type != SCM_RIGHTS) continue;
    const size_t count = (control->cmsg_len - CMSG_LEN(0)) / sizeof(int);
    for (size_t i = 0; i < count; ++i) {
      int fd = -1;
      std::memcpy(&fd, CMSG_DATA(control) + i * sizeof fd, sizeof fd);
      message.passed.emplace_back(fd);
    }
  }
}

Received peekOne(int fd, std::vector<char>& buffer) {
  Received received;
  iovec part{buffer.data(), buffer.size()};
  alignas(cmsghdr) char control[CMSG_SPACE(kMaxPassed * sizeof(int)) + CMSG_SPACE(sizeof(ucred)) + 512];
  sockaddr_storage sender{};
  msghdr header{};
  header.msg_iov = &part;
  header.msg_iovlen = 1;
  header.msg_control = control;
  header.msg_controllen = sizeof control;
  header.msg_name = &sender;
  header.msg_namelen = sizeof sender;
  received.count = ::recvmsg(fd, &header, MSG_PEEK | MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
  if (received.count < 0) return received;
  received.flags = header.msg_flags;
  received.message.data.assign(buffer.data(), size_t(received.count));
  received.message.sender.assign(reinterpret_cast<const char*>(&sender), std::min<size_t>(header.msg_namelen, sizeof sender));
  takeControl(header, received.message);
  return received;
}

bool continues(const QueuedMessage& last, const QueuedMessage& next) {
  return next.passed.empty() && last.passed.empty() && last.pid == next.pid && last.uid == next.uid && last.gid == next.gid;
}

/** Bytes of all messages together where the kernel tells; of the first message only for datagrams. */
size_t waitingBytes(int fd) {
  int waiting = 0;
  return ::ioctl(fd, SIOCINQ, &waiting) == 0 && waiting > 0 ? size_t(waiting) : 0;
}

short events(int fd) {
  pollfd entry{fd, POLLIN | POLLRDHUP, 0};
  return ::poll(&entry, 1, 0) >= 0 ? entry.revents : short(0);
}

}  // namespace

Result<std::vector<QueuedMessage>> peekQueue(int fd, int domain, int type) {
  std::vector<QueuedMessage> queue;
  const short state = events(fd);
  const size_t total = waitingBytes(fd);
  const EmptyMessages empty(fd);
  if ((state & POLLIN) == 0 && total == 0) {
    empty.forget();
    return queue;
  }
  if (type == SOCK_STREAM && total == 0) return queue;  // only the end of the stream, or an error that belongs to the program
  if ((state & POLLERR) != 0 && type != SOCK_STREAM) return Error{EBUSY, "an error waits to be read"};
  if (empty.wereSeen())
    return Error{EBUSY, "an empty message that an earlier checkpoint has seen may still wait in it; again when all is read"};
  const BorrowedOption offset(fd, SO_PEEK_OFF, 0);
  if (!offset.active()) return systemError("peek");
  std::optional<BorrowedOption> credentials;
  if (domain == AF_UNIX) credentials.emplace(fd, SO_PASSCRED, 1);
  static std::vector<char> buffer(kMaxMessage);
  const bool ends = type != SOCK_DGRAM && (state & POLLRDHUP) != 0;
  for (size_t bytes = 0; type != SOCK_STREAM || bytes < total;) {
    Received received = peekOne(fd, buffer);
    if (received.count < 0 && errno == EAGAIN) break;
    if (received.count < 0) return systemError("peek");
    if ((received.flags & MSG_TRUNC) != 0) return Error{EMSGSIZE, "a message of more than 4 MiB is under way"};
    if ((received.flags & MSG_CTRUNC) != 0) return Error{EMFILE, "more descriptors are under way than this process may hold"};
    if (received.count == 0 && ((ends && bytes >= total) || type == SOCK_STREAM)) break;
    if (received.count == 0) empty.remember();
    bytes += size_t(received.count);
    if (type == SOCK_STREAM && !queue.empty() && continues(queue.back(), received.message))
      queue.back().data += received.message.data;
    else
      queue.push_back(std::move(received.message));
  }
  return queue;
}

Result<std::string> peekStream(int fd) {
  std::string data;
  const size_t total = waitingBytes(fd);
  if (total == 0) return data;
  const BorrowedOption offset(fd, SO_PEEK_OFF, -1);  // fails before Linux 6.9, which knows no such offset for TCP
  data.resize(total);
  const ssize_t count = ::recv(fd, data.data(), data.size(), MSG_PEEK | MSG_DONTWAIT);
  if (count < 0) return systemError("peek");
  if (size_t(count) != total) return Error{EIO, "its queue could not be copied whole"};
  return data;
}

}  // namespace blcr
