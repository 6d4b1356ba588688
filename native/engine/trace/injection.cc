#include <signal.h>
#include <sys/ptrace.h>

#include <utility>

#include "trace/tracee.h"

namespace blcr {

Result<InjectionScope> InjectionScope::enter(Tracee& tracee, uint64_t syscallInstruction) {
  auto regs = tracee.registers();
  if (!regs) return regs.error();
  auto mask = tracee.signalMask();
  if (!mask) return mask.error();
  auto scope = enterOnce(tracee, syscallInstruction, *regs, *mask);
  if (scope) BLCR_TRY(tracee.setSignalMask(~0ull));
  return scope;
}

Result<InjectionScope> InjectionScope::enterOnce(Tracee& tracee, uint64_t syscallInstruction, const user_regs_struct& regs, uint64_t mask) {
  InjectionScope scope(tracee, syscallInstruction);
  scope.saved_ = regs;
  scope.mask_ = mask;
  scope.options_ = tracee.options();
  BLCR_TRY(tracee.setOptions(scope.options_ | PTRACE_O_EXITKILL));
  scope.active_ = true;  // from here on the destructor has something to undo
  return scope;
}

InjectionScope::InjectionScope(InjectionScope&& other) noexcept
    : tracee_(other.tracee_),
      instruction_(other.instruction_),
      saved_(other.saved_),
      mask_(other.mask_),
      options_(other.options_),
      active_(std::exchange(other.active_, false)) {}

// A failure to put things back means that the task is dead or about to be: nobody is left to be harmed.
InjectionScope::~InjectionScope() { static_cast<void>(restore()); }

Result<uint64_t> InjectionScope::judged(const char* what, Result<long> result) const {
  if (!result) return result.error();
  if (*result < 0 && *result >= -4095) {
    errno = int(-*result);
    return systemError("task " + std::to_string(tracee_->tid()) + ": " + what);
  }
  return uint64_t(*result);
}

Result<uint64_t> InjectionScope::call(const char* what, long number, std::array<uint64_t, 6> arguments) {
  return judged(what, tracee_->inject(instruction_, number, arguments));
}

Result<uint64_t> InjectionScope::lastCall(const char* what, long number, std::array<uint64_t, 6> arguments) {
  return judged(what, tracee_->injectLast(instruction_, number, arguments));
}

Status InjectionScope::restore() {
  if (!active_) return {};
  active_ = false;
  BLCR_TRY(tracee_->settle());
  BLCR_TRY(tracee_->setRegisters(saved_));
  BLCR_TRY(tracee_->setSignalMask(mask_));
  return tracee_->setOptions(options_);
}

}  // namespace blcr
