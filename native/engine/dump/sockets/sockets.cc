#include "dump/sockets/sockets.h"

#include <linux/sockios.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include <algorithm>

#include "base/codes.h"
#include "base/features.h"
#include "base/socket_address.h"
#include "dump/files/record_files.h"

#ifndef IPPROTO_MPTCP
#define IPPROTO_MPTCP 262
#endif

namespace blcr {
namespace {

int integerOption(int fd, int name) {
  int value = 0;
  socklen_t size = sizeof value;
  return ::getsockopt(fd, SOL_SOCKET, name, &value, &size) == 0 ? value : 0;
}

const char* familyName(int domain) {
  switch (domain) {
    case AF_NETLINK:
      return "a netlink socket";
    case AF_PACKET:
      return "a packet socket";
    case AF_VSOCK:
      return "a vsock socket";
    case AF_ALG:
      return "a socket of the kernel's cryptography";
    case AF_BLUETOOTH:
      return "a Bluetooth socket";
    case AF_CAN:
      return "a CAN bus socket";
    case AF_XDP:
      return "an XDP socket";
    case AF_TIPC:
      return "a TIPC socket";
    case AF_RDS:
      return "an RDS socket";
    default:
      return nullptr;
  }
}

Status checkFamily(const FoundDescriptor& found, const LiveSocket& socket) {
  if (socket.domain == AF_UNIX) return {};
  if (socket.domain != AF_INET && socket.domain != AF_INET6) {
    const char* family = familyName(socket.domain);
    return refuseFile(
        found, (family != nullptr ? family : "a socket of family " + std::to_string(socket.domain)) + std::string(" is not supported"));
  }
  const bool stream = socket.type == SOCK_STREAM && (socket.protocol == IPPROTO_TCP || socket.protocol == IPPROTO_MPTCP);
  if (stream || (socket.type == SOCK_DGRAM && (socket.protocol == IPPROTO_UDP || socket.protocol == IPPROTO_UDPLITE))) return {};
  if (socket.type == SOCK_RAW) return refuseFile(found, "a raw socket is not supported");
  return refuseFile(found, "an internet socket of protocol " + std::to_string(socket.protocol) + " is not supported");
}

/** Where a connection that has ended once led: getpeername tells it no more. */
std::string formerPeer(int fd, int domain) {
  sockaddr_storage address{};
  socklen_t size = domain == AF_INET6 ? sizeof(sockaddr_in6) : sizeof(sockaddr_in);  // asking for more than there is fails
  if (::getsockopt(fd, SOL_SOCKET, SO_PEERNAME, &address, &size) != 0) return {};
  return std::string(reinterpret_cast<const char*>(&address), size);
}

/** With what newer kernels tell. Source: linux/tcp.h, which cannot be had together with the C library's. */
struct Connection {
  tcp_info info;
  uint64_t pacingRate, maxPacingRate, bytesAcknowledged, bytesReceived;
  uint32_t segmentsOut, segmentsIn;
};

void lookAtConnection(LiveSocket& socket) {
  Connection all{};
  socklen_t size = sizeof all;
  if (::getsockopt(socket.fd.get(), IPPROTO_TCP, TCP_INFO, &all, &size) != 0) return;
  const tcp_info& info = all.info;
  socket.connection = info.tcpi_state;
  if (info.tcpi_state == TCP_CLOSE && (socket.events & POLLRDHUP) != 0) socket.peerName = formerPeer(socket.fd.get(), socket.domain);
  // One that was made has had its first segment acknowledged, or got more than one.
  const bool isTold = size == sizeof all;
  socket.neverMade = isTold && info.tcpi_state == TCP_CLOSE && all.bytesAcknowledged == 0 && all.segmentsIn <= 1;
  socket.hasSent = isTold && all.bytesAcknowledged > 1;
  socket.idleMs = info.tcpi_last_ack_recv;
  // Source: tcp_get_info() of the kernel: a listening socket tells its backlog in these two.
  if (info.tcpi_state == TCP_LISTEN) socket.accepting = info.tcpi_unacked, socket.backlog = info.tcpi_sacked;
}

bool tellsErrors(const LiveSocket& socket) {
  const bool six = socket.domain == AF_INET6;
  int on = 0;
  socklen_t size = sizeof on;
  return ::getsockopt(socket.fd.get(), six ? IPPROTO_IPV6 : IPPROTO_IP, six ? IPV6_RECVERR : IP_RECVERR, &on, &size) == 0 && on != 0;
}

/** What a socket of datagrams has inside that cannot be looked at. */
Status checkDatagrams(const FoundDescriptor& found, const LiveSocket& socket) {
  int unsent = 0;
  if (::ioctl(socket.fd.get(), SIOCOUTQ, &unsent) == 0 && unsent != 0)
    return Error{kErrorTemporary, found.name() + ": a datagram is being put together in it (UDP_CORK, MSG_MORE)"};
  if ((socket.events & POLLERR) != 0 && tellsErrors(socket))
    return Error{kErrorTemporary, found.name() + ": errors that it asked for (IP_RECVERR) wait to be read"};
  return {};
}

/** What of a connection that can still be used its program waits to be told, and is told by counts that begin again with another socket. */
Status checkNotifications(const FoundDescriptor& found, const LiveSocket& socket) {
  if (socket.type != SOCK_STREAM || socket.connection == 0 || socket.connection == TCP_CLOSE || socket.connection == TCP_LISTEN) return {};
  if ((socket.events & POLLERR) != 0)
    return Error{kErrorTemporary, found.name() + ": notifications that it asked for (MSG_ZEROCOPY, SO_TIMESTAMPING) wait to be read"};
  constexpr int kZeroCopy = 60;  // SO_ZEROCOPY
  if (socket.hasSent && integerOption(socket.fd.get(), kZeroCopy) > 0)
    return refuseFile(found, "it has sent without copying (SO_ZEROCOPY), and its notifications are counted");
  return {};
}

class Collector {
 public:
  Collector(const DumpRequest& request, std::vector<FoundDescriptor>& found) : request_(request), found_(found) {
    for (const int fd : request.stdioFds) {
      struct stat info{};
      if (fd >= 0 && ::fstat(fd, &info) == 0 && S_ISSOCK(info.st_mode)) stdio_.push_back({info.st_dev, info.st_ino});
    }
  }

  Result<SocketTable> all() {
    for (size_t index = 0; index < found_.size(); ++index)  // grows meanwhile
      if (S_ISSOCK(found_[index].info.st_mode)) BLCR_TRY(look(index));
    return std::move(table_);
  }

 private:
  [[nodiscard]] bool isLeftAlone(const struct stat& info) const {
    const auto& dead = request_.deadSockets;
    return std::find(dead.begin(), dead.end(), info.st_ino) != dead.end() ||
           std::find(stdio_.begin(), stdio_.end(), ObjectKey(info.st_dev, info.st_ino)) != stdio_.end();
  }

  Status look(size_t index) {
    const FoundDescriptor found = found_[index];
    if (isLeftAlone(found.info)) return {};
    const auto [entry, fresh] = table_.try_emplace({found.info.st_dev, found.info.st_ino});
    if (!fresh) return {};
    LiveSocket& socket = entry->second;
    socket.found = index;
    auto fd = borrowDescriptor(found);
    if (!fd) return refuseFile(found, "a socket cannot be looked at without pidfd_getfd (Linux 5.6)");
    socket.fd = *std::move(fd);
    socket.domain = integerOption(socket.fd.get(), SO_DOMAIN);
    socket.type = integerOption(socket.fd.get(), SO_TYPE);
    socket.protocol = integerOption(socket.fd.get(), SO_PROTOCOL);
    BLCR_TRY(checkFamily(found, socket));
    socket.name = addressOf(socket.fd.get(), ::getsockname);
    socket.peerName = addressOf(socket.fd.get(), ::getpeername);
    socket.leadsToKeeper = !request_.keeperName.empty() && socket.peerName == request_.keeperName;
    if (socket.leadsToKeeper) return {};
    pollfd state{socket.fd.get(), POLLIN | POLLRDHUP | POLLPRI, 0};
    if (::poll(&state, 1, 0) >= 0) socket.events = state.revents;
    if (socket.domain != AF_UNIX) {
      if (socket.type == SOCK_STREAM) lookAtConnection(socket);
      BLCR_TRY(checkNotifications(found, socket));
      if (socket.type != SOCK_DGRAM) return {};
      BLCR_TRY(checkDatagrams(found, socket));
      return takeQueue(socket);
    }
    auto local = featureAllowed("sock_diag") ? readUnixSocket(found.info.st_ino) : Result<UnixSocket>(Error{ENOENT, ""});
    if (!local) return refuseFile(found, "its peer cannot be found out");
    socket.local = *std::move(local);
    if (socket.type == SOCK_STREAM && (socket.events & POLLPRI) != 0) return refuseFile(found, "urgent data waits in it");
    return socket.local.state == TCP_LISTEN ? Status() : takeQueue(socket);
  }

  Status takeQueue(LiveSocket& socket) {
    if (socket.domain != AF_UNIX && (socket.events & POLLERR) != 0 && (socket.events & POLLIN) == 0) return {};
    auto queue = peekQueue(socket.fd.get(), socket.domain, socket.type);
    if (!queue) {
      const FoundDescriptor& found = found_[socket.found];
      return Error{queue.error().code == EBUSY ? kErrorTemporary : kErrorNoSupport, found.name() + ": " + queue.error().detail};
    }
    for (QueuedMessage& message : *queue) {
      SocketQueueEntry& entry = socket.queue.emplace_back();
      entry.message = std::move(message);
      for (const UniqueFd& passed : entry.message.passed) {
        auto underWay = describeDescriptor(::getpid(), ::getpid(), passed.get());
        if (!underWay) return underWay.error();
        entry.found.push_back(found_.size());
        found_.push_back(*std::move(underWay));
      }
    }
    return {};
  }

  const DumpRequest& request_;
  std::vector<FoundDescriptor>& found_;
  std::vector<ObjectKey> stdio_;
  SocketTable table_;
};

}  // namespace

Result<SocketTable> lookAtSockets(const DumpRequest& request, std::vector<FoundDescriptor>& found) {
  return Collector(request, found).all();
}

}  // namespace blcr
