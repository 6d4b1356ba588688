// Which processes a request means.
#include <algorithm>
#include <map>
#include <set>

#include "base/codes.h"
#include "base/io.h"
#include "dump/frozen.h"
#include "proc/parse.h"

namespace blcr {
namespace {

/** Children by /proc/PID/task/TID/children (only complete for stopped parents, which is when it counts); ENOENT on kernels without it. */
Result<std::vector<pid_t>> childrenOf(pid_t pid, const KnownTasks& known) {
  const auto stopped = known.find(pid);
  auto tasks = stopped == known.end() ? listTasks(pid) : Result<std::vector<pid_t>>(stopped->second);
  if (!tasks) return tasks;
  std::vector<pid_t> children;
  for (const pid_t tid : *tasks) {
    auto text = readFile("/proc/" + std::to_string(pid) + "/task/" + std::to_string(tid) + "/children");
    if (!text && tid == pid) return text.error();
    if (!text) continue;  // the thread ended
    std::string_view rest = *text;
    for (skipBlanks(rest); !rest.empty(); skipBlanks(rest)) {
      const auto number = takeNumber(rest, 10);
      if (!number) break;
      children.push_back(pid_t(*number));
    }
  }
  return children;
}

/** The same by looking at every process. */
std::vector<pid_t> childrenByScan(pid_t parent) {
  std::vector<pid_t> children;
  const auto all = listProcesses();
  if (!all) return children;
  for (const pid_t pid : all.value()) {
    const auto stat = readStat(pid);
    if (stat && stat.value().ppid == parent) children.push_back(pid);
  }
  return children;
}

class Walk {
 public:
  Walk(const DumpRequest& request, const KnownTasks& known)
      : omitted_(request.omit.begin(), request.omit.end()), leftOut_(request.leftOut.begin(), request.leftOut.end()), known_(known) {}

  void tree(pid_t pid) {
    if (omitted_.contains(pid) || !walked_.insert(pid).second) return;
    add(pid);  // it may be there by itself already
    for (const pid_t child : children(pid)) tree(child);
  }
  void add(pid_t pid) {
    if (omitted_.contains(pid) || !seen_.insert(pid).second) return;
    if (!leftOut_.contains(pid)) members_.push_back(pid);
  }
  [[nodiscard]] std::vector<pid_t> children(pid_t pid) const {
    auto list = childrenOf(pid, known_);
    return list ? *std::move(list) : childrenByScan(pid);
  }
  std::vector<pid_t> take() { return std::move(members_); }

 private:
  std::set<pid_t> omitted_, leftOut_, seen_, walked_;
  std::vector<pid_t> members_;
  const KnownTasks& known_;
};

/** Orders parents before children. */
std::vector<pid_t> byAncestry(const std::map<pid_t, pid_t>& parentOf, const DumpRequest& request) {
  const KnownTasks nothing;
  Walk walk(request, nothing);
  const auto visit = [&](auto&& self, pid_t pid) -> void {
    const auto parent = parentOf.find(pid);
    if (parentOf.contains(parent->second)) self(self, parent->second);
    walk.add(pid);
  };
  for (const auto& entry : parentOf) visit(visit, entry.first);
  return walk.take();
}

/** Members of a process group or session. */
Result<std::vector<pid_t>> membersByStat(ScopedTarget what, pid_t keeper) {
  auto all = listProcesses();
  if (!all) return all.error();
  std::vector<pid_t> members;
  for (const pid_t pid : *all) {
    const auto stat = readStat(pid);
    if (!stat || pid == keeper) continue;
    if ((what.scope == Scope::kGroup ? stat.value().pgid : stat.value().sid) == what.target) members.push_back(pid);
  }
  return members;
}

/** Adds what a target and scope mean to `walk`; false when there is no such process. */
Result<bool> addMembers(Walk& walk, ScopedTarget what, const DumpRequest& request) {
  if (what.scope == Scope::kProcess) {
    walk.add(what.target);
  } else if (what.scope == Scope::kTree) {
    walk.tree(what.target);
    if (request.keeper != 0 && what.target == request.jobRoot) {
      for (const pid_t orphan : walk.children(request.keeper)) {
        const auto stat = readStat(orphan);
        if (stat && !hasEnded(stat.value())) walk.tree(orphan);  // the keeper takes the ends of its own children
      }
    }
  } else {
    const auto members = membersByStat(what, request.keeper);
    if (!members) return members.error();
    for (const pid_t pid : members.value()) walk.add(pid);
    return !members.value().empty();
  }
  return readStat(what.target).ok();
}

/** A tree comes in this order by itself; of several scopes together, or a group, a child may have been found first. */
Result<std::vector<pid_t>> parentsFirst(std::vector<pid_t> members, const DumpRequest& request) {
  std::map<pid_t, pid_t> parentOf;
  for (const pid_t pid : members) {
    const auto stat = readStat(pid);
    if (stat) parentOf[pid] = stat.value().ppid;
  }
  return byAncestry(parentOf, request);
}

}  // namespace

Result<std::vector<pid_t>> scopeMembers(const DumpRequest& request, const KnownTasks& known) {
  Walk walk(request, known);
  auto found = addMembers(walk, {request.scope, request.target}, request);
  if (!found) return found.error();
  for (const ScopedTarget& more : request.also) {
    const auto added = addMembers(walk, more, request);
    if (!added) return added.error();
  }
  std::vector<pid_t> members = walk.take();
  if (members.empty() || !*found) return Error{ESRCH, "process " + std::to_string(request.target) + ": no such process"};
  const bool ordered = request.also.empty() && (request.scope == Scope::kTree || request.scope == Scope::kProcess);
  return ordered ? members : parentsFirst(std::move(members), request);
}

Status refuseTracers(const std::vector<pid_t>& members) {
  const std::set<pid_t> set(members.begin(), members.end());
  const auto all = listProcesses();
  if (!all) return all.error();
  for (const pid_t pid : all.value()) {
    const auto status = readStatus(pid);
    if (status && status.value().tracer != 0 && set.contains(status.value().tracer)) {
      return Error{kErrorTracer, "process " + std::to_string(status.value().tracer) + " traces process " + std::to_string(pid)};
    }
  }
  return {};
}

}  // namespace blcr
