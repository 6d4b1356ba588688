#include "coverage.h"

#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>

namespace {

constexpr size_t kSlots = 1 << 16;
std::array<uint8_t, kSlots> taken{};  // by the current input, saturating
std::array<uint8_t, kSlots> known{};  // by all inputs: one bit for each power of two of repetitions
uintptr_t previous = 0;

}  // namespace

/** Called by the compiler at the start of every basic block. Source: GCC manual, -fsanitize-coverage=trace-pc. */
extern "C" __attribute__((no_sanitize("address", "undefined"))) void __sanitizer_cov_trace_pc() {
  const auto here = reinterpret_cast<uintptr_t>(__builtin_return_address(0));
  uint8_t& count = taken[(here ^ (previous << 1)) % kSlots];
  if (count < UINT8_MAX) ++count;
  previous = here;
}

void fuzz::startInput() {
  taken.fill(0);
  previous = 0;
}

bool fuzz::foundNew() {
  bool isNew = false;
  for (size_t slot = 0; slot < kSlots; ++slot) {
    if (taken[slot] == 0) continue;
    const auto bit = static_cast<uint8_t>(std::bit_floor(taken[slot]));
    isNew = isNew || (known[slot] & bit) == 0;
    known[slot] = static_cast<uint8_t>(known[slot] | bit);
  }
  return isNew;
}

unsigned fuzz::edges() {
  unsigned count = 0;
  for (const uint8_t slot : known) count += slot != 0 ? 1 : 0;
  return count;
}
