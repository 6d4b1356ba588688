#include "dump/tasks/task_state.h"

#include <linux/keyctl.h>
#include <sys/prctl.h>
#include <sys/syscall.h>

#include <algorithm>
#include <string>

#include "base/codes.h"
#include "base/features.h"
#include "dump/tasks/restrictions.h"
#include "dump/tasks/rights.h"

namespace blcr {

static uint64_t prctlOption(int option) { return uint64_t(unsigned(option)); }

TaskCalls taskCalls(uint64_t at) {
  return {{
      {SYS_sigaltstack, {0, at + offsetof(TaskAnswers, altstack)}},
      {SYS_prctl, {prctlOption(PR_GET_TID_ADDRESS), at + offsetof(TaskAnswers, clearChildTid)}},
      {SYS_prctl, {prctlOption(PR_GET_PDEATHSIG), at + offsetof(TaskAnswers, pdeathsig)}},
      {SYS_prctl, {prctlOption(PR_GET_TIMERSLACK)}},
      {SYS_prctl, {prctlOption(PR_GET_NAME), at + offsetof(TaskAnswers, name)}},
      {SYS_prctl, {prctlOption(PR_GET_TSC), at + offsetof(TaskAnswers, tsc)}},
      {SYS_prctl, {prctlOption(PR_GET_SPECULATION_CTRL), PR_SPEC_STORE_BYPASS, 0, 0, 0}},
      {SYS_prctl, {prctlOption(PR_GET_SPECULATION_CTRL), PR_SPEC_INDIRECT_BRANCH, 0, 0, 0}},
      {SYS_prctl, {prctlOption(PR_GET_SPECULATION_CTRL), 2 /* PR_SPEC_L1D_FLUSH */, 0, 0, 0}},
      {SYS_keyctl, {KEYCTL_GET_KEYRING_ID, uint64_t(KEY_SPEC_THREAD_KEYRING), 0}},
      {SYS_prctl, {prctlOption(PR_GET_NO_NEW_PRIVS), 0, 0, 0, 0}},
      {SYS_personality, {0xffffffff}},
      {SYS_get_mempolicy, {at + offsetof(TaskAnswers, memoryPolicy), at + offsetof(TaskAnswers, memoryNodes), kMaxNodes, 0, 0}},
      {SYS_prctl, {prctlOption(PR_MCE_KILL_GET), 0, 0, 0, 0}},
      RegisteredRings::look(),
      Restrictions::look(),
  }};
}

void Suspicions::take(size_t task, std::span<const RemoteCall> calls) {
  rings.take(task, calls[calls.size() - 2]);
  barred[task] = Restrictions::isBarred(calls.back());
}

Status recordTaskState(std::span<const RemoteCall> calls, TaskAnswers& answers, image::Task& into) {
  if (calls[9].result > 0)
    return Error{kErrorNoSupport, "thread " + std::to_string(into.tid) + ": it has keys in a keyring of its own, which cannot be carried"};
  into.altstackSp = answers.altstack.sp;
  into.altstackSize = answers.altstack.size;
  into.altstackFlags = uint32_t(answers.altstack.flags);
  // Kernels without CONFIG_CHECKPOINT_RESTORE do not tell; the thread then never clears the word, which pthread_join would wait for.
  if (calls[1].result != 0 || !featureAllowed("tid_address")) {
    return Error{kErrorNoSupport, "thread " + std::to_string(into.tid) + ": this kernel does not tell its clear_child_tid address"};
  }
  into.clearChildTid = answers.clearChildTid;
  if (calls[2].result == 0) into.pdeathsig = answers.pdeathsig;
  if (calls[3].result > 0) into.timerSlackNs = uint64_t(calls[3].result);
  if (calls[5].result == 0) into.tsc = answers.tsc;
  for (size_t kind = 0; kind < 3; ++kind) into.speculation[kind] = int32_t(calls[6 + kind].result);
  answers.name[15] = 0;
  into.comm = answers.name;
  into.noNewPrivileges = calls[10].result == 1;
  if (calls[11].result < 0 && calls[11].result >= -4095)
    return Error{kErrorNoSupport, "thread " + std::to_string(into.tid) + ": personality is forbidden here, and so cannot be known"};
  into.personality = uint64_t(calls[11].result);
  if (calls[13].result >= 0) into.machineCheck = int32_t(calls[13].result);
  if (calls[12].result == 0 && answers.memoryPolicy != 0) {
    into.memoryPolicy = answers.memoryPolicy;
    into.memoryNodes.assign(answers.memoryNodes, sizeof answers.memoryNodes);
  }
  return {};
}

Status recordThreadStates(FrozenProcess& process, RightsCheck& rights, TaskRecorder& recorder, image::Process& into,
                          Suspicions& suspicions) {
  constexpr size_t kEach = std::tuple_size_v<TaskCalls>;
  Scratch& scratch = process.foothold->scratch();
  for (size_t first = 1; first < process.tasks.size(); first += kThreadsTogether) {
    const size_t count = std::min(kThreadsTogether, process.tasks.size() - first);
    BLCR_TRY(recorder.upTo(first + count));
    BLCR_TRY(rights.of(process.pid, first + count));
    std::vector<InjectionScope> scopes;
    std::vector<RemoteCall> calls;
    scopes.reserve(count);
    for (size_t i = 0; i < count; ++i) {
      FrozenTask& task = process.tasks[first + i];
      auto scope = InjectionScope::enterOnce(task.tracee, process.syscallInstruction, task.regs, into.tasks[first + i].sigmask);
      if (!scope) return scope.error();
      scopes.push_back(*std::move(scope));
      const TaskCalls own = taskCalls(scratch.data() + i * sizeof(TaskAnswers));
      calls.insert(calls.end(), own.begin(), own.end());
    }
    auto batch = scratch.start(scopes, calls);
    if (!batch) return batch.error();
    const Status recorded = recorder.upTo(first + 2 * count);
    BLCR_TRY(batch->await());
    BLCR_TRY(recorded);
    std::vector<TaskAnswers> answers(count);
    BLCR_TRY(scratch.memory().read(scratch.data(), std::as_writable_bytes(std::span(answers))));
    for (size_t i = 0; i < count; ++i) {
      const auto own = std::span(calls).subspan(i * kEach, kEach);
      suspicions.take(first + i, own);
      BLCR_TRY(recordTaskState(own, answers[i], into.tasks[first + i]));
      BLCR_TRY(scopes[i].restore());
    }
  }
  return {};
}

}  // namespace blcr
