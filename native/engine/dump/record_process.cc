#include "dump/record_process.h"

#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <time.h>

#include <array>
#include <cstring>

#include "arch/x86_64/batch.h"
#include "base/codes.h"
#include "base/features.h"
#include "base/io.h"
#include "dump/posix_timers.h"
#include "dump/rseq_offset.h"

namespace blcr {
namespace {

constexpr int kSignals = 64;
// Of newer kernels than Debian 12's headers. Source: linux/prctl.h, linux/membarrier.h
constexpr uint64_t kGetDenyWriteExecute = 66, kGetMemoryMerge = 68, kGetRegistrations = 1 << 9;
// ARCH_GET_XCOMP_PERM and its bit for AMX. Source: asm/prctl.h, arch/x86/xstate.rst
constexpr uint64_t kGetPermitted = 0x1022, kTileData = 1 << 18;
constexpr size_t kKernelAction = 32;  // struct kernel_sigaction: handler, flags, restorer, mask

/** Where the leader's batch puts its answers, in the scratch's data. */
struct ProcessAnswers {
  std::array<image::SignalAction, kSignals> actions;  // same layout as the kernel's
  std::array<std::array<int64_t, 4>, 3> timers;       // struct itimerval: interval, value
  int32_t subreaper;
  uint64_t permitted;  // extended register states that the process may use
};
static_assert(sizeof(image::SignalAction) == kKernelAction);

struct TaskAnswers {
  struct {
    uint64_t sp;
    int32_t flags, pad;
    uint64_t size;
  } altstack;
  uint64_t clearChildTid;
  int32_t pdeathsig, tsc;
  char name[16];
};

std::string who(pid_t pid) { return "process " + std::to_string(pid) + ": "; }

uint64_t prctlOption(int option) { return uint64_t(unsigned(option)); }

Status recordTaskState(Scratch& scratch, InjectionScope& scope, image::Task& into) {
  const uint64_t at = scratch.data();
  std::array<RemoteCall, 9> calls{{
      {SYS_sigaltstack, {0, at + offsetof(TaskAnswers, altstack)}},
      {SYS_prctl, {prctlOption(PR_GET_TID_ADDRESS), at + offsetof(TaskAnswers, clearChildTid)}},
      {SYS_prctl, {prctlOption(PR_GET_PDEATHSIG), at + offsetof(TaskAnswers, pdeathsig)}},
      {SYS_prctl, {prctlOption(PR_GET_TIMERSLACK)}},
      {SYS_prctl, {prctlOption(PR_GET_NAME), at + offsetof(TaskAnswers, name)}},
      {SYS_prctl, {prctlOption(PR_GET_TSC), at + offsetof(TaskAnswers, tsc)}},
      {SYS_prctl, {prctlOption(PR_GET_SPECULATION_CTRL), PR_SPEC_STORE_BYPASS, 0, 0, 0}},
      {SYS_prctl, {prctlOption(PR_GET_SPECULATION_CTRL), PR_SPEC_INDIRECT_BRANCH, 0, 0, 0}},
      {SYS_prctl, {prctlOption(PR_GET_SPECULATION_CTRL), 2 /* PR_SPEC_L1D_FLUSH */, 0, 0, 0}},
  }};
  BLCR_TRY(scratch.run(scope, calls));
  auto answers = scratch.memory().get<TaskAnswers>(at);
  if (!answers) return answers.error();
  into.altstackSp = answers->altstack.sp;
  into.altstackSize = answers->altstack.size;
  into.altstackFlags = uint32_t(answers->altstack.flags);
  // Kernels without CONFIG_CHECKPOINT_RESTORE do not tell; the thread then never clears the word, which pthread_join would wait for.
  if (calls[1].result != 0 || !featureAllowed("tid_address")) {
    return Error{kErrorNoSupport, "thread " + std::to_string(into.tid) + ": this kernel does not tell its clear_child_tid address"};
  }
  into.clearChildTid = answers->clearChildTid;
  if (calls[2].result == 0) into.pdeathsig = answers->pdeathsig;
  if (calls[3].result > 0) into.timerSlackNs = uint64_t(calls[3].result);
  if (calls[5].result == 0) into.tsc = answers->tsc;
  for (size_t kind = 0; kind < 3; ++kind) into.speculation[kind] = int32_t(calls[6 + kind].result);
  answers->name[15] = 0;
  into.comm = answers->name;
  return {};
}

std::vector<RemoteCall> processCalls(uint64_t at) {
  std::vector<RemoteCall> calls;
  for (uint64_t signal = 1; signal <= kSignals; ++signal) {
    calls.push_back({SYS_rt_sigaction, {signal, 0, at + (signal - 1) * kKernelAction, 8}});
  }
  for (uint64_t timer = 0; timer < 3; ++timer) {
    calls.push_back({SYS_getitimer, {timer, at + offsetof(ProcessAnswers, timers) + timer * 32}});
  }
  calls.push_back({SYS_prctl, {prctlOption(PR_GET_CHILD_SUBREAPER), at + offsetof(ProcessAnswers, subreaper)}});
  calls.push_back({SYS_prctl, {prctlOption(PR_GET_DUMPABLE)}});
  calls.push_back({SYS_prctl, {prctlOption(PR_GET_SECUREBITS)}});
  calls.push_back({SYS_prctl, {prctlOption(PR_GET_THP_DISABLE)}});
  calls.push_back({SYS_personality, {0xffffffff}});
  calls.push_back({SYS_brk, {0}});
  calls.push_back({SYS_prctl, {kGetDenyWriteExecute, 0, 0, 0, 0}});
  calls.push_back({SYS_prctl, {kGetMemoryMerge, 0, 0, 0, 0}});
  calls.push_back({SYS_membarrier, {kGetRegistrations, 0, 0}});
  calls.push_back({SYS_arch_prctl, {kGetPermitted, at + offsetof(ProcessAnswers, permitted)}});
  return calls;
}

Status recordProcessState(Scratch& scratch, InjectionScope& scope, image::Process& into) {
  std::vector<RemoteCall> calls = processCalls(scratch.data());
  BLCR_TRY(scratch.run(scope, calls));
  auto answers = scratch.memory().get<ProcessAnswers>(scratch.data());
  if (!answers) return answers.error();
  into.actions.assign(answers->actions.begin(), answers->actions.end());
  for (size_t timer = 0; timer < 3; ++timer) {
    const auto& value = answers->timers[timer];
    into.timers[timer].intervalUs = value[0] * 1000000 + value[1];
    into.timers[timer].valueUs = value[2] * 1000000 + value[3];
  }
  const RemoteCall* rest = &calls[kSignals + 3];
  into.subreaper = rest[0].result == 0 && answers->subreaper != 0;
  into.credentials.dumpable = int32_t(rest[1].result);
  if (rest[2].result >= 0) into.credentials.secureBits = uint32_t(rest[2].result);
  into.thpDisabled = rest[3].result == 1;
  into.personality = uint64_t(rest[4].result);
  into.memory.brk = uint64_t(rest[5].result);
  if (rest[6].result > 0) into.memory.denyWriteExecute = int32_t(rest[6].result);
  into.memory.mergeAll = rest[7].result > 0;
  if (rest[8].result > 0) into.memory.barriers = uint32_t(rest[8].result);
  if (rest[9].result == 0 && (answers->permitted & kTileData) != 0) {
    return Error{kErrorNoSupport, who(into.pid) + "it has asked for matrix registers (AMX), which are not supported"};
  }
  return {};
}

/** mlockall(MCL_FUTURE) shows in nothing but the areas that are made after it, like the scratch. */
uint32_t lockedFuture(const FrozenProcess& process, const Scratch& scratch) {
  const auto flags = readVmFlags(process.pid);
  if (!flags) return 0;
  const auto area = flags.value().upper_bound(scratch.data());
  if (area == flags.value().begin() || !hasVmFlag(std::prev(area)->second, "lo")) return 0;
  return hasVmFlag(std::prev(area)->second, "lf") ? MCL_FUTURE | MCL_ONFAULT : MCL_FUTURE;
}

Status recordFromStatus(const FrozenProcess& process, const KeeperTraits& keeper, const Scratch& scratch, image::Process& into) {
  auto status = readStatus(process.pid);
  if (!status) return status.error();
  into.memory.lockFuture = status->lockedKb != 0 ? lockedFuture(process, scratch) : 0;
  into.umask = status->umask;
  image::Credentials& credentials = into.credentials;
  for (size_t i = 0; i < 4; ++i) credentials.uid[i] = status->uid[i], credentials.gid[i] = status->gid[i];
  credentials.groups = status->groups;
  credentials.capInheritable = status->capInheritable;
  credentials.capPermitted = status->capPermitted;
  credentials.capEffective = status->capEffective;
  credentials.capBounding = status->capBounding;
  credentials.capAmbient = status->capAmbient;
  credentials.noNewPrivileges = status->noNewPrivileges;
  const bool own = status->seccomp != keeper.seccomp || (status->seccompFilters > keeper.seccompFilters && keeper.seccompFilters >= 0);
  if (status->seccomp != 0 && own) {
    return Error{kErrorNoSupport, who(process.pid) + "has installed a seccomp filter of its own, which cannot be read"};
  }
  return {};
}

void recordLimits(pid_t pid, image::Process& into) {
  for (int resource = 0; resource < 16; ++resource) {
    rlimit limit{};
    if (::prlimit(pid, static_cast<__rlimit_resource>(resource), nullptr, &limit) != 0) break;
    into.limits.push_back({limit.rlim_cur, limit.rlim_max});
  }
}

void recordIdentity(const FrozenProcess& process, image::Process& into) {
  const ProcStat& stat = process.stat;
  into.pid = process.pid;
  into.ppid = stat.ppid;
  into.pgid = stat.pgid;
  into.sid = stat.sid;
  into.exitSignal = stat.exitSignal > 0 ? stat.exitSignal : 0;
  into.comm = stat.comm;
  into.stopTold = stat.exitCode == 0;  // wait(2) clears it when it tells of the stop
  image::AddressSpace& memory = into.memory;
  memory.startCode = stat.startCode, memory.endCode = stat.endCode, memory.startStack = stat.startStack;
  memory.startData = stat.startData, memory.endData = stat.endData, memory.startBrk = stat.startBrk;
  memory.argStart = stat.argStart, memory.argEnd = stat.argEnd, memory.envStart = stat.envStart, memory.envEnd = stat.envEnd;
}

}  // namespace

void recordZombie(const FrozenProcess& process, image::Process& into) {
  recordIdentity(process, into);
  into.state = image::ProcessState::kZombie;
  into.exitStatus = process.stat.exitCode;
}

Status recordProcess(FrozenProcess& process, const KeeperTraits& keeper, image::Process& into) {
  const pid_t pid = process.pid;
  const RemoteMemory memory(pid);
  recordIdentity(process, into);
  const int64_t rseqOffset = kernelTellsRseq(pid) ? 0 : glibcRseqOffset(pid, process.maps);
  for (FrozenTask& task : process.tasks) {
    into.tasks.emplace_back();
    BLCR_TRY(recordTask(task, pid, memory, rseqOffset, into.tasks.back()));
  }
  auto pending = peekSignals(pid, true);
  if (!pending) return pending.error();
  into.pending = *std::move(pending);
  recordLimits(pid, into);
  auto oom = readFile("/proc/" + std::to_string(pid) + "/oom_score_adj");
  if (oom) into.oomScoreAdjust = int32_t(std::strtol(oom->c_str(), nullptr, 10));
  auto auxv = readFile("/proc/" + std::to_string(pid) + "/auxv");
  if (!auxv) return auxv.error();
  into.memory.auxv = *std::move(auxv);

  auto scope = InjectionScope::enter(process.tasks.front().tracee, process.syscallInstruction);
  if (!scope) return scope.error();
  auto scratch = Scratch::create(*scope, pid);
  if (!scratch) return scratch.error();
  BLCR_TRY(recordFromStatus(process, keeper, *scratch, into));
  BLCR_TRY(recordProcessState(*scratch, *scope, into));
  BLCR_TRY(recordPosixTimers(pid, *scratch, *scope, into.posixTimers));
  BLCR_TRY(recordTaskState(*scratch, *scope, into.tasks.front()));
  for (size_t index = 1; index < process.tasks.size(); ++index) {
    auto inner = InjectionScope::enter(process.tasks[index].tracee, process.syscallInstruction);
    if (!inner) return inner.error();
    BLCR_TRY(recordTaskState(*scratch, *inner, into.tasks[index]));
    BLCR_TRY(inner->restore());
  }
  // A parent-death signal of the root was set by its launcher, not by the program.
  if (pid == keeper.jobRoot) into.tasks.front().pdeathsig = 0;
  BLCR_TRY(scratch->remove());
  return scope->restore();
}

}  // namespace blcr
