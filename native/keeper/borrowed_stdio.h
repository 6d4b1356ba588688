// The standard descriptors of a process that no keeper has launched.
#pragma once

#include <sys/types.h>

#include <array>

#include "base/unique_fd.h"

namespace blcr {

using BorrowedStdio = std::array<UniqueFd, 3>;

/**
 * Copies of descriptors 0, 1 and 2 of `pid`, as far as they are pipes, terminals or sockets: what a restart replaces by its own. Regular
 * files are the target's own and are not borrowed. Where pidfd_getfd is forbidden, pipes and terminals are opened a second time, and
 * sockets are not borrowed.
 */
[[nodiscard]] BorrowedStdio borrowStdio(pid_t pid);

}  // namespace blcr
