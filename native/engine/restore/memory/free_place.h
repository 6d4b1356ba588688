// Addresses that nobody uses.
#pragma once

#include <cstdint>
#include <utility>
#include <vector>

#include "base/result.h"
#include "image/model.h"

namespace blcr {

inline constexpr uint64_t kUserEnd = 0x7ffffffff000;    // TASK_SIZE with four-level page tables; nothing is ever put above unasked
inline constexpr uint64_t kDistance = 4 * 1024 * 1024;  // from any area: clear of stack guard gaps (1 MiB) and of merging

using Ranges = std::vector<std::pair<uint64_t, uint64_t>>;

/** What a recorded process occupies, with its heap and the room that its stacks may grow into (RLIMIT_STACK, at most 1 GiB). */
[[nodiscard]] Ranges usedRanges(const image::Process& process);

/** `size` bytes clear of `used`, as low as possible; ENOMEM when there is no such place. */
[[nodiscard]] Result<uint64_t> lowFreePlace(Ranges used, uint64_t size);

/** The same as high as possible, where the kernel puts its own areas: above heap and libraries, out of the way of their growth. */
[[nodiscard]] Result<uint64_t> highFreePlace(Ranges used, uint64_t size);

}  // namespace blcr
