#include "dump/sockets/peer_credentials.h"

#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>

#include "base/codes.h"

#ifndef SO_PEERGROUPS
#define SO_PEERGROUPS 59
#endif

namespace blcr {
namespace {

using image::PeerCredentials;
using image::Socket;
using image::SocketState;

std::vector<uint32_t> peerGroups(int fd) {
  std::vector<uint32_t> groups(64);
  for (int tries = 0; tries < 2; ++tries) {
    socklen_t size = socklen_t(groups.size() * sizeof(uint32_t));
    const bool told = ::getsockopt(fd, SOL_SOCKET, SO_PEERGROUPS, groups.data(), &size) == 0;
    if (!told && errno != ERANGE) return {};
    groups.resize(size / sizeof(uint32_t));  // ERANGE tells how many there are
    if (told) return groups;
  }
  return {};
}

std::string idsOf(uint32_t uid, uint32_t gid) { return "user " + std::to_string(uid) + ", group " + std::to_string(gid); }

bool isToldOf(const Socket& socket) {
  // Of a connection that has ended only its own program could ask any more, and could have asked before.
  const bool lives =
      socket.state == SocketState::kConnected || socket.state == SocketState::kListening || socket.state == SocketState::kPending;
  return lives && socket.peerCredentials.pid != 0;
}

/** An ordinary user cannot choose groups: a restart gives everybody those of its login. */
bool haveGroups(const image::Image& image, const std::vector<uint32_t>& groups) {
  return std::any_of(image.processes.begin(), image.processes.end(),
                     [&](const image::Process& process) { return process.credentials.groups == groups; });
}

}  // namespace

PeerCredentials peerCredentials(int fd) {
  ucred peer{};
  socklen_t size = sizeof peer;
  if (::getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) != 0 || peer.pid <= 0) return {};
  return {uint32_t(peer.pid), peer.uid, peer.gid, peerGroups(fd)};
}

Result<PeerCredentials> connectorOf(const FileContext& context, const FoundDescriptor& listener, const LiveSocket& client) {
  const struct stat& socket = context.found[client.found].info;
  const auto unknown = [&] {
    return Error{kErrorTemporary, listener.name() + ": who has made a connection that waits to be accepted is not known"};
  };
  pid_t holder = 0;
  for (const FoundDescriptor& found : context.found) {
    if (found.info.st_ino != socket.st_ino || found.info.st_dev != socket.st_dev) continue;
    if (found.pid == ::getpid() || (holder != 0 && holder != found.pid)) return unknown();
    holder = found.pid;
  }
  const auto& processes = context.recording.image.processes;
  const auto process = std::find_if(processes.begin(), processes.end(), [&](const image::Process& one) { return one.pid == holder; });
  if (process == processes.end()) return unknown();
  const image::Credentials& has = process->credentials;
  if (has.uid[1] != socket.st_uid || has.gid[1] != socket.st_gid) return unknown();
  return PeerCredentials{uint32_t(holder), has.uid[1], has.gid[1], has.groups};
}

Status checkPeerCredentials(const FileContext& context) {
  const uint32_t uid = ::geteuid(), gid = ::getegid();
  if (uid == 0) return {};
  const image::Image& image = context.recording.image;
  for (const auto& [key, index] : context.socketOf) {
    const auto live = context.sockets.find(key);
    if (live == context.sockets.end() || live->second.domain != AF_UNIX) continue;
    const Socket& socket = image.sockets[index];
    const FoundDescriptor& found = context.found[live->second.found];
    const PeerCredentials& peer = socket.peerCredentials;
    if (isToldOf(socket) && (peer.uid != uid || peer.gid != gid))
      return refuseFile(found, "SO_PEERCRED tells of " + idsOf(peer.uid, peer.gid) + ", whom only root can restart");
    if (isToldOf(socket) && !haveGroups(image, peer.groups))
      return refuseFile(found, "SO_PEERGROUPS tells of groups that no process of the job has");
    for (const image::SocketMessage& message : socket.queue)
      if (message.pid != 0 && (message.uid != uid || message.gid != gid))
        return Error{kErrorTemporary, found.name() + ": a message of " + idsOf(message.uid, message.gid) + " waits in it"};
  }
  return {};
}

}  // namespace blcr
