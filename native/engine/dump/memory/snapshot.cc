#include "dump/memory/snapshot.h"

#include <signal.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>

#include "base/features.h"
#include "dump/injection_point.h"
#include "dump/tasks/registers.h"

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

/** The advice, the fork, and the advice undone: one batch unless there are very many areas. The result of the fork, which a failed advice
 * makes no good. */
Result<RemoteCall> forkWithAdvice(Foothold& foothold, pid_t pid, const image::Process& recorded, bool& advised) {
  std::vector<RemoteCall> calls = forkAdvice(recorded, true);
  const size_t fork = calls.size();
  calls.push_back({SYS_clone, {0, 0, 0, 0, 0}});
  for (const RemoteCall& undo : forkAdvice(recorded, false)) calls.push_back(undo);
  for (size_t first = 0; first < calls.size(); first += Scratch::kMaxCalls) {
    BLCR_TRY(foothold.run(std::span(calls).subspan(first, std::min(Scratch::kMaxCalls, calls.size() - first))));
  }
  for (size_t index = 0; index < calls.size(); ++index) advised = advised && (index == fork || calls[index].result == 0);
  if (calls[fork].result < 0) return Error{int(-calls[fork].result), "process " + std::to_string(pid) + ": fork"};
  return calls[fork];
}

/** Takes the copy's end; `tracee` was adopted by this thread. */
void killAndWait(pid_t pid) {
  ::kill(pid, SIGKILL);
  int status = 0;
  while (::waitpid(pid, &status, __WALL) == pid && WIFSTOPPED(status)) {
  }
}

constexpr RemoteCall kCloseAll{SYS_close_range, {0, ~0u, 0}};

/** One by one, for kernels without close_range. */
Status closeEach(const CopyScratch& scratch, Tracee& copy, const image::Process& recorded) {
  std::vector<RemoteCall> calls;
  for (const image::Descriptor& descriptor : recorded.descriptors) calls.push_back({SYS_close, {uint64_t(descriptor.fd)}});
  for (size_t first = 0; first < calls.size(); first += Scratch::kMaxCalls) {
    const auto part = std::span(calls).subspan(first, std::min(Scratch::kMaxCalls, calls.size() - first));
    BLCR_TRY(scratch.run(copy, part));
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
  Foothold& foothold = *process.foothold;
  static_cast<void>(leader.takeChildren());
  bool advised = true;
  auto made = forkWithAdvice(foothold, process.pid, recorded, advised);
  const std::vector<pid_t> children = leader.takeChildren();
  if (!made) return made.error();
  if (children.size() != 1) return Error{ECHILD, "process " + std::to_string(process.pid) + ": its copy was not attached"};
  SnapshotProcess snapshot{children.front(), process.pid, false, foothold.scratch().ofCopy(), false, recorded.tasks.front().rseqAddress};
  Tracee copy = Tracee::adopt(snapshot.pid, leader.options());  // EXITKILL is on: the options of the injection
  Status ready = advised ? copy.waitStop(-1) : Error{EINVAL, "process " + std::to_string(process.pid) + ": fork advice"};
  if (ready && featureAllowed("close_range")) {
    RemoteCall close = kCloseAll;
    ready = snapshot.scratch.start(copy, std::span(&close, 1));
  }
  if (ready) return snapshot;
  killAndWait(snapshot.pid);
  static_cast<void>(foothold.scope().raw(SYS_wait4, {uint64_t(made->result), 0, __WALL, 0}));
  return ready.error();
}

Status completeSnapshot(SnapshotProcess& snapshot, const image::Process& recorded) {
  Tracee copy = Tracee::adopt(snapshot.pid);
  RemoteCall close = kCloseAll;
  if (featureAllowed("close_range")) BLCR_TRY(snapshot.scratch.await(copy, std::span(&close, 1)));
  snapshot.isEmpty = close.result == 0;
  return snapshot.isEmpty ? Status() : closeEach(snapshot.scratch, copy, recorded);
}

void discardSnapshot(const SnapshotProcess& snapshot, Tracee& original) {
  killAndWait(snapshot.pid);
  reapBy(original, snapshot);
}

void endSnapshots(const std::vector<SnapshotProcess>& snapshots) {
  for (const SnapshotProcess& snapshot : snapshots) {
    if (!snapshot.dead) ::kill(snapshot.pid, SIGKILL);
  }
}

void removeSnapshots(std::vector<SnapshotProcess>& snapshots, const std::function<void(pid_t, int)>& onExit) {
  for (SnapshotProcess& snapshot : snapshots) {
    if (!snapshot.dead) killAndWait(snapshot.pid);
    const auto stat = readStat(snapshot.pid);
    if (!stat) continue;  // taken: this process had become its parent
    if (stat.value().ppid == ::getpid()) {
      ::waitpid(snapshot.pid, nullptr, __WALL);
      continue;
    }
    auto original = Tracee::seize(stat.value().ppid, 0);
    if (!original) continue;
    if (original->waitStop(1000)) {
      undoSpuriousInterrupt(*original);
      leaveCriticalSection(*original, snapshot.rseqAddress);
      reapBy(*original, snapshot);
      static_cast<void>(original->detach());
    }
    tellEnd(onExit, original->tid(), original->exitStatus());  // it may have been killed meanwhile
  }
  snapshots.clear();
}

}  // namespace blcr
