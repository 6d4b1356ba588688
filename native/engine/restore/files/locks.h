// File locks that the job held.
#pragma once

#include "restore/files/sources.h"
#include "restore/job.h"

namespace blcr {

/** Takes flocks again, without waiting, each by whoever has it: before processes lose the descriptors that they do not have. EWOULDBLOCK
 * names a file that somebody else has locked meanwhile. */
[[nodiscard]] Status takeWholeLocks(Job& job, const Sources& sources);

/** The same for POSIX and OFD locks and leases, at the very end. */
[[nodiscard]] Status takeRangeLocks(Job& job, const Sources& sources);

}  // namespace blcr
