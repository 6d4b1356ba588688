#include "listener.h"

#include <fcntl.h>
#include <sys/socket.h>

#include "protocol/address.h"
#include "protocol/talk.h"

namespace blcr {

namespace {

UniqueFd openReserve() { return UniqueFd(::open("/dev/null", O_RDONLY | O_CLOEXEC)); }

bool mayRequest(int connection) {
  ucred peer{};
  socklen_t length = sizeof peer;
  if (::getsockopt(connection, SOL_SOCKET, SO_PEERCRED, &peer, &length) != 0) return false;
  return peer.uid == 0 || peer.uid == ::geteuid();
}

}  // namespace

Result<Listener> Listener::open() {
  BLCR_TRY(refuseDeadly(kTalk, "a keeper"));  // it would die of the first request, and the job with it
  auto name = keeperAddress(::geteuid(), ::getpid());
  if (!name) return name.error();
  Listener listener;
  listener.socket_.reset(::socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!listener.socket_) return systemError("make the keeper's socket");
  const auto* address = reinterpret_cast<const sockaddr*>(&name->address);
  if (::bind(listener.socket_.get(), address, name->length) != 0) return systemError("name the keeper's socket");
  if (::listen(listener.socket_.get(), 64) != 0) return systemError("listen");
  listener.reserve_ = openReserve();
  return listener;
}

UniqueFd Listener::accept() {
  UniqueFd connection(::accept4(socket_.get(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK));
  if (!connection && (errno == EMFILE || errno == ENFILE)) {
    reserve_.reset();
    UniqueFd(::accept4(socket_.get(), nullptr, nullptr, SOCK_CLOEXEC)).reset();
    reserve_ = openReserve();
  }
  if (connection && !mayRequest(connection.get())) connection.reset();
  return connection;
}

}  // namespace blcr
