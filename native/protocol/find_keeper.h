// From a process to the keeper that looks after it.
#pragma once

#include <sys/types.h>

#include "base/result.h"
#include "base/unique_fd.h"

namespace blcr {

/** Connects to the keeper of `pid`, walking up its parents; `nearest` becomes the keeper's pid. No descriptor when there is none. */
[[nodiscard]] Result<UniqueFd> connectKeeper(pid_t pid, pid_t& nearest);

/** Connects to the agent of `pid` (client_wire.h). No descriptor when the process has none. */
[[nodiscard]] Result<UniqueFd> connectClient(pid_t pid);

/**
 * Takes the client `pid` for the one request that may ask it at a time, until the descriptor is closed. EBUSY when another keeper of this
 * user has: keepers that are started for one request know nothing of each other.
 */
[[nodiscard]] Result<UniqueFd> claimClient(pid_t pid);

}  // namespace blcr
