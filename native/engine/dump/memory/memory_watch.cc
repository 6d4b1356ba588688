#include "dump/memory/memory_watch.h"

#include <poll.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <sys/ptrace.h>
#include <unistd.h>

#include <algorithm>

#include "base/clock.h"
#include "dump/memory/budget.h"
#include "dump/tasks/registers.h"
#include "proc/status.h"
#include "trace/tracee.h"

namespace blcr {
namespace {

constexpr int kPeriodMs = 20;
constexpr int kStopRounds = 200;  // of 500 us: a task that does not stop by then sleeps in the kernel and copies no pages

/** True when the task is in a ptrace-stop, found without waiting for it. */
bool isStopped(Tracee& task) { return task.registers().ok(); }

/** Each copied page is one fault; others (new memory) are counted too, which errs on the safe side. */
uint64_t minorFaults(const std::vector<pid_t>& processes) {
  uint64_t sum = 0;
  for (const pid_t pid : processes) {
    const auto stat = readStat(pid);
    if (stat) sum += stat.value().minorFaults;
  }
  return sum;
}

/** The signal whose delivery the stop has interrupted, 0 when it is another kind of stop. */
int interruptedDelivery(pid_t tid) {
  siginfo_t info{};
  if (::ptrace(PTRACE_GETSIGINFO, tid, nullptr, &info) != 0) return 0;
  return info.si_code >> 8 == PTRACE_EVENT_STOP ? 0 : info.si_signo;
}

}  // namespace

MemoryWatch::MemoryWatch(std::vector<pid_t> processes, WatchLimits limits)
    : processes_(std::move(processes)), limits_(limits), end_(::eventfd(0, EFD_CLOEXEC)) {
  faultsBefore_ = minorFaults(processes_);
}

Status MemoryWatch::start() {
  return thread_.start([this] { run(); });
}

MemoryWatch::~MemoryWatch() { stop(); }

uint64_t MemoryWatch::stop() {
  if (thread_.joinable()) {
    const uint64_t one = 1;
    static_cast<void>(!::write(end_.get(), &one, sizeof one));
    thread_.join();
  }
  return heldUs_;
}

void MemoryWatch::run() {
  pollfd end{end_.get(), POLLIN, 0};
  while (::poll(&end, 1, holding_ ? -1 : kPeriodMs) <= 0) {
    if (!holding_ && isShort()) hold();
  }
  release();
}

bool MemoryWatch::isShort() {
  if (processes_.empty()) return false;
  if (availableMemory(processes_.front()) < limits_.lowWater) return true;
  if (limits_.budget == UINT64_MAX) return false;
  return (minorFaults(processes_) - faultsBefore_) * 4096 > limits_.budget;
}

void MemoryWatch::hold() {
  const int64_t start = nowNs();
  holding_ = true;
  std::vector<Tracee> tasks;
  for (bool fresh = true; fresh;) {
    fresh = false;
    for (const pid_t pid : processes_) {
      const auto tids = listTasks(pid);
      if (!tids) continue;
      for (const pid_t tid : tids.value()) {
        if (std::find(held_.begin(), held_.end(), tid) != held_.end()) continue;
        if (tid != pid && isKernelWorker(pid, tid)) continue;
        auto task = Tracee::seize(tid, 0);
        if (!task) continue;
        held_.push_back(tid);
        tasks.push_back(*std::move(task));
        fresh = true;
      }
    }
    for (Tracee& task : tasks) {
      for (int round = 0; round < kStopRounds && !isStopped(task) && readStat(task.tid()); ++round) sleepUs(500);
    }
  }
  holdStart_ = start;
}

void MemoryWatch::release() {
  if (!holding_) return;
  for (const pid_t tid : held_) {
    Tracee task = Tracee::adopt(tid);
    // Still on its way into the stop: it must be let go there, or it would stay traced by a thread that has ended.
    for (int round = 0; round < kStopRounds && !isStopped(task) && readStat(tid); ++round) sleepUs(500);
    undoSpuriousInterrupt(task);
    static_cast<void>(task.detach(interruptedDelivery(tid)));
  }
  heldUs_ = microsecondsSince(holdStart_);
}

}  // namespace blcr
