#include "restore/tree.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <list>
#include <unordered_map>

#include "base/unique_fd.h"
#include "restore/spawn.h"
#include "restore/stopped.h"
#include "restore/terminals.h"

namespace blcr {
namespace {

using image::Process;

constexpr int32_t kOuterSession = -1;  // that of the coordinator: kept when the job had, and we have, a terminal

class Tree {
 public:
  Tree(Job& job, const Sources& sources) : job_(job), terminals_(sources.terminals) {
    for (size_t index = 0; index < job.image.processes.size(); ++index) {
      const Process& process = job.image.processes[index];
      byPid_[process.pid] = index;
      job_.processes.push_back({&process, {}});
      if (process.ppid != 0) kids_[process.ppid].push_back(index);
    }
    const UniqueFd terminal(job.image.foregroundGroup != 0 ? ::open("/dev/tty", O_RDWR | O_CLOEXEC) : -1);
    if (terminal) outer_ = process(byPid_.at(job.image.root)).sid;
  }

  Status grow() {
    for (size_t index = 0; index < job_.processes.size(); ++index)
      if (process(index).ppid == 0 && job_.processes[index].isAlive()) BLCR_TRY(growRoot(index));
    BLCR_TRY(placeStrays());
    for (const Building& building : job_.processes)
      if (building.tasks.empty() && needed(*building.process)) return unsupported(*building.process);
    BLCR_TRY(leadGroups());
    BLCR_TRY(joinGroups());
    BLCR_TRY(settleTerminals(job_, terminals_));
    return endHelpers();
  }

 private:
  /** A stand-in for a leader that is gone: it lends its number to a session or group and ends before the job goes on. */
  struct Helper {
    Stub stub;
    Stub* parent;  // nullptr: the coordinator
  };

  [[nodiscard]] const Process& process(size_t index) const { return job_.image.processes[index]; }

  /** Zombies that the keeper has yet to reap are not the job's business. */
  [[nodiscard]] static bool needed(const Process& process) { return process.state == image::ProcessState::kAlive || process.ppid != 0; }

  static Error unsupported(const Process& process) {
    return Error{ENOTSUP, "process " + std::to_string(process.pid) + ": its session " + std::to_string(process.sid) +
                              " is not that of its parent and its leader is no relative: this cannot be rebuilt"};
  }

  Status growRoot(size_t index) {
    const Process& self = process(index);
    const bool own = self.sid == self.pid;
    if (own || self.sid == outer_ || self.sid == 0) {
      auto stub = spawnFromCoordinator(job_, {self.pid, self.exitSignal, 0});
      if (!stub) return inProcess(self, stub.error());
      job_.processes[index].tasks.push_back(*std::move(stub));
      return growKids(index, own || self.sid == outer_ ? kOuterSession : self.sid);
    }
    if (byPid_.contains(self.sid)) return {};  // follows its leader: adopt()
    auto leader = standIn(self.sid);
    if (!leader.ok()) return inProcess(self, leader.error());
    return adopt(*leader.value(), index);
  }

  /** The stand-in for the leader of session `sid`, a child of `parent` or of the coordinator. */
  Result<Stub*> standIn(int32_t sid, Stub* parent = nullptr) {
    if (const auto found = leaders_.find(sid); found != leaders_.end()) return &found->second->stub;
    const SpawnRequest request{sid, SIGCHLD, 0};
    auto stub = parent != nullptr ? spawnFrom(job_, *parent, request) : spawnFromCoordinator(job_, request);
    if (!stub) return stub.error();
    if (auto done = stub->call("setsid", SYS_setsid); !done.ok()) return done.error();
    helpers_.push_back({*std::move(stub), parent});
    leaders_[sid] = &helpers_.back();
    return &helpers_.back().stub;
  }

  /** Processes whose parent is in another session: they were left to it, a subreaper, by the end of those between it and their leader. */
  Status placeStrays() {
    for (size_t next = 0; next < strays_.size(); ++next) {
      const size_t index = strays_[next];
      const Process& self = process(index);
      Stub& parent = job_.processes[byPid_.at(self.ppid)].leader();
      const auto known = byPid_.find(self.sid);
      if (known != byPid_.end() && job_.processes[known->second].tasks.empty()) return unsupported(self);
      // Under the deepest parent that any member of the session has: all the others are above it.
      auto leader = known != byPid_.end() ? Result<Stub*>(&job_.processes[known->second].leader())
                                          : standIn(self.sid, &job_.processes[byPid_.at(deepestParent(self.sid))].leader());
      if (!leader.ok()) return inProcess(self, leader.error());
      BLCR_TRY(beSubreaper(parent, true));
      BLCR_TRY(adopt(*leader.value(), index));
      BLCR_TRY(beSubreaper(parent, false));
      auto now = job_.processes[index].leader().call("getppid", SYS_getppid);
      if (!now.ok()) return now.error();
      if (pid_t(now.value()) != parent.tid()) return unsupported(self);
    }
    return {};
  }

  int32_t deepestParent(int32_t sid) const {
    int32_t deepest = 0;
    size_t most = 0;
    for (const size_t index : strays_) {
      size_t depth = 0;
      for (int32_t pid = process(index).ppid; pid != 0; pid = process(byPid_.at(pid)).ppid) ++depth;
      if (process(index).sid != sid || depth <= most) continue;
      most = depth;
      deepest = process(index).ppid;
    }
    return deepest;
  }

  static Status beSubreaper(Stub& stub, bool on) {
    auto done = stub.call("subreaper", SYS_prctl, {PR_SET_CHILD_SUBREAPER, on ? 1u : 0u});
    if (!done.ok()) return done.error();
    return {};
  }

  /** Makes a process inside the session of `leader`: its maker ends, so it is reparented to the next subreaper above, or the coordinator.
   */
  Status adopt(Stub& leader, size_t index) {
    const Process& self = process(index);
    auto maker = spawnFrom(job_, leader, {unusedNumber(), 0, 0});
    if (!maker) return inProcess(self, maker.error());
    auto stub = spawnFrom(job_, *maker, {self.pid, self.exitSignal, 0});
    if (!stub) return inProcess(self, stub.error());
    job_.processes[index].tasks.push_back(*std::move(stub));
    BLCR_TRY(endStub(*maker));
    BLCR_TRY(reapIn(leader, maker->tid()));
    return growKids(index, self.sid);
  }

  /** A number that no recorded task has. */
  int32_t unusedNumber() {
    if (taken_.empty()) {
      for (const Process& each : job_.image.processes) {
        for (const int32_t number : {each.pid, each.pgid, each.sid}) taken_[number] = true;
        for (const image::Task& task : each.tasks) taken_[task.tid] = true;
      }
    }
    while (taken_.contains(lastUnused_)) ++lastUnused_;
    return lastUnused_++;
  }

  /** Children of a process that is in session `session`, taking care of those born before it opened one of its own. */
  Status growKids(size_t index, int32_t session) {
    const Process& self = process(index);
    const bool leads = self.sid == self.pid;
    if (!leads && session != kOuterSession && session != self.sid) return unsupported(self);
    const std::vector<size_t>& kids = kids_[self.pid];
    if (leads) {
      for (const size_t kid : kids)
        if (process(kid).sid != self.pid && process(kid).sid != process(kid).pid) BLCR_TRY(growKid(index, kid, session));
      auto done = job_.processes[index].leader().call("setsid", SYS_setsid);
      if (!done.ok()) return done.error();
      session = self.sid;
      BLCR_TRY(takeTerminal(job_, job_.processes[index], terminals_));
    }
    for (const size_t kid : kids)
      if (job_.processes[kid].tasks.empty()) BLCR_TRY(growKid(index, kid, session));
    if (leads)
      for (size_t other = 0; other < job_.processes.size(); ++other)
        if (process(other).ppid == 0 && process(other).sid == self.pid && other != index && job_.processes[other].tasks.empty() &&
            job_.processes[other].isAlive())
          BLCR_TRY(adopt(job_.processes[index].leader(), other));
    return {};
  }

  Status growKid(size_t parent, size_t index, int32_t session) {
    const Process& self = process(index);
    const bool inherits = session == self.sid || (session == kOuterSession && self.sid == outer_);
    if (!inherits && self.sid != self.pid) {
      if (std::find(strays_.begin(), strays_.end(), index) == strays_.end()) strays_.push_back(index);
      return {};
    }
    auto stub = spawnFrom(job_, job_.processes[parent].leader(), {self.pid, self.exitSignal, 0});
    if (!stub) return inProcess(self, stub.error());
    job_.processes[index].tasks.push_back(*std::move(stub));
    return growKids(index, session);
  }

  Status leadGroups() {
    for (Building& building : job_.processes) {
      const Process& self = *building.process;
      if (building.tasks.empty() || self.pgid != self.pid || self.sid == self.pid) continue;
      auto done = building.leader().call("setpgid", SYS_setpgid, {0, 0});
      if (!done.ok()) return done.error();
    }
    return {};
  }

  Status joinGroups() {
    for (Building& building : job_.processes) {
      const Process& self = *building.process;
      if (building.tasks.empty() || self.pgid == self.pid || self.pgid == 0) continue;
      const bool exists = byPid_.contains(self.pgid) || leaders_.contains(self.pgid) || groups_.contains(self.pgid);
      if (!exists) BLCR_TRY(standInGroup(building.leader(), self.pgid));
      auto done = building.leader().call("setpgid", SYS_setpgid, {0, uint64_t(job_.numbers(self.pgid))});
      if (!done.ok()) return done.error();
    }
    return {};
  }

  /** A group whose leader is gone: a child of one member leads it for a moment. */
  Status standInGroup(Stub& member, int32_t pgid) {
    auto stub = spawnFrom(job_, member, {pgid, 0, 0});
    if (!stub) return stub.error();
    auto done = stub->call("setpgid", SYS_setpgid, {0, 0});
    if (!done.ok()) return done.error();
    groups_[pgid] = true;
    helpers_.push_back({*std::move(stub), &member});
    return {};
  }

  Status endHelpers() {
    for (Helper& helper : helpers_) {
      BLCR_TRY(endStub(helper.stub));
      if (helper.parent != nullptr) BLCR_TRY(reapIn(*helper.parent, helper.stub.tid()));
      std::erase(job_.spawned, helper.stub.tid());
    }
    return {};
  }

  Job& job_;
  const std::vector<int>& terminals_;
  std::unordered_map<int32_t, size_t> byPid_;
  std::unordered_map<int32_t, std::vector<size_t>> kids_;
  std::list<Helper> helpers_;
  std::vector<size_t> strays_;
  std::unordered_map<int32_t, Helper*> leaders_;
  std::unordered_map<int32_t, bool> groups_, taken_;
  int32_t lastUnused_ = 300;  // RESERVED_PIDS: what the kernel, too, starts from after a wrap
  int32_t outer_ = kOuterSession;
};

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

Status growTree(Job& job, const Sources& sources) { return Tree(job, sources).grow(); }

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
