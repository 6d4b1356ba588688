#include "restore/tasks/tree.h"

#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/unique_fd.h"
#include "image/tree_plan.h"
#include "restore/files/terminals.h"
#include "restore/tasks/groups.h"
#include "restore/tasks/spawn.h"
#include "restore/tasks/stand_ins.h"
#include "restore/tasks/stopped.h"

namespace blcr {
namespace {

using image::TreePlan;
using image::TreeStep;

/** Carries a plan out. */
class Tree {
 public:
  Tree(Job& job, const Sources& sources, const TreePlan& plan, const BeforeBirth& beforeBirth)
      : job_(job),
        terminals_(sources.terminals),
        plan_(plan),
        beforeBirth_(beforeBirth),
        standIns_(job),
        stubs_(plan.members.size()),
        between_(plan.members.size()),
        standInsBornIn_(plan.members.size()) {}

  Status grow() {
    for (const TreeStep& step : plan_.steps) {
      const Status done = take(step);
      if (!done.ok())
        return Error{done.error().code, "process " + std::to_string(plan_.members[step.member].pid) + ": " + done.error().detail};
    }
    BLCR_TRY(settleGroups(job_, standIns_));
    BLCR_TRY(settleTerminals(job_, terminals_));
    return standIns_.endAll();
  }

 private:
  Status take(const TreeStep& step) {
    if (step.kind == TreeStep::Kind::kFork) return fork(step);
    if (step.kind == TreeStep::Kind::kLead) return lead(step.member);
    return move(step);
  }

  /** nullptr: the coordinator. */
  Stub* stubOf(uint32_t member) { return member == image::kNone ? nullptr : stubs_[member]; }

  [[nodiscard]] Building* buildingOf(uint32_t member) {
    const uint32_t process = member == image::kNone ? image::kNone : plan_.members[member].process;
    return process == image::kNone ? nullptr : &job_.processes[process];
  }

  /** Whose memory the children of `member` are born in; none: the coordinator's. */
  [[nodiscard]] const Building* memoryOf(uint32_t member) {
    if (member == image::kNone) return nullptr;
    const Building* building = buildingOf(member);
    if (building == nullptr) return standInsBornIn_[member];
    return building->hasMemory ? building : building->bornIn;
  }

  Status fork(const TreeStep& step) {
    const TreePlan::Member& member = plan_.members[step.member];
    Building* child = buildingOf(step.member);
    Building* parent = buildingOf(step.other);
    if (parent != nullptr && child != nullptr) BLCR_TRY(beforeBirth_(*parent, *child));
    (child != nullptr ? child->bornIn : standInsBornIn_[step.member]) = memoryOf(step.other);
    Stub* forker = stubOf(step.other);
    if (step.moves) {
      const auto between = standIns_.make(forker, standIns_.unusedNumber());
      if (!between.ok()) return between.error();
      forker = between_[step.member] = between.value();
    }
    if (child == nullptr) {
      const auto standIn = standIns_.make(forker, member.pid);
      if (!standIn.ok()) return standIn.error();
      stubs_[step.member] = standIn.value();
      return {};
    }
    const uint64_t flags = child->process->sharesFilesWithParent ? CLONE_FILES : 0;
    const SpawnRequest request{member.pid, child->process->exitSignal, flags};
    auto stub = forker != nullptr ? spawnFrom(job_, *forker, request) : spawnFromCoordinator(job_, request);
    if (!stub) return stub.error();
    child->tasks.push_back(*std::move(stub));
    stubs_[step.member] = &child->leader();
    return {};
  }

  Status lead(uint32_t member) {
    if (auto done = stubs_[member]->call("setsid", SYS_setsid); !done.ok()) return done.error();
    const uint32_t process = plan_.members[member].process;
    return process == image::kNone ? Status() : takeTerminal(job_, job_.processes[process], terminals_);
  }

  Status move(const TreeStep& step) {
    Stub* parent = stubOf(step.other);
    if (parent != nullptr) BLCR_TRY(beSubreaper(*parent, true));
    BLCR_TRY(standIns_.end(between_[step.member]));
    if (parent != nullptr) BLCR_TRY(beSubreaper(*parent, false));
    auto now = stubs_[step.member]->call("getppid", SYS_getppid);
    if (!now.ok()) return now.error();
    if (parent != nullptr && pid_t(now.value()) != parent->tid())
      return Error{ENOTSUP, "was left to process " + std::to_string(now.value()) + " instead of its parent"};
    return {};
  }

  static Status beSubreaper(Stub& stub, bool on) { return done(stub.call("subreaper", SYS_prctl, {PR_SET_CHILD_SUBREAPER, on ? 1u : 0u})); }

  Job& job_;
  const std::vector<int>& terminals_;
  const TreePlan& plan_;
  const BeforeBirth& beforeBirth_;
  StandIns standIns_;
  std::vector<Stub*> stubs_, between_;           // by member
  std::vector<const Building*> standInsBornIn_;  // by member
};

/** The session that we are in when the job's terminal was its launcher's, and we have one: it stays in ours. */
int32_t outerSession(const image::Image& image) {
  const UniqueFd terminal(image.foregroundGroup != 0 ? ::open("/dev/tty", O_RDWR | O_CLOEXEC) : -1);
  if (!terminal) return 0;
  for (const image::Process& process : image.processes)
    if (process.pid == image.root) return process.sid;
  return 0;
}

/** Lets a stub die the recorded death; the tracer's own wait comes first, then it is a zombie for its parent. */
Status die(Stub& stub, int32_t status) {
  const rlimit none{0, 0};
  ::prlimit(stub.tid(), RLIMIT_CORE, &none, nullptr);
  Tracee& tracee = stub.tracee();
  BLCR_TRY(tracee.settle());
  if (WIFSIGNALED(status)) {
    if (WTERMSIG(status) != SIGKILL) BLCR_TRY(tracee.setSignalMask(0));
    ::kill(stub.tid(), WTERMSIG(status));
  } else {
    auto regs = tracee.registers();
    if (!regs) return regs.error();
    regs->rip = stub.instruction();
    regs->rax = SYS_exit_group;
    regs->orig_rax = ~0ull;
    regs->rdi = uint64_t(WEXITSTATUS(status));
    BLCR_TRY(tracee.setRegisters(*regs));
  }
  if (const Status resumed = tracee.resume(); !resumed.ok() && resumed.error().code != ESRCH) return resumed;  // SIGKILL does not wait
  int seen = 0;
  while (::waitpid(stub.tid(), &seen, __WALL) == stub.tid() && WIFSTOPPED(seen))
    BLCR_TRY(tracee.resume((seen >> 16) == 0 ? WSTOPSIG(seen) : 0));
  return {};
}

}  // namespace

Status growTree(Job& job, const Sources& sources, const BeforeBirth& beforeBirth) {
  const std::vector<image::Process>& processes = job.image.processes;
  const int32_t outer = outerSession(job.image);
  auto plan = image::planTree(processes, outer);
  if (!plan && outer != 0) plan = image::planTree(processes, 0);
  if (!plan) return plan.error();
  return Tree(job, sources, *plan, beforeBirth).grow();
}

Status buryZombies(Job& job) {
  for (Building& building : job.processes) {
    if (building.isAlive() || building.tasks.empty()) continue;
    BLCR_TRY(die(building.leader(), building.process->exitStatus));
    // The death signal has reached the parent just now, but the job knows of it already (or has it among its recorded pending signals).
    BLCR_TRY(dropSignalOfParent(job, *building.process, building.process->exitSignal));
  }
  return {};
}

}  // namespace blcr
