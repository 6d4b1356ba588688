#include "dump/frozen.h"

#include <linux/kcmp.h>
#include <signal.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>

#include "arch/x86_64/vdso.h"
#include "base/clock.h"
#include "base/codes.h"
#include "base/features.h"
#include "base/io.h"
#include "dump/tasks/registers.h"

namespace blcr {
namespace {

constexpr unsigned long kAutoAttach = PTRACE_O_TRACECLONE | PTRACE_O_TRACEFORK | PTRACE_O_TRACEVFORK;
constexpr int kPatienceMs = 10;                         // a task that runs stops within microseconds
constexpr int64_t kLimitNs = 5ll * 1000 * 1000 * 1000;  // for all tasks together
constexpr int kMaxRounds = 1000;                        // of "something new appeared" before the job is called a fork bomb

/** Explains a refused PTRACE_SEIZE; nullopt-like ok() means: already ours, adopt it. */
Status explainRefusal(pid_t pid, pid_t tid, const Error& error) {
  if (error.code != EPERM) return error;
  const auto status = readTaskStatus(pid, tid);
  if (!status) return Error{ESRCH, taskName(pid, tid) + " is gone"};
  // Also one that was stopped by an earlier checkpoint when it ended, and so cannot be let go before the other threads have ended.
  if (tid == pid && speakerOf(pid) != pid) return Error{ESRCH, taskName(pid, tid) + ": its main thread has ended"};
  const pid_t tracer = status.value().tracer;
  if (tracer == ::getpid()) return {};
  if (tracer != 0) return Error{kErrorTraced, taskName(pid, tid) + " is traced by process " + std::to_string(tracer)};
  const auto stat = readTaskStat(pid, tid);
  if (!stat || stat.value().state == 'Z' || stat.value().state == 'X') return Error{ESRCH, taskName(pid, tid) + " has ended"};
  return Error{EPERM,
               taskName(pid, tid) + " may not be traced (another user's, not dumpable, or ptrace is forbidden by a policy or a filter)"};
}

}  // namespace

Status runInTask(FrozenProcess& process, size_t task, std::span<RemoteCall> calls) {
  if (task == 0) return process.foothold->run(calls);
  auto scope = InjectionScope::enter(process.tasks[task].tracee, process.syscallInstruction);
  if (!scope) return scope.error();
  BLCR_TRY(process.foothold->scratch().run(*scope, calls));
  return scope->restore();
}

std::string taskName(pid_t pid, pid_t tid) {
  return "process " + std::to_string(pid) + (tid == pid ? "" : " thread " + std::to_string(tid));
}

void tellEnd(const std::function<void(pid_t pid, int status)>& onExit, pid_t pid, int status) {
  if (onExit && ::kill(pid, 0) != 0 && errno == ESRCH) onExit(pid, status);
}

bool isCooperating(const DumpRequest& request, pid_t pid) {
  return std::find(request.cooperating.begin(), request.cooperating.end(), pid) != request.cooperating.end();
}

FrozenProcess* FrozenSet::find(pid_t pid) {
  for (FrozenProcess& process : processes_) {
    if (process.pid == pid) return &process;
  }
  return nullptr;
}

/** A job that is below the keeper that started it dies with that keeper in any case: saying so once saves saying it for each injection. */
unsigned long FrozenSet::options() const {
  const bool isOwn =
      request_.jobRoot != 0 && request_.target == request_.jobRoot && request_.scope == Scope::kTree && request_.also.empty();
  return kAutoAttach | (isOwn ? unsigned(PTRACE_O_EXITKILL) : 0u);
}

Status FrozenSet::attachTask(FrozenProcess& process, pid_t tid) {
  if (since_ == 0) since_ = nowNs();
  auto tracee = Tracee::seize(tid, options());
  if (tracee) {
    process.tasks.emplace_back(*std::move(tracee));
    return {};
  }
  BLCR_TRY(explainRefusal(process.pid, tid, tracee.error()));
  process.tasks.emplace_back(Tracee::adopt(tid, options()));
  return {};
}

/** Whether the stopped tasks that are known of a process are all it has: it can make no more. For few, listing them costs no more. */
bool FrozenSet::isComplete(const FrozenProcess& process) {
  constexpr size_t kMany = 8;
  if (process.tasks.size() < kMany) return false;
  const auto stat = readStat(process.pid);
  return stat && size_t(stat.value().threads) == process.tasks.size();
}

/** Attaches what is not attached yet of one process. A process or task that is gone is no error. */
Status FrozenSet::attachProcess(pid_t pid, bool& changed) {
  FrozenProcess* process = find(pid);
  if (process != nullptr && process->zombie) return {};
  if (process == nullptr) {
    const auto stat = readStat(pid);
    missed_ = missed_ || !stat || stat.value().state == 'X';
    if (!stat || stat.value().state == 'X') return {};
    changed = true;
    processes_.emplace_back();
    process = &processes_.back();
    process->pid = pid;
    process->zombie = hasEnded(stat.value());
    if (process->zombie) return {};
  } else if (isComplete(*process)) {
    return {};
  }
  auto tids = listTasks(pid);
  missed_ = missed_ || !tids;
  if (!tids) return {};
  for (const pid_t tid : *tids) {
    const auto known = [tid](const FrozenTask& task) { return task.tracee.tid() == tid; };
    if (std::any_of(process->tasks.begin(), process->tasks.end(), known)) continue;
    // The kernel's own threads of an io_uring run no program; a stop would interrupt the request that they work on.
    if (tid != pid && !ringless_.contains(pid) && isKernelWorker(pid, tid)) continue;
    const Status attached = attachTask(*process, tid);
    missed_ = missed_ || !attached;
    if (!attached && attached.error().code == ESRCH) continue;
    if (!attached) return attached;
    changed = true;
  }
  return {};
}

void FrozenSet::noteDeath(FrozenProcess& process, FrozenTask& task) {
  task.dead = missed_ = true;
  const int status = task.tracee.exitStatus();
  const bool taken = task.tracee.tid() == process.pid && (WIFEXITED(status) || WIFSIGNALED(status));
  if (taken) tellEnd(request_.onExit, process.pid, status);
}

void FrozenSet::dropDead() {
  for (FrozenProcess& process : processes_) std::erase_if(process.tasks, [](const FrozenTask& task) { return task.dead; });
  std::erase_if(processes_, [](const FrozenProcess& process) { return !process.zombie && process.tasks.empty(); });
}

/** One that a parent waits for does. Where kcmp is forbidden all areas are compared: those of a child that was made otherwise may be equal,
 * but then it runs for a moment more, and no harm is done. */
static bool mayShareMemory(pid_t parent, pid_t child) {
  const long same = featureAllowed("kcmp") ? ::syscall(SYS_kcmp, parent, child, KCMP_VM, 0, 0) : -1;
  if (same >= 0) return same == 0;
  const auto mine = readFile("/proc/" + std::to_string(parent) + "/maps"), its = readFile("/proc/" + std::to_string(child) + "/maps");
  return mine && its && mine.value() == its.value();
}

/**
 * A vfork parent cannot stop before its child has let the memory go: the child must run until then. It may have been attached by the kernel
 * a moment ago and be unknown yet. Gives its number, 0 when there is none.
 */
pid_t FrozenSet::letVforkChildrenRun(pid_t parent, pid_t task) {
  pid_t child = 0;
  bool changed = false;
  adoptChildren(changed);
  for (size_t index = 0; index < processes_.size(); ++index) {
    FrozenProcess& process = processes_[index];
    if (process.pid == parent || process.zombie) continue;
    if (!mayShareMemory(task, process.speaker())) continue;
    child = process.pid;
    for (FrozenTask& each : process.tasks) {
      if (!each.stopped && !each.tracee.waitStop(0)) continue;
      each.stopped = false;
      if (!each.tracee.resume()) continue;
      sleepUs(500);  // a moment to reach its execve or exit
      static_cast<void>(each.tracee.interrupt());
    }
  }
  return child;
}

/** A killed leader's end is not told before those of its traced threads have been taken. */
void FrozenSet::takeEndedThreads(FrozenProcess& process) {
  for (FrozenTask& task : process.tasks) {
    if (task.dead || task.tracee.tid() == process.pid) continue;
    const Status status = task.tracee.waitStop(0);
    if (!status && status.error().code != ETIMEDOUT) noteDeath(process, task);
  }
}

/** What a task that does not stop is in, as far as the kernel tells. */
static std::string whereabouts(pid_t pid, pid_t tid) {
  const auto stat = readTaskStat(pid, tid);
  const auto place = readFile("/proc/" + std::to_string(pid) + "/task/" + std::to_string(tid) + "/wchan");
  std::string text = stat && stat.value().state == 'D' ? "in an uninterruptible system call" : "in state ";
  if (stat && stat.value().state != 'D') text += stat.value().state;
  return place && place.value() != "0" ? text + ", " + place.value() : text;
}

Status FrozenSet::awaitTask(FrozenProcess& process, FrozenTask& task) {
  std::string why;
  while (!task.stopped && !task.dead) {
    const Status status = task.tracee.waitStop(kPatienceMs);
    if (status) {
      task.stopped = true;
    } else if (status.error().code != ETIMEDOUT) {
      noteDeath(process, task);
    } else {
      if (nowNs() > deadline_) {
        if (why.empty()) why = whereabouts(process.pid, task.tracee.tid());
        return Error{kErrorTemporary, taskName(process.pid, task.tracee.tid()) + " does not stop (" + why + ")"};
      }
      const auto stat = readTaskStat(process.pid, task.tracee.tid());
      const pid_t child = stat && stat.value().state == 'D' ? letVforkChildrenRun(process.pid, task.tracee.tid()) : 0;
      if (child != 0) why = "it waits for its vfork child " + std::to_string(child) + ", which has not executed a program yet";
      if (!stat || stat.value().state == 'Z' || stat.value().state == 'X') takeEndedThreads(process);
      // Nobody is told of its end before that of the last thread.
      if (task.tracee.tid() == process.pid && speakerOf(process.pid) != process.pid) task.dead = missed_ = true;
    }
  }
  return {};
}

/** Waits for every task. Indices, not iterators: processes may be added meanwhile, and a vfork child may become unstopped again. */
Status FrozenSet::settleAll() {
  for (bool again = true; again;) {
    again = false;
    for (size_t index = 0; index < processes_.size(); ++index) {
      for (size_t task = 0; task < processes_[index].tasks.size(); ++task) {
        FrozenTask& entry = processes_[index].tasks[task];
        if (entry.stopped || entry.dead) continue;
        again = true;
        BLCR_TRY(awaitTask(processes_[index], entry));
      }
    }
  }
  return {};
}

/** Children and threads that the kernel attached by itself. */
void FrozenSet::adoptChildren(bool& changed) {
  std::vector<pid_t> fresh;
  for (FrozenProcess& process : processes_) {
    for (FrozenTask& task : process.tasks) {
      for (const pid_t child : task.tracee.takeChildren()) fresh.push_back(child);
    }
  }
  for (const pid_t tid : fresh) {
    const auto status = readStatus(tid);
    if (!status) continue;
    const pid_t pid = status.value().tgid;
    FrozenProcess* process = find(pid);
    if (process == nullptr) {
      processes_.emplace_back();
      process = &processes_.back();
      process->pid = pid;
    }
    const auto known = [tid](const FrozenTask& task) { return task.tracee.tid() == tid; };
    if (std::any_of(process->tasks.begin(), process->tasks.end(), known)) continue;
    process->tasks.emplace_back(Tracee::adopt(tid, options()));
    changed = true;
  }
}

KnownTasks FrozenSet::knownTasks() const {
  KnownTasks known;
  for (const FrozenProcess& process : processes_)
    for (const FrozenTask& task : process.tasks) known[process.pid].push_back(task.tracee.tid());
  return known;
}

/**
 * Whether the first round, which began at `before`, found all of them: since then no task has been made on this machine and none has been
 * waited for, and none of the job or of the keeper's children has ended, which would have given its children another parent.
 */
bool FrozenSet::foundAll(const Population& before) const {
  const auto isZombie = [](const FrozenProcess& process) { return process.zombie; };
  siginfo_t ended{};
  const bool hasEnded = ::waitid(P_ALL, 0, &ended, WEXITED | WNOHANG | WNOWAIT | __WALL) == 0 && ended.si_pid != 0;
  return !missed_ && !hasEnded && std::none_of(processes_.begin(), processes_.end(), isZombie) && readPopulation() == before;
}

/** Where it is worth it: with few tasks, looking for newcomers takes as long; with many processors the numbers do. */
std::optional<Population> FrozenSet::countBefore(std::vector<pid_t>& members) {
  constexpr int64_t kLookNs = 5000;  // at the children of one task
  const bool omitsOthers = std::any_of(request_.omit.begin(), request_.omit.end(), [](pid_t pid) { return pid != ::getpid(); });
  const bool isPlain = request_.scope == Scope::kTree && request_.also.empty() && !omitsOthers && request_.leftOut.empty();
  if (!isPlain) return std::nullopt;
  const int64_t start = nowNs();
  const auto before = readPopulation();
  const int64_t took = nowNs() - start;
  if (!before) return std::nullopt;
  int64_t saved = 0;
  for (auto pid = members.begin(); pid != members.end() && saved < took; ++pid) {
    const auto stat = readStat(*pid);
    if (stat) saved += stat.value().threads * kLookNs;
  }
  if (saved < took) return std::nullopt;
  auto current = scopeMembers(request_);
  if (!current) return std::nullopt;
  members = *std::move(current);
  return before;
}

Status FrozenSet::freeze(std::vector<pid_t> members) {
  const auto before = countBefore(members);
  deadline_ = nowNs() + kLimitNs;
  bool changed = true;
  for (int round = 0; changed; ++round) {
    if (round == kMaxRounds) return Error{kErrorTemporary, "the job makes processes faster than they can be stopped"};
    changed = false;
    if (round > 0) {
      auto current = scopeMembers(request_, knownTasks());
      if (!current) return current.error();
      members = *std::move(current);
    }
    for (const pid_t pid : members) BLCR_TRY(attachProcess(pid, changed));
    BLCR_TRY(settleAll());
    adoptChildren(changed);
    BLCR_TRY(settleAll());
    dropDead();
    if (request_.scope == Scope::kProcess && request_.also.empty()) break;  // a child attached by the way is let go below
    if (round == 0 && before && foundAll(*before)) break;
  }
  // The last round found all of them stopped: nothing can have come since.
  std::deque<FrozenProcess> ordered;
  for (const pid_t pid : members) {
    FrozenProcess* process = find(pid);
    if (process != nullptr) ordered.push_back(std::move(*process));
  }
  for (FrozenProcess& process : processes_) {
    for (FrozenTask& task : process.tasks) {
      if (std::find(members.begin(), members.end(), process.pid) == members.end()) static_cast<void>(task.tracee.detach());
    }
  }
  processes_ = std::move(ordered);
  // A zombie still has its number, but nothing to record: its end is its parent's to learn.
  const bool alive = std::any_of(processes_.begin(), processes_.end(), [](const FrozenProcess& process) { return !process.zombie; });
  const FrozenProcess* target = find(request_.target);
  const bool leftOut = std::find(request_.leftOut.begin(), request_.leftOut.end(), request_.target) != request_.leftOut.end();
  const bool single = !leftOut && (request_.scope == Scope::kProcess || request_.scope == Scope::kTree);
  if (!alive || (single && (target == nullptr || target->zombie))) {
    return Error{ESRCH, "process " + std::to_string(request_.target) + " is gone"};
  }
  return {};
}

/** A frozen task that cannot be detached was killed: nobody but its tracer can take its end. */
void FrozenSet::takeEnd(FrozenProcess& process, FrozenTask& task) {
  const pid_t tid = task.tracee.tid();
  int status = task.tracee.exitStatus();  // one that died in a call made in its name was awaited there, and its end comes only once
  const bool isTaken = status != 0 || ::waitpid(tid, &status, __WALL) == tid;
  task.dead = true;
  const bool ended = isTaken && (WIFEXITED(status) || WIFSIGNALED(status));
  if (ended && tid == process.pid) tellEnd(request_.onExit, tid, status);
}

void FrozenSet::leaveFootholds() {
  // A failure means that the process is dead or about to be: nobody is left to be harmed.
  for (FrozenProcess& process : processes_) {
    if (process.foothold) static_cast<void>(process.foothold->leave());
  }
}

void FrozenSet::release(int signal) {
  if (until_ == 0) until_ = nowNs();
  leaveFootholds();
  bool changed = false;
  adoptChildren(changed);
  for (FrozenProcess& process : processes_) {
    if (signal != 0 && !process.zombie && !isCooperating(request_, process.pid)) ::kill(process.pid, signal);
    // Threads before leaders: the end of a leader is not told before those of its traced threads have been taken.
    for (auto task = process.tasks.rbegin(); task != process.tasks.rend(); ++task) {
      if (!task->stopped || task->dead) continue;
      until_ = nowNs();
      if (!task->isRecorded) undoSpuriousInterrupt(task->tracee);
      if (!task->tracee.detach()) takeEnd(process, *task);
    }
  }
  // What a failed freeze left running: its stop is still to come (a vfork parent stops now that its child runs), and ends at once.
  for (FrozenProcess& process : processes_) {
    for (FrozenTask& task : process.tasks) {
      if (!task.stopped && !task.dead && task.tracee.waitStop(1000)) static_cast<void>(task.tracee.detach());
    }
  }
  processes_.clear();
}

bool FrozenSet::onChild(pid_t tid, int status) {
  for (FrozenProcess& process : processes_) {
    for (FrozenTask& task : process.tasks) {
      if (task.tracee.tid() != tid) continue;
      if (WIFSTOPPED(status)) return true;
      task.dead = true;
    }
  }
  return false;
}

}  // namespace blcr
