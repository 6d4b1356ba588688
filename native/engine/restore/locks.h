// File locks that the job held.
#pragma once

#include "restore/job.h"
#include "restore/sources.h"

namespace blcr {

/** Takes flock, POSIX and OFD locks again, without waiting. EWOULDBLOCK names a file that somebody else has locked meanwhile. */
[[nodiscard]] Status takeLocks(Job& job, const Sources& sources);

}  // namespace blcr
