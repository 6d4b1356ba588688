#include "restore/sockets/socket_queues.h"

#include <netinet/in.h>
#include <signal.h>
#include <sys/socket.h>

#include "base/clock.h"
#include "base/socket_address.h"
#include "base/tcp_room.h"
#include "restore/sockets/actor.h"

namespace blcr {
namespace {

using image::Socket;
using image::SocketMessage;
using image::SocketState;

constexpr int kPatienceMs = 1000;

/** A message as sendmsg takes it. */
class Outgoing {
 public:
  Outgoing(const Job& job, const Sources& sources, const SocketMessage& message, const std::string& receiver)
      : message_(message), receiver_(receiver) {
    if (!message.files.empty()) {
      std::vector<int> fds;
      for (const uint32_t file : message.files) fds.push_back(sources.files[file]);
      add(SCM_RIGHTS, fds.data(), fds.size() * sizeof(int));
    }
    if (message.pid == 0) return;
    sender_ = uint32_t(job.numbers(int32_t(message.pid)));
    const ucred credentials{pid_t(sender_), message.uid, message.gid};
    add(SCM_CREDENTIALS, &credentials, sizeof credentials);
  }

  /** Bytes taken, or -errno. Credentials name a process that must exist: one that has ended is impersonated. */
  [[nodiscard]] ssize_t send(int fd, size_t from) {
    const bool ended = sender_ != 0 && ::kill(pid_t(sender_), 0) != 0;
    if (!ended) return sendFrom(fd, from);
    ssize_t sent = -EIO;
    const Status done = actAs(sender_, "sending a message", [&] {
      const ssize_t count = sendFrom(fd, from);
      return count < 0 ? int(-count) : 0;
    });
    sent = done.ok() ? ssize_t(message_.data.size() - from) : -done.error().code;
    return sent;
  }

 private:
  void add(int type, const void* data, size_t size) {
    const size_t at = control_.size();
    control_.resize(at + CMSG_SPACE(size));
    cmsghdr header{};
    header.cmsg_level = SOL_SOCKET;
    header.cmsg_type = type;
    header.cmsg_len = CMSG_LEN(size);
    std::memcpy(control_.data() + at, &header, sizeof header);
    std::memcpy(control_.data() + at + CMSG_LEN(0), data, size);
  }

  ssize_t sendFrom(int fd, size_t from) {
    iovec part{const_cast<char*>(message_.data.data()) + from, message_.data.size() - from};
    const SocketAddress to(receiver_);
    msghdr header{};
    header.msg_iov = &part;
    header.msg_iovlen = 1;
    if (!receiver_.empty()) header.msg_name = const_cast<sockaddr*>(to.get()), header.msg_namelen = to.size();
    if (from == 0 && !control_.empty()) header.msg_control = control_.data(), header.msg_controllen = control_.size();
    const ssize_t count = ::sendmsg(fd, &header, MSG_DONTWAIT | MSG_NOSIGNAL);
    return count < 0 ? -errno : count;
  }

  const SocketMessage& message_;
  const std::string& receiver_;
  std::vector<char> control_;
  uint32_t sender_ = 0;
};

class Filler {
 public:
  Filler(Job& job, const Sources& sources, const SocketDoors& doors) : job_(job), sources_(sources), doors_(doors) {}

  Status all() {
    for (uint32_t index = 0; index < job_.image.sockets.size(); ++index)
      for (const SocketMessage& message : job_.image.sockets[index].queue) BLCR_TRY(deliver(index, message));
    return {};
  }

 private:
  struct Way {
    int fd = -1;
    std::string receiver;  // "": the socket is connected
    UniqueFd temporary;
  };

  [[nodiscard]] const Socket& socket(uint32_t index) const { return job_.image.sockets[index]; }

  /** The other end of a connection, or of a pair of datagram sockets. */
  [[nodiscard]] int otherEnd(uint32_t index) const {
    const Socket& self = socket(index);
    if (sources_.sockets.other[index]) return sources_.sockets.other[index].get();
    const bool connected = self.type == SOCK_DGRAM
                               ? isDatagramPair(job_.image, index)
                               : self.peer != image::kNone && socket(self.peer).peer == index && self.state == SocketState::kConnected;
    return connected ? sources_.sockets.own[self.peer] : -1;
  }

  [[nodiscard]] int holderOf(const std::string& name, int domain) const {
    for (uint32_t index = 0; index < job_.image.sockets.size(); ++index) {
      const Socket& each = socket(index);
      if (each.domain != domain || each.type != SOCK_DGRAM || each.name.empty()) continue;
      if (each.name == name) return sources_.sockets.own[index];
      // Bound to every address: the port is all that the sender is known by.
      if (domain != AF_UNIX && portOf(each.name) == portOf(name) && each.name == withPort(anyOf(each.name), portOf(name)))
        return sources_.sockets.own[index];
    }
    return -1;
  }

  static std::string anyOf(std::string name) {
    std::fill(name.begin() + sizeof(sa_family_t), name.end(), '\0');
    return name;
  }

  /** Where a datagram can be sent that this socket is to receive: bound to every address, it is reached through loopback. */
  [[nodiscard]] std::string reachable(uint32_t index) const {
    const Socket& self = socket(index);
    if (self.domain == AF_UNIX) return doors_.addressOf(index);
    if (self.name != withPort(anyOf(self.name), portOf(self.name))) return self.name;
    sockaddr_storage address{};
    std::memcpy(&address, self.name.data(), std::min(self.name.size(), sizeof address));
    if (address.ss_family == AF_INET)
      reinterpret_cast<sockaddr_in&>(address).sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    else
      reinterpret_cast<sockaddr_in6&>(address).sin6_addr = in6addr_loopback;
    return std::string(reinterpret_cast<const char*>(&address), self.name.size());
  }

  Result<Way> wayTo(uint32_t index, const SocketMessage& message) {
    const Socket& self = socket(index);
    Way way;
    way.fd = self.domain == AF_UNIX || self.type == SOCK_STREAM ? otherEnd(index) : -1;
    const bool fromPeer =
        message.sender.empty() || self.type != SOCK_DGRAM || (self.peer != image::kNone && socket(self.peer).name == message.sender);
    if (way.fd >= 0 && (fromPeer || self.name.empty())) return way;
    way.receiver = reachable(index);
    way.fd = message.sender.empty() ? -1 : holderOf(message.sender, self.domain);
    if (way.fd >= 0 && !way.receiver.empty()) return way;
    way.temporary = UniqueFd(::socket(self.domain, self.type | SOCK_CLOEXEC, self.domain == AF_UNIX ? 0 : self.protocol));
    way.fd = way.temporary.get();
    if (way.fd < 0 || way.receiver.empty()) return Error{ENOTSUP, "a message from a socket that is gone, to one without a name"};
    BLCR_TRY(impersonate(way.fd, message.sender));
    return way;
  }

  /** The sender has gone; its name remains in the message. */
  static Status impersonate(int fd, const std::string& sender) {
    if (sender.empty()) return {};
    const std::string path = socketPath(sender);
    const SocketAddress from(sender);
    const auto bindIt = [&] { return ::bind(fd, from.get(), from.size()) == 0 ? 0 : errno; };
    const std::string what = "a message from " + addressText(sender);
    if (path.empty()) {
      errno = bindIt();
      return errno == 0 ? Status() : systemError(what);
    }
    return actAs(0, what, [&] {
      const int code = enterEmptyRoot(path, "/");
      return code != 0 ? code : bindIt();
    });
  }

  Status deliver(uint32_t index, const SocketMessage& message) {
    auto way = wayTo(index, message);
    const Socket& self = socket(index);
    if (!way.ok()) {
      if (self.domain == AF_UNIX) return way.error();
      // Datagrams may be lost on any network; one with a false sender would be wrong.
      job_.log.line("a datagram for " + addressText(self.name) + " is lost: " + way.error().detail);
      return {};
    }
    Outgoing outgoing(job_, sources_, message, way->receiver);
    ReceiverRoom room(sources_.sockets.own[index]);
    size_t sent = 0;
    int waited = 0;
    do {
      const ssize_t count = outgoing.send(way->fd, sent);
      if (count >= 0) {
        sent += size_t(count);
        continue;
      }
      if (count != -EAGAIN || self.domain == AF_UNIX || ++waited > kPatienceMs) return tooMuch(self, message, int(-count));
      room.offer();
      sleepUs(1000);
    } while (sent < message.data.size());
    return {};
  }

  static Error tooMuch(const Socket& self, const SocketMessage& message, int code) {
    errno = code;
    Error error = systemError("a socket" + (self.name.empty() ? "" : " at " + addressText(self.name)) + " with " +
                              std::to_string(message.data.size()) + " bytes queued");
    if (code == EAGAIN) error.code = ENOBUFS;
    return error;
  }

  Job& job_;
  const Sources& sources_;
  const SocketDoors& doors_;
};

}  // namespace

Status fillQueues(Job& job, const Sources& sources, const SocketDoors& doors) { return Filler(job, sources, doors).all(); }

}  // namespace blcr
