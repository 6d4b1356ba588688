// Time slices of threads with an ordinary policy (sched_setattr, Linux 6.12).
#pragma once

#include <sys/types.h>

#include <cstdint>

namespace blcr {

/** In nanoseconds; 0 = that of the system. */
[[nodiscard]] uint64_t ownSlice(pid_t tid);
[[nodiscard]] bool setSlice(pid_t tid, uint64_t nanoseconds);

}  // namespace blcr
