#include "restore/tasks/groups.h"

#include <sys/syscall.h>

#include <unordered_map>
#include <unordered_set>

namespace blcr {
namespace {

Status setGroup(Stub& stub, pid_t group) { return done(stub.call("setpgid", SYS_setpgid, {0, uint64_t(group)})); }

/** One group: its number comes from a process that has it now or had it once, else from a child of a member. */
Status found(StandIns& standIns, int32_t group, Building* namesake, Building& member) {
  if (namesake != nullptr) {
    if (namesake->process->sid != group) BLCR_TRY(setGroup(namesake->leader(), 0));
    if (namesake->process->pgid == group) return {};
    const auto kept = standIns.make(&namesake->leader(), standIns.unusedNumber());
    return kept.ok() ? Status() : kept.error();
  }
  if (member.process->sid == group) return {};  // that of the session's leader, which has a stand-in already
  const auto leader = standIns.make(&member.leader(), group);
  if (!leader.ok()) return leader.error();
  return setGroup(*leader.value(), 0);
}

}  // namespace

Status settleGroups(Job& job, StandIns& standIns) {
  std::unordered_map<int32_t, Building*> byPid;
  std::unordered_set<int32_t> groups{0};  // one outside of a job's namespace
  for (Building& building : job.processes)
    if (!building.tasks.empty()) byPid[building.process->pid] = &building;
  for (Building& building : job.processes) {
    const int32_t group = building.process->pgid;
    if (building.tasks.empty() || !groups.insert(group).second) continue;
    const auto namesake = byPid.find(group);
    const Status made = found(standIns, group, namesake == byPid.end() ? nullptr : namesake->second, building);
    if (!made.ok()) return inProcess(*building.process, made.error());
  }
  for (Building& building : job.processes) {
    const image::Process& process = *building.process;
    if (building.tasks.empty() || process.pgid == process.pid || process.pgid == 0) continue;
    const Status joined = setGroup(building.leader(), job.numbers(process.pgid));
    if (!joined.ok()) return inProcess(process, joined.error());
  }
  return {};
}

}  // namespace blcr
