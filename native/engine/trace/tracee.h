// One task under ptrace, and system calls made in its name.
#pragma once

#include <sys/types.h>
#include <sys/user.h>

#include <array>
#include <cstdint>
#include <span>
#include <string>

#include "base/result.h"

namespace blcr {

/**
 * A task that is ptrace-stopped by this thread. Not copyable; destruction does *not* detach (the owner decides how the stop ends).
 * A tracee may die between any two calls: every member then fails with ESRCH.
 * Source: ptrace(2). Only the thread that attached may call.
 */
class Tracee {
 public:
  /** PTRACE_SEIZE with `options`, PTRACE_INTERRUPT; returns at once, the stop is awaited with waitStop. */
  [[nodiscard]] static Result<Tracee> seize(pid_t tid, unsigned long options);
  /** Adopts a task that is already traced by this thread (auto-attached child of a traced task). */
  [[nodiscard]] static Tracee adopt(pid_t tid) { return Tracee(tid); }

  Tracee(Tracee&&) = default;
  Tracee& operator=(Tracee&&) = default;
  Tracee(const Tracee&) = delete;
  Tracee& operator=(const Tracee&) = delete;

  [[nodiscard]] pid_t tid() const { return tid_; }

  /** Waits until the task is in a PTRACE_EVENT_STOP; signals that arrive first are re-injected. ETIMEDOUT after `timeoutMs`, ESRCH when it
   * died (`exitStatus` set). */
  [[nodiscard]] Status waitStop(int timeoutMs);

  [[nodiscard]] Result<user_regs_struct> registers() const;
  [[nodiscard]] Status setRegisters(const user_regs_struct& regs);
  [[nodiscard]] Result<std::string> xstate() const;  // NT_X86_XSTATE
  [[nodiscard]] Status setXstate(const std::string& bytes);
  [[nodiscard]] Result<uint64_t> signalMask() const;
  [[nodiscard]] Status setSignalMask(uint64_t mask);

  /**
   * Makes the stopped task execute one system call at `instruction` (address of a `syscall` instruction in its address space) and returns
   * its raw result
   * (-4095..-1 = -errno). Registers are left as the call left them: save and restore round a batch (RegisterGuard). All signals must be
   * blocked.
   */
  [[nodiscard]] Result<long> inject(uint64_t instruction, long number, std::array<uint64_t, 6> arguments = {});

  /** Detaches and lets the task run, delivering `signal` (0 = none). */
  Status detach(int signal = 0);

 private:
  explicit Tracee(pid_t tid) : tid_(tid) {}
  pid_t tid_;
};

/**
 * Everything an injection batch disturbs in one task: general registers and signal mask. Saves in the constructor, blocks all signals; puts
 * both back in restore() or the destructor. A task that died meanwhile is no error.
 */
class InjectionScope {
 public:
  [[nodiscard]] static Result<InjectionScope> enter(Tracee& tracee, uint64_t syscallInstruction);
  InjectionScope(InjectionScope&& other) noexcept;
  InjectionScope(const InjectionScope&) = delete;
  ~InjectionScope();

  /** System call in the tracee. An error result becomes an Error with that errno, naming `what`. */
  [[nodiscard]] Result<uint64_t> call(const char* what, long number, std::array<uint64_t, 6> arguments = {});
  [[nodiscard]] const user_regs_struct& saved() const { return saved_; }
  [[nodiscard]] uint64_t savedMask() const { return mask_; }
  Status restore();

 private:
  InjectionScope(Tracee& tracee, uint64_t instruction) : tracee_(&tracee), instruction_(instruction) {}
  Tracee* tracee_;
  uint64_t instruction_;
  user_regs_struct saved_{};
  uint64_t mask_ = 0;
  bool active_ = false;
};

/** Memory of another process. Works on PROT_NONE and exec-only areas too (falls back from process_vm_* to /proc/PID/mem). */
class RemoteMemory {
 public:
  explicit RemoteMemory(pid_t pid) : pid_(pid) {}
  RemoteMemory(RemoteMemory&& other) noexcept;
  RemoteMemory(const RemoteMemory&) = delete;
  ~RemoteMemory();
  [[nodiscard]] Status read(uint64_t address, std::span<std::byte> into) const;
  [[nodiscard]] Status write(uint64_t address, std::span<const std::byte> from) const;

 private:
  pid_t pid_;
  mutable int mem_ = -1;
};

}  // namespace blcr
