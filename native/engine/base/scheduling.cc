#include "base/scheduling.h"

#include <errno.h>
#include <sched.h>
#include <sys/resource.h>
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

Scheduling schedulingOf(pid_t tid) {
  constexpr uint64_t kResetOnFork = 1;  // SCHED_FLAG_RESET_ON_FORK, linux/sched.h
  Scheduling scheduling;
  SchedulingAttributes found;
  bool knowsNice = false;
  if (readAttributes(tid, found)) {
    scheduling.policy = int(found.policy) | ((found.flags & kResetOnFork) != 0 ? SCHED_RESET_ON_FORK : 0);
    scheduling.priority = int(found.priority);
    scheduling.nice = found.nice;
    knowsNice = hasSlices(found.policy) || found.policy == SCHED_IDLE;
    if (hasSlices(found.policy) && found.runtime != usualSlice()) scheduling.sliceNs = found.runtime;
  } else {  // a filter may forbid it
    sched_param parameter{};
    scheduling.policy = ::sched_getscheduler(tid);
    if (::sched_getparam(tid, &parameter) == 0) scheduling.priority = parameter.sched_priority;
  }
  if (knowsNice) return scheduling;
  errno = 0;
  const int nice = ::getpriority(PRIO_PROCESS, id_t(tid));
  if (errno == 0) scheduling.nice = nice;
  return scheduling;
}

bool setSlice(pid_t tid, uint64_t nanoseconds) {
  SchedulingAttributes wanted;
  if (!readAttributes(tid, wanted)) return false;
  wanted.runtime = nanoseconds;
  wanted.deadline = wanted.period = 0;
  return ::syscall(SYS_sched_setattr, tid, &wanted, 0) == 0;
}

}  // namespace blcr
