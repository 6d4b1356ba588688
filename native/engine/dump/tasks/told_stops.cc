#include "dump/tasks/told_stops.h"

#include <errno.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include <algorithm>

#include "base/codes.h"

namespace blcr {
namespace {

/** Whether wait(2) has still to tell `parent` that its child `pid` has stopped. */
Result<bool> isToBeTold(FrozenProcess& parent, pid_t pid) {
  const Scratch& scratch = parent.foothold->scratch();
  const siginfo_t nothing{};
  BLCR_TRY(scratch.memory().write(scratch.data(), std::as_bytes(std::span(&nothing, 1))));
  constexpr uint64_t kHow = WSTOPPED | WNOHANG | WNOWAIT | __WALL;
  RemoteCall call{SYS_waitid, {P_PID, uint64_t(pid), scratch.data(), kHow, 0}};
  BLCR_TRY(parent.foothold->run(std::span(&call, 1)));
  if (call.result == -ECHILD) return false;  // it belongs to somebody else now
  if (call.result != 0)
    return Error{kErrorNoSupport, "process " + std::to_string(pid) + ": whether its stop was told is forbidden to ask (waitid)"};
  const auto told = scratch.memory().get<siginfo_t>(scratch.data());
  if (!told.ok()) return told.error();
  return told.value().si_pid == pid;
}

}  // namespace

Status recordToldStops(std::deque<FrozenProcess>& processes, image::Image& image) {
  for (image::Process& child : image.processes) {
    if (child.tasks.empty() || child.tasks.front().stopSignal == 0) continue;
    const auto isParent = [&child](const FrozenProcess& one) { return one.pid == child.ppid && !one.zombie; };
    const auto parent = std::find_if(processes.begin(), processes.end(), isParent);
    if (parent == processes.end()) continue;
    const auto waiting = isToBeTold(*parent, child.pid);
    if (!waiting.ok()) return waiting.error();
    child.stopTold = !waiting.value();
  }
  return {};
}

}  // namespace blcr
