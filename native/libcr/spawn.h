// Starting a keeper from any thread of any program.
#pragma once

#include <sys/types.h>

#include "base/result.h"
#include "base/unique_fd.h"

namespace blcr::libcr {

enum class Parentage {
  kChild,     // the caller waits for it, as for a child of its own
  kDetached,  // nobody's child: it is reaped by init
};

/**
 * Runs `keeper mode` with `socket` as descriptor 3. The caller's memory is borrowed, not copied, until the program is running (CLONE_VM |
 * CLONE_VFORK), so this is quick in a huge process and safe in a threaded one; no signal handler of the caller runs in the child, and
 * descriptors beyond 3 are closed by the keeper. Returns the pid (0 when detached), or the error of execve.
 */
[[nodiscard]] Result<pid_t> spawnKeeper(const char* mode, const UniqueFd& socket, Parentage parentage);

}  // namespace blcr::libcr
