#include "awake.h"

#include <signal.h>
#include <sys/ptrace.h>
#include <sys/wait.h>

#include "base/clock.h"
#include "base/codes.h"
#include "proc/status.h"

namespace blcr {

namespace {

constexpr int64_t kLimitNs = 1000000000;
constexpr int kLookUs = 50;

/** The signal that a stop is about to deliver, 0 for stops of other kinds. */
uintptr_t delivered(int status) { return (status >> 16) == 0 ? uintptr_t(WSTOPSIG(status)) : 0; }

bool request(__ptrace_request what, pid_t tid, uintptr_t data = 0) {
  return ::ptrace(what, tid, nullptr, reinterpret_cast<void*>(data)) == 0;
}

}  // namespace

Status Awake::wake(pid_t pid) {
  const auto stat = readStat(pid);
  if (!stat || stat.value().state != 'T') return {};
  woken_.insert(pid);
  return attach(pid);
}

/** Not only those that are stopped: whoever has been let go a moment ago is about to stop. */
void Awake::wakeAgain() {
  for (const pid_t pid : woken_) static_cast<void>(attach(pid));
}

/** Attaches every thread of `pid` that is not yet. They are resumed when their stops are told. */
Status Awake::attach(pid_t pid) {
  for (bool changed = true; changed;) {
    changed = false;
    const auto tids = listTasks(pid);
    if (!tids) return {};
    for (const pid_t tid : tids.value()) {
      const auto stat = readTaskStat(pid, tid);
      if (tasks_.contains(tid) || !stat || stat.value().state == 'Z' || stat.value().state == 'X') continue;
      // New threads are traced like those that make them: one that is not would run on when the process stops again.
      if (request(PTRACE_SEIZE, tid, PTRACE_O_TRACECLONE)) {
        tasks_[tid] = pid;
        changed = true;
      } else if (errno != ESRCH) {
        return Error{kErrorTemporary, systemError("wake thread " + std::to_string(tid)).detail};
      }
    }
  }
  return {};
}

/** Takes the news of a stop, but never that of an end: others wait for that. */
Awake::State Awake::takeStop(pid_t tid, int& status) {
  siginfo_t info{};
  if (::waitid(P_PID, id_t(tid), &info, WEXITED | WSTOPPED | WNOHANG | WNOWAIT | __WALL) != 0) return State::kGone;
  if (info.si_pid == 0) return State::kRunning;
  if (info.si_code == CLD_EXITED || info.si_code == CLD_KILLED || info.si_code == CLD_DUMPED) return State::kGone;
  return ::waitpid(tid, &status, __WALL | WNOHANG) == tid && WIFSTOPPED(status) ? State::kStopped : State::kRunning;
}

void Awake::resume(pid_t tid, int status) {
  unsigned long made = 0;
  if ((status >> 16) == PTRACE_EVENT_CLONE && request(PTRACE_GETEVENTMSG, tid, uintptr_t(&made))) tasks_.emplace(pid_t(made), tasks_[tid]);
  if (!request(PTRACE_CONT, tid, delivered(status)) && errno == ESRCH) return;  // it is being killed, which wait tells
}

bool Awake::onChild(pid_t tid, int status) {
  const auto known = tasks_.find(tid);
  if (!WIFSTOPPED(status)) {
    if (known != tasks_.end()) tasks_.erase(known);
    return false;
  }
  if (known == tasks_.end()) {
    // A new thread, whose first stop is told before the event of the one that makes it.
    if (tasks_.empty() || (status >> 16) != PTRACE_EVENT_STOP) return false;
    const auto made = readStatus(tid);
    if (!made || !woken_.contains(made.value().tgid)) return false;
    tasks_[tid] = made.value().tgid;
  }
  resume(tid, status);
  return true;
}

void Awake::lookAfter() {
  for (auto task = tasks_.begin(); task != tasks_.end();) {
    const pid_t tid = (task++)->first;
    int status = 0;
    const State state = takeStop(tid, status);
    if (state == State::kStopped) resume(tid, status);
    if (state == State::kGone) tasks_.erase(tid);
  }
}

void Awake::rest() {
  for (const auto& [tid, _] : tasks_) request(PTRACE_INTERRUPT, tid);
  // What takes longer, in an uninterruptible call, is let go by whoever hears of its stop: Requests::onChild.
  for (const int64_t begin = nowNs(); !tasks_.empty() && nowNs() - begin < kLimitNs; sleepUs(kLookUs)) {
    for (auto task = tasks_.begin(); task != tasks_.end();) {
      const pid_t tid = task->first;
      int status = 0;
      const State state = takeStop(tid, status);
      if (state == State::kStopped) request(PTRACE_DETACH, tid, delivered(status));
      const auto stat = state == State::kRunning ? readStat(tid) : Result<ProcStat>(ProcStat{});
      const bool over = state != State::kRunning || !stat || stat.value().state == 'Z';
      task = over ? tasks_.erase(task) : std::next(task);
    }
  }
  tasks_.clear();
}

}  // namespace blcr
