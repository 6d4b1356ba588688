// What the tasks of a process may do: looked at before anything is done in their name.
#pragma once

#include "base/result.h"
#include "dump/tasks/record_process.h"

namespace blcr {

/**
 * Refuses tasks with a seccomp filter of their own, which cannot be read, and threads with other credentials than their process. Comes
 * before the first injection: what a filter does not expect may be answered by killing the program.
 */
[[nodiscard]] Status checkRights(const FrozenProcess& process, const KeeperTraits& keeper);

}  // namespace blcr
