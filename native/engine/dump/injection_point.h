// Where system calls are injected into a process.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <span>

#include "base/result.h"
#include "proc/maps.h"

namespace blcr {

/**
 * Address of a `syscall` instruction in the vdso of a stopped process whose areas are `maps`; where the program has removed that (valgrind
 * does), in any code that is not written. Good for this stop only: an execve moves the vdso, and a call injected at the old address kills
 * the process. kErrorNoSupport when there is none, or the program is one of 32 bits.
 */
[[nodiscard]] Result<uint64_t> injectionPoint(pid_t pid, std::span<const Mapping> maps);

}  // namespace blcr
