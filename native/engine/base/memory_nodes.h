// Nodes of memory (NUMA), as system calls on memory policies count them.
#pragma once

#include <cstddef>

namespace blcr {

/** As many as the kernel can be built for: a mask has a bit for each. */
inline constexpr size_t kMaxNodes = 1024;

}  // namespace blcr
