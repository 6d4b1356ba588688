// Names of sockets that the job's earlier life may still hold.
#pragma once

#include <string>

namespace blcr {

/** How long a process that was killed may take to end: its sockets go last. */
constexpr int kDyingMs = 1000;

/** bind(2); a name that is taken is waited for, up to kDyingMs. False with errno. */
[[nodiscard]] bool bindWhenFree(int fd, const std::string& name);

}  // namespace blcr
