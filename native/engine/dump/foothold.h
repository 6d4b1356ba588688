// Where system calls are made in a frozen process, from its recording until it is let go.
#pragma once

#include <sys/types.h>

#include <memory>
#include <optional>

#include "arch/x86_64/batch.h"
#include "base/result.h"
#include "trace/tracee.h"

namespace blcr {

/**
 * Registers of the leader put aside, and a scratch mapping: made once for all batches of a stop, because each costs several ptrace stops.
 * Destruction puts everything back; the leader must still be stopped then. It must not move while this lives.
 */
class Foothold {
 public:
  [[nodiscard]] static Result<std::unique_ptr<Foothold>> take(Tracee& leader, uint64_t instruction, pid_t pid) {
    auto scope = InjectionScope::enter(leader, instruction);
    if (!scope) return scope.error();
    std::unique_ptr<Foothold> made(new Foothold(*std::move(scope)));
    auto scratch = Scratch::create(made->scope_, pid);
    if (!scratch) return scratch.error();
    made->scratch_.emplace(*std::move(scratch));
    return made;
  }
  [[nodiscard]] InjectionScope& scope() { return scope_; }
  [[nodiscard]] Scratch& scratch() { return *scratch_; }
  [[nodiscard]] Status run(std::span<RemoteCall> calls) { return scratch_->run(scope_, calls); }
  /** The same in two halves: nothing else is done here between start and finish. */
  [[nodiscard]] Result<RunningBatch> start(std::span<RemoteCall> calls) { return scratch_->start(std::span(&scope_, 1), calls); }
  [[nodiscard]] Status finish(RunningBatch& batch) {
    BLCR_TRY(batch.await());
    return scope_.tracee().setSignalMask(~0ull);
  }
  /** What the destructor does, with a result. */
  Status leave() {
    BLCR_TRY(scratch_->remove());
    return scope_.restore();
  }

 private:
  explicit Foothold(InjectionScope scope) : scope_(std::move(scope)) {}
  InjectionScope scope_;
  std::optional<Scratch> scratch_;  // goes first
};

}  // namespace blcr
