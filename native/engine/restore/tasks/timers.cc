#include "restore/tasks/timers.h"

#include <signal.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>

#include <algorithm>

#include "base/clock.h"
#include "base/features.h"

namespace blcr {
namespace {

constexpr int64_t kSecond = 1000000000;
constexpr long kPrctlTimerIds = 77;  // PR_TIMER_CREATE_RESTORE_IDS, linux/prctl.h since 6.15
constexpr int32_t kMaxCycles = 100000;

/** struct sigevent as the kernel reads it. Source: include/uapi/asm-generic/siginfo.h. */
struct KernelSigevent {
  uint64_t value = 0;
  int32_t signal = 0, notify = 0, tid = 0;
  int32_t padding[11] = {};
};
static_assert(sizeof(KernelSigevent) == 64);

Result<int32_t> createTimer(Job& job, Stub& stub, const image::PosixTimer& timer) {
  KernelSigevent event;
  event.value = timer.sigvalue;
  event.signal = timer.signal;
  event.notify = timer.notify;
  event.tid = (timer.notify & SIGEV_THREAD_ID) != 0 ? job.numbers(timer.tid) : 0;
  const auto id = stub.putObject(timer.id);  // read by the kernel when numbers can be chosen, written in any case
  const auto at = stub.putObject(event);
  if (!id.ok() || !at.ok()) return id.ok() ? at.error() : id.error();
  const std::string what = "timer " + std::to_string(timer.id);
  auto made = stub.call(what, SYS_timer_create, {uint64_t(int64_t(timer.clock)), at.value(), id.value()});
  if (!made.ok()) return made.error();
  return RemoteMemory(stub.tid()).get<int32_t>(id.value());
}

/** Without the prctl numbers ascend from 0 in a new process: those in between are made and deleted. Called in ascending order. */
Status createWithNumber(Job& job, Stub& stub, const image::PosixTimer& timer) {
  for (int32_t cycle = 0; cycle < kMaxCycles; ++cycle) {
    const auto id = createTimer(job, stub, timer);
    if (!id.ok()) return id.error();
    if (id.value() == timer.id) return {};
    auto deleted = stub.call("timer_delete", SYS_timer_delete, {uint64_t(id.value())});
    if (!deleted.ok()) return deleted.error();
    if (id.value() > timer.id) break;
  }
  return Error{ENOTSUP, "timer " + std::to_string(timer.id) + ": this kernel does not give it its number back"};
}

/** Timers of processor time do not run while the job does not; all others are at the same point of their clock as they were. */
Status arm(const Job& job, Stub& stub, const image::PosixTimer& timer) {
  if (timer.valueNs == 0) return {};
  const bool ofProcessor = timer.clock < 0 || timer.clock == CLOCK_PROCESS_CPUTIME_ID || timer.clock == CLOCK_THREAD_CPUTIME_ID;
  const int64_t value = std::max<int64_t>(1, timer.valueNs - (ofProcessor ? 0 : nowNs() - job.startNs));
  const itimerspec spec{{timer.intervalNs / kSecond, timer.intervalNs % kSecond}, {value / kSecond, value % kSecond}};
  const auto at = stub.putObject(spec);
  if (!at.ok()) return at.error();
  return done(stub.call("timer " + std::to_string(timer.id), SYS_timer_settime, {uint64_t(timer.id), 0, at.value(), 0}));
}

/** What runs by the time of a thread is that of the one that makes it. */
Stub& makerOf(Building& building, const image::PosixTimer& timer) {
  const auto& tasks = building.process->tasks;
  for (size_t index = 0; index < tasks.size(); ++index)
    if (timer.owner == tasks[index].tid) return building.tasks[index];
  return building.leader();
}

/** The kernel has told of the newest first. */
std::vector<const image::PosixTimer*> ascending(const std::vector<image::PosixTimer>& timers) {
  std::vector<const image::PosixTimer*> sorted;
  for (const image::PosixTimer& timer : timers) sorted.push_back(&timer);
  std::sort(sorted.begin(), sorted.end(), [](const auto* one, const auto* other) { return one->id < other->id; });
  return sorted;
}

Status posixTimers(Job& job, Building& building) {
  if (building.process->posixTimers.empty()) return {};
  Stub& stub = building.leader();
  bool chosen = false;
  if (featureAllowed("timer_ids")) {
    const auto set = stub.attempt(SYS_prctl, {kPrctlTimerIds, 1});
    if (!set.ok()) return set.error();
    chosen = set.value() == 0;
  }
  for (const image::PosixTimer* timer : ascending(building.process->posixTimers))
    BLCR_TRY(createWithNumber(job, makerOf(building, *timer), *timer));
  if (chosen) {
    auto unset = stub.call("prctl", SYS_prctl, {kPrctlTimerIds, 0});
    if (!unset.ok()) return unset.error();
  }
  for (const image::PosixTimer& timer : building.process->posixTimers) BLCR_TRY(arm(job, stub, timer));
  return {};
}

Status intervalTimers(const Job& job, Building& building) {
  for (uint64_t which = 0; which < 3; ++which) {
    image::IntervalTimer timer = building.process->timers[which];
    // A real-time timer whose signal is still pending stands still until the signal is taken; the kernel keeps an interval only while it is
    // in use.
    if (which == ITIMER_REAL && timer.valueUs == 0) timer.valueUs = timer.intervalUs;
    if (timer.valueUs == 0) continue;
    if (which == ITIMER_REAL) timer.valueUs = std::max<int64_t>(1, timer.valueUs - (nowNs() - job.startNs) / 1000);
    const itimerval value{{timer.intervalUs / 1000000, timer.intervalUs % 1000000}, {timer.valueUs / 1000000, timer.valueUs % 1000000}};
    const auto at = building.leader().putObject(value);
    if (!at.ok()) return at.error();
    auto done = building.leader().call("interval timer " + std::to_string(which), SYS_setitimer, {which, at.value(), 0});
    if (!done.ok()) return done.error();
  }
  return {};
}

}  // namespace

Status startTimers(Job& job, Building& building) {
  Status status = posixTimers(job, building);
  if (status.ok()) status = intervalTimers(job, building);
  if (!status.ok()) return inProcess(*building.process, status.error());
  return {};
}

}  // namespace blcr
