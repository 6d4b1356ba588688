#include "restore/sockets/sockets.h"

#include <netinet/in.h>
#include <sys/mman.h>
#include <sys/socket.h>

#include <algorithm>
#include <map>

#include "base/socket_address.h"
#include "restore/sockets/actor.h"
#include "restore/sockets/bind_when_free.h"
#include "restore/sockets/socket_options.h"
#include "restore/sockets/tcp_connect.h"

namespace blcr {
namespace {

using image::PeerCredentials;
using image::Socket;
using image::SocketState;

/** Numbers of descriptors that an actor made, seen by both. */
class SharedNumbers {
 public:
  explicit SharedNumbers(size_t count) : size_(std::max<size_t>(count, 1) * sizeof(int)) {
    void* at = ::mmap(nullptr, size_, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (at != MAP_FAILED) numbers_ = static_cast<int*>(at);
    for (size_t index = 0; numbers_ != nullptr && index < count; ++index) numbers_[index] = -1;
  }
  ~SharedNumbers() {
    if (numbers_ != nullptr) ::munmap(numbers_, size_);
  }
  SharedNumbers(const SharedNumbers&) = delete;
  SharedNumbers& operator=(const SharedNumbers&) = delete;
  [[nodiscard]] explicit operator bool() const { return numbers_ != nullptr; }
  int& operator[](size_t index) { return numbers_[index]; }

 private:
  size_t size_;
  int* numbers_ = nullptr;
};

/** `then` runs where a connection by that name leads to the socket. */
Status bindPrivately(int fd, const std::string& name, const std::function<int()>& then) {
  const std::string path = socketPath(name);
  const SocketAddress address(name);
  return actAs(0, "the socket " + addressText(name), [&]() -> int {
    if (!path.empty())
      if (const int code = enterEmptyRoot(path, "/"); code != 0) return code;
    return ::bind(fd, address.get(), address.size()) == 0 ? then() : errno;
  });
}

int made(Status status) { return status.ok() ? 0 : status.error().code; }

class Maker {
 public:
  Maker(const image::Image& image, const PlaceDescriptor& place, Log& log) : image_(image), place_(place), log_(log) {
    set_.own.assign(image.sockets.size(), -1);
    set_.other.resize(image.sockets.size());
  }

  Result<SocketSet> all() {
    BLCR_TRY(makeLocalPairs());
    for (uint32_t index = 0; index < image_.sockets.size(); ++index) {
      if (set_.own[index] >= 0) continue;
      const Socket& socket = image_.sockets[index];
      const bool connection = socket.type != SOCK_DGRAM && socket.state == SocketState::kConnected;
      const bool gone = socket.type != SOCK_DGRAM && (socket.state == SocketState::kClosed || socket.state == SocketState::kReset);
      if (connection && !leads(index)) continue;  // made together with its peer
      if (socket.domain == AF_UNIX)
        BLCR_TRY(connection || gone ? makeNamedConnection(index) : makeSingle(index));
      else
        BLCR_TRY(connection                           ? makeTcpConnection(index)
                 : gone && socket.type == SOCK_STREAM ? makeLostConnection(index)
                                                      : makeSingle(index));
    }
    // After the connections: their temporary listeners had the same addresses.
    for (uint32_t index = 0; index < image_.sockets.size(); ++index) BLCR_TRY(bindSingle(index));
    nameTheDead();
    return std::move(set_);
  }

 private:
  [[nodiscard]] const Socket* peerOf(const Socket& socket) const {
    return socket.peer == image::kNone ? nullptr : &image_.sockets[socket.peer];
  }
  [[nodiscard]] bool isMutual(uint32_t index) const {
    const Socket* peer = peerOf(image_.sockets[index]);
    return peer != nullptr && peer->peer == index;
  }

  /** Of two connected ends, the one whose turn it is to make both: the client's, whose partner was accepted. */
  [[nodiscard]] bool leads(uint32_t index) const {
    const Socket& socket = image_.sockets[index];
    const Socket* peer = peerOf(socket);
    if (peer == nullptr || !isMutual(index)) return true;
    return peer->inheritsName || (!socket.inheritsName && index < socket.peer);
  }

  Status put(uint32_t index, UniqueFd fd) {
    auto at = place_(std::move(fd));
    if (!at.ok()) return at.error();
    set_.own[index] = at.value();
    return {};
  }

  /** Pairs without an inherited name, those of one maker together. */
  Status makeLocalPairs() {
    std::map<PeerCredentials, std::vector<uint32_t>> byMaker;
    for (uint32_t index = 0; index < image_.sockets.size(); ++index) {
      const Socket& socket = image_.sockets[index];
      const Socket* peer = peerOf(socket);
      if (socket.domain != AF_UNIX || socket.inheritsName || (peer != nullptr && peer->inheritsName)) continue;
      const bool lost = socket.state == SocketState::kClosed || socket.state == SocketState::kReset;
      const bool connected =
          socket.type == SOCK_DGRAM ? isDatagramPair(image_, index) : socket.state == SocketState::kConnected && isMutual(index);
      const bool alone = lost && (socket.peerName.empty() || (socket.type == SOCK_DGRAM && socket.peerCredentials.pid != 0));
      if (alone || (connected && index < socket.peer)) byMaker[socket.peerCredentials].push_back(index);
    }
    for (const auto& [maker, indices] : byMaker) BLCR_TRY(makePairsAs(maker, indices));
    return {};
  }

  /** Of pairs whose other end had a name: it is still told. Somebody else may have taken an abstract one, which leaves none. */
  void nameTheDead() {
    for (uint32_t index = 0; index < image_.sockets.size(); ++index) {
      const Socket& socket = image_.sockets[index];
      if (set_.other[index] && socket.type == SOCK_DGRAM && !socket.peerName.empty())
        static_cast<void>(bindPrivately(set_.other[index].get(), socket.peerName, [] { return 0; }));
    }
  }

  Status makePairsAs(const PeerCredentials& maker, const std::vector<uint32_t>& indices) {
    SharedNumbers numbers(indices.size() * 2);
    if (!numbers) return systemError("socket pairs");
    const Status done = actAs(maker, "making a socket pair", [&] {
      for (size_t at = 0; at < indices.size(); ++at)
        if (::socketpair(AF_UNIX, image_.sockets[indices[at]].type | SOCK_CLOEXEC, 0, &numbers[at * 2]) != 0) return errno;
      return 0;
    });
    for (size_t at = 0; at < indices.size(); ++at) {
      UniqueFd first(numbers[at * 2]), second(numbers[at * 2 + 1]);
      if (!done.ok()) continue;
      const Socket& socket = image_.sockets[indices[at]];
      BLCR_TRY(put(indices[at], std::move(first)));
      if (socket.state == SocketState::kConnected)
        BLCR_TRY(put(socket.peer, std::move(second)));
      else
        set_.other[indices[at]] = std::move(second);
    }
    return done;
  }

  /**
   * The accepted end of a connection has the name of a listening socket, which may be gone, or be bound later to a file that only then may
   * be made: so a socket listens for a moment, in a root directory of its own, under the same name.
   */
  Status makeNamedConnection(uint32_t index) {
    const Socket& socket = image_.sockets[index];
    const Socket* peer = peerOf(socket);
    const bool selfAccepted = socket.inheritsName;
    const Socket& accepted = selfAccepted || peer == nullptr ? socket : *peer;
    const std::string name = selfAccepted || peer != nullptr ? accepted.name : socket.peerName;
    UniqueFd client(::socket(AF_UNIX, socket.type | SOCK_CLOEXEC, 0));
    if (!client) return systemError("a socket");
    const PeerCredentials others = peer == nullptr ? PeerCredentials() : peer->peerCredentials;
    const PeerCredentials& listeners = selfAccepted ? others : socket.peerCredentials;
    const PeerCredentials& clients = selfAccepted ? socket.peerCredentials : others;
    auto end = acceptPrivately(client.get(), name, accepted.directory, listeners, clients);
    if (!end) return end.error();
    UniqueFd& own = selfAccepted ? *end : client;
    UniqueFd& other = selfAccepted ? client : *end;
    BLCR_TRY(put(index, std::move(own)));
    if (peer != nullptr) return put(socket.peer, std::move(other));
    set_.other[index] = std::move(other);
    return {};
  }

  Result<UniqueFd> acceptPrivately(int client, const std::string& name, const std::string& directory, const PeerCredentials& listeners,
                                   const PeerCredentials& clients) {
    SharedNumbers numbers(1);
    if (!numbers) return systemError("a connection");
    const std::string path = socketPath(name);
    const std::string what = "a connection to " + addressText(name);
    const SocketAddress address(name);
    const Status done = actAs(unusedNumber(), what, [&]() -> int {
      if (!path.empty())
        if (const int code = enterEmptyRoot(path, directory); code != 0) return code;
      int type = 0;
      socklen_t size = sizeof type;
      ::getsockopt(client, SOL_SOCKET, SO_TYPE, &type, &size);
      const UniqueFd listener(::socket(AF_UNIX, type | SOCK_CLOEXEC, 0));
      if (!listener || ::bind(listener.get(), address.get(), address.size()) != 0) return errno;
      if (const int code = made(actAs(listeners, what, [&] { return ::listen(listener.get(), 1) == 0 ? 0 : errno; })); code != 0)
        return code;
      const auto connecting = [&] { return ::connect(client, address.get(), address.size()) == 0 ? 0 : errno; };
      if (const int code = made(actAs(clients, what, connecting)); code != 0) return code;
      numbers[0] = ::accept4(listener.get(), nullptr, nullptr, SOCK_CLOEXEC);
      return numbers[0] >= 0 ? 0 : errno;
    });
    if (!done.ok()) return done.error();
    return UniqueFd(numbers[0]);
  }

  /** Neither a number that an act of its own is to have, nor one of the job. */
  [[nodiscard]] uint32_t unusedNumber() const {
    uint32_t number = 300;  // RESERVED_PIDS
    for (bool taken = true; taken; number += taken ? 1 : 0) {
      taken = false;
      for (const Socket& socket : image_.sockets) taken = taken || socket.peerCredentials.pid == number;
    }
    return number;
  }

  Status makeSingle(uint32_t index) {
    const Socket& socket = image_.sockets[index];
    UniqueFd fd(::socket(socket.domain, socket.type | SOCK_CLOEXEC, socket.domain == AF_UNIX ? 0 : socket.protocol));
    if (!fd) return systemError("a socket of family " + std::to_string(socket.domain));
    return put(index, std::move(fd));
  }

  Status makeTcpConnection(uint32_t index) {
    const Socket& socket = image_.sockets[index];
    if (socket.peer == image::kNone) return Error{EINVAL, "a connection without a peer"};
    const Socket& peer = image_.sockets[socket.peer];
    BLCR_TRY(makeSingle(index));
    auto accepted = connectPair(set_.own[index], socket.name, socket.peerName, peer.name, peer.protocol);
    if (!accepted) return accepted.error();
    return put(socket.peer, *std::move(accepted));
  }

  Status makeLostConnection(uint32_t index) {
    const Socket& socket = image_.sockets[index];
    if (socket.state == SocketState::kClosed && !socket.name.empty() && !socket.peerName.empty()) {
      BLCR_TRY(makeSingle(index));
      setFlag(set_.own[index], SOL_SOCKET, SO_REUSEADDR);  // its port may be the one that another listens at
      auto accepted = connectPair(set_.own[index], socket.name, socket.peerName, socket.peerName, socket.protocol);
      if (accepted) {
        set_.other[index] = *std::move(accepted);
        return {};
      }
      log_.line("a connection that has ended has other addresses now: " + accepted.error().detail);
    }
    auto ends = makeAnonymousConnection(socket.domain, socket.protocol);
    if (!ends) return ends.error();
    set_.other[index] = std::move((*ends)[1]);
    return put(index, std::move((*ends)[0]));
  }

  /** Names outside of the file system: whether they are free is known before anything else is done. */
  Status bindSingle(uint32_t index) {
    const Socket& socket = image_.sockets[index];
    const int fd = set_.own[index];
    if (socket.domain == AF_UNIX) {
      if (socket.name.empty() || socket.inheritsName || !socketPath(socket.name).empty()) return {};
      if (!bindWhenFree(fd, socket.name)) return systemError("the abstract socket name " + addressText(socket.name) + " on this host");
      return {};
    }
    const bool single = socket.type == SOCK_DGRAM || socket.state == SocketState::kUnconnected || socket.state == SocketState::kListening;
    if (!single) return {};
    setEarlyOptions(fd, socket);
    if (socket.name.empty()) return {};
    if (sharesPort(index)) setFlag(fd, SOL_SOCKET, SO_REUSEPORT);
    if (socket.type == SOCK_DGRAM && meetsOthers(index)) setFlag(fd, SOL_SOCKET, SO_REUSEADDR);
    if (socket.foreignName) setFlag(fd, IPPROTO_IP, IP_FREEBIND);
    if (portOf(socket.name) == 0) setFlag(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT);
    return socket.type == SOCK_STREAM ? bindInternet(fd, socket.name) : bindDatagrams(fd, socket);
  }

  /** Options of the time when it was bound, which the program has changed since: what they are now is set in the end. */
  static void setFlag(int fd, int level, int name) {
    const int on = 1;
    ::setsockopt(fd, level, name, &on, sizeof on);
  }

  [[nodiscard]] bool meets(const Socket& one, const Socket& other) const {
    const bool single = other.type == SOCK_DGRAM || other.state == SocketState::kUnconnected || other.state == SocketState::kListening;
    return &one != &other && single && other.domain != AF_UNIX && one.type == other.type && one.protocol == other.protocol &&
           portOf(one.name) != 0 && portOf(one.name) == portOf(other.name);
  }

  [[nodiscard]] bool meetsOthers(uint32_t index) const {
    const auto& all = image_.sockets;
    return std::any_of(all.begin(), all.end(), [&](const Socket& other) { return meets(all[index], other); });
  }

  /** Several sockets at one port: two that listen at one address must share it, and who shares does so with all. */
  [[nodiscard]] bool sharesPort(uint32_t index) const {
    const Socket& self = image_.sockets[index];
    const auto shares = [&](const Socket& other) {
      const bool listen = self.state == SocketState::kListening && other.state == SocketState::kListening && self.name == other.name;
      return meets(self, other) && (listen || isSet(self, SO_REUSEPORT) || isSet(other, SO_REUSEPORT));
    };
    return std::any_of(image_.sockets.begin(), image_.sockets.end(), shares);
  }

  static bool isSet(const Socket& socket, int name) {
    return std::any_of(socket.options.begin(), socket.options.end(), [name](const image::SocketOption& option) {
      return option.level == SOL_SOCKET && option.name == name && option.value.find_first_not_of('\0') != std::string::npos;
    });
  }

  /** The address of a connected socket may have been chosen by the routes of the old host. */
  Status bindDatagrams(int fd, const Socket& socket) {
    if (bindWhenFree(fd, socket.name)) return {};
    if (errno == EADDRNOTAVAIL && socket.state == SocketState::kConnected) {
      std::string any = socket.name;
      std::fill(any.begin() + sizeof(sa_family_t) + sizeof(in_port_t), any.end(), '\0');
      const SocketAddress anywhere(any);
      if (::bind(fd, anywhere.get(), anywhere.size()) == 0) return {};
    }
    return systemError("UDP address " + addressText(socket.name) + " on this host");
  }

  const image::Image& image_;
  const PlaceDescriptor& place_;
  Log& log_;
  SocketSet set_;
};

}  // namespace

bool isDatagramPair(const image::Image& image, uint32_t index) {
  const Socket& self = image.sockets[index];
  if (self.domain != AF_UNIX || self.type != SOCK_DGRAM || self.state != SocketState::kConnected) return false;
  if (self.peer == image::kNone || self.peer == index) return false;
  const Socket& peer = image.sockets[self.peer];
  // Who called connect() has no credentials of its peer, and the peer had a name.
  return peer.peer == index && (self.peerCredentials.pid != 0 || self.name.empty() || peer.name.empty());
}

Status connectPrivately(int fd, int peer, const std::string& peerName) {
  if (peerName.empty()) return Error{EINVAL, "a socket without a name"};
  const SocketAddress address(peerName);
  return bindPrivately(peer, peerName, [&] { return ::connect(fd, address.get(), address.size()) == 0 ? 0 : errno; });
}

Result<SocketSet> makeSockets(const image::Image& image, const PlaceDescriptor& place, Log& log) { return Maker(image, place, log).all(); }

}  // namespace blcr
