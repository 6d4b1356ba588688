#include "base/scheduling.h"

#include <sched.h>
#include <sys/syscall.h>
#include <unistd.h>

namespace blcr {
namespace {

/** struct sched_attr as of its first version. Source: linux/sched/types.h. */
struct SchedulingAttributes {
  uint32_t size = sizeof(SchedulingAttributes), policy = 0;
  uint64_t flags = 0;
  int32_t nice = 0;
  uint32_t priority = 0;
  uint64_t runtime = 0, deadline = 0, period = 0;
};
static_assert(sizeof(SchedulingAttributes) == 48);

bool readAttributes(pid_t tid, SchedulingAttributes& into) { return ::syscall(SYS_sched_getattr, tid, &into, sizeof into, 0) == 0; }

bool hasSlices(uint32_t policy) { return policy == SCHED_OTHER || policy == SCHED_BATCH; }

/** Of a thread that nobody gave one to: this one. */
uint64_t usualSlice() {
  static const uint64_t slice = [] {
    SchedulingAttributes own;
    return readAttributes(0, own) && hasSlices(own.policy) ? own.runtime : 0;
  }();
  return slice;
}

}  // namespace

uint64_t ownSlice(pid_t tid) {
  SchedulingAttributes found;
  if (!readAttributes(tid, found) || !hasSlices(found.policy) || found.runtime == usualSlice()) return 0;
  return found.runtime;
}

bool setSlice(pid_t tid, uint64_t nanoseconds) {
  SchedulingAttributes wanted;
  if (!readAttributes(tid, wanted)) return false;
  wanted.runtime = nanoseconds;
  wanted.deadline = wanted.period = 0;
  return ::syscall(SYS_sched_setattr, tid, &wanted, 0) == 0;
}

}  // namespace blcr
