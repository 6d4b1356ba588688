// The main thread of a process that has ended while others go on.
#pragma once

#include "image/model.h"

namespace blcr::image {

/** Nothing is recorded of it but name and number: Process::exitStatus is its exit status, not the process's. Only the first task can be
 * one, and not the only task. Its signal mask and stop signal are those of the second, for whoever asks the process. */
[[nodiscard]] inline bool hasEnded(const Task& task) { return task.regs.empty(); }

}  // namespace blcr::image
