#include "dump/files/lending.h"

#include <fcntl.h>
#include <linux/kcmp.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstring>

#include "base/codes.h"
#include "base/features.h"
#include "dump/remote_socket.h"

namespace blcr {
namespace {

constexpr size_t kTogether = 128;  // SCM_MAX_FD is 253

/** A message with descriptors, as laid out in the data of a scratch. */
struct Letter {
  sockaddr_un to;
  msghdr header;
  iovec part;
  alignas(16) char control[CMSG_SPACE(kTogether * sizeof(int))];
  char byte;
};

Letter letterOf(uint64_t at, const std::string& address, std::span<const int> fds) {
  Letter letter{};
  std::memcpy(&letter.to, address.data(), address.size());
  letter.part = {reinterpret_cast<void*>(at + offsetof(Letter, byte)), 1};
  letter.header.msg_name = reinterpret_cast<void*>(at + offsetof(Letter, to));
  letter.header.msg_namelen = socklen_t(address.size());
  letter.header.msg_iov = reinterpret_cast<iovec*>(at + offsetof(Letter, part));
  letter.header.msg_iovlen = 1;
  letter.header.msg_control = reinterpret_cast<void*>(at + offsetof(Letter, control));
  letter.header.msg_controllen = CMSG_SPACE(fds.size_bytes());
  cmsghdr header{CMSG_LEN(fds.size_bytes()), SOL_SOCKET, SCM_RIGHTS};
  std::memcpy(letter.control, &header, sizeof header);
  std::memcpy(letter.control + CMSG_LEN(0), fds.data(), fds.size_bytes());
  return letter;
}

}  // namespace

bool mayCompare() {
  if (!featureAllowed("kcmp")) return false;
  return ::syscall(SYS_kcmp, ::getpid(), ::getpid(), KCMP_VM, 0, 0) == 0;
}

bool mayBorrow() {
  if (!featureAllowed("pidfd")) return false;
  const UniqueFd self(int(::syscall(SYS_pidfd_open, ::getpid(), 0)));
  const UniqueFd copy(int(::syscall(SYS_pidfd_getfd, self.get(), self.get(), 0)));
  return bool(copy);
}

UniqueFd openTask(pid_t pid, pid_t task) {
  constexpr unsigned kThread = O_EXCL;  // PIDFD_THREAD, linux/pidfd.h
  if (task != pid && !featureAllowed("pidfd_thread")) {
    errno = EINVAL;
    return {};
  }
  return UniqueFd(int(::syscall(SYS_pidfd_open, task, task == pid ? 0 : kThread)));
}

bool mayBorrowOfThreads(const std::deque<FrozenProcess>& processes) {
  return std::all_of(processes.begin(), processes.end(),
                     [](const FrozenProcess& one) { return !one.hasLostLeader() || openTask(one.pid, one.speaker()); });
}

/** Its raw result. */
static Result<long> send(const RemoteSocket& from, const std::string& address, std::span<const int> fds) {
  Foothold& foothold = *from.process().foothold;
  const Scratch& scratch = foothold.scratch();
  const Letter letter = letterOf(scratch.data(), address, fds);
  BLCR_TRY(scratch.memory().write(scratch.data(), std::as_bytes(std::span(&letter, 1))));
  RemoteCall call{SYS_sendmsg, {uint64_t(from.number()), scratch.data() + offsetof(Letter, header), MSG_NOSIGNAL | MSG_DONTWAIT}};
  BLCR_TRY(foothold.run(std::span(&call, 1)));
  return long(call.result);
}

Lending::~Lending() {
  if (socket_) static_cast<void>(::setrlimit(RLIMIT_NOFILE, &before_));
}

Status Lending::open() {
  if (::getrlimit(RLIMIT_NOFILE, &before_) != 0) return systemError("limit of descriptors");
  socket_.reset(::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  sockaddr_un name{};
  name.sun_family = AF_UNIX;
  socklen_t size = sizeof name;
  const int on = 1;
  // An address of the family alone: the kernel chooses a name that nobody has. Source: unix(7), autobind.
  const bool isBound = ::bind(socket_.get(), reinterpret_cast<sockaddr*>(&name), sizeof name.sun_family) == 0 &&
                       ::getsockname(socket_.get(), reinterpret_cast<sockaddr*>(&name), &size) == 0 &&
                       ::setsockopt(socket_.get(), SOL_SOCKET, SO_PASSCRED, &on, sizeof on) == 0;
  if (!isBound) return systemError("socket for descriptors");
  address_.assign(reinterpret_cast<const char*>(&name), size);
  const rlimit most{before_.rlim_max, before_.rlim_max};
  static_cast<void>(::setrlimit(RLIMIT_NOFILE, &most));
  return {};
}

Status Lending::receive(pid_t from, std::span<UniqueFd> into) const {
  const Error failed{kErrorTemporary, "process " + std::to_string(from) + ": its descriptors did not arrive"};
  char byte = 0;
  iovec part{&byte, 1};
  alignas(cmsghdr) char control[CMSG_SPACE(sizeof(ucred)) + CMSG_SPACE(kTogether * sizeof(int))];
  msghdr message{};
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  message.msg_control = control;
  message.msg_controllen = sizeof control;
  if (::recvmsg(socket_.get(), &message, MSG_CMSG_CLOEXEC | MSG_DONTWAIT) < 0) return failed;
  std::array<int, kTogether> numbers{};
  size_t count = 0;
  ucred sender{};
  for (cmsghdr* header = CMSG_FIRSTHDR(&message); header != nullptr; header = CMSG_NXTHDR(&message, header)) {
    if (header->cmsg_type == SCM_CREDENTIALS) std::memcpy(&sender, CMSG_DATA(header), sizeof sender);
    if (header->cmsg_type != SCM_RIGHTS) continue;
    count = (header->cmsg_len - CMSG_LEN(0)) / sizeof(int);
    std::memcpy(numbers.data(), CMSG_DATA(header), count * sizeof(int));
  }
  std::vector<UniqueFd> all;
  for (size_t index = 0; index < count; ++index) all.emplace_back(numbers[index]);
  if ((message.msg_flags & MSG_CTRUNC) != 0)
    return Error{EMFILE, "process " + std::to_string(from) + ": its descriptors are more than the keeper may have open (ulimit -n)"};
  if (sender.pid != from || count != into.size()) return failed;
  std::move(all.begin(), all.end(), into.begin());
  return {};
}

Result<std::vector<UniqueFd>> Lending::take(FrozenProcess& process, std::span<const int> fds) {
  std::vector<UniqueFd> taken(fds.size());
  if (fds.empty()) return taken;
  RemoteSocket sender(process);
  BLCR_TRY(sender.open());
  for (size_t first = 0, count = 0; first < fds.size(); first += count) {
    count = std::min(kTogether, fds.size() - first);
    auto sent = send(sender, address_, fds.subspan(first, count));
    // One of them cannot be sent: one by one then.
    if (sent && sent.value() == -EINVAL && count > 1) sent = send(sender, address_, fds.subspan(first, count = 1));
    if (!sent) return sent.error();
    if (sent.value() == -EINVAL) continue;
    if (sent.value() < 0)
      return Error{kErrorTemporary, "process " + std::to_string(process.pid) + ": it cannot lend its descriptors (" +
                                        std::strerror(int(-sent.value())) + ")"};
    BLCR_TRY(receive(process.pid, std::span(taken).subspan(first, count)));
  }
  return taken;
}

}  // namespace blcr
