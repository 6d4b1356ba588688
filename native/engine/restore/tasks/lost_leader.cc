#include "restore/tasks/lost_leader.h"

#include <sys/syscall.h>
#include <sys/wait.h>

#include "base/clock.h"
#include "image/ended_task.h"
#include "proc/status.h"
#include "restore/tasks/stopped.h"

namespace blcr {
namespace {

/** Its last steps are the kernel's own. Should they take very long, the job need not wait for them. */
void awaitEnd(pid_t pid) {
  constexpr int kRounds = 2000;
  for (int round = 0; round < kRounds; ++round) {
    const auto stat = readTaskStat(pid, pid);
    if (!stat || stat.value().state == 'Z' || stat.value().state == 'X') return;
    sleepUs(100);
  }
}

}  // namespace

bool hasLostLeader(const Building& building) { return building.isAlive() && image::hasEnded(building.process->tasks.front()); }

// Let go first: one that ended as a tracee would stay ours until its last thread has ended, and its parent would wait that long for us.
Status loseLeader(Building& building) {
  Stub& stub = building.leader();
  Tracee& tracee = stub.tracee();
  BLCR_TRY(tracee.settle());
  auto regs = tracee.registers();
  if (!regs) return regs.error();
  regs->rip = stub.instruction();
  regs->rax = SYS_exit;
  regs->orig_rax = ~0ull;
  regs->rdi = uint64_t(WEXITSTATUS(building.process->exitStatus));
  BLCR_TRY(tracee.setRegisters(*regs));
  BLCR_TRY(tracee.detach());
  awaitEnd(stub.tid());
  return {};
}

Status loseLeaders(Job& job) {
  for (Building& building : job.processes) {
    if (!hasLostLeader(building) || isStopped(building)) continue;
    const Status lost = loseLeader(building);
    if (!lost.ok()) return inProcess(*building.process, lost.error());
  }
  return {};
}

}  // namespace blcr
