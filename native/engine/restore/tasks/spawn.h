// Making tasks with numbers of choice.
#pragma once

#include "restore/job.h"

namespace blcr {

struct SpawnRequest {
  int32_t number = 0;  // recorded pid or tid to be given
  int32_t exitSignal = 17;
  uint64_t flags = 0;  // CLONE_*: 0 = a process
};

/** A process made by the coordinator itself; all signal actions default. */
[[nodiscard]] Result<Stub> spawnFromCoordinator(Job& job, const SpawnRequest& request);

/** A process or thread made by `parent`. */
[[nodiscard]] Result<Stub> spawnFrom(Job& job, Stub& parent, const SpawnRequest& request);

/** Ends a stub and waits for it; a child of the coordinator is gone then, any other must be reaped by its parent (reapIn). */
Status endStub(Stub& stub);
[[nodiscard]] Status reapIn(Stub& parent, pid_t child);

}  // namespace blcr
