// A forked copy of a frozen process, which never runs and is read while the original goes on.
#pragma once

#include <sys/types.h>

#include <functional>
#include <optional>
#include <vector>

#include "base/result.h"
#include "dump/frozen.h"
#include "image/model.h"

namespace blcr {

/** A stopped copy; its creator traces it. */
struct SnapshotProcess {
  pid_t pid = 0;     // of the copy
  pid_t parent = 0;  // the copied process, which must reap it
  pid_t task = 0;    // that was copied: its leader, or another thread where that has ended
  bool dead = false;
  CopyScratch scratch;
  bool isEmpty = false;      // certainly holds no descriptor
  uint64_t rseqAddress = 0;  // of that task
};

/**
 * A copy in the making: the process, which must have a foothold, is in fork (clone without exit signal, injected). Several processes can be
 * at once. Areas that forbid being copied (MADV_DONTFORK, MADV_WIPEONFORK) are let through for the moment. What was not finished is awaited
 * and removed by the destructor. The original is as before then, in any case.
 */
class Copying {
 public:
  /** EAGAIN, ENOMEM, here or from finish(): the caller falls back to copying in the stop. `process` must stay where it is. */
  [[nodiscard]] static Result<Copying> start(FrozenProcess& process, const image::Process& recorded);
  Copying(Copying&& other) noexcept;
  Copying(const Copying&) = delete;
  ~Copying();

  /** Awaits the copy and leaves it with PTRACE_O_EXITKILL, closing its descriptors: pipelines would miss their end of file while it holds
   * them. */
  [[nodiscard]] Result<SnapshotProcess> finish();

 private:
  Copying(FrozenProcess& process, const image::Process& recorded);
  [[nodiscard]] Status awaitCalls();
  FrozenProcess* process_;
  const image::Process* recorded_;
  std::vector<RemoteCall> calls_;  // the advice, the fork, and the advice undone
  size_t fork_ = 0;
  std::optional<RunningBatch> batch_;
  bool active_ = false;
};

/** An area marked MADV_DONTFORK after the hint was taken would be missing. Areas may be joined or divided otherwise in the copy. */
[[nodiscard]] bool isWhole(const SnapshotProcess& snapshot, const FrozenProcess& process);

/** Awaits the end of the closing: the copy is stopped, and holds no descriptors. Before the original goes on, but its foothold may have
 * left. */
[[nodiscard]] Status completeSnapshot(SnapshotProcess& snapshot, const image::Process& recorded);

/** Removes a copy while its original is still frozen and traced by `original`. */
void discardSnapshot(const SnapshotProcess& snapshot, Tracee& original);

/** Copies are needed no longer: the kernel begins to take their memory back. */
void endSnapshots(const std::vector<SnapshotProcess>& snapshots);

/**
 * Kills copies and makes their originals reap them: each original is stopped for about 0.1 ms. A copy whose original is gone is reaped
 * here, as the keeper is its parent then. Nothing else of the original changes. Errors are not possible: what is gone needs no removal.
 * `onExit` is told of an original that ended under our hands, as in DumpRequest.
 */
void removeSnapshots(std::vector<SnapshotProcess>& snapshots, const std::function<void(pid_t, int)>& onExit);

}  // namespace blcr
