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

}  // namespace

Result<Scratch> Scratch::create(InjectionScope& scope, pid_t pid) {
  Scratch scratch(scope, pid);
  const auto map = [&scope](uint64_t protection) {
    return scope.call("mmap", SYS_mmap, {0, kSize, protection, MAP_PRIVATE | MAP_ANONYMOUS, ~0ull, 0});
  };
  if (featureAllowed("batch")) {
    auto base = map(PROT_READ | PROT_WRITE | PROT_EXEC);
    if (base) scratch.base_ = *base;
    scratch.loop_ = base.ok();
  }
  if (!scratch.loop_) {
    auto base = map(PROT_READ | PROT_WRITE);
    if (!base) return base.error();
    scratch.base_ = *base;
    return scratch;
  }
  const size_t length = size_t(blcr_batch_end - blcr_batch_begin);
  BLCR_TRY(scratch.memory_.write(scratch.base_, std::as_bytes(std::span(blcr_batch_begin, length))));
  return scratch;
}

Scratch::Scratch(Scratch&& other) noexcept
    : owner_(other.owner_), memory_(std::move(other.memory_)), base_(std::exchange(other.base_, 0)), loop_(other.loop_) {}

// Failing to unmap means that the process is gone.
Scratch::~Scratch() { static_cast<void>(remove()); }

Status Scratch::remove() {
  if (base_ == 0) return {};
  auto result = owner_->call("munmap", SYS_munmap, {std::exchange(base_, 0), kSize});
  if (!result) return result.error();
  return {};
}

uint64_t Scratch::data() const { return base_ + kCodeSize + kCallSize; }

Status Scratch::run(InjectionScope& scope, std::span<RemoteCall> calls) {
  if (calls.empty()) return {};
  if (calls.size() > kMaxCalls) return Error{EINVAL, "batch of too many calls"};
  if (loop_) return runLoop(scope, calls);
  for (RemoteCall& call : calls) {
    auto result = scope.raw(call.number, call.arguments);
    if (!result) return result.error();
    call.result = *result;
  }
  return {};
}

Status Scratch::runLoop(InjectionScope& scope, std::span<RemoteCall> calls) {
  const uint64_t at = base_ + kCodeSize;
  BLCR_TRY(memory_.write(at, std::as_bytes(calls)));
  user_regs_struct regs = scope.saved();
  regs.rip = base_;
  regs.orig_rax = ~0ull;
  regs.rbx = at;
  regs.r12 = calls.size();
  regs.r15 = kEndSignal;
  regs.eflags &= ~uint64_t(0x100 | 0x400);  // no single-step, no direction flag
  Tracee& tracee = scope.tracee();
  BLCR_TRY(tracee.setRegisters(regs));
  BLCR_TRY(tracee.setSignalMask(~(1ull << (kEndSignal - 1))));
  BLCR_TRY(tracee.runUntilSignal(kEndSignal));
  BLCR_TRY(tracee.setSignalMask(~0ull));
  return memory_.read(at, std::as_writable_bytes(calls));
}

}  // namespace blcr
