#include "dump/memory/snapshot.h"

#include <signal.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <utility>

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

/** The task that was copied, or another one of its process where that has ended meanwhile. */
pid_t reaperOf(const SnapshotProcess& snapshot, pid_t process) {
  const auto stat = readTaskStat(process, snapshot.task);
  return stat && stat.value().state != 'Z' && stat.value().state != 'X' ? snapshot.task : speakerOf(process);
}

}  // namespace

Copying::Copying(FrozenProcess& process, const image::Process& recorded) : process_(&process), recorded_(&recorded) {
  calls_ = forkAdvice(recorded, true);
  fork_ = calls_.size();
  calls_.push_back({SYS_clone, {0, 0, 0, 0, 0}});
  for (const RemoteCall& undo : forkAdvice(recorded, false)) calls_.push_back(undo);
}

Copying::Copying(Copying&& other) noexcept
    : process_(other.process_),
      recorded_(other.recorded_),
      calls_(std::move(other.calls_)),
      fork_(other.fork_),
      active_(std::exchange(other.active_, false)) {
  if (other.batch_) batch_.emplace(*std::move(other.batch_));
}

Copying::~Copying() {
  if (!active_) return;
  const auto made = finish();
  if (made) discardSnapshot(made.value(), process_->tasks.front().tracee);
}

Result<Copying> Copying::start(FrozenProcess& process, const image::Process& recorded) {
  Copying copying(process, recorded);
  static_cast<void>(process.tasks.front().tracee.takeChildren());
  copying.active_ = true;
  // Of very many areas with advice, all but the last batch are waited for.
  std::span<RemoteCall> rest = copying.calls_;
  for (; rest.size() > Scratch::kMaxCalls; rest = rest.subspan(Scratch::kMaxCalls))
    BLCR_TRY(process.foothold->run(rest.first(Scratch::kMaxCalls)));
  auto batch = process.foothold->start(rest);
  if (!batch) return batch.error();
  copying.batch_.emplace(*std::move(batch));
  return copying;
}

Status Copying::awaitCalls() {
  const std::string who = "process " + std::to_string(process_->pid);
  if (batch_) BLCR_TRY(process_->foothold->finish(*batch_));
  const long made = calls_[fork_].result;
  if (made < 0) return Error{int(-made), who + ": fork"};
  for (size_t index = 0; index < calls_.size(); ++index)
    if (index != fork_ && calls_[index].result != 0) return Error{EINVAL, who + ": fork advice"};
  return {};
}

Result<SnapshotProcess> Copying::finish() {
  active_ = false;
  Tracee& leader = process_->tasks.front().tracee;
  Foothold& foothold = *process_->foothold;
  Status ready = awaitCalls();
  const std::vector<pid_t> children = leader.takeChildren();
  if (ready && children.size() != 1) ready = Error{ECHILD, "process " + std::to_string(process_->pid) + ": its copy was not attached"};
  if (children.empty()) return ready.error();
  SnapshotProcess snapshot{
      children.front(), process_->pid, leader.tid(), false, foothold.scratch().ofCopy(), false, recorded_->tasks.front().rseqAddress};
  Tracee copy = Tracee::adopt(snapshot.pid, leader.options());  // EXITKILL is on: the options of the injection
  if (ready) ready = copy.waitStop(-1);
  if (ready && featureAllowed("close_range")) {
    RemoteCall close = kCloseAll;
    ready = snapshot.scratch.start(copy, std::span(&close, 1));
  }
  if (ready) return snapshot;
  killAndWait(snapshot.pid);
  static_cast<void>(foothold.scope().raw(SYS_wait4, {uint64_t(calls_[fork_].result), 0, __WALL, 0}));
  return ready.error();
}

bool isWhole(const SnapshotProcess& snapshot, const FrozenProcess& process) {
  const auto pages = readTotalPages(process.speaker()), copied = readTotalPages(snapshot.pid);
  if (pages && copied && pages.value() == copied.value()) return true;
  const auto maps = readMaps(snapshot.pid);
  if (!maps) return false;
  size_t next = 0;
  for (const Mapping& mapping : process.maps) {
    if (mapping.shared || mapping.path.starts_with("[v")) continue;
    for (uint64_t at = mapping.start; at < mapping.end; at = maps.value()[next].end) {
      while (next < maps.value().size() && maps.value()[next].end <= at) ++next;
      if (next == maps.value().size() || maps.value()[next].start > at) return false;
    }
  }
  return true;
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
    const pid_t parent = stat.value().ppid;
    auto original = Tracee::seize(reaperOf(snapshot, parent), 0);
    if (!original) continue;
    if (original->waitStop(1000)) {
      undoSpuriousInterrupt(*original);
      leaveCriticalSection(*original, original->tid() == snapshot.task ? snapshot.rseqAddress : 0);
      reapBy(*original, snapshot);
      static_cast<void>(original->detach());
    }
    if (original->tid() == parent) tellEnd(onExit, parent, original->exitStatus());  // it may have been killed meanwhile
  }
  snapshots.clear();
}

}  // namespace blcr
