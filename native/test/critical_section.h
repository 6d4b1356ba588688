// A critical section of restartable sequences (rseq(2)) that tells how it ended.
#pragma once

#include <sys/rseq.h>

#include <cstdint>

namespace critical_section {

enum class End { kCommitted, kAborted, kLost };

/** A critical section of so many rounds. Lost: the kernel had forgotten it, and the program went on in the middle of it. */
__attribute__((noinline, noclone)) static End run(struct rseq* area, uint64_t rounds) {
  asm goto(
      ".pushsection .critical_sections, \"aw\"\n"
      ".balign 32\n"
      "10: .long 0, 0\n"
      ".quad 1f, 2f - 1f, 4f\n"
      ".popsection\n"
      "leaq 10b(%%rip), %%rax\n"
      "movq %%rax, %[current]\n"
      "1: movq %[rounds], %%rcx\n"
      "3: dec %%rcx\n"
      "jnz 3b\n"
      "cmpq $0, %[current]\n"
      "jz %l[lost]\n"
      "2: movq $0, %[current]\n"
      "jmp 5f\n"
      ".byte 0x0f, 0xb9, 0x3d\n"  // an instruction that holds the signature, in front of the handler
      ".long 0x53053053\n"
      "4: jmp %l[aborted]\n"
      "5:\n"
      :
      : [current] "m"(area->rseq_cs), [rounds] "r"(rounds)
      : "memory", "cc", "rax", "rcx"
      : lost, aborted);
  return End::kCommitted;
lost:
  return End::kLost;
aborted:
  return End::kAborted;
}

/** The area that the C library has registered for the calling thread; nullptr when it has not. */
inline struct rseq* area() {
  if (__rseq_size == 0) return nullptr;
  return reinterpret_cast<struct rseq*>(static_cast<char*>(__builtin_thread_pointer()) + __rseq_offset);
}

}  // namespace critical_section
