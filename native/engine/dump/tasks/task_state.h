// What only a task itself is told: asked in its name, of all threads of a process side by side.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <tuple>
#include <vector>

#include "arch/x86_64/batch.h"
#include "base/memory_nodes.h"
#include "base/result.h"
#include "dump/tasks/record_process.h"
#include "dump/tasks/registered_rings.h"

namespace blcr {

/** Where a task's share of a batch puts its answers: one of these for each task. */
struct TaskAnswers {
  struct {
    uint64_t sp;
    int32_t flags, pad;
    uint64_t size;
  } altstack;
  uint64_t clearChildTid;
  int32_t pdeathsig, tsc;
  char name[16];
  int32_t memoryPolicy, padding;
  char memoryNodes[kMaxNodes / 8];
};

using TaskCalls = std::array<RemoteCall, 16>;

/** `at` is where the answers go in the scratch's data. */
[[nodiscard]] TaskCalls taskCalls(uint64_t at);

/** Of each task, what has to be looked at once more. */
struct Suspicions {
  explicit Suspicions(size_t tasks) : barred(tasks), rings(tasks) {}
  /** `calls` are those of a batch, the task's own at its end. */
  void take(size_t task, std::span<const RemoteCall> calls);
  std::vector<bool> barred;
  RegisteredRings rings;
};

[[nodiscard]] Status recordTaskState(std::span<const RemoteCall> calls, TaskAnswers& answers, image::Task& into);

/** How many threads are asked at once. */
inline constexpr size_t kThreadsTogether = Scratch::kMaxCalls / std::tuple_size_v<TaskCalls>;

/**
 * The threads beside the leader, as many at once as fit a batch: each waits for a processor only once, and side by side. While they do,
 * `recorder` records the next ones from outside.
 */
[[nodiscard]] Status recordThreadStates(FrozenProcess& process, RightsCheck& rights, TaskRecorder& recorder, image::Process& into,
                                        Suspicions& suspicions);

}  // namespace blcr
