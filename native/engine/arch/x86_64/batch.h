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

  /** The same in several tasks at once, each making an equal share of `calls`, in order. */
  [[nodiscard]] Status runTogether(std::span<InjectionScope> scopes, std::span<RemoteCall> calls);

  /** The same in a forked copy of the process, which has a copy of the scratch as well, also when the original's has been removed. Only
   * started: awaitCopy() tells the end. Blocks all its signals. */
  [[nodiscard]] Status startInCopy(Tracee& copy, std::span<RemoteCall> calls);
  [[nodiscard]] Status awaitCopy(Tracee& copy, std::span<RemoteCall> calls);

  /** Unmaps. Also done by the destructor. */
  Status remove();

 private:
  Scratch(InjectionScope& owner, pid_t pid) : owner_(&owner), memory_(pid) {}
  [[nodiscard]] uint64_t callsAt() const;
  [[nodiscard]] Status startLoop(Tracee& tracee, user_regs_struct regs, uint64_t at, size_t count) const;
  [[nodiscard]] static Status awaitLoop(Tracee& tracee);
  InjectionScope* owner_;
  RemoteMemory memory_;
  uint64_t base_ = 0;
  bool mapped_ = false;
  bool loop_ = false;
};

}  // namespace blcr
