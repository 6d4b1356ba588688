#include "restore/socket_states.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>

#include "base/socket_address.h"
#include "restore/actor.h"
#include "restore/lingering.h"
#include "restore/relocate.h"
#include "restore/socket_options.h"
#include "restore/socket_queues.h"
#include "restore/tcp_connect.h"

namespace blcr {
namespace {

using image::Socket;
using image::SocketState;

class Finisher {
 public:
  Finisher(Job& job, Sources& sources) : job_(job), sources_(sources) {}

  Status all() {
    for (const bool unlinked : {true, false})  // a file that took the place of an unlinked one comes after it
      for (uint32_t index = 0; index < count(); ++index)
        if (socket(index).unlinked == unlinked) BLCR_TRY(bindToFile(index));
    BLCR_TRY(fillQueues(job_, sources_));
    for (uint32_t index = 0; index < count(); ++index) BLCR_TRY(connectDatagrams(index));
    for (uint32_t index = 0; index < count(); ++index) endPeer(index);
    for (uint32_t index = 0; index < count(); ++index) shutDown(index);
    for (uint32_t index = 0; index < count(); ++index) BLCR_TRY(listen(index));
    for (uint32_t index = 0; index < count(); ++index) BLCR_TRY(setOptions(fd(index), socket(index), job_.log));
    return {};
  }

  void removeFiles() {
    for (const auto& [directory, path] : files_) ::unlink(path.starts_with('/') ? path.c_str() : (directory + "/" + path).c_str());
  }

 private:
  [[nodiscard]] uint32_t count() const { return uint32_t(job_.image.sockets.size()); }
  [[nodiscard]] const Socket& socket(uint32_t index) const { return job_.image.sockets[index]; }
  [[nodiscard]] int fd(uint32_t index) const { return sources_.sockets.own[index]; }

  /** Runs what takes a path: relative ones need another working directory than ours. */
  static Status withPath(const std::string& name, const std::string& directory, const std::string& what, const std::function<int()>& act) {
    const std::string path = socketPath(name);
    if (path.empty() || path.starts_with('/')) {
      errno = act();
      return errno == 0 ? Status() : systemError(what);
    }
    return actAs(0, what, [&] { return ::chdir(directory.c_str()) == 0 ? act() : errno; });
  }

  /** A file of the name may be in the way: of an earlier life of the job when nobody listens at it. */
  static int clearPath(const std::string& path, const SocketAddress& address, int type) {
    struct stat info{};
    if (::lstat(path.c_str(), &info) != 0) return errno == ENOENT ? 0 : errno;
    if (!S_ISSOCK(info.st_mode)) return EEXIST;
    const UniqueFd probe(::socket(AF_UNIX, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
    if (::connect(probe.get(), address.get(), address.size()) == 0 || errno != ECONNREFUSED) return EADDRINUSE;
    return ::unlink(path.c_str()) == 0 ? 0 : errno;
  }

  Status bindToFile(uint32_t index) {
    const Socket& self = socket(index);
    const std::string path = socketPath(self.name);
    if (self.domain != AF_UNIX || path.empty() || self.inheritsName) return {};
    const SocketAddress address(self.name);
    const std::string what = "the socket file " + path;
    if (self.unlinked)  // no file remains: made and lost where nobody sees it
      return actAs(0, what, [&]() -> int {
        if (const int code = enterEmptyRoot(path, self.directory); code != 0) return code;
        return ::bind(fd(index), address.get(), address.size()) == 0 ? 0 : errno;
      });
    BLCR_TRY(withPath(self.name, self.directory, what, [&]() -> int {
      if (const int code = clearPath(path, address, self.type); code != 0) return code;
      if (::bind(fd(index), address.get(), address.size()) != 0) return errno;
      struct stat info{};
      if (::lstat(path.c_str(), &info) != 0) return errno;
      if ((info.st_uid != self.fileUid || info.st_gid != self.fileGid) && ::lchown(path.c_str(), self.fileUid, self.fileGid) != 0)
        errno = 0;  // a user's own group is good enough where supplementary ones cannot be mapped
      return (info.st_mode & 07777) == self.fileMode || ::chmod(path.c_str(), self.fileMode) == 0 ? 0 : errno;
    }));
    files_.emplace_back(self.directory, path);
    return {};
  }

  Status connectDatagrams(uint32_t index) {
    const Socket& self = socket(index);
    if (self.type != SOCK_DGRAM || self.state != SocketState::kConnected) return {};
    const bool paired = self.domain == AF_UNIX && self.peer != image::kNone && socket(self.peer).peer == index;
    if (paired && !self.inheritsName) return {};  // made as a pair
    const SocketAddress peer(self.peerName);
    const std::string& directory = self.peer == image::kNone ? self.directory : socket(self.peer).directory;
    const Status done = withPath(self.peerName, directory, "connecting a socket with " + addressText(self.peerName),
                                 [&] { return ::connect(fd(index), peer.get(), peer.size()) == 0 ? 0 : errno; });
    if (done.ok() || self.peer != image::kNone) return done;
    job_.log.line(done.error().detail + ": the program finds it gone");
    return self.domain == AF_UNIX ? orphan(index) : Status();
  }

  /** Connected with a socket that is gone: sending gives ECONNREFUSED, as after the end of a daemon. */
  Status orphan(uint32_t index) {
    const UniqueFd passing(::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0));
    const sa_family_t family = AF_UNIX;  // the kernel chooses an abstract name
    if (!passing || ::bind(passing.get(), reinterpret_cast<const sockaddr*>(&family), sizeof family) != 0) return systemError("a socket");
    const SocketAddress name(addressOf(passing.get(), ::getsockname));
    if (::connect(fd(index), name.get(), name.size()) != 0) return systemError("a socket");
    return {};
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

  /** SO_PEERCRED of clients names the process that listens. */
  Stub* holderOf(uint32_t index, uint32_t pid, int& number) {
    for (Building& building : job_.processes) {
      if (!building.isAlive() || (pid != 0 && uint32_t(building.process->pid) != pid)) continue;
      for (const image::Descriptor& descriptor : building.process->descriptors) {
        const image::OpenFile& file = job_.image.files[descriptor.file];
        if (file.kind != image::FileKind::kSocket || file.object != index) continue;
        number = descriptor.fd;
        return &building.leader();
      }
    }
    return nullptr;
  }

  Status listen(uint32_t index) {
    const Socket& self = socket(index);
    if (self.state != SocketState::kListening) return {};
    const std::string what = "listening at " + addressText(self.name);
    if (self.domain != AF_UNIX)
      for (const uint32_t client : self.waiting) static_cast<void>(endLingering(portOf(socket(client).name)));  // while nobody listens yet
    int number = -1;
    Stub* stub = self.domain == AF_UNIX && self.peerPid != 0 ? holderOf(index, self.peerPid, number) : nullptr;
    if (stub != nullptr) {
      if (auto done = stub->call(what, SYS_listen, {uint64_t(number), uint64_t(self.backlog)}); !done.ok()) return done.error();
    } else if (::listen(fd(index), self.backlog) != 0) {
      return systemError(what);
    }
    for (const uint32_t client : self.waiting) BLCR_TRY(connectWaiting(client, self));
    return {};
  }

  /** A client that has connected and is yet to be accepted. */
  Status connectWaiting(uint32_t client, const Socket& listener) {
    const Socket& self = socket(client);
    if (listener.domain != AF_UNIX) return connectFrom(fd(client), self.name, self.peerName);
    const SocketAddress to(listener.name);
    const std::string what = "connecting with " + addressText(listener.name);
    int number = -1;
    const std::string path = socketPath(listener.name);
    Stub* stub = path.empty() || path.starts_with('/') ? holderOf(client, 0, number) : nullptr;
    if (stub == nullptr || listener.unlinked)
      return withPath(listener.name, listener.directory, what, [&] { return ::connect(fd(client), to.get(), to.size()) == 0 ? 0 : errno; });
    const auto at = stub->put(std::as_bytes(std::span(reinterpret_cast<const char*>(to.get()), to.size())));
    if (!at.ok()) return at.error();
    auto done = stub->call(what, SYS_connect, {uint64_t(number), at.value(), to.size()});
    if (!done.ok()) return done.error();
    return {};
  }

  Job& job_;
  Sources& sources_;
  std::vector<std::pair<std::string, std::string>> files_;
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
