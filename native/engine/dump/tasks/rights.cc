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

Status check(pid_t pid, const std::vector<pid_t>& tids, const KeeperTraits& keeper) {
  ProcStatus leader;
  for (const pid_t tid : tids) {
    const std::string who = taskName(pid, tid);
    auto status = readTaskStatus(pid, tid);
    if (!status) return status.error();
    if (hasOwnFilter(*status, keeper))
      return Error{kErrorNoSupport, who + " has installed a seccomp filter of its own, which cannot be read"};
    if (tid == pid)
      leader = *std::move(status);
    else if (!haveSameCredentials(leader, *status))
      return Error{kErrorNoSupport, who + " has other credentials than its process"};
  }
  return {};
}

/** Below, starting a thread takes longer than it saves. */
constexpr size_t kMany = 16;

}  // namespace

RightsCheck::RightsCheck(const std::deque<FrozenProcess>& processes, const KeeperTraits& keeper) : keeper_(keeper) {
  size_t tasks = 0;
  for (const FrozenProcess& process : processes) {
    if (process.zombie) continue;
    Entry& entry = entries_.emplace_back(Entry{process.pid, {}, {}});
    for (const FrozenTask& task : process.tasks) entry.tids.push_back(task.tracee.tid());
    tasks += entry.tids.size();
  }
  if (tasks < kMany || !thread_.start([this] { readAll(); })) readAll();
}

RightsCheck::~RightsCheck() {
  isNeeded_ = false;
  thread_.join();
}

void RightsCheck::readAll() {
  for (Entry& entry : entries_) {
    if (!isNeeded_) return;
    entry.verdict = check(entry.pid, entry.tids, keeper_);
    ++done_;
    done_.notify_one();
  }
}

Status RightsCheck::of(pid_t pid) {
  const auto entry = std::find_if(entries_.begin(), entries_.end(), [pid](const Entry& one) { return one.pid == pid; });
  if (entry == entries_.end()) return Error{ESRCH, taskName(pid, pid) + " is not stopped"};
  const auto index = size_t(entry - entries_.begin());
  for (size_t done = done_; done <= index; done = done_) done_.wait(done);
  return entry->verdict;
}

}  // namespace blcr
