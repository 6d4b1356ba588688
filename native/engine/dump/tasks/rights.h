// What the tasks of processes may do: looked at before anything is done in their name.
#pragma once

#include <atomic>
#include <deque>
#include <vector>

#include "base/result.h"
#include "base/thread.h"
#include "dump/tasks/record_process.h"
#include "dump/tasks/restrictions.h"
#include "proc/status.h"

namespace blcr {

/**
 * Refuses tasks with a seccomp filter of their own, which cannot be read, and threads with other credentials than their process. Comes
 * before the first injection: what a filter does not expect may be answered by killing the program.
 *
 * What /proc says of a task takes longer than the rest that is asked of it from outside: where there are many, another thread reads it
 * meanwhile. All of them must be stopped, and stay so as long as this exists.
 */
class RightsCheck {
 public:
  RightsCheck(const std::deque<FrozenProcess>& processes, const KeeperTraits& keeper);
  RightsCheck(const RightsCheck&) = delete;
  RightsCheck& operator=(const RightsCheck&) = delete;
  ~RightsCheck();

  /** The verdict on the tasks of one of the processes before `end`, as soon as it is there. */
  [[nodiscard]] Status of(pid_t pid, size_t end);

  /** What can only be asked in the name of the tasks themselves. */
  [[nodiscard]] Restrictions& restrictions() { return restrictions_; }

 private:
  struct Entry {
    pid_t pid;
    size_t first;             // number of its leader among all tasks
    std::vector<pid_t> tids;  // leader first
  };
  [[nodiscard]] Status check(const Entry& entry, size_t index, ProcStatus& leader) const;
  void readAll();
  const KeeperTraits keeper_;
  std::vector<Entry> entries_;
  std::vector<Status> verdicts_;  // of tasks; the first done_ are there
  std::atomic<size_t> done_ = 0;
  std::atomic<bool> isNeeded_ = true;
  Restrictions restrictions_;
  Thread thread_;
};

}  // namespace blcr
