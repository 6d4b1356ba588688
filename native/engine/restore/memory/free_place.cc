#include "restore/memory/free_place.h"

#include <sys/resource.h>

#include <algorithm>

namespace blcr {
namespace {

constexpr uint64_t kPage = 4096;
constexpr uint64_t kLowest = 0x10000;  // vm.mmap_min_addr at its usual value
constexpr uint64_t kMostStack = 1ull << 30;

Error none() { return Error{ENOMEM, "no address is free in all processes"}; }

}  // namespace

Ranges usedRanges(const image::Process& process) {
  Ranges used;
  const auto& limits = process.limits;
  const uint64_t stack = limits.size() > RLIMIT_STACK ? std::min(limits[RLIMIT_STACK].soft, kMostStack) : kMostStack;
  for (const image::Area& area : process.memory.areas) {
    const bool grows = (area.flags & image::kGrowsDown) != 0;
    used.emplace_back(grows ? std::min(area.start, std::max(area.end, stack) - stack) : area.start, area.end);
  }
  used.emplace_back(process.memory.startBrk, process.memory.brk);
  return used;
}

Result<uint64_t> lowFreePlace(Ranges used, uint64_t size) {
  std::sort(used.begin(), used.end());
  uint64_t at = kLowest + kDistance;
  for (const auto& [start, end] : used) {
    if (start > at && start - at >= size + kDistance) break;
    at = std::max(at, (end + kPage - 1) / kPage * kPage + kDistance);
  }
  if (at + size > kUserEnd) return none();
  return at;
}

Result<uint64_t> highFreePlace(Ranges used, uint64_t size) {
  std::sort(used.begin(), used.end(), [](const auto& one, const auto& other) { return one.second > other.second; });
  uint64_t top = kUserEnd;  // everything above is taken
  for (const auto& [start, end] : used) {
    if (top > end && top - end >= size + 2 * kDistance) break;
    top = std::min(top, start / kPage * kPage);
  }
  if (top < kLowest + size + 2 * kDistance) return none();
  return top - kDistance - size;
}

}  // namespace blcr
