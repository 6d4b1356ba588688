#include "dump/tasks/rights.h"

#include <algorithm>
#include <tuple>

#include "base/codes.h"

namespace blcr {
namespace {

bool hasOwnFilter(const ProcStatus& task, const KeeperTraits& keeper) {
  if (task.seccomp == 0) return false;
  return task.seccomp != keeper.seccomp || (keeper.seccompFilters >= 0 && task.seccompFilters > keeper.seccompFilters);
}

bool haveSameCredentials(const ProcStatus& one, const ProcStatus& other) {
  const auto all = [](const ProcStatus& task) {
    return std::tie(task.uid, task.gid, task.groups, task.capInheritable, task.capPermitted, task.capEffective, task.capBounding,
                    task.capAmbient);
  };
  return all(one) == all(other);
}

/** Below, starting a thread takes longer than it saves. */
constexpr size_t kMany = 16;

}  // namespace

RightsCheck::RightsCheck(const std::deque<FrozenProcess>& processes, const KeeperTraits& keeper) : keeper_(keeper) {
  size_t tasks = 0;
  for (const FrozenProcess& process : processes) {
    if (process.zombie) continue;
    Entry& entry = entries_.emplace_back(Entry{process.pid, tasks, {}});
    for (const FrozenTask& task : process.tasks) entry.tids.push_back(task.tracee.tid());
    tasks += entry.tids.size();
  }
  verdicts_.resize(tasks);
  if (tasks < kMany || !thread_.start([this] { readAll(); })) readAll();
}

RightsCheck::~RightsCheck() {
  isNeeded_ = false;
  thread_.join();
}

Status RightsCheck::check(const Entry& entry, size_t index, ProcStatus& leader) const {
  const pid_t tid = entry.tids[index];
  auto status = readTaskStatus(entry.pid, tid);
  if (!status) return status.error();
  if (hasOwnFilter(*status, keeper_))
    return Error{kErrorNoSupport, taskName(entry.pid, tid) + " has installed a seccomp filter of its own, which cannot be read"};
  if (index == 0)
    leader = *std::move(status);
  else if (!haveSameCredentials(leader, *status))
    return Error{kErrorNoSupport, taskName(entry.pid, tid) + " has other credentials than its process"};
  return {};
}

void RightsCheck::readAll() {
  for (const Entry& entry : entries_) {
    ProcStatus leader;
    for (size_t index = 0; index < entry.tids.size(); ++index) {
      if (!isNeeded_) return;
      verdicts_[entry.first + index] = check(entry, index, leader);
      ++done_;
      done_.notify_one();
    }
  }
}

Status RightsCheck::of(pid_t pid, size_t end) {
  const auto entry = std::find_if(entries_.begin(), entries_.end(), [pid](const Entry& one) { return one.pid == pid; });
  if (entry == entries_.end()) return Error{ESRCH, taskName(pid, pid) + " is not stopped"};
  const size_t last = entry->first + std::min(end, entry->tids.size());
  for (size_t done = done_; done < last; done = done_) done_.wait(done);
  for (size_t index = entry->first; index < last; ++index) BLCR_TRY(verdicts_[index]);
  return {};
}

}  // namespace blcr
