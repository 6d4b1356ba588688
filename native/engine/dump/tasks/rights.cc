#include "dump/tasks/rights.h"

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

}  // namespace

Status checkRights(const FrozenProcess& process, const KeeperTraits& keeper) {
  ProcStatus leader;
  for (const FrozenTask& task : process.tasks) {
    const pid_t tid = task.tracee.tid();
    const std::string who = taskName(process.pid, tid);
    auto status = readTaskStatus(process.pid, tid);
    if (!status) return status.error();
    if (hasOwnFilter(*status, keeper))
      return Error{kErrorNoSupport, who + " has installed a seccomp filter of its own, which cannot be read"};
    if (tid == process.pid)
      leader = *std::move(status);
    else if (!haveSameCredentials(leader, *status))
      return Error{kErrorNoSupport, who + " has other credentials than its process"};
  }
  return {};
}

}  // namespace blcr
