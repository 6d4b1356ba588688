// Sockets one by one: what they are, what they are set to, what they have yet to read.
#include <sys/socket.h>

#include <algorithm>

#include "base/codes.h"
#include "base/socket_address.h"
#include "dump/files/record_files.h"
#include "dump/sockets/connect_sockets.h"
#include "dump/sockets/peer_credentials.h"
#include "dump/sockets/socket_options.h"

namespace blcr {
namespace {

/** "" for an internet socket that has neither an address nor a port yet. */
std::string boundName(const std::string& name) {
  return SocketAddress(name).family() != AF_UNIX && portOf(name) == 0 && isAnyAddress(name) ? std::string() : name;
}

Status recordState(const FileContext& context, LiveSocket& live, image::Socket& socket) {
  const FoundDescriptor& found = context.found[live.found];
  socket.domain = live.domain;
  socket.type = live.type;
  socket.protocol = live.protocol;
  socket.name = boundName(live.name);
  socket.peerName = live.peerName;
  auto options = readSocketOptions(live.fd.get(), live.domain, live.type, live.protocol);
  if (!options) return refuseFile(found, options.error().detail);
  socket.options = *std::move(options);
  if (live.domain == AF_UNIX) socket.peerCredentials = peerCredentials(live.fd.get());
  for (SocketQueueEntry& entry : live.queue) {
    image::SocketMessage& message = socket.queue.emplace_back();
    message.data = std::move(entry.message.data);
    message.sender = std::move(entry.message.sender);
    message.pid = entry.message.pid, message.uid = entry.message.uid, message.gid = entry.message.gid;
    for (const size_t index : entry.found) message.files.push_back(context.found[index].description);
  }
  return {};
}

bool isConnectionHandle(const FileContext& context, const FoundDescriptor& found) {
  const auto& dead = context.request.deadSockets;
  return std::find(dead.begin(), dead.end(), found.info.st_ino) != dead.end();
}

}  // namespace

Status recordSocket(FileContext& context, const FoundDescriptor& found, image::OpenFile& file) {
  file.kind = image::FileKind::kSocket;
  file.fileOwner = {found.info.st_uid, found.info.st_gid};
  const ObjectKey key(found.info.st_dev, found.info.st_ino);
  std::vector<image::Socket>& sockets = context.recording.image.sockets;
  const auto [entry, fresh] = context.socketOf.try_emplace(key, uint32_t(sockets.size()));
  file.object = entry->second;
  if (!fresh) return {};
  image::Socket& socket = sockets.emplace_back();
  const auto live = context.sockets.find(key);
  if (isConnectionHandle(context, found) || (live != context.sockets.end() && live->second.leadsToKeeper)) {
    socket.domain = AF_UNIX;
    socket.type = SOCK_SEQPACKET;
    socket.state = image::SocketState::kClosed;
    return {};
  }
  if (live == context.sockets.end()) return refuseFile(found, "a socket of the launcher's under another name");
  return recordState(context, live->second, socket);
}

/** What belongs to a process is opened by that process, and to none while it is under way. */
Status checkPassed(const FileContext& context) {
  for (const FoundDescriptor& found : context.found) {
    const image::OpenFile& file = context.recording.image.files[found.description];
    const bool owned =
        (file.kind == image::FileKind::kProc && !file.unlinked) || (file.kind == image::FileKind::kPidFd && file.ownerPid != 0);
    if (owned && found.pid == ::getpid()) return refuseFile(found, "it stands for a process");
  }
  return {};
}

Status connectSockets(FileContext& context) {
  BLCR_TRY(checkPassed(context));
  for (auto& [key, live] : context.sockets) {
    const auto index = context.socketOf.find(key);
    if (index == context.socketOf.end() || live.domain != AF_UNIX || live.leadsToKeeper) continue;
    BLCR_TRY(connectLocal(context, key, live));
  }
  BLCR_TRY(checkPeerCredentials(context));
  return connectInternet(context);
}

}  // namespace blcr
