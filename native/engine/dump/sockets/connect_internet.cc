// TCP and UDP: peers, backlogs, and what becomes of connections to the outside.
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>

#include <algorithm>
#include <map>
#include <optional>

#include "base/codes.h"
#include "base/features.h"
#include "base/socket_address.h"
#include "dump/sockets/connect_sockets.h"
#include "dump/sockets/tcp_flow.h"
#include "proc/inet_diag.h"
#include "proc/inet_table.h"

namespace blcr {
namespace {

using image::SocketState;

/** Address and port with IPv4 inside IPv6 made plain, so that both ends of a connection compare equal. */
struct Endpoint {
  std::string address;
  uint16_t port = 0;
  bool operator==(const Endpoint&) const = default;
  [[nodiscard]] bool isLoopback() const { return address.size() == 4 ? address[0] == 127 : address == std::string(15, '\0') + '\1'; }
  [[nodiscard]] bool isAny() const {
    return std::all_of(address.begin(), address.end(), [](char byte) { return byte == 0; });
  }
};

std::string plainAddress(std::string address) {
  static const std::string kMapped("\0\0\0\0\0\0\0\0\0\0\xff\xff", 12);
  return address.size() == 16 && address.starts_with(kMapped) ? address.substr(12) : address;
}

Endpoint endpointOf(const std::string& name) {
  const SocketAddress any(name);
  if (any.family() == AF_INET)
    return {std::string(reinterpret_cast<const char*>(&reinterpret_cast<const sockaddr_in*>(any.get())->sin_addr), 4), portOf(name)};
  if (any.family() != AF_INET6) return {};
  const auto* inet = reinterpret_cast<const sockaddr_in6*>(any.get());
  return {plainAddress(std::string(reinterpret_cast<const char*>(&inet->sin6_addr), 16)), portOf(name)};
}

class Internet {
 public:
  explicit Internet(FileContext& context) : context_(context) {
    for (auto& [key, live] : context.sockets) {
      const auto index = context.socketOf.find(key);
      if (live.domain != AF_UNIX && index != context.socketOf.end()) all_.push_back({&live, index->second});
    }
  }

  Status connect() {
    for (const Entry& entry : all_) BLCR_TRY(entry.live->type == SOCK_STREAM ? stream(entry) : datagrams(entry));
    for (const Entry& entry : all_) BLCR_TRY(checkBacklog(entry));
    for (const Entry& entry : all_) BLCR_TRY(takeStream(entry));
    return {};
  }

 private:
  struct Entry {
    LiveSocket* live;
    uint32_t index;
  };

  [[nodiscard]] image::Socket& socketOf(const Entry& entry) { return context_.recording.image.sockets[entry.index]; }
  [[nodiscard]] const FoundDescriptor& foundOf(const Entry& entry) const { return context_.found[entry.live->found]; }

  Status datagrams(const Entry& entry) {
    image::Socket& socket = socketOf(entry);
    if (!socket.peerName.empty()) socket.state = SocketState::kConnected;
    const uint8_t ended = directions(entry);
    socket.shutRead = (entry.live->events & POLLRDHUP) != 0 || (ended & 1) != 0;
    socket.shutWrite = (ended & 2) != 0;
    socket.foreignName = isForeign(socket.name);
    return {};
  }

  /** What was shut down, as the kernel tells it; the end of writing shows nowhere else. */
  uint8_t directions(const Entry& entry) {
    const std::pair<int, int> kind(entry.live->domain, entry.live->protocol);
    if (!shutdowns_.contains(kind)) {
      auto read = featureAllowed("sock_diag") ? readShutdowns(kind.first, kind.second) : Result<Shutdowns>(Error{ENOENT, ""});
      shutdowns_[kind] = read ? *std::move(read) : Shutdowns();
    }
    const Shutdowns& all = shutdowns_[kind];
    const auto found = all.find(foundOf(entry).info.st_ino);
    return found == all.end() ? 0 : found->second;
  }

  /** Whether only a socket that was allowed to (IP_FREEBIND) can be bound to it here. */
  static bool isForeign(const std::string& name) {
    if (name.empty() || isAnyAddress(name)) return false;
    const SocketAddress address(withPort(name, 0));
    const UniqueFd probe(::socket(address.family(), SOCK_DGRAM | SOCK_CLOEXEC, 0));
    return probe && ::bind(probe.get(), address.get(), address.size()) != 0 && errno == EADDRNOTAVAIL;
  }

  /** Both ends have closed their direction, and both are open still. */
  [[nodiscard]] static bool hasEnded(const LiveSocket& live) {
    return live.connection == TCP_CLOSE && (live.events & POLLRDHUP) != 0 && (live.events & POLLERR) == 0 && !live.peerName.empty();
  }

  Status ended(const Entry& entry) {
    image::Socket& socket = socketOf(entry);
    const LiveSocket& live = *entry.live;
    socket.state = (live.events & POLLERR) != 0 ? SocketState::kReset : SocketState::kClosed;
    if (socket.state == SocketState::kReset && live.neverMade)
      return Error{kErrorTemporary, foundOf(entry).name() + ": why a connection was not made has not been told yet"};
    socket.shutWrite = socket.state == SocketState::kClosed;  // both directions have ended: writing fails at once
    if (!hasEnded(live)) {
      socket.name.clear();
      socket.peerName.clear();
      return {};
    }
    if (const Entry* other = otherEnd(entry); other != nullptr && hasEnded(*other->live)) join(entry, *other);
    return {};
  }

  [[nodiscard]] const Entry* otherEnd(const Entry& entry) const {
    const Endpoint local = endpointOf(entry.live->name), remote = endpointOf(entry.live->peerName);
    for (const Entry& other : all_) {
      if (other.live->type != SOCK_STREAM || other.live == entry.live || other.live->peerName.empty()) continue;
      if (endpointOf(other.live->name) == remote && endpointOf(other.live->peerName) == local) return &other;
    }
    return nullptr;
  }

  void join(const Entry& entry, const Entry& other) {
    image::Socket& socket = socketOf(entry);
    socket.state = SocketState::kConnected;
    socket.peer = other.index;
    socket.inheritsName = wasAccepted(entry, other);
  }

  Status stream(const Entry& entry) {
    image::Socket& socket = socketOf(entry);
    const LiveSocket& live = *entry.live;
    switch (live.connection) {
      case TCP_LISTEN:
        socket.foreignName = isForeign(socket.name);
        socket.state = SocketState::kListening;
        socket.backlog = int32_t(live.backlog);
        return {};
      case TCP_CLOSE:
        if ((live.events & POLLRDHUP) != 0) return ended(entry);
        socket.foreignName = isForeign(socket.name);
        return {};
      case TCP_SYN_SENT:
        return beginning(entry);
      default:
        return established(entry);
    }
  }

  /** A connect() under way. One that blocks begins anew by itself. */
  Status beginning(const Entry& entry) {
    const FoundDescriptor& found = foundOf(entry);
    image::Socket& socket = socketOf(entry);
    socket.name.clear();
    if ((found.details.flags & O_NONBLOCK) == 0) return {};
    if (context_.request.tcp == ConnectionPolicy::kClose) {
      socket.state = SocketState::kReset;
      return {};
    }
    return Error{kErrorTemporary, found.name() + ": a connection is being made"};
  }

  Status established(const Entry& entry) {
    image::Socket& socket = socketOf(entry);
    const LiveSocket& live = *entry.live;
    socket.shutWrite = live.connection != TCP_ESTABLISHED && live.connection != TCP_CLOSE_WAIT;
    const bool peerIsOpen = live.connection == TCP_ESTABLISHED || live.connection == TCP_FIN_WAIT1 || live.connection == TCP_FIN_WAIT2;
    socket.shutRead = peerIsOpen && (live.events & POLLRDHUP) != 0;
    const Endpoint local = endpointOf(live.name), remote = endpointOf(live.peerName);
    if (local == remote) return refuseFile(foundOf(entry), "it is connected with itself");
    if (live.protocol != IPPROTO_TCP) return refuseFile(foundOf(entry), "a connection of Multipath TCP is not supported");
    const Entry* other = otherEnd(entry);
    if (other == nullptr || other->live->connection == TCP_CLOSE) return alone(entry, local, remote);
    join(entry, *other);
    return {};
  }

  /** The end whose port somebody listens on; when nobody does any more, clients are those with the higher port. */
  [[nodiscard]] bool wasAccepted(const Entry& entry, const Entry& peer) const {
    const uint16_t own = endpointOf(entry.live->name).port, others = endpointOf(peer.live->name).port;
    if (isListenedOn(own) != isListenedOn(others)) return isListenedOn(own);
    return own < others || (own == others && entry.index < peer.index);
  }

  [[nodiscard]] bool isListenedOn(uint16_t port) const {
    return std::any_of(all_.begin(), all_.end(), [port](const Entry& entry) {
      return entry.live->connection == TCP_LISTEN && endpointOf(entry.live->name).port == port;
    });
  }

  const std::vector<InetRow>& table() {
    if (!table_) {
      auto rows = readTcpTable();
      table_ = rows.ok() ? *std::move(rows) : std::vector<InetRow>();
    }
    return *table_;
  }

  /** No process of the job holds the other end. */
  Status alone(const Entry& entry, const Endpoint& local, const Endpoint& remote) {
    const bool near = remote.isLoopback() || remote.address == local.address;
    const InetRow* row = nullptr;
    if (near)
      for (const InetRow& each : table())
        if (plainAddress(each.local) == remote.address && each.localPort == remote.port && plainAddress(each.remote) == local.address &&
            each.remotePort == local.port)
          row = &each;
    if (row != nullptr && row->inode == 0 && (row->state == TCP_ESTABLISHED || row->state == TCP_CLOSE_WAIT)) {
      if (const Entry* listener = listenerAt(remote)) return wait(entry, *listener, *row);
    }
    image::Socket& socket = socketOf(entry);
    const bool closed = near && !table().empty() && (row == nullptr || row->inode == 0) && entry.live->connection != TCP_ESTABLISHED;
    if (!closed && context_.request.tcp == ConnectionPolicy::kRefuse)
      return refuseFile(foundOf(entry),
                        "a TCP connection with " + addressText(entry.live->peerName) + " outside the job (--tcp close lets it be reset)");
    socket.state = closed ? SocketState::kClosed : SocketState::kReset;
    return {};
  }

  [[nodiscard]] const Entry* listenerAt(const Endpoint& at) const {
    for (const Entry& entry : all_) {
      if (entry.live->connection != TCP_LISTEN) continue;
      const Endpoint local = endpointOf(entry.live->name);
      if (local.port == at.port && (local.isAny() || local.address == at.address)) return &entry;
    }
    return nullptr;
  }

  Status wait(const Entry& client, const Entry& listener, const InetRow& row) {
    if (row.unread != 0)
      return Error{kErrorTemporary, foundOf(listener).name() + ": a connection that waits to be accepted has data in it"};
    image::Socket& socket = socketOf(client);
    socket.state = SocketState::kPending;
    socket.peer = listener.index;
    socketOf(listener).waiting.push_back(client.index);
    return {};
  }

  Status checkBacklog(const Entry& entry) {
    image::Socket& socket = socketOf(entry);
    if (socket.state != SocketState::kListening) return {};
    // Who has waited longest is first: nothing came from it since.
    const auto idle = [this](uint32_t index) {
      for (const Entry& each : all_)
        if (each.index == index) return each.live->idleMs;
      return 0u;
    };
    std::stable_sort(socket.waiting.begin(), socket.waiting.end(), [&](uint32_t a, uint32_t b) { return idle(a) > idle(b); });
    if (entry.live->accepting <= socket.waiting.size() || context_.request.tcp == ConnectionPolicy::kClose) return {};
    return refuseFile(foundOf(entry), "a client outside the job waits to be accepted at " + addressText(entry.live->name) +
                                          " (--tcp close lets it be reset)");
  }

  Status takeStream(const Entry& entry) {
    image::Socket& socket = socketOf(entry);
    if (socket.type != SOCK_STREAM || socket.state == SocketState::kListening || socket.state == SocketState::kUnconnected) return {};
    const FoundDescriptor& found = foundOf(entry);
    if (socket.state == SocketState::kConnected) {
      for (const Entry& other : all_)
        if (other.index == socket.peer)
          if (const Status settled = settleFlow(other.live->fd.get(), entry.live->fd.get()); !settled.ok())
            return Error{kErrorTemporary, found.name() + ": " + settled.error().detail};
    }
    char urgent = 0;
    if (::recv(entry.live->fd.get(), &urgent, 1, MSG_OOB | MSG_PEEK | MSG_DONTWAIT) == 1)
      return refuseFile(found, "urgent data waits in it");
    auto data = peekStream(entry.live->fd.get());
    if (!data) return Error{kErrorTemporary, found.name() + ": " + data.error().detail};
    if (!data->empty()) socket.queue.emplace_back().data = *std::move(data);
    return {};
  }

  FileContext& context_;
  std::vector<Entry> all_;
  std::optional<std::vector<InetRow>> table_;
  std::map<std::pair<int, int>, Shutdowns> shutdowns_;  // by family and protocol
};

}  // namespace

Status connectInternet(FileContext& context) { return Internet(context).connect(); }

}  // namespace blcr
