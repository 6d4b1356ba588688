// Every kind of register holds a known value through a long loop without system calls.
#include <errno.h>
#include <fenv.h>
#include <immintrin.h>
#include <string.h>
#include <unistd.h>
#include <x86intrin.h>

#include "victim.h"

namespace {

alignas(64) uint64_t pattern[8], seen[8], seenLow[8];
uint64_t mask = 0;
long double x87 = 0;

__attribute__((target("avx512f,avx512bw"), noinline)) void spinWide(uint64_t rounds) {
  asm volatile(
      "vmovdqu64 %[pattern], %%zmm31\n vmovdqu64 %[pattern], %%zmm5\n mov $0x5a5a5a5a, %%rax\n kmovq %%rax, %%k1\n fldpi\n"
      "1: dec %[rounds]\n jnz 1b\n"
      "vmovdqu64 %%zmm31, %[seen]\n vmovdqu64 %%zmm5, %[low]\n kmovq %%k1, %[mask]\n fstpt %[x87]\n"
      : [rounds] "+r"(rounds), [seen] "=m"(seen), [low] "=m"(seenLow), [mask] "=r"(mask), [x87] "=m"(x87)
      : [pattern] "m"(pattern)
      : "rax", "xmm5", "memory", "cc");
}

__attribute__((noinline)) void spinNarrow(uint64_t rounds) {
  asm volatile("movdqu %[pattern], %%xmm5\n fldpi\n 1: dec %[rounds]\n jnz 1b\n movdqu %%xmm5, %[low]\n fstpt %[x87]\n"
               : [rounds] "+r"(rounds), [low] "=m"(seenLow), [x87] "=m"(x87)
               : [pattern] "m"(pattern)
               : "xmm5", "memory", "cc");
}

}  // namespace

int main() {
  const bool wide = __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw");
  fesetround(FE_UPWARD);
  uint64_t turn = 0;
  for (; turn <= 2 || !mayEnd("go"); ++turn) {  // a busy processor may not have got far
    for (uint64_t i = 0; i < 8; ++i) pattern[i] = (turn << 32 | i) * 0x9e3779b97f4a7c15u;
    memset(seen, 0, sizeof seen);
    wide ? spinWide(100000000) : spinNarrow(100000000);
    if (wide) REQUIRE(memcmp(seen, pattern, sizeof seen) == 0 && mask == 0x5a5a5a5a);
    REQUIRE(memcmp(seenLow, pattern, 16) == 0);
    REQUIRE(x87 > 3.14159265358979L && x87 < 3.14159265358980L);
    REQUIRE(fegetround() == FE_UPWARD);
  }
  puts("registers kept");
  return 0;
}
