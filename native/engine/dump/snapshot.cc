#include "dump/snapshot.h"

#include <signal.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "arch/x86_64/batch.h"
#include "base/features.h"
#include "dump/injection_point.h"

namespace blcr {
namespace {

// linux/mman.h; in glibc's header only behind feature macros.
constexpr int kDontFork = 10, kDoFork = 11, kWipeOnFork = 18, kKeepOnFork = 19;

/** madvise calls that change the fork behaviour of the areas that have one. */
std::vector<RemoteCall> forkAdvice(const image::Process& recorded, bool allow) {
  std::vector<RemoteCall> calls;
  for (const image::Area& area : recorded.memory.areas) {
    const uint64_t length = area.end - area.start;
    if ((area.flags & image::kDontFork) != 0) calls.push_back({SYS_madvise, {area.start, length, uint64_t(allow ? kDoFork : kDontFork)}});
    if ((area.flags & image::kWipeOnFork) != 0) {
      calls.push_back({SYS_madvise, {area.start, length, uint64_t(allow ? kKeepOnFork : kWipeOnFork)}});
    }
  }
  return calls;
}

Status advise(InjectionScope& scope, pid_t pid, const image::Process& recorded, bool allow) {
  std::vector<RemoteCall> calls = forkAdvice(recorded, allow);
  if (calls.empty()) return {};
  auto scratch = Scratch::create(scope, pid);
  if (!scratch) return scratch.error();
  for (size_t first = 0; first < calls.size(); first += Scratch::kMaxCalls) {
    const auto part = std::span(calls).subspan(first, std::min(Scratch::kMaxCalls, calls.size() - first));
    BLCR_TRY(scratch->run(scope, part));
    for (const RemoteCall& call : part) {
      if (call.result != 0) return Error{int(-call.result), "process " + std::to_string(pid) + ": fork advice"};
    }
  }
  return scratch->remove();
}

/** Takes the copy's end; `tracee` was adopted by this thread. */
void killAndWait(pid_t pid) {
  ::kill(pid, SIGKILL);
  int status = 0;
  while (::waitpid(pid, &status, __WALL) == pid && WIFSTOPPED(status)) {
  }
}

/** The copy holds every descriptor of the original: pipelines would miss their end of file for as long as it lives. */
Status closeDescriptors(Tracee& copy, const image::Process& recorded, uint64_t instruction) {
  if (featureAllowed("close_range")) {
    auto result = copy.inject(instruction, SYS_close_range, {0, ~0u, 0});
    if (!result) return result.error();
    if (*result == 0) return {};
  }
  for (const image::Descriptor& descriptor : recorded.descriptors) {
    auto result = copy.inject(instruction, SYS_close, {uint64_t(descriptor.fd)});
    if (!result) return result.error();
  }
  return {};
}

/** Makes the original wait for its copy, which has ended. It may be another program than the one that was copied: execve keeps children. */
void reapBy(Tracee& original, const SnapshotProcess& snapshot) {
  const auto maps = readMaps(original.tid());
  if (!maps) return;
  const auto instruction = injectionPoint(original.tid(), maps.value());
  if (!instruction) return;
  auto scope = InjectionScope::enter(original, instruction.value());
  const auto status = readStatus(snapshot.pid);
  const pid_t inside = status && !status.value().nsPid.empty() ? status.value().nsPid.back() : snapshot.pid;
  if (scope) static_cast<void>(scope->raw(SYS_wait4, {uint64_t(inside), 0, __WALL | WNOHANG, 0}));
}

}  // namespace

Result<SnapshotProcess> takeSnapshot(FrozenProcess& process, const image::Process& recorded) {
  Tracee& leader = process.tasks.front().tracee;
  auto scope = InjectionScope::enter(leader, process.syscallInstruction);
  if (!scope) return scope.error();
  BLCR_TRY(advise(*scope, process.pid, recorded, true));
  static_cast<void>(leader.takeChildren());
  auto made = scope->call("fork", SYS_clone, {0, 0, 0, 0, 0});
  const std::vector<pid_t> children = leader.takeChildren();
  const Status undone = advise(*scope, process.pid, recorded, false);
  if (!made) return made.error();
  if (children.size() != 1) return Error{ECHILD, "process " + std::to_string(process.pid) + ": its copy was not attached"};
  SnapshotProcess snapshot{children.front(), process.pid, false};
  Tracee copy = Tracee::adopt(snapshot.pid, leader.options());  // EXITKILL is on: the options of the injection
  Status ready = copy.waitStop(-1);
  if (ready) ready = closeDescriptors(copy, recorded, process.syscallInstruction);
  if (ready && !undone) ready = undone;
  if (ready) return snapshot;
  killAndWait(snapshot.pid);
  static_cast<void>(scope->raw(SYS_wait4, {uint64_t(*made), 0, __WALL, 0}));
  return ready.error();
}

void discardSnapshot(const SnapshotProcess& snapshot, Tracee& original) {
  killAndWait(snapshot.pid);
  reapBy(original, snapshot);
}

void removeSnapshots(std::vector<SnapshotProcess>& snapshots) {
  for (SnapshotProcess& snapshot : snapshots) {
    if (!snapshot.dead) killAndWait(snapshot.pid);
    const auto stat = readStat(snapshot.pid);
    if (!stat) continue;  // taken: this process had become its parent
    if (stat.value().ppid == ::getpid()) {
      ::waitpid(snapshot.pid, nullptr, __WALL);
      continue;
    }
    auto original = Tracee::seize(stat.value().ppid, 0);
    if (!original || !original->waitStop(1000)) continue;
    reapBy(*original, snapshot);
    static_cast<void>(original->detach());
  }
  snapshots.clear();
}

}  // namespace blcr
