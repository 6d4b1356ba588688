// Who is connected with whom: sock_diag(7) for AF_UNIX.
#pragma once

#include <cstdint>
#include <vector>

#include "base/result.h"

namespace blcr {

struct UnixSocket {
  int type = 0;   // SOCK_STREAM, …
  int state = 0;  // TCP_ESTABLISHED (1), TCP_CLOSE (7), TCP_LISTEN (10)
  bool hasPeer = false;
  uint64_t peer = 0;  // inode; 0 when the peer was closed
  bool shutRead = false, shutWrite = false;
  uint32_t fileInode = 0;         // of the file that it is bound to, 0 = none
  uint32_t fileDevice = 0;        // as the kernel numbers it: major << 20 | minor
  uint32_t queued = 0;            // bytes to be read; a listening socket: connections to be accepted
  uint32_t limit = 0;             // a listening socket: how many may wait
  std::vector<uint32_t> waiting;  // a listening socket: inodes of the clients to be accepted, in order; 0 = already closed
};

/** Asks for one socket of this network namespace by inode. ENOENT when it is no AF_UNIX socket (of this namespace). */
[[nodiscard]] Result<UnixSocket> readUnixSocket(uint64_t inode);

}  // namespace blcr
