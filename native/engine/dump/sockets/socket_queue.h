// What a socket has yet to read, looked at without taking it.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/result.h"
#include "base/unique_fd.h"

namespace blcr {

/** One message, or a stretch of a stream between two changes of its sender. */
struct QueuedMessage {
  std::string data;
  std::vector<UniqueFd> passed;        // descriptors under way, our copies
  std::string sender;                  // sockaddr, "" = none
  uint32_t pid = 0, uid = 0, gid = 0;  // credentials under way; pid 0 = none
};

/**
 * Reads the queue of an AF_UNIX or UDP socket through a descriptor of the same description. `expected` is the number of bytes that a
 * connection holds (SIOCINQ), UINT32_MAX when it is not known. The socket's options are changed for that time and set back. Pending errors
 * of the socket are left in place: EBUSY when one stands before the messages, or when an earlier look at this queue found an empty message:
 * the kernel shows those once. EMSGSIZE for a message of more than 4 MiB, EMFILE when
 * descriptors under way find no room here.
 */
[[nodiscard]] Result<std::vector<QueuedMessage>> peekQueue(int fd, int domain, int type);

/** The bytes that a TCP socket has yet to read. */
[[nodiscard]] Result<std::string> peekStream(int fd);

}  // namespace blcr
