// Interval timers and POSIX timers.
#pragma once

#include "restore/job.h"

namespace blcr {

/** Recreates a process's timers with their numbers and starts them with the time that was left. Last before the process goes on. */
[[nodiscard]] Status startTimers(Job& job, Building& building);

}  // namespace blcr
