// Copies of regular files, by the cheapest way that the file system offers.
#pragma once

#include <cstdint>

#include "base/result.h"

namespace blcr {

/**
 * Makes the empty file `target` equal to the first `size` bytes of `source`: shares the blocks (FICLONE) when both are on one file system
 * that can, else copies in the kernel (copy_file_range), else by read and write. Holes stay holes. A source that ends early gives a copy
 * filled up with zeros.
 */
[[nodiscard]] Status copyFile(int source, int target, uint64_t size);

}  // namespace blcr
