// How a thread is scheduled, time slices of ordinary policies included (sched_setattr, Linux 6.12).
#pragma once

#include <sys/types.h>

#include <cstdint>

namespace blcr {

struct Scheduling {
  int policy = 0;  // as sched_getscheduler(2) gives it, SCHED_RESET_ON_FORK included
  int priority = 0;
  int nice = 0;
  uint64_t sliceNs = 0;  // 0 = that of the system
};

[[nodiscard]] Scheduling schedulingOf(pid_t tid);
[[nodiscard]] bool setSlice(pid_t tid, uint64_t nanoseconds);

}  // namespace blcr
