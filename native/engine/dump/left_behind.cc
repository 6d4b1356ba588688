#include "dump/left_behind.h"

#include <unistd.h>

#include <map>
#include <set>

namespace blcr {
namespace {

using Processes = std::map<pid_t, ProcStat>;

Processes allProcesses() {
  Processes all;
  const auto numbers = listProcesses();
  if (!numbers) return all;
  for (const pid_t pid : numbers.value()) {
    auto stat = readStat(pid);
    if (stat) all.emplace(pid, *std::move(stat));
  }
  return all;
}

/** Sessions and groups that began inside the tree: whoever is in one descends from it. */
struct OwnIds {
  std::set<pid_t> sessions, groups;

  OwnIds(const Processes& all, const std::vector<pid_t>& members, pid_t root) {
    const auto top = all.find(root);
    if (top == all.end()) return;
    const ProcStat& first = top->second;
    for (const pid_t pid : members) {
      const auto found = all.find(pid);
      if (found == all.end()) continue;
      if (found->second.sid != first.sid || first.sid == root) sessions.insert(found->second.sid);
      if (found->second.pgid != first.pgid || first.pgid == root) groups.insert(found->second.pgid);
    }
  }
};

bool isOrphan(const Processes& all, const ProcStat& stat) {
  const auto parent = all.find(stat.ppid);
  return parent == all.end() || parent->second.sid != stat.sid;
}

}  // namespace

std::vector<std::string> leftBehind(const std::vector<pid_t>& members, const DumpRequest& request) {
  std::vector<std::string> sentences;
  if (request.scope != Scope::kTree) return sentences;  // whoever names others means just them
  const Processes all = allProcesses();
  const OwnIds own(all, members, request.target);
  const std::set<pid_t> inside(members.begin(), members.end());
  std::set<pid_t> known(request.omit.begin(), request.omit.end());
  known.insert(request.leftOut.begin(), request.leftOut.end());
  known.insert({request.keeper, ::getpid()});
  for (const auto& [pid, stat] : all) {
    if (hasEnded(stat) || known.contains(pid) || inside.contains(pid) || inside.contains(stat.ppid) || !isOrphan(all, stat)) continue;
    const bool bySession = own.sessions.contains(stat.sid);
    if (!bySession && !own.groups.contains(stat.pgid)) continue;
    const std::string where = bySession ? "session " + std::to_string(stat.sid) : "process group " + std::to_string(stat.pgid);
    sentences.push_back(std::string(kWarningLeftOut) + ": process " + std::to_string(pid) + " (" + stat.comm + ") belongs to " + where +
                        " of the job but not to the tree of process " + std::to_string(request.target) +
                        ": its parent has ended, and it is not in this checkpoint (a job started by cr_run or blcr run has no such ones)");
  }
  return sentences;
}

}  // namespace blcr
