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
Result<std::vector<pid_t>> childrenOf(pid_t pid) {
  auto tasks = listTasks(pid);
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
  explicit Walk(const DumpRequest& request) : omitted_(request.omit.begin(), request.omit.end()) {}

  void tree(pid_t pid) {
    if (!add(pid)) return;
    for (const pid_t child : children(pid)) tree(child);
  }
  bool add(pid_t pid) {
    if (omitted_.contains(pid) || !seen_.insert(pid).second) return false;
    members_.push_back(pid);
    return true;
  }
  static std::vector<pid_t> children(pid_t pid) {
    auto list = childrenOf(pid);
    return list ? *std::move(list) : childrenByScan(pid);
  }
  std::vector<pid_t> take() { return std::move(members_); }

 private:
  std::set<pid_t> omitted_, seen_;
  std::vector<pid_t> members_;
};

/** Orders parents before children. */
std::vector<pid_t> byAncestry(const std::map<pid_t, pid_t>& parentOf, const DumpRequest& request) {
  Walk walk(request);
  const auto visit = [&](auto&& self, pid_t pid) -> void {
    const auto parent = parentOf.find(pid);
    if (parentOf.contains(parent->second)) self(self, parent->second);
    walk.add(pid);
  };
  for (const auto& entry : parentOf) visit(visit, entry.first);
  return walk.take();
}

Result<std::vector<pid_t>> membersByStat(const DumpRequest& request) {
  auto all = listProcesses();
  if (!all) return all.error();
  std::map<pid_t, pid_t> parentOf;
  for (const pid_t pid : *all) {
    const auto stat = readStat(pid);
    if (!stat || pid == request.keeper) continue;
    const ProcStat& found = stat.value();
    if ((request.scope == Scope::kGroup ? found.pgid : found.sid) == request.target) parentOf[pid] = found.ppid;
  }
  return byAncestry(parentOf, request);
}

}  // namespace

Result<std::vector<pid_t>> scopeMembers(const DumpRequest& request) {
  std::vector<pid_t> members;
  if (request.scope == Scope::kProcess) {
    members.push_back(request.target);
  } else if (request.scope == Scope::kTree) {
    Walk walk(request);
    walk.tree(request.target);
    if (request.keeper != 0 && request.target == request.jobRoot) {
      for (const pid_t orphan : Walk::children(request.keeper)) {
        const auto stat = readStat(orphan);
        if (stat && stat.value().state != 'Z') walk.tree(orphan);  // the keeper takes the ends of its own children
      }
    }
    members = walk.take();
  } else {
    auto found = membersByStat(request);
    if (!found) return found;
    members = *std::move(found);
  }
  if (members.empty() || (request.scope != Scope::kGroup && request.scope != Scope::kSession && !readStat(request.target))) {
    return Error{ESRCH, "process " + std::to_string(request.target) + ": no such process"};
  }
  return members;
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
