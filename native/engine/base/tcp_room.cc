#include "base/tcp_room.h"

#include <sys/socket.h>

namespace blcr {

void makeRoom(int receiver) {
  int before = 1;
  socklen_t size = sizeof before;
  if (::getsockopt(receiver, SOL_SOCKET, SO_RCVLOWAT, &before, &size) != 0) return;
  // Source: tcp_set_rcvlowat() of the kernel: a mark beyond the buffer makes the buffer grow, within tcp_rmem. Looking at what is there
  // then tells the sender of the new room.
  const int large = 1 << 30;
  ::setsockopt(receiver, SOL_SOCKET, SO_RCVLOWAT, &large, sizeof large);
  ::setsockopt(receiver, SOL_SOCKET, SO_RCVLOWAT, &before, sizeof before);
  char byte = 0;
  static_cast<void>(::recv(receiver, &byte, 1, MSG_PEEK | MSG_DONTWAIT));
}

}  // namespace blcr
