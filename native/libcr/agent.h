// The thread that answers keepers in this process's name.
#pragma once

namespace blcr::libcr {

/** Starts the agent of this process once; it listens at clientAddress(). False, with errno, when that cannot be. */
[[nodiscard]] bool startAgent();

/** In a child of fork(2), which has no agent before it calls startAgent(). */
void forgetAgentAfterFork();

}  // namespace blcr::libcr
