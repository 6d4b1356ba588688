// Paths of the old place to paths of the new one.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "restore/restore.h"

namespace blcr {

/** True when `path` is `prefix` or lies below it; whole components only. */
[[nodiscard]] bool isBelow(std::string_view path, std::string_view prefix);

/** `path` with the longest matching `from` replaced by its `to`; unchanged when none matches. */
[[nodiscard]] std::string relocated(const std::vector<PathPair>& pairs, const std::string& path);

}  // namespace blcr
