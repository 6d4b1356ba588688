#include "dump/tasks/leave_vdso.h"

#include <signal.h>
#include <sys/ptrace.h>

#include <algorithm>

namespace blcr {
namespace {

constexpr int kMaxSteps = 4096;
constexpr uint64_t kTrap = 1ull << (SIGTRAP - 1);

/** All signals but SIGTRAP blocked; the job dies with us as long as that is so. */
class Stepping {
 public:
  [[nodiscard]] static Result<Stepping> begin(Tracee& tracee) {
    const auto mask = tracee.signalMask();
    if (!mask.ok()) return mask.error();
    Stepping stepping(tracee, mask.value());
    BLCR_TRY(tracee.setOptions(stepping.options_ | PTRACE_O_EXITKILL));
    stepping.active_ = true;
    // A trap that is blocked would reset the program's action for it.
    BLCR_TRY(tracee.setSignalMask(~kTrap));
    return stepping;
  }
  Stepping(Stepping&& other) noexcept
      : tracee_(other.tracee_), mask_(other.mask_), options_(other.options_), active_(std::exchange(other.active_, false)) {}
  Stepping(const Stepping&) = delete;
  ~Stepping() { static_cast<void>(end()); }

  Status end() {
    if (!std::exchange(active_, false)) return {};
    BLCR_TRY(tracee_->settle());
    BLCR_TRY(tracee_->setSignalMask(mask_));
    return tracee_->setOptions(options_);
  }

 private:
  Stepping(Tracee& tracee, uint64_t mask) : tracee_(&tracee), mask_(mask), options_(tracee.options()) {}
  Tracee* tracee_;
  uint64_t mask_;
  unsigned long options_;
  bool active_ = false;
};

bool isIn(const Mapping& mapping, uint64_t address) { return address >= mapping.start && address < mapping.end; }

Status readRegisters(FrozenTask& task) {
  const auto regs = task.tracee.registers();
  if (!regs.ok()) return regs.error();
  task.regs = regs.value();
  return {};
}

Status stepOut(FrozenTask& task, const Mapping& vdso) {
  auto stepping = Stepping::begin(task.tracee);
  if (!stepping) return stepping.error();
  for (int steps = 0; steps < kMaxSteps && isIn(vdso, task.regs.rip); ++steps) {
    BLCR_TRY(task.tracee.step());
    BLCR_TRY(readRegisters(task));
  }
  BLCR_TRY(stepping->end());
  return readRegisters(task);
}

}  // namespace

Status leaveVdso(FrozenProcess& process) {
  for (FrozenTask& task : process.tasks) BLCR_TRY(readRegisters(task));
  const auto vdso = std::find_if(process.maps.begin(), process.maps.end(), [](const Mapping& one) { return one.path == "[vdso]"; });
  if (vdso == process.maps.end()) return {};
  for (FrozenTask& task : process.tasks) {
    if (!isIn(*vdso, task.regs.rip)) continue;
    const auto status = readStatus(process.pid);
    if (!status.ok()) return status.error();
    if ((status.value().ignored & kTrap) != 0) return {};
    BLCR_TRY(stepOut(task, *vdso));
  }
  return {};
}

}  // namespace blcr
