// The vdso of another kernel, made to work on this one.
#pragma once

#include <cstdint>
#include <span>
#include <string>

#include "base/result.h"

namespace blcr {

/**
 * A program keeps pointers to functions of the vdso that it found at its start. `recorded` is that vdso as it was mapped; the result is a
 * copy, for the same address, in which every function's first bytes jump to the function of the same name in the vdso of this host, `here`,
 * mapped at `hereAddress`. A function that this host's vdso lacks makes the system call instead. Everything else (headers, symbols, unwind
 * tables) stays readable. No task may be inside the old code. getrandom always becomes the system call: its state belongs to one kernel.
 *
 * kErrorBadArchitecture, naming the function, when it has no counterpart or is too short.
 */
[[nodiscard]] Result<std::string> bridgeVdso(std::span<const std::byte> recorded, std::span<const std::byte> here, uint64_t hereAddress);

}  // namespace blcr
