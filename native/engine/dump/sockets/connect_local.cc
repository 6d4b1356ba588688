// AF_UNIX: peers, backlogs, and the files that sockets are bound to.
#include <linux/sockios.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include "base/codes.h"
#include "base/io.h"
#include "base/socket_address.h"
#include "dump/sockets/connect_sockets.h"
#include "dump/sockets/peer_credentials.h"
#include "proc/file_system.h"

namespace blcr {
namespace {

using image::SocketState;

class Local {
 public:
  Local(FileContext& context, const ObjectKey& key, LiveSocket& live)
      : context_(context), device_(key.first), live_(live), self_(context.socketOf.at(key)) {}

  Status connect() {
    BLCR_TRY(findFile());
    if (live_.local.state == TCP_LISTEN) return listen();
    socket().shutRead = live_.local.shutRead;
    socket().shutWrite = live_.local.shutWrite;
    if (live_.type == SOCK_DGRAM) return datagrams();
    return stream();
  }

 private:
  [[nodiscard]] image::Socket& socket() { return context_.recording.image.sockets[self_]; }
  [[nodiscard]] const FoundDescriptor& found() const { return context_.found[live_.found]; }
  [[nodiscard]] const LiveSocket* liveOf(uint64_t inode) const {
    const auto entry = context_.sockets.find({device_, inode});
    return entry == context_.sockets.end() ? nullptr : &entry->second;
  }
  [[nodiscard]] uint32_t indexOf(uint64_t inode) const {
    const auto entry = context_.socketOf.find({device_, inode});
    return entry == context_.socketOf.end() ? image::kNone : entry->second;
  }
  [[nodiscard]] bool closesOutside() const { return context_.request.local == ConnectionPolicy::kClose; }

  Status refuseOutside(const char* what) {
    const std::string to = addressText(live_.peerName);
    return refuseFile(found(), std::string(what) + (to.empty() ? "" : " (" + to + ")") + " (--unix close lets it be closed)");
  }

  /** Whether, relative to `directory`, the recorded name still leads to this very socket. */
  bool leadsHere(const std::string& directory, const std::string& path) {
    struct stat info{};
    const std::string full = pathFrom(directory, path);
    if (::lstat(full.c_str(), &info) != 0 || !S_ISSOCK(info.st_mode) || uint32_t(info.st_ino) != live_.local.fileInode) return false;
    if (!isOnFileSystem(full, info.st_dev, live_.local.fileDevice)) return false;
    socket().fileMode = info.st_mode & 07777;
    socket().fileUid = info.st_uid;
    socket().fileGid = info.st_gid;
    socket().directory = directory;
    return true;
  }

  /** Bound by a relative name, and nobody works in that directory any more. */
  void findDirectory(const std::string& path) {
    const std::string full = context_.recording.paths.find(live_.local.fileInode, live_.local.fileDevice, path);
    if (full.size() <= path.size() || !full.ends_with("/" + path)) return;
    socket().unlinked = !leadsHere(full.substr(0, std::max<size_t>(full.size() - path.size() - 1, 1)), path);
  }

  /** Others would come by a name that cannot be given by bind(). Who is connected is not waited for by anybody. */
  Status refuseRenamed(const std::string& path) {
    if (live_.local.state == TCP_ESTABLISHED) return {};
    const std::string full = pathFrom(socket().directory, path);
    const std::string directory = full.substr(0, std::max<size_t>(full.rfind('/'), 1));
    const std::string found = context_.recording.paths.findIn(directory, live_.local.fileInode, live_.local.fileDevice);
    return found.empty() ? Status() : refuseFile(this->found(), "the socket file " + path + " was renamed to " + found);
  }

  Status findFile() {
    const std::string path = socketPath(live_.name);
    if (path.empty()) return {};
    socket().unlinked = true;
    for (const FoundDescriptor& holder : context_.found) {
      if (holder.info.st_ino != found().info.st_ino || holder.info.st_dev != device_) continue;
      const auto directory = readLink("/proc/" + std::to_string(holder.task) + "/cwd");
      if (!directory.ok()) continue;
      if (socket().directory.empty()) socket().directory = directory.value();
      socket().unlinked = !leadsHere(directory.value(), path);
      if (!socket().unlinked) return {};
      if (path.starts_with('/')) return refuseRenamed(path);
    }
    findDirectory(path);
    return socket().unlinked ? refuseRenamed(path) : Status();
  }

  Status listen() {
    socket().state = SocketState::kListening;
    socket().backlog = int32_t(live_.local.limit);
    for (const uint32_t inode : live_.local.waiting) {
      const uint32_t client = inode == 0 ? image::kNone : indexOf(inode);
      if (inode == 0) return Error{kErrorTemporary, found().name() + ": a connection that its client has closed waits to be accepted"};
      if (client == image::kNone && closesOutside()) continue;
      if (client == image::kNone) return refuseOutside("a client outside the job waits to be accepted");
      const LiveSocket& waiting = *liveOf(inode);
      int sent = 0;
      if (::ioctl(waiting.fd.get(), SIOCOUTQ, &sent) == 0 && sent > 0)
        return Error{kErrorTemporary, found().name() + ": a connection that waits to be accepted has data in it"};
      auto connector = connectorOf(context_, found(), waiting);
      if (!connector) return connector.error();
      image::Socket& pending = context_.recording.image.sockets[client];
      pending.state = SocketState::kPending;
      pending.peer = self_;
      pending.peerCredentials = *std::move(connector);
      socket().waiting.push_back(client);
    }
    return {};
  }

  /** A listener may come later in the table than its clients. */
  bool isWaiting() {
    if (socket().state == SocketState::kPending) return true;
    const uint64_t inode = found().info.st_ino;
    for (const auto& [key, other] : context_.sockets)
      for (const uint32_t client : other.local.waiting)
        if (client == uint32_t(inode)) return true;
    return false;
  }

  Status stream() {
    image::Socket& self = socket();
    if (!live_.local.hasPeer || isWaiting()) return {};
    const bool gone = live_.local.peer == 0 && live_.local.shutRead && live_.local.shutWrite;
    const uint32_t peer = live_.local.peer == 0 ? image::kNone : indexOf(live_.local.peer);
    if (peer != image::kNone) {
      self.state = SocketState::kConnected;
      self.peer = peer;
      self.inheritsName = wasAccepted(*liveOf(live_.local.peer));
      return {};
    }
    if (!gone && !closesOutside()) return refuseOutside("its peer is outside the job");
    self.state = (live_.events & POLLERR) != 0 ? SocketState::kReset : SocketState::kClosed;
    self.inheritsName = !self.name.empty() && (self.peerName.empty() || isListenersName());
    return {};
  }

  [[nodiscard]] bool isListenersName() const {
    for (const auto& [key, other] : context_.sockets)
      if (other.local.state == TCP_LISTEN && other.name == live_.name) return true;
    return false;
  }

  /** An accepted socket has the name of the one that listened; a client's name is its own. */
  bool wasAccepted(const LiveSocket& peer) {
    if (live_.name.empty()) return false;
    if (peer.name.empty() || isListenersName()) return true;
    for (const auto& [key, other] : context_.sockets)
      if (other.local.state == TCP_LISTEN && other.name == peer.name) return false;
    return found().info.st_ino > context_.found[peer.found].info.st_ino;  // the listener is gone: who is younger was accepted
  }

  Status datagrams() {
    image::Socket& self = socket();
    if (!live_.local.hasPeer) return {};
    self.peer = live_.local.peer == 0 ? image::kNone : indexOf(live_.local.peer);
    if (live_.local.peer == 0) {
      self.state = SocketState::kClosed;
      return {};
    }
    self.state = SocketState::kConnected;
    if (self.peer == image::kNone) {
      if (!live_.peerName.empty()) return {};  // found again by its name, like the system's log
      if (!closesOutside()) return refuseOutside("its peer is outside the job");
      self.state = SocketState::kClosed;
      return {};
    }
    const LiveSocket& peer = *liveOf(live_.local.peer);
    const bool mutual = peer.local.peer == found().info.st_ino;
    if (!mutual && live_.peerName.empty()) return refuseFile(found(), "it is connected with a socket that has no name");
    return {};
  }

  FileContext& context_;
  uint64_t device_;
  LiveSocket& live_;
  uint32_t self_;
};

}  // namespace

Status connectLocal(FileContext& context, const ObjectKey& key, LiveSocket& live) { return Local(context, key, live).connect(); }

}  // namespace blcr
