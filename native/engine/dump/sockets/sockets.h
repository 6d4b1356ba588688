// The sockets of a job while they are recorded.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "base/result.h"
#include "base/unique_fd.h"
#include "dump/dump.h"
#include "dump/files/descriptions.h"
#include "dump/recording.h"
#include "dump/sockets/socket_queue.h"
#include "proc/unix_diag.h"

namespace blcr {

/** A message whose descriptors have become entries of the list of found descriptors. */
struct SocketQueueEntry {
  QueuedMessage message;
  std::vector<size_t> found;  // indices
};

/** One socket, whoever holds it. */
struct LiveSocket {
  size_t found = 0;  // one of its descriptors
  UniqueFd fd;       // of the same description
  int domain = 0, type = 0, protocol = 0;
  std::string name, peerName;  // sockaddr as the kernel gives it, "" = none
  UnixSocket local;            // AF_UNIX
  int connection = 0;          // TCP_ESTABLISHED, …; 0 = neither TCP nor MPTCP
  uint32_t accepting = 0;      // TCP, listening: connections to be accepted
  uint32_t backlog = 0;
  uint32_t idleMs = 0;     // TCP: since the last acknowledgement came
  short events = 0;        // poll
  bool neverMade = false;  // TCP: a connection that failed before it began
  bool hasSent = false;    // TCP: data that was acknowledged
  bool leadsToKeeper = false;
  std::vector<SocketQueueEntry> queue;
};

using SocketTable = std::map<ObjectKey, LiveSocket>;

/**
 * Looks at every socket among `found`, and at those under way in the queues of others: descriptors under way are appended to `found` as
 * descriptors of this process. The launcher's own streams and what leads to the keeper are left alone. kErrorNoSupport names a socket of a
 * family that is not supported; kErrorTemporary one that cannot be looked at just now.
 */
[[nodiscard]] Result<SocketTable> lookAtSockets(const DumpRequest& request, std::vector<FoundDescriptor>& found);

}  // namespace blcr
