// Processes that are stopped for a checkpoint.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <vector>

#include "base/result.h"
#include "dump/dump.h"
#include "dump/foothold.h"
#include "proc/maps.h"
#include "proc/population.h"
#include "proc/status.h"
#include "trace/tracee.h"

namespace blcr {

struct FrozenTask {
  explicit FrozenTask(Tracee task) : tracee(std::move(task)) {}
  Tracee tracee;
  bool stopped = false;
  bool dead = false;
  user_regs_struct regs{};  // from look on: as they are in the stopped task whenever nothing is injected
  bool isRecorded = false;  // regs are such that the program will not notice the stop
};

/** A process all of whose tasks are ptrace-stopped, or a zombie (no tasks). */
struct FrozenProcess {
  pid_t pid = 0;
  ProcStat stat;  // as read inside the stop
  bool zombie = false;
  int leaderStatus = 0;          // of a main thread that has ended, see hasLostLeader()
  std::deque<FrozenTask> tasks;  // leader first, unless it has ended; a deque, because references must survive additions
  std::vector<Mapping> maps;
  uint64_t syscallInstruction = 0;
  std::unique_ptr<Foothold> foothold;  // from recordProcess on; refers to the first task, and so goes before the tasks

  /** By whose number /proc shows memory and files of the process, and in whose name calls are made: the leader's. One that has ended while
   * others go on has lost all that; then it is the first of those. */
  [[nodiscard]] pid_t speaker() const { return tasks.empty() ? pid : tasks.front().tracee.tid(); }
  /** Its main thread is a zombie that waits for the others. */
  [[nodiscard]] bool hasLostLeader() const { return !zombie && speaker() != pid; }
};

/** Threads of stopped processes. */
using KnownTasks = std::map<pid_t, std::vector<pid_t>>;

/** Makes calls in one of the tasks of a process that has its foothold: the first one's are made there, a thread is let go again. */
[[nodiscard]] Status runInTask(FrozenProcess& process, size_t task, std::span<RemoteCall> calls);

/** `process 7`, or `process 7 thread 8`: how messages begin. */
[[nodiscard]] std::string taskName(pid_t pid, pid_t tid);

/** A wait of ours has taken the end of `pid`, with `status`. Where that took the process away, as it does with a child of ours, nobody can
 * wait for it any more: `onExit` (DumpRequest) is told. Of others a zombie stays for their real parent. */
void tellEnd(const std::function<void(pid_t pid, int status)>& onExit, pid_t pid, int status);

/**
 * Stops every process of a scope and keeps it so. One thread (the tracer) uses it from beginning to end. Destruction lets everything go on;
 * tasks that were stopped by job control stay stopped.
 */
class FrozenSet {
 public:
  explicit FrozenSet(const DumpRequest& request) : request_(request) {}
  FrozenSet(const FrozenSet&) = delete;
  FrozenSet& operator=(const FrozenSet&) = delete;
  ~FrozenSet() { release(); }

  /**
   * Seizes and interrupts until nothing new appears; `members` are those of the scope as seen a moment ago. ESRCH when the target is gone,
   * kErrorTraced / kErrorTracer naming the pid, EPERM, kErrorTemporary when a task does not stop within 5 s. On failure everything is let
   * go.
   */
  [[nodiscard]] Status freeze(std::vector<pid_t> members);

  /** Processes that have been seen without an io_uring: their threads need not be looked at one by one. */
  void expectNoRings(std::set<pid_t> processes) { ringless_ = std::move(processes); }
  [[nodiscard]] bool expectsNoRing(pid_t pid) const { return ringless_.contains(pid); }

  /** Detaches all tasks. `signal` is sent to every process before it runs again (0 = none). The ends of tasks that were killed while they
   * were frozen are taken here. */
  void release(int signal = 0);

  /** Puts back what footholds changed; they may not be used to call any more. */
  void leaveFootholds();

  [[nodiscard]] std::deque<FrozenProcess>& processes() { return processes_; }
  [[nodiscard]] FrozenProcess* find(pid_t pid);
  /** Monotonic time at which the first task was interrupted, ns; 0 when nothing was ever frozen. */
  [[nodiscard]] int64_t frozenSince() const { return since_; }
  /** Monotonic time at which the last task was let go, ns; 0 before release(). */
  [[nodiscard]] int64_t frozenUntil() const { return until_; }

  /** A wait status seen elsewhere; true when it was a stop of one of these tasks. The end of one is noted and left to the caller. */
  bool onChild(pid_t tid, int status);

 private:
  [[nodiscard]] Status attachProcess(pid_t pid, bool& changed);
  [[nodiscard]] unsigned long options() const;
  [[nodiscard]] Status attachTask(FrozenProcess& process, pid_t tid);
  [[nodiscard]] KnownTasks knownTasks() const;
  [[nodiscard]] static bool isComplete(const FrozenProcess& process);
  [[nodiscard]] std::optional<Population> countBefore(std::vector<pid_t>& members);
  [[nodiscard]] bool foundAll(const Population& before) const;
  void adoptChildren(bool& changed);
  [[nodiscard]] Status settleAll();
  [[nodiscard]] Status awaitTask(FrozenProcess& process, FrozenTask& task);
  pid_t letVforkChildrenRun(pid_t parent, pid_t task);
  void takeEndedThreads(FrozenProcess& process);
  void takeEnd(FrozenProcess& process, FrozenTask& task);
  void noteDeath(FrozenProcess& process, FrozenTask& task);
  void dropDead();
  const DumpRequest& request_;
  std::deque<FrozenProcess> processes_;
  std::set<pid_t> ringless_;
  bool missed_ = false;  // one that was listed had ended when it was looked at
  int64_t since_ = 0, until_ = 0, deadline_ = 0;
};

/** The process is one of DumpRequest::cooperating. */
[[nodiscard]] bool isCooperating(const DumpRequest& request, pid_t pid);

/** Numbers of the processes in the scope of a request as they are now, parents before children. ESRCH when there is none. Of processes that
 * are `known` the children of those threads only are looked for. */
[[nodiscard]] Result<std::vector<pid_t>> scopeMembers(const DumpRequest& request, const KnownTasks& known = {});

/** kErrorTracer when a member traces a process (also one outside); costs one look at every process of the machine. */
[[nodiscard]] Status refuseTracers(const std::vector<pid_t>& members);

}  // namespace blcr
