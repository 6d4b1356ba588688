#include "restore/tasks/stopped.h"

#include <signal.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "base/clock.h"
#include "restore/tasks/lost_leader.h"

namespace blcr {
namespace {

Building* parentOf(Job& job, const image::Process& child) {
  for (Building& building : job.processes)
    if (building.process->pid == child.ppid && child.ppid != 0 && building.isAlive()) return &building;
  return nullptr;
}

/** What waitid tells the parent: the number of the child once it has stopped. */
Result<pid_t> stoppedChild(Building* parent, pid_t pid) {
  siginfo_t info{};
  constexpr int kHow = WSTOPPED | WNOHANG | WNOWAIT;
  if (parent == nullptr) return ::waitid(P_PID, id_t(pid), &info, kHow) == 0 ? Result<pid_t>(info.si_pid) : systemError("stopped child");
  const auto at = parent->leader().putObject(info);
  if (!at.ok()) return at.error();
  auto waited = parent->leader().call("waitid", SYS_waitid, {P_PID, uint64_t(pid), at.value(), kHow | __WALL, 0});
  if (!waited.ok()) return waited.error();
  const auto told = RemoteMemory(parent->leader().tid()).get<siginfo_t>(at.value());
  if (!told.ok()) return told.error();
  return told.value().si_pid;
}

/** The signal of a task that was let go is not dealt with at once. */
Status awaitStop(Building* parent, pid_t pid) {
  constexpr int kRounds = 20000;
  for (int round = 0; round < kRounds; ++round) {
    const auto stopped = stoppedChild(parent, pid);
    if (!stopped.ok()) return stopped.error();
    if (stopped.value() == pid) return {};
    sleepUs(200);
  }
  return Error{ETIMEDOUT, "process " + std::to_string(pid) + " does not stop again"};
}

/** A group is orphaned, and ignores the keyboard's stop signals, unless a member's parent is in another group of its session. */
bool isOrphaned(Job& job, const image::Process& member) {
  for (const Building& building : job.processes) {
    const image::Process& other = *building.process;
    if (other.pgid != member.pgid || other.sid != member.sid || !building.isAlive()) continue;
    const Building* parent = parentOf(job, other);
    if (parent != nullptr && parent->process->sid == other.sid && parent->process->pgid != other.pgid) return false;
  }
  return true;
}

/** The signal that stopped it, as wait tells it, where that one is sure to stop it again. */
int stopSignalOf(Job& job, const image::Process& process) {
  const int32_t signal = process.tasks.front().stopSignal;
  const bool fromKeyboard = signal == SIGTSTP || signal == SIGTTIN || signal == SIGTTOU;
  const auto index = size_t(signal) - 1;
  const bool blocked = (process.tasks.front().sigmask >> index & 1) != 0;
  return fromKeyboard && !blocked && process.actions[index].handler == 0 && !isOrphaned(job, process) ? signal : SIGSTOP;
}

}  // namespace

bool isStopped(const Building& building) { return building.isAlive() && building.process->tasks.front().stopSignal != 0; }

// Killed by its process, which already runs, or from outside. A thread's end must be taken by its tracer, else its process never ends; that
// of our own child is the caller's to see.
void release(Building& building, Stub& stub) {
  if (stub.tracee().detach().ok()) return;
  const bool isOurChild = building.process->ppid == 0 && stub.tid() == building.leader().tid();
  int status = 0;
  while (!isOurChild && ::waitpid(stub.tid(), &status, __WALL) == stub.tid() && WIFSTOPPED(status)) {
  }
}

Status dropSignalOfParent(Job& job, const image::Process& child, int32_t signal) {
  Building* parent = parentOf(job, child);
  if (parent == nullptr || signal == 0) return {};
  const auto set = parent->leader().putObject(1ull << (signal - 1));
  const auto now = parent->leader().putObject(std::array<uint64_t, 2>{});
  if (!set.ok() || !now.ok()) return set.ok() ? now.error() : set.error();
  auto taken = parent->leader().attempt(SYS_rt_sigtimedwait, {set.value(), 0, now.value(), 8});
  if (!taken.ok()) return taken.error();
  return {};
}

Status stopAgain(Job& job, Building& building) {
  const image::Process& process = *building.process;
  const pid_t pid = building.leader().tid();
  const bool isLost = hasLostLeader(building);
  if (isLost) BLCR_TRY(loseLeader(building));  // it could not end once it is stopped
  if (::kill(pid, stopSignalOf(job, process)) != 0) return systemError("stopping process " + std::to_string(process.pid));
  for (size_t index = isLost ? 1 : 0; index < building.tasks.size(); ++index) release(building, building.tasks[index]);
  Building* parent = parentOf(job, process);
  BLCR_TRY(awaitStop(parent, pid));
  if (!process.stopTold) return {};
  if (parent == nullptr) {
    ::waitpid(pid, nullptr, WUNTRACED | WNOHANG);
    return {};
  }
  auto waited = parent->leader().attempt(SYS_wait4, {uint64_t(pid), 0, WUNTRACED | WNOHANG | __WALL, 0});
  if (!waited.ok()) return waited.error();
  return dropSignalOfParent(job, process, SIGCHLD);
}

}  // namespace blcr
