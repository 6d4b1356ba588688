#include "arch/x86_64/batch.h"

#include <signal.h>
#include <sys/mman.h>
#include <sys/syscall.h>

#include <cstring>
#include <utility>

#include "base/features.h"

// rbx = first RemoteCall, r12 = their number, r15 = signal that ends the batch. getpid and gettid are asked inside: the numbers differ from
// the tracer's when the target lives in another pid namespace.
__asm__(
    ".pushsection .rodata\n"
    ".globl blcr_batch_begin, blcr_batch_end\n"
    "blcr_batch_begin:\n"
    "1: mov (%rbx), %rax\n"
    "   mov 8(%rbx), %rdi\n"
    "   mov 16(%rbx), %rsi\n"
    "   mov 24(%rbx), %rdx\n"
    "   mov 32(%rbx), %r10\n"
    "   mov 40(%rbx), %r8\n"
    "   mov 48(%rbx), %r9\n"
    "   syscall\n"
    "   mov %rax, 56(%rbx)\n"
    "   add $64, %rbx\n"
    "   dec %r12\n"
    "   jnz 1b\n"
    "   mov $39, %eax\n"  // getpid
    "   syscall\n"
    "   mov %rax, %r13\n"
    "   mov $186, %eax\n"  // gettid
    "   syscall\n"
    "   mov %r13, %rdi\n"
    "   mov %rax, %rsi\n"
    "   mov %r15, %rdx\n"
    "   mov $234, %eax\n"  // tgkill
    "   syscall\n"
    "2: jmp 2b\n"
    "blcr_batch_end:\n"
    ".popsection\n");
extern "C" const char blcr_batch_begin[], blcr_batch_end[];

namespace blcr {
namespace {

constexpr uint64_t kCodeSize = 4096;
constexpr uint64_t kCallSize = Scratch::kMaxCalls * sizeof(RemoteCall);
constexpr uint64_t kSize = kCodeSize + kCallSize + Scratch::kDataSize;
// Linux never sends SIGSTKFLT itself; a pending one of the program's own is astronomically unlikely and would only end the batch early,
// which the results show.
constexpr int kEndSignal = SIGSTKFLT;

user_regs_struct plainRegisters(user_regs_struct regs, uint64_t rip) {
  regs.rip = rip;
  regs.orig_rax = ~0ull;
  regs.eflags &= ~uint64_t(0x100 | 0x400);  // no single-step, no direction flag
  return regs;
}

Status startLoop(Tracee& tracee, const user_regs_struct& saved, uint64_t code, uint64_t at, size_t count) {
  user_regs_struct regs = plainRegisters(saved, code);
  regs.rbx = at;
  regs.r12 = count;
  regs.r15 = kEndSignal;
  BLCR_TRY(tracee.setRegisters(regs));
  BLCR_TRY(tracee.setSignalMask(~(1ull << (kEndSignal - 1))));
  return tracee.resume();
}

}  // namespace

Result<Scratch> Scratch::create(InjectionScope& scope, pid_t pid) {
  Scratch scratch(scope, pid);
  const auto map = [&scope](uint64_t protection) {
    return scope.call("mmap", SYS_mmap, {0, kSize, protection, MAP_PRIVATE | MAP_ANONYMOUS, ~0ull, 0});
  };
  if (featureAllowed("batch")) {
    auto base = map(PROT_READ | PROT_WRITE | PROT_EXEC);
    if (base) scratch.base_ = *base;
    scratch.loop_ = scratch.mapped_ = base.ok();
  }
  if (!scratch.loop_) {
    auto base = map(PROT_READ | PROT_WRITE);
    if (!base) return base.error();
    scratch.base_ = *base;
    scratch.mapped_ = true;
    return scratch;
  }
  const size_t length = size_t(blcr_batch_end - blcr_batch_begin);
  BLCR_TRY(scratch.memory_.write(scratch.base_, std::as_bytes(std::span(blcr_batch_begin, length))));
  return scratch;
}

Scratch::Scratch(Scratch&& other) noexcept
    : owner_(other.owner_),
      memory_(std::move(other.memory_)),
      base_(other.base_),
      mapped_(std::exchange(other.mapped_, false)),
      loop_(other.loop_) {}

// Failing to unmap means that the process is gone.
Scratch::~Scratch() { static_cast<void>(remove()); }

Status Scratch::remove() {
  if (!std::exchange(mapped_, false)) return {};
  auto result = owner_->lastCall("munmap", SYS_munmap, {base_, kSize});
  if (!result) return result.error();
  return {};
}

uint64_t Scratch::data() const { return base_ + kCodeSize + kCallSize; }

uint64_t Scratch::callsAt() const { return base_ + kCodeSize; }

Status Scratch::run(InjectionScope& scope, std::span<RemoteCall> calls) {
  auto batch = start(std::span(&scope, 1), calls);
  if (!batch) return batch.error();
  BLCR_TRY(batch->await());
  return scope.tracee().setSignalMask(~0ull);
}

Result<RunningBatch> Scratch::start(std::span<InjectionScope> scopes, std::span<RemoteCall> calls) {
  RunningBatch batch(*this, scopes.first(0), calls);
  if (calls.empty() || scopes.empty()) return batch;
  if (calls.size() > kMaxCalls) return Error{EINVAL, "batch of too many calls"};
  const size_t share = calls.size() / scopes.size();
  if (!loop_) {
    for (size_t index = 0; index < share * scopes.size(); ++index) {
      if (index % share == 0) BLCR_TRY(scopes[index / share].tracee().setSignalMask(~0ull));
      auto result = scopes[index / share].raw(calls[index].number, calls[index].arguments);
      if (!result) return result.error();
      calls[index].result = *result;
    }
    return batch;
  }
  BLCR_TRY(memory_.write(callsAt(), std::as_bytes(calls)));
  for (size_t index = 0; index < scopes.size(); ++index) {
    BLCR_TRY(startLoop(scopes[index].tracee(), scopes[index].saved(), base_, callsAt() + index * share * sizeof(RemoteCall), share));
    batch.scopes_ = scopes.first(index + 1);
  }
  return batch;
}

RunningBatch::RunningBatch(RunningBatch&& other) noexcept
    : scratch_(other.scratch_), scopes_(std::exchange(other.scopes_, {})), calls_(other.calls_) {}

// A failure means that a task is gone: nobody is left to be harmed.
RunningBatch::~RunningBatch() { static_cast<void>(awaitTasks()); }

Status RunningBatch::awaitTasks() {
  Status status;
  for (InjectionScope& scope : std::exchange(scopes_, {})) {
    Status ended = scope.tracee().awaitSignal(kEndSignal);
    if (status.ok()) status = std::move(ended);
  }
  return status;
}

Status RunningBatch::await() {
  if (scopes_.empty()) return {};
  BLCR_TRY(awaitTasks());
  return scratch_->memory_.read(scratch_->callsAt(), std::as_writable_bytes(calls_));
}

CopyScratch Scratch::ofCopy() const {
  CopyScratch copy;
  copy.regs_ = owner_->saved();
  copy.instruction_ = owner_->instruction();
  copy.base_ = base_;
  copy.loop_ = loop_;
  return copy;
}

uint64_t CopyScratch::data() const { return base_ + kCodeSize + kCallSize; }

Status CopyScratch::start(Tracee& copy, std::span<RemoteCall> calls) const {
  if (calls.empty() || calls.size() > Scratch::kMaxCalls) return Error{EINVAL, "batch of no or too many calls"};
  if (loop_) {
    BLCR_TRY(RemoteMemory(copy.tid()).write(base_ + kCodeSize, std::as_bytes(calls)));
    return startLoop(copy, regs_, base_, base_ + kCodeSize, calls.size());
  }
  BLCR_TRY(copy.setSignalMask(~0ull));
  for (RemoteCall& call : calls) {
    auto result = copy.inject(instruction_, call.number, call.arguments);
    if (!result) return result.error();
    call.result = *result;
  }
  return {};
}

Status CopyScratch::await(Tracee& copy, std::span<RemoteCall> calls) const {
  if (!loop_) return {};
  BLCR_TRY(copy.awaitSignal(kEndSignal));
  BLCR_TRY(copy.setSignalMask(~0ull));
  return RemoteMemory(copy.tid()).read(base_ + kCodeSize, std::as_writable_bytes(calls));
}

Status CopyScratch::enter(Tracee& copy, std::span<const std::byte> code, uint64_t argument) const {
  constexpr uint64_t kBehindLoop = 512;
  if (!loop_ || code.size() > kCodeSize - kBehindLoop) return Error{ENOTSUP, "no executable memory in the copy"};
  BLCR_TRY(RemoteMemory(copy.tid()).write(base_ + kBehindLoop, code));
  user_regs_struct regs = plainRegisters(regs_, base_ + kBehindLoop);
  regs.rdi = argument;
  regs.rsp = data() + Scratch::kDataSize - 8;  // as behind a call
  BLCR_TRY(copy.setRegisters(regs));
  BLCR_TRY(copy.setSignalMask(~0ull));
  return copy.resume();
}

}  // namespace blcr
