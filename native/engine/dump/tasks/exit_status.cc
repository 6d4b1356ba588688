#include "dump/tasks/exit_status.h"

#include <signal.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>

#include "base/codes.h"

namespace blcr {
namespace {

int waitStatus(const siginfo_t& told) {
  if (told.si_code == CLD_EXITED) return told.si_status << 8;
  return told.si_code == CLD_DUMPED ? told.si_status | 0x80 : told.si_status;
}

Result<int> askParent(FrozenProcess& parent, pid_t zombie) {
  const Scratch& scratch = parent.foothold->scratch();
  RemoteCall call{SYS_waitid, {P_PID, uint64_t(zombie), scratch.data(), WEXITED | WNOWAIT | WNOHANG | __WALL, 0}};
  BLCR_TRY(parent.foothold->run(std::span(&call, 1)));
  const auto told = scratch.memory().get<siginfo_t>(scratch.data());
  if (!told) return told.error();
  if (call.result == 0 && told.value().si_pid == zombie) return waitStatus(told.value());
  return Error{kErrorNoSupport, "process " + std::to_string(zombie) + ": its exit status is not told to this user"};
}

}  // namespace

bool mayLookAt(pid_t pid) { return ::syscall(SYS_get_robust_list, pid, nullptr, nullptr) == 0 || errno == EFAULT; }

Status recordExitStatuses(std::deque<FrozenProcess>& processes, image::Image& image) {
  for (size_t index = 0; index < processes.size(); ++index) {
    const FrozenProcess& process = processes[index];
    if (!process.zombie || mayLookAt(process.pid)) continue;
    const auto isParent = [&process](const FrozenProcess& other) { return other.pid == process.stat.ppid && !other.zombie; };
    const auto parent = std::find_if(processes.begin(), processes.end(), isParent);
    if (parent == processes.end()) continue;  // nobody is left who could ask
    const auto status = askParent(*parent, process.pid);
    if (!status) return status.error();
    image.processes[index].exitStatus = status.value();
  }
  return {};
}

}  // namespace blcr
