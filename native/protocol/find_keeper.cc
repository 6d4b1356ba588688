#include "protocol/find_keeper.h"

#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <string>

#include "protocol/address.h"
#include "protocol/process_info.h"

namespace blcr {

namespace {

/** A connection is worth something only when the process meant is the one that listens: anybody may take an abstract name. */
bool listens(int socket, pid_t expected) {
  ucred peer{};
  socklen_t length = sizeof peer;
  return ::getsockopt(socket, SOL_SOCKET, SO_PEERCRED, &peer, &length) == 0 && peer.pid == expected;
}

/** No descriptor when `pid` does not listen at `address`. */
Result<UniqueFd> tryConnect(pid_t pid, const Result<KeeperAddress>& found) {
  if (!found) return found.error();
  const KeeperAddress& address = found.value();
  UniqueFd socket(::socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!socket) return systemError("make a socket");
  if (::connect(socket.get(), reinterpret_cast<const sockaddr*>(&address.address), address.length) != 0) {
    if (errno == ECONNREFUSED || errno == ENOENT) return UniqueFd();
    return systemError("connect to process " + std::to_string(pid));
  }
  return listens(socket.get(), pid) ? std::move(socket) : UniqueFd();
}

Result<UniqueFd> tryKeeper(pid_t pid) {
  struct stat directory{};
  if (::stat(("/proc/" + std::to_string(pid)).c_str(), &directory) != 0) return Error{ESRCH, "no such process"};
  return tryConnect(pid, keeperAddress(directory.st_uid, pid));
}

}  // namespace

Result<UniqueFd> connectClient(pid_t pid) { return tryConnect(pid, clientAddress(pid)); }

Result<UniqueFd> claimClient(pid_t pid) {
  const auto found = askedAddress(pid);
  if (!found) return found.error();
  const auto* address = reinterpret_cast<const sockaddr*>(&found.value().address);
  const Error busy{EBUSY, "another checkpoint of process " + std::to_string(pid) + " is being taken"};
  UniqueFd socket(::socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!socket) return systemError("make a socket");
  if (::bind(socket.get(), address, found.value().length) == 0) {
    return ::listen(socket.get(), 1) == 0 ? std::move(socket) : Result<UniqueFd>(systemError("listen"));
  }
  if (errno != EADDRINUSE) return systemError("claim process " + std::to_string(pid));
  if (::connect(socket.get(), address, found.value().length) != 0 && errno == EAGAIN) return busy;
  ucred holder{};
  socklen_t length = sizeof holder;
  if (::getsockopt(socket.get(), SOL_SOCKET, SO_PEERCRED, &holder, &length) != 0 || holder.pid == 0) return socket;  // gone meanwhile
  // A stranger may take the name, too, but has no say.
  return holder.uid == 0 || holder.uid == ::geteuid() ? Result<UniqueFd>(busy) : std::move(socket);
}

Result<UniqueFd> connectKeeper(pid_t pid, pid_t& nearest) {
  for (int depth = 0; pid > 0 && depth < 4096; ++depth) {
    auto socket = tryKeeper(pid);
    if (!socket) return socket.error();
    nearest = pid;
    if (*socket) return socket;
    const auto info = readProcess(pid);
    if (!info) return info.error();
    pid = info.value().parent;
  }
  nearest = 0;
  return UniqueFd();
}

}  // namespace blcr
