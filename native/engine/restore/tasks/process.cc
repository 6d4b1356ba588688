#include "restore/tasks/process.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cstring>

#include "base/io.h"

namespace blcr {
namespace {

Status setActions(Stub& stub, const image::Process& process) {
  for (size_t index = 0; index < process.actions.size(); ++index) {
    const image::SignalAction& action = process.actions[index];
    const uint64_t signal = index + 1;
    if (signal == SIGKILL || signal == SIGSTOP || (action.handler == 0 && action.flags == 0 && action.mask == 0)) continue;
    const auto at = stub.putObject(std::array<uint64_t, 4>{action.handler, action.flags, action.restorer, action.mask});
    if (!at.ok()) return at.error();
    BLCR_TRY(done(stub.call("action of signal " + std::to_string(signal), SYS_rt_sigaction, {signal, at.value(), 0, 8})));
  }
  return {};
}

/** Written by the process itself: /proc may belong to another pid namespace, where its number is somebody else's. False when refused. */
Result<bool> writeOwn(Stub& stub, const std::string& name, const std::string& text) {
  const auto path = stub.put("/proc/self/" + name);
  if (!path.ok()) return path.error();
  const auto fd = stub.attempt(SYS_openat, {uint64_t(int64_t(AT_FDCWD)), path.value(), O_WRONLY});
  if (!fd.ok()) return fd.error();
  if (fd.value() < 0) return false;
  const auto content = stub.put(text);
  if (!content.ok()) return content.error();
  const auto written = stub.attempt(SYS_write, {uint64_t(fd.value()), content.value(), text.size()});
  if (!written.ok()) return written.error();
  BLCR_TRY(done(stub.call("close", SYS_close, {uint64_t(fd.value())})));
  return written.value() >= 0;
}

/** What differs from the coordinator's, which a new process has inherited. `base`: of the numbers that /proc shows. */
Status setNumber(Job& job, Stub& stub, const image::Process& process, const std::string& name, int64_t wanted, int base) {
  const auto own = readFile("/proc/self/" + name);
  if (!own.ok() || std::strtol(own.value().c_str(), nullptr, base) == wanted) return {};
  const auto written = writeOwn(stub, name, std::to_string(wanted));
  if (!written.ok()) return written.error();
  if (!written.value()) job.log.line("process " + std::to_string(process.pid) + ": " + name + " cannot be set here");
  return {};
}

/** The answer's second bit, of Linux 6.18: but for areas with MADV_HUGEPAGE. Before, they are off there, too. */
Status disableHugePages(Job& job, Stub& stub, const image::Process& process) {
  if (process.thpDisabled == 0) return {};
  constexpr uint64_t kExceptions = ~1ull;
  const auto set = stub.attempt(SYS_prctl, {PR_SET_THP_DISABLE, 1, uint64_t(process.thpDisabled) & kExceptions, 0, 0});
  if (!set.ok()) return set.error();
  if (set.value() >= 0) return {};
  job.log.line("process " + std::to_string(process.pid) + ": huge pages are off for areas that ask for them, too");
  return done(stub.call("huge pages off", SYS_prctl, {PR_SET_THP_DISABLE, 1, 0, 0, 0}));
}

Status setAttributes(Job& job, Stub& stub, const image::Process& process) {
  BLCR_TRY(done(stub.call("umask", SYS_umask, {process.umask})));
  if (process.subreaper) BLCR_TRY(done(stub.call("subreaper", SYS_prctl, {PR_SET_CHILD_SUBREAPER, 1})));
  BLCR_TRY(disableHugePages(job, stub, process));
  BLCR_TRY(setNumber(job, stub, process, "coredump_filter", process.coreFilter, 16));
  return setNumber(job, stub, process, "oom_score_adj", process.oomScoreAdjust, 10);
}

Status queueOne(Stub& stub, const image::PendingSignal& signal, pid_t process, bool toThread) {
  const auto at = stub.put(std::as_bytes(std::span(signal.siginfo.data(), signal.siginfo.size())));
  if (!at.ok()) return at.error();
  int32_t number = 0;
  std::memcpy(&number, signal.siginfo.data(), sizeof number);
  const std::string what = "queueing signal " + std::to_string(number);
  if (toThread)
    return done(stub.call(what, SYS_rt_tgsigqueueinfo, {uint64_t(process), uint64_t(stub.tid()), uint64_t(number), at.value()}));
  return done(stub.call(what, SYS_rt_sigqueueinfo, {uint64_t(process), uint64_t(number), at.value()}));
}

}  // namespace

Status dressProcess(Job& job, Building& building, const Sources& sources) {
  Stub& stub = building.leader();
  const image::Process& process = *building.process;
  const int directory = sources.directories[size_t(&building - job.processes.data())];
  Status status = done(stub.call("working directory " + process.cwd, SYS_fchdir, {uint64_t(directory)}));
  if (status.ok()) status = setActions(stub, process);
  if (status.ok()) status = setAttributes(job, stub, process);
  if (!status.ok()) return inProcess(process, status.error());
  return {};
}

Status queueSignals(Job&, Building& building) {
  const image::Process& process = *building.process;
  const pid_t pid = building.leader().tid();
  for (const image::PendingSignal& signal : process.pending) BLCR_TRY(queueOne(building.leader(), signal, pid, false));
  for (size_t index = 0; index < building.tasks.size(); ++index)
    for (const image::PendingSignal& signal : process.tasks[index].pending) BLCR_TRY(queueOne(building.tasks[index], signal, pid, true));
  return {};
}

void applyLimits(Job& job, Building& building, LimitsOf what) {
  const auto& limits = building.process->limits;
  for (size_t index = 0; index < limits.size(); ++index) {
    const bool ofContent = index == RLIMIT_SIGPENDING || index == RLIMIT_MEMLOCK;
    if (ofContent != (what == LimitsOf::kContent)) continue;
    rlimit64 wanted{limits[index].soft, limits[index].hard}, current{};
    const auto resource = static_cast<__rlimit_resource>(index);
    const pid_t pid = building.leader().tid();
    if (::prlimit64(pid, resource, &wanted, &current) == 0) continue;
    if (::prlimit64(pid, resource, nullptr, &current) == 0) wanted.rlim_max = std::min<rlim64_t>(limits[index].hard, current.rlim_max);
    wanted.rlim_cur = std::min(wanted.rlim_cur, wanted.rlim_max);
    const bool set = ::prlimit64(pid, resource, &wanted, nullptr) == 0;
    if (!set || wanted.rlim_cur != limits[index].soft)
      job.log.line("process " + std::to_string(building.process->pid) + ": limit " + std::to_string(index) + " is lower on this node");
  }
}

}  // namespace blcr
