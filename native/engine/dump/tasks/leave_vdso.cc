#include "dump/tasks/leave_vdso.h"

#include <signal.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/uio.h>

#include <algorithm>

#include "arch/x86_64/vdso_frame.h"
#include "base/features.h"

namespace blcr {
namespace {

constexpr int kMaxSteps = 4096;
constexpr uint64_t kTrap = 1ull << (SIGTRAP - 1), kFault = 1ull << (SIGSEGV - 1);
constexpr uint64_t kNowhere = 16;  // no program has anything there
constexpr int kPatienceMs = 1000;  // the functions take well below a microsecond, a busy processor may be waited for

/** All signals blocked but those that tell of the task's progress; the job dies with us as long as that is so. */
class Departure {
 public:
  [[nodiscard]] static Result<Departure> begin(Tracee& tracee) {
    const auto mask = tracee.signalMask();
    if (!mask.ok()) return mask.error();
    Departure departure(tracee, mask.value());
    BLCR_TRY(tracee.setOptions(departure.options_ | PTRACE_O_EXITKILL));
    departure.active_ = true;
    // A trap or fault that is blocked would reset the program's action for it.
    BLCR_TRY(tracee.setSignalMask(~(kTrap | kFault)));
    return departure;
  }
  Departure(Departure&& other) noexcept
      : tracee_(other.tracee_), mask_(other.mask_), options_(other.options_), active_(std::exchange(other.active_, false)) {}
  Departure(const Departure&) = delete;
  ~Departure() { static_cast<void>(end()); }

  Status end() {
    if (!std::exchange(active_, false)) return {};
    BLCR_TRY(tracee_->settle());
    BLCR_TRY(tracee_->setSignalMask(mask_));
    return tracee_->setOptions(options_);
  }

 private:
  Departure(Tracee& tracee, uint64_t mask) : tracee_(&tracee), mask_(mask), options_(tracee.options()) {}
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

/** A word of the stopped task's stack that is another one as long as this lives. */
class Detour {
 public:
  [[nodiscard]] static Result<Detour> make(const RemoteMemory& memory, const WayOut& out) {
    BLCR_TRY(memory.write(out.slot, std::as_bytes(std::span(&kNowhere, 1))));
    return Detour(memory, out);
  }
  Detour(Detour&& other) noexcept : memory_(std::exchange(other.memory_, nullptr)), out_(other.out_) {}
  Detour(const Detour&) = delete;
  ~Detour() { static_cast<void>(end()); }

  Status end() {
    const RemoteMemory* memory = std::exchange(memory_, nullptr);
    return memory == nullptr ? Status() : memory->write(out_.slot, std::as_bytes(std::span(&out_.target, 1)));
  }

 private:
  Detour(const RemoteMemory& memory, const WayOut& out) : memory_(&memory), out_(out) {}
  const RemoteMemory* memory_;
  WayOut out_;
};

/** A program whose processor checks where it returns to (CET) may not be sent elsewhere. */
bool hasShadowStack(pid_t tid) {
  constexpr unsigned long kShadowStack = 0x204;  // NT_X86_SHSTK, Linux 6.6
  uint64_t pointer = 0;
  iovec vector{&pointer, sizeof pointer};
  return ::ptrace(PTRACE_GETREGSET, tid, kShadowStack, &vector) == 0;
}

bool isCode(const FrozenProcess& process, uint64_t address) {
  return std::any_of(process.maps.begin(), process.maps.end(),
                     [address](const Mapping& one) { return isIn(one, address) && (one.protection & PROT_EXEC) != 0; });
}

/**
 * Lets the function run to its end in one go: it returns to where nothing is, and the fault, which the program does not see, tells that it
 * has come there. Gives the signal that came instead, if any, which is for the program; the task may still be inside then.
 */
Result<int> returnOut(FrozenTask& task, const RemoteMemory& memory, const WayOut& out) {
  auto detour = Detour::make(memory, out);
  if (!detour) return 0;
  const auto signal = task.tracee.runToStop(kPatienceMs);
  BLCR_TRY(detour->end());
  if (!signal.ok()) return signal.error();
  BLCR_TRY(readRegisters(task));
  if (task.regs.rip != kNowhere) return signal.value();
  constexpr unsigned kResume = 1 << 16;  // set in eflags by every fault
  task.regs.rip = out.target;
  task.regs.eflags &= ~uint64_t(kResume);
  BLCR_TRY(task.tracee.setRegisters(task.regs));
  return task.tracee.hasFaulted() ? 0 : signal.value();
}

/** Whether the task would stop for a signal of its own that the program has no part in. */
bool isFree(const ProcStatus& status, uint64_t signal) { return ((status.ignored | status.pending | status.sharedPending) & signal) == 0; }

/** The same, where the way is known and a fault can be told; 0 when nothing was done. */
Result<int> tryReturn(FrozenTask& task, const FrozenProcess& process, const Mapping& vdso, const ProcStatus& status) {
  const bool isNowhere = process.maps.front().start > kNowhere;
  if (!isNowhere || !isFree(status, kFault) || !featureAllowed("vdso_return") || hasShadowStack(task.tracee.tid())) return 0;
  const RemoteMemory memory(process.speaker());
  const auto out = wayOut(memory, vdso.start, vdso.end, task.regs);
  if (!out.ok() || !isCode(process, out.value().target)) return 0;
  return returnOut(task, memory, out.value());
}

Status takeOut(FrozenTask& task, const FrozenProcess& process, const Mapping& vdso) {
  const auto status = readTaskStatus(process.pid, task.tracee.tid());
  if (!status.ok()) return status.error();
  if (!isFree(status.value(), kTrap)) return {};
  auto departure = Departure::begin(task.tracee);
  if (!departure) return departure.error();
  const auto came = tryReturn(task, process, vdso, status.value());
  if (!came.ok()) return came.error();
  int signal = came.value();
  for (int steps = 0; steps < kMaxSteps && (signal != 0 || isIn(vdso, task.regs.rip)); ++steps) {
    BLCR_TRY(task.tracee.step(std::exchange(signal, 0)));
    BLCR_TRY(readRegisters(task));
  }
  BLCR_TRY(departure->end());
  return readRegisters(task);
}

}  // namespace

Status leaveVdso(FrozenProcess& process) {
  for (FrozenTask& task : process.tasks) BLCR_TRY(readRegisters(task));
  const auto vdso = std::find_if(process.maps.begin(), process.maps.end(), [](const Mapping& one) { return one.path == "[vdso]"; });
  if (vdso == process.maps.end()) return {};
  for (FrozenTask& task : process.tasks)
    if (isIn(*vdso, task.regs.rip)) BLCR_TRY(takeOut(task, process, *vdso));
  return {};
}

}  // namespace blcr
