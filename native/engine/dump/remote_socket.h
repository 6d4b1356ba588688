// A socket in a frozen process.
#pragma once

#include <sys/socket.h>
#include <sys/syscall.h>

#include <cerrno>
#include <cstring>
#include <string>

#include "base/codes.h"
#include "dump/frozen.h"

namespace blcr {

/** Unconnected, of the unix domain; made and closed by its process's foothold, which must be there as long. */
class RemoteSocket {
 public:
  explicit RemoteSocket(FrozenProcess& process) : process_(process) {}
  RemoteSocket(const RemoteSocket&) = delete;
  RemoteSocket& operator=(const RemoteSocket&) = delete;
  ~RemoteSocket() {
    RemoteCall call{SYS_close, {uint64_t(number_)}};
    if (number_ >= 0) static_cast<void>(process_.foothold->run(std::span(&call, 1)));
  }
  [[nodiscard]] Status open() {
    RemoteCall call{SYS_socket, {AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0}};
    BLCR_TRY(process_.foothold->run(std::span(&call, 1)));
    if (call.result >= 0) number_ = int(call.result);
    if (call.result >= 0) return {};
    return Error{kErrorNoSupport, "process " + std::to_string(process_.pid) + ": what its descriptors stand for cannot be told (" +
                                      std::strerror(int(-call.result)) + "), as kcmp or pidfd_getfd is forbidden here"};
  }
  [[nodiscard]] int number() const { return number_; }
  [[nodiscard]] FrozenProcess& process() const { return process_; }

 private:
  FrozenProcess& process_;
  int number_ = -1;
};

}  // namespace blcr
