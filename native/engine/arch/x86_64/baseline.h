// Levels of the architecture that programs may be confined to, so that their contexts run on more machines.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

namespace blcr {

/** Feature words (as cpuFeatures()) of "x86-64-v2", "x86-64-v3" or "x86-64-v4"; none for another name. Source: x86-64 psABI, 3.1.1. */
[[nodiscard]] std::optional<std::vector<uint32_t>> baselineFeatures(std::string_view name);

/** What a job that was started with that baseline may be using of `words`; all of it when the name is empty or unknown. */
[[nodiscard]] std::vector<uint32_t> reducedTo(std::string_view baseline, std::vector<uint32_t> words);

}  // namespace blcr
