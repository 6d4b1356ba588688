#include "restore/sockets/socket_doors.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/io.h"
#include "base/socket_address.h"
#include "restore/sockets/actor.h"

namespace blcr {
namespace {

using image::Socket;

/** Only the owner may connect with what is bound meanwhile. */
class PrivateFiles {
 public:
  PrivateFiles() : before_(::umask(0177)) {}
  ~PrivateFiles() { ::umask(before_); }
  PrivateFiles(const PrivateFiles&) = delete;
  PrivateFiles& operator=(const PrivateFiles&) = delete;

 private:
  mode_t before_;
};

/** A file of the name may be in the way: of an earlier life of the job when nobody listens at it. */
int clearPath(const std::string& path, const SocketAddress& address, int type) {
  struct stat info{};
  if (::lstat(path.c_str(), &info) != 0) return errno == ENOENT ? 0 : errno;
  if (!S_ISSOCK(info.st_mode)) return EEXIST;
  const UniqueFd probe(::socket(AF_UNIX, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (::connect(probe.get(), address.get(), address.size()) == 0 || errno != ECONNREFUSED) return EADDRINUSE;
  return ::unlink(path.c_str()) == 0 ? 0 : errno;
}

/** Binds, and opens the file at the number `door`. 0 or an errno value. */
int bindAndOpen(int fd, const std::string& path, const SocketAddress& address, int door) {
  const PrivateFiles files;
  if (::bind(fd, address.get(), address.size()) != 0) return errno;
  const UniqueFd file(::open(path.c_str(), O_PATH | O_NOFOLLOW | O_CLOEXEC));
  return file && ::dup3(file.get(), door, O_CLOEXEC) == door ? 0 : errno;
}

bool hasFile(const Socket& socket) { return socket.domain == AF_UNIX && !socketPath(socket.name).empty() && !socket.inheritsName; }

std::string pathOf(const Socket& socket) { return pathFrom(socket.directory, socketPath(socket.name)); }

/** Runs what takes a path: a relative one needs another working directory than ours. */
Status inDirectory(const std::string& path, const std::string& directory, const std::string& what, const std::function<int()>& act) {
  if (path.empty() || path.starts_with('/')) {
    errno = act();
    return errno == 0 ? Status() : systemError(what);
  }
  return actAs(0, what, [&] { return ::chdir(directory.c_str()) == 0 ? act() : errno; });
}

}  // namespace

Status reachByName(int fd, const std::string& peerName, const std::string& directory, const std::string& what) {
  const SocketAddress peer(peerName);
  return inDirectory(socketPath(peerName), directory, what, [&] { return ::connect(fd, peer.get(), peer.size()) == 0 ? 0 : errno; });
}

void removeSocketFiles(const std::vector<Socket>& sockets) {
  for (const Socket& socket : sockets)
    if (hasFile(socket) && !socket.unlinked) ::unlink(pathOf(socket).c_str());
}

Status SocketDoors::bindAll() {
  for (const bool unlinked : {true, false})  // a file that took the place of an unlinked one comes after it
    for (uint32_t index = 0; index < sockets_.size(); ++index)
      if (sockets_[index].unlinked == unlinked) BLCR_TRY(bindOne(index));
  return {};
}

Status SocketDoors::bindOne(uint32_t index) {
  const Socket& self = sockets_[index];
  const std::string path = socketPath(self.name);
  if (!hasFile(self)) return {};
  const SocketAddress address(self.name);
  const std::string what = "the socket file " + path;
  UniqueFd door(::open("/", O_PATH | O_CLOEXEC));  // the number, which an act can fill
  if (!door) return systemError(what);
  if (self.unlinked) {  // no file remains: made and lost where nobody sees it
    BLCR_TRY(actAs(0, what, [&]() -> int {
      if (const int code = enterEmptyRoot(path, self.directory); code != 0) return code;
      return bindAndOpen(own_[index], path, address, door.get());
    }));
  } else {
    BLCR_TRY(inDirectory(path, self.directory, what, [&]() -> int {
      if (const int code = clearPath(path, address, self.type); code != 0) return code;
      return bindAndOpen(own_[index], path, address, door.get());
    }));
    made_.push_back(index);
  }
  doors_[index] = std::move(door);
  return {};
}

std::string SocketDoors::addressOf(uint32_t index, const std::string& self) const {
  if (doors_[index]) return localName(self + "/fd/" + std::to_string(doors_[index].get()));
  const Socket& socket = sockets_[index];
  return socket.inheritsName || !socketPath(socket.name).empty() ? std::string() : socket.name;
}

Status SocketDoors::setOwnersAndModes() {
  for (const uint32_t index : made_) {
    const Socket& self = sockets_[index];
    const int door = doors_[index].get();
    struct stat info{};
    if (::fstat(door, &info) != 0) return systemError("the socket file " + socketPath(self.name));
    // A user's own group is good enough where supplementary ones cannot be mapped.
    if (info.st_uid != self.fileUid || info.st_gid != self.fileGid)
      static_cast<void>(!::fchownat(door, "", self.fileUid, self.fileGid, AT_EMPTY_PATH));
    if ((info.st_mode & 07777) != self.fileMode && ::chmod(descriptorPath(door).c_str(), self.fileMode) != 0)
      return systemError("the mode of the socket file " + socketPath(self.name));
  }
  return {};
}

void SocketDoors::removeFiles() const {
  for (const uint32_t index : made_) ::unlink(pathOf(sockets_[index]).c_str());
}

}  // namespace blcr
