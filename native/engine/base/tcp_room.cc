#include "base/tcp_room.h"

#include <sys/socket.h>

#include <cstdlib>

#include "base/io.h"

#ifndef SO_BUF_LOCK
#define SO_BUF_LOCK 72
#endif

namespace blcr {
namespace {

constexpr int kReceiveLocked = 2;  // SOCK_RCVBUF_LOCK

bool readOption(int fd, int name, int& value) {
  socklen_t size = sizeof value;
  return ::getsockopt(fd, SOL_SOCKET, name, &value, &size) == 0;
}

bool setOption(int fd, int name, int value) { return ::setsockopt(fd, SOL_SOCKET, name, &value, sizeof value) == 0; }

/** The size that a program gives is doubled by the kernel, and cut to a limit before: one beyond it cannot be put back. */
bool canPutBack(int size) {
  const auto limit = readFile("/proc/sys/net/core/rmem_max");
  return limit.ok() && size % 2 == 0 && size / 2 <= std::atoi(limit.value().c_str());
}

}  // namespace

void ReceiverRoom::unlock() {
  if (asked_) return;
  asked_ = true;
  int size = 0;
  if (!readOption(receiver_, SO_BUF_LOCK, locks_) || (locks_ & kReceiveLocked) == 0) return;
  if (!readOption(receiver_, SO_RCVBUF, size) || !canPutBack(size)) return;
  if (setOption(receiver_, SO_BUF_LOCK, locks_ & ~kReceiveLocked)) fixedSize_ = size;
}

void ReceiverRoom::offer() {
  unlock();
  int before = 1;
  if (!readOption(receiver_, SO_RCVLOWAT, before)) return;
  // Source: tcp_set_rcvlowat() of the kernel: a mark beyond the buffer makes the buffer grow, within tcp_rmem. Looking at what is there
  // then tells the sender of the new room.
  setOption(receiver_, SO_RCVLOWAT, 1 << 30);
  setOption(receiver_, SO_RCVLOWAT, before);
  char byte = 0;
  static_cast<void>(::recv(receiver_, &byte, 1, MSG_PEEK | MSG_DONTWAIT));
}

ReceiverRoom::~ReceiverRoom() {
  if (fixedSize_ == 0) return;
  setOption(receiver_, SO_RCVBUF, fixedSize_ / 2);
  setOption(receiver_, SO_BUF_LOCK, locks_);
}

}  // namespace blcr
