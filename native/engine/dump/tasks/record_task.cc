#include <sched.h>
#include <signal.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstring>

#include "base/codes.h"
#include "base/scheduling.h"
#include "dump/tasks/record_process.h"
#include "dump/tasks/registers.h"
#include "dump/tasks/rseq_offset.h"

namespace blcr {
namespace {

Status recordScheduling(pid_t tid, image::Task& into) {
  const Scheduling scheduling = schedulingOf(tid);
  constexpr int kDeadline = 6;  // SCHED_DEADLINE, linux/sched.h
  if ((scheduling.policy & ~SCHED_RESET_ON_FORK) == kDeadline)
    return Error{kErrorNoSupport,
                 "thread " + std::to_string(tid) + ": it is scheduled by deadlines (SCHED_DEADLINE), which is not supported"};
  into.policy = scheduling.policy;
  into.priority = scheduling.priority;
  into.sliceNs = scheduling.sliceNs;
  into.nice = scheduling.nice;
  constexpr int kThread = 1;  // IOPRIO_WHO_PROCESS, linux/ioprio.h
  into.ioPriority = int32_t(std::max(0l, ::syscall(SYS_ioprio_get, kThread, tid)));
  std::array<char, 1024> mask{};  // 8192 processors, the kernel's largest build
  const long length = ::syscall(SYS_sched_getaffinity, tid, mask.size(), mask.data());
  if (length > 0) into.affinity.assign(mask.data(), size_t(length));
  return {};
}

/** A program that catches its own system calls would catch those made in its name, too. */
Status refuseDispatch(pid_t pid, pid_t tid) {
  constexpr auto kGetConfiguration = static_cast<__ptrace_request>(0x4211);  // PTRACE_GET_SYSCALL_USER_DISPATCH_CONFIG, Linux 6.4
  struct {
    uint64_t mode, selector, offset, length;
  } dispatch{};
  if (::ptrace(kGetConfiguration, tid, sizeof dispatch, &dispatch) != 0 || dispatch.mode == 0) return {};
  return Error{kErrorNoSupport, "process " + std::to_string(pid) + " thread " + std::to_string(tid) +
                                    " has its system calls dispatched to itself (PR_SET_SYSCALL_USER_DISPATCH), which is not supported"};
}

/** Where each task is in a restartable sequence: addresses of the critical sections' descriptions, 0 = in none. */
Result<std::vector<uint64_t>> criticalSections(const RemoteMemory& memory, const std::vector<image::Task>& tasks) {
  std::vector<uint64_t> addresses;
  for (const image::Task& task : tasks)
    if (task.rseqAddress != 0) addresses.push_back(task.rseqAddress + kCriticalSectionInArea);
  const auto found = memory.getEach<uint64_t>(addresses);
  if (!found.ok()) return found.error();
  std::vector<uint64_t> sections;
  auto next = found.value().begin();
  for (const image::Task& task : tasks) sections.push_back(task.rseqAddress == 0 ? 0 : *next++);
  return sections;
}

Status recordRegisters(FrozenTask& task, const RemoteMemory& memory, uint64_t section, image::Task& into) {
  const bool moved = moveToAbort(memory, section, task.regs);
  if (undoSpuriousInterrupt(task.regs) || moved) BLCR_TRY(task.tracee.setRegisters(task.regs));
  task.isRecorded = true;
  user_regs_struct regs = task.regs;
  if (long(regs.rax) == -516) replaceRestartBlock(regs, interruptedCall(regs, memory));
  into.regs.assign(reinterpret_cast<const char*>(&regs), sizeof regs);
  auto xstate = task.tracee.xstate();
  if (!xstate) return xstate.error();
  into.xstate = *std::move(xstate);
  return {};
}

Status recordTask(FrozenTask& task, image::Task& into) {
  const pid_t tid = into.tid;
  auto mask = task.tracee.signalMask();
  if (!mask) return mask.error();
  into.sigmask = *mask;
  into.stopSignal = task.tracee.groupStopSignal();
  auto pending = peekSignals(tid, false);
  if (!pending) return pending.error();
  into.pending = *std::move(pending);
  uint64_t head = 0, length = 0;
  if (::syscall(SYS_get_robust_list, tid, &head, &length) != 0)
    return Error{kErrorNoSupport, "thread " + std::to_string(tid) +
                                      ": which locks it holds cannot be known (get_robust_list: " + std::strerror(errno) + ")"};
  into.robustList = head;
  into.robustLength = length;
  return recordScheduling(tid, into);
}

}  // namespace

Result<std::vector<image::PendingSignal>> peekSignals(pid_t tid, bool shared) {
  std::vector<image::PendingSignal> found;
  std::array<siginfo_t, 16> buffer;
  while (true) {
    __ptrace_peeksiginfo_args arguments{found.size(), shared ? unsigned(PTRACE_PEEKSIGINFO_SHARED) : 0u, int(buffer.size())};
    const long count = ::ptrace(PTRACE_PEEKSIGINFO, tid, &arguments, buffer.data());
    if (count < 0) return systemError("task " + std::to_string(tid) + ": pending signals");
    for (long i = 0; i < count; ++i) {
      found.push_back({std::string(reinterpret_cast<const char*>(&buffer[size_t(i)]), sizeof(siginfo_t))});
    }
    if (size_t(count) < buffer.size()) return found;
  }
}

Result<TaskRecorder> TaskRecorder::look(FrozenProcess& process, image::Process& into) {
  const pid_t pid = process.pid;
  TaskRecorder recorder(process, into);
  const pid_t speaker = process.speaker();
  const int64_t rseqOffset = kernelTellsRseq(speaker) ? 0 : glibcRseqOffset(speaker, process.maps);
  into.tasks.resize(process.tasks.size());
  for (size_t index = 0; index < into.tasks.size(); ++index) {
    const FrozenTask& task = process.tasks[index];
    into.tasks[index].tid = task.tracee.tid();
    BLCR_TRY(refuseDispatch(pid, task.tracee.tid()));
    recordRseq(task.tracee.tid(), rseqOffset, task.regs, into.tasks[index]);
  }
  auto sections = criticalSections(recorder.memory_, into.tasks);
  if (!sections.ok()) return sections.error();
  recorder.sections_ = *std::move(sections);
  return recorder;
}

Status TaskRecorder::upTo(size_t end) {
  for (const size_t last = std::min(end, sections_.size()); done_ < last; ++done_) {
    BLCR_TRY(recordRegisters(process_->tasks[done_], memory_, sections_[done_], into_->tasks[done_]));
    BLCR_TRY(recordTask(process_->tasks[done_], into_->tasks[done_]));
  }
  return {};
}

}  // namespace blcr
