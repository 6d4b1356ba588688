// How one process's end becomes another's.
#pragma once

namespace blcr {

/** Ends the calling process as the wait status says: same exit status, or same signal, without a core file of its own. */
[[noreturn]] void endLike(int status);

}  // namespace blcr
