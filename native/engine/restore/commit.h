// The moment after the trailer: what the outside world sees of a restart.
#pragma once

#include "restore/job.h"
#include "restore/sources.h"

namespace blcr {

/** Compares the files of this node with what the job knew, without changing anything: ESTALE names a file that the policy refuses. */
[[nodiscard]] Status checkFiles(const Job& job, const Sources& sources);

/** Rolls files back, positions the standard streams, fills FIFOs, seals segments, takes locks, tells descriptions their owners. */
[[nodiscard]] Status commitFiles(Job& job, const Sources& sources);

/** Starts the timerfds; immediately before the job goes on. */
[[nodiscard]] Status startTimerFds(const Job& job, const Sources& sources);

}  // namespace blcr
