#include "restore/tasks/spawn.h"

#include <linux/sched.h>
#include <signal.h>
#include <sys/ptrace.h>
#include <sys/rseq.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/features.h"
#include "restore/tasks/fork_as.h"

namespace blcr {
namespace {

/** Signal actions that the coordinator does not have at default and that its children therefore inherit. */
std::vector<int> changedActions() {
  std::vector<int> changed;
  for (int signal = 1; signal <= 64; ++signal) {
    struct {
      uint64_t handler, flags, restorer, mask;
    } action{};
    if (::syscall(SYS_rt_sigaction, signal, nullptr, &action, 8) == 0 && action.handler != 0) changed.push_back(signal);
  }
  return changed;
}

/** The C library of the coordinator registered its restartable sequences; the kernel would write there once that memory is gone. */
Status forgetRseq(Stub& stub) {
  __ptrace_rseq_configuration area{};
  if (::ptrace(PTRACE_GET_RSEQ_CONFIGURATION, stub.tid(), sizeof area, &area) < 0) {
    area.rseq_abi_pointer = reinterpret_cast<uint64_t>(__builtin_thread_pointer()) + uint64_t(__rseq_offset);
    area.rseq_abi_size = __rseq_size == 0 ? 0 : 32;  // the C library tells how much is in use, the kernel was told the whole
    area.signature = RSEQ_SIG;
  }
  if (area.rseq_abi_pointer == 0 || area.rseq_abi_size == 0) return {};
  constexpr uint64_t kUnregister = 1;
  return done(stub.call("rseq", SYS_rseq, {area.rseq_abi_pointer, area.rseq_abi_size, kUnregister, area.signature}));
}

/** Runs in the new process, which shares nothing with the coordinator but inherited its locks: system calls only. */
[[noreturn]] void beStub() {
  while (true) ::syscall(SYS_pause);
}

Result<long> cloneIn(Job& job, Stub& parent, const SpawnRequest& request) {
  if (featureAllowed("clone3")) {
    clone_args args{};
    args.flags = request.flags;
    args.exit_signal = uint64_t(request.exitSignal);
    if (job.request.restorePid) {
      const auto number = parent.putObject(pid_t(request.number));
      if (!number.ok()) return number.error();
      args.set_tid = number.value();
      args.set_tid_size = 1;
    }
    const auto at = parent.putObject(args);
    if (!at.ok()) return at.error();
    const auto made = parent.attempt(SYS_clone3, {at.value(), sizeof args});
    if (!made.ok() || made.value() != -ENOSYS) return made;
  }
  if (job.request.restorePid) BLCR_TRY(prepareNumber(request.number));
  return parent.attempt(SYS_clone, {request.flags | uint64_t(request.exitSignal)});
}

}  // namespace

Result<Stub> spawnFromCoordinator(Job& job, const SpawnRequest& request) {
  sigset_t all, before;
  sigfillset(&all);
  ::sigprocmask(SIG_SETMASK, &all, &before);  // the child must not run a handler of the coordinator's
  const auto pid = forkAs(job.request.restorePid ? request.number : 0, request.exitSignal);
  if (pid.ok() && pid.value() == 0) beStub();
  ::sigprocmask(SIG_SETMASK, &before, nullptr);
  if (!pid.ok()) return pid.error();
  job.spawned.push_back(pid.value());
  auto tracee = Tracee::seize(pid.value(), Stub::options());
  if (!tracee) return tracee.error();
  auto stub = Stub::take(*std::move(tracee), job.instruction, job.scratch);
  if (!stub) return stub;
  BLCR_TRY(forgetRseq(*stub));
  for (const int signal : changedActions()) {
    const auto byDefault = stub->putObject(std::array<uint64_t, 4>{});
    if (!byDefault.ok()) return byDefault.error();
    BLCR_TRY(stub->call("rt_sigaction", SYS_rt_sigaction, {uint64_t(signal), byDefault.value(), 0, 8}));
  }
  if (job.request.restorePid && stub->tid() != request.number) return numberError(EEXIST, request.number);
  job.numbers.set(request.number, stub->tid());
  return stub;
}

Result<Stub> spawnFrom(Job& job, Stub& parent, const SpawnRequest& request) {
  const auto made = cloneIn(job, parent, request);
  if (!made.ok()) return made.error();
  if (made.value() < 0) return numberError(int(-made.value()), request.number);
  const auto children = parent.tracee().takeChildren();
  if (children.size() != 1) return Error{ESRCH, "task " + std::to_string(request.number) + " was not seen to begin"};
  if ((request.flags & CLONE_THREAD) == 0) job.spawned.push_back(children[0]);
  auto stub = Stub::take(Tracee::adopt(children[0], Stub::options()), parent.instruction(), parent.scratch());
  if (!stub) return stub;
  if (job.request.restorePid && stub->tid() != request.number) return numberError(EEXIST, request.number);
  job.numbers.set(request.number, stub->tid());
  return stub;
}

Status endStub(Stub& stub) {
  if (::kill(stub.tid(), SIGKILL) != 0) return systemError("ending a stub");
  int status = 0;
  while (::waitpid(stub.tid(), &status, __WALL) >= 0 && !WIFEXITED(status) && !WIFSIGNALED(status)) {
  }
  return {};
}

Status reapIn(Stub& parent, pid_t child) {
  BLCR_TRY(parent.call("wait4", SYS_wait4, {uint64_t(child), 0, __WALL}));
  return {};
}

}  // namespace blcr
