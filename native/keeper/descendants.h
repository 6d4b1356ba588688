// Everything below the keeper.
#pragma once

#include <sys/types.h>

#include <vector>

namespace blcr {

/** All living descendants of the calling process; orphans are among them, since the keeper is their subreaper. */
[[nodiscard]] std::vector<pid_t> descendants();

/** Kills (SIGKILL) and reaps every child and descendant, for at most `limitMs`: a process in an uninterruptible sleep is left to init. */
void killDescendants(int limitMs);

}  // namespace blcr
