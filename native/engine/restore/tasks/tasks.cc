#include "restore/tasks/tasks.h"

#include <sched.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>

#include "arch/x86_64/xstate.h"
#include "base/scheduling.h"
#include "image/ended_task.h"
#include "restore/tasks/spawn.h"

namespace blcr {
namespace {

using image::Task;

constexpr uint64_t kThreadFlags = CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SIGHAND | CLONE_THREAD | CLONE_SYSVSEM;

Status dressMemory(Stub& stub, const Task& task) {
  BLCR_TRY(done(stub.call("set_tid_address", SYS_set_tid_address, {task.clearChildTid})));
  if (task.robustList != 0) BLCR_TRY(done(stub.call("robust list", SYS_set_robust_list, {task.robustList, task.robustLength})));
  if (task.rseqAddress != 0) BLCR_TRY(done(stub.call("rseq", SYS_rseq, {task.rseqAddress, task.rseqSize, 0, task.rseqSignature})));
  stack_t stack{};
  stack.ss_sp = reinterpret_cast<void*>(task.altstackSp);
  stack.ss_size = task.altstackSize;
  stack.ss_flags = int(task.altstackFlags) & ~SS_ONSTACK;  // told by the stack pointer, not by a flag
  if (task.altstackSize == 0) return {};
  const auto at = stub.putObject(stack);
  if (!at.ok()) return at.error();
  return done(stub.call("alternate stack", SYS_sigaltstack, {at.value(), 0}));
}

/** What another node may not have: the wish is logged when it cannot be fulfilled. */
void schedule(Job& job, pid_t tid, const Task& task) {
  const std::string who = "thread " + std::to_string(task.tid) + ": ";
  if (task.policy != SCHED_OTHER) {
    sched_param parameter{};
    parameter.sched_priority = task.priority;
    if (::sched_setscheduler(tid, task.policy, &parameter) != 0) job.log.line(systemError(who + "scheduling policy").detail);
  }
  if (task.sliceNs != 0 && !setSlice(tid, task.sliceNs)) job.log.line(systemError(who + "time slice").detail);
  errno = 0;
  if (task.nice != ::getpriority(PRIO_PROCESS, id_t(tid)) && ::setpriority(PRIO_PROCESS, id_t(tid), task.nice) != 0)
    job.log.line(systemError(who + "nice value").detail);
  constexpr int kThread = 1;  // IOPRIO_WHO_PROCESS, linux/ioprio.h
  if (task.ioPriority != std::max(0l, ::syscall(SYS_ioprio_get, kThread, tid)) &&
      ::syscall(SYS_ioprio_set, kThread, tid, task.ioPriority) != 0)
    job.log.line(systemError(who + "I/O priority").detail);
  if (task.affinity.empty()) return;
  if (::syscall(SYS_sched_setaffinity, tid, task.affinity.size(), task.affinity.data()) != 0)
    job.log.line(systemError(who + "affinity").detail);
}

/** Settings of the processor for one task. */
Status dressProcessor(Stub& stub, const Task& task) {
  if (task.tsc == PR_TSC_SIGSEGV) BLCR_TRY(done(stub.call("time stamp counter", SYS_prctl, {PR_SET_TSC, PR_TSC_SIGSEGV})));
  for (uint64_t kind = 0; kind < 3; ++kind) {
    const int32_t wanted = task.speculation[kind];
    if (wanted < 0 || (wanted & PR_SPEC_PRCTL) == 0 || (wanted & PR_SPEC_ENABLE) != 0) continue;
    const uint64_t how = (wanted & PR_SPEC_FORCE_DISABLE) != 0 ? PR_SPEC_FORCE_DISABLE : uint64_t(wanted & ~PR_SPEC_PRCTL);
    const auto set = stub.attempt(SYS_prctl, {PR_SET_SPECULATION_CTRL, kind, how, 0, 0});
    if (!set.ok()) return set.error();
    // ENXIO: this processor has no such setting; a program that asked to be protected must not run without.
    if (set.value() < 0 && set.value() != -ENXIO) return Error{int(-set.value()), "speculation control"};
  }
  return {};
}

/** Where new memory comes from; a node that this machine lacks costs speed only. */
Status chooseNodes(Job& job, Stub& stub, const Task& task) {
  if (task.memoryPolicy == 0) return {};
  const auto mask = stub.put(std::as_bytes(std::span(task.memoryNodes.data(), task.memoryNodes.size())));
  if (!mask.ok()) return mask.error();
  const auto set =
      stub.attempt(SYS_set_mempolicy, {uint64_t(unsigned(task.memoryPolicy)), mask.value(), 8 * uint64_t(task.memoryNodes.size())});
  if (!set.ok()) return set.error();
  if (set.value() < 0)
    job.log.line("thread " + std::to_string(task.tid) + ": its memory policy cannot be set here: " + std::strerror(int(-set.value())));
  return {};
}

Status dressTask(Job& job, Stub& stub, const Task& task) {
  BLCR_TRY(dressMemory(stub, task));
  const auto name = stub.put(task.comm);
  if (!name.ok()) return name.error();
  BLCR_TRY(done(stub.call("name", SYS_prctl, {PR_SET_NAME, name.value()})));
  if (image::hasEnded(task)) return {};
  if (task.pdeathsig != 0) BLCR_TRY(done(stub.call("death signal", SYS_prctl, {PR_SET_PDEATHSIG, uint64_t(task.pdeathsig)})));
  if (task.timerSlackNs != 0) BLCR_TRY(done(stub.call("timer slack", SYS_prctl, {PR_SET_TIMERSLACK, task.timerSlackNs})));
  if (task.personality != 0) BLCR_TRY(done(stub.call("personality", SYS_personality, {task.personality})));
  BLCR_TRY(dressProcessor(stub, task));
  if (task.machineCheck != PR_MCE_KILL_DEFAULT)
    BLCR_TRY(done(stub.call("machine check policy", SYS_prctl, {PR_MCE_KILL, PR_MCE_KILL_SET, uint64_t(task.machineCheck), 0, 0})));
  BLCR_TRY(chooseNodes(job, stub, task));
  schedule(job, stub.tid(), task);
  return {};
}

Status loadXstate(Tracee& tracee, const Task& task, const image::Host& host) {
  if (task.xstate.empty()) return {};
  const auto here = tracee.xstate();
  if (!here.ok()) return here.error();
  const std::vector<uint32_t> layout = xstateLayout();
  const auto state = convertXstate({task.xstate, host.xstateLayout}, {here.value(), layout});
  if (!state.ok()) return state.error();
  return tracee.setXstate(state.value());
}

Status loadTask(Stub& stub, const Task& task, const image::Host& host) {
  Tracee& tracee = stub.tracee();
  BLCR_TRY(tracee.settle());
  BLCR_TRY(loadXstate(tracee, task, host));
  user_regs_struct regs{};
  std::memcpy(&regs, task.regs.data(), sizeof regs);
  BLCR_TRY(tracee.setRegisters(regs));
  return tracee.setSignalMask(task.sigmask);
}

/** A working directory and umask that are not those of the process. */
Status goOwnWay(Stub& stub, const Task& task, const Sources& sources) {
  const auto directory = sources.ownDirectories.find(task.tid);
  if (directory == sources.ownDirectories.end()) return {};
  BLCR_TRY(done(stub.call("unshare", SYS_unshare, {CLONE_FS})));
  BLCR_TRY(done(stub.call("working directory " + task.ownDirectory, SYS_fchdir, {uint64_t(directory->second)})));
  return done(stub.call("umask", SYS_umask, {task.ownUmask}));
}

}  // namespace

Status growThreads(Job& job, Building& building, const Sources& sources) {
  const auto& tasks = building.process->tasks;
  building.tasks.reserve(tasks.size());
  for (size_t index = 1; index < tasks.size(); ++index) {
    auto stub = spawnFrom(job, building.leader(), {tasks[index].tid, 0, kThreadFlags});
    if (!stub) return inProcess(*building.process, stub.error());
    building.tasks.push_back(*std::move(stub));
    const Status gone = goOwnWay(building.tasks.back(), tasks[index], sources);
    if (!gone.ok()) return inProcess(*building.process, gone.error());
  }
  return {};
}

Status dressTasks(Job& job, Building& building) {
  for (size_t index = 0; index < building.tasks.size(); ++index) {
    const Status dressed = dressTask(job, building.tasks[index], building.process->tasks[index]);
    if (!dressed.ok()) return inProcess(*building.process, dressed.error());
  }
  return {};
}

Status loadRegisters(const Job& job, Building& building) {
  for (size_t index = 0; index < building.tasks.size(); ++index) {
    if (image::hasEnded(building.process->tasks[index])) continue;
    const Status loaded = loadTask(building.tasks[index], building.process->tasks[index], job.image.host);
    if (!loaded.ok()) return inProcess(*building.process, loaded.error());
  }
  return {};
}

}  // namespace blcr
