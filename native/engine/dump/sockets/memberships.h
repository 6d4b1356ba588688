// Multicast groups that a socket has joined.
#pragma once

#include <vector>

#include "base/result.h"
#include "image/model.h"

namespace blcr {

/** Adds an option that joins again for each group. No call lists them: every group that this host knows is asked for. kErrorNoSupport for a
 * membership that is limited to certain senders. */
[[nodiscard]] Status readMemberships(int fd, int domain, std::vector<image::SocketOption>& into);

}  // namespace blcr
