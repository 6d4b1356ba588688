#include "restore/restore.h"

#include <signal.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>

#include "base/clock.h"
#include "restore/commit.h"
#include "restore/files/descriptors.h"
#include "restore/files/locks.h"
#include "restore/files/system_v.h"
#include "restore/loader.h"
#include "restore/memory/memory.h"
#include "restore/sockets/socket_doors.h"
#include "restore/sockets/socket_states.h"
#include "restore/tasks/credentials.h"
#include "restore/tasks/lost_leader.h"
#include "restore/tasks/process.h"
#include "restore/tasks/stopped.h"
#include "restore/tasks/tasks.h"
#include "restore/tasks/timers.h"
#include "restore/tasks/tree.h"

namespace blcr {
namespace {

/** The scratch page is mapped here first, so that every stub is born with it. */
class ScratchMapping {
 public:
  explicit ScratchMapping(ScratchPage scratch) : scratch_(scratch) {}
  [[nodiscard]] Status map() const {
    constexpr int kFlags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE;
    void* at = ::mmap(reinterpret_cast<void*>(scratch_.address), ScratchPage::kDataSize, PROT_READ | PROT_WRITE, kFlags, -1, 0);
    if (at == reinterpret_cast<void*>(scratch_.address)) return {};
    if (at != MAP_FAILED) errno = EEXIST;
    return systemError("the scratch page");
  }
  ~ScratchMapping() { ::munmap(reinterpret_cast<void*>(scratch_.address), ScratchPage::kDataSize); }
  ScratchMapping(const ScratchMapping&) = delete;
  ScratchMapping& operator=(const ScratchMapping&) = delete;

 private:
  ScratchPage scratch_;
};

/** Everything that was built dies: nothing of it ever ran. */
void killAll(const Job& job) {
  for (const pid_t pid : job.spawned) ::kill(pid, SIGKILL);
  for (const Building& building : job.processes)
    for (size_t index = building.tasks.size(); index-- > 0;) {
      int status = 0;
      const pid_t tid = building.tasks[index].tid();
      while (::waitpid(tid, &status, __WALL) == tid && WIFSTOPPED(status)) {
      }
    }
  for (const pid_t pid : job.spawned) ::waitpid(pid, nullptr, __WALL);
}

Status build(Job& job, const KernelAreas& areas, const Sources& sources, Loader& loader) {
  BLCR_TRY(growTree(job, sources, [&](Building& forker, Building& child) { return loader.beforeBirth(forker, child); }));
  BLCR_TRY(takeWholeLocks(job, sources));
  BLCR_TRY(buryZombies(job));
  for (Building& building : job.processes) {
    if (!building.isAlive()) continue;
    if (!building.hasMemory) BLCR_TRY(buildMemory(job, building, areas, sources));
    BLCR_TRY(dressProcess(job, building, sources));
  }
  for (Building& building : job.processes)
    if (building.isAlive()) BLCR_TRY(growThreads(job, building, sources));
  // Some of them stand for threads.
  BLCR_TRY(openInside(job, sources));
  BLCR_TRY(fillEpolls(job, sources));
  // Takes the sources away, from all that share a table.
  for (Building& building : job.processes)
    if (building.isAlive() && !building.process->sharesFilesWithParent) BLCR_TRY(placeDescriptors(job, building, sources));
  BLCR_TRY(oweSemaphores(job));
  return useSemaphores(job);
}

/** What must wait for the pages, and for sockets: connecting may take credentials that the tasks will not have any more. */
Status dress(Job& job, const KernelAreas& areas) {
  for (Building& building : job.processes) {
    if (!building.isAlive()) continue;
    BLCR_TRY(checkSignalFrames(job, building, areas));
    applyLimits(job, building, LimitsOf::kGrowth);
    BLCR_TRY(applyCredentials(job, building));
    BLCR_TRY(dressTasks(job, building));
    BLCR_TRY(queueSignals(job, building));
  }
  return {};
}

/** What must come last. No instruction of the job has run when it returns. */
Status arm(Job& job) {
  // Children first: a parent takes part in stopping them.
  for (size_t index = job.processes.size(); index-- > 0;) {
    Building& building = job.processes[index];
    if (!building.isAlive()) continue;
    BLCR_TRY(startTimers(job, building));
    BLCR_TRY(sealMemory(job, building));
    applyLimits(job, building, LimitsOf::kContent);
    BLCR_TRY(loadRegisters(job, building));
    if (isStopped(building)) BLCR_TRY(stopAgain(job, building));
  }
  return {};
}

/** The kernel restarts interrupted system calls on the way out of these stops. */
void letGo(Job& job) {
  for (Building& building : job.processes) {
    if (!building.isAlive()) continue;
    if (!isStopped(building))
      for (size_t index = hasLostLeader(building) ? 1 : 0; index < building.tasks.size(); ++index) release(building, building.tasks[index]);
    if (job.request.signal != 0 && !building.process->cooperates) ::kill(building.leader().tid(), job.request.signal);
  }
}

RestoreResult describe(const Job& job, const RestorePlan& plan, int64_t start) {
  RestoreResult result;
  result.root = job.numbers(job.image.root);
  for (const Building& building : job.processes) {
    if (!building.isAlive()) continue;
    ++result.processes;
    result.threads += uint32_t(building.tasks.size() - (hasLostLeader(building) ? 1 : 0));
    if (building.process->cooperates) result.cooperating.push_back(building.tasks.front().tid());
  }
  result.bytes = plan.reader.bytes();
  result.totalUs = microsecondsSince(start);
  return result;
}

Status finish(Job& job, const KernelAreas& areas, Sources& sources) {
  BLCR_TRY(dress(job, areas));
  BLCR_TRY(commitFiles(job, sources));
  BLCR_TRY(arm(job));
  return startTimerFds(job, sources);
}

Status run(Job& job, RestorePlan& plan, const KernelAreas& areas) {
  Watchers watchers;
  {
    auto sources = openSources(job.image, job.request, job.log);
    if (!sources) return sources.error();
    BLCR_TRY(checkFiles(job, *sources));
    Loader loader(job, *sources, areas, plan.reader);
    BLCR_TRY(build(job, areas, *sources, loader));
    BLCR_TRY(loader.load());
    BLCR_TRY(takeRangeLocks(job, *sources));
    BLCR_TRY(finishSockets(job, *sources));
    const Status finished = finish(job, areas, *sources);
    if (!finished.ok()) {
      removeSocketFiles(job.image.sockets);
      return finished;
    }
    watchers = keepWatchers(job, *sources);
  }  // our copies of the descriptors go before the job runs: pipes must be able to end
  BLCR_TRY(startWatching(watchers));
  watchers.clear();
  BLCR_TRY(loseLeaders(job));
  letGo(job);
  return {};
}

/** Sources need more descriptors, and building needs more memory, than a batch system may have granted as soft limits. */
class RaisedLimits {
 public:
  RaisedLimits() {
    for (size_t index = 0; index < kCount; ++index) {
      const auto resource = static_cast<__rlimit_resource>(kResources[index]);
      if (::getrlimit(resource, &before_[index]) != 0) continue;
      const rlimit raised{before_[index].rlim_max, before_[index].rlim_max};
      ::setrlimit(resource, &raised);
    }
  }
  ~RaisedLimits() {
    for (size_t index = 0; index < kCount; ++index) ::setrlimit(static_cast<__rlimit_resource>(kResources[index]), &before_[index]);
  }
  RaisedLimits(const RaisedLimits&) = delete;
  RaisedLimits& operator=(const RaisedLimits&) = delete;

 private:
  static constexpr size_t kCount = 6;
  static constexpr int kResources[kCount] = {RLIMIT_NOFILE, RLIMIT_STACK, RLIMIT_DATA, RLIMIT_AS, RLIMIT_MEMLOCK, RLIMIT_SIGPENDING};
  rlimit before_[kCount]{};
};

}  // namespace

Result<RestoreResult> restore(RestorePlan& plan, const RestoreRequest& request, Log& log) {
  const int64_t start = nowNs();
  const RaisedLimits limits;
  auto areas = kernelAreas();
  if (!areas) return areas.error();
  const auto scratch = chooseScratch(plan.image, *areas);
  if (!scratch.ok()) return scratch.error();
  const ScratchMapping mapping(scratch.value());
  BLCR_TRY(mapping.map());
  Job job{plan.image, request, log, scratch.value(), start, areas->vdso.start + areas->syscallOffset, {}, {}, {}};
  for (const image::Process& process : plan.image.processes) job.processes.emplace_back().process = &process;
  const Status status = run(job, plan, *areas);
  if (!status.ok()) {
    killAll(job);
    log.line(status.error().detail);
    return status.error();
  }
  return describe(job, plan, start);
}

}  // namespace blcr
