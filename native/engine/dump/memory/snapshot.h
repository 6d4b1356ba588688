// A forked copy of a frozen process, which never runs and is read while the original goes on.
#pragma once

#include <sys/types.h>

#include <functional>
#include <vector>

#include "base/result.h"
#include "dump/frozen.h"
#include "image/model.h"

namespace blcr {

/** A stopped copy; its creator traces it. */
struct SnapshotProcess {
  pid_t pid = 0;     // of the copy
  pid_t parent = 0;  // the copied process, which must reap it
  bool dead = false;
  CopyScratch scratch;
  bool isEmpty = false;      // certainly holds no descriptor
  uint64_t rseqAddress = 0;  // of the copied process's leader
};

/**
 * Makes a copy of `process`, which must have a foothold (clone without exit signal, injected), and leaves it with PTRACE_O_EXITKILL,
 * closing its descriptors: pipelines would miss their end of file while it holds them. Areas that forbid being copied (MADV_DONTFORK,
 * MADV_WIPEONFORK) are let through for the moment. EAGAIN, ENOMEM: the caller falls back to copying in the stop. The original is as before,
 * in any case.
 */
[[nodiscard]] Result<SnapshotProcess> takeSnapshot(FrozenProcess& process, const image::Process& recorded);

/** Awaits the end of that: the copy is stopped, and holds no descriptors. Before the original goes on, but its foothold may have left. */
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
