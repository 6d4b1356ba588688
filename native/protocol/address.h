// Where a keeper listens.
#pragma once

#include <sys/socket.h>
#include <sys/types.h>
#include <sys/un.h>

#include "base/result.h"

namespace blcr {

/** An abstract unix address. */
struct KeeperAddress {
  sockaddr_un address{};
  socklen_t length = 0;
};

/**
 * Address of the keeper `pid` that runs as `uid`: "\0node-blcr/<uid>/<pid namespace>/<pid>". Abstract addresses belong to the network
 * namespace, which jobs share, so the pid namespace's number (inode of /proc/self/ns/pid) tells the keepers of several restarted jobs
 * apart, each of which is pid 1 of its own. ENOENT without a /proc.
 */
[[nodiscard]] Result<KeeperAddress> keeperAddress(uid_t uid, pid_t pid);

/** Where the agent of a client (client_wire.h) listens: "\0node-blcr/client/0/<pid namespace>/<pid>"; a program may change its user. */
[[nodiscard]] Result<KeeperAddress> clientAddress(pid_t pid);

/** What a keeper listens at for as long as it has asked the client `pid`: "\0node-blcr/asked/0/<pid namespace>/<pid>". */
[[nodiscard]] Result<KeeperAddress> askedAddress(pid_t pid);

}  // namespace blcr
