#include "dump/tasks/lost_leader.h"

#include <sys/wait.h>

#include <algorithm>

#include "base/codes.h"
#include "dump/tasks/exit_status.h"

namespace blcr {

Status lookAtLostLeader(FrozenProcess& process) {
  const auto refuse = [&process](const std::string& why) {
    return Error{kErrorNoSupport, "process " + std::to_string(process.pid) + ": its main thread has ended, " + why};
  };
  const auto living = readStat(process.speaker());
  if (!living) return living.error();
  // Of the thread alone: that of the process is another one while it is stopped (^Z).
  const auto leader = readTaskStat(process.pid, process.pid);
  if (!leader) return leader.error();
  if (leader.value().state != 'Z') return Error{kErrorTemporary, "process " + std::to_string(process.pid) + ": its main thread is ending"};
  if (!mayLookAt(process.pid)) return refuse("and its exit status is not told to this user");
  const int status = leader.value().exitCode;
  if (!WIFEXITED(status)) return refuse("by a signal that the others have survived");
  ProcStat& stat = process.stat;
  const ProcStat& from = living.value();
  stat.startCode = from.startCode, stat.endCode = from.endCode, stat.startStack = from.startStack;
  stat.startData = from.startData, stat.endData = from.endData, stat.startBrk = from.startBrk;
  stat.argStart = from.argStart, stat.argEnd = from.argEnd, stat.envStart = from.envStart, stat.envEnd = from.envEnd;
  process.leaderStatus = status;
  return {};
}

Status refuseTiedToThreads(const std::deque<FrozenProcess>& processes, const image::Image& image) {
  for (const FrozenProcess& parent : processes) {
    if (!parent.hasLostLeader()) continue;
    for (const image::Process& child : image.processes) {
      const auto isTied = [](const image::Task& task) { return task.pdeathsig != 0; };
      if (child.ppid == parent.pid && std::any_of(child.tasks.begin(), child.tasks.end(), isTied))
        return Error{kErrorNoSupport,
                     "process " + std::to_string(child.pid) +
                         ": it wants a signal when the thread that made it ends (PR_SET_PDEATHSIG), and the main thread of "
                         "its parent, process " +
                         std::to_string(parent.pid) + ", has ended"};
    }
  }
  return {};
}

Status refuseNeedsOfLeader(const std::deque<FrozenProcess>& processes, const image::Image& image) {
  for (size_t index = 0; index < image.processes.size(); ++index) {
    if (!processes[index].hasLostLeader()) continue;
    const auto isRing = [&image](const image::Descriptor& one) { return image.files[one.file].kind == image::FileKind::kRing; };
    const image::Process& process = image.processes[index];
    const std::string who = "process " + std::to_string(process.pid) + ": its main thread has ended, and it ";
    const auto isVdso = [](const image::Area& area) { return area.kind == image::AreaKind::kVdso; };
    if (std::none_of(process.memory.areas.begin(), process.memory.areas.end(), isVdso)) return Error{kErrorNoSupport, who + "has no vdso"};
    if (std::any_of(process.descriptors.begin(), process.descriptors.end(), isRing)) return Error{kErrorNoSupport, who + "uses io_uring"};
  }
  return {};
}

void addLostLeaders(image::Image& image) {
  for (image::Process& process : image.processes) {
    if (process.tasks.empty() || process.tasks.front().tid == process.pid) continue;
    const image::Task& first = process.tasks.front();
    image::Task leader;
    leader.tid = process.pid;
    leader.comm = process.comm;
    leader.sigmask = first.sigmask;
    leader.stopSignal = first.stopSignal;
    process.tasks.insert(process.tasks.begin(), std::move(leader));
  }
}

}  // namespace blcr
