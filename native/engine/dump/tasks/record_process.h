// What a process and its tasks are, apart from memory and descriptors.
#pragma once

#include "base/result.h"
#include "dump/frozen.h"
#include "image/model.h"

namespace blcr {

/** Numbers of the tracer that a recorded value is compared with. */
struct KeeperTraits {
  int32_t seccomp = 0;
  int32_t seccompFilters = 0;
  pid_t jobRoot = 0;
  pid_t keeper = 0;
};

class RightsCheck;

/**
 * Records a frozen process: identity, registers, signals, timers, limits, credentials. Injects one batch of system calls per task; its
 * leader keeps a foothold for what else is to be done in the stop, the other tasks are as before afterwards. Needs process.maps. Errors
 * name the process.
 */
[[nodiscard]] Status recordProcess(FrozenProcess& process, const KeeperTraits& keeper, RightsCheck& rights, image::Process& into);

/** Numbers, name and exit status of a zombie. */
void recordZombie(const FrozenProcess& process, image::Process& into);

/**
 * Registers and signals of the tasks of a process, from outside: of each before anything is injected into it, but others may run a batch
 * meanwhile. The live registers are changed where the program could otherwise notice the stop.
 */
class TaskRecorder {
 public:
  /** A first look at all of them. */
  [[nodiscard]] static Result<TaskRecorder> look(FrozenProcess& process, image::Process& into);
  /** Records those before `end` that have not been yet. */
  [[nodiscard]] Status upTo(size_t end);

 private:
  TaskRecorder(FrozenProcess& process, image::Process& into) : process_(&process), into_(&into), memory_(process.speaker()) {}
  FrozenProcess* process_;
  image::Process* into_;
  RemoteMemory memory_;
  std::vector<uint64_t> sections_;  // the restartable sequence that each is in, 0 = none
  size_t done_ = 0;
};

/** Signals queued for a task (shared = for its process). Nothing is removed. */
[[nodiscard]] Result<std::vector<image::PendingSignal>> peekSignals(pid_t tid, bool shared);

}  // namespace blcr
