// Content of mapped files that travels with the context.
#pragma once

#include <string>

#include "base/result.h"
#include "dump/recording.h"

namespace blcr {

/**
 * Makes the content of Image::mapped[index], read from `path`, a part of the context. It is read after the stop, but for a file that is
 * written through memory, which is copied now. Once is enough for a file. ESTALE when `path` is another file; others of open(2), read(2).
 */
[[nodiscard]] Status carryFile(Recording& recording, uint32_t index, const std::string& path);

/**
 * All files of the kinds `carry` (CarriedFiles) that the recorded processes have mapped. As with BLCR, the executable is the executable
 * alone, and whatever is mapped privately, the executable and libraries above all, is private. The counters of Java machines always are
 * among them.
 */
[[nodiscard]] Status carryMappedFiles(Recording& recording, uint32_t carry);

}  // namespace blcr
