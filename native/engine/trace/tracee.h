// One task under ptrace, and system calls made in its name.
#pragma once

#include <sys/types.h>
#include <sys/user.h>

#include <array>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "base/result.h"

namespace blcr {

/**
 * A task that is ptrace-stopped by this thread. Not copyable; destruction does *not* detach (the owner decides how the stop ends).
 * A tracee may die between any two calls: every member then fails with ESRCH.
 * Source: ptrace(2). Only the thread that attached may call.
 */
class Tracee {
 public:
  /** PTRACE_SEIZE with `options` (PTRACE_O_TRACESYSGOOD is added), PTRACE_INTERRUPT; returns at once, the stop is awaited with waitStop. */
  [[nodiscard]] static Result<Tracee> seize(pid_t tid, unsigned long options);
  /** Adopts a task that is already traced by this thread (auto-attached child of a traced task, which inherits `options`). */
  [[nodiscard]] static Tracee adopt(pid_t tid, unsigned long options = 0) { return Tracee(tid, options); }

  Tracee(Tracee&&) = default;
  Tracee& operator=(Tracee&&) = default;
  Tracee(const Tracee&) = delete;
  Tracee& operator=(const Tracee&) = delete;

  [[nodiscard]] pid_t tid() const { return tid_; }

  /**
   * Waits until the task is in a PTRACE_EVENT_STOP; signals that arrive first are re-injected, other events (auto-attached children, exec)
   * are passed. ETIMEDOUT after `timeoutMs` (negative = no limit, 0 = only look), ESRCH when it died (exitStatus() then has its wait
   * status).
   */
  [[nodiscard]] Status waitStop(int timeoutMs);

  /** Asks for a PTRACE_EVENT_STOP (PTRACE_INTERRUPT); awaited with waitStop. */
  [[nodiscard]] Status interrupt();

  /** From any ptrace-stop to one in which the kernel restarts an interrupted system call when the task goes on, without executing an
   * instruction: a PTRACE_EVENT_STOP or the delivery of a signal (a syscall-exit stop is no such place). */
  [[nodiscard]] Status settle();

  /** Lets the task run on in traced state, delivering `signal` (0 = none). */
  [[nodiscard]] Status resume(int signal = 0);

  /** Replaces the ptrace options (PTRACE_O_TRACESYSGOOD is added). The task must be stopped. */
  [[nodiscard]] Status setOptions(unsigned long options);
  [[nodiscard]] unsigned long options() const { return options_; }

  /** Signal of the group stop (^Z) that the task was in at its last PTRACE_EVENT_STOP, 0 when it was not stopped by job control. */
  [[nodiscard]] int groupStopSignal() const { return groupStopSignal_; }
  /** Wait status of a task that died while it was waited for. */
  [[nodiscard]] int exitStatus() const { return exitStatus_; }
  /** Tasks that were auto-attached since the last call: children made by this task (PTRACE_EVENT_CLONE, FORK, VFORK messages). */
  [[nodiscard]] std::vector<pid_t> takeChildren();

  [[nodiscard]] Result<user_regs_struct> registers() const;
  [[nodiscard]] Status setRegisters(const user_regs_struct& regs);
  [[nodiscard]] Result<std::string> xstate() const;  // NT_X86_XSTATE
  [[nodiscard]] Status setXstate(const std::string& bytes);
  [[nodiscard]] Result<uint64_t> signalMask() const;
  [[nodiscard]] Status setSignalMask(uint64_t mask);

  /**
   * Makes the stopped task execute one system call at `instruction` (address of a `syscall` instruction in its address space) and returns
   * its raw result
   * (-4095..-1 = -errno). Registers are left as the call left them: save and restore round a batch (InjectionScope). All signals must be
   * blocked.
   */
  [[nodiscard]] Result<long> inject(uint64_t instruction, long number, std::array<uint64_t, 6> arguments = {});
  /** The same, ending in a stop that settle() leads to. For calls that a signal does not interrupt. */
  [[nodiscard]] Result<long> injectLast(uint64_t instruction, long number, std::array<uint64_t, 6> arguments = {});

  /**
   * Lets the stopped task run code that ends by sending itself `signal` (unblocked), which is swallowed; stays in that
   * signal-delivery-stop.
   */
  [[nodiscard]] Status runUntilSignal(int signal);
  /** The second half of it, for tasks that run at the same time: resume() each, then await each. */
  [[nodiscard]] Status awaitSignal(int signal);

  /** Lets the stopped task run to its next stop, which is asked for after `timeoutMs`, and stays in it: the signal that is to be delivered,
   * 0 when there is none. */
  [[nodiscard]] Result<int> runToStop(int timeoutMs);
  /** Whether the signal to be delivered comes from what the task did itself, an instruction that faulted, and was not sent. */
  [[nodiscard]] bool hasFaulted() const;

  /**
   * Lets the stopped task execute one instruction, after the delivery of `signal` (0 = none) the first of its handler. SIGTRAP must neither
   * be blocked nor ignored. What else happens on the way is passed on.
   */
  [[nodiscard]] Status step(int signal = 0);

  /** Detaches and lets the task run, delivering `signal` (0 = none). */
  Status detach(int signal = 0);

 private:
  Tracee(pid_t tid, unsigned long options) : tid_(tid), options_(options) {}
  /** One wait for a change of state: stop status, or ESRCH when it ended. */
  [[nodiscard]] Result<int> waitChange(int timeoutMs);
  /** Registers as they are in front of a call. */
  [[nodiscard]] Status prepareCall(uint64_t instruction, long number, std::array<uint64_t, 6> arguments);
  [[nodiscard]] Result<long> callResult() const;
  /** PTRACE_SYSCALL until a syscall stop. */
  [[nodiscard]] Status toSyscallStop();
  void noteEvent(int status);
  pid_t tid_;
  unsigned long options_;
  int groupStopSignal_ = 0;
  int exitStatus_ = 0;
  bool restarts_ = false;  // in a stop of the kind that settle() leads to
  std::vector<pid_t> children_;
};

/**
 * Everything an injection batch disturbs in one task: general registers and signal mask. Saves in the constructor, blocks all signals; puts
 * both back in restore() or the destructor. A task that died meanwhile is no error. PTRACE_O_EXITKILL is set exactly as long as the
 * registers are not the task's own. The tracee must be in a stop that settle() leads to and is left in one.
 */
class InjectionScope {
 public:
  [[nodiscard]] static Result<InjectionScope> enter(Tracee& tracee, uint64_t syscallInstruction);
  /** For one Scratch::runTogether() of a task whose registers and signal mask are known: nothing else may be called in it. */
  [[nodiscard]] static Result<InjectionScope> enterOnce(Tracee& tracee, uint64_t syscallInstruction, const user_regs_struct& regs,
                                                        uint64_t mask);
  InjectionScope(InjectionScope&& other) noexcept;
  InjectionScope(const InjectionScope&) = delete;
  ~InjectionScope();

  /** System call in the tracee. An error result becomes an Error with that errno, naming `what`. */
  [[nodiscard]] Result<uint64_t> call(const char* what, long number, std::array<uint64_t, 6> arguments = {});
  /** System call in the tracee with its raw result (-4095..-1 = -errno). */
  [[nodiscard]] Result<long> raw(long number, std::array<uint64_t, 6> arguments = {}) {
    return tracee_->inject(instruction_, number, arguments);
  }
  /** The same for the last call before restore(), which finds the task where it wants it: one stop less. */
  [[nodiscard]] Result<uint64_t> lastCall(const char* what, long number, std::array<uint64_t, 6> arguments = {});
  [[nodiscard]] const user_regs_struct& saved() const { return saved_; }
  [[nodiscard]] uint64_t savedMask() const { return mask_; }
  [[nodiscard]] uint64_t instruction() const { return instruction_; }
  [[nodiscard]] Tracee& tracee() { return *tracee_; }
  Status restore();

 private:
  [[nodiscard]] Result<uint64_t> judged(const char* what, Result<long> result) const;
  InjectionScope(Tracee& tracee, uint64_t instruction) : tracee_(&tracee), instruction_(instruction) {}
  Tracee* tracee_;
  uint64_t instruction_;
  user_regs_struct saved_{};
  uint64_t mask_ = 0;
  unsigned long options_ = 0;
  bool active_ = false;
};

/** Memory of another process. Works on PROT_NONE and exec-only areas too (falls back from process_vm_* to /proc/PID/mem). */
class RemoteMemory {
 public:
  /**
   * kLeaveShared is for memory that the process has in common with others since a fork. process_vm_readv pins what it reads, and since
   * Linux 5.19 the kernel gives the process pages of its own for that, which costs memory and time; /proc/PID/mem does not. Source:
   * mm/gup.c, gup_must_unshare().
   */
  enum class Way { kFast, kLeaveShared };
  explicit RemoteMemory(pid_t pid, Way way = Way::kFast) : pid_(pid), way_(way) {}
  RemoteMemory(RemoteMemory&& other) noexcept;
  RemoteMemory(const RemoteMemory&) = delete;
  ~RemoteMemory();
  [[nodiscard]] Status read(uint64_t address, std::span<std::byte> into) const;
  [[nodiscard]] Status write(uint64_t address, std::span<const std::byte> from) const;

  /** `size` bytes at each of `addresses`, one behind the other, in few calls. */
  [[nodiscard]] Status readEach(std::span<const uint64_t> addresses, size_t size, std::byte* into) const;

  /** One trivially copyable object. */
  template <typename T>
  [[nodiscard]] Result<T> get(uint64_t address) const {
    T value{};
    BLCR_TRY(read(address, std::as_writable_bytes(std::span(&value, 1))));
    return value;
  }
  /** One at each of `addresses`. */
  template <typename T>
  [[nodiscard]] Result<std::vector<T>> getEach(std::span<const uint64_t> addresses) const {
    std::vector<T> values(addresses.size());
    BLCR_TRY(readEach(addresses, sizeof(T), std::as_writable_bytes(std::span(values)).data()));
    return values;
  }

 private:
  [[nodiscard]] Status openMem() const;
  pid_t pid_;
  Way way_;
  mutable int mem_ = -1;
};

}  // namespace blcr
