#include "restore/sockets/bind_when_free.h"

#include <sys/socket.h>

#include <cerrno>

#include "base/clock.h"
#include "base/socket_address.h"

namespace blcr {

bool bindWhenFree(int fd, const std::string& name) {
  constexpr int kStepMs = 20;
  const SocketAddress address(name);
  for (int waited = 0; ::bind(fd, address.get(), address.size()) != 0; waited += kStepMs) {
    if (errno != EADDRINUSE || waited >= kDyingMs) return false;
    sleepUs(kStepMs * 1000);
  }
  return true;
}

}  // namespace blcr
