// A loop of system calls for a tracee: many calls for the price of one stop.
#pragma once

#include <array>
#include <cstdint>
#include <span>

#include "base/result.h"
#include "trace/tracee.h"

namespace blcr {

/** One system call of a batch and, afterwards, its raw result (-4095..-1 = -errno). The layout is read by the loop's code. */
struct RemoteCall {
  int64_t number = 0;
  std::array<uint64_t, 6> arguments{};
  int64_t result = -38;  // ENOSYS until it was made
};
static_assert(sizeof(RemoteCall) == 64);

/**
 * The scratch of a forked copy of a process, which nobody needs to remove: the copy never runs as a program. All signals of the copy are
 * blocked while it is used.
 */
class CopyScratch {
 public:
  /** Starts up to Scratch::kMaxCalls calls; await() tells their end. */
  [[nodiscard]] Status start(Tracee& copy, std::span<RemoteCall> calls) const;
  [[nodiscard]] Status await(Tracee& copy, std::span<RemoteCall> calls) const;
  [[nodiscard]] Status run(Tracee& copy, std::span<RemoteCall> calls) const {
    BLCR_TRY(start(copy, calls));
    return await(copy, calls);
  }
  /** Lets the copy run other code, which is position-independent and takes one argument: it goes on until the copy is killed. ENOTSUP when
   * there is no executable memory or no room. */
  [[nodiscard]] Status enter(Tracee& copy, std::span<const std::byte> code, uint64_t argument) const;
  /** Address of Scratch::kDataSize bytes in the copy. */
  [[nodiscard]] uint64_t data() const;

 private:
  friend class Scratch;
  user_regs_struct regs_{};
  uint64_t instruction_ = 0, base_ = 0;
  bool loop_ = false;
};

class Scratch;

/**
 * A batch that was started and may be running still; nothing else may be done with its tasks meanwhile. Destruction awaits its end: nobody
 * can put back the registers of a running task.
 */
class RunningBatch {
 public:
  RunningBatch(RunningBatch&& other) noexcept;
  RunningBatch(const RunningBatch&) = delete;
  ~RunningBatch();

  /** Awaits the end in every task and fills in the results. */
  [[nodiscard]] Status await();

 private:
  friend class Scratch;
  RunningBatch(const Scratch& scratch, std::span<InjectionScope> scopes, std::span<RemoteCall> calls)
      : scratch_(&scratch), scopes_(scopes), calls_(calls) {}
  [[nodiscard]] Status awaitTasks();
  const Scratch* scratch_;
  std::span<InjectionScope> scopes_;  // those that are running
  std::span<RemoteCall> calls_;
};

/**
 * A mapping in a frozen process, made and removed by injection, that holds a loop of system calls, the calls, and room for what they read
 * or write. An injected call costs two ptrace stops (about 13 us), a call of the loop well below 1 us.
 *
 * The loop ends by sending its own task a signal that nobody uses; the stop for its delivery is the end mark, and it is swallowed. (A trap
 * instruction would reset the program's SIGTRAP action.) Where executable memory cannot be had the calls are injected one by one.
 * The process must be frozen as a whole; any of its tasks may run a batch. BLCR_DISABLE=batch forces injection.
 */
class Scratch {
 public:
  static constexpr size_t kMaxCalls = 256;
  static constexpr size_t kDataSize = 64 * 1024;

  /** `scope` belongs to one of the process's tasks and must outlive the scratch, `pid` names the process. */
  [[nodiscard]] static Result<Scratch> create(InjectionScope& scope, pid_t pid);
  Scratch(Scratch&& other) noexcept;
  Scratch(const Scratch&) = delete;
  ~Scratch();

  /** Address of kDataSize bytes in the target. */
  [[nodiscard]] uint64_t data() const;
  [[nodiscard]] const RemoteMemory& memory() const { return memory_; }

  /** Makes up to kMaxCalls calls in the task of `scope` and fills in their results. */
  [[nodiscard]] Status run(InjectionScope& scope, std::span<RemoteCall> calls);

  /**
   * Starts the same in several tasks at once, each making an equal share of `calls`, in order; one batch of a scratch at a time. Both spans
   * and the scratch must stay where they are until the end. Signals of the tasks are not blocked afterwards: the next that their scopes do
   * is to restore them, or to run another batch.
   */
  [[nodiscard]] Result<RunningBatch> start(std::span<InjectionScope> scopes, std::span<RemoteCall> calls);

  /** What a forked copy of the process has of this scratch; it stays good when the original's is removed. */
  [[nodiscard]] CopyScratch ofCopy() const;

  /** Unmaps. Also done by the destructor. */
  Status remove();

 private:
  friend class RunningBatch;
  Scratch(InjectionScope& owner, pid_t pid) : owner_(&owner), memory_(pid) {}
  [[nodiscard]] uint64_t callsAt() const;
  InjectionScope* owner_;
  RemoteMemory memory_;
  uint64_t base_ = 0;
  bool mapped_ = false;
  bool loop_ = false;
};

}  // namespace blcr
