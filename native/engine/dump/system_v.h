// System V semaphores, message queues and shared memory that a job uses: a restart would leave it without them.
#pragma once

#include <deque>

#include "base/result.h"
#include "dump/frozen.h"

namespace blcr {

/**
 * kErrorNoSupport, naming process and object, when one of the processes was the last to use a semaphore set or a message queue, or has made
 * a shared segment, that still exists. These objects belong to the host and not to a process: what only a process that has ended has used
 * is not found. Without /proc/sysvipc there are none.
 */
[[nodiscard]] Status refuseSystemV(const std::deque<FrozenProcess>& processes);

}  // namespace blcr
