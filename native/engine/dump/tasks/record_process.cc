#include "dump/tasks/record_process.h"

#include <linux/keyctl.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <functional>
#include <span>

#include "base/codes.h"
#include "base/features.h"
#include "base/io.h"
#include "dump/tasks/posix_timers.h"
#include "dump/tasks/rights.h"
#include "dump/tasks/rseq_offset.h"
#include "dump/tasks/task_state.h"

namespace blcr {
namespace {

constexpr int kSignals = 64;
// Of newer kernels than Debian 12's headers. Source: linux/prctl.h, linux/membarrier.h
constexpr uint64_t kGetDenyWriteExecute = 66, kGetMemoryMerge = 68, kGetRegistrations = 1 << 9;
// ARCH_GET_XCOMP_PERM and its bit for AMX. Source: asm/prctl.h, arch/x86/xstate.rst
constexpr uint64_t kGetPermitted = 0x1022, kTileData = 1 << 18;
constexpr uint64_t kGetCpuid = 0x1011, kGetUntagMask = 0x4001;  // ARCH_GET_CPUID, ARCH_GET_UNTAG_MASK
constexpr int kLimits = 16;                                     // RLIM_NLIMITS
constexpr size_t kKernelAction = 32;                            // struct kernel_sigaction: handler, flags, restorer, mask

/** Where the leader's batch puts its answers, in the scratch's data. */
struct ProcessAnswers {
  std::array<image::SignalAction, kSignals> actions;  // same layout as the kernel's
  std::array<std::array<int64_t, 4>, 3> timers;       // struct itimerval: interval, value
  std::array<std::array<uint64_t, 2>, kLimits> limits;
  int32_t subreaper;
  uint64_t permitted;  // extended register states that the process may use
  uint64_t untagMask;  // of pointers, all ones = no bits are free for tags
  uint64_t segments[2];
};
static_assert(sizeof(image::SignalAction) == kKernelAction);

std::string who(pid_t pid) { return "process " + std::to_string(pid) + ": "; }

uint64_t prctlOption(int option) { return uint64_t(unsigned(option)); }

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
  calls.push_back({SYS_brk, {0}});
  calls.push_back({SYS_prctl, {kGetDenyWriteExecute, 0, 0, 0, 0}});
  calls.push_back({SYS_prctl, {kGetMemoryMerge, 0, 0, 0, 0}});
  calls.push_back({SYS_membarrier, {kGetRegistrations, 0, 0}});
  calls.push_back({SYS_arch_prctl, {kGetPermitted, at + offsetof(ProcessAnswers, permitted)}});
  calls.push_back({SYS_arch_prctl, {kGetUntagMask, at + offsetof(ProcessAnswers, untagMask)}});
  calls.push_back({SYS_arch_prctl, {kGetCpuid}});
  calls.push_back({SYS_modify_ldt, {0, at + offsetof(ProcessAnswers, segments), sizeof ProcessAnswers::segments}});
  calls.push_back({SYS_keyctl, {KEYCTL_GET_KEYRING_ID, uint64_t(KEY_SPEC_PROCESS_KEYRING), 0}});
  calls.push_back({SYS_keyctl, {KEYCTL_GET_KEYRING_ID, uint64_t(KEY_SPEC_SESSION_KEYRING), 0}});
  calls.push_back({SYS_keyctl, {KEYCTL_GET_KEYRING_ID, uint64_t(KEY_SPEC_USER_SESSION_KEYRING), 0}});
  for (uint64_t limit = 0; limit < kLimits; ++limit) {
    calls.push_back({SYS_prlimit64, {0, limit, 0, at + offsetof(ProcessAnswers, limits) + limit * 16}});
  }
  return calls;
}

/** A filter of the node may answer in the kernel's place. What these tell is told by nothing else. */
Status refuseUnanswered(pid_t pid, std::span<const RemoteCall> calls) {
  const auto failed = std::find_if(calls.begin(), calls.end(), [](const RemoteCall& call) { return call.result != 0; });
  if (failed == calls.end()) return {};
  const char* const name = failed->number == SYS_rt_sigaction ? "rt_sigaction" : "getitimer";
  return Error{kErrorNoSupport, who(pid) + name + " is forbidden here, which its signal handlers or timers cannot be known without"};
}

/** States that exist nowhere else and would be gone after a restart; `calls` begins with the question for permitted registers. */
Status refuseUnusual(pid_t pid, const RemoteCall* calls, const ProcessAnswers& answers) {
  const auto refuse = [pid](const char* why) { return Error{kErrorNoSupport, who(pid) + why}; };
  if (calls[0].result == 0 && (answers.permitted & kTileData) != 0)
    return refuse("it has asked for matrix registers (AMX), which are not supported");
  if (calls[1].result == 0 && answers.untagMask != ~0ull) return refuse("it uses tagged pointers (LAM), which are not supported");
  if (calls[2].result == 0) return refuse("it has made the CPUID instruction fault (ARCH_SET_CPUID), which is not supported");
  if (calls[3].result > 0) return refuse("it has segments of its own (modify_ldt), which are not supported");
  if (calls[4].result > 0) return refuse("it has keys in a keyring of its own, which cannot be carried");
  return {};
}

long ownKeyring(int which) { return ::syscall(SYS_keyctl, KEYCTL_GET_KEYRING_ID, which, 0); }

/**
 * Of a job that the keeper has started: any other one may come from another login. Whoever has no session keyring is told of the one that
 * all of their user have (user-session-keyring(7)): another one for a process that root has made another user's.
 */
Status refuseOwnSession(pid_t pid, long keyring, long ofUser, const KeeperTraits& keeper) {
  const long own = keeper.jobRoot == 0 ? 0 : ownKeyring(KEY_SPEC_SESSION_KEYRING);
  if (own <= 0 || keyring <= 0 || own == keyring) return {};
  if (keyring == ofUser && own == ownKeyring(KEY_SPEC_USER_SESSION_KEYRING)) return {};
  return Error{kErrorNoSupport, who(pid) + "it has a session keyring of its own, which cannot be carried"};
}

/** Everything that only the process itself is told, and the same of its leader: one batch. `meanwhile` is done while it runs. */
Status recordProcessState(Foothold& foothold, const KeeperTraits& keeper, image::Process& into, Suspicions& suspicions,
                          const std::function<Status()>& meanwhile) {
  const uint64_t at = foothold.scratch().data();
  std::vector<RemoteCall> calls = processCalls(at);
  const size_t ownCalls = calls.size();
  const TaskCalls leaderCalls = taskCalls(at + sizeof(ProcessAnswers));
  calls.insert(calls.end(), leaderCalls.begin(), leaderCalls.end());
  auto batch = foothold.start(calls);
  if (!batch) return batch.error();
  const Status done = meanwhile();
  BLCR_TRY(foothold.finish(*batch));  // a process that has died says so here: its files only say that they may not be read
  BLCR_TRY(done);
  struct Answers {
    ProcessAnswers process;
    TaskAnswers leader;
  };
  static_assert(offsetof(Answers, leader) == sizeof(ProcessAnswers));
  auto answers = foothold.scratch().memory().get<Answers>(at);
  if (!answers) return answers.error();
  const ProcessAnswers& own = answers->process;
  BLCR_TRY(refuseUnanswered(into.pid, std::span(calls).first(kSignals + 3)));
  into.actions.assign(own.actions.begin(), own.actions.end());
  for (size_t timer = 0; timer < 3; ++timer) {
    const auto& value = own.timers[timer];
    into.timers[timer].intervalUs = value[0] * 1000000 + value[1];
    into.timers[timer].valueUs = value[2] * 1000000 + value[3];
  }
  const RemoteCall* rest = &calls[kSignals + 3];
  into.subreaper = rest[0].result == 0 && own.subreaper != 0;
  into.credentials.dumpable = int32_t(rest[1].result);
  if (rest[2].result >= 0) into.credentials.secureBits = uint32_t(rest[2].result);
  if (rest[3].result > 0) into.thpDisabled = int32_t(rest[3].result);
  into.memory.brk = uint64_t(rest[4].result);
  if (rest[5].result > 0) into.memory.denyWriteExecute = int32_t(rest[5].result);
  into.memory.mergeAll = rest[6].result > 0;
  if (rest[7].result > 0) into.memory.barriers = uint32_t(rest[7].result);
  BLCR_TRY(refuseUnusual(into.pid, &rest[8], own));
  BLCR_TRY(refuseOwnSession(into.pid, rest[13].result, rest[14].result, keeper));
  for (size_t limit = 0; limit < kLimits && rest[15 + limit].result == 0; ++limit) {
    into.limits.push_back({own.limits[limit][0], own.limits[limit][1]});
  }
  suspicions.take(0, calls);
  return recordTaskState(std::span(calls).subspan(ownCalls), answers->leader, into.tasks.front());
}

/** mlockall(MCL_FUTURE) shows in nothing but the areas that are made after it, like the scratch. */
uint32_t lockedFuture(const FrozenProcess& process, const Scratch& scratch) {
  const auto flags = readVmFlags(process.speaker());
  if (!flags) return 0;
  const auto area = flags.value().upper_bound(scratch.data());
  if (area == flags.value().begin() || !hasVmFlag(std::prev(area)->second, "lo")) return 0;
  return hasVmFlag(std::prev(area)->second, "lf") ? MCL_FUTURE | MCL_ONFAULT : MCL_FUTURE;
}

Status recordFromStatus(const FrozenProcess& process, const Scratch& scratch, image::Process& into) {
  auto status = readStatus(process.speaker());
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
  return {};
}

/** Whatever is mapped into a process that has called mlockall(MCL_FUTURE) counts as locked. Source: mlockall(2) */
bool isLockedOut(const Error& error) { return error.code == EAGAIN; }

Error noRoomToLock(pid_t pid) {
  return {kErrorNoSupport,
          who(pid) + "its memory is locked as it is mapped (mlockall), and RLIMIT_MEMLOCK leaves no room for what a checkpoint maps there"};
}

/** What files of /proc tell. */
Status recordFromFiles(const FrozenProcess& process, const Scratch& scratch, image::Process& into) {
  const std::string directory = "/proc/" + std::to_string(process.speaker());
  auto oom = readFile(directory + "/oom_score_adj");
  if (oom) into.oomScoreAdjust = int32_t(std::strtol(oom->c_str(), nullptr, 10));
  auto core = readFile(directory + "/coredump_filter");
  if (core) into.coreFilter = uint32_t(std::strtoul(core->c_str(), nullptr, 16));
  auto auxv = readFile(directory + "/auxv");
  if (!auxv) return auxv.error();
  into.memory.auxv = *std::move(auxv);
  return recordFromStatus(process, scratch, into);
}

void recordIdentity(const FrozenProcess& process, image::Process& into) {
  const ProcStat& stat = process.stat;
  into.pid = process.pid;
  into.ppid = stat.ppid;
  into.startTime = stat.startTime;
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

Status recordProcess(FrozenProcess& process, const KeeperTraits& keeper, RightsCheck& rights, image::Process& into) {
  const pid_t pid = process.pid;
  recordIdentity(process, into);
  into.exitStatus = process.leaderStatus;
  auto recorder = TaskRecorder::look(process, into);
  if (!recorder) return recorder.error();
  BLCR_TRY(recorder->upTo(1));
  auto pending = peekSignals(process.speaker(), true);
  if (!pending) return pending.error();
  into.pending = *std::move(pending);

  BLCR_TRY(rights.of(pid, 1));
  auto foothold = Foothold::take(process.tasks.front().tracee, process.syscallInstruction, process.speaker());
  if (!foothold) return isLockedOut(foothold.error()) ? noRoomToLock(pid) : foothold.error();
  process.foothold = *std::move(foothold);
  Suspicions suspicions(process.tasks.size());
  const auto meanwhile = [&]() -> Status {
    BLCR_TRY(recorder->upTo(1 + kThreadsTogether));
    return recordFromFiles(process, process.foothold->scratch(), into);
  };
  BLCR_TRY(recordProcessState(*process.foothold, keeper, into, suspicions, meanwhile));
  BLCR_TRY(recordThreadStates(process, rights, *recorder, into, suspicions));
  BLCR_TRY(recordPosixTimers(process, into.posixTimers));
  BLCR_TRY(takeLateSignals(process, into));
  BLCR_TRY(confirmRseq(process, into));
  BLCR_TRY(suspicions.rings.check(process));
  BLCR_TRY(rights.restrictions().check(process, into, suspicions.barred));
  // A parent-death signal of the root was set by its launcher, not by the program.
  if (process.speaker() == keeper.jobRoot) into.tasks.front().pdeathsig = 0;
  return {};
}

}  // namespace blcr
