#include "restore/sockets/socket_states.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/socket_address.h"
#include "restore/relocate.h"
#include "restore/sockets/actor.h"
#include "restore/sockets/lingering.h"
#include "restore/sockets/socket_doors.h"
#include "restore/sockets/socket_options.h"
#include "restore/sockets/socket_queues.h"
#include "restore/sockets/tcp_connect.h"

namespace blcr {
namespace {

using image::Socket;
using image::SocketState;

class Finisher {
 public:
  Finisher(Job& job, Sources& sources) : job_(job), sources_(sources), doors_(job.image.sockets, sources.sockets.own) {
    for (const UniqueFd& other : sources.sockets.other) hadPair_.push_back(bool(other));
  }

  Status all() {
    BLCR_TRY(doors_.bindAll());
    BLCR_TRY(fillQueues(job_, sources_, doors_));
    BLCR_TRY(connectDatagrams());
    for (uint32_t index = 0; index < count(); ++index) endPeer(index);
    for (uint32_t index = 0; index < count(); ++index) shutDown(index);
    for (uint32_t index = 0; index < count(); ++index) BLCR_TRY(listen(index));
    BLCR_TRY(doors_.setOwnersAndModes());
    for (uint32_t index = 0; index < count(); ++index) BLCR_TRY(setOptions(fd(index), socket(index), job_.log));
    return {};
  }

  void removeFiles() const { doors_.removeFiles(); }

 private:
  [[nodiscard]] uint32_t count() const { return uint32_t(job_.image.sockets.size()); }
  [[nodiscard]] const Socket& socket(uint32_t index) const { return job_.image.sockets[index]; }
  [[nodiscard]] int fd(uint32_t index) const { return sources_.sockets.own[index]; }

  [[nodiscard]] bool connectsByItself(uint32_t index) const {
    const Socket& self = socket(index);
    return self.type == SOCK_DGRAM && (self.state == SocketState::kConnected || self.state == SocketState::kClosed) &&
           !isDatagramPair(job_.image, index) && !hadPair_[index];
  }

  /** The peer that does not accept others once it is connected itself; kNone when the order does not matter. */
  [[nodiscard]] uint32_t goesBefore(uint32_t index) const {
    const Socket& self = socket(index);
    const bool mutual = self.peer == image::kNone || self.peer == index || socket(self.peer).peer == index;
    return mutual || !connectsByItself(self.peer) ? image::kNone : self.peer;
  }

  /** A local socket that is connected can be reached by its peer only: whoever leads to it comes first. */
  Status connectDatagrams() {
    std::vector<uint32_t> awaited(count(), 0), next;
    for (uint32_t index = 0; index < count(); ++index)
      if (connectsByItself(index) && goesBefore(index) != image::kNone) ++awaited[goesBefore(index)];
    for (uint32_t index = 0; index < count(); ++index)
      if (connectsByItself(index) && awaited[index] == 0) next.push_back(index);
    for (size_t at = 0; at < next.size(); ++at) {
      BLCR_TRY(connectDatagrams(next[at]));
      const uint32_t after = goesBefore(next[at]);
      if (after != image::kNone && --awaited[after] == 0) next.push_back(after);
    }
    for (uint32_t index = 0; index < count(); ++index)
      if (awaited[index] != 0) return Error{EINVAL, "sockets that are connected in a circle"};
    return {};
  }

  Status connectDatagrams(uint32_t index) {
    const Socket& self = socket(index);
    const std::string what = "connecting a socket with " + addressText(self.peerName);
    if (self.state == SocketState::kClosed) return self.domain == AF_UNIX ? orphan(index) : Status();
    if (self.peer != image::kNone) return reachByName(fd(index), doors_.addressOf(self.peer), "", what);
    const Status done = reachByName(fd(index), self.peerName, self.directory, what);
    if (done.ok()) return done;
    job_.log.line(done.error().detail + ": the program finds it gone");
    return self.domain == AF_UNIX ? orphan(index) : Status();
  }

  /** Connected with a socket that is gone: sending gives ECONNREFUSED, as after the end of a daemon. */
  Status orphan(uint32_t index) {
    const UniqueFd passing(::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0));
    if (!passing) return systemError("a socket");
    if (connectPrivately(fd(index), passing.get(), socket(index).peerName).ok()) return {};
    const sa_family_t family = AF_UNIX;  // the kernel chooses an abstract name
    if (::bind(passing.get(), reinterpret_cast<const sockaddr*>(&family), sizeof family) != 0) return systemError("a socket");
    return reachByName(fd(index), addressOf(passing.get(), ::getsockname), "", "a socket");
  }

  /** The other end goes as it went: in good order, or with an error for the program. */
  void endPeer(uint32_t index) {
    UniqueFd& other = sources_.sockets.other[index];
    const Socket& self = socket(index);
    if (!other) return;
    if (self.state == SocketState::kReset && self.domain == AF_UNIX) {
      static_cast<void>(!::send(fd(index), "", 1, MSG_DONTWAIT | MSG_NOSIGNAL));  // closing with something unread is an error
    } else if (self.state == SocketState::kReset) {
      const linger reset{1, 0};
      ::setsockopt(other.get(), SOL_SOCKET, SO_LINGER, &reset, sizeof reset);
    }
    other.reset();
  }

  void shutDown(uint32_t index) {
    const Socket& self = socket(index);
    if (self.shutRead) ::shutdown(fd(index), SHUT_RD);
    if (self.shutWrite) ::shutdown(fd(index), SHUT_WR);
  }

  Stub* taskOf(uint32_t pid) {
    for (Building& building : job_.processes)
      if (building.isAlive() && uint32_t(building.process->pid) == pid) return &building.leader();
    return nullptr;
  }

  /** The number that a process of the job has the socket by; -1 = it has none. */
  int numberIn(uint32_t pid, uint32_t index) {
    for (const Building& building : job_.processes) {
      if (uint32_t(building.process->pid) != pid) continue;
      for (const image::Descriptor& descriptor : building.process->descriptors) {
        const image::OpenFile& file = job_.image.files[descriptor.file];
        if (file.kind == image::FileKind::kSocket && file.object == index) return descriptor.fd;
      }
    }
    return -1;
  }

  /** `act` with the number of the socket in that task, which need not have one. */
  Status withSocket(Stub& stub, uint32_t pid, uint32_t index, const std::string& what, const std::function<Status(uint64_t)>& act) {
    const int number = numberIn(pid, index);
    if (number >= 0) return act(uint64_t(number));
    const auto self = stub.call(what, SYS_pidfd_open, {uint64_t(::getpid()), 0});
    if (!self.ok()) return self.error();
    const auto lent = stub.call(what, SYS_pidfd_getfd, {self.value(), uint64_t(fd(index)), 0});
    BLCR_TRY(done(stub.call(what, SYS_close, {self.value()})));
    if (!lent.ok()) return lent.error();
    const Status acted = act(lent.value());
    BLCR_TRY(done(stub.call(what, SYS_close, {lent.value()})));
    return acted;
  }

  /** Clients are told who listens, and whoever accepts them who has connected: the task that did it does it again, or one that looks like
   * it when it is gone. */
  Status startListening(uint32_t index, const std::string& what) {
    const Socket& self = socket(index);
    const image::PeerCredentials& who = self.peerCredentials;
    Stub* stub = self.domain == AF_UNIX ? taskOf(who.pid) : nullptr;
    if (stub == nullptr && self.domain == AF_UNIX)
      return actAs(who, what, [&] { return ::listen(fd(index), self.backlog) == 0 ? 0 : errno; });
    if (stub == nullptr) return ::listen(fd(index), self.backlog) == 0 ? Status() : systemError(what);
    return withSocket(*stub, who.pid, index, what, [&](uint64_t number) {
      return actIn(*stub, who, [&] { return done(stub->call(what, SYS_listen, {number, uint64_t(self.backlog)})); });
    });
  }

  Status listen(uint32_t index) {
    const Socket& self = socket(index);
    if (self.state != SocketState::kListening) return {};
    if (self.domain != AF_UNIX)
      for (const uint32_t client : self.waiting) static_cast<void>(endLingering(portOf(socket(client).name)));  // while nobody listens yet
    BLCR_TRY(startListening(index, "listening at " + addressText(self.name)));
    for (const uint32_t client : self.waiting) BLCR_TRY(connectWaiting(client, self));
    return {};
  }

  /** A client that has connected and is yet to be accepted. */
  Status connectWaiting(uint32_t client, const Socket& listener) {
    const Socket& self = socket(client);
    if (listener.domain != AF_UNIX) return connectFrom(fd(client), self.name, self.peerName);
    const std::string what = "connecting with " + addressText(listener.name);
    const image::PeerCredentials& who = self.peerCredentials;
    Stub* stub = taskOf(who.pid);
    if (stub == nullptr) return Error{EINVAL, what + ": the client is nobody's"};
    return withSocket(*stub, who.pid, client, what, [&](uint64_t number) {
      return actIn(*stub, who, [&] {
        const SocketAddress to(doors_.addressOf(self.peer, "/proc/" + std::to_string(::getpid())));
        const auto at = stub->put(std::as_bytes(std::span(reinterpret_cast<const char*>(to.get()), to.size())));
        return at.ok() ? done(stub->call(what, SYS_connect, {number, at.value(), to.size()})) : Status(at.error());
      });
    });
  }

  Job& job_;
  Sources& sources_;
  SocketDoors doors_;
  std::vector<bool> hadPair_;  // made together with an end that is gone
};

Result<std::string> relocatedName(const RestoreRequest& request, const std::string& name) {
  const std::string path = socketPath(name);
  if (!path.starts_with('/')) return name;
  const std::string moved = relocated(request.relocate, path);
  if (moved == path) return name;
  if (moved.size() >= sizeof(sockaddr_un::sun_path)) return Error{ENAMETOOLONG, "the socket file " + path + " would become " + moved};
  return localName(moved);
}

}  // namespace

Status finishSockets(Job& job, Sources& sources) {
  Finisher finisher(job, sources);
  const Status status = finisher.all();
  if (!status.ok()) finisher.removeFiles();
  return status;
}

Status relocateSockets(image::Image& image, const RestoreRequest& request) {
  for (Socket& socket : image.sockets) {
    socket.directory = relocated(request.relocate, socket.directory);
    std::vector<std::string*> names = {&socket.name, &socket.peerName};
    for (image::SocketMessage& message : socket.queue) names.push_back(&message.sender);
    for (std::string* name : names) {
      auto moved = relocatedName(request, *name);
      if (!moved.ok()) return moved.error();
      *name = *std::move(moved);
    }
  }
  return {};
}

}  // namespace blcr
