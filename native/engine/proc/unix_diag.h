// Who is connected with whom: sock_diag(7) for AF_UNIX.
#pragma once

#include <cstdint>

#include "base/result.h"

namespace blcr {

struct UnixSocket {
  int type = 0;   // SOCK_STREAM, …
  int state = 0;  // TCP_ESTABLISHED (1), TCP_CLOSE (7), TCP_LISTEN (10)
  bool named = false;
  bool hasPeer = false;
  uint64_t peer = 0;  // inode; 0 when the peer was closed
  bool shutRead = false, shutWrite = false;
};

/** Asks for one socket of this network namespace by inode. ENOENT when it is no AF_UNIX socket (of this namespace). */
[[nodiscard]] Result<UnixSocket> readUnixSocket(uint64_t inode);

}  // namespace blcr
