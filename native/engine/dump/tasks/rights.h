// What the tasks of processes may do: looked at before anything is done in their name.
#pragma once

#include <atomic>
#include <deque>
#include <optional>
#include <vector>

#include "base/result.h"
#include "base/thread.h"
#include "dump/tasks/record_process.h"
#include "dump/tasks/restrictions.h"
#include "proc/status.h"

namespace blcr {

/** Compares the tasks of one process with the first of them. */
class RightsOfProcess {
 public:
  RightsOfProcess(pid_t pid, pid_t first, const KeeperTraits& keeper) : pid_(pid), first_(first), keeper_(&keeper) {}
  [[nodiscard]] pid_t pid() const { return pid_; }
  /** The verdict on one task; that on the first one when it is bad. */
  [[nodiscard]] Status check(pid_t tid);

 private:
  [[nodiscard]] Status lookAtFirst();
  [[nodiscard]] Status refuseOwnFilter(pid_t tid, const ProcStatus& task) const;
  pid_t pid_, first_;
  const KeeperTraits* keeper_;
  bool isKnown_ = false;  // the first one
  Status verdict_;
  ProcStatus status_;
  std::string users_, capabilities_;  // its lines
};

/**
 * Refuses tasks with a seccomp filter of their own, which cannot be read, and threads with other credentials than their process. Comes
 * before the first injection: what a filter does not expect may be answered by killing the program.
 *
 * What /proc says of a task takes longer than the rest that is asked of it from outside: where there are many, another thread reads it as
 * well, from the last one to where this one has come. Neither waits for the other. All of them must be stopped, and stay so as long as
 * this exists.
 */
class RightsCheck {
 public:
  RightsCheck(const std::deque<FrozenProcess>& processes, const KeeperTraits& keeper);
  RightsCheck(const RightsCheck&) = delete;
  RightsCheck& operator=(const RightsCheck&) = delete;
  ~RightsCheck();

  /** The verdict on the tasks of one of the processes before `end`. Processes are asked about in order. */
  [[nodiscard]] Status of(pid_t pid, size_t end);

  /** What can only be asked in the name of the tasks themselves. */
  [[nodiscard]] Restrictions& restrictions() { return restrictions_; }

 private:
  struct Entry {
    pid_t pid;
    size_t first;             // number of its leader among all tasks
    std::vector<pid_t> tids;  // leader first
  };
  void readBackwards(int away);
  const KeeperTraits keeper_;
  std::vector<Entry> entries_;
  std::optional<RightsOfProcess> current_;
  std::vector<Status> verdicts_;   // of the other thread
  std::atomic<size_t> known_ = 0;  // from this task on they are there
  std::atomic<size_t> asked_ = 0;  // those before it are not needed any more
  Restrictions restrictions_;
  Thread thread_;
};

}  // namespace blcr
