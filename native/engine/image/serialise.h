// Image <-> bytes. One visitor walks the members in both directions, so writer and reader cannot disagree.
#pragma once

#include <string>
#include <string_view>

#include "base/result.h"
#include "image/model.h"

namespace blcr::image {

[[nodiscard]] std::string serialise(const Image& image);

/** Refuses (EINVAL) truncated, oversized or inconsistent input: every count and index is checked before it is used. Fuzzed. */
[[nodiscard]] Result<Image> deserialise(std::string_view bytes);

}  // namespace blcr::image
