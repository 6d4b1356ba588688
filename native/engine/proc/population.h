// How many tasks this machine has, and has ever made.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

namespace blcr {

/**
 * Equal at two moments: between them no task was added to /proc, and none was taken off it (a zombie is taken off when it is waited for).
 * Source: proc(5), /proc/stat `processes` (counted as a task is added, threads too) and the second number of the tasks in /proc/loadavg.
 */
struct Population {
  uint64_t everMade = 0, present = 0;
  bool operator==(const Population&) const = default;
};

[[nodiscard]] std::optional<Population> parsePopulation(std::string_view stat, std::string_view loadavg);

/** nullopt where /proc is masked, or shows what somebody else makes up for a container. Long on machines with many processors. */
[[nodiscard]] std::optional<Population> readPopulation();

}  // namespace blcr
